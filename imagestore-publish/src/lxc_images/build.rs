use std::fs;
use std::path::{Path, PathBuf};

use imagestore_verify::signing::SigningKey;

use super::{Contents, MetaSource, RootfsSource};
use crate::build_id::BuildId;
use crate::error::{At, PublishError};
use crate::meta::Meta;
use crate::pack::{Packed, pack};
use crate::steps;
use crate::tree::{Publication, beside};
use crate::written::{Hashing, copy};
use crate::xz;

/// A build whose files lie in a folder that no reader looks into.
#[derive(Debug)]
pub(super) struct Staged {
    folder: PathBuf,
    pub(super) packed: Option<Packed>,
}

impl Staged {
    /// Writes the files of a build into a new folder.
    pub(super) fn new(
        folder: PathBuf,
        build: BuildId,
        contents: &Contents,
    ) -> Result<Self, PublishError> {
        steps::make_folders(&folder)?;
        let (rootfs, meta) = (folder.join(ROOTFS), folder.join(META));
        let mut packed = None;
        let written_rootfs = match &contents.rootfs {
            RootfsSource::Archive(path) => {
                let written = copy(path, &rootfs, None)?;
                xz::check_tarball(&rootfs)?;
                written
            }
            RootfsSource::Directory(path, options) => {
                let mut to = xz::encoder(Hashing::create(&rootfs, None)?).at("write", &rootfs)?;
                packed = Some(pack(path, options, &mut to)?);
                to.finish().at("write", &rootfs)?.finish()?
            }
        };
        let files = match &contents.meta {
            MetaSource::Archive(_) => None,
            MetaSource::Directory(path) => Some(Meta::from_directory(path)?),
            MetaSource::Files(meta) => Some(meta.clone()),
        };
        let written_meta = match (&contents.meta, files) {
            (MetaSource::Archive(path), _) => copy(path, &meta, None)?,
            (_, files) => {
                let devices = packed.as_ref().map_or(&[][..], |packed| &packed.devices);
                let files = files
                    .unwrap_or_else(|| Meta::new(""))
                    .complete(build.time(), devices);
                files.check()?;
                let mut to = Hashing::create(&meta, None)?;
                files.write(build.time(), &mut to).at("write", &meta)?;
                to.finish()?
            }
        };
        // Read back, whichever way it came: what readers will find is what counts.
        Meta::read(&meta)?;
        let (rootfs_digest, meta_digest) = (written_rootfs.sha256(), written_meta.sha256());
        let sums = format!("{rootfs_digest}  {ROOTFS}\n{meta_digest}  {META}\n");
        steps::write(&folder.join(SUMS), sums.as_bytes())?;
        Ok(Self { folder, packed })
    }

    /// Signs the files and shows them to readers.
    pub(super) fn publish(
        &self,
        publication: Publication,
        key: &SigningKey,
        place: &Path,
    ) -> Result<(), PublishError> {
        for file in FILES {
            publication.sign(key, &self.folder.join(file))?;
        }
        steps::sync_folder(&self.folder)?;
        steps::rename(&self.folder, place)
    }
}

/// What of a build is missing, if something is: each file and its signature must be there and not be empty.
pub(super) fn missing(folder: &Path) -> Option<String> {
    let both = |file: &str| [folder.join(file), beside(&folder.join(file))];
    let there =
        |path: &PathBuf| fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() > 0);
    let lacking = FILES.into_iter().flat_map(both).find(|path| !there(path))?;
    Some(lacking.file_name()?.to_string_lossy().into_owned())
}

/// What the metadata of a build say.
pub(super) fn meta(folder: &Path) -> Result<Meta, PublishError> {
    Meta::read(&folder.join(META))
}

const ROOTFS: &str = "rootfs.tar.xz";
const META: &str = "meta.tar.xz";
const SUMS: &str = "SHA256SUMS";
const FILES: [&str; 3] = [ROOTFS, META, SUMS];
