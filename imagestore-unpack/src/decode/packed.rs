use std::fs::File;
use std::io;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use crate::error::UnpackError;

/// The packed bytes, read by position: the offset of a shared file handle is left alone.
pub(crate) struct Packed<'a> {
    from: From<'a>,
    offset: u64,
    length: u64,
    taken: Arc<AtomicU64>,
}

enum From<'a> {
    Bytes(&'a [u8]),
    File(&'a File),
}

impl<'a> Packed<'a> {
    pub(crate) fn file(file: &'a File) -> Result<Self, UnpackError> {
        let length = file
            .metadata()
            .map_err(|cause| UnpackError::storage("cannot read the archive", cause))?
            .len();
        Ok(Self::new(From::File(file), length))
    }

    pub(crate) fn bytes(bytes: &'a [u8]) -> Self {
        Self::new(From::Bytes(bytes), bytes.len() as u64)
    }

    fn new(from: From<'a>, length: u64) -> Self {
        Self {
            from,
            offset: 0,
            length,
            taken: Arc::default(),
        }
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// How many packed bytes have been taken, for whoever watches from elsewhere.
    pub(crate) fn taken(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.taken)
    }

    /// The first bytes, up to the length of `into`, without taking them.
    pub(crate) fn peek(&self, into: &mut [u8]) -> io::Result<usize> {
        self.peek_at(into, 0)
    }

    /// The bytes at an offset, without taking them.
    pub(crate) fn peek_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < into.len() {
            match self
                .from
                .read_at(&mut into[filled..], offset.saturating_add(filled as u64))
            {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(filled)
    }
}

impl Read for Packed<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read_at(into, self.offset)?;
        self.offset += count as u64;
        self.taken.store(self.offset, Ordering::Relaxed);
        Ok(count)
    }
}

impl From<'_> {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            Self::Bytes(bytes) => {
                let rest = usize::try_from(offset)
                    .ok()
                    .and_then(|start| bytes.get(start..));
                let rest = rest.unwrap_or_default();
                let count = rest.len().min(into.len());
                into[..count].copy_from_slice(&rest[..count]);
                Ok(count)
            }
            Self::File(file) => file.read_at(into, offset),
        }
    }
}
