use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags, fstat, openat, openat2, statat};
use rustix::io::Errno;

use crate::error::UnpackError;

/// The directory everything is placed below.
pub(crate) struct Root {
    fd: OwnedFd,
    device: u64,
    handles: Vec<(Vec<u8>, OwnedFd)>,
    has_openat2: Cell<bool>,
}

impl Root {
    pub(crate) fn new(fd: OwnedFd) -> Result<Self, UnpackError> {
        let device = fstat(&fd)
            .map_err(|cause| UnpackError::storage("cannot read the target's attributes", cause))?
            .st_dev;
        Ok(Self {
            fd,
            device,
            handles: Vec::new(),
            has_openat2: Cell::new(true),
        })
    }

    /// Walks component by component even where the kernel could do it.
    #[cfg(test)]
    pub(crate) fn without_openat2(self) -> Self {
        self.has_openat2.set(false);
        self
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// A handle of a directory below the root, kept for the members that follow.
    pub(crate) fn directory(&mut self, path: &[u8]) -> Result<BorrowedFd<'_>, Errno> {
        if path.is_empty() {
            return Ok(self.fd.as_fd());
        }
        match self.handles.iter().position(|(kept, _)| kept == path) {
            Some(0) => {}
            Some(place) => self.handles[..=place].rotate_right(1),
            None => {
                let flags = OFlags::PATH | OFlags::DIRECTORY;
                let fd = match self.open(path, flags) {
                    Err(Errno::MFILE | Errno::NFILE) => {
                        self.handles.clear();
                        self.open(path, flags)?
                    }
                    opened => opened?,
                };
                self.handles.truncate(HANDLES - 1);
                self.handles.insert(0, (path.to_vec(), fd));
            }
        }
        Ok(self.handles[0].1.as_fd())
    }

    /// Handles of two directories at once.
    pub(crate) fn directories(
        &mut self,
        one: &[u8],
        other: &[u8],
    ) -> Result<[BorrowedFd<'_>; 2], Errno> {
        self.directory(one)?;
        self.directory(other)?;
        // Both are among the two newest, unless running out of handles threw the first away.
        let find = |path: &[u8]| {
            if path.is_empty() {
                return Some(self.fd.as_fd());
            }
            self.handles
                .iter()
                .find(|(kept, _)| kept == path)
                .map(|(_, fd)| fd.as_fd())
        };
        match (find(one), find(other)) {
            (Some(one), Some(other)) => Ok([one, other]),
            _ => Err(Errno::MFILE),
        }
    }

    /// Opens a path below the root; no component may be a link or on another file system.
    pub(crate) fn open(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        if self.has_openat2.get() {
            let resolve = ResolveFlags::BENEATH
                | ResolveFlags::NO_SYMLINKS
                | ResolveFlags::NO_MAGICLINKS
                | ResolveFlags::NO_XDEV;
            for _ in 0..RACES {
                match openat2(&self.fd, path, flags, Mode::empty(), resolve) {
                    // A rename elsewhere on the system came between.
                    Err(Errno::AGAIN) => {}
                    // Old kernels, and sandboxes that do not know the call.
                    Err(Errno::NOSYS | Errno::PERM) => {
                        self.has_openat2.set(false);
                        return self.walk(path, flags);
                    }
                    opened => return opened,
                }
            }
        }
        self.walk(path, flags)
    }

    /// What `openat2` does, one component at a time.
    fn walk(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let mut components = path.split(|byte| *byte == b'/').peekable();
        let mut above: Option<OwnedFd> = None;
        while let Some(component) = components.next() {
            let from = above.as_ref().map_or(self.fd.as_fd(), AsFd::as_fd);
            let last = components.peek().is_none();
            let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            let fd = openat(
                from,
                component,
                if last { flags } else { step },
                Mode::empty(),
            )
            .map_err(|errno| match errno {
                Errno::NOTDIR if is_link(from, component) => Errno::LOOP,
                errno => errno,
            })?;
            let found = fstat(&fd)?;
            if found.st_dev != self.device {
                return Err(Errno::XDEV);
            }
            above = Some(fd);
        }
        above.ok_or(Errno::NOENT)
    }
}

/// Says why a member's directory could not be opened.
pub(crate) fn explain(errno: Errno) -> UnpackError {
    match errno {
        Errno::LOOP => UnpackError::refused("the name passes through a symbolic link"),
        Errno::XDEV => UnpackError::refused("the name leaves the target's file system"),
        Errno::NOTDIR => UnpackError::malformed("the name passes through what is no directory"),
        errno => UnpackError::storage("cannot open the directory of a member", errno),
    }
}

fn is_link(directory: BorrowedFd<'_>, name: &[u8]) -> bool {
    statat(directory, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|found| {
        rustix::fs::FileType::from_raw_mode(found.st_mode) == rustix::fs::FileType::Symlink
    })
}

const HANDLES: usize = 8;
const RACES: u32 = 100;
