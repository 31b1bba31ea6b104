//! Unpacking as callers see it.
//!
//! The tests that need a complete xz decoder are built with one.

mod archive;
mod attacks;
mod excludes;
mod format;
#[cfg(any(feature = "liblzma", feature = "pure-rust"))]
mod gnu_tar;
mod layers;
#[cfg(any(feature = "liblzma", feature = "pure-rust"))]
mod limits;
#[cfg(feature = "lzma-rs")]
mod lzma_rs;
mod members;
#[cfg(any(feature = "liblzma", feature = "pure-rust"))]
mod options;
mod packing;
mod scene;
mod snapshot;
#[cfg(any(feature = "liblzma", feature = "pure-rust"))]
mod squashfs;
mod target;
mod unified;
#[cfg(any(feature = "liblzma", feature = "pure-rust"))]
mod xz;
