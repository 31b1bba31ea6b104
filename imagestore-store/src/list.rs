use std::collections::BTreeMap;
use std::time::SystemTime;

use imagestore_core::{ImageId, Result};
use imagestore_verify::Sha256;

use crate::dir::Dir;
use crate::key::{is_key, key_of};
use crate::manifest::{MANIFEST, Manifest};
use crate::store::Store;

/// What the store knows of a build without reading its files.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredBuild {
    /// What tells it from every other.
    pub id: ImageId,
    /// The digest by which LXD and Incus know it, where the protocol has one.
    pub fingerprint: Option<Sha256>,
    /// The bytes of all files together.
    pub size: u64,
    /// When it was downloaded.
    pub fetched_at: SystemTime,
    /// When it was fetched or opened last.
    pub used_at: SystemTime,
    /// When it should no longer be used without asking the remote, if the index says so.
    pub expires_at: Option<SystemTime>,
    /// What the index says about it, for people.
    pub properties: BTreeMap<String, String>,
}

impl Store {
    /// Everything that is here, by remote, path and build. What is damaged is left out: see
    /// [`Store::verify`].
    ///
    /// # Errors
    /// [`Storage`](imagestore_core::ErrorKind::Storage) if the store cannot be read.
    pub fn list(&self) -> Result<Vec<StoredBuild>> {
        let mut builds = Vec::new();
        for key in self.keys()? {
            if let Some(dir) = self.images.open(&key)?
                && let Ok(build) = describe(&key, &dir)
            {
                builds.push(build);
            }
        }
        builds.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(builds)
    }

    /// The names of all published builds.
    pub(crate) fn keys(&self) -> Result<Vec<String>> {
        let mut keys = self.images.names()?;
        keys.retain(|key| is_key(key));
        Ok(keys)
    }
}

/// What the manifest in the directory of a build says.
pub(crate) fn describe(key: &str, dir: &Dir) -> Result<StoredBuild> {
    let manifest = Manifest::read(dir)?;
    let id = manifest.id();
    if key_of(&id) != key {
        return Err(crate::error::damaged(
            "is the directory of another build",
            dir.path().display(),
        ));
    }
    Ok(StoredBuild {
        fingerprint: manifest.fingerprint(),
        size: manifest.size(),
        fetched_at: manifest.fetched_at(),
        used_at: dir.modified(MANIFEST),
        expires_at: manifest.expires_at(),
        properties: manifest.properties().clone(),
        id,
    })
}
