use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::buffer::spare_capacity;
use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, Stat, fstat, lgetxattr, llistxattr, major, minor, openat,
    readlinkat, statat,
};
use rustix::io::Errno;

use super::header::{Attribute, BLOCK, Entry, Kind};
use super::{Devices, Owners, PackOptions, Packed};
use crate::error::{At, PublishError};

/// Goes through a directory below its handle, name by name, and writes what it meets.
pub(super) struct Walk<'a, W> {
    folder: &'a Path,
    options: &'a PackOptions,
    to: W,
    packed: Packed,
    device: u64,
    links: HashMap<Inode, Vec<u8>>,
}

#[derive(PartialEq, Eq, Hash)]
struct Inode {
    device: u64,
    number: u64,
}

impl<'a, W: Write> Walk<'a, W> {
    pub(super) fn new(folder: &'a Path, options: &'a PackOptions, to: W) -> Self {
        Self {
            folder,
            options,
            to,
            packed: Packed::default(),
            device: 0,
            links: HashMap::new(),
        }
    }

    pub(super) fn run(mut self, root: OwnedFd) -> Result<Packed, PublishError> {
        let stat = fstat(&root).at("read", self.folder)?;
        self.device = stat.st_dev;
        let attributes = attributes(&root, c".").at("read the attributes of", self.folder)?;
        self.entry(Entry {
            attributes,
            ..self.described(b"./".to_vec(), Kind::Folder, &stat)
        })?;
        self.below(&root, b"./", 0)?;
        // Two empty blocks end a tarball, and blocks are written by twenties.
        let end = (self.packed.bytes + 2 * BLOCK as u64).next_multiple_of(20 * BLOCK as u64);
        let padding = end - self.packed.bytes;
        self.write(&vec![0; padding as usize])?;
        self.to.flush().at("write", self.folder)?;
        Ok(self.packed)
    }

