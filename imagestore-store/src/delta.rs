use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use imagestore_core::{Delta, Download, Error, ErrorKind, Event, Get, Result};
use imagestore_verify::{Sha256, Spool, Unverified, Verified, check_digest};
use url::Url;

use crate::blocking::blocking;
use crate::checks;
use crate::dir::Dir;
use crate::job::{Job, has_signature, name_of};
use crate::kept::check_noted;
use crate::manifest::Manifest;
use crate::sink::{Sink, disk};
use crate::space::check_space;
use crate::staging::{Staging, part_name};
use crate::store::Store;
use crate::vcdiff;

/// The file of a download, made from one that is here and a delta, if there are both.
///
/// It passes the same check as if it had been downloaded. A delta is a shorter way and no other
/// one: whatever goes wrong is told, and the full file is fetched.
pub(crate) async fn from_delta(
    store: &Store,
    job: &Job,
    staging: &Staging,
    index: usize,
) -> Option<Verified<Vec<File>>> {
    let download = &job.image.downloads[index];
    if download.deltas.is_empty() || download.files.len() != 1 || has_signature(download) {
        return None;
    }
    for delta in &download.deltas {
        let (own, base) = (store.clone(), delta.base);
        let Ok(Some(base)) = blocking(move || find(&own, base)).await else {
            continue;
        };
        match made(job, staging, index, delta, base).await {
            Ok(files) => return Some(files),
            Err(error) => {
                let name = name_of(download);
                let text = format!("{name} is not made from a delta but fetched: {error}");
                job.context.tell(Event::Warning { text: &text });
                drop(staging.parts.remove_file(&part_name(index, 0)));
            }
        }
    }
    None
}

/// A file of this digest in any build, and what keeps it from being pruned.
fn find(store: &Store, sha256: Sha256) -> Result<Option<(Dir, Verified<File>)>> {
    for key in store.keys()? {
        let Some(lease) = store.lease(&key)? else {
            continue;
        };
        let Ok(manifest) = Manifest::read(&lease) else {
            continue;
        };
        let noted = manifest
            .files
            .iter()
            .find(|file| file.sha256() == Some(sha256));
        if let Some(noted) = noted
            && let Ok(file) = check_noted(&lease, &noted.name, noted.size, sha256)
        {
            return Ok(Some((lease, file)));
        }
    }
    Ok(None)
}

async fn made(
    job: &Job,
    staging: &Staging,
    index: usize,
    delta: &Delta,
    base: (Dir, Verified<File>),
) -> Result<Verified<Vec<File>>> {
    let download = &job.image.downloads[index];
    let instructions = fetched(job, delta).await?;
    check_space(&staging.dir, download.size.unwrap_or(0), name_of(download))?;
    let check = checks::asked_for(job, staging, index, 0).await?;
    let (job, staging) = (job.clone(), staging.clone());
    blocking(move || {
        let download = &job.image.downloads[index];
        let part = part_name(index, 0);
        staging.parts.remove_file(&part)?;
        let mut spool = Spool::new(staging.parts.create_file(&part)?, check);
        let highest = highest(&job, download);
        let (lease, base) = base;
        let done = vcdiff::apply(&instructions, &InFile(&base), highest, |piece| {
            spool.write(&Unverified::new(Bytes::from(piece)))
        });
        drop(lease);
        done.map_err(|cause| match cause.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                Error::new(ErrorKind::Malformed, cause.to_string())
            }
            _ => disk(cause, &staging.parts),
        })?;
        Sink::plain(spool).finish(&staging.parts)
    })
    .await
}

/// The delta, as the index names it.
async fn fetched(job: &Job, delta: &Delta) -> Result<Verified<Bytes>> {
    let limit = delta.size.unwrap_or(MAX_DELTA).min(MAX_DELTA);
    let mut failure = Error::new(ErrorKind::Malformed, "the delta is nowhere to be found");
    for url in &delta.locations {
        job.context.tell(Event::Asked { url });
        match fetched_from(job, url, limit).await {
            Ok(bytes) => {
                let checked = check_digest(bytes, &delta.sha256);
                match checked.map_err(|cause| Error::untrusted(url, cause)) {
                    Ok(verified) => return Ok(verified),
                    Err(error) => failure = error,
                }
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

async fn fetched_from(job: &Job, url: &Url, limit: u64) -> Result<Unverified<Bytes>> {
    let transport = job.context.transport();
    let body = transport.get(Get::file(&job.remote, url)).await?;
    body.collect(limit).await
}

fn highest(job: &Job, download: &Download) -> u64 {
    let bounds = [
        download.size,
        download.size_limit,
        Some(job.context.limits().file_bytes),
    ];
    bounds.into_iter().flatten().min().unwrap_or_default()
}

struct InFile<'a>(&'a File);

impl vcdiff::Base for InFile<'_> {
    fn read(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }
}

// A delta is read into memory; a larger one saves little.
const MAX_DELTA: u64 = 256 << 20;
