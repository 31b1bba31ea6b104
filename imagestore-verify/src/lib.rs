//! Unverified and verified bytes, keyrings, and detached OpenPGP signatures.
//!
//! ```text
//! Unverified<Bytes> ──┬─ Verifier::check(data, .asc) ─┬─▶ Verified<Bytes> + proofs
//!                     ├─ check_digest(data, sha256) ──┤
//!                     ├─ trust_channel(data, tls) ────┘
//!                     └─ Spool: written and hashed in one pass ─▶ Verified<Vec<File>>
//! ```
//!
//! Bytes from outside are born [`Unverified`]: they can be counted, joined and spooled to disk,
//! not read. A check turns them into [`Verified`], which carries its [`Proof`]s along.
//!
#![doc = include_str!("../POLICY.md")]

mod armor;
mod backend;
mod bindings;
mod brainpool;
mod certificate;
mod clearsigned;
mod clock;
pub mod danger;
mod digest;
mod error;
mod fingerprint;
mod hash;
mod key_packet;
mod keyring;
mod listing;
mod mpi;
mod multipart;
mod packet;
mod policy;
mod proof;
mod reason;
mod semantics;
mod signature;
mod signature_packet;
#[cfg(feature = "signing")]
pub mod signing;
mod spool;
mod streaming;
mod subpacket;
mod unverified;
mod verified;
mod verifier;
mod warning;

pub use clock::{ParseTimeError, Utc};
pub use digest::{ParseDigestError, Sha256, check_digest};
pub use error::VerifyError;
pub use fingerprint::{Fingerprint, ParseFingerprintError};
pub use keyring::Keyring;
pub use listing::ListedCertificate;
pub use multipart::{FormPart, MultipartError, MultipartSpool};
pub use policy::Policy;
pub use proof::{Channel, Proof, SignatureProof, trust_channel};
pub use reason::Reason;
pub use signature::{DetachedSignature, Framing};
pub use spool::{Checkpoint, Spool};
pub use streaming::StreamingCheck;
pub use unverified::Unverified;
pub use verified::Verified;
pub use verifier::Verifier;
pub use warning::Warning;
