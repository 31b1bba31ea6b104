//! Strict ASCII armor, decoded before any packet is looked at.

use crate::reason::Reason;

/// What is accepted around the armor, beside the one block.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Around {
    pub(crate) several_blocks: bool,
    pub(crate) text: bool,
}

/// The decoded contents of the blocks called `label`, one after the other.
pub(crate) fn decode(text: &[u8], label: &'static str, around: Around) -> Result<Vec<u8>, Reason> {
    let mut lines = Lines {
        rest: text,
        number: 0,
    };
    let mut decoded = Vec::with_capacity(text.len() / 4 * 3);
    let mut blocks = 0;
    if text.iter().all(u8::is_ascii_whitespace) {
        return Err(Reason::Empty);
    }
    while let Some(line) = lines.next() {
        match begin(line) {
            Some(found) if found == label => {
                if blocks > 0 && !around.several_blocks {
                    return Err(Reason::SeveralBlocks { line: lines.number });
                }
                blocks += 1;
                block(&mut lines, label, &mut decoded)?;
            }
            Some(found) => {
                return Err(Reason::OtherArmor {
                    line: lines.number,
                    found,
                    wanted: label,
                });
            }
            None if is_blank(line) || around.text => {}
            None if blocks == 0 && !has_begin(lines.rest, label) => {
                return Err(Reason::NoArmor { wanted: label });
            }
            None => return Err(Reason::OutsideArmor { line: lines.number }),
        }
    }
    match blocks {
        0 => Err(Reason::NoArmor { wanted: label }),
        _ => Ok(decoded),
    }
}

/// Whether the text looks like armor of any kind.
pub(crate) fn is_armored(text: &[u8]) -> bool {
    text.windows(BEGIN.len()).any(|window| window == BEGIN)
}

fn has_begin(rest: &[u8], label: &'static str) -> bool {
    let mut lines = Lines { rest, number: 0 };
    std::iter::from_fn(|| lines.next()).any(|line| begin(line).is_some_and(|found| found == label))
}

fn block(lines: &mut Lines<'_>, label: &str, decoded: &mut Vec<u8>) -> Result<(), Reason> {
    headers(lines)?;
    let mut quads = Quads::default();
    loop {
        let Some(line) = lines.next() else {
            return Err(lines.wrong("it is cut off before the END line"));
        };
        let line = trim_end(line);
        if let Some(tail) = line.strip_prefix(b"-----END PGP ") {
            if tail.strip_suffix(b"-----") != Some(label.as_bytes()) {
                return Err(lines.wrong("the END line does not fit the BEGIN line"));
            }
            return quads.finish().map_err(|wrong| lines.wrong(wrong));
        }
        if line.len() > MAX_LINE {
            return Err(lines.wrong("it is longer than 80 characters"));
        }
        if let Some(checksum) = line.strip_prefix(b"=").filter(|rest| rest.len() == 4) {
            // A wrong CRC-24 must not fail the block (RFC 9580 §6.1), so it is not computed; it
            // has to look like one and be the last line.
            if !checksum.iter().all(|byte| value(*byte).is_some()) {
                return Err(lines.wrong("the checksum is not base64"));
            }
            quads.finish().map_err(|wrong| lines.wrong(wrong))?;
            return end(lines, label);
        }
        for byte in line {
            quads
                .push(*byte, decoded)
                .map_err(|wrong| lines.wrong(wrong))?;
        }
    }
}

fn headers(lines: &mut Lines<'_>) -> Result<(), Reason> {
    for _ in 0..MAX_HEADERS {
        let Some(line) = lines.next() else {
            return Err(lines.wrong("it is cut off before the END line"));
        };
        if is_blank(line) {
            return Ok(());
        }
        let line = trim_end(line);
        let known = HEADERS.iter().any(|name| {
            line.strip_prefix(name.as_bytes()).is_some_and(|rest| {
                rest.first() == Some(&b':') && matches!(rest.get(1), None | Some(b' '))
            })
        });
        if !known {
            return Err(lines.wrong("neither a known armor header nor the blank line"));
        }
    }
    Err(lines.wrong("there are more than 16 armor headers"))
}