    fn below(&mut self, folder: &OwnedFd, prefix: &[u8], depth: usize) -> Result<(), PublishError> {
        if depth > MAX_DEPTH {
            return Err(problem(prefix, "more than 256 folders lie in one another"));
        }
        let mut names: Vec<CString> = Vec::new();
        for entry in Dir::read_from(folder).at("list", &self.place(prefix))? {
            let entry = entry.at("list", &self.place(prefix))?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                names.push(entry.file_name().to_owned());
            }
        }
        names.sort_unstable();
        for name in names {
            let path = [prefix, name.to_bytes()].concat();
            self.one(folder, &name, path, depth)?;
        }
        Ok(())
    }

    fn one(
        &mut self,
        folder: &OwnedFd,
        name: &CStr,
        path: Vec<u8>,
        depth: usize,
    ) -> Result<(), PublishError> {
        let place = self.place(&path);
        let stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).at("read", &place)?;
        if stat.st_dev != self.device {
            return Err(problem(
                &path,
                "another file system is mounted there; unmount it",
            ));
        }
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => return self.folder(folder, name, path, depth),
            FileType::RegularFile => Kind::File,
            FileType::Symlink => Kind::Symlink,
            FileType::Fifo => Kind::Fifo,
            FileType::CharacterDevice => Kind::Character,
            FileType::BlockDevice => Kind::Block,
            FileType::Socket | FileType::Unknown => {
                self.packed.skipped.push(text(&path));
                return Ok(());
            }
        };
        if matches!(kind, Kind::Block | Kind::Character) {
            if self.options.devices == Devices::Skip {
                self.packed.skipped.push(text(&path));
                return Ok(());
            }
            self.packed.devices.push(text(&path));
        }
        if stat.st_nlink > 1 {
            let inode = Inode {
                device: stat.st_dev,
                number: stat.st_ino,
            };
            if let Some(first) = self.links.get(&inode) {
                let target = first.clone();
                let link = self.described(path, Kind::HardLink, &stat);
                return self.entry(Entry { target, ..link });
            }
            self.links.insert(inode, path.clone());
        }
        let attributes = attributes(folder, name).at("read the attributes of", &place)?;
        let mut entry = Entry {
            attributes,
            ..self.described(path, kind, &stat)
        };
        match kind {
            Kind::File => return self.file(folder, name, entry),
            Kind::Symlink => {
                entry.target = readlinkat(folder, name, Vec::new())
                    .at("read", &place)?
                    .into_bytes();
            }
            Kind::Block | Kind::Character => {
                entry.major = major(stat.st_rdev);
                entry.minor = minor(stat.st_rdev);
            }
            Kind::Fifo | Kind::Folder | Kind::HardLink => {}
        }
        self.entry(entry)
    }

    fn folder(
        &mut self,
        folder: &OwnedFd,
        name: &CStr,
        mut path: Vec<u8>,
        depth: usize,
    ) -> Result<(), PublishError> {
        let place = self.place(&path);
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
        let inner = openat(folder, name, flags, Mode::empty()).at("open", &place)?;
        let stat = fstat(&inner).at("read", &place)?;
        path.push(b'/');
        if stat.st_dev != self.device {
            return Err(problem(
                &path,
                "another file system is mounted there; unmount it",
            ));
        }
        let attributes = attributes(&inner, c".").at("read the attributes of", &place)?;
        self.entry(Entry {
            attributes,
            ..self.described(path.clone(), Kind::Folder, &stat)
        })?;
        self.below(&inner, &path, depth + 1)
    }

    fn file(
        &mut self,
        folder: &OwnedFd,
        name: &CStr,
        mut entry: Entry,
    ) -> Result<(), PublishError> {
        let place = self.place(&entry.name);
        // Without waiting: what was a file may be a pipe by this time.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::RDONLY | OFlags::CLOEXEC;
        let file = openat(folder, name, flags, Mode::empty()).at("open", &place)?;
        let stat = fstat(&file).at("read", &place)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(problem(&entry.name, "changed while it was read"));
        }
        entry.size = u64::try_from(stat.st_size).unwrap_or(0);
        let (name, size) = (entry.name.clone(), entry.size);
        self.entry(entry)?;
        let mut file = File::from(file).take(size);
        let mut buffer = vec![0; 256 << 10];
        let mut left = size;
        while left > 0 {
            match file.read(&mut buffer) {
                Ok(0) => return Err(problem(&name, "became shorter while it was read")),
                Ok(count) => {
                    self.write(&buffer[..count])?;
                    left -= count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error).at("read", &place),
            }
        }
        let padding = size.next_multiple_of(BLOCK as u64) - size;
        self.write(&[0; BLOCK][..padding as usize])
    }

    fn described(&self, name: Vec<u8>, kind: Kind, stat: &Stat) -> Entry {
        let owner = |id: u32| {
            if self.options.owners == Owners::Root {
                0
            } else {
                id
            }
        };
        Entry {
            name,
            kind,
            mode: stat.st_mode & 0o7777,
            uid: owner(stat.st_uid),
            gid: owner(stat.st_gid),
            seconds: stat.st_mtime,
            nanos: u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
            ..Entry::default()
        }
    }

    fn entry(&mut self, entry: Entry) -> Result<(), PublishError> {
        self.packed.entries += 1;
        self.write(&entry.to_bytes())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), PublishError> {
        self.packed.bytes += bytes.len() as u64;
        self.to
            .write_all(bytes)
            .at("write the tarball of", self.folder)
    }

    fn place(&self, path: &[u8]) -> PathBuf {
        self.folder
            .join(text(path.strip_prefix(b"./").unwrap_or(path)))
    }
}

/// The extended attributes of a name in a folder, but for those that belong to this machine.
fn attributes(folder: &OwnedFd, name: &CStr) -> Result<Vec<Attribute>, Errno> {
    // There is no `lgetxattrat` in kernels of today; this path ends at the name and does not follow it.
    let mut path = format!("/proc/self/fd/{}/", folder.as_fd().as_raw_fd()).into_bytes();
    path.extend(name.to_bytes());
    let mut names = Vec::with_capacity(MAX_ATTRIBUTES_BYTES);
    match llistxattr(&path[..], spare_capacity(&mut names)) {
        Ok(_) => {}
        Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    }
    let mut found = Vec::new();
    for name in names
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        if LOCAL.iter().any(|prefix| name.starts_with(prefix)) {
            continue;
        }
        let mut value = Vec::with_capacity(MAX_ATTRIBUTES_BYTES);
        lgetxattr(&path[..], name, spare_capacity(&mut value))?;
        found.push(Attribute {
            name: name.to_vec(),
            value,
        });
    }
    found.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

fn problem(name: &[u8], problem: &'static str) -> PublishError {
    PublishError::Pack {
        name: text(name).escape_debug().to_string(),
        problem,
    }
}

fn text(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

const LOCAL: &[&[u8]] = &[
    b"security.selinux",
    b"security.ima",
    b"security.evm",
    b"trusted.overlay.",
    b"user.overlay.",
];
/// The most Linux has for the names, and for each value.
const MAX_ATTRIBUTES_BYTES: usize = 64 << 10;
const MAX_DEPTH: usize = 256;
