use std::fs::File;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use imagestore_core::{Context, Error, Event, Image, RemoteConfig, Result};
use imagestore_verify::Verified;

use crate::blocking::blocking;
use crate::dir::Dir;
use crate::download::{download, is_worth_resuming};
use crate::job::{Job, name_of};
use crate::kept;
use crate::manifest::Manifest;
use crate::proof_record::ProofRecord;
use crate::publish::publish;
use crate::space::check_space;
use crate::staging::{Alive, Staging};
use crate::store::Store;
use crate::stored::StoredImage;

impl Store {
    /// The image, downloaded unless it is here already.
    ///
    /// What is here is checked again, all of it, against what is asked of the image and by the keys
    /// that are believed by this time, so that a revoked key takes effect at once; nothing is
    /// downloaded then. A file gets its name only after its check has passed, and the build appears
    /// as a whole or not at all.
    ///
    /// Dropping the future stops the download and keeps what arrived; so do a broken connection and
    /// a remote that does not let this caller have the rest. The next fetch goes on from there.
    /// After any other error nothing is kept.
    ///
    /// # Errors
    /// [`Untrusted`](imagestore_core::ErrorKind::Untrusted) if a file does not pass its check or
    /// has no signature, at none of its locations; [`Network`](imagestore_core::ErrorKind::Network),
    /// [`Refused`](imagestore_core::ErrorKind::Refused) or
    /// [`NotFound`](imagestore_core::ErrorKind::NotFound) if it cannot be had;
    /// [`TooLarge`](imagestore_core::ErrorKind::TooLarge),
    /// [`Malformed`](imagestore_core::ErrorKind::Malformed),
    /// [`Unsafe`](imagestore_core::ErrorKind::Unsafe) or
    /// [`Unsupported`](imagestore_core::ErrorKind::Unsupported) for what cannot be kept;
    /// [`Storage`](imagestore_core::ErrorKind::Storage) for the disk, also if another process is
    /// busy with this image for longer than the store's patience.
    pub async fn fetch(
        &self,
        context: &Context,
        remote: &RemoteConfig,
        image: &Verified<Image>,
    ) -> Result<StoredImage> {
        let job = Arc::new(Job::new(context, remote, image)?);
        warn_of_expiry(&job);
        let refused = match reuse(self, &job, None).await? {
            Kept::Good(stored) => return Ok(*stored),
            Kept::Absent => None,
            Kept::Refused(dir) => Some(dir),
        };
        let alive = Alive::new();
        let staging = {
            let (store, job, watch) = (self.clone(), Arc::clone(&job), alive.watch());
            blocking(move || Staging::lock(&store, &job.key, &job.image, &watch)).await?
        };
        // Another fetch may have published it in the meantime.
        if let Kept::Good(stored) = reuse(self, &job, refused).await? {
            let (store, job) = (self.clone(), Arc::clone(&job));
            blocking(move || staging.discard(&store, &job)).await?;
            return Ok(*stored);
        }
        match download_all(self, &job, &staging).await {
            Ok(files) => {
                let store = self.clone();
                blocking(move || {
                    if let Err(error) = kept::check_fingerprint(&job.image, &files) {
                        // The first error is the one to tell.
                        let _ = staging.discard(&store, &job);
                        return Err(error);
                    }
                    publish(&store, &job, staging, &files)
                })
                .await
            }
            Err(error) => {
                let (store, job) = (self.clone(), Arc::clone(&job));
                let keep = is_worth_resuming(&error);
                // The first error is the one to tell.
                let _ = blocking(move || {
                    staging.quiet(&store, &job)?;
                    if keep {
                        Ok(())
                    } else {
                        staging.discard(&store, &job)
                    }
                })
                .await;
                Err(error)
            }
        }
    }
}

async fn download_all(
    store: &Store,
    job: &Job,
    staging: &Staging,
) -> Result<Vec<Verified<Vec<File>>>> {
    let downloads = job.image.downloads.iter().enumerate();
    let missing = downloads.filter_map(|(index, download)| {
        Some(
            download
                .size?
                .saturating_sub(staging.present(index, download)),
        )
    });
    check_space(&staging.dir, missing.sum(), &job.image.id)?;
    let all = stream::iter(
        (0..job.image.downloads.len()).map(|index| download(store, job, staging, index)),
    );
    all.buffered(AT_ONCE).try_collect().await
}

/// What is here of a build.
enum Kept {
    Absent,
    Good(Box<StoredImage>),
    /// It does not pass what is asked of it now.
    Refused(Dir),
}

/// Checks the published build, unless it is the one that was `refused` before.
async fn reuse(store: &Store, job: &Arc<Job>, refused: Option<Dir>) -> Result<Kept> {
    let (store, job) = (store.clone(), Arc::clone(job));
    blocking(move || {
        if let Some(refused) = refused
            && store.images.holds(&job.key, &refused)?
        {
            return Ok(Kept::Refused(refused));
        }
        if !store.images.holds_directory(&job.key)? {
            return Ok(Kept::Absent);
        }
        let Some(lease) = store.lease(&job.key)? else {
            return Ok(Kept::Absent);
        };
        match check(&job, &lease) {
            Ok(found) => {
                for (download, files) in job.image.downloads.iter().zip(&found.files) {
                    let what = name_of(download);
                    job.context.tell(Event::Reused { file: what });
                    job.context.tell(Event::Verified {
                        what,
                        proofs: files.proofs(),
                    });
                }
                let stored = StoredImage::of(&job.image, lease, &found.manifest, &found.files)?;
                stored.touch(job.context.now());
                Ok(Kept::Good(Box::new(stored)))
            }
            Err(error) => {
                let text = format!(
                    "what is kept of {} is not used: {}",
                    job.image.id,
                    chain(&error)
                );
                job.context.tell(Event::Warning { text: &text });
                Ok(Kept::Refused(lease))
            }
        }
    })
    .await
}

struct Found {
    manifest: Manifest,
    files: Vec<Verified<Vec<File>>>,
}

fn check(job: &Job, lease: &Dir) -> Result<Found> {
    let manifest = Manifest::read(lease)?;
    let wanted = job.image.files().map(|file| &file.name);
    if !manifest.files.iter().map(|file| &file.name).eq(wanted) {
        let message = "the files of the build are not those the index lists";
        return Err(crate::error::damaged(message, lease.path().display()));
    }
    let downloads = job.image.downloads.iter();
    let files = downloads
        .map(|download| kept::check(&job.context, lease, download, Some(&manifest)))
        .collect::<Result<Vec<_>>>()?;
    kept::check_fingerprint(&job.image, &files)?;
    let renewed = manifest.renewed(&job.image, ProofRecord::of_all(&job.proofs));
    if renewed != manifest {
        // What the index says about the image is advice; a store that cannot be written to still
        // serves.
        let _ = renewed.write(lease);
    }
    Ok(Found {
        manifest: renewed,
        files,
    })
}

fn warn_of_expiry(job: &Job) {
    if job
        .image
        .expires_at
        .is_some_and(|expires_at| expires_at < job.context.now())
    {
        let text = format!("{} is published past its expiry", job.image.id);
        job.context.tell(Event::Warning { text: &text });
    }
}

fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

// More requests at a time than this make no download faster and burden the remote.
const AT_ONCE: usize = 4;
