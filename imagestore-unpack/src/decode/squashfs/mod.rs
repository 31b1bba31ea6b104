//! Squashfs 4.0, read as if it were a tar archive.
//!
//! ```text
//! superblock ─▶ inode table ─▶ directory table ─▶ blocks, fragments ─▶ tar members ─▶ Sink
//! ```
//!
//! What comes out is a tar archive with the members of the file system, each directory before what
//! it holds, names in order. So all that is checked and limited for archives is for these as well,
//! in one place. Nothing is mounted, and no kernel parser sees what an image says.
//!
//! Sockets are left out, as tar leaves them out: they are what running programs left behind. Holes
//! come out as zeros.

mod blocks;
mod image;
mod inode;
mod metadata;
mod tables;
mod tree;
mod writer;

use super::packed::Packed;
use super::pipe::Sink;
use crate::error::UnpackError;

/// Decodes a squashfs file system.
pub(super) fn decode(packed: Packed<'_>, sink: &mut Sink<'_>) -> Result<(), UnpackError> {
    let image = image::Image::open(&packed, sink.decoding())?;
    tree::Tree::new(&image, sink).write()
}
