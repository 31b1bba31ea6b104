use super::packed::Packed;
use super::pipe::Sink;
use crate::error::UnpackError;

/// The library that decodes xz.
///
/// # Defaults
///
/// The first of this list that is compiled in: `Liblzma` (feature `liblzma`, on by default),
/// `LzmaRust2` (feature `pure-rust`), `LzmaRs` (feature `lzma-rs`).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum XzBackend {
    /// The C library of the xz project, linked statically; decodes blocks side by side.
    #[cfg(feature = "liblzma")]
    Liblzma,
    /// `lzma-rust2`: pure Rust, takes half as long again. It reads every valid file; sizes in block
    /// headers that lie are passed over, wrong content is not.
    #[cfg(feature = "pure-rust")]
    LzmaRust2,
    /// `lzma-rs`: pure Rust, keeps a whole block in memory, and refuses valid files that use
    /// SHA-256 checks, filters other than LZMA2, several streams or stream padding.
    #[cfg(feature = "lzma-rs")]
    LzmaRs,
    /// None: files packed with xz are refused.
    Absent,
}

impl XzBackend {
    /// Every backend of this build, the default first; `Absent` only when it is the only one.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let mut all: Vec<Self> = vec![
            #[cfg(feature = "liblzma")]
            Self::Liblzma,
            #[cfg(feature = "pure-rust")]
            Self::LzmaRust2,
            #[cfg(feature = "lzma-rs")]
            Self::LzmaRs,
        ];
        if all.is_empty() {
            all.push(Self::Absent);
        }
        all
    }

    pub(super) fn decode(self, packed: Packed<'_>, sink: &mut Sink<'_>) -> Result<(), UnpackError> {
        match self {
            #[cfg(feature = "liblzma")]
            Self::Liblzma => super::xz::decode(packed, sink),
            #[cfg(feature = "pure-rust")]
            Self::LzmaRust2 => super::xz_pure::decode(packed, sink),
            #[cfg(feature = "lzma-rs")]
            Self::LzmaRs => super::lzma_rs::decode(packed, sink),
            Self::Absent => {
                let _ = (packed, sink);
                Err(UnpackError::unsupported(
                    "the archive is packed with xz; build with the feature `liblzma` or \
                     `pure-rust` to unpack it",
                ))
            }
        }
    }
}

impl Default for XzBackend {
    fn default() -> Self {
        Self::available().first().copied().unwrap_or(Self::Absent)
    }
}
