use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::super::packed::Packed;
use super::super::pipe::{Decoding, unreadable};
use super::blocks::Compression;
use crate::error::UnpackError;

/// A file system: its superblock, and its bytes by position.
pub(super) struct Image<'a> {
    packed: &'a Packed<'a>,
    taken: Arc<AtomicU64>,
    pub(super) decoding: Decoding<'a>,
    pub(super) compression: Compression,
    pub(super) block_size: u32,
    pub(super) id_count: u16,
    pub(super) fragment_count: u32,
    pub(super) root_inode: u64,
    pub(super) id_table: u64,
    pub(super) xattr_table: u64,
    pub(super) inode_table: u64,
    pub(super) directory_table: u64,
    pub(super) fragment_table: u64,
    bytes_used: u64,
}

impl<'a> Image<'a> {
    pub(super) fn open(
        packed: &'a Packed<'a>,
        decoding: Decoding<'a>,
    ) -> Result<Self, UnpackError> {
        let mut block = [0; SUPERBLOCK];
        if packed.peek(&mut block).map_err(unreadable)? < SUPERBLOCK {
            return Err(UnpackError::malformed("the file system is cut short"));
        }
        let field = |at: usize| Field(&block, at);
        let (major, minor) = (field(28).u16(), field(30).u16());
        if (major, minor) != (4, 0) {
            return Err(UnpackError::unsupported(format!(
                "the file system is squashfs {major}.{minor}; 4.0 can be unpacked"
            )));
        }
        let (block_size, log) = (field(12).u32(), field(22).u16());
        if !(4096..=1 << 20).contains(&block_size)
            || 1u32.checked_shl(log.into()) != Some(block_size)
        {
            return Err(UnpackError::malformed(format!(
                "the file system has blocks of {block_size} bytes and says that this is 2 to the power of {log}"
            )));
        }
        let bytes_used = field(40).u64();
        if bytes_used > packed.length() {
            return Err(UnpackError::malformed(format!(
                "the file system has {bytes_used} bytes, of which {} are there",
                packed.length()
            )));
        }
        Ok(Self {
            packed,
            taken: packed.taken(),
            decoding,
            compression: Compression::of(field(20).u16(), decoding)?,
            block_size,
            id_count: field(26).u16(),
            fragment_count: field(16).u32(),
            root_inode: field(32).u64(),
            id_table: field(48).u64(),
            xattr_table: field(56).u64(),
            inode_table: field(64).u64(),
            directory_table: field(72).u64(),
            fragment_table: field(80).u64(),
            bytes_used,
        })
    }

    /// These bytes, all of them.
    pub(super) fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), UnpackError> {
        let end = offset.checked_add(into.len() as u64);
        if end.is_none_or(|end| end > self.bytes_used) {
            return Err(UnpackError::malformed(format!(
                "{} bytes at {offset} are beyond the end of the file system at {}",
                into.len(),
                self.bytes_used
            )));
        }
        if self.packed.peek_at(into, offset).map_err(unreadable)? < into.len() {
            return Err(UnpackError::malformed("the file system is cut short"));
        }
        Ok(())
    }

    /// Counts packed bytes as used: what comes out is measured against them.
    pub(super) fn count(&self, bytes: usize) {
        self.taken.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// A little-endian number in the superblock.
struct Field<'a>(&'a [u8; SUPERBLOCK], usize);

impl Field<'_> {
    fn bytes<const N: usize>(self) -> [u8; N] {
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.0[self.1..self.1 + N]);
        bytes
    }

    fn u16(self) -> u16 {
        u16::from_le_bytes(self.bytes())
    }

    fn u32(self) -> u32 {
        u32::from_le_bytes(self.bytes())
    }

    fn u64(self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }
}

const SUPERBLOCK: usize = 96;
