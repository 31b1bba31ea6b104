use std::io::ErrorKind;
use std::io::Read;

use super::packed::Packed;
use super::pipe::unreadable;
use crate::error::UnpackError;

/// A window on packed xz data.
pub(super) struct XzInput<'a> {
    packed: Packed<'a>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    ended: bool,
}

/// Whether another stream follows.
pub(super) enum After {
    End,
    Stream,
}

impl<'a> XzInput<'a> {
    pub(super) fn new(packed: Packed<'a>) -> Self {
        Self {
            packed,
            buffer: vec![0; WINDOW],
            start: 0,
            end: 0,
            ended: false,
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    pub(super) fn take(&mut self, count: usize) {
        self.start += count;
    }

    /// Whether the window holds all that is left.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// Makes at least `least` bytes visible, or all that is left.
    pub(super) fn ensure(&mut self, least: usize) -> Result<(), UnpackError> {
        while self.end - self.start < least && !self.ended {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            match self.packed.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.ended = true,
                Ok(count) => self.end += count,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(unreadable(e)),
            }
        }
        Ok(())
    }

    /// Refuses a stream header whose check no decoder can compute.
    ///
    /// The parallel decoder of liblzma has no flag for it and would skip the check in silence.
    pub(super) fn check_stream_header(&mut self) -> Result<(), UnpackError> {
        self.ensure(STREAM_HEADER)?;
        let header = self.bytes();
        if header.len() < STREAM_HEADER {
            return Err(UnpackError::malformed(
                "the xz data is cut short in a stream header",
            ));
        }
        if !header.starts_with(b"\xfd7zXZ\0") {
            return Err(UnpackError::malformed(
                "something that is not xz follows the xz data",
            ));
        }
        match header[7] & 0x0f {
            0 | 1 | 4 | 10 => Ok(()),
            check => Err(UnpackError::malformed(format!(
                "the xz data uses the unknown check {check}; 0, 1, 4 and 10 are known"
            ))),
        }
    }

    /// Passes the padding between streams: zeros in fours.
    pub(super) fn skip_padding(&mut self) -> Result<After, UnpackError> {
        let mut padding = 0_u64;
        loop {
            self.ensure(1)?;
            let zeros = self.bytes().iter().take_while(|byte| **byte == 0).count();
            self.take(zeros);
            padding += zeros as u64;
            if !self.bytes().is_empty() || self.ended {
                break;
            }
        }
        if !padding.is_multiple_of(4) {
            return Err(UnpackError::malformed(format!(
                "the xz data has {padding} bytes of padding; it must be a multiple of 4"
            )));
        }
        Ok(if self.bytes().is_empty() {
            After::End
        } else {
            After::Stream
        })
    }

    /// Whether the first block says how long it is and is not the only one.
    pub(super) fn has_several_sized_blocks(&mut self) -> Result<bool, UnpackError> {
        let length = self.packed.length();
        self.ensure(STREAM_HEADER + 1024)?;
        Ok(first_block_end(self.bytes())
            .is_some_and(|end| length > end.saturating_add(INDEX_OF_ONE)))
    }
}

/// Where the first block ends, if its header gives both sizes.
fn first_block_end(start: &[u8]) -> Option<u64> {
    let check_bytes = match start.get(7)? & 0x0f {
        0 => 0,
        1 => 4,
        4 => 8,
        10 => 32,
        _ => return None,
    };
    let size = *start.get(STREAM_HEADER)?;
    let flags = *start.get(STREAM_HEADER + 1)?;
    if size == 0 || flags & 0xc0 != 0xc0 {
        return None;
    }
    let header_bytes = (u64::from(size) + 1) * 4;
    let packed_bytes = variable_length(start.get(STREAM_HEADER + 2..)?)?;
    let block = packed_bytes.checked_next_multiple_of(4)?;
    (STREAM_HEADER as u64)
        .checked_add(header_bytes)?
        .checked_add(block)?
        .checked_add(check_bytes)
}

fn variable_length(bytes: &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for (place, byte) in bytes.iter().take(9).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

const WINDOW: usize = 64 << 10;
const STREAM_HEADER: usize = 12;
/// The longest index of one block, and the footer.
const INDEX_OF_ONE: u64 = 28 + 12;
