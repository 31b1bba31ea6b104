use std::path::PathBuf;
use std::time::SystemTime;

use imagestore_verify::signing::SigningKey;
use serde_json::json;

use super::contents::BuildContents;
use super::entry::{Version, entry, is_full, newest_full, version};
use super::keyring::{KeyringRole, RoleKeyring};
use super::run::Run;
use super::tarball;
use crate::error::PublishError;
use crate::tree::Tree;

/// The keys of a system-image server.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct SystemImageKeys<'a> {
    /// Signs image-master keyrings; clients have it already.
    pub archive_master: &'a SigningKey,
    /// Signs image-signing keyrings and the blacklist.
    pub image_master: &'a SigningKey,
    /// Signs channels, indexes, files and device-signing keyrings.
    pub image_signing: &'a SigningKey,
}

impl<'a> SystemImageKeys<'a> {
    /// These keys, from the root down.
    #[must_use]
    pub fn new(
        archive_master: &'a SigningKey,
        image_master: &'a SigningKey,
        image_signing: &'a SigningKey,
    ) -> Self {
        Self {
            archive_master,
            image_master,
            image_signing,
        }
    }
}

/// Publishes to a system-image tree, the server side of Ubuntu Touch.
///
/// ```text
/// ROOT/channels.json                              + .asc   by image-signing
/// ROOT/gpg/{archive-master,image-master,image-signing,blacklist}.tar.xz + .asc
/// ROOT/CHANNEL/DEVICE/index.json                  + .asc
/// ROOT/CHANNEL/DEVICE/version-N.tar.xz            + .asc   names channel, device and build
/// ROOT/CHANNEL/DEVICE/device-signing.tar.xz       + .asc   if there is one
/// ROOT/pool/NAME-HASH.tar.xz                      + .asc   full images
/// ROOT/pool/TARGET.delta-SOURCE.tar.xz            + .asc   deltas
/// ```
/// A name in the pool is never used for other bytes. Of a document the signature is replaced first,
/// then the data; clients ask again when they meet the moment between.
///
/// # Defaults
/// The system's clock; `localhost` as the server that version tarballs name.
#[derive(Debug)]
pub struct SystemImagePublisher<'a> {
    root: PathBuf,
    pub(super) keys: SystemImageKeys<'a>,
    now: Option<SystemTime>,
    pub(super) host: String,
}

impl<'a> SystemImagePublisher<'a> {
    /// A publisher to the tree below `root`. Touches nothing yet.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>, keys: SystemImageKeys<'a>) -> Self {
        Self {
            root: root.into(),
            keys,
            now: None,
            host: "localhost".to_owned(),
        }
    }

    /// The time by which to sign, instead of the system's clock.
    #[must_use]
    pub fn with_time(mut self, now: SystemTime) -> Self {
        self.now = Some(now);
        self
    }

    /// The server that version tarballs name.
    #[must_use]
    pub fn with_host(mut self, host: impl Into<String>) -> Self {
        self.host = host.into();
        self
    }

    /// Publishes a keyring under `gpg/`, signed by the key above it: archive-master and
    /// image-master by archive-master, image-signing and the blacklist by image-master.
    ///
    /// # Errors
    /// [`PublishError`]; a device-signing keyring goes with its device, see
    /// [`device_keyring`](Self::device_keyring).
    pub fn keyring(&self, keyring: &RoleKeyring) -> Result<(), PublishError> {
        let key = match keyring.role() {
            KeyringRole::ArchiveMaster | KeyringRole::ImageMaster => self.keys.archive_master,
            KeyringRole::Blacklist | KeyringRole::ImageSigning => self.keys.image_master,
            KeyringRole::DeviceSigning => {
                return Err(PublishError::field(
                    "a keyring",
                    "belongs to a device",
                    keyring.role().name(),
                ));
            }
        };
        let run = self.run()?;
        let path = format!("gpg/{}.tar.xz", keyring.role().name());
        let bytes = keyring.tarball(run.publication.seconds())?;
        run.replace(&path, &bytes, key)
    }

    /// Publishes a build: a full image, and a delta if one is wanted.
    ///
    /// # Errors
    /// [`PublishError`], with the documents as they were.
    pub fn publish(
        &self,
        channel: &str,
        device: &str,
        contents: &BuildContents,
    ) -> Result<PublishedBuild, PublishError> {
        check_path("a channel", channel)?;
        check_path("a device", device)?;
        let run = self.run()?;
        let mut index = run.index(channel, device)?;
        let newest = newest_full(&index.images);
        let number = newest.unwrap_or(0) + 1;
        let mut detail = contents.detail.clone();
        if !detail.is_empty() {
            detail.push(',');
        }
        detail.push_str(&format!("version={number}"));
        let version = Version {
            channel,
            device,
            number,
            target: None,
            detail: &detail,
        };
        let mut full = Vec::new();
        for part in &contents.parts {
            check_path("a part", &part.name)?;
            full.push(run.pooled(&part.name, |to| tarball::tree(&part.tree, to))?);
        }
        let keyring = self.keyring_part(&run)?;
        let tail = [keyring, self.version(&run, &version)?];
        let mut images = vec![entry(
            &version,
            None,
            contents,
            [full.clone(), tail.to_vec()].concat(),
        )];
        if let Some(base) = contents.delta_from {
            let source = index
                .images
                .iter()
                .find(|image| is_full(image) && self::version(image) == base);
            let Some(source) = source else {
                return Err(PublishError::field(
                    "the base of a delta",
                    "is not published",
                    base.to_string(),
                ));
            };
            let mut files = Vec::new();
            for (part, file) in contents.parts.iter().zip(&full) {
                files.extend(run.delta(&part.name, source, file)?);
            }
            images.push(entry(
                &version,
                Some(base),
                contents,
                [files, tail.to_vec()].concat(),
            ));
        }
        for image in &mut index.images {
            // A phase is of the newest build only.
            if let Some(image) = image.as_object_mut() {
                image.remove("phased-percentage");
            }
        }
        index.images.extend(images);
        run.put_index(channel, device, &index)?;
        let mut channels = run.channels()?;
        let whole = channels.entry(channel).or_insert(json!({"devices": {}}));
        whole["devices"][device]["index"] = json!(format!("/{channel}/{device}/index.json"));
        self.settle(&run, channels)?;
        Ok(PublishedBuild {
            version: number,
            signed_at: run.publication.at,
        })
    }

    pub(super) fn run(&self) -> Result<Run<'_>, PublishError> {
        let mut tree = Tree::open(&self.root)?;
        // What is remembered beside the tree counts; the documents do if that was lost. After a
        // change of keys they are no witness.
        let documents = match tree.path(".publish/state.json").is_file() {
            true => Vec::new(),
            false => vec![tree.path("channels.json")],
        };
        let now = self.now.unwrap_or_else(SystemTime::now);
        let publication = tree.next(now, self.keys.image_signing, &documents, 0)?;
        Ok(Run {
            tree,
            publication,
            key: self.keys.image_signing,
        })
    }
}

/// What was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PublishedBuild {
    /// Its number.
    pub version: u32,
    /// When it was signed.
    pub signed_at: SystemTime,
}

/// Names go into paths, and into scripts of recoveries that split at blanks.
pub(super) fn check_path(what: &'static str, name: &str) -> Result<(), PublishError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._+-".contains(&b);
    let fine =
        |part: &str| !part.is_empty() && !part.starts_with(['.', '-']) && part.bytes().all(plain);
    if name.split('/').all(fine) && name.len() <= 200 {
        return Ok(());
    }
    Err(PublishError::field(
        what,
        "has a name that is not plain",
        name,
    ))
}
