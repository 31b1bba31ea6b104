//! VCDIFF (RFC 3284) with what xdelta3 adds to it: instructions that make one file out of another.
//!
//! Nothing is believed of a delta but that it is the one the index names. What comes out is checked
//! like any download, so the check sums of the format are not looked at.

use std::io::{self, Read};

use lzma_rust2::XzReader;

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

/// A piece of the new file, and the piece of the old one it is made from.
struct Window<'a> {
    source: u64,
    position: u64,
    target: usize,
    /// Data, instructions and addresses.
    sections: [Section<'a>; 3],
}

struct Section<'a> {
    compressed: bool,
    bytes: &'a [u8],
}

impl Section<'_> {
    fn unpack(&self, reader: &mut XzReader<Packed<'_>>) -> io::Result<Vec<u8>> {
        if !self.compressed {
            return Ok(self.bytes.to_vec());
        }
        let mut unpacked = vec![0; Input(self.bytes).size(MAX_WINDOW)?];
        reader.read_exact(&mut unpacked)?;
        Ok(unpacked)
    }
}

impl<'a> Window<'a> {
    /// The next window; nothing at the end of the delta.
    fn read(input: &mut Input<'a>) -> io::Result<Option<Self>> {
        if input.0.is_empty() {
            return Ok(None);
        }
        let flags = input.byte()?;
        if flags & !(SOURCE | CHECK_SUM) != 0 {
            return Err(malformed("copies from what it makes"));
        }
        let (source, position) = match flags & SOURCE {
            0 => (0, 0),
            _ => (input.number()?, input.number()?),
        };
        let length = input.size(u64::MAX)?;
        let mut body = Input(input.take(length)?);
        let target = body.size(MAX_WINDOW)?;
        let packed = body.byte()?;
        let lengths = [
            body.size(MAX_WINDOW)?,
            body.size(MAX_WINDOW)?,
            body.size(MAX_WINDOW)?,
        ];
        if flags & CHECK_SUM != 0 {
            body.take(4)?;
        }
        let mut section = |n: usize| {
            let compressed = packed & (1 << n) != 0;
            let length = lengths.get(n).copied().unwrap_or_default();
            let bytes = body.take(length)?;
            io::Result::Ok(Section { compressed, bytes })
        };
        let sections = [section(0)?, section(1)?, section(2)?];
        if !body.0.is_empty() {
            return Err(malformed("has more in a window than its sections"));
        }
        Ok(Some(Self {
            source,
            position,
            target,
            sections,
        }))
    }

    fn is_compressed(&self) -> bool {
        self.sections.iter().any(|section| section.compressed)
    }

    fn run(&self, sections: &[Vec<u8>; 3], base: &impl Base) -> io::Result<Vec<u8>> {
        let [data, instructions, addresses] = sections.each_ref().map(|bytes| Input(bytes));
        let mut making = Making {
            window: self,
            base,
            data,
            addresses,
            cache: Cache::default(),
            made: Vec::with_capacity(self.target),
        };
        let mut instructions = instructions;
        while !instructions.0.is_empty() {
            for (kind, size) in code(instructions.byte()?) {
                let size = match size {
                    0 if kind != Kind::Nothing => instructions.size(MAX_WINDOW)?,
                    size => size,
                };
                making.follow(kind, size)?;
            }
        }
        if making.made.len() != self.target || !making.data.0.is_empty() {
            return Err(malformed("makes another length than it says"));
        }
        Ok(making.made)
    }
}

/// A piece of the new file while it is made.
struct Making<'a, B> {
    window: &'a Window<'a>,
    base: &'a B,
    data: Input<'a>,
    addresses: Input<'a>,
    cache: Cache,
    made: Vec<u8>,
}

impl<B: Base> Making<'_, B> {
    fn follow(&mut self, kind: Kind, size: usize) -> io::Result<()> {
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
            let offset = self.window.position.checked_add(address);
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
}

/// The addresses that were used last.
struct Cache {
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
    fn address(&mut self, mode: u8, here: u64, input: &mut Input<'_>) -> io::Result<u64> {
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Add,
    Copy { mode: u8 },
    Nothing,
    Run,
}

/// The two instructions of a code (RFC 3284 §5.6); a size of 0 stands in the section.
fn code(code: u8) -> [(Kind, usize); 2] {
    let nothing = (Kind::Nothing, 0);
    let n = usize::from(code);
    match n {
        0 => [(Kind::Run, 0), nothing],
        1..=18 => [(Kind::Add, n - 1), nothing],
        19..=162 => {
            let (mode, n) = ((n - 19) / 16, (n - 19) % 16);
            let size = if n == 0 { 0 } else { n + 3 };
            [(copy(mode), size), nothing]
        }
        163..=234 => {
            let (mode, n) = ((n - 163) / 12, (n - 163) % 12);
            [(Kind::Add, n / 3 + 1), (copy(mode), n % 3 + 4)]
        }
        235..=246 => {
            let (mode, n) = ((n - 235) / 4 + 6, (n - 235) % 4);
            [(Kind::Add, n + 1), (copy(mode), 4)]
        }
        _ => [(copy(n - 247), 4), (Kind::Add, 1)],
    }
}

fn copy(mode: usize) -> Kind {
    Kind::Copy { mode: mode as u8 }
}

/// The compressed sections of one kind, which are one stream over all windows.
struct Packed<'a> {
    windows: Input<'a>,
    section: usize,
    front: &'a [u8],
}

impl<'a> Packed<'a> {
    fn new(windows: Input<'a>, section: usize) -> Self {
        Self {
            windows,
            section,
            front: &[],
        }
    }
}

impl Read for Packed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.front.is_empty() {
            let Some(window) = Window::read(&mut self.windows)? else {
                return Ok(0);
            };
            if let Some(section) = window.sections.get(self.section)
                && section.compressed
            {
                let mut packed = Input(section.bytes);
                // Its unpacked size stands in front.
                packed.number()?;
                self.front = packed.0;
            }
        }
        self.front.read(buffer)
    }
}

/// What is left to read.
#[derive(Clone, Copy)]
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> io::Result<&'a [u8]> {
        let split = self.0.split_at_checked(length);
        let (taken, rest) = split.ok_or_else(|| malformed("is cut"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> io::Result<u8> {
        let byte = self.take(1)?.first().copied();
        byte.ok_or_else(|| malformed("is cut"))
    }

    /// A number in base 128, the highest digits first.
    fn number(&mut self) -> io::Result<u64> {
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

    fn size(&mut self, limit: u64) -> io::Result<usize> {
        let number = self.number()?;
        let size = usize::try_from(number).ok().filter(|_| number <= limit);
        size.ok_or_else(|| malformed("has a window that is too large"))
    }
}

fn malformed(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the delta {problem}"))
}

const MAGIC: &[u8] = b"\xd6\xc3\xc4\0";
const SECONDARY: u8 = 1;
const APPLICATION: u8 = 4;
const LZMA: u8 = 2;
const SOURCE: u8 = 1;
const CHECK_SUM: u8 = 4;
// xdelta3 makes windows of 8 MiB, or of up to 16 MiB.
const MAX_WINDOW: u64 = 64 << 20;
const MEMORY_KIB: u32 = 128 << 10;

#[cfg(test)]
mod tests;
