//! The registry protocol of imagestore: a signed index that refers to other remotes.
//!
//! A registry holds no images. It is a set of plain files behind https, and the root of trust for a
//! list of servers: where each one is, what it speaks, and whose signatures and certificates count
//! there.
//!
//! ```text
//! https+registry://registry.example
//! ├── 1.0
//! │   ├── index.json              servers and aliases
//! │   └── index.json.asc          by the registry's key, like every other .asc here
//! ├── keys
//! │   ├── 0xBAEFF88C22F6E216      who may sign on a server; named by key id or fingerprint
//! │   └── 0xBAEFF88C22F6E216.asc
//! └── certs
//!     ├── 9D9A4864A3…DCCE1FB8B    what a server shows in TLS; named by its SHA-256
//!     └── 9D9A4864A3…DCCE1FB8B.asc
//! ```
//!
//! # From a path to a referral
//! ```text
//! lxc-images/ubuntu/trusty/amd64   the first segment is a server
//!                                    ─▶ that server, ubuntu/trusty/amd64
//! ubuntu/lts/amd64                 else the longest alias that fits
//!                                    ─▶ its server, ubuntu/trusty/amd64/default
//! ```
//! An alias names a distribution, a release and a variant, never an architecture: that is the next
//! segment, or the one configured for the registry, or this machine's. A build may follow. Aliases
//! do not lead to aliases.
//!
//! # Whom to believe there
//! Trust is not inherited. The keys of a registry vouch for its index, its `/keys` and its
//! `/certs`, and for nothing else; the keys it names for one server count on no other.
//!
//! - A file below `/keys` must hold the key it is named after; whatever else is in it does not
//!   count. Keys listed in `revoked_keys` never count.
//! - A certificate below `/certs` must have the digest it is named after. Then it is a pin: no
//!   authority can stand in for it. Without certificates the system's roots decide.
//! - A server without `trusted_keys` is refused, unless it is `https+lxd` or `https+simplestreams`:
//!   those publish no signatures and are believed because of the channel, which is the pinned
//!   certificate or the system's roots.
//!
//! A server that cannot be used (for other versions of this program, without keys, with a URL that
//! is none) stays in the list with the reason, and says why when it is asked for. The others stay
//! usable.
//!
//! # When an index is believed
//! It is signed by a key of the registry, `generated_at` and `serial` have not fallen,
//! `generated_at` is at most a day ahead of the clock, and `expires_at` has not passed.

mod alias;
mod find;
mod index;
mod pem;
mod server;
mod source;
mod trust;
mod wire;

pub use crate::alias::Alias;
pub use crate::index::{Index, ParseError};
pub use crate::server::{CLIENT_VERSION, Server};
pub use crate::source::{Registry, RegistryProtocol};
