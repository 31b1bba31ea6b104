//! Files that are written once, and the digests of what is in them.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use imagestore_verify::Sha256;
use sha2::{Digest, Sha256 as Hash};

use crate::error::{At, PublishError};
use crate::steps;

/// Copies a file, byte for byte, to one that was not there.
pub(crate) fn copy(
    from: &Path,
    to: &Path,
    behind: Option<&Written>,
) -> Result<Written, PublishError> {
    let mut source = File::open(from).at("open", from)?;
    let mut copied = Hashing::create(to, behind)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return copied.finish(),
            Ok(count) => copied.write_all(&buffer[..count]).at("write", to)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error).at("read", from),
        }
    }
}

/// A file that was written: its own digest, and the one it has behind the metadata.
pub(crate) struct Written {
    own: Hash,
    combined: Option<Hash>,
    pub(crate) size: u64,
}

impl Written {
    /// What was written to a file by somebody else.
    pub(crate) fn of(path: &Path) -> Result<Self, PublishError> {
        let mut written = Self {
            own: Hash::new(),
            combined: None,
            size: 0,
        };
        let mut file = File::open(path).at("open", path)?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    written.own.update(&buffer[..count]);
                    written.size += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error).at("read", path),
            }
        }
        steps::sync(&file, path)?;
        Ok(written)
    }

    /// The digest of what was written.
    pub(crate) fn sha256(&self) -> Sha256 {
        finished(&self.own)
    }

    /// The digest of the metadata and what was written, as one; where it was written behind some.
    pub(crate) fn combined(&self) -> Option<Sha256> {
        self.combined.as_ref().map(finished)
    }
}

fn finished(hash: &Hash) -> Sha256 {
    Sha256::from_bytes(hash.clone().finalize().into())
}

/// A new file, and the digests of what is written to it.
pub(crate) struct Hashing {
    file: BufWriter<File>,
    written: Written,
    path: PathBuf,
}

impl Hashing {
    pub(crate) fn create(path: &Path, behind: Option<&Written>) -> Result<Self, PublishError> {
        Ok(Self {
            file: BufWriter::with_capacity(1 << 20, steps::create(path)?),
            written: Written {
                own: Hash::new(),
                combined: behind.map(|metadata| metadata.own.clone()),
                size: 0,
            },
            path: path.to_owned(),
        })
    }

    pub(crate) fn finish(self) -> Result<Written, PublishError> {
        let file = self
            .file
            .into_inner()
            .map_err(io::IntoInnerError::into_error);
        steps::sync(&file.at("write", &self.path)?, &self.path)?;
        Ok(self.written)
    }
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        let (done, _) = bytes.split_at(count);
        self.written.own.update(done);
        if let Some(combined) = &mut self.written.combined {
            combined.update(done);
        }
        self.written.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
