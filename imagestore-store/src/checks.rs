use imagestore_core::{Check, Context, Download, Error, Event, Get, Result, unsigned};
use imagestore_verify::{DetachedSignature, Spool, StreamingCheck, Unverified, Verifier};

use crate::blocking::blocking;
use crate::dir::Dir;
use crate::error::{damaged, storage};
use crate::faults::reached;
use crate::job::{Job, name_of};
use crate::staging::Staging;

/// The check of a download by signatures asked for now, each kept in `parts` until the file has
/// passed.
pub(crate) async fn asked_for(
    job: &Job,
    staging: &Staging,
    index: usize,
    location: usize,
) -> Result<StreamingCheck> {
    let download = &job.image.downloads[index];
    let mut streaming = StreamingCheck::new();
    for (number, check) in download.checks.iter().enumerate() {
        match check {
            Check::Digest(digest) => streaming = streaming.with_digest(*digest),
            Check::Signature { locations, keys } => {
                let file = &download.locations[location];
                // A signature that is at one place only is good for all of them.
                let Some(url) = locations.get(location).or_else(|| locations.first()) else {
                    continue;
                };
                job.context.tell(Event::Asked { url });
                let asc = job
                    .context
                    .transport()
                    .get(Get::document(&job.remote, url))
                    .await
                    .map_err(|error| unsigned(file, error))?
                    .collect(job.context.limits().signature_bytes)
                    .await?;
                let signature =
                    DetachedSignature::parse(&asc).map_err(|cause| Error::untrusted(url, cause))?;
                let staging = staging.clone();
                blocking(move || keep(&staging, &part_name(index, number), &asc)).await?;
                let verifier = Verifier::new(keys.clone(), job.context.policy().clone());
                streaming = streaming.with_signature(verifier, signature);
            }
            _ => {}
        }
    }
    streaming
        .check_beforehand()
        .map_err(|cause| Error::untrusted(&download.locations[location], cause))?;
    Ok(streaming)
}

/// The check of a download by the signatures that were kept with it, and by the keys that are
/// believed now.
pub(crate) fn kept(
    context: &Context,
    signatures: &Dir,
    download: &Download,
) -> Result<StreamingCheck> {
    let mut streaming = StreamingCheck::new();
    for (number, check) in download.checks.iter().enumerate() {
        match check {
            Check::Digest(digest) => streaming = streaming.with_digest(*digest),
            Check::Signature { keys, .. } => {
                let name = kept_name(download, number);
                let place = signatures.path().join(&name);
                let asc = signatures
                    .read(&name)?
                    .ok_or_else(|| damaged("the signature was not kept", place.display()))?;
                let signature = DetachedSignature::parse(&Unverified::new(asc.into()))
                    .map_err(|cause| Error::untrusted(place.display(), cause))?;
                let verifier = Verifier::new(keys.clone(), context.policy().clone());
                streaming = streaming.with_signature(verifier, signature);
            }
            _ => {}
        }
    }
    streaming
        .check_beforehand()
        .map_err(|cause| Error::untrusted(name_of(download), cause))?;
    Ok(streaming)
}

/// The numbers of the checks for which a signature is kept.
pub(crate) fn signed(download: &Download) -> impl Iterator<Item = usize> {
    let checks = download.checks.iter().enumerate();
    checks
        .filter(|(_, check)| matches!(check, Check::Signature { .. }))
        .map(|(number, _)| number)
}

/// The name of a signature beside a part that arrives.
pub(crate) fn part_name(index: usize, number: usize) -> String {
    format!("{index}.{number}.asc")
}

/// The name of a signature beside the files of a build.
pub(crate) fn kept_name(download: &Download, number: usize) -> String {
    format!("{}.{number}.asc", name_of(download))
}

fn keep(staging: &Staging, name: &str, asc: &Unverified<bytes::Bytes>) -> Result<()> {
    let parts = &staging.parts;
    parts.remove_file(name)?;
    let file = parts.create_file(name)?;
    let place = parts.path().join(name);
    // A spool is the way of unverified bytes to the disk; nothing is read back from this one.
    let mut spool = Spool::new(file, StreamingCheck::new());
    reached("write", &place)
        .and_then(|()| spool.write(asc))
        .and_then(|()| reached("fsync", &place))
        .and_then(|()| spool.sync_all())
        .map_err(|cause| storage("write", place.display(), cause))
}
