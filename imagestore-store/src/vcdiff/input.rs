use std::io;

use super::malformed;

/// What is left to read.
#[derive(Clone, Copy)]
pub(super) struct Input<'a>(pub(super) &'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn take(&mut self, length: usize) -> io::Result<&'a [u8]> {
        let split = self.0.split_at_checked(length);
        let (taken, rest) = split.ok_or_else(|| malformed("is cut"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> io::Result<u8> {
        let byte = self.take(1)?.first().copied();
        byte.ok_or_else(|| malformed("is cut"))
    }

    /// A number in base 128, the highest digits first.
    pub(super) fn number(&mut self) -> io::Result<u64> {
        let mut number = 0u64;
        for _ in 0..9 {
            let byte = self.byte()?;
            number = (number << 7) | u64::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(malformed("has a number that is too large"))
    }

    pub(super) fn size(&mut self, limit: u64) -> io::Result<usize> {
        let number = self.number()?;
        let size = usize::try_from(number).ok().filter(|_| number <= limit);
        size.ok_or_else(|| malformed("has a window that is too large"))
    }
}
