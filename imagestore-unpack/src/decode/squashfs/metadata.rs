use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::image::Image;
use crate::error::UnpackError;

/// Metadata blocks that were unpacked a moment ago.
#[derive(Default)]
pub(super) struct Cache(RefCell<HashMap<u64, Rc<Unpacked>>>);

struct Unpacked {
    bytes: Vec<u8>,
    next: u64,
}

impl Cache {
    fn block(&self, image: &Image<'_>, start: u64) -> Result<Rc<Unpacked>, UnpackError> {
        if let Some(block) = self.0.borrow().get(&start) {
            return Ok(Rc::clone(block));
        }
        let mut head = [0; 2];
        image.read(start, &mut head)?;
        let head = u16::from_le_bytes(head);
        let length = usize::from(head & !NOT_PACKED);
        if length == 0 || length > MOST {
            return Err(UnpackError::malformed(format!(
                "a metadata block at {start} has {length} bytes"
            )));
        }
        let mut packed = vec![0; length];
        image.read(start + 2, &mut packed)?;
        image.count(length + 2);
        let bytes = if head & NOT_PACKED == 0 {
            image.compression.open(&packed, MOST)?
        } else {
            packed
        };
        let block = Rc::new(Unpacked {
            bytes,
            next: start + 2 + length as u64,
        });
        let mut cache = self.0.borrow_mut();
        if cache.len() >= KEPT {
            cache.clear();
        }
        cache.insert(start, Rc::clone(&block));
        Ok(block)
    }
}

/// Reads a table of metadata from some place on.
pub(super) struct Cursor<'a> {
    image: &'a Image<'a>,
    cache: &'a Cache,
    block: Rc<Unpacked>,
    at: usize,
}

impl<'a> Cursor<'a> {
    /// From `offset` in the unpacked block that begins at `start`.
    pub(super) fn new(
        image: &'a Image<'a>,
        cache: &'a Cache,
        start: u64,
        offset: u16,
    ) -> Result<Self, UnpackError> {
        let block = cache.block(image, start)?;
        let at = usize::from(offset);
        if at > block.bytes.len() {
            return Err(UnpackError::malformed(format!(
                "a place in a metadata block at {start} is beyond its end"
            )));
        }
        Ok(Self {
            image,
            cache,
            block,
            at,
        })
    }

    /// From where a reference points: the block below `table`, and the offset in it.
    pub(super) fn at(
        image: &'a Image<'a>,
        cache: &'a Cache,
        table: u64,
        reference: u64,
    ) -> Result<Self, UnpackError> {
        let start = table
            .checked_add(reference >> 16)
            .ok_or_else(|| UnpackError::malformed("a reference leads out of the file system"))?;
        Self::new(image, cache, start, reference as u16)
    }

    pub(super) fn fill(&mut self, into: &mut [u8]) -> Result<(), UnpackError> {
        let mut filled = 0;
        while filled < into.len() {
            if self.at == self.block.bytes.len() {
                self.block = self.cache.block(self.image, self.block.next)?;
                self.at = 0;
                if self.block.bytes.is_empty() {
                    return Err(UnpackError::malformed("a metadata block is empty"));
                }
            }
            let rest = &self.block.bytes[self.at..];
            let count = rest.len().min(into.len() - filled);
            into[filled..filled + count].copy_from_slice(&rest[..count]);
            filled += count;
            self.at += count;
        }
        Ok(())
    }

    pub(super) fn bytes(&mut self, count: usize) -> Result<Vec<u8>, UnpackError> {
        let mut bytes = vec![0; count];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, UnpackError> {
        let mut bytes = [0; 2];
        self.fill(&mut bytes)?;
        Ok(u16::from_le_bytes(bytes))
    }

    pub(super) fn u32(&mut self) -> Result<u32, UnpackError> {
        let mut bytes = [0; 4];
        self.fill(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    pub(super) fn u64(&mut self) -> Result<u64, UnpackError> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }
}

const MOST: usize = 8192;
const NOT_PACKED: u16 = 1 << 15;
// 8 MiB.
const KEPT: usize = 1024;
