use std::io::{self, Read};

use lzma_rust2::XzReader;

use super::code::{Kind, code};
use super::input::Input;
use super::making::Making;
use super::{Base, malformed};

/// A piece of the new file, and the piece of the old one it is made from.
pub(super) struct Window<'a> {
    pub(super) source: u64,
    pub(super) position: u64,
    pub(super) target: usize,
    /// Data, instructions and addresses.
    pub(super) sections: [Section<'a>; 3],
}

pub(super) struct Section<'a> {
    compressed: bool,
    bytes: &'a [u8],
}

impl Section<'_> {
    pub(super) fn unpack(&self, reader: &mut XzReader<Packed<'_>>) -> io::Result<Vec<u8>> {
        if !self.compressed {
            return Ok(self.bytes.to_vec());
        }
        let mut unpacked = vec![0; Input(self.bytes).size(MAX_WINDOW)?];
        // The decoder reads from memory: whatever goes wrong is wrong with the delta.
        let read = reader.read_exact(&mut unpacked);
        read.map_err(|cause| malformed(&format!("is not compressed as it says: {cause}")))?;
        Ok(unpacked)
    }
}

impl<'a> Window<'a> {
    /// The next window; nothing at the end of the delta.
    pub(super) fn read(input: &mut Input<'a>) -> io::Result<Option<Self>> {
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

    pub(super) fn is_compressed(&self) -> bool {
        self.sections.iter().any(|section| section.compressed)
    }

    pub(super) fn run(&self, sections: &[Vec<u8>; 3], base: &impl Base) -> io::Result<Vec<u8>> {
        let [data, instructions, addresses] = sections.each_ref().map(|bytes| Input(bytes));
        let mut making = Making::new(self, base, data, addresses);
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
        making.finish()
    }
}

/// The compressed sections of one kind, which are one stream over all windows.
pub(super) struct Packed<'a> {
    windows: Input<'a>,
    section: usize,
    front: &'a [u8],
}

impl<'a> Packed<'a> {
    pub(super) fn new(windows: Input<'a>, section: usize) -> Self {
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

const SOURCE: u8 = 1;
const CHECK_SUM: u8 = 4;
// xdelta3 makes windows of 8 MiB, or of up to 16 MiB.
const MAX_WINDOW: u64 = 64 << 20;
