use std::ffi::CString;
use std::fs::{File, TryLockError};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use imagestore_core::Result;
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{damaged, storage};
use crate::faults::reached;

/// An open directory of the store. Everything the store touches is named relative to one, one
/// component at a time, and never through a link.
///
/// A lock on it lasts as long as one clone of the handle it was taken by.
#[derive(Clone, Debug)]
pub(crate) struct Dir {
    file: Arc<File>,
    path: PathBuf,
}

impl Dir {
    /// Opens a directory by its path, which must be free of links: see [`Path::canonicalize`].
    pub(crate) fn open_path(path: &Path) -> Result<Self> {
        let flags = DIRECTORY | OFlags::NOFOLLOW;
        let fd = fs::open(path, flags, Mode::empty())
            .map_err(|errno| storage("open", path.display(), errno.into()))?;
        Ok(Self::of(fd, path.to_owned()))
    }

    /// The directory of this name, if there is one.
    pub(crate) fn open(&self, name: &str) -> Result<Option<Self>> {
        match fs::openat(
            &self.file,
            name,
            DIRECTORY | OFlags::NOFOLLOW,
            Mode::empty(),
        ) {
            Ok(fd) => Ok(Some(Self::of(fd, self.path.join(name)))),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(self.failed("open", name, errno)),
        }
    }

    /// The directory of this name, made if there is none.
    pub(crate) fn create(&self, name: &str) -> Result<Self> {
        // Another process may remove it between the two calls.
        for _ in 0..CREATE_ATTEMPTS {
            if let Some(dir) = self.open(name)? {
                return Ok(dir);
            }
            self.step("mkdir", name, || fs::mkdirat(&self.file, name, Mode::RWXU))
                .or_else(|failed| failed.ignore(Errno::EXIST))
                .map_err(|failed| failed.error)?;
        }
        Err(damaged("keeps vanishing", self.path.join(name).display()))
    }

    /// The regular file of this name, for reading, if there is one.
    pub(crate) fn open_file(&self, name: &str) -> Result<Option<File>> {
        self.open_with(name, OFlags::RDONLY)
    }

    /// The regular file of this name, for reading and writing, if there is one.
    pub(crate) fn open_file_to_write(&self, name: &str) -> Result<Option<File>> {
        self.open_with(name, OFlags::RDWR)
    }

