use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use imagestore_verify::Sha256;
use imagestore_verify::signing::SigningKey;
use serde_json::{Map, Value, json};
use sha2::Digest;

use super::contents::{BuildContents, SystemChannel};
use super::keyring::{KeyringRole, RoleKeyring};
use super::tarball::Plain;
use super::{diff, tarball, text};
use crate::error::{At, PublishError};
use crate::tree::{Publication, Tree, beside};
use crate::{steps, xz};

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
    keys: SystemImageKeys<'a>,
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

    /// Adds a channel, or makes it another kind of channel.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn channel(&self, name: &str, channel: &SystemChannel) -> Result<(), PublishError> {
        check_path("a channel", name)?;
        let run = self.run()?;
        let mut channels = run.channels()?;
        let entry = match channel {
            SystemChannel::Own { hidden } => {
                let mut entry = json!({"devices": devices(&channels, name)});
                if *hidden {
                    entry["hidden"] = json!(true);
                }
                entry
            }
            SystemChannel::Alias { target } => json!({"alias": target, "devices": {}}),
            SystemChannel::Redirect { target } => {
                json!({"redirect": target, "hidden": true, "devices": {}})
            }
        };
        channels.insert(name.to_owned(), entry);
        self.settle(&run, channels)
    }

    /// Sends one device of a channel to another channel.
    ///
    /// # Errors
    /// [`PublishError`], also if the other channel does not have the device.
    pub fn redirect_device(
        &self,
        channel: &str,
        device: &str,
        target: &str,
    ) -> Result<(), PublishError> {
        let run = self.run()?;
        let mut channels = run.channels()?;
        let mut there = devices(&channels, target);
        let Some(mut entry) = there.remove(device) else {
            let name = format!("{target}/{device}");
            return Err(PublishError::field("a device", "is not published", name));
        };
        entry["redirect"] = json!(target);
        let whole = channels.entry(channel).or_insert(json!({"devices": {}}));
        whole["devices"][device] = entry;
        self.settle(&run, channels)
    }

    /// Publishes the keyring of a device, whose keys may then sign its index and files.
    ///
    /// # Errors
    /// [`PublishError`], also if the device is not published.
    pub fn device_keyring(
        &self,
        channel: &str,
        device: &str,
        keyring: &RoleKeyring,
    ) -> Result<(), PublishError> {
        let run = self.run()?;
        let mut channels = run.channels()?;
        let entry = &mut channels[channel]["devices"][device];
        if !entry.is_object() {
            let name = format!("{channel}/{device}");
            return Err(PublishError::field("a device", "is not published", name));
        }
        let path = format!("{channel}/{device}/device-signing.tar.xz");
        entry["keyring"] = json!({"path": format!("/{path}"), "signature": format!("/{path}.asc")});
        let bytes = keyring.tarball(run.publication.seconds())?;
        run.replace(&path, &bytes, self.keys.image_signing)?;
        self.settle(&run, channels)
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

    /// Copies what aliases and redirects stand for, and replaces the channels.
    fn settle(&self, run: &Run<'_>, mut channels: Map<String, Value>) -> Result<(), PublishError> {
        let names: Vec<String> = channels.keys().cloned().collect();
        for name in &names {
            let target = |key: &str| channels[name][key].as_str().map(str::to_owned);
            if let Some(target) = target("redirect") {
                channels[name]["devices"] = Value::Object(devices(&channels, &target));
            } else if let Some(target) = target("alias") {
                let mut copied = Map::new();
                for device in devices(&channels, &target).keys() {
                    self.copy(run, name, &target, device)?;
                    let index = format!("/{name}/{device}/index.json");
                    copied.insert(device.clone(), json!({"index": index}));
                }
                channels[name]["devices"] = Value::Object(copied);
            }
        }
        let bytes = text::json(&Value::Object(channels));
        run.replace("channels.json", &bytes, self.keys.image_signing)
    }

    /// The images of a device of another channel, each with a version tarball that names this one.
    fn copy(
        &self,
        run: &Run<'_>,
        channel: &str,
        target: &str,
        device: &str,
    ) -> Result<(), PublishError> {
        let mut index = run.index(target, device)?;
        let own = format!("/{target}/{device}/version-");
        for image in &mut index.images {
            let number = version(image);
            let detail = image["version_detail"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            let made = self.version(
                run,
                &Version {
                    channel,
                    device,
                    number,
                    target: Some(target),
                    detail: &detail,
                },
            )?;
            for file in image["files"].as_array_mut().into_iter().flatten() {
                if file["path"]
                    .as_str()
                    .is_some_and(|path| path.starts_with(&own))
                {
                    let order = file["order"].clone();
                    *file = made.clone();
                    file["order"] = order;
                }
            }
        }
        run.put_index(channel, device, &index)
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

    fn version(&self, run: &Run<'_>, version: &Version<'_>) -> Result<Value, PublishError> {
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

    fn run(&self) -> Result<Run<'_>, PublishError> {
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

/// One publication, while nobody else publishes to the tree.
struct Run<'a> {
    tree: Tree,
    publication: Publication,
    key: &'a SigningKey,
}

struct Index {
    images: Vec<Value>,
}

struct Version<'a> {
    channel: &'a str,
    device: &'a str,
    number: u32,
    target: Option<&'a str>,
    detail: &'a str,
}

impl Run<'_> {
    fn channels(&self) -> Result<Map<String, Value>, PublishError> {
        match self.document("channels.json")? {
            Some(Value::Object(channels)) => Ok(channels),
            _ => Ok(Map::new()),
        }
    }

    fn index_path(&self, channel: &str, device: &str) -> PathBuf {
        self.tree.path(&format!("{channel}/{device}/index.json"))
    }

    fn index(&self, channel: &str, device: &str) -> Result<Index, PublishError> {
        let document = self.document(&format!("{channel}/{device}/index.json"))?;
        let images = document.and_then(|mut document| match document["images"].take() {
            Value::Array(images) => Some(images),
            _ => None,
        });
        Ok(Index {
            images: images.unwrap_or_default(),
        })
    }

    fn put_index(&self, channel: &str, device: &str, index: &Index) -> Result<(), PublishError> {
        let document = json!({
            "global": {"generated_at": text::date(self.publication.seconds())},
            "images": index.images,
        });
        let path = format!("{channel}/{device}/index.json");
        self.replace(&path, &text::json(&document), self.key)
    }

    fn document(&self, path: &str) -> Result<Option<Value>, PublishError> {
        let place = self.tree.path(path);
        match fs::read(&place) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).at("read", &place),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).at("read", &place),
        }
    }

    /// Replaces a document: both files are written first, then the signature is renamed and then
    /// the data.
    fn replace(&self, path: &str, bytes: &[u8], key: &SigningKey) -> Result<(), PublishError> {
        let place = self.tree.path(path);
        if let Some(folder) = place.parent() {
            steps::make_folders(folder)?;
        }
        let new = with_suffix(&place, ".new");
        let asc = key.sign_detached(bytes, self.publication.at);
        for (path, bytes) in [(&new, bytes), (&beside(&new), asc.as_bytes())] {
            forget(path)?;
            steps::write(path, bytes)?;
        }
        steps::rename(&beside(&new), &beside(&place))?;
        steps::rename(&new, &place)
    }

    /// Signs a file that is there already.
    fn sign(&self, path: &str, key: &SigningKey) -> Result<(), PublishError> {
        let place = self.tree.path(path.trim_start_matches('/'));
        let file = File::open(&place).at("open", &place)?;
        let asc = key.sign_file(io::BufReader::new(file), self.publication.at);
        let new = with_suffix(&place, ".asc.new");
        forget(&new)?;
        steps::write(&new, asc.at("sign", &place)?.as_bytes())?;
        steps::rename(&new, &beside(&place))
    }

    /// A tarball in the pool, named after what is in it.
    fn pooled(
        &self,
        name: &str,
        write: impl FnOnce(&mut dyn io::Write) -> Result<(), PublishError>,
    ) -> Result<Value, PublishError> {
        let new = self.tree.path(&format!("pool/.{name}.new"));
        steps::make_folders(&self.tree.path("pool"))?;
        forget(&new)?;
        let file = steps::create(&new)?;
        let mut hashed = Hashed {
            to: xz::encoder(file).at("pack", &new)?,
            hash: sha2::Sha256::new(),
        };
        write(&mut hashed)?;
        let Hashed { to, hash } = hashed;
        let file = to.finish().at("pack", &new)?;
        steps::sync(&file, &new)?;
        let hash = Sha256::from_bytes(hash.finalize().into());
        self.settle(&new, &format!("pool/{name}-{hash}.tar.xz"))
    }

    fn pooled_bytes(&self, name: &str, bytes: &[u8]) -> Result<Value, PublishError> {
        let new = self.tree.path(&format!("pool/.{name}.new"));
        steps::make_folders(&self.tree.path("pool"))?;
        forget(&new)?;
        steps::write(&new, bytes)?;
        let hash = Sha256::of(bytes);
        self.settle(&new, &format!("pool/{name}-{hash}.tar.xz"))
    }

    /// The files that lead from a part of a published build to the new one: none if nothing
    /// changed; a boot part whole, because overlays do not survive a delta.
    fn delta(&self, name: &str, base: &Value, new: &Value) -> Result<Option<Value>, PublishError> {
        let start = format!("/pool/{name}-");
        let mut there = files(base).filter_map(|file| file["path"].as_str());
        let old = there.find(|path| path.starts_with(&start));
        let target = new["path"].as_str().unwrap_or_default();
        let Some(old) = old.filter(|_| name != "boot") else {
            return Ok(Some(new.clone()));
        };
        if old == target {
            return Ok(None);
        }
        let stem = |path: &str| {
            let name = path.rsplit('/').next().unwrap_or_default();
            name.trim_end_matches(".tar.xz").to_owned()
        };
        let path = format!("pool/{}.delta-{}.tar.xz", stem(target), stem(old));
        let partial = self.tree.path(&format!("pool/.{name}.new"));
        forget(&partial)?;
        let mut to = xz::encoder(steps::create(&partial)?).at("pack", &partial)?;
        let at = |path: &str| self.tree.path(path.trim_start_matches('/'));
        diff::write(&at(old), &at(target), &mut to)?;
        let file = to.finish().at("pack", &partial)?;
        steps::sync(&file, &partial)?;
        self.settle(&partial, &path).map(Some)
    }

    /// Gives a tarball its name in the pool, with a signature beside it first. One that is there
    /// already has the same content and stays as it is.
    fn settle(&self, new: &Path, path: &str) -> Result<Value, PublishError> {
        let place = self.tree.path(path);
        if place.is_file() && beside(&place).is_file() {
            forget(new)?;
        } else {
            let file = File::open(new).at("open", new)?;
            let asc = self
                .key
                .sign_file(io::BufReader::new(file), self.publication.at);
            forget(&beside(&place))?;
            steps::write(&beside(&place), asc.at("sign", new)?.as_bytes())?;
            steps::rename(new, &place)?;
        }
        described(path, &place)
    }
}

