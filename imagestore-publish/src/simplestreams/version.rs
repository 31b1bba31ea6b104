use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use imagestore_verify::Sha256;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256 as Hash};

use super::contents::{ImageContents, ImageMetadata, yaml};
use crate::build_id::BuildId;
use crate::error::{At, PublishError};
use crate::image_name::ImageName;
use crate::lxc_images::RootfsSource;
use crate::pack::{Packed, pack};
use crate::steps;
use crate::tree::seconds;
use crate::xz;

/// What the product file says of one version. It lies beside the files, so that no publication has to read them again.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(super) struct Version {
    pub(super) aliases: Vec<String>,
    pub(super) items: BTreeMap<String, Item>,
}

/// One item of a version.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub(super) struct Item {
    #[serde(flatten)]
    combined: BTreeMap<String, String>,
    pub(super) ftype: String,
    pub(super) path: String,
    sha256: String,
    size: u64,
}

impl Version {
    /// Writes the files of a version into a new folder.
    pub(super) fn write(
        folder: &Path,
        name: &ImageName,
        build: BuildId,
        contents: &ImageContents,
    ) -> Result<(Self, Option<Packed>), PublishError> {
        let aliases = contents.names(name)?;
        if contents.rootfs.is_none() && contents.squashfs.is_none() && contents.disk.is_none() {
            let problem = "has neither a root file system nor a disk";
            return Err(PublishError::field("an image", problem, name.to_string()));
        }
        steps::make_folders(folder)?;
        let place = format!("images/{name}/{build}");
        let at = |file: &str| (folder.join(file), format!("{place}/{file}"));
        let (path, shown) = at(METADATA);
        let metadata = write_metadata(&path, name, build, &contents.metadata)?;
        let mut meta = metadata.item(METADATA, shown);
        let mut items = BTreeMap::new();
        let mut packed = None;
        if let Some(rootfs) = &contents.rootfs {
            let (path, shown) = at("rootfs.tar.xz");
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
            written.combine(&mut meta, &["combined_rootxz_sha256", "combined_sha256"]);
            items.insert("root.tar.xz".into(), written.item("root.tar.xz", shown));
        }
        let raw = [
            (
                &contents.squashfs,
                "rootfs.squashfs",
                "root.squashfs",
                "squashfs",
            ),
            (&contents.disk, "disk.qcow2", "disk.qcow2", "disk-kvm.img"),
        ];
        for (from, file, key, ftype) in raw {
            let Some(from) = from else { continue };
            let (path, shown) = at(file);
            check_magic(from, ftype)?;
            let written = copy(from, &path, Some(&metadata))?;
            let field = format!("combined_{}_sha256", ftype.replace('.', "-"));
            written.combine(&mut meta, &[&field]);
            items.insert(key.into(), written.item(ftype, shown));
        }
        // Each program looks for its own item only; to both it is the same file.
        for family in [METADATA, "incus.tar.xz"] {
            let item = Item {
                ftype: family.to_owned(),
                ..meta.clone()
            };
            items.insert(family.to_owned(), item);
        }
        let version = Self { aliases, items };
        let path = folder.join(FILE);
        steps::write(&path, &serde_json::to_vec(&version).at("write", &path)?)?;
        steps::sync_folder(folder)?;
        Ok((version, packed))
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
        .append_data(&mut header, "metadata.yaml", made.as_bytes())
        .at("write", to)?;
    let encoder = archive.into_inner().at("write", to)?;
    let written = encoder.finish().at("write", to)?.finish()?;
    check_metadata(to)?;
    Ok(written)
}

/// Readers refuse metadata that are a link, are larger than this, or do not say when and for what they were made.
fn check_metadata(path: &Path) -> Result<(), PublishError> {
    let mut archive = tar::Archive::new(xz::decoder(path)?);
    for entry in archive.entries().at("read", path)? {
        let mut entry = entry.at("read", path)?;
        let name = entry.path_bytes().into_owned();
        if name.strip_prefix(b"./").unwrap_or(&name) != YAML.as_bytes() {
            continue;
        }
        if !entry.header().entry_type().is_file() || entry.size() > MAX_YAML {
            return Err(PublishError::meta(
                "hold something that is no small regular file",
                YAML,
            ));
        }
        let mut text = String::new();
        entry.read_to_string(&mut text).at("read", path)?;
        for field in ["architecture", "creation_date"] {
            let says = |line: &str| {
                line.split_once(':')
                    .is_some_and(|(key, _)| key.trim_matches(['"', '\'']) == field)
            };
            if !text.lines().any(says) {
                return Err(PublishError::meta("lack a field", field));
            }
        }
        return Ok(());
    }
    Err(PublishError::meta("lack a file", YAML))
}

fn check_magic(path: &Path, ftype: &str) -> Result<(), PublishError> {
    let mut found = [0; 4];
    let magic: &[u8] = if ftype == "squashfs" {
        b"hsqs"
    } else {
        b"QFI\xfb"
    };
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut found));
    match read {
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(error).at("read", path),
        Ok(()) if found == magic => Ok(()),
        _ => Err(PublishError::field(
            "a file",
            if ftype == "squashfs" {
                "is no squashfs"
            } else {
                "is no qcow2 disk"
            },
            path.display().to_string(),
        )),
    }
}

fn copy(from: &Path, to: &Path, behind: Option<&Written>) -> Result<Written, PublishError> {
    let mut source = File::open(from).at("open", from)?;
    let mut copied = Hashing::create(to, behind)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return copied.finish(),
            Ok(count) => copied.write_all(&buffer[..count]).at("write", to)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error).at("read", from),
        }
    }
}

/// A file that was written: its own digest, and the one it has behind the metadata.
struct Written {
    own: Hash,
    combined: Option<Hash>,
    size: u64,
}

impl Written {
    fn item(&self, ftype: &str, path: String) -> Item {
        Item {
            combined: BTreeMap::new(),
            ftype: ftype.to_owned(),
            path,
            sha256: hex(&self.own),
            size: self.size,
        }
    }

    fn combine(&self, meta: &mut Item, fields: &[&str]) {
        for field in fields {
            if let Some(combined) = &self.combined {
                meta.combined.insert((*field).to_owned(), hex(combined));
            }
        }
    }
}

fn hex(hash: &Hash) -> String {
    Sha256::from_bytes(hash.clone().finalize().into()).to_string()
}

/// A new file, and the digests of what is written to it.
struct Hashing {
    file: BufWriter<File>,
    written: Written,
    path: PathBuf,
}

impl Hashing {
    fn create(path: &Path, behind: Option<&Written>) -> Result<Self, PublishError> {
        Ok(Self {
            file: BufWriter::with_capacity(1 << 20, steps::create(path)?),
            written: Written {
                own: Hash::new(),
                combined: behind.map(|metadata| metadata.own.clone()),
                size: 0,
            },
            path: path.to_owned(),
        })
    }

    fn finish(self) -> Result<Written, PublishError> {
        let file = self
            .file
            .into_inner()
            .map_err(io::IntoInnerError::into_error);
        steps::sync(&file.at("write", &self.path)?, &self.path)?;
        Ok(self.written)
    }
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        let (done, _) = bytes.split_at(count);
        self.written.own.update(done);
        if let Some(combined) = &mut self.written.combined {
            combined.update(done);
        }
        self.written.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

const METADATA: &str = "lxd.tar.xz";
const FILE: &str = "version.json";
const YAML: &str = "metadata.yaml";
const MAX_YAML: u64 = 1 << 20;
