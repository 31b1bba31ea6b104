use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use tar::{Builder, EntryType, Header};

use crate::error::{At, PublishError};
use crate::xz;

/// A plain file or symbolic link in a small tarball, owned by root.
#[derive(Clone, Debug)]
pub(super) struct Plain {
    name: String,
    content: Vec<u8>,
    kind: EntryType,
    mode: u32,
}

impl Plain {
    pub(super) fn new(name: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.into(),
            content: content.into(),
            kind: EntryType::Regular,
            mode: 0o644,
        }
    }

    pub(super) fn folder(name: impl Into<String>, mode: u32) -> Self {
        Self {
            mode,
            kind: EntryType::Directory,
            ..Self::new(name, "")
        }
    }

    pub(super) fn link(name: impl Into<String>, target: &str) -> Self {
        Self {
            mode: 0o777,
            kind: EntryType::Symlink,
            ..Self::new(name, target)
        }
    }
}

/// A small `.tar.xz` in memory.
pub(super) fn plain(members: &[Plain], seconds: u64) -> Result<Vec<u8>, PublishError> {
    let place = Path::new("a tarball in memory");
    let mut packed = xz::encoder(Vec::new()).at("pack", place)?;
    let mut tarball = Builder::new(&mut packed);
    for member in members {
        let mut header = Header::new_gnu();
        header.set_entry_type(member.kind);
        header.set_mode(member.mode);
        header.set_mtime(seconds);
        header.set_uid(0);
        header.set_gid(0);
        if member.kind == EntryType::Symlink {
            header.set_size(0);
            let target = Path::new(std::ffi::OsStr::from_bytes(&member.content));
            tarball
                .append_link(&mut header, &member.name, target)
                .at("pack", place)?;
        } else {
            header.set_size(member.content.len() as u64);
            tarball
                .append_data(&mut header, &member.name, &member.content[..])
                .at("pack", place)?;
        }
    }
    tarball.finish().at("pack", place)?;
    drop(tarball);
    packed.finish().at("pack", place)
}

/// Writes a directory as a tarball in GNU format: names sorted, without a leading `./`, numbers for
/// owners, hard links, device nodes, no extended attributes.
pub(super) fn tree(folder: &Path, to: impl Write) -> Result<(), PublishError> {
    let mut writer = TreeWriter {
        tarball: Builder::new(to),
        root: folder,
        links: HashMap::new(),
    };
    writer.tarball.follow_symlinks(false);
    writer.below(folder)?;
    writer.tarball.finish().at("pack", folder)?;
    let mut to = writer.tarball.into_inner().at("pack", folder)?;
    to.flush().at("pack", folder)
}

struct TreeWriter<'a, W: Write> {
    tarball: Builder<W>,
    root: &'a Path,
    links: HashMap<(u64, u64), Vec<u8>>,
}

impl<W: Write> TreeWriter<'_, W> {
    fn below(&mut self, folder: &Path) -> Result<(), PublishError> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder).at("list", folder)? {
            paths.push(entry.at("list", folder)?.path());
        }
        paths.sort();
        for path in paths {
            self.one(&path)?;
        }
        Ok(())
    }

    fn one(&mut self, path: &Path) -> Result<(), PublishError> {
        let found = fs::symlink_metadata(path).at("read", path)?;
        let name = path.strip_prefix(self.root).unwrap_or(path).to_owned();
        let mut header = Header::new_gnu();
        header.set_mode(found.mode() & 0o7777);
        header.set_uid(found.uid().into());
        header.set_gid(found.gid().into());
        header.set_mtime(u64::try_from(found.mtime()).unwrap_or(0));
        header.set_size(0);
        let kind = found.file_type();
        if !kind.is_dir() && found.nlink() > 1 {
            let inode = (found.dev(), found.ino());
            if let Some(first) = self.links.get(&inode) {
                header.set_entry_type(EntryType::Link);
                let first = std::ffi::OsStr::from_bytes(first);
                let linked = self.tarball.append_link(&mut header, &name, first);
                return linked.at("pack", path);
            }
            self.links
                .insert(inode, name.as_os_str().as_bytes().to_vec());
        }
        if kind.is_dir() {
            header.set_entry_type(EntryType::Directory);
            self.tarball
                .append_data(&mut header, &name, io::empty())
                .at("pack", path)?;
            return self.below(path);
        }
        if kind.is_symlink() {
            header.set_entry_type(EntryType::Symlink);
            let target = fs::read_link(path).at("read", path)?;
            let linked = self.tarball.append_link(&mut header, &name, target);
            return linked.at("pack", path);
        }
        if kind.is_file() {
            header.set_size(found.len());
            // What grows while it is read must not spill into the next header.
            let file = File::open(path).at("open", path)?.take(found.len());
            return self
                .tarball
                .append_data(&mut header, &name, file)
                .at("pack", path);
        }
        let entry_type = if kind.is_fifo() {
            EntryType::Fifo
        } else if kind.is_char_device() {
            EntryType::Char
        } else if kind.is_block_device() {
            EntryType::Block
        } else {
            return Err(PublishError::Pack {
                name: name.display().to_string(),
                problem: "a socket has no form in a tarball",
            });
        };
        header.set_entry_type(entry_type);
        let major = rustix::fs::major(found.rdev());
        let minor = rustix::fs::minor(found.rdev());
        header
            .set_device_major(major)
            .and_then(|()| header.set_device_minor(minor))
            .at("pack", path)?;
        self.tarball
            .append_data(&mut header, &name, io::empty())
            .at("pack", path)
    }
}
