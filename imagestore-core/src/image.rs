use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use imagestore_verify::{Keyring, Sha256};
use url::Url;

use crate::admission::Admission;

/// One build of an image as a source describes it: what it is, where its files are, and what must
/// hold for them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Image {
    /// What tells this build from every other.
    pub id: ImageId,
    /// The requests that bring it here.
    pub downloads: Vec<Download>,
    /// The digest by which LXD and Incus know the image, where the protocol has one: that of all
    /// its files, one behind the other. It must hold besides the checks of each download.
    pub fingerprint: Option<Sha256>,
    /// When a kept copy should no longer be used without asking the remote, if the index says so.
    pub expires_at: Option<SystemTime>,
    /// What the index says about it, for people: `distribution`, `release`, `architecture`, …
    pub properties: BTreeMap<String, String>,
    /// How long ago the remote said all this, if it could not be reached to say it anew.
    pub stale: Option<Duration>,
}

impl Image {
    /// The build of this name, made of these downloads.
    #[must_use]
    pub fn new(id: ImageId, downloads: Vec<Download>) -> Self {
        Self {
            id,
            downloads,
            fingerprint: None,
            expires_at: None,
            properties: BTreeMap::new(),
            stale: None,
        }
    }

    /// How long ago the remote said all this, if it could not be reached to say it anew.
    #[must_use]
    pub fn with_stale(mut self, stale: Option<Duration>) -> Self {
        self.stale = stale;
        self
    }

    /// The digest by which LXD and Incus know it.
    #[must_use]
    pub fn with_fingerprint(mut self, fingerprint: Sha256) -> Self {
        self.fingerprint = Some(fingerprint);
        self
    }

    /// When a kept copy should no longer be used without asking the remote.
    #[must_use]
    pub fn with_expiry(mut self, expires_at: Option<SystemTime>) -> Self {
        self.expires_at = expires_at;
        self
    }

    /// One more thing the index says about it.
    #[must_use]
    pub fn with_property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.insert(name.into(), value.into());
        self
    }

    /// All image files, in the order in which they are unpacked.
    pub fn files(&self) -> impl Iterator<Item = &ImageFile> {
        self.downloads.iter().flat_map(|download| &download.files)
    }
}

/// The identity of a build: the remote it comes from, its canonical path there, and which build it
/// is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageId {
    remote: String,
    path: String,
    build: String,
}

impl ImageId {
    /// The build `build` of `path` on the remote with this
    /// [`RemoteConfig::id`](crate::RemoteConfig::id).
    #[must_use]
    pub fn new(
        remote: impl Into<String>,
        path: impl Into<String>,
        build: impl Into<String>,
    ) -> Self {
        Self {
            remote: remote.into(),
            path: path.into(),
            build: build.into(),
        }
    }

    /// The remote, as its URL.
    #[must_use]
    pub fn remote(&self) -> &str {
        &self.remote
    }

    /// The canonical path on the remote, defaults filled in, without the build.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Which dated issue of it: a build id, a version, a serial, a fingerprint.
    #[must_use]
    pub fn build(&self) -> &str {
        &self.build
    }
}

impl fmt::Display for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} build {}", self.remote, self.path, self.build)
    }
}

/// One request and what it brings: usually one file; a LXD split export is one request with two.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Download {
    /// Where to ask, the remote itself first and then each mirror.
    pub locations: Vec<Url>,
    /// The files in the answer, in the order of the answer.
    pub files: Vec<ImageFile>,
    /// What must hold, all of it, for the bytes of the answer (of all files together).
    pub checks: Vec<Check>,
    /// The exact size in bytes of all files together, where the index gives one.
    pub size: Option<u64>,
    /// The highest size in bytes of all files together, where the index gives no more than that.
    pub size_limit: Option<u64>,
    /// How the files lie in the answer.
    pub framing: Framing,
    /// Shorter ways to the same bytes, for whoever has an older file.
    pub deltas: Vec<Delta>,
    /// How to ask for [`Download::locations`], where the URLs alone do not open them.
    pub admission: Option<Arc<dyn Admission>>,
}

