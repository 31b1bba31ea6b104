use imagestore_core::{Check, Download, Result, Validators};
use imagestore_verify::Sha256;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::dir::Dir;
use crate::job::has_digest;

/// What is known of a part of a file that arrived earlier. Whatever is wrong with it, the download
/// begins anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Partial {
    location: String,
    of: String,
    etag: Option<String>,
    last_modified: Option<String>,
}

impl Partial {
    pub(crate) fn new(download: &Download, location: &Url, validators: &Validators) -> Self {
        Self {
            location: location.to_string(),
            of: identity(download),
            etag: validators.etag.clone(),
            last_modified: validators.last_modified.clone(),
        }
    }

    /// What was noted, if it can be gone on with: a part of the same file, from the same location,
    /// whose joining can be judged by a digest or by a tag that names the bytes.
    pub(crate) fn read(parts: &Dir, index: usize, download: &Download) -> Option<Self> {
        let bytes = parts.read(&state_name(index)).ok().flatten()?;
        let partial: Self = serde_json::from_slice(&bytes).ok()?;
        let same = partial.of == identity(download);
        (same && may_resume(download, &partial.validators())).then_some(partial)
    }

    pub(crate) fn write(&self, parts: &Dir, index: usize) -> Result<()> {
        parts.replace(
            &state_name(index),
            &serde_json::to_vec(self).unwrap_or_default(),
        )
    }

    pub(crate) fn remove(parts: &Dir, index: usize) -> Result<()> {
        parts.remove_file(&state_name(index))
    }

    pub(crate) fn is_from(&self, location: &Url) -> bool {
        self.location == location.as_str()
    }

    pub(crate) fn validators(&self) -> Validators {
        Validators {
            etag: self.etag.clone(),
            last_modified: self.last_modified.clone(),
        }
    }
}

/// Whether a part can be gone on with.
///
/// What is joined is checked as a whole, so it can never pass for the file unless it is the file.
/// But with neither a digest nor a tag, a part of another issue could spoil every attempt.
pub(crate) fn may_resume(download: &Download, validators: &Validators) -> bool {
    let names_bytes = |etag: &String| etag.starts_with('"');
    has_digest(download) || validators.etag.as_ref().is_some_and(names_bytes)
}

/// The locations of a download, by number, that of the part that is here first.
pub(crate) fn order(parts: &Dir, index: usize, download: &Download) -> Vec<usize> {
    let mut order: Vec<_> = (0..download.locations.len()).collect();
    if let Some(partial) = Partial::read(parts, index, download) {
        order.sort_by_key(|number| !partial.is_from(&download.locations[*number]));
    }
    order
}

fn identity(download: &Download) -> String {
    let mut text = format!("{:?}\n", download.size);
    for check in &download.checks {
        if let Check::Digest(digest) = check {
            text.push_str(&format!("{digest}\n"));
        }
    }
    Sha256::of(text.as_bytes()).to_string()
}

fn state_name(index: usize) -> String {
    format!("{index}.json")
}
