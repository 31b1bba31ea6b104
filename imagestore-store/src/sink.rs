use std::fs::File;
use std::io;

use bytes::Bytes;
use imagestore_core::{Error, ErrorKind, Result};
use imagestore_verify::{
    FormPart, MultipartError, MultipartSpool, Spool, StreamingCheck, Unverified, Verified,
};

use crate::dir::Dir;
use crate::error::storage;

/// Where the body of an answer goes.
#[derive(Debug)]
pub(crate) enum Sink {
    /// Its parts, into a file each.
    Parts(Box<MultipartSpool>),
    /// Into the file it is.
    Plain(Box<Spool>),
}

impl Sink {
    /// A sink for a body that is one file.
    pub(crate) fn plain(spool: Spool) -> Self {
        Self::Plain(Box::new(spool))
    }

    /// A sink for a body of several files, of this media type.
    pub(crate) fn parts(
        parts: Vec<FormPart>,
        content_type: Option<&str>,
        check: StreamingCheck,
        place: &Dir,
    ) -> Result<Self> {
        let spool = MultipartSpool::new(parts, content_type.unwrap_or_default(), check);
        Ok(Self::Parts(Box::new(
            spool.map_err(|cause| multipart(cause, place))?,
        )))
    }

    pub(crate) fn write(&mut self, chunk: &Unverified<Bytes>, place: &Dir) -> Result<()> {
        match self {
            Self::Parts(spool) => spool.write(chunk).map_err(|cause| multipart(cause, place)),
            Self::Plain(spool) => spool.write(chunk).map_err(|cause| disk(cause, place)),
        }
    }

    /// How many bytes of the files are here.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Parts(spool) => spool.len(),
            Self::Plain(spool) => spool.len(),
        }
    }

    /// Whether nothing is missing, as far as the form of the body tells.
    pub(crate) fn is_complete(&self) -> bool {
        match self {
            Self::Parts(spool) => spool.is_complete(),
            Self::Plain(_) => true,
        }
    }

    /// Completes the check. The error has no subject.
    pub(crate) fn finish(self, place: &Dir) -> Result<Verified<Vec<File>>> {
        match self {
            Self::Parts(spool) => spool.finish().map_err(|cause| multipart(cause, place)),
            Self::Plain(spool) => spool
                .finish()
                .map_err(|cause| multipart(MultipartError::Check(cause), place)),
        }
    }
}

/// The error for a disk that did not take what arrived.
pub(crate) fn disk(cause: io::Error, place: &Dir) -> Error {
    storage("write", place.path().display(), cause)
}

/// The error for a body that is not taken apart, or files of it that are not opened.
pub(crate) fn multipart(cause: MultipartError, place: &Dir) -> Error {
    match cause {
        MultipartError::Io(cause) => disk(cause, place),
        MultipartError::Check(imagestore_verify::VerifyError::Io(cause)) => disk(cause, place),
        MultipartError::Check(cause) => {
            Error::new(ErrorKind::Untrusted, "does not verify").with_source(cause)
        }
        // How a body without a length looks when it was cut.
        MultipartError::Incomplete => {
            Error::new(ErrorKind::Network, "the answer broke off").with_source(cause)
        }
        cause => Error::new(
            ErrorKind::Malformed,
            "the answer has not the form of its media type",
        )
        .with_source(cause),
    }
}
