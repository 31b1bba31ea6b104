use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, chmodat, openat, statat, unlinkat};
use rustix::io::Errno;

use crate::place::{Root, split};

/// Removes a directory and all below it; links are removed, never followed.
pub(crate) fn remove_tree(parent: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let top = match openat(parent, name, flags, Mode::empty()) {
        Err(Errno::ACCESS) => {
            chmodat(parent, name, Mode::RWXU, AtFlags::empty())?;
            openat(parent, name, flags, Mode::empty())?
        }
        opened => opened?,
    };
    // A finished tree has the modes of the archive: without rights of its own, perhaps.
    rustix::fs::fchmod(&top, Mode::RWXU)?;
    let mut root = Root::new(top).map_err(|_| Errno::IO)?;
    let mut found = vec![Vec::new()];
    let mut next = 0;
    while let Some(path) = found.get(next).cloned() {
        for below in empty_files(&mut root, &path)? {
            found.push(below);
        }
        next += 1;
    }
    // Parents were found before their children.
    for path in found.iter().skip(1).rev() {
        let (above, last) = split(path);
        unlinkat(root.directory(above)?, last, AtFlags::REMOVEDIR)?;
    }
    unlinkat(parent, name, AtFlags::REMOVEDIR)
}

/// Unlinks all but directories, and gives the paths of those.
fn empty_files(root: &mut Root, path: &[u8]) -> Result<Vec<Vec<u8>>, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let (above, last) = split(path);
    let opened = match path {
        b"" => openat(root.fd(), ".", flags | OFlags::CLOEXEC, Mode::empty()),
        path => root.open(path, flags),
    };
    let directory = match opened {
        Err(Errno::ACCESS) if !path.is_empty() => {
            chmodat(root.directory(above)?, last, Mode::RWXU, AtFlags::empty())?;
            root.open(path, flags)?
        }
        opened => opened?,
    };
    // Fails only where the caller is not the owner; then unlinking will tell.
    let _ = rustix::fs::fchmod(&directory, Mode::RWXU);
    let mut below = Vec::new();
    for entry in Dir::read_from(&directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let kind = match entry.file_type() {
            FileType::Unknown => FileType::from_raw_mode(
                statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode,
            ),
            kind => kind,
        };
        if kind == FileType::Directory {
            let start = if path.is_empty() {
                Vec::new()
            } else {
                [path, b"/"].concat()
            };
            below.push([start.as_slice(), name.to_bytes()].concat());
        } else {
            unlinkat(&directory, name, AtFlags::empty())?;
        }
    }
    Ok(below)
}
