use imagestore_core::{Error, ImageId, Result};

use crate::kept::check_noted;
use crate::list::describe;
use crate::manifest::Manifest;
use crate::store::Store;

/// What [`Store::verify`] found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// How many builds are whole.
    pub whole: usize,
    /// How many bytes were hashed and are as they were.
    pub bytes: u64,
    /// The builds that are not whole.
    pub damaged: Vec<DamagedBuild>,
}

/// A build that is not as it was put there. It counts as absent; the next fetch repairs it.
#[derive(Debug)]
#[non_exhaustive]
pub struct DamagedBuild {
    /// Which one, if its manifest still tells.
    pub id: Option<ImageId>,
    /// The name of its directory below `images`.
    pub key: String,
    /// What is wrong with it.
    pub error: Error,
}

impl Store {
    /// Hashes every file of every build and compares with the manifests.
    ///
    /// # Errors
    /// [`Storage`](imagestore_core::ErrorKind::Storage) if the store itself cannot be read. A
    /// damaged build is no error but an entry of the report.
    pub fn verify(&self) -> Result<Report> {
        let mut report = Report::default();
        for key in self.keys()? {
            match self.verify_build(&key) {
                Ok(None) => {}
                Ok(Some(bytes)) => {
                    report.whole += 1;
                    report.bytes += bytes;
                }
                Err(error) => {
                    let dir = self.images.open(&key).ok().flatten();
                    let id = dir.and_then(|dir| Some(Manifest::read(&dir).ok()?.id()));
                    report.damaged.push(DamagedBuild { id, key, error });
                }
            }
        }
        Ok(report)
    }

    fn verify_build(&self, key: &str) -> Result<Option<u64>> {
        let Some(lease) = self.lease(key)? else {
            return Ok(None);
        };
        describe(key, &lease)?;
        let manifest = Manifest::read(&lease)?;
        for noted in &manifest.files {
            if let Some(sha256) = noted.sha256() {
                check_noted(&lease, &noted.name, noted.size, sha256)?;
            }
        }
        Ok(Some(manifest.size()))
    }
}