struct Hashed<W> {
    to: W,
    hash: sha2::Sha256,
}

impl<W: io::Write> io::Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.to.write(bytes)?;
        self.hash.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// A file as an index announces it.
fn described(path: &str, place: &Path) -> Result<Value, PublishError> {
    let mut file = File::open(place).at("open", place)?;
    let (mut hash, mut size) = (sha2::Sha256::new(), 0_u64);
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer).at("read", place)? {
            0 => break,
            count => {
                hash.update(&buffer[..count]);
                size += count as u64;
            }
        }
    }
    Ok(json!({
        "path": format!("/{path}"),
        "signature": format!("/{path}.asc"),
        "checksum": Sha256::from_bytes(hash.finalize().into()).to_string(),
        "size": size,
    }))
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

fn devices(channels: &Map<String, Value>, channel: &str) -> Map<String, Value> {
    let whole = channels
        .get(channel)
        .and_then(|it| it["devices"].as_object());
    whole.cloned().unwrap_or_default()
}

fn files(image: &Value) -> impl Iterator<Item = &Value> {
    image["files"].as_array().into_iter().flatten()
}

fn is_full(image: &Value) -> bool {
    image["type"] == "full"
}

fn version(image: &Value) -> u32 {
    let number = image["version"].as_u64().unwrap_or_default();
    u32::try_from(number).unwrap_or_default()
}

/// Names go into paths, and into scripts of recoveries that split at blanks.
fn check_path(what: &'static str, name: &str) -> Result<(), PublishError> {
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

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Removes what a publication left that was broken off.
fn forget(path: &Path) -> Result<(), PublishError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).at("remove", path),
        _ => Ok(()),
    }
}
