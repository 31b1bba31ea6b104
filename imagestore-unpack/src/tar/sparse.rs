use super::header::BLOCK;
use super::numbers;
use super::pax::Record;
use crate::error::UnpackError;
use crate::escape::escape;
use crate::limits::UnpackLimits;

/// Where the stored bytes of a file with holes belong.
#[derive(Debug)]
pub(crate) struct SparseMap {
    /// The size of the file with its holes.
    pub(crate) real_size: u64,
    /// In order, apart, inside the file; together as long as what is stored.
    pub(crate) segments: Vec<Segment>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Segment {
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

impl SparseMap {
    pub(super) fn new(
        real_size: u64,
        segments: Vec<Segment>,
        stored: u64,
        limits: &UnpackLimits,
    ) -> Result<Self, UnpackError> {
        if real_size > limits.bytes {
            return Err(UnpackError::too_large(format!(
                "a sparse file has {real_size} bytes, over the limit of {}",
                limits.bytes
            )));
        }
        let mut end = 0_u64;
        let mut sum = 0_u64;
        for segment in &segments {
            let next = segment.offset.checked_add(segment.length);
            if segment.offset < end || next.is_none_or(|next| next > real_size) {
                return Err(UnpackError::malformed(format!(
                    "a sparse file puts {} bytes at {}, which is out of order or outside its \
                     {real_size} bytes",
                    segment.length, segment.offset
                )));
            }
            end = segment.offset + segment.length;
            sum += segment.length;
        }
        if sum != stored {
            return Err(UnpackError::malformed(format!(
                "a sparse file maps {sum} bytes and stores {stored}"
            )));
        }
        Ok(Self {
            real_size,
            segments,
        })
    }
}

/// The `GNU.sparse.*` records of a member.
#[derive(Debug, Default)]
pub(super) struct PaxSparse {
    major: Option<u64>,
    minor: Option<u64>,
    pub(super) name: Option<Vec<u8>>,
    pub(super) real_size: Option<u64>,
}

impl PaxSparse {
    pub(super) fn take(&mut self, record: &Record<'_>) -> Result<(), UnpackError> {
        let number = || {
            numbers::decimal(record.value).ok_or_else(|| {
                let key = escape(record.key);
                UnpackError::malformed(format!(
                    "the PAX {key} is `{}`, not a number",
                    escape(record.value)
                ))
            })
        };
        match &record.key[b"GNU.sparse.".len()..] {
            b"major" => self.major = Some(number()?),
            b"minor" => self.minor = Some(number()?),
            b"realsize" => self.real_size = Some(number()?),
            b"name" if record.value.is_empty() || record.value.contains(&0) => {
                return Err(UnpackError::malformed(
                    "the name of a sparse file is empty or holds a NUL",
                ));
            }
            b"name" => self.name = Some(record.value.to_vec()),
            _ => {
                return Err(UnpackError::unsupported(format!(
                    "the sparse record `{}` is of GNU's formats 0.0 and 0.1, which are not \
                     supported; pack with format 1.0, the default of GNU tar",
                    escape(record.key)
                )));
            }
        }
        Ok(())
    }

    /// The real size of a file in format 1.0; `None` for a file without holes.
    pub(super) fn real_size(&self) -> Result<Option<u64>, UnpackError> {
        match (self.major, self.minor, &self.name, self.real_size) {
            (None, None, None, None) => Ok(None),
            (Some(1), Some(0), Some(_), Some(size)) => Ok(Some(size)),
            _ => Err(UnpackError::malformed(
                "the records of a sparse file are incomplete: major, minor, name and realsize of \
                 format 1.0 are needed",
            )),
        }
    }
}

/// The map at the head of the data in format 1.0, while its blocks come in.
#[derive(Default)]
pub(super) struct MapReader {
    text: Vec<u8>,
    position: usize,
    wanted: Option<u64>,
    numbers: Vec<u64>,
}

impl MapReader {
    /// Reads one block; `true` when the map is complete.
    pub(super) fn block(&mut self, block: &[u8]) -> Result<bool, UnpackError> {
        self.text.extend_from_slice(block);
        while let Some(length) = self.text[self.position..]
            .iter()
            .position(|byte| *byte == b'\n')
        {
            let line = &self.text[self.position..self.position + length];
            let value = numbers::decimal(line).ok_or_else(|| {
                UnpackError::malformed(format!(
                    "the map of a sparse file holds `{}`, not a number",
                    escape(line)
                ))
            })?;
            self.position += length + 1;
            match self.wanted {
                None => self.wanted = Some(value.saturating_mul(2)),
                Some(_) => self.numbers.push(value),
            }
            if self.wanted == Some(self.numbers.len() as u64) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn segments(self) -> Vec<Segment> {
        self.numbers
            .chunks_exact(2)
            .map(|pair| Segment {
                offset: pair[0],
                length: pair[1],
            })
            .collect()
    }
}

/// The map in a header of type `S`, and in the blocks after it.
pub(super) struct OldGnu {
    pub(super) real_size: u64,
    pub(super) segments: Vec<Segment>,
    /// Whether one more block belongs to the map.
    pub(super) continues: bool,
    ended: bool,
}

impl OldGnu {
    pub(super) fn header(block: &[u8; BLOCK]) -> Result<Self, UnpackError> {
        let real_size = unsigned(&block[483..495], "real size")?
            .ok_or_else(|| UnpackError::malformed("a sparse file has no real size"))?;
        let mut map = Self {
            real_size,
            segments: Vec::new(),
            continues: false,
            ended: false,
        };
        map.take(&block[386..482], block[482])?;
        Ok(map)
    }

    pub(super) fn more(&mut self, block: &[u8; BLOCK]) -> Result<(), UnpackError> {
        self.take(&block[..504], block[504])
    }

    fn take(&mut self, pairs: &[u8], continues: u8) -> Result<(), UnpackError> {
        for pair in pairs.chunks_exact(24) {
            let offset = unsigned(&pair[..12], "sparse offset")?;
            let length = unsigned(&pair[12..], "sparse length")?;
            match (offset, length) {
                (None, None) => self.ended = true,
                (Some(offset), Some(length)) if !self.ended => {
                    self.segments.push(Segment { offset, length });
                }
                _ => return Err(UnpackError::malformed("the map of a sparse file has a gap")),
            }
        }
        self.continues = match continues {
            0 => false,
            1 if !self.ended => true,
            _ => {
                return Err(UnpackError::malformed(
                    "the map of a sparse file goes on after its end",
                ));
            }
        };
        Ok(())
    }
}

fn unsigned(field: &[u8], what: &str) -> Result<Option<u64>, UnpackError> {
    let Some(value) = numbers::field(field, what)? else {
        return Ok(None);
    };
    u64::try_from(value)
        .map(Some)
        .map_err(|_| UnpackError::malformed(format!("the {what} {value} is negative")))
}
