//! Image references, remotes, the source and transport traits, and the resolver of imagestore.
//!
//! A reference names a [remote](RemoteConfig) and a [path](ImagePath) on it. A remote speaks a
//! [`Protocol`]; its [`ImageSource`] answers with an [`Image`] or refers to another remote, and the
//! [`Resolver`] follows. Answers are [`Verified`](imagestore_verify::Verified): the return type is
//! the policy. This crate opens no connection and touches no disk; a [`Transport`] does the one and
//! a store the other.
//!
//! ```text
//! ImageRef ─▶ Resolver ─▶ ImageSource::lookup ─▶ Image, or a Referral to the next remote
//!                              │
//!                              ▼
//!                          Document ─▶ Transport ─▶ Unverified bytes ─▶ checked ─▶ parsed ─▶ remembered
//! ```

mod admission;
pub mod architecture;
mod base_url;
mod change;
mod context;
mod document;
mod error;
pub mod freshness;
mod image;
mod image_path;
mod image_ref;
mod limits;
mod progress;
mod remote;
mod remote_url;
mod resolver;
mod source;
mod sources;
mod transport;

pub use async_trait::async_trait;

pub use crate::admission::Admission;
pub use crate::base_url::BaseUrl;
pub use crate::change::{Action, Change};
pub use crate::context::Context;
pub use crate::document::{Document, Lifetime, Parsed, signature_url, unsigned};
pub use crate::error::{Answer, Error, ErrorKind, Result, printable};
pub use crate::image::{Check, Delta, Download, FileRole, Framing, Image, ImageFile, ImageId};
pub use crate::image_path::ImagePath;
pub use crate::image_ref::{ImageRef, RemoteName};
pub use crate::limits::Limits;
pub use crate::progress::{Event, Progress, Silent};
pub use crate::remote::{Cleartext, ClientIdentity, RemoteConfig, TlsTrust, Trust};
pub use crate::remote_url::{Place, RemoteUrl};
pub use crate::resolver::{Hop, ListedEntries, Resolution, Resolver};
pub use crate::source::{Entry, EntryKind, ImageSource, Listing, Lookup, Protocol, Referral};
pub use crate::transport::{Body, Caches, Get, Purpose, Resume, Transport, Validators};
