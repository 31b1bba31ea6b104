use std::collections::HashSet;

use imagestore_core::{
    Check, Context, Download, Error, ErrorKind, Framing, Image, RemoteConfig, Result,
};
use imagestore_verify::{Proof, Verified, VerifyError};

use crate::key::{check_plain, key_of};

/// What one fetch is about: an image that can be kept, and how to ask for it.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) context: Context,
    pub(crate) remote: RemoteConfig,
    pub(crate) image: Image,
    /// Why the image is believed to be this.
    pub(crate) proofs: Vec<Proof>,
    pub(crate) key: String,
}

impl Job {
    /// # Errors
    /// If the image cannot be kept as it is described.
    pub(crate) fn new(
        context: &Context,
        remote: &RemoteConfig,
        image: &Verified<Image>,
    ) -> Result<Self> {
        check_image(image, context.limits().file_bytes).map_err(|error| {
            if error.subject().is_some() {
                error
            } else {
                error.with_subject(&image.id)
            }
        })?;
        Ok(Self {
            context: context.clone().with_policy(context.policy_for(remote)),
            remote: remote.clone(),
            image: (**image).clone(),
            proofs: image.proofs().to_vec(),
            key: key_of(&image.id),
        })
    }
}

fn check_image(image: &Image, limit: u64) -> Result<()> {
    if image.downloads.is_empty() {
        return Err(Error::new(ErrorKind::Malformed, "the image has no files"));
    }
    let mut names = HashSet::new();
    for file in image.files() {
        check_plain(&file.name)?;
        if !names.insert(file.name.as_str()) {
            let message = format!("two files of the image are called `{}`", file.name);
            return Err(Error::new(ErrorKind::Malformed, message));
        }
    }
    image
        .downloads
        .iter()
        .try_for_each(|download| check_download(download, limit))
}

fn check_download(download: &Download, limit: u64) -> Result<()> {
    let malformed = |message: String| Err(Error::new(ErrorKind::Malformed, message));
    if download.locations.is_empty() {
        return malformed("a file of the image is nowhere to be found".to_owned());
    }
    match (download.framing, download.files.len()) {
        (Framing::Plain, 1) | (Framing::Multipart, 2..) => {}
        (framing, files) => {
            return malformed(format!(
                "an answer framed as {framing:?} cannot hold {files} files"
            ));
        }
    }
    if let Some(size) = download.size.filter(|size| *size > limit) {
        let message = format!("has {size} bytes, at most {limit} bytes are allowed");
        return Err(Error::new(ErrorKind::TooLarge, message).with_subject(&download.locations[0]));
    }
    let mut digest = None;
    for check in &download.checks {
        match check {
            Check::Digest(found) if digest.is_some_and(|digest| digest != found) => {
                return malformed(format!(
                    "a file has two digests, {} and {found}",
                    digest.map_or_else(String::new, ToString::to_string)
                ));
            }
            Check::Digest(found) => digest = Some(found),
            Check::Signature { locations, .. } if locations.is_empty() => {
                return malformed("a signature of the image is nowhere to be found".to_owned());
            }
            Check::Signature { .. } => {}
            // What is not understood cannot be checked, and must not be left out.
            other => {
                let message = format!("the image asks for a check that is not built in: {other:?}");
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
        }
    }
    if download.checks.is_empty() {
        return Err(Error::untrusted(
            &download.locations[0],
            VerifyError::NothingToCheck,
        ));
    }
    Ok(())
}

/// The name by which people know a download: that of its first file.
pub(crate) fn name_of(download: &Download) -> &str {
    download.files.first().map_or("", |file| &file.name)
}

/// Whether a signature has to be asked for along with the file.
pub(crate) fn has_signature(download: &Download) -> bool {
    let mut checks = download.checks.iter();
    checks.any(|check| matches!(check, Check::Signature { .. }))
}

/// Whether a part of the file can be gone on with: only if what is joined cannot pass for the file
/// unless it is it.
///
/// A signature alone could be of another issue of the file than the part is, and would then fail
/// each time.
pub(crate) fn has_digest(download: &Download) -> bool {
    download
        .checks
        .iter()
        .any(|check| matches!(check, Check::Digest(_)))
}
