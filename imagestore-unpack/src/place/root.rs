use std::cell::Cell;
use std::collections::BTreeMap;
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
    /// Whether directories are opened for the caller on the way.
    pub(super) unlocks: bool,
    /// Those that were, with the modes they had.
    pub(super) unlocked: BTreeMap<Vec<u8>, Mode>,
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
            unlocks: false,
            unlocked: BTreeMap::new(),
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
                self.unlock(path)?;
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
        let flags = flags | OFlags::CLOEXEC;
        if self.has_openat2.get() {
            let resolve = ResolveFlags::BENEATH
                | ResolveFlags::NO_SYMLINKS
                | ResolveFlags::NO_MAGICLINKS
                | ResolveFlags::NO_XDEV;
            for _ in 0..RACES {
                match openat2(&self.fd, path, flags, Mode::empty(), resolve) {
                    // A rename elsewhere on the system came between.
                    Err(Errno::AGAIN) => {}
                    // A link at the end of the path looks like a file here; the walk tells them apart.
                    Err(Errno::NOTDIR) => return self.walk(path, flags),
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
        let flags = flags | OFlags::NOFOLLOW;
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

/// A path's directory and its last component.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// Both ways of opening must give the same answers.
    #[test]
    fn opens_directories_and_nothing_through_links() {
        let work = tempfile::tempdir().expect("a temporary directory");
        let root = work.path().join("root");
        fs::create_dir_all(root.join("a/b")).expect("a directory");
        fs::write(root.join("file"), "").expect("a file");
        symlink("a", root.join("inside")).expect("a link");
        symlink("..", root.join("a/up")).expect("a link");
        let open = || Root::new(OwnedFd::from(fs::File::open(&root).expect("a directory")));
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        for root in [
            open().expect("a root"),
            open().expect("a root").without_openat2(),
        ] {
            for (path, expected) in [
                ("a", Ok(())),
                ("a/b", Ok(())),
                ("missing", Err(Errno::NOENT)),
                ("a/missing/b", Err(Errno::NOENT)),
                ("inside", Err(Errno::LOOP)),
                ("inside/b", Err(Errno::LOOP)),
                ("a/up", Err(Errno::LOOP)),
                ("a/up/a", Err(Errno::LOOP)),
                ("file", Err(Errno::NOTDIR)),
                ("file/x", Err(Errno::NOTDIR)),
            ] {
                let opened = root.open(path.as_bytes(), flags).map(drop);
                assert_eq!(opened, expected, "{path}");
            }
        }
    }

    #[test]
    fn keeps_the_newest_handles() {
        let work = tempfile::tempdir().expect("a temporary directory");
        for name in 0..20 {
            fs::create_dir(work.path().join(name.to_string())).expect("a directory");
        }
        let fd = OwnedFd::from(fs::File::open(work.path()).expect("a directory"));
        let mut root = Root::new(fd).expect("a root");
        for name in 0..20 {
            root.directory(name.to_string().as_bytes())
                .expect("it is there");
            root.directory(b"0").expect("it is there");
        }
        assert_eq!(root.handles.len(), HANDLES);
        assert_eq!(root.handles[0].0, b"0");
        let [one, other] = root.directories(b"3", b"0").expect("both");
        assert_ne!(
            fstat(one).expect("open").st_ino,
            fstat(other).expect("open").st_ino
        );
    }
}
