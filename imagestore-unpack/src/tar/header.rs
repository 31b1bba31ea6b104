use super::numbers;
use crate::error::UnpackError;

/// One block of 512 bytes that describes a member or an extension.
pub(super) struct Header<'a>(&'a [u8; BLOCK]);

/// The family a header belongs to; it decides what the end of the block means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Format {
    Gnu,
    Ustar,
    V7,
}

impl<'a> Header<'a> {
    /// A header with the right checksum and a known magic.
    pub(super) fn open(block: &'a [u8; BLOCK]) -> Result<Self, UnpackError> {
        let header = Self(block);
        let stored = numbers::field(&block[148..156], "checksum")?
            .ok_or_else(|| UnpackError::malformed("the header has no checksum"))?;
        let (unsigned, signed) = header.sums();
        // Historic writers added up signed bytes.
        if stored != unsigned && stored != signed {
            return Err(UnpackError::malformed(format!(
                "the header's checksum is {stored}, its bytes add up to {unsigned}"
            )));
        }
        header.format()?;
        Ok(header)
    }

    pub(super) fn format(&self) -> Result<Format, UnpackError> {
        match &self.0[257..265] {
            b"ustar\x0000" => Ok(Format::Ustar),
            b"ustar  \0" => Ok(Format::Gnu),
            [0, 0, 0, 0, 0, 0, 0, 0] => Ok(Format::V7),
            magic => Err(UnpackError::malformed(format!(
                "the header's magic is `{}`, which is neither ustar, GNU nor v7",
                crate::escape::escape(magic)
            ))),
        }
    }

    pub(super) fn kind(&self) -> u8 {
        self.0[156]
    }

    /// The name, with the prefix where the format has one.
    pub(super) fn name(&self) -> Vec<u8> {
        let name = until_nul(&self.0[..100]);
        let prefix = match self.format() {
            Ok(Format::Ustar) => until_nul(&self.0[345..500]),
            _ => b"",
        };
        if prefix.is_empty() {
            return name.to_vec();
        }
        [prefix, b"/", name].concat()
    }

    pub(super) fn link(&self) -> &[u8] {
        until_nul(&self.0[157..257])
    }

    pub(super) fn mode(&self) -> Result<u32, UnpackError> {
        let value = numbers::field(&self.0[100..108], "mode")?.unwrap_or(0);
        // Old writers put the file type above the permissions.
        u32::try_from(value)
            .map(|mode| mode & 0o7777)
            .map_err(|_| UnpackError::malformed(format!("the mode {value} is out of range")))
    }

    pub(super) fn uid(&self) -> Result<i128, UnpackError> {
        Ok(numbers::field(&self.0[108..116], "uid")?.unwrap_or(0))
    }

    pub(super) fn gid(&self) -> Result<i128, UnpackError> {
        Ok(numbers::field(&self.0[116..124], "gid")?.unwrap_or(0))
    }

    pub(super) fn size(&self) -> Result<u64, UnpackError> {
        let value = numbers::field(&self.0[124..136], "size")?
            .ok_or_else(|| UnpackError::malformed("the header has no size"))?;
        u64::try_from(value)
            .map_err(|_| UnpackError::malformed(format!("the size {value} is negative")))
    }

    pub(super) fn modified(&self) -> Result<i64, UnpackError> {
        let value = numbers::field(&self.0[136..148], "mtime")?.unwrap_or(0);
        i64::try_from(value)
            .map_err(|_| UnpackError::malformed(format!("the mtime {value} is out of range")))
    }

    pub(super) fn device(&self) -> Result<super::entry::Device, UnpackError> {
        let number = |range: std::ops::Range<usize>, what: &str| {
            let value = numbers::field(&self.0[range], what)?.unwrap_or(0);
            u32::try_from(value)
                .map_err(|_| UnpackError::malformed(format!("the {what} {value} is out of range")))
        };
        Ok(super::entry::Device {
            major: number(329..337, "device major")?,
            minor: number(337..345, "device minor")?,
        })
    }

    fn sums(&self) -> (i128, i128) {
        let mut unsigned = 0;
        let mut signed = 0;
        for (place, byte) in self.0.iter().enumerate() {
            let byte = if (148..156).contains(&place) {
                b' '
            } else {
                *byte
            };
            unsigned += u32::from(byte);
            signed += i32::from(byte.cast_signed());
        }
        (unsigned.into(), signed.into())
    }
}

/// Whether bytes can be the start of a tar archive that is not packed.
pub(crate) fn looks_like_a_header(start: &[u8]) -> bool {
    let Some(block) = start.first_chunk::<BLOCK>() else {
        return false;
    };
    is_zero(block) || Header::open(block).is_ok()
}

pub(super) fn is_zero(block: &[u8]) -> bool {
    block.iter().all(|byte| *byte == 0)
}

fn until_nul(field: &[u8]) -> &[u8] {
    let end = field
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(field.len());
    &field[..end]
}

pub(super) const BLOCK: usize = 512;
