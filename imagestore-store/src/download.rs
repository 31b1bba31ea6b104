use std::fs::File;

use imagestore_core::{Error, Event, Result};
use imagestore_verify::Verified;

use crate::blame::{blame, is_elsewhere};
use crate::blocking::blocking;
use crate::checks;
use crate::delta::from_delta;
use crate::job::{Job, name_of};
use crate::kept;
use crate::partial::{Partial, order};
use crate::receive::Receiver;
use crate::staging::{Staging, part_name};
use crate::store::Store;

/// The files of one download, checked, under their names in the staging directory.
pub(crate) async fn download(
    store: &Store,
    job: &Job,
    staging: &Staging,
    index: usize,
) -> Result<Verified<Vec<File>>> {
    let download = &job.image.downloads[index];
    if let Some(files) = complete(job, staging, index).await? {
        job.context.tell(Event::Reused {
            file: name_of(download),
        });
        return Ok(files);
    }
    if let Some(files) = from_delta(store, job, staging, index).await {
        return settled(job, staging, index, files).await;
    }
    let mut failures = Vec::new();
    for location in order(&staging.parts, index, download) {
        match from_location(job, staging, index, location).await {
            Ok(files) => return Ok(files),
            Err(error) if is_elsewhere(&error) => {
                if failures.len() + 1 < download.locations.len() {
                    let text = format!("{error}; trying another location");
                    job.context.tell(Event::Warning { text: &text });
                }
                failures.push(error);
            }
            Err(error) => return Err(error),
        }
    }
    Err(blame(name_of(download), failures))
}

/// What an earlier fetch has completed of a build that was not published.
async fn complete(
    job: &Job,
    staging: &Staging,
    index: usize,
) -> Result<Option<Verified<Vec<File>>>> {
    let download = &job.image.downloads[index];
    if staging
        .files
        .open_file(name_of(download))
        .is_ok_and(|file| file.is_none())
    {
        return Ok(None);
    }
    let (job, staging) = (job.clone(), staging.clone());
    blocking(move || {
        let download = &job.image.downloads[index];
        let checked = kept::check(&job.context, &staging.dir, download, None);
        if checked.is_err() {
            for file in &download.files {
                staging.files.remove_tree(&file.name)?;
            }
        }
        Ok(checked.ok())
    })
    .await
}

async fn from_location(
    job: &Job,
    staging: &Staging,
    index: usize,
    location: usize,
) -> Result<Verified<Vec<File>>> {
    let check = checks::asked_for(job, staging, index, location).await?;
    let files = Receiver {
        job,
        staging,
        index,
        location,
        check,
    }
    .receive()
    .await?;
    settled(job, staging, index, files).await
}

/// Tells of checked files, and gives them their names.
async fn settled(
    job: &Job,
    staging: &Staging,
    index: usize,
    files: Verified<Vec<File>>,
) -> Result<Verified<Vec<File>>> {
    job.context.tell(Event::Verified {
        what: name_of(&job.image.downloads[index]),
        proofs: files.proofs(),
    });
    let (job, staging) = (job.clone(), staging.clone());
    blocking(move || {
        settle(&job, &staging, index, &files)?;
        Ok(files)
    })
    .await
}

/// Gives checked files and their signatures their names.
fn settle(job: &Job, staging: &Staging, index: usize, files: &[File]) -> Result<()> {
    let download = &job.image.downloads[index];
    for number in checks::signed(download) {
        let name = checks::kept_name(download, number);
        staging.parts.rename(
            &checks::part_name(index, number),
            &staging.signatures,
            &name,
        )?;
    }
    for (number, (file, open)) in download.files.iter().zip(files).enumerate() {
        let part = part_name(index, number);
        staging.parts.seal(&part, open)?;
        staging.parts.rename(&part, &staging.files, &file.name)?;
    }
    Partial::remove(&staging.parts, index)
}

/// The error that ended a fetch, and whether what arrived so far is worth keeping.
pub(crate) fn is_worth_resuming(error: &Error) -> bool {
    use imagestore_core::ErrorKind::{Canceled, Network, Refused};
    matches!(error.kind(), Canceled | Network | Refused)
}
