use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use imagestore_core::Result;

use crate::dir::{Dir, Lock};
use crate::lock::{busy, try_lock, wait_for};
use crate::memory::StateMemory;

/// A directory that keeps images, shared by many processes. Cheap to clone.
///
/// Except for [`Store::fetch`] its methods block: they read and write the disk, and some hash whole
/// images.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) root: Dir,
    pub(crate) images: Dir,
    pub(crate) staging: Dir,
    pub(crate) trash: Dir,
    pub(crate) patience: Duration,
}

impl Store {
    /// How long to wait for what another process has locked.
    ///
    /// # Defaults
    /// 60 seconds.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The directory, free of links.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.root.path()
    }

    /// The memory of the newest state seen of each remote, kept in this store.
    #[must_use]
    pub fn memory(&self) -> Arc<StateMemory> {
        Arc::new(StateMemory::new(self.root.clone(), self.patience))
    }

    /// The directory of a published build, protected from being pruned as long as the handle lives.
    pub(crate) fn lease(&self, key: &str) -> Result<Option<Dir>> {
        let busy = || {
            busy(
                "the image",
                self.images.path().join(key).display(),
                self.patience,
            )
        };
        wait_for(
            self.patience,
            || false,
            busy,
            || {
                let Some(dir) = self.images.open(key)? else {
                    return Ok(Some(None));
                };
                Ok(try_lock(&self.images, key, dir, Lock::Shared)?.map(Some))
            },
        )
    }
}

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
