use std::io;

use super::cache::Cache;
use super::code::Kind;
use super::input::Input;
use super::window::Window;
use super::{Base, malformed};

/// A piece of the new file while it is made.
pub(super) struct Making<'a, B> {
    window: &'a Window<'a>,
    base: &'a B,
    data: Input<'a>,
    addresses: Input<'a>,
    cache: Cache,
    made: Vec<u8>,
}

impl<'a, B: Base> Making<'a, B> {
    pub(super) fn new(
        window: &'a Window<'a>,
        base: &'a B,
        data: Input<'a>,
        addresses: Input<'a>,
    ) -> Self {
        Self {
            window,
            base,
            data,
            addresses,
            cache: Cache::default(),
            made: Vec::with_capacity(window.target),
        }
    }

    pub(super) fn follow(&mut self, kind: Kind, size: usize) -> io::Result<()> {
        if size > self.window.target.saturating_sub(self.made.len()) {
            return Err(malformed("makes more than it says"));
        }
        match kind {
            Kind::Nothing => {}
            Kind::Add => self.made.extend_from_slice(self.data.take(size)?),
            Kind::Run => {
                let byte = self.data.byte()?;
                self.made.resize(self.made.len() + size, byte);
            }
            Kind::Copy { mode } => {
                let here = self.window.source + self.made.len() as u64;
                let address = self.cache.address(mode, here, &mut self.addresses)?;
                self.copy(address, size)?;
            }
        }
        Ok(())
    }

    fn copy(&mut self, address: u64, size: usize) -> io::Result<()> {
        let Some(own) = address.checked_sub(self.window.source) else {
            if address + size as u64 > self.window.source {
                return Err(malformed("copies across the end of the old file"));
            }
            // No file is longer than this, and to ask for such a place is an error of its own.
            let highest = (i64::MAX as u64).saturating_sub(size as u64);
            let offset = self.window.position.checked_add(address);
            let offset = offset.filter(|offset| *offset <= highest);
            let offset = offset.ok_or_else(|| malformed("copies from nowhere"))?;
            let start = self.made.len();
            self.made.resize(start + size, 0);
            let place = self.made.get_mut(start..).unwrap_or_default();
            return self.base.read(place, offset);
        };
        // What is copied may be longer than what is there: then it repeats.
        let start = usize::try_from(own).map_err(|_| malformed("copies from nowhere"))?;
        for n in start..start + size {
            let byte = self.made.get(n).copied();
            self.made
                .push(byte.ok_or_else(|| malformed("copies from nowhere"))?);
        }
        Ok(())
    }

    pub(super) fn finish(self) -> io::Result<Vec<u8>> {
        if self.made.len() != self.window.target || !self.data.0.is_empty() {
            return Err(malformed("makes another length than it says"));
        }
        Ok(self.made)
    }
}
