use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, fstat, mkdirat, open, openat, statat};
use rustix::io::Errno;

use crate::error::UnpackError;
use crate::escape::escape;

/// A name in a directory that is held open.
#[derive(Debug)]
pub(crate) struct Target {
    parent: OwnedFd,
    name: Vec<u8>,
}

impl Target {
    /// The place a path means now. The path up to the last component is the caller's own and is
    /// followed; from then on the directory is what it was.
    pub(crate) fn open(path: &Path) -> Result<Self, UnpackError> {
        let Some(name) = path.file_name() else {
            return Err(UnpackError::target("the target has no name of its own").about(bytes(path)));
        };
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let fd = open(
            parent,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(|errno| {
            UnpackError::target("the target's parent is not a directory that can be opened")
                .because(errno)
                .about(bytes(parent))
        })?;
        Ok(Self {
            parent: fd,
            name: name.as_bytes().to_vec(),
        })
    }

    pub(crate) fn parent(&self) -> BorrowedFd<'_> {
        self.parent.as_fd()
    }

    pub(crate) fn name(&self) -> &[u8] {
        &self.name
    }

    /// Refuses what publishing could not replace, or should not.
    pub(crate) fn check_vacant(&self) -> Result<(), UnpackError> {
        let refuse = |message: &str| Err(UnpackError::target(message).about(&self.name));
        let there = match statat(&self.parent, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => {
                return Err(
                    UnpackError::storage("cannot look at the target", errno).about(&self.name)
                );
            }
            Ok(there) => there,
        };
        if FileType::from_raw_mode(there.st_mode) != FileType::Directory {
            return refuse("the target is there already and is not a directory");
        }
        let parent = fstat(&self.parent)
            .map_err(|errno| UnpackError::storage("cannot look at the target's parent", errno))?;
        if there.st_dev != parent.st_dev {
            return refuse("the target is a mount point; unpack beside it or below it");
        }
        if there.st_uid != rustix::process::geteuid().as_raw() {
            return refuse("the target belongs to somebody else");
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let entries = openat(&self.parent, self.name.as_slice(), flags, Mode::empty())
            .and_then(Dir::new)
            .map_err(|errno| UnpackError::storage("cannot look at the target", errno))?;
        for entry in entries {
            let entry = entry.map_err(|e| UnpackError::storage("cannot look at the target", e))?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                return refuse("the target is not empty");
            }
        }
        Ok(())
    }
}

/// Makes a directory that only the caller can enter, and opens it.
pub(crate) fn make_private(parent: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    mkdirat(parent, name, Mode::RWXU)?;
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let found = openat(parent, name, flags | OFlags::PATH, Mode::empty())?;
    if Mode::from_raw_mode(fstat(&found)?.st_mode) != Mode::RWXU {
        // The process's mask or the parent's set-group-id bit came in between. A handle that needs
        // no rights on the directory is no handle for `fchmod`; its entry in `/proc` is as good.
        let path = format!("/proc/self/fd/{}", found.as_raw_fd());
        rustix::fs::chmod(path, Mode::RWXU)?;
    }
    openat(&found, ".", flags | OFlags::RDONLY, Mode::empty())
}

/// Refuses a name that is more than one component.
pub(crate) fn check_name(name: &OsStr) -> Result<&[u8], UnpackError> {
    let bytes = name.as_bytes();
    if bytes.is_empty()
        || matches!(bytes, b"." | b"..")
        || bytes.contains(&b'/')
        || bytes.contains(&0)
    {
        return Err(UnpackError::target(format!(
            "`{}` is not the name of a directory to make",
            escape(bytes)
        )));
    }
    Ok(bytes)
}

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}
