use super::super::pipe::Sink;
use crate::error::UnpackError;
use crate::tar::{Device, Xattr};

/// Writes the headers and contents of tar members.
pub(super) struct Writer<'w, 's> {
    sink: &'w mut Sink<'s>,
}

/// What the header of a member says.
pub(super) struct Header<'a> {
    pub(super) path: &'a [u8],
    pub(super) letter: u8,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) modified: u32,
    pub(super) size: u64,
    pub(super) link: &'a [u8],
    pub(super) device: Device,
    pub(super) xattrs: &'a [Xattr],
}

impl<'w, 's> Writer<'w, 's> {
    pub(super) fn new(sink: &'w mut Sink<'s>) -> Self {
        Self { sink }
    }

    /// A header, with what does not fit into it before it.
    pub(super) fn header(&mut self, header: &Header<'_>) -> Result<(), UnpackError> {
        let mut records = Vec::new();
        if header.path.len() > NAME {
            record(&mut records, b"path", header.path);
        }
        if header.link.len() > NAME {
            record(&mut records, b"linkpath", header.link);
        }
        if header.size > MOST_SIZE {
            record(&mut records, b"size", header.size.to_string().as_bytes());
        }
        for (key, id) in [(&b"uid"[..], header.uid), (b"gid", header.gid)] {
            if id > MOST_ID {
                record(&mut records, key, id.to_string().as_bytes());
            }
        }
        for Xattr { name, value } in header.xattrs {
            record(
                &mut records,
                &[b"SCHILY.xattr.", escaped(name).as_slice()].concat(),
                value,
            );
        }
        if !records.is_empty() {
            let extended = Header {
                path: b"extended",
                letter: b'x',
                size: records.len() as u64,
                link: b"",
                xattrs: &[],
                ..*header
            };
            self.put(&block(&extended))?;
            self.put(&records)?;
            self.pad(records.len() as u64)?;
        }
        self.put(&block(header))
    }

    pub(super) fn put(&mut self, mut bytes: &[u8]) -> Result<(), UnpackError> {
        while !bytes.is_empty() {
            let room = self.sink.room();
            let count = room.len().min(bytes.len());
            room[..count].copy_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            self.sink.advance(count)?;
        }
        Ok(())
    }

    /// What follows a content of so many bytes.
    pub(super) fn pad(&mut self, content: u64) -> Result<(), UnpackError> {
        // Less than a block.
        let rest = (BLOCK as u64 - content % BLOCK as u64) % BLOCK as u64;
        self.put(&[0; BLOCK][..rest as usize])
    }

    pub(super) fn end(&mut self) -> Result<(), UnpackError> {
        self.put(&[0; 2 * BLOCK])
    }
}

fn block(header: &Header<'_>) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let path = &header.path[..header.path.len().min(NAME)];
    block[..path.len()].copy_from_slice(path);
    octal(&mut block[100..108], header.mode.into());
    octal(&mut block[108..116], header.uid.min(MOST_ID).into());
    octal(&mut block[116..124], header.gid.min(MOST_ID).into());
    octal(&mut block[124..136], header.size.min(MOST_SIZE));
    octal(&mut block[136..148], header.modified.into());
    block[156] = header.letter;
    let link = &header.link[..header.link.len().min(NAME)];
    block[157..157 + link.len()].copy_from_slice(link);
    block[257..265].copy_from_slice(b"ustar\x0000");
    octal(&mut block[329..337], header.device.major.into());
    octal(&mut block[337..345], header.device.minor.into());
    block[148..156].fill(b' ');
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    octal(&mut block[148..156], sum);
    block
}

/// Octal digits and a NUL.
fn octal(field: &mut [u8], value: u64) {
    let digits = field.len() - 1;
    let text = format!("{value:0digits$o}");
    field[..digits].copy_from_slice(&text.as_bytes()[text.len() - digits..]);
    field[digits] = 0;
}

/// One `length key=value` line, whose length counts itself.
fn record(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while rest + length.to_string().len() != length {
        length = rest + length.to_string().len();
    }
    records.extend_from_slice(length.to_string().as_bytes());
    records.push(b' ');
    records.extend_from_slice(key);
    records.push(b'=');
    records.extend_from_slice(value);
    records.push(b'\n');
}

/// The two bytes that names of attributes are escaped for.
fn escaped(name: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(name.len());
    for byte in name {
        match byte {
            b'%' => escaped.extend_from_slice(b"%25"),
            b'=' => escaped.extend_from_slice(b"%3D"),
            byte => escaped.push(*byte),
        }
    }
    escaped
}

const BLOCK: usize = 512;
const NAME: usize = 100;
const MOST_ID: u32 = 0o7_777_777;
const MOST_SIZE: u64 = 0o77_777_777_777;
