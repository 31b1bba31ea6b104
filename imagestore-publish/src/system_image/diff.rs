use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};
use tar::{Archive, Builder, EntryType, Header};

use crate::error::{At, PublishError};
use crate::xz;

/// Writes the delta from one tarball to another.
///
/// `removed` lists, one a line, what is gone and what changed, so that a file can become a
/// directory; directories only when they are gone or become something else. Hard links are listed
/// and sent always, because the inode behind them may have changed. A change of time alone is not
/// sent.
pub(super) fn write(old: &Path, new: &Path, to: impl Write) -> Result<(), PublishError> {
    let (before, after) = (entries(old)?, entries(new)?);
    let mut sent: BTreeSet<&Vec<u8>> = BTreeSet::new();
    for (name, entry) in &after {
        let changed = before.get(name) != Some(entry);
        let is_link = entry.kind == EntryType::Link;
        if changed || is_link {
            sent.insert(name);
        }
        if let (true, Some((target, _))) = (is_link, after.get_key_value(&entry.target)) {
            sent.insert(target);
        }
    }
    let removed = before.iter().filter(|(name, old)| match after.get(*name) {
        None => true,
        Some(new) if old.kind == EntryType::Directory => new.kind != EntryType::Directory,
        Some(_) => sent.contains(name),
    });
    let mut list = Vec::new();
    for (name, _) in removed {
        list.extend_from_slice(name);
        list.push(b'\n');
    }
    let mut tarball = Builder::new(to);
    let mut header = Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(list.len() as u64);
    tarball
        .append_data(&mut header, "removed", &list[..])
        .at("pack", new)?;
    let mut archive = Archive::new(xz::decoder(new)?);
    for entry in archive.entries().at("read", new)? {
        let entry = entry.at("read", new)?;
        let name = name_of(&entry.path_bytes());
        if !sent.contains(&name) {
            continue;
        }
        let mut header = entry.header().clone();
        let path = entry.path().at("read", new)?.into_owned();
        let target = entry.link_name().at("read", new)?.map(|it| it.into_owned());
        match target {
            Some(target) => tarball.append_link(&mut header, path, target),
            None => tarball.append_data(&mut header, path, entry),
        }
        .at("pack", new)?;
    }
    tarball.finish().at("pack", new)?;
    let mut to = tarball.into_inner().at("pack", new)?;
    to.flush().at("pack", new)
}

/// What tells an entry from another; its time does not.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    kind: EntryType,
    mode: u32,
    uid: u64,
    gid: u64,
    device: (Option<u32>, Option<u32>),
    target: Vec<u8>,
    content: [u8; 32],
}

fn entries(path: &Path) -> Result<BTreeMap<Vec<u8>, Entry>, PublishError> {
    let mut found = BTreeMap::new();
    let mut archive = Archive::new(xz::decoder(path)?);
    for entry in archive.entries().at("read", path)? {
        let mut entry = entry.at("read", path)?;
        let name = name_of(&entry.path_bytes());
        let header = entry.header();
        let kind = match header.entry_type() {
            EntryType::Continuous => EntryType::Regular,
            kind => kind,
        };
        // A hard link names a member; where a symbolic link leads is content.
        let target = entry.link_name_bytes().map(|target| match kind {
            EntryType::Link => name_of(&target),
            _ => target.into_owned(),
        });
        let described = Entry {
            kind,
            mode: header.mode().at("read", path)?,
            uid: header.uid().at("read", path)?,
            gid: header.gid().at("read", path)?,
            device: match kind {
                EntryType::Block | EntryType::Char => (
                    header.device_major().at("read", path)?,
                    header.device_minor().at("read", path)?,
                ),
                _ => (None, None),
            },
            target: target.unwrap_or_default(),
            content: [0; 32],
        };
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 64 << 10];
        loop {
            match entry.read(&mut buffer).at("read", path)? {
                0 => break,
                count => hash.update(&buffer[..count]),
            }
        }
        let content = hash.finalize().into();
        found.insert(
            name,
            Entry {
                content,
                ..described
            },
        );
    }
    Ok(found)
}

/// A name without `./` before it and `/` behind it.
fn name_of(bytes: &[u8]) -> Vec<u8> {
    let bytes = bytes.strip_prefix(b"./").unwrap_or(bytes);
    bytes.strip_suffix(b"/").unwrap_or(bytes).to_vec()
}
