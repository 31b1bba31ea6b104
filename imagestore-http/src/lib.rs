//! The http, https and unix socket transport of imagestore.
//!
//! [`HttpTransport`] brings bytes: it connects, judges certificates, follows redirects, tries again, resumes, and
//! gives up on servers that stall. [`CachedTransport`] wraps any transport and keeps documents as raw bytes, to be
//! revalidated instead of fetched. Neither believes what it brings: bytes are
//! [`Unverified`](imagestore_verify::Unverified), those from the disk too.
//!
//! ```text
//! Get ─▶ CachedTransport ─▶ HttpTransport
//!           │ a copy?          │ deadline, tries                  retry
//!           │ its validators   ▼
//!           │                one chain of redirects               redirect, addresses
//!           │                  │ one request a hop                call, client, pins, socket
//!           │                  ▼
//!           │                status, length, range                answer, ranges
//!           ▼                  ▼
//!         Body ◀───────────  Body, at no less than a lowest rate  pace
//! ```
//! A [`Change`](imagestore_core::Change) goes the same way, past the cache, once: no second try, no redirect.
//!
//! # What is never done
//! - A redirect from https to http, to another scheme, or from a public address into a private network.
//! - A certificate, cookie or password sent to a host it is not for; there are no cookies and no passwords at all.
//! - Content decoding: a body that is decompressed on the way cannot be verified.
//! - Revocation checks for certificates. Pins, where they are used, make up for it: they are exclusive.

mod addresses;
mod answer;
mod cache_entry;
mod cached;
mod call;
mod client;
mod errors;
mod options;
mod pace;
mod pins;
mod ranges;
mod redirect;
mod retry;
mod socket;
mod transport;

pub use crate::cached::{CachedTransport, Mode};
pub use crate::options::{Authorities, HttpOptions, Proxy};
pub use crate::transport::HttpTransport;