impl Download {
    /// A request at the first of `locations` that brings `file`, for which `checks` must hold.
    #[must_use]
    pub fn new(locations: Vec<Url>, file: ImageFile, checks: Vec<Check>) -> Self {
        Self {
            locations,
            files: vec![file],
            checks,
            size: None,
            size_limit: None,
            framing: Framing::Plain,
            deltas: Vec::new(),
            admission: None,
        }
    }

    /// How to ask, where the URLs alone do not open it.
    #[must_use]
    pub fn with_admission(mut self, admission: Option<Arc<dyn Admission>>) -> Self {
        self.admission = admission;
        self
    }

    /// One more shorter way to the same bytes. What it leads to is checked like the download.
    #[must_use]
    pub fn with_delta(mut self, delta: Delta) -> Self {
        self.deltas.push(delta);
        self
    }

    /// The exact size in bytes.
    #[must_use]
    pub fn with_size(mut self, size: Option<u64>) -> Self {
        self.size = size;
        self
    }

    /// The highest size in bytes, where the files may be smaller.
    #[must_use]
    pub fn with_size_limit(mut self, size_limit: Option<u64>) -> Self {
        self.size_limit = size_limit;
        self
    }

    /// One more file in the same answer, behind the others, parted as a multipart form.
    #[must_use]
    pub fn with_part(mut self, file: ImageFile) -> Self {
        self.files.push(file);
        self.framing = Framing::Multipart;
        self
    }
}

/// A file in the VCDIFF format that makes the file of a [`Download`] out of an older one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Delta {
    /// Where to ask, the remote itself first and then each mirror.
    pub locations: Vec<Url>,
    /// The file it starts from.
    pub base: Sha256,
    /// Its own digest.
    pub sha256: Sha256,
    /// Its own size in bytes, where the index gives one.
    pub size: Option<u64>,
}

impl Delta {
    /// The delta of this digest that starts from the file `base`.
    #[must_use]
    pub fn new(locations: Vec<Url>, base: Sha256, sha256: Sha256, size: Option<u64>) -> Self {
        Self {
            locations,
            base,
            sha256,
            size,
        }
    }
}

/// How the files of a [`Download`] lie in the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// As a `multipart/form-data` body, one part a file, in order; file names in it are ignored.
    Multipart,
    /// The body is the file.
    Plain,
}

/// One file the index announces.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageFile {
    /// The plain name it is kept under, chosen by the source, never by the remote: `meta.tar.xz`.
    pub name: String,
    /// What it is for.
    pub role: FileRole,
    /// What its part has to be called where it comes in a multipart form; without a name any part is
    /// taken.
    pub part_name: Option<String>,
}

impl ImageFile {
    /// A file kept under this name, for this use.
    #[must_use]
    pub fn new(name: impl Into<String>, role: FileRole) -> Self {
        Self {
            name: name.into(),
            role,
            part_name: None,
        }
    }

    /// What its part of a multipart form has to be called.
    #[must_use]
    pub fn with_part_name(mut self, name: impl Into<String>) -> Self {
        self.part_name = Some(name.into());
        self
    }
}

/// What an image file is for, and so how it is unpacked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileRole {
    /// A disk of a virtual machine.
    Disk,
    /// One step of a system-image upgrade: a tarball with `system/`, `partitions/`, `removed`.
    /// Steps are applied in order.
    Layer,
    /// A tarball of small files about the image.
    Metadata,
    /// The root file system, as a tarball or squashfs.
    Rootfs,
    /// Kept and handed over, not unpacked: a keyring, a version tarball, a signature.
    Sidecar,
    /// A tarball with `metadata.yaml`, `rootfs/` and `templates/` (LXD's unified image).
    Unified,
}

/// Something that must hold for the bytes of a [`Download`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Check {
    /// They have this digest.
    Digest(Sha256),
    /// They are signed, in a detached signature at one of these places, by one of these keys.
    Signature {
        /// Where the `.asc` is: beside each of [`Download::locations`], in the same order.
        locations: Vec<Url>,
        /// Who may have signed.
        keys: Keyring,
    },
}
