use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use imagestore_verify::Sha256;
use imagestore_verify::signing::SigningKey;
use serde_json::{Map, Value, json};
use sha2::Digest;

use super::{diff, text};
use crate::error::{At, PublishError};
use crate::tree::{Publication, Tree, beside};
use crate::{steps, xz};

/// One publication, while nobody else publishes to the tree.
pub(super) struct Run<'a> {
    pub(super) tree: Tree,
    pub(super) publication: Publication,
    pub(super) key: &'a SigningKey,
}

pub(super) struct Index {
    pub(super) images: Vec<Value>,
}

impl Run<'_> {
    pub(super) fn channels(&self) -> Result<Map<String, Value>, PublishError> {
        match self.document("channels.json")? {
            Some(Value::Object(channels)) => Ok(channels),
            _ => Ok(Map::new()),
        }
    }

    pub(super) fn index_path(&self, channel: &str, device: &str) -> PathBuf {
        self.tree.path(&format!("{channel}/{device}/index.json"))
    }

    pub(super) fn index(&self, channel: &str, device: &str) -> Result<Index, PublishError> {
        let document = self.document(&format!("{channel}/{device}/index.json"))?;
        let images = document.and_then(|mut document| match document["images"].take() {
            Value::Array(images) => Some(images),
            _ => None,
        });
        Ok(Index {
            images: images.unwrap_or_default(),
        })
    }

    pub(super) fn put_index(
        &self,
        channel: &str,
        device: &str,
        index: &Index,
    ) -> Result<(), PublishError> {
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
    pub(super) fn replace(
        &self,
        path: &str,
        bytes: &[u8],
        key: &SigningKey,
    ) -> Result<(), PublishError> {
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
    pub(super) fn sign(&self, path: &str, key: &SigningKey) -> Result<(), PublishError> {
        let place = self.tree.path(path.trim_start_matches('/'));
        let file = File::open(&place).at("open", &place)?;
        let asc = key.sign_file(io::BufReader::new(file), self.publication.at);
        let new = with_suffix(&place, ".asc.new");
        forget(&new)?;
        steps::write(&new, asc.at("sign", &place)?.as_bytes())?;
        steps::rename(&new, &beside(&place))
    }

    /// A tarball in the pool, named after what is in it.
    pub(super) fn pooled(
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

    pub(super) fn pooled_bytes(&self, name: &str, bytes: &[u8]) -> Result<Value, PublishError> {
        let new = self.tree.path(&format!("pool/.{name}.new"));
        steps::make_folders(&self.tree.path("pool"))?;
        forget(&new)?;
        steps::write(&new, bytes)?;
        let hash = Sha256::of(bytes);
        self.settle(&new, &format!("pool/{name}-{hash}.tar.xz"))
    }

    /// The files that lead from a part of a published build to the new one: none if nothing
    /// changed; a boot part whole, because overlays do not survive a delta.
    pub(super) fn delta(
        &self,
        name: &str,
        base: &Value,
        new: &Value,
    ) -> Result<Option<Value>, PublishError> {
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
pub(super) fn described(path: &str, place: &Path) -> Result<Value, PublishError> {
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

pub(super) fn files(image: &Value) -> impl Iterator<Item = &Value> {
    image["files"].as_array().into_iter().flatten()
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