    fn open_with(&self, name: &str, access: OFlags) -> Result<Option<File>> {
        // Without NONBLOCK, a fifo put in the place of a file would hold the caller for ever.
        let flags = access | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let fd = match fs::openat(&self.file, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(self.failed("open", name, errno)),
        };
        let stat = fs::fstat(&fd).map_err(|errno| self.failed("inspect", name, errno))?;
        let place = || self.path.join(name);
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(damaged("is no regular file", place().display()));
        }
        // A second name is a second way to write to it. None is left of a file that another process
        // replaces at this moment.
        if stat.st_nlink > 1 {
            let what = format!("has {} names, a file of a store has one", stat.st_nlink);
            return Err(damaged(what, place().display()));
        }
        Ok(Some(File::from(fd)))
    }

    /// A file of this name, which must not be there yet, for reading and writing.
    pub(crate) fn create_file(&self, name: &str) -> Result<File> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = self
            .step("create", name, || {
                fs::openat(&self.file, name, flags, Mode::RUSR | Mode::WUSR)
            })
            .map_err(|failed| failed.error)?;
        Ok(File::from(fd))
    }

    /// What the file of this name holds, if there is one, and if it is not larger than any file the
    /// store reads whole.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let Some(file) = self.open_file(name)? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        file.take(HIGHEST_READ + 1)
            .read_to_end(&mut bytes)
            .map_err(|cause| storage("read", self.path.join(name).display(), cause))?;
        if bytes.len() as u64 > HIGHEST_READ {
            let what =
                format!("is larger than the {HIGHEST_READ} bytes a file of this use can have");
            return Err(damaged(what, self.path.join(name).display()));
        }
        Ok(Some(bytes))
    }

    /// Puts a file with these bytes in place of what has this name: at any moment either all of the
    /// old or all of the new is there, also after a power cut once [`Dir::sync`] has returned.
    pub(crate) fn replace(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let temporary = format!(".{name}.{}", random_name());
        let mut file = self.create_file(&temporary)?;
        let written = self
            .step("write", name, || file.write_all(bytes).map_err(errno_of))
            .and_then(|()| self.step("fsync", name, || fs::fsync(&file)))
            .map_err(|failed| failed.error)
            .and_then(|()| self.rename(&temporary, self, name));
        if written.is_err() {
            // The first error is the one to tell.
            let _ = self.remove_file(&temporary);
        }
        written
    }

    /// Gives what is called `name` here the name `new` in `target`, in one step.
    pub(crate) fn rename(&self, name: &str, target: &Self, new: &str) -> Result<()> {
        self.step("rename", name, || {
            fs::renameat(&self.file, name, &target.file, new)
        })
        .map_err(|failed| failed.error)
    }

    /// Removes the file of this name, if there is one.
    pub(crate) fn remove_file(&self, name: &str) -> Result<()> {
        self.step("unlink", name, || {
            fs::unlinkat(&self.file, name, AtFlags::empty())
        })
        .or_else(|failed| failed.ignore(Errno::NOENT))
        .map_err(|failed| failed.error)
    }

    /// Removes what has this name with everything below, if there is anything.
    pub(crate) fn remove_tree(&self, name: &str) -> Result<()> {
        match self.kind(name)? {
            None => return Ok(()),
            Some(FileType::Directory) => {}
            Some(_) => return self.remove_file(name),
        }
        if let Some(dir) = self.open(name)? {
            for entry in dir.names()? {
                dir.remove_tree(&entry)?;
            }
        }
        self.step("rmdir", name, || {
            fs::unlinkat(&self.file, name, AtFlags::REMOVEDIR)
        })
        .or_else(|failed| failed.ignore(Errno::NOENT))
        .map_err(|failed| failed.error)
    }

    /// The names of all entries, sorted.
    pub(crate) fn names(&self) -> Result<Vec<String>> {
        let failed = |errno| self.failed("list", ".", errno);
        let mut names = Vec::new();
        for entry in fs::Dir::read_from(&self.file).map_err(failed)? {
            let name: CString = entry.map_err(failed)?.file_name().to_owned();
            let name = name
                .into_string()
                .map_err(|_| damaged("holds a name that is not UTF-8", self.path.display()))?;
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Makes the names in this directory outlast a power cut.
    pub(crate) fn sync(&self) -> Result<()> {
        self.step("fsync", ".", || fs::fsync(&self.file))
            .map_err(|failed| failed.error)
    }

    /// Makes the content of a file in this directory outlast a power cut, and refuses further
    /// writing by its name.
    pub(crate) fn seal(&self, name: &str, file: &File) -> Result<()> {
        self.step("chmod", name, || fs::fchmod(file, Mode::RUSR))
            .and_then(|()| self.step("fsync", name, || fs::fsync(file)))
            .map_err(|failed| failed.error)
    }

    /// Takes or converts the lock on this directory, if nobody holds it in a way that excludes
    /// that.
    pub(crate) fn try_lock(&self, lock: Lock) -> Result<bool> {
        let taken = match lock {
            Lock::Exclusive => self.file.try_lock(),
            Lock::Shared => self.file.try_lock_shared(),
        };
        match taken {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(cause)) => {
                let error = storage("lock", self.path.display(), cause);
                Err(error.with_remedy("put the store on a local file system, where flock works"))
            }
        }
    }

    /// Whether `child` is still the directory of this name here.
    pub(crate) fn holds(&self, name: &str, child: &Self) -> Result<bool> {
        let failed = |errno| self.failed("inspect", name, errno);
        let found = match fs::statat(&self.file, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(false),
            Err(errno) => return Err(failed(errno)),
        };
        let open = fs::fstat(&child.file).map_err(failed)?;
        Ok((found.st_dev, found.st_ino) == (open.st_dev, open.st_ino))
    }

    /// Whether there is a directory of this name.
    pub(crate) fn holds_directory(&self, name: &str) -> Result<bool> {
        Ok(self.kind(name)? == Some(FileType::Directory))
    }

    /// Whether there is anything of this name.
    pub(crate) fn holds_anything(&self, name: &str) -> Result<bool> {
        Ok(self.kind(name)?.is_some())
    }

    fn kind(&self, name: &str) -> Result<Option<FileType>> {
        match fs::statat(&self.file, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(self.failed("inspect", name, errno)),
        }
    }

    /// When what has this name was changed last; 1970 if that cannot be told.
    pub(crate) fn modified(&self, name: &str) -> SystemTime {
        let modified = self.open_file(name).ok().flatten().and_then(|file| {
            let metadata = file.metadata().ok()?;
            metadata.modified().ok()
        });
        modified.unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// Whether there is no other clone of this handle.
    pub(crate) fn is_alone(&self) -> bool {
        Arc::strong_count(&self.file) == 1
    }

    /// The same open directory, which was given another place.
    pub(crate) fn moved_to(self, path: PathBuf) -> Self {
        Self { path, ..self }
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn of(fd: OwnedFd, path: PathBuf) -> Self {
        Self {
            file: Arc::new(File::from(fd)),
            path,
        }
    }

    fn failed(&self, action: &str, name: &str, errno: Errno) -> imagestore_core::Error {
        storage(action, self.path.join(name).display(), errno.into())
    }

    fn step<T>(
        &self,
        step: &str,
        name: &str,
        work: impl FnOnce() -> rustix::io::Result<T>,
    ) -> Result<T, Failed> {
        reached(step, &self.path.join(name))
            .map_err(errno_of)
            .and_then(|()| work())
            .map_err(|errno| Failed {
                error: self.failed(action_of(step), name, errno),
                errno,
            })
    }
}

/// How a directory is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lock {
    /// By one, who changes or removes it.
    Exclusive,
    /// By many, who use what is in it.
    Shared,
}

/// A name nobody can guess.
pub(crate) fn random_name() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

struct Failed {
    errno: Errno,
    error: imagestore_core::Error,
}

impl Failed {
    fn ignore(self, errno: Errno) -> Result<(), Self> {
        if self.errno == errno {
            Ok(())
        } else {
            Err(self)
        }
    }
}

fn errno_of(cause: io::Error) -> Errno {
    Errno::from_io_error(&cause).unwrap_or(Errno::IO)
}

fn action_of(step: &str) -> &str {
    match step {
        "chmod" | "fsync" | "write" => "write",
        "mkdir" => "create",
        "rmdir" | "unlink" => "remove",
        step => step,
    }
}

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);
const CREATE_ATTEMPTS: usize = 16;
// What is read whole is ours: manifests, states, signatures. An index line cannot make one this
// large.
const HIGHEST_READ: u64 = 32 << 20;
