use std::io;

use super::input::Input;
use super::malformed;

/// The addresses that were used last (RFC 3284 §5.3).
pub(super) struct Cache {
    near: [u64; 4],
    next: usize,
    same: Vec<u64>,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            near: [0; 4],
            next: 0,
            same: vec![0; 3 * 256],
        }
    }
}

impl Cache {
    pub(super) fn address(
        &mut self,
        mode: u8,
        here: u64,
        input: &mut Input<'_>,
    ) -> io::Result<u64> {
        let nowhere = || malformed("copies from nowhere");
        let address = match mode {
            0 => input.number()?,
            1 => here.checked_sub(input.number()?).ok_or_else(nowhere)?,
            2..=5 => {
                let near = self.near.get(usize::from(mode) - 2).copied();
                let near = near.ok_or_else(nowhere)?;
                near.checked_add(input.number()?).ok_or_else(nowhere)?
            }
            _ => {
                let place = (usize::from(mode) - 6) * 256 + usize::from(input.byte()?);
                self.same.get(place).copied().ok_or_else(nowhere)?
            }
        };
        if address >= here {
            return Err(nowhere());
        }
        if let Some(near) = self.near.get_mut(self.next) {
            *near = address;
        }
        self.next = (self.next + 1) % self.near.len();
        let place = (address % (3 * 256)) as usize;
        if let Some(same) = self.same.get_mut(place) {
            *same = address;
        }
        Ok(address)
    }
}
