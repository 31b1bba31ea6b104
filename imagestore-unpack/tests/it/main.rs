//! Unpacking as callers see it.
//!
//! The tests that need a complete xz decoder are built with one.

mod archive;
mod attacks;
mod excludes;
mod format;
#[cfg(any(feature = "liblzma", feature = "pure-rust"))]
mod gnu_tar;
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
mod target;
#[cfg(any(feature = "liblzma", feature = "pure-rust"))]
mod xz;
