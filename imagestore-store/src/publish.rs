use std::fs::File;

use imagestore_core::Result;
use imagestore_verify::Verified;

use crate::dir::{Lock, random_name};
use crate::error::storage;
use crate::job::Job;
use crate::kept::sha256_of_each;
use crate::lock::{busy, wait_for};
use crate::manifest::{Manifest, ManifestFile};
use crate::proof_record::ProofRecord;
use crate::staging::{PARTS, Staging};
use crate::store::Store;
use crate::stored::StoredImage;

/// Makes a build that is complete in its staging directory visible, in one step.
///
/// Files and names reach the disk before the step, and the step before success is told. Ended at
/// any point, it leaves either no build or a whole one, and a staging directory from which the next
/// fetch publishes without downloading.
pub(crate) fn publish(
    store: &Store,
    job: &Job,
    staging: Staging,
    files: &[Verified<Vec<File>>],
) -> Result<StoredImage> {
    let manifest = manifest(job, &staging, files)?;
    staging.dir.remove_tree(PARTS)?;
    manifest.write(&staging.dir)?;
    for dir in [&staging.files, &staging.signatures, &staging.dir] {
        dir.sync()?;
    }
    let replaced = random_name();
    let old = store.images.holds_anything(&job.key)?;
    if old {
        store.images.rename(&job.key, &store.trash, &replaced)?;
    }
    store.staging.rename(&job.key, &store.images, &job.key)?;
    store.images.sync()?;
    store.staging.sync()?;
    let stored = StoredImage::of(&job.image, lease(store, job, staging)?, &manifest, files)?;
    stored.touch(job.context.now());
    if old {
        // Whoever still uses it has its files open; what cannot be removed is removed when the
        // store is opened next.
        let _ = store.trash.remove_tree(&replaced);
    }
    Ok(stored)
}

fn manifest(job: &Job, staging: &Staging, files: &[Verified<Vec<File>>]) -> Result<Manifest> {
    let mut noted = Vec::new();
    for (download, files) in job.image.downloads.iter().zip(files) {
        let digests = sha256_of_each(files, &staging.files)?;
        for ((file, open), sha256) in download.files.iter().zip(files.iter()).zip(digests) {
            let metadata = open.metadata().map_err(|cause| {
                storage(
                    "inspect",
                    staging.files.path().join(&file.name).display(),
                    cause,
                )
            })?;
            let proofs = ProofRecord::of_all(files.proofs());
            noted.push(ManifestFile::new(file, metadata.len(), sha256, proofs));
        }
    }
    let proofs = ProofRecord::of_all(&job.proofs);
    Ok(Manifest::new(&job.image, proofs, job.context.now(), noted))
}

/// Turns the lock of the fetch, which moved along with the directory, into that of a user.
fn lease(store: &Store, job: &Job, staging: Staging) -> Result<crate::dir::Dir> {
    let Staging { dir, .. } = staging;
    let dir = dir.moved_to(store.images.path().join(&job.key));
    let busy = || busy("the image", &job.image.id, store.patience);
    // Converting gives the lock up for a moment, in which somebody who waited for it may hold it.
    wait_for(
        store.patience,
        || false,
        busy,
        || Ok(dir.try_lock(Lock::Shared)?.then_some(())),
    )?;
    Ok(dir)
}
