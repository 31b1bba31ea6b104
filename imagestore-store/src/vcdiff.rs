//! VCDIFF (RFC 3284) with what xdelta3 adds to it: instructions that make one file out of another.
//!
//! Nothing is believed of a delta but that it is the one the index names. What comes out is checked
//! like any download, so the check sums of the format are not looked at.

mod cache;
mod code;
mod input;
mod making;
mod window;

use std::io;

use lzma_rust2::XzReader;

use self::input::Input;
use self::window::{Packed, Window};

/// Bytes at a place in the file that is here.
pub(crate) trait Base {
    /// Fills the buffer with the bytes from `offset` on.
    fn read(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

/// Hands the bytes of the new file, which has at most `limit` of them, to `write`, window by window.
///
/// A window is read when it is its turn and not kept: however many a delta has, they take no more
/// memory than one.
///
/// # Errors
/// If the delta is cut, contradicts itself, makes more than `limit`, or uses what this does not
/// know; and those of `base` and `write`.
pub(crate) fn apply(
    delta: &[u8],
    base: &impl Base,
    limit: u64,
    mut write: impl FnMut(Vec<u8>) -> io::Result<()>,
) -> io::Result<()> {
    let mut input = Input(delta);
    let compressed = header(&mut input)?;
    let mut readers = [0, 1, 2].map(|section| {
        let packed = Packed::new(input, section);
        XzReader::new_mem_limit(packed, false, MEMORY_KIB)
    });
    let mut left = limit;
    while let Some(window) = Window::read(&mut input)? {
        // An empty file is one empty window. Elsewhere there is no use for them, and no bound to
        // their number; of others there are no more than the file has bytes.
        if window.target == 0 && !(input.0.is_empty() && left == limit) {
            return Err(malformed("has a window that makes nothing"));
        }
        left = left
            .checked_sub(window.target as u64)
            .ok_or_else(|| malformed("makes more bytes than the index says"))?;
        if !compressed && window.is_compressed() {
            return Err(malformed("is compressed and does not say how"));
        }
        let mut unpacked = [Vec::new(), Vec::new(), Vec::new()];
        let all = window.sections.iter().zip(&mut readers).zip(&mut unpacked);
        for ((section, reader), unpacked) in all {
            *unpacked = section.unpack(reader)?;
        }
        write(window.run(&unpacked, base)?)?;
    }
    Ok(())
}

/// [`apply`] to a file in memory.
///
/// # Errors
/// Those of [`apply`], and that of a read behind the end of the file.
#[cfg(fuzzing)]
pub fn apply_delta(
    delta: &[u8],
    base: &[u8],
    limit: u64,
    write: impl FnMut(Vec<u8>) -> io::Result<()>,
) -> io::Result<()> {
    apply(delta, &InMemory(base), limit, write)
}

#[cfg(any(fuzzing, test))]
struct InMemory<'a>(&'a [u8]);

#[cfg(any(fuzzing, test))]
impl Base for InMemory<'_> {
    fn read(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let from = usize::try_from(offset).ok();
        let found = from.and_then(|from| self.0.get(from..)?.get(..buffer.len()));
        buffer.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// Reads the header of a delta; says whether sections may be compressed.
fn header(input: &mut Input<'_>) -> io::Result<bool> {
    if input.take(4)? != MAGIC {
        return Err(malformed("is none"));
    }
    let flags = input.byte()?;
    let compressed = flags & SECONDARY != 0;
    if compressed && input.byte()? != LZMA {
        return Err(malformed("is compressed in a way that is not built in"));
    }
    if flags & !(SECONDARY | APPLICATION) != 0 {
        return Err(malformed("has a code table of its own"));
    }
    if flags & APPLICATION != 0 {
        let length = input.size(u64::MAX)?;
        input.take(length)?;
    }
    Ok(compressed)
}

fn malformed(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the delta {problem}"))
}

const MAGIC: &[u8] = b"\xd6\xc3\xc4\0";
const SECONDARY: u8 = 1;
const APPLICATION: u8 = 4;
const LZMA: u8 = 2;
const MEMORY_KIB: u32 = 128 << 10;

#[cfg(test)]
mod tests;
