use std::time::SystemTime;

use imagestore_core::{Error, ErrorKind, ImageFile, ImageId, Result};

use crate::kept::check_noted;
use crate::key::key_of;
use crate::manifest::Manifest;
use crate::store::Store;
use crate::stored::{Artifact, StoredImage};

impl Store {
    /// The build, if it is here, without asking its remote.
    ///
    /// Its files are hashed again and must be those that had passed when they were downloaded.
    /// Neither the keys that are believed by now nor the index are asked, and the proofs are the
    /// digests alone: see [`Store::fetch`].
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if it is not here, [`ErrorKind::Untrusted`] or
    /// [`ErrorKind::Storage`] if it is not whole any more.
    pub fn get(&self, id: &ImageId) -> Result<StoredImage> {
        let absent = || {
            Error::new(ErrorKind::NotFound, "the image is not in the store")
                .with_subject(id)
                .with_remedy("fetch it")
        };
        let lease = self.lease(&key_of(id))?.ok_or_else(absent)?;
        let manifest = Manifest::read(&lease)?;
        if manifest.id() != *id {
            return Err(absent());
        }
        let mut artifacts = Vec::new();
        for noted in &manifest.files {
            // A manifest that was read has both for each of its files.
            let (Some(sha256), Some(role)) = (noted.sha256(), noted.role()) else {
                return Err(absent());
            };
            let verified = check_noted(&lease, &noted.name, noted.size, sha256)?;
            artifacts.push(Artifact::new(
                ImageFile::new(&noted.name, role),
                verified,
                &manifest,
            )?);
        }
        let stored = StoredImage::by_manifest(lease, &manifest, artifacts);
        stored.touch(SystemTime::now());
        Ok(stored)
    }
}
