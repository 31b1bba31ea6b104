use std::fs::File;
use std::io;

use bytes::Bytes;
use imagestore_verify::{Spool, Unverified, Verified, VerifyError};

/// Where the body of an answer goes.
#[derive(Debug)]
pub(crate) enum Sink {
    /// Into the file it is.
    Plain(Spool),
}

impl Sink {
    pub(crate) fn write(&mut self, chunk: &Unverified<Bytes>) -> io::Result<()> {
        match self {
            Self::Plain(spool) => spool.write(chunk),
        }
    }

    /// How many bytes of the body are here, if it can be gone on with.
    pub(crate) fn offset(&self) -> u64 {
        match self {
            Self::Plain(spool) => spool.len(),
        }
    }

    pub(crate) fn finish(self) -> Result<Verified<Vec<File>>, VerifyError> {
        match self {
            Self::Plain(spool) => spool.finish(),
        }
    }
}
