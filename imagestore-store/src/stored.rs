use std::collections::BTreeMap;
use std::fs::{File, FileTimes};
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use imagestore_core::{Image, ImageFile, ImageId, Result};
use imagestore_verify::{Proof, Sha256, Verified};

use crate::dir::Dir;
use crate::error::{damaged, storage};
use crate::manifest::{MANIFEST, Manifest};
use crate::proof_record::ProofRecord;
use crate::staging::FILES;

/// A build that is here and checked. As long as this lives, the build is not pruned.
#[derive(Debug)]
pub struct StoredImage {
    id: ImageId,
    artifacts: Vec<Artifact>,
    fingerprint: Option<Sha256>,
    expires_at: Option<SystemTime>,
    fetched_at: SystemTime,
    properties: BTreeMap<String, String>,
    index_proofs: Vec<ProofRecord>,
    lease: Dir,
}

impl StoredImage {
    /// What tells this build from every other.
    #[must_use]
    pub fn id(&self) -> &ImageId {
        &self.id
    }

    /// Its files, in the order in which they are unpacked.
    #[must_use]
    pub fn artifacts(&self) -> &[Artifact] {
        &self.artifacts
    }

    /// The file that is kept under this name.
    #[must_use]
    pub fn artifact(&self, name: &str) -> Option<&Artifact> {
        self.artifacts
            .iter()
            .find(|artifact| artifact.file.name == name)
    }

    /// The digest by which LXD and Incus know the image, where the protocol has one.
    #[must_use]
    pub fn fingerprint(&self) -> Option<Sha256> {
        self.fingerprint
    }

    /// When it should no longer be used without asking the remote, if the index says so. It is
    /// advice: the image is not bad afterwards.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.expires_at
    }

    /// When it was downloaded.
    #[must_use]
    pub fn fetched_at(&self) -> SystemTime {
        self.fetched_at
    }

    /// What the index says about it, for people.
    #[must_use]
    pub fn properties(&self) -> &BTreeMap<String, String> {
        &self.properties
    }

    /// Why the index that names the files was believed when the image was fetched or last looked up:
    /// every document on the way to it.
    #[must_use]
    pub fn index_proofs(&self) -> &[ProofRecord] {
        &self.index_proofs
    }

    /// The bytes of all files together.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.artifacts.iter().map(|artifact| artifact.size).sum()
    }

    /// Where it is kept, for people to look at. What is read by this path is not checked.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.lease.path()
    }

    /// The build in `lease` of which these files, those of each download together, have passed.
    pub(crate) fn of(
        image: &Image,
        lease: Dir,
        manifest: &Manifest,
        files: &[Verified<Vec<File>>],
    ) -> Result<Self> {
        let mut artifacts = Vec::new();
        for (download, verified) in image.downloads.iter().zip(files) {
            for (number, file) in download.files.iter().enumerate() {
                let one = verified.as_ref().try_map(|files| {
                    let missing = || damaged("a file of the image is missing", &file.name);
                    reopen(&lease, &file.name, files.get(number).ok_or_else(missing)?)
                })?;
                artifacts.push(Artifact::new(file.clone(), one, manifest)?);
            }
        }
        Ok(Self {
            id: image.id.clone(),
            artifacts,
            fingerprint: image.fingerprint,
            expires_at: image.expires_at,
            fetched_at: manifest.fetched_at(),
            properties: image.properties.clone(),
            index_proofs: manifest.proofs().to_vec(),
            lease,
        })
    }

    /// The build in `lease` by its manifest alone.
    pub(crate) fn by_manifest(lease: Dir, manifest: &Manifest, artifacts: Vec<Artifact>) -> Self {
        Self {
            id: manifest.id(),
            artifacts,
            fingerprint: manifest.fingerprint(),
            expires_at: manifest.expires_at(),
            fetched_at: manifest.fetched_at(),
            properties: manifest.properties().clone(),
            index_proofs: manifest.proofs().to_vec(),
            lease,
        }
    }

    /// Notes that it was used. A store that cannot be written to is used all the same.
    pub(crate) fn touch(&self, now: SystemTime) {
        if let Ok(Some(manifest)) = self.lease.open_file(MANIFEST) {
            let _ = manifest.set_times(FileTimes::new().set_modified(now));
        }
    }
}

/// An image file that is here and checked.
#[derive(Debug)]
pub struct Artifact {
    file: ImageFile,
    verified: Verified<File>,
    size: u64,
    sha256: Sha256,
    fetch_proofs: Vec<ProofRecord>,
}

impl Artifact {
    /// What it is for and under which name it is kept.
    #[must_use]
    pub fn file(&self) -> &ImageFile {
        &self.file
    }

    /// The number of its bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Its digest.
    #[must_use]
    pub fn sha256(&self) -> Sha256 {
        self.sha256
    }

    /// Why it was believed when it was fetched. Without the keys of that time, or without its index, this
    /// is what is left to know of it.
    #[must_use]
    pub fn fetch_proofs(&self) -> &[ProofRecord] {
        &self.fetch_proofs
    }

    /// Why it may be believed.
    #[must_use]
    pub fn proofs(&self) -> &[Proof] {
        self.verified.proofs()
    }

    /// The open file that was checked, for reading.
    #[must_use]
    pub fn verified(&self) -> &Verified<File> {
        &self.verified
    }

    /// The same open file under another handle, at its first byte. All handles share one position:
    /// read one at a time, or by positions of your own.
    ///
    /// # Errors
    /// [`Storage`](imagestore_core::ErrorKind::Storage) if no more files can be opened.
    pub fn open(&self) -> Result<Verified<File>> {
        self.verified.as_ref().try_map(|file| {
            let failed = |cause| storage("open", &self.file.name, cause);
            let mut file = file.try_clone().map_err(failed)?;
            file.seek(SeekFrom::Start(0)).map_err(failed)?;
            Ok(file)
        })
    }

    pub(crate) fn new(
        file: ImageFile,
        verified: Verified<File>,
        manifest: &Manifest,
    ) -> Result<Self> {
        let noted = manifest.files.iter().find(|noted| noted.name == file.name);
        let missing = || damaged("a file of the image is not in the manifest", &file.name);
        let noted = noted.ok_or_else(missing)?;
        let sha256 = noted.sha256().ok_or_else(missing)?;
        Ok(Self {
            size: noted.size,
            sha256,
            fetch_proofs: noted.proofs().to_vec(),
            file,
            verified,
        })
    }
}

/// The same file, open for reading only: what was checked must not be written to by mistake.
fn reopen(lease: &Dir, name: &str, checked: &File) -> Result<File> {
    let files = lease.open(FILES)?;
    let missing = || {
        damaged(
            "a file of the image is missing",
            lease.path().join(name).display(),
        )
    };
    let file = files
        .ok_or_else(missing)?
        .open_file(name)?
        .ok_or_else(missing)?;
    let inode = |file: &File| {
        file.metadata()
            .map(|metadata| (metadata.dev(), metadata.ino()))
    };
    match (inode(&file), inode(checked)) {
        (Ok(found), Ok(expected)) if found == expected => Ok(file),
        (Err(cause), _) | (_, Err(cause)) => Err(storage("inspect", name, cause)),
        _ => Err(damaged(
            "was replaced while it was checked",
            lease.path().join(name).display(),
        )),
    }
}
