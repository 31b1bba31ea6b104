//! Whether files that were given are what readers take them for.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::item::Kind;
use crate::error::{At, PublishError};
use crate::xz;

/// Readers refuse metadata that are a link, are larger than this, or do not say when and for what they were made.
pub(super) fn check_metadata(path: &Path) -> Result<(), PublishError> {
    let mut archive = tar::Archive::new(xz::decoder(path)?);
    for entry in archive.entries().at("read", path)? {
        let mut entry = entry.at("read", path)?;
        if member(&entry) == YAML.as_bytes() {
            return check_yaml(&mut entry, path);
        }
    }
    Err(PublishError::meta("lack a file", YAML))
}

/// Whether a tarball holds metadata and a root file system or a disk; and that it is whole.
pub(super) fn check_combined(path: &Path) -> Result<Kind, PublishError> {
    let mut archive = tar::Archive::new(unpacked(path)?);
    let (mut described, mut found) = (false, None);
    let broken = |source| PublishError::Archive {
        path: path.to_owned(),
        source,
    };
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let name = member(&entry);
        if name == YAML.as_bytes() {
            check_yaml(&mut entry, path)?;
            described = true;
        } else if name == b"rootfs" || name.starts_with(b"rootfs/") {
            found = Some(Kind::Container);
        } else if name == b"rootfs.img" && entry.header().entry_type().is_file() {
            found.get_or_insert(Kind::VirtualMachine);
        }
    }
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(broken)?;
    match found {
        _ if !described => Err(PublishError::meta("lack a file", YAML)),
        Some(kind) => Ok(kind),
        None => {
            let problem = "holds neither rootfs/ nor rootfs.img";
            let path = path.display().to_string();
            Err(PublishError::field("an image in one file", problem, path))
        }
    }
}

fn check_yaml<R: Read>(entry: &mut tar::Entry<'_, R>, path: &Path) -> Result<(), PublishError> {
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
    Ok(())
}

fn member<R: Read>(entry: &tar::Entry<'_, R>) -> Vec<u8> {
    let name = entry.path_bytes();
    let name = name.strip_prefix(b"./").unwrap_or(&name);
    name.strip_suffix(b"/").unwrap_or(name).to_vec()
}

/// What a tarball holds that is packed with gzip, as its type says, or with xz: readers go by what is in it.
fn unpacked(path: &Path) -> Result<Box<dyn Read>, PublishError> {
    let mut file = File::open(path).at("open", path)?;
    let mut magic = [0; 2];
    let whole = file.read_exact(&mut magic);
    if whole.is_ok() && magic == [0x1f, 0x8b] {
        let file = File::open(path).at("open", path)?;
        return Ok(Box::new(MultiGzDecoder::new(BufReader::new(file))));
    }
    Ok(Box::new(xz::decoder(path)?))
}

/// Whether a file is of the type under which it is to be listed.
pub(super) fn check_magic(path: &Path, ftype: &str) -> Result<(), PublishError> {
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

pub(super) const YAML: &str = "metadata.yaml";
const MAX_YAML: u64 = 1 << 20;
