use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use imagestore_verify::signing::SigningKey;
use serde_json::{Map, Value, json};

use super::contents::BuildContents;
use super::keyring::{KeyringRole, RoleKeyring};
use super::run::{Run, described, files};
use super::tarball;
use super::tarball::Plain;
use crate::error::{At, PublishError};
use crate::tree::{Tree, beside};

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
    host: String,
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
        let newest = index
            .images
            .iter()
            .filter(|it| is_full(it))
            .map(version)
            .max();
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

    /// Offers the newest build to so many of a hundred devices; 0 withdraws it.
    ///
    /// # Errors
    /// [`PublishError`], also for a number above 100.
    pub fn phase(&self, channel: &str, device: &str, percentage: u8) -> Result<(), PublishError> {
        if percentage > 100 {
            let value = percentage.to_string();
            return Err(PublishError::field("a percentage", "is above 100", value));
        }
        let run = self.run()?;
        let mut index = run.index(channel, device)?;
        let newest = index.images.iter().map(version).max();
        for image in &mut index.images {
            if Some(version(image)) != newest {
                continue;
            }
            match (image.as_object_mut(), percentage) {
                (Some(image), 100) => drop(image.remove("phased-percentage")),
                (Some(image), _) => {
                    image.insert("phased-percentage".to_owned(), json!(percentage));
                }
                (None, _) => {}
            }
        }
        run.put_index(channel, device, &index)?;
        self.settle(&run, run.channels()?)
    }

    /// Keeps the newest so many full images and the deltas between them.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn expire(&self, channel: &str, device: &str, keep: usize) -> Result<(), PublishError> {
        let run = self.run()?;
        let mut index = run.index(channel, device)?;
        let mut fulls: Vec<_> = index
            .images
            .iter()
            .filter(|it| is_full(it))
            .map(version)
            .collect();
        fulls.sort_unstable();
        let kept: BTreeSet<_> = fulls.iter().rev().take(keep).copied().collect();
        index.images.retain(|image| {
            let base = image["base"].as_u64();
            kept.contains(&version(image))
                && base.is_none_or(|base| u32::try_from(base).is_ok_and(|it| kept.contains(&it)))
        });
        run.put_index(channel, device, &index)?;
        self.settle(&run, run.channels()?)
    }

    /// Signs anew, with the image-signing key of this publisher, after the key was changed: the
    /// channels, all indexes, the newest full image and all deltas. Older full images keep their
    /// signatures.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn sign_anew(&self) -> Result<(), PublishError> {
        let run = self.run()?;
        let channels = run.channels()?;
        let mut done = BTreeSet::new();
        for (channel, whole) in &channels {
            for device in whole["devices"].as_object().into_iter().flat_map(Map::keys) {
                let index = run.index(channel, device)?;
                let newest = index
                    .images
                    .iter()
                    .filter(|it| is_full(it))
                    .map(version)
                    .max();
                let signed = index
                    .images
                    .iter()
                    .filter(|image| !is_full(image) || Some(version(image)) == newest);
                for file in signed.flat_map(files) {
                    let path = file["path"].as_str().unwrap_or_default().to_owned();
                    if done.insert(path.clone()) {
                        run.sign(&path, self.keys.image_signing)?;
                    }
                }
                if run.index_path(channel, device).is_file() {
                    run.put_index(channel, device, &index)?;
                }
                let keyring = format!("{channel}/{device}/device-signing.tar.xz");
                if run.tree.path(&keyring).is_file() {
                    run.sign(&keyring, self.keys.image_signing)?;
                }
            }
        }
        self.settle(&run, channels)
    }

    /// The archive-master keyring, as it goes into every image.
    fn keyring_part(&self, run: &Run<'_>) -> Result<Value, PublishError> {
        let master = run.tree.path("gpg/archive-master.tar.xz");
        let (data, asc) = match (fs::read(&master), fs::read(beside(&master))) {
            (Ok(data), Ok(asc)) => (data, asc),
            (Err(error), _) | (_, Err(error)) => return Err(error).at("read", &master),
        };
        let folder = "system/usr/share/system-image/archive-master.tar.xz";
        let members = [
            Plain::new(folder, data),
            Plain::new(format!("{folder}.asc"), asc),
        ];
        let bytes = tarball::plain(&members, 0)?;
        run.pooled_bytes("keyring", &bytes)
    }

    pub(super) fn version(
        &self,
        run: &Run<'_>,
        version: &Version<'_>,
    ) -> Result<Value, PublishError> {
        let Version {
            channel,
            device,
            number,
            target,
            detail,
        } = version;
        let host = &self.host;
        let target = target.map_or(String::new(), |target| {
            format!("channel_target: {target}\n")
        });
        let ini = format!(
            "[service]\nbase: {host}\nhttp_port: 80\nhttps_port: 443\nchannel: {channel}\n\
             device: {device}\nbuild_number: {number}\n{target}version_detail: {detail}\n"
        );
        let folder = "system/etc/system-image";
        let members = [
            Plain::new("system/etc/ubuntu-build", format!("{number}\n")),
            Plain::new(format!("{folder}/channel.ini"), ini),
            Plain::folder(format!("{folder}/config.d"), 0o775),
            Plain::link(format!("{folder}/config.d/00_default.ini"), "../client.ini"),
            Plain::link(
                format!("{folder}/config.d/01_channel.ini"),
                "../channel.ini",
            ),
        ];
        let bytes = tarball::plain(&members, 0)?;
        let path = format!("{channel}/{device}/version-{number}.tar.xz");
        let place = run.tree.path(&path);
        if fs::read(&place).ok().as_deref() != Some(&bytes[..]) {
            run.replace(&path, &bytes, self.keys.image_signing)?;
        }
        described(&path, &place)
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

pub(super) struct Version<'a> {
    pub(super) channel: &'a str,
    pub(super) device: &'a str,
    pub(super) number: u32,
    pub(super) target: Option<&'a str>,
    pub(super) detail: &'a str,
}

fn entry(
    version: &Version<'_>,
    base: Option<u32>,
    contents: &BuildContents,
    mut files: Vec<Value>,
) -> Value {
    for (order, file) in files.iter_mut().enumerate() {
        file["order"] = json!(order);
    }
    let mut entry = json!({
        "description": version.detail,
        "files": files,
        "type": if base.is_some() { "delta" } else { "full" },
        "version": version.number,
        "version_detail": version.detail,
    });
    match (base, contents.minimum) {
        (Some(base), _) => entry["base"] = json!(base),
        (None, Some(minimum)) => entry["minversion"] = json!(minimum),
        (None, None) => {}
    }
    if contents.bootme {
        entry["bootme"] = json!(true);
    }
    entry
}

fn is_full(image: &Value) -> bool {
    image["type"] == "full"
}

pub(super) fn version(image: &Value) -> u32 {
    let number = image["version"].as_u64().unwrap_or_default();
    u32::try_from(number).unwrap_or_default()
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