fn end(lines: &mut Lines<'_>, label: &str) -> Result<(), Reason> {
    let line = lines.next().unwrap_or_default();
    let found = trim_end(line).strip_prefix(b"-----END PGP ");
    match found.and_then(|tail| tail.strip_suffix(b"-----")) {
        Some(found) if found == label.as_bytes() => Ok(()),
        Some(_) => Err(lines.wrong("the END line does not fit the BEGIN line")),
        None => Err(lines.wrong("the checksum is not followed by the END line")),
    }
}

fn begin(line: &[u8]) -> Option<&'static str> {
    let tail = trim_end(line).strip_prefix(BEGIN)?;
    let label = tail.strip_suffix(b"-----");
    // Labels are echoed in messages, so they come from a list and never from the input.
    let known = LABELS.iter().find(|known| label == Some(known.as_bytes()));
    Some(known.copied().unwrap_or("PGP block of unknown kind"))
}

/// Base64 in groups of four, padding only at the end.
#[derive(Default)]
struct Quads {
    bits: u32,
    count: u8,
    padding: u8,
}

impl Quads {
    fn push(&mut self, byte: u8, decoded: &mut Vec<u8>) -> Result<(), &'static str> {
        let bits = match (byte, self.padding) {
            (b'=', _) if self.count >= 2 => {
                self.padding += 1;
                0
            }
            (_, 0) => value(byte).ok_or("it holds a character that is not base64")?,
            _ => return Err("base64 goes on after its padding"),
        };
        self.bits = self.bits << 6 | bits;
        self.count += 1;
        if self.count == 4 {
            let [_, bytes @ ..] = self.bits.to_be_bytes();
            let keep = 3 - usize::from(self.padding);
            // Bits below the padding carry nothing; a second spelling of the same bytes is refused.
            if bytes[keep..].iter().any(|rest| *rest != 0) {
                return Err("the last base64 group has stray bits");
            }
            decoded.extend_from_slice(&bytes[..keep]);
            (self.bits, self.count) = (0, 0);
            if self.padding > 0 {
                self.padding = DONE;
            }
        }
        Ok(())
    }

    fn finish(&self) -> Result<(), &'static str> {
        match self.count {
            0 => Ok(()),
            _ => Err("the base64 ends inside a group of four"),
        }
    }
}

struct Lines<'a> {
    rest: &'a [u8],
    number: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        self.number += 1;
        let end = self.rest.iter().position(|byte| *byte == b'\n');
        let (line, rest) = match end {
            Some(end) => (&self.rest[..end], &self.rest[end + 1..]),
            None => (self.rest, &[][..]),
        };
        self.rest = rest;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }

    fn wrong(&self, wrong: &'static str) -> Reason {
        Reason::ArmorLine {
            line: self.number,
            wrong,
        }
    }
}

fn trim_end(line: &[u8]) -> &[u8] {
    let kept = line.iter().rposition(|byte| !matches!(byte, b' ' | b'\t'));
    &line[..kept.map_or(0, |last| last + 1)]
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r'))
}

fn value(byte: u8) -> Option<u32> {
    let value = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

const BEGIN: &[u8] = b"-----BEGIN PGP ";
const HEADERS: [&str; 5] = ["Version", "Comment", "Hash", "Charset", "MessageID"];
const LABELS: [&str; 5] = [
    "SIGNATURE",
    "MESSAGE",
    "SIGNED MESSAGE",
    "PUBLIC KEY BLOCK",
    "PRIVATE KEY BLOCK",
];
const MAX_HEADERS: usize = 16;
const MAX_LINE: usize = 80;
// More padding than a group can have: anything after it is refused.
const DONE: u8 = 4;
