use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, Dir, FlockOperation, Mode, OFlags, flock, fstat, openat, renameat, statat,
};
use rustix::io::Errno;

use crate::error::UnpackError;
use crate::remove::remove_tree;
use crate::target::{Target, make_private};

/// A directory beside the target that becomes the target, or goes away.
///
/// ```text
/// parent/.NAME.0123456789abcdef.partial/   0700, locked while its maker lives
/// parent/NAME/                             after publish
/// ```
#[derive(Debug)]
pub(crate) struct Staging {
    target: Target,
    name: Vec<u8>,
    directory: OwnedFd,
    published: bool,
}

impl Staging {
    /// Makes the directory, after removing what killed processes left for the same target.
    pub(crate) fn create(target: Target) -> Result<Self, UnpackError> {
        reclaim(&target);
        loop {
            let name = staging_name(target.name());
            let directory = match make_private(target.parent(), &name) {
                Ok(directory) => directory,
                Err(Errno::EXIST) => continue,
                Err(errno) => {
                    return Err(UnpackError::storage(
                        "cannot make a directory beside the target",
                        errno,
                    )
                    .about(target.name()));
                }
            };
            // File systems without locks get no reclaiming, for nobody can take the lock there.
            let _ = flock(&directory, FlockOperation::LockShared);
            if is_same(target.parent(), &name, &directory) {
                return Ok(Self {
                    target,
                    name,
                    directory,
                    published: false,
                });
            }
            // Somebody reclaimed it between making and locking.
        }
    }

    pub(crate) fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// Gives the directory the target's name; an empty directory there is replaced.
    pub(crate) fn publish(mut self) -> Result<(), UnpackError> {
        let parent = self.target.parent();
        renameat(parent, &self.name, parent, self.target.name()).map_err(|errno| {
            let error = match errno {
                Errno::NOTEMPTY | Errno::EXIST => {
                    UnpackError::target("the target was filled meanwhile")
                }
                Errno::NOTDIR => UnpackError::target("the target was made a file meanwhile"),
                Errno::BUSY => UnpackError::target("the target is a mount point"),
                errno => return UnpackError::storage("cannot rename to the target", errno),
            };
            error.because(errno).about(self.target.name())
        })?;
        self.published = true;
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.published {
            // What cannot be removed is left for `reclaim`.
            let _ = remove_tree(self.target.parent(), &self.name);
        }
    }
}

/// Removes staging directories of this target whose makers are gone.
fn reclaim(target: &Target) {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Ok(entries) = openat(target.parent(), ".", flags, Mode::empty()).and_then(Dir::new) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_bytes();
        if !is_staging_name(name, target.name()) {
            continue;
        }
        let Ok(directory) = openat(target.parent(), name, flags, Mode::empty()) else {
            continue;
        };
        let is_ours = fstat(&directory)
            .is_ok_and(|found| found.st_uid == rustix::process::geteuid().as_raw());
        if is_ours && flock(&directory, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = remove_tree(target.parent(), name);
        }
    }
}

fn is_same(parent: BorrowedFd<'_>, name: &[u8], directory: &OwnedFd) -> bool {
    match (
        statat(parent, name, AtFlags::SYMLINK_NOFOLLOW),
        fstat(directory),
    ) {
        (Ok(named), Ok(held)) => (named.st_dev, named.st_ino) == (held.st_dev, held.st_ino),
        _ => false,
    }
}

fn staging_name(target: &[u8]) -> Vec<u8> {
    let mut name = prefix(target);
    let random = RandomState::new().build_hasher().finish();
    name.extend_from_slice(format!("{random:016x}").as_bytes());
    name.extend_from_slice(SUFFIX);
    name
}

fn is_staging_name(name: &[u8], target: &[u8]) -> bool {
    name.strip_prefix(prefix(target).as_slice())
        .and_then(|rest| rest.strip_suffix(SUFFIX))
        .is_some_and(|random| random.len() == 16 && random.iter().all(u8::is_ascii_hexdigit))
}

/// The longest name a file system takes has 255 bytes.
fn prefix(target: &[u8]) -> Vec<u8> {
    [b".", &target[..target.len().min(200)], b"."].concat()
}

const SUFFIX: &[u8] = b".partial";
