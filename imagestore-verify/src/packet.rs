//! OpenPGP packet framing: old and new headers, definite lengths only.

use crate::reason::Reason;

/// One packet: its type, its body, and where it began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet<'a> {
    pub(crate) tag: u8,
    pub(crate) body: &'a [u8],
    pub(crate) at: usize,
}

pub(crate) mod tag {
    pub(crate) const SIGNATURE: u8 = 2;
    pub(crate) const SECRET_KEY: u8 = 5;
    pub(crate) const PUBLIC_KEY: u8 = 6;
    pub(crate) const SECRET_SUBKEY: u8 = 7;
    pub(crate) const MARKER: u8 = 10;
    pub(crate) const TRUST: u8 = 12;
    pub(crate) const USER_ID: u8 = 13;
    pub(crate) const PUBLIC_SUBKEY: u8 = 14;
    pub(crate) const USER_ATTRIBUTE: u8 = 17;
    pub(crate) const PADDING: u8 = 21;
    /// Types from here on are ignored when unknown; below, unknown ones are critical (RFC 9580 §4.3).
    pub(crate) const FIRST_NON_CRITICAL: u8 = 40;
}

/// Splits a sequence of packets. After an error the iteration ends.
pub(crate) struct Packets<'a> {
    bytes: &'a [u8],
    at: usize,
    limit: usize,
}

impl<'a> Packets<'a> {
    /// `limit` is the largest body that is accepted.
    pub(crate) fn new(bytes: &'a [u8], limit: usize) -> Self {
        Self {
            bytes,
            at: 0,
            limit,
        }
    }

    fn read(&mut self) -> Result<Packet<'a>, &'static str> {
        let at = self.at;
        let first = self.byte()?;
        if first & 0x80 == 0 {
            return Err("it does not begin with a packet header");
        }
        let (tag, length) = if first & 0x40 == 0 {
            let length = match first & 0x03 {
                0 => usize::from(self.byte()?),
                1 => self.number(2)?,
                2 => self.number(4)?,
                _ => return Err("its length is indeterminate"),
            };
            (first >> 2 & 0x0f, length)
        } else {
            let length = match self.byte()? {
                short @ 0..=191 => usize::from(short),
                long @ 192..=223 => {
                    ((usize::from(long) - 192) << 8) + usize::from(self.byte()?) + 192
                }
                255 => self.number(4)?,
                224..=254 => return Err("its length is partial"),
            };
            (first & 0x3f, length)
        };
        if tag == 0 {
            return Err("its type is 0, which is reserved");
        }
        if length > self.limit {
            return Err("it is longer than any such packet needs to be");
        }
        let body = self.take(length)?;
        Ok(Packet { tag, body, at })
    }

    fn byte(&mut self) -> Result<u8, &'static str> {
        Ok(self.take(1)?[0])
    }

    fn number(&mut self, octets: usize) -> Result<usize, &'static str> {
        let bytes = self.take(octets)?;
        Ok(bytes
            .iter()
            .fold(0, |value, byte| value << 8 | usize::from(*byte)))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], &'static str> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let taken = rest.get(..length).ok_or("it is cut off")?;
        self.at += length;
        Ok(taken)
    }
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<Packet<'a>, Reason>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let at = self.at;
        Some(self.read().map_err(|wrong| {
            self.at = self.bytes.len();
            Reason::Packet { at, wrong }
        }))
    }
}
