use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use imagestore_core::{Check, Context, Download, Error, ErrorKind, Image, Result};
use imagestore_verify::{Proof, Sha256, Spool, StreamingCheck, Verified};
use sha2::Digest;

use crate::checks;
use crate::dir::Dir;
use crate::error::{damaged, storage};
use crate::job::name_of;
use crate::manifest::Manifest;
use crate::staging::{FILES, SIGNATURES};

/// The files of a download as they are kept in a directory, checked as a fresh download would be.
///
/// # Errors
/// `Storage` if one is missing, `Untrusted` if it does not pass.
pub(crate) fn check(
    context: &Context,
    dir: &Dir,
    download: &Download,
    manifest: Option<&Manifest>,
) -> Result<Verified<Vec<File>>> {
    let files = below(dir, FILES)?;
    let signatures = below(dir, SIGNATURES)?;
    let mut streaming = checks::kept(context, &signatures, download)?;
    let noted = |name: &str| manifest.and_then(|manifest| manifest.sha256(name));
    if let (1, Some(sha256)) = (download.files.len(), noted(name_of(download))) {
        streaming = streaming.with_digest(sha256);
    }
    let mut opened = Vec::new();
    for file in &download.files {
        let place = files.path().join(&file.name);
        let missing = || damaged("a file of the image is missing", place.display());
        opened.push(files.open_file(&file.name)?.ok_or_else(missing)?);
    }
    check_size(&opened, download, &files)?;
    let verified = hash(opened, streaming, &files, name_of(download))?;
    if manifest.is_some() {
        // What is written down of a file is handed on as its digest, and so must be true of it.
        for (file, found) in download
            .files
            .iter()
            .zip(sha256_of_each(&verified, &files)?)
        {
            if noted(&file.name) != Some(found) {
                let place = files.path().join(&file.name);
                return Err(damaged(
                    "is another file than the manifest says",
                    place.display(),
                ));
            }
        }
    }
    Ok(verified)
}

/// The digest of each file by itself.
pub(crate) fn sha256_of_each(files: &Verified<Vec<File>>, dir: &Dir) -> Result<Vec<Sha256>> {
    if files.len() == 1 {
        let proven = files.proofs().iter().find_map(|proof| match proof {
            Proof::Digest(sha256) => Some(*sha256),
            _ => None,
        });
        if let Some(sha256) = proven {
            return Ok(vec![sha256]);
        }
    }
    let digests = files.iter().map(sha256_of).collect::<io::Result<_>>();
    digests.map_err(|cause| storage("read", dir.path().display(), cause))
}

/// Whether the files of an image, one behind the other, have its fingerprint.
///
/// Each file has passed its own check by now, but that says nothing about which of them belong
/// together: an index could show one image under the fingerprint of another, and whoever looks the
/// fingerprint up would get that.
///
/// # Errors
/// `Untrusted` if they have another one.
pub(crate) fn check_fingerprint(image: &Image, files: &[Verified<Vec<File>>]) -> Result<()> {
    let Some(expected) = image.fingerprint else {
        return Ok(());
    };
    if let [download] = image.downloads.as_slice() {
        let same = |check: &Check| matches!(check, Check::Digest(digest) if *digest == expected);
        if download.checks.iter().any(same) {
            return Ok(());
        }
    }
    let mut hasher = sha2::Sha256::new();
    for file in files.iter().flat_map(|files| files.iter()) {
        update(&mut hasher, file).map_err(|cause| storage("read", &image.id, cause))?;
    }
    let found = Sha256::from_bytes(hasher.finalize().into());
    if found == expected {
        return Ok(());
    }
    let message = format!("the files together are {found}, the fingerprint is {expected}");
    Err(Error::new(ErrorKind::Untrusted, message).with_subject(&image.id))
}

fn sha256_of(file: &File) -> io::Result<Sha256> {
    let mut hasher = sha2::Sha256::new();
    update(&mut hasher, file)?;
    Ok(Sha256::from_bytes(hasher.finalize().into()))
}

fn update(hasher: &mut sha2::Sha256, file: &File) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    let mut offset = 0;
    loop {
        // At a position of its own: the handle is handed on, rewound.
        match file.read_at(&mut buffer, offset) {
            Ok(0) => return Ok(()),
            Ok(read) => {
                hasher.update(&buffer[..read]);
                offset += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// One file of a build, checked against the digest that was written down when it had passed.
pub(crate) fn check_noted(
    dir: &Dir,
    name: &str,
    size: u64,
    sha256: Sha256,
) -> Result<Verified<File>> {
    let files = below(dir, FILES)?;
    let place = files.path().join(name);
    let file = files
        .open_file(name)?
        .ok_or_else(|| damaged("a file of the image is missing", place.display()))?;
    let found = length(&file, &files, name)?;
    if found != size {
        let what = format!("has {found} bytes, the manifest says {size}");
        return Err(damaged(what, place.display()));
    }
    let verified = hash(
        vec![file],
        StreamingCheck::new().with_digest(sha256),
        &files,
        name,
    )?;
    verified.try_map(|mut files| {
        files
            .pop()
            .ok_or_else(|| damaged("a file of the image is missing", place.display()))
    })
}

fn hash(
    files: Vec<File>,
    streaming: StreamingCheck,
    dir: &Dir,
    name: &str,
) -> Result<Verified<Vec<File>>> {
    let place = dir.path().join(name);
    let failed = |cause| storage("read", place.display(), cause);
    let mut files = files.into_iter();
    let first = files
        .next()
        .ok_or_else(|| damaged("a file of the image is missing", place.display()))?;
    let mut spool = Spool::resume(first, streaming).map_err(failed)?;
    for file in files {
        spool.resume_next(file).map_err(failed)?;
    }
    spool
        .finish()
        .map_err(|cause| Error::untrusted(place.display(), cause))
}

fn check_size(files: &[File], download: &Download, dir: &Dir) -> Result<()> {
    let mut found = 0;
    for file in files {
        found += length(file, dir, name_of(download))?;
    }
    match download.size {
        Some(size) if size != found => {
            let what = format!("has {found} bytes, the index says {size}");
            Err(damaged(what, dir.path().join(name_of(download)).display()))
        }
        _ => Ok(()),
    }
}

fn length(file: &File, dir: &Dir, name: &str) -> Result<u64> {
    let metadata = file.metadata();
    let metadata =
        metadata.map_err(|cause| storage("inspect", dir.path().join(name).display(), cause))?;
    Ok(metadata.len())
}

fn below(dir: &Dir, name: &str) -> Result<Dir> {
    let place = dir.path().join(name);
    dir.open(name)?
        .ok_or_else(|| damaged("a directory of the image is missing", place.display()))
}

const BUFFER: usize = 128 << 10;
