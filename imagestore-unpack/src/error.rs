use std::error::Error;
use std::fmt;
use std::io;

use crate::escape::escape;

/// Why an archive was not unpacked.
///
/// The display is one line that names the member and its place in the unpacked archive where there
/// is one, with control characters escaped; the cause from the operating system is
/// [`source`](Error::source).
#[derive(Debug)]
pub struct UnpackError(Box<Inner>);

/// What an [`UnpackError`] is about; each kind has one remedy.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum UnpackErrorKind {
    /// The caller asked to stop.
    Canceled,
    /// The place to unpack to is not a fresh directory that can be owned.
    InvalidTarget,
    /// The archive is damaged, or can be read in more than one way.
    Malformed,
    /// The file system refused: full, read-only, broken.
    Storage,
    /// The archive asks for more than the limits allow.
    TooLarge,
    /// The archive reaches outside the target, or asks for rights the policy does not give.
    Unsafe,
    /// The archive is in a format this build does not read.
    Unsupported,
}

#[derive(Debug)]
struct Inner {
    kind: UnpackErrorKind,
    message: String,
    entry: Option<String>,
    offset: Option<u64>,
    source: Option<io::Error>,
    /// Whether no member is to blame.
    of_packing: bool,
}

impl UnpackError {
    pub(crate) fn new(kind: UnpackErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            entry: None,
            offset: None,
            source: None,
            of_packing: false,
        }))
    }

    pub(crate) fn canceled() -> Self {
        Self::new(UnpackErrorKind::Canceled, "unpacking was canceled")
    }

    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::new(UnpackErrorKind::Malformed, message)
    }

    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self::new(UnpackErrorKind::TooLarge, message)
    }

    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::new(UnpackErrorKind::Unsafe, message)
    }

    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Self::new(UnpackErrorKind::Unsupported, message)
    }

    pub(crate) fn target(message: impl Into<String>) -> Self {
        Self::new(UnpackErrorKind::InvalidTarget, message)
    }

    /// What the file system said while doing `what`.
    pub(crate) fn storage(what: impl Into<String>, cause: impl Into<io::Error>) -> Self {
        Self::new(UnpackErrorKind::Storage, what).because(cause)
    }

    pub(crate) fn because(mut self, cause: impl Into<io::Error>) -> Self {
        self.0.source = Some(cause.into());
        self
    }

    /// Says that the packed data is at fault, not the member that is being read.
    pub(crate) fn of_packing(mut self) -> Self {
        self.0.of_packing = true;
        self
    }

    /// Names the member; the innermost name stays.
    pub(crate) fn about(mut self, name: &[u8]) -> Self {
        if self.0.entry.is_none() && !self.0.of_packing {
            self.0.entry = Some(escape(name));
        }
        self
    }

    /// Gives the place in the unpacked archive; the innermost place stays.
    pub(crate) fn at(mut self, offset: u64) -> Self {
        if !self.0.of_packing {
            self.0.offset.get_or_insert(offset);
        }
        self
    }

    /// What the error is about.
    #[must_use]
    pub fn kind(&self) -> UnpackErrorKind {
        self.0.kind
    }

    /// The member of the archive the error is about, control characters escaped.
    #[must_use]
    pub fn entry(&self) -> Option<&str> {
        self.0.entry.as_deref()
    }

    /// Where in the unpacked archive the header of that member begins.
    #[must_use]
    pub fn offset(&self) -> Option<u64> {
        self.0.offset
    }
}

impl fmt::Display for UnpackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        if let Some(entry) = &self.0.entry {
            write!(f, ": `{entry}`")?;
        }
        if let Some(offset) = self.0.offset {
            write!(f, " at byte {offset} of the unpacked archive")?;
        }
        Ok(())
    }
}

impl Error for UnpackError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source.as_ref().map(|cause| cause as _)
    }
}
