use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::check::{YAML, check_combined, check_magic, check_metadata};
use super::contents::{ImageContents, ImageMetadata, yaml};
use super::delta;
use super::item::{COMBINED_TYPE, Item, Kind, VIRTUAL_MACHINE};
use crate::build_id::BuildId;
use crate::error::{At, PublishError};
use crate::image_name::ImageName;
use crate::lxc_images::RootfsSource;
use crate::pack::{Packed, pack};
use crate::steps;
use crate::tree::seconds;
use crate::written::{Hashing, Written, copy};
use crate::xz;

/// What the product file says of one version. It lies beside the files, so that no publication has to read them again.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(super) struct Version {
    pub(super) aliases: Vec<String>,
    pub(super) items: BTreeMap<String, Item>,
}

/// The version before, and the program that makes deltas from it.
pub(super) struct Older<'a> {
    pub(super) build: BuildId,
    pub(super) folder: PathBuf,
    pub(super) version: Version,
    pub(super) program: &'a Path,
}

impl Version {
    /// Writes the files of a version into a new folder.
    pub(super) fn write(
        folder: &Path,
        name: &ImageName,
        build: BuildId,
        contents: &ImageContents,
        older: Option<&Older<'_>>,
    ) -> Result<Option<Packed>, PublishError> {
        let aliases = contents.names(name)?;
        let is_split =
            contents.rootfs.is_some() || contents.squashfs.is_some() || contents.disk.is_some();
        if !is_split && contents.combined.is_none() {
            let problem = "has neither a root file system nor a disk";
            return Err(PublishError::field("an image", problem, name.to_string()));
        }
        if is_split && contents.combined.is_some() {
            let problem = "goes alone: of several, LXD takes now this one and now that one";
            let name = name.to_string();
            return Err(PublishError::field("an image in one file", problem, name));
        }
        steps::make_folders(folder)?;
        let place = Place {
            folder,
            shown: format!("images/{name}/{build}"),
        };
        let mut items = BTreeMap::new();
        let mut packed = None;
        if is_split {
            packed = place.split(&mut items, name, build, contents, older)?;
        }
        if let Some(combined) = &contents.combined {
            place.combined(&mut items, combined)?;
        }
        let version = Self { aliases, items };
        let path = folder.join(FILE);
        steps::write(&path, &serde_json::to_vec(&version).at("write", &path)?)?;
        steps::sync_folder(folder)?;
        Ok(packed)
    }

    /// What it can be started as.
    pub(super) fn kinds(&self) -> impl Iterator<Item = Kind> {
        self.items.values().filter_map(Item::kind)
    }

    /// What is said of the version in a folder; nothing if it is not whole.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, PublishError> {
        let path = folder.join(FILE);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            bytes => bytes.at("read", &path)?,
        };
        let version: Self = serde_json::from_slice(&bytes).at("read", &path)?;
        let whole = |item: &Item| {
            let file = item.path.rsplit('/').next().unwrap_or_default();
            fs::metadata(folder.join(file)).is_ok_and(|file| file.len() == item.size)
        };
        Ok(version.items.values().all(whole).then_some(version))
    }
}

/// The folder of a version, and what it is called in the tree.
struct Place<'a> {
    folder: &'a Path,
    shown: String,
}

type Items = BTreeMap<String, Item>;

