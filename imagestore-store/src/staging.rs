use std::sync::{Arc, Weak};

use imagestore_core::{Download, Image, Result};

use crate::dir::{Dir, Lock};
use crate::job::Job;
use crate::lock::{busy, try_lock, wait_for};
use crate::recover::{discard, remove_temporary};
use crate::store::Store;

/// The directory in which a build is put together, held by one fetch at a time.
///
/// The lock is on the directory itself and moves with it when the build is published.
#[derive(Clone, Debug)]
pub(crate) struct Staging {
    pub(crate) dir: Dir,
    pub(crate) files: Dir,
    pub(crate) signatures: Dir,
    pub(crate) parts: Dir,
}

impl Staging {
    /// Waits for the staging directory of a build. Waiting ends early when `alive` is dropped.
    pub(crate) fn lock(store: &Store, key: &str, image: &Image, alive: &Weak<()>) -> Result<Self> {
        let is_given_up = || alive.strong_count() == 0;
        let busy = || busy("the image", &image.id, store.patience);
        let dir = wait_for(store.patience, is_given_up, busy, || {
            let dir = store.staging.create(key)?;
            try_lock(&store.staging, key, dir, Lock::Exclusive)
        })?;
        remove_temporary(&dir)?;
        Ok(Self {
            files: dir.create(FILES)?,
            signatures: dir.create(SIGNATURES)?,
            parts: dir.create(PARTS)?,
            dir,
        })
    }

    /// How many bytes of a download are here.
    pub(crate) fn present(&self, index: usize, download: &Download) -> u64 {
        let length = |dir: &Dir, name: &str| {
            let file = dir.open_file(name).ok().flatten();
            file.and_then(|file| file.metadata().ok())
                .map_or(0, |metadata| metadata.len())
        };
        let files = download.files.iter().enumerate();
        files
            .map(|(number, file)| {
                length(&self.files, &file.name) + length(&self.parts, &part_name(index, number))
            })
            .sum()
    }

    /// Waits until no thread works in it any more: those of downloads that were given up write what
    /// was handed to them to the end.
    pub(crate) fn quiet(&self, store: &Store, job: &Job) -> Result<()> {
        let busy = || busy("the image", &job.image.id, store.patience);
        wait_for(
            store.patience,
            || false,
            busy,
            || Ok(self.dir.is_alone().then_some(())),
        )
    }

    /// Removes all of it.
    pub(crate) fn discard(&self, store: &Store, job: &Job) -> Result<()> {
        if store.staging.holds(&job.key, &self.dir)? {
            discard(store, &store.staging, &job.key)?;
        }
        Ok(())
    }
}

/// Tells those who work for a fetch on other threads that its future was dropped.
#[derive(Debug)]
pub(crate) struct Alive(Arc<()>);

impl Alive {
    pub(crate) fn new() -> Self {
        Self(Arc::new(()))
    }

    pub(crate) fn watch(&self) -> Weak<()> {
        Arc::downgrade(&self.0)
    }
}

/// The name of a file of a download while it arrives.
pub(crate) fn part_name(index: usize, number: usize) -> String {
    format!("{index}.{number}.part")
}

pub(crate) const FILES: &str = "files";
pub(crate) const PARTS: &str = "parts";
pub(crate) const SIGNATURES: &str = "signatures";
