//! From packed bytes to the bytes of a tar archive, in a thread of its own.
//!
//! ```text
//!  Packed ──▶ format by magic ──▶ xz │ gzip │ zstd │ none │ squashfs ──▶ Sink ══ channel ══▶ Feed ──▶ tar::Walk
//!  (file)                                                    limits              this thread
//! ```
//!
//! A decoder returns `Ok` only after it has seen and checked the end of the packed data, and a
//! [`Feed`] ends only after that: whoever has read a feed to its end has read an intact archive.

mod gzip;
#[cfg(feature = "lzma-rs")]
mod lzma_rs;
mod packed;
mod pipe;
mod plain;
mod sniff;
mod squashfs;
#[cfg(feature = "liblzma")]
mod xz;
mod xz_backend;
#[cfg(feature = "lzma-rs")]
mod xz_blocks;
#[cfg(feature = "liblzma")]
mod xz_input;
#[cfg(feature = "pure-rust")]
mod xz_pure;
#[cfg(feature = "zstd")]
mod zstd;

pub(crate) use self::packed::Packed;
pub(crate) use self::pipe::{Budget, Decoding, Feed, with_feed};
pub use self::xz_backend::XzBackend;
