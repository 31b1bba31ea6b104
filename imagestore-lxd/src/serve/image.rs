use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::SystemTime;

use imagestore_core::{Error, ErrorKind, Result};
use imagestore_verify::{Sha256, Verified};
use sha2::Digest;

use crate::index::ImageKind;

/// An image to be served.
///
/// # Defaults
/// A container for `x86_64`, without aliases, properties and times.
#[derive(Clone, Debug)]
pub struct ServedImage {
    pub(super) fingerprint: Sha256,
    pub(super) size: u64,
    pub(super) files: Vec<Served>,
    pub(super) architecture: String,
    pub(super) kind: ImageKind,
    pub(super) aliases: Vec<String>,
    pub(super) created_at: Option<SystemTime>,
    pub(super) expires_at: Option<SystemTime>,
    pub(super) properties: BTreeMap<String, String>,
}

/// One of its files, and what is known of its form.
#[derive(Clone, Debug)]
pub(super) struct Served {
    pub(super) file: Arc<File>,
    pub(super) length: u64,
    pub(super) ending: &'static str,
}

impl ServedImage {
    /// A unified image: one archive. Reads all of it, and so blocks.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`] if it cannot be read, [`ErrorKind::Malformed`] if it is empty.
    pub fn unified(archive: Verified<File>) -> Result<Self> {
        Self::of(vec![archive])
    }

    /// A split image: what is said about it, and its root. Reads all of it, and so blocks.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`] if a file cannot be read, [`ErrorKind::Malformed`] if one is empty.
    pub fn split(metadata: Verified<File>, rootfs: Verified<File>) -> Result<Self> {
        Self::of(vec![metadata, rootfs])
    }

    fn of(files: Vec<Verified<File>>) -> Result<Self> {
        let mut hasher = sha2::Sha256::new();
        let mut served = Vec::new();
        for file in files {
            // The files stay open, and reading by position leaves their offsets alone.
            let file = file.into_inner();
            served.push(Served::of(file, &mut hasher)?);
        }
        Ok(Self {
            fingerprint: Sha256::from_bytes(hasher.finalize().into()),
            size: served.iter().map(|file| file.length).sum(),
            files: served,
            architecture: "x86_64".to_owned(),
            kind: ImageKind::Container,
            aliases: Vec::new(),
            created_at: None,
            expires_at: None,
            properties: BTreeMap::new(),
        })
    }

    /// One more name.
    #[must_use]
    pub fn with_alias(mut self, alias: impl Into<String>) -> Self {
        self.aliases.push(alias.into());
        self
    }

    /// The architecture, under the name hosts use: `x86_64`, `aarch64`.
    #[must_use]
    pub fn with_architecture(mut self, architecture: impl Into<String>) -> Self {
        self.architecture = architecture.into();
        self
    }

    /// Container or virtual machine.
    #[must_use]
    pub fn with_kind(mut self, kind: ImageKind) -> Self {
        self.kind = kind;
        self
    }

    /// When it was made.
    #[must_use]
    pub fn with_created_at(mut self, created_at: Option<SystemTime>) -> Self {
        self.created_at = created_at;
        self
    }

    /// When it should no longer be used.
    #[must_use]
    pub fn with_expires_at(mut self, expires_at: Option<SystemTime>) -> Self {
        self.expires_at = expires_at;
        self
    }

    /// One more thing for people: `os`, `release`, `description`.
    #[must_use]
    pub fn with_property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.insert(name.into(), value.into());
        self
    }

    /// SHA-256 over its files, by which it is known.
    #[must_use]
    pub fn fingerprint(&self) -> Sha256 {
        self.fingerprint
    }
}

impl Served {
    fn of(file: File, hasher: &mut sha2::Sha256) -> Result<Self> {
        let unreadable = |cause: io::Error| {
            Error::new(ErrorKind::Storage, "cannot read an image file").with_source(cause)
        };
        let mut chunk = vec![0; CHUNK];
        let mut length = 0;
        let mut ending = None;
        loop {
            let count = file.read_at(&mut chunk, length).map_err(unreadable)?;
            if count == 0 {
                break;
            }
            ending.get_or_insert_with(|| sniff(&chunk[..count]));
            hasher.update(&chunk[..count]);
            length += count as u64;
        }
        let ending = ending.ok_or_else(|| {
            Error::new(ErrorKind::Malformed, "an image file to be served is empty")
        })?;
        Ok(Self {
            file: Arc::new(file),
            length,
            ending,
        })
    }
}

/// The ending hosts give a file of this form.
fn sniff(start: &[u8]) -> &'static str {
    [
        (&b"\xfd7zXZ"[..], ".tar.xz"),
        (b"\x1f\x8b", ".tar.gz"),
        (b"\x28\xb5\x2f\xfd", ".tar.zst"),
        (b"BZh", ".tar.bz2"),
        (b"hsqs", ".squashfs"),
        (b"QFI\xfb", ".qcow2"),
    ]
    .into_iter()
    .find_map(|(magic, ending)| start.starts_with(magic).then_some(ending))
    .unwrap_or(".tar")
}

pub(super) const CHUNK: usize = 256 << 10;