impl Place<'_> {
    fn at(&self, file: &str) -> (PathBuf, String) {
        (self.folder.join(file), format!("{}/{file}", self.shown))
    }

    /// Metadata, and all that is to be had with them.
    fn split(
        &self,
        items: &mut Items,
        name: &ImageName,
        build: BuildId,
        contents: &ImageContents,
        older: Option<&Older<'_>>,
    ) -> Result<Option<Packed>, PublishError> {
        let (path, shown) = self.at(METADATA);
        let metadata = write_metadata(&path, name, build, &contents.metadata)?;
        let mut meta = Item::new(&metadata, METADATA, shown);
        let mut packed = None;
        if let Some(rootfs) = &contents.rootfs {
            let (path, shown) = self.at("rootfs.tar.xz");
            let written = match rootfs {
                RootfsSource::Archive(from) => copy(from, &path, Some(&metadata))?,
                RootfsSource::Directory(from, options) => {
                    let to = Hashing::create(&path, Some(&metadata))?;
                    let mut to = xz::encoder(to).at("write", &path)?;
                    packed = Some(pack(from, options, &mut to)?);
                    to.finish().at("write", &path)?.finish()?
                }
            };
            xz::check_tarball(&path)?;
            meta.combine(&written, &["combined_rootxz_sha256", "combined_sha256"]);
            items.insert(
                "root.tar.xz".into(),
                Item::new(&written, "root.tar.xz", shown),
            );
        }
        for (from, raw) in [(&contents.squashfs, &SQUASHFS), (&contents.disk, &DISK)] {
            let Some(from) = from else { continue };
            let (path, shown) = self.at(raw.file);
            check_magic(from, raw.ftype)?;
            let written = copy(from, &path, Some(&metadata))?;
            let field = format!("combined_{}_sha256", raw.ftype.replace('.', "-"));
            meta.combine(&written, &[&field]);
            if let Some(older) = older {
                self.delta(items, raw, &path, &written, older)?;
            }
            items.insert(raw.key.into(), Item::new(&written, raw.ftype, shown));
        }
        // Each program looks for its own item only; to both it is the same file.
        for family in [METADATA, "incus.tar.xz"] {
            let item = Item {
                ftype: family.to_owned(),
                ..meta.clone()
            };
            items.insert(family.to_owned(), item);
        }
        Ok(packed)
    }

    /// The delta from the version before, if that has such a file and the delta is the shorter way.
    fn delta(
        &self,
        items: &mut Items,
        raw: &Raw,
        path: &Path,
        full: &Written,
        older: &Older<'_>,
    ) -> Result<(), PublishError> {
        if !older.version.items.contains_key(raw.key) {
            return Ok(());
        }
        let name = format!("{}.{}.vcdiff", raw.delta, older.build);
        let (delta, shown) = self.at(&name);
        delta::make(older.program, &older.folder.join(raw.file), path, &delta)?;
        let written = Written::of(&delta)?;
        if written.size >= full.size {
            return steps::remove_file(&delta);
        }
        let item = Item {
            delta_base: Some(older.build.to_string()),
            ..Item::new(&written, &format!("{}.vcdiff", raw.ftype), shown)
        };
        items.insert(name, item);
        Ok(())
    }

    /// Metadata and data in one file.
    fn combined(&self, items: &mut Items, from: &Path) -> Result<(), PublishError> {
        let kind = check_combined(from)?;
        let (path, shown) = self.at("combined.tar.gz");
        let written = copy(from, &path, None)?;
        let mut item = Item::new(&written, INCUS_COMBINED, shown);
        if kind == Kind::VirtualMachine {
            let (field, value) = (COMBINED_TYPE, VIRTUAL_MACHINE);
            item.fields.insert(field.to_owned(), value.to_owned());
        } else {
            // LXD takes every such item for a container.
            let ftype = LXD_COMBINED.to_owned();
            let same = Item {
                ftype: ftype.clone(),
                ..item.clone()
            };
            items.insert(ftype, same);
        }
        items.insert(INCUS_COMBINED.to_owned(), item);
        Ok(())
    }
}

/// A kind of data that is published byte for byte.
struct Raw {
    file: &'static str,
    key: &'static str,
    ftype: &'static str,
    delta: &'static str,
}

const SQUASHFS: Raw = Raw {
    file: "rootfs.squashfs",
    key: "root.squashfs",
    ftype: "squashfs",
    delta: "root",
};
const DISK: Raw = Raw {
    file: "disk.qcow2",
    key: "disk.qcow2",
    ftype: "disk-kvm.img",
    delta: "disk",
};

fn write_metadata(
    to: &Path,
    name: &ImageName,
    build: BuildId,
    from: &ImageMetadata,
) -> Result<Written, PublishError> {
    let made = match from {
        ImageMetadata::Archive(path) => {
            let written = copy(path, to, None)?;
            check_metadata(to)?;
            return Ok(written);
        }
        ImageMetadata::Made => yaml(name, build),
        ImageMetadata::Yaml(text) => text.clone(),
    };
    let mut header = tar::Header::new_gnu();
    header.set_size(made.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(seconds(build.time()));
    let mut archive = tar::Builder::new(xz::encoder(Hashing::create(to, None)?).at("write", to)?);
    archive
        .append_data(&mut header, YAML, made.as_bytes())
        .at("write", to)?;
    let encoder = archive.into_inner().at("write", to)?;
    let written = encoder.finish().at("write", to)?.finish()?;
    check_metadata(to)?;
    Ok(written)
}

const METADATA: &str = "lxd.tar.xz";
const FILE: &str = "version.json";
const INCUS_COMBINED: &str = "incus_combined.tar.gz";
const LXD_COMBINED: &str = "lxd_combined.tar.gz";
