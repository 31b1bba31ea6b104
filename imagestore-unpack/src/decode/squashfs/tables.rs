use super::blocks::Block;
use super::image::Image;
use super::metadata::{Cache, Cursor};
use crate::error::UnpackError;
use crate::tar::Xattr;

/// The tables that inodes refer to by numbers.
pub(super) struct Tables<'a> {
    image: &'a Image<'a>,
    cache: &'a Cache,
}

impl<'a> Tables<'a> {
    pub(super) fn new(image: &'a Image<'a>, cache: &'a Cache) -> Self {
        Self { image, cache }
    }

    /// The user or group of this number.
    pub(super) fn id(&self, index: u16) -> Result<u32, UnpackError> {
        if index >= self.image.id_count {
            return Err(UnpackError::malformed(format!(
                "an inode refers to owner {index} of {}",
                self.image.id_count
            )));
        }
        self.entry(self.image.id_table, index.into(), 4)?.u32()
    }

    /// Where the fragment of this number is.
    pub(super) fn fragment(&self, index: u32) -> Result<Block, UnpackError> {
        if index >= self.image.fragment_count {
            return Err(UnpackError::malformed(format!(
                "a file refers to fragment {index} of {}",
                self.image.fragment_count
            )));
        }
        let mut cursor = self.entry(self.image.fragment_table, index.into(), 16)?;
        Ok(Block {
            start: cursor.u64()?,
            size: cursor.u32()?,
            length: self.image.block_size,
        })
    }

    /// The extended attributes of this number.
    pub(super) fn xattrs(&self, index: u32) -> Result<Vec<Xattr>, UnpackError> {
        let table = self.image.xattr_table;
        if table == u64::MAX {
            return Err(UnpackError::malformed(
                "an inode has extended attributes, the file system has none",
            ));
        }
        let mut head = [0; 12];
        self.image.read(table, &mut head)?;
        let (values, count) = head.split_at(8);
        let values = u64::from_le_bytes(values.try_into().unwrap_or_default());
        let count = u32::from_le_bytes(count.try_into().unwrap_or_default());
        if index >= count {
            return Err(UnpackError::malformed(format!(
                "an inode refers to extended attributes {index} of {count}"
            )));
        }
        // Behind the head of the table are the places of its blocks.
        let table = table
            .checked_add(16)
            .ok_or_else(|| UnpackError::malformed("a table leads out of the file system"))?;
        let mut cursor = self.entry(table, index.into(), 16)?;
        let (reference, pairs) = (cursor.u64()?, cursor.u32()?);
        let limits = self.image.decoding.limits;
        if usize::try_from(pairs).unwrap_or(usize::MAX) > limits.xattrs {
            return Err(UnpackError::too_large(format!(
                "there are more extended attributes than the limit of {}",
                limits.xattrs
            )));
        }
        let mut cursor = Cursor::at(self.image, self.cache, values, reference)?;
        let mut all = Vec::new();
        for _ in 0..pairs {
            all.push(self.xattr(&mut cursor, values)?);
        }
        Ok(all)
    }

    fn xattr(&self, cursor: &mut Cursor<'a>, values: u64) -> Result<Xattr, UnpackError> {
        let (kind, length) = (cursor.u16()?, cursor.u16()?);
        let space: &[u8] = match kind & 0xff {
            0 => b"user.",
            1 => b"trusted.",
            2 => b"security.",
            other => {
                return Err(UnpackError::malformed(format!(
                    "an extended attribute is of the unknown name space {other}"
                )));
            }
        };
        let name = [space, &cursor.bytes(length.into())?].concat();
        let length = cursor.u32()?;
        let value = if kind & ELSEWHERE == 0 {
            self.value(cursor, length)?
        } else {
            let reference = cursor.u64()?;
            let mut cursor = Cursor::at(self.image, self.cache, values, reference)?;
            let length = cursor.u32()?;
            self.value(&mut cursor, length)?
        };
        Ok(Xattr { name, value })
    }

    fn value(&self, cursor: &mut Cursor<'a>, length: u32) -> Result<Vec<u8>, UnpackError> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let limit = self.image.decoding.limits.xattr_bytes;
        if length > limit {
            return Err(UnpackError::too_large(format!(
                "an extended attribute has {length} bytes, over the limit of {limit}"
            )));
        }
        cursor.bytes(length)
    }

    /// Entry `index` of a table whose blocks' places are at `table`, each entry of `size` bytes.
    fn entry(&self, table: u64, index: u64, size: u64) -> Result<Cursor<'a>, UnpackError> {
        let at = index * size;
        let mut place = [0; 8];
        let out = || UnpackError::malformed("a table leads out of the file system");
        let from = table.checked_add(at / METADATA_BLOCK * 8).ok_or_else(out)?;
        self.image.read(from, &mut place)?;
        let offset = u16::try_from(at % METADATA_BLOCK).map_err(|_| out())?;
        Cursor::new(self.image, self.cache, u64::from_le_bytes(place), offset)
    }
}

const ELSEWHERE: u16 = 0x100;
const METADATA_BLOCK: u64 = 8192;
