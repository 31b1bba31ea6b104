use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, chmodat, mkdirat, statat, unlinkat};
use rustix::io::Errno;

use super::attributes::Attributes;
use super::name::MemberPath;
use super::root::explain;
use super::{Placer, cannot_create};
use crate::error::UnpackError;
use crate::tar::{Entry, Xattr};

/// A directory whose attributes are set when its content is complete.
#[derive(Debug)]
pub(super) struct PendingDirectory {
    path: Vec<u8>,
    attributes: Attributes,
    xattrs: Vec<Xattr>,
}

impl Placer<'_> {
    pub(super) fn directory(
        &mut self,
        path: &MemberPath,
        entry: &Entry,
    ) -> Result<(), UnpackError> {
        let attributes = self.attributes(entry)?;
        let xattrs = self.keep_xattrs(entry)?;
        if !path.is_root() && !self.is_directory(path)? {
            let masked = self.masked;
            self.in_parent(path, |parent, name| make(parent, name, masked))?;
        }
        self.tally.directories += 1;
        self.directories.push(PendingDirectory {
            path: path.bytes().to_vec(),
            attributes,
            xattrs,
        });
        Ok(())
    }

    /// Makes the directories that a member's name implies.
    pub(super) fn make_parents(&mut self, path: &[u8]) -> Result<(), UnpackError> {
        let ends = path
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'/')
            .map(|(end, _)| end);
        for end in ends.chain([path.len()]) {
            let (above, name) = match path[..end].iter().rposition(|byte| *byte == b'/') {
                Some(split) => (&path[..split], &path[split + 1..end]),
                None => (&b""[..], &path[..end]),
            };
            let masked = self.masked;
            let parent = self.root.directory(above).map_err(explain)?;
            match make(parent, name, masked) {
                Ok(()) => {}
                Err(Errno::EXIST) => continue,
                Err(errno) => return Err(cannot_create(errno)),
            }
            self.tally.directories += 1;
            self.directories.push(PendingDirectory {
                path: path[..end].to_vec(),
                attributes: Attributes {
                    mode: 0o755,
                    owner: self.policy.owners.of(0, 0)?,
                    modified: None,
                },
                xattrs: Vec::new(),
            });
        }
        Ok(())
    }

    /// Sets what is pending, the deepest first: a directory without permissions cannot be entered
    /// any more, and setting anything in it would change its time.
    pub(super) fn settle_directories(&mut self) -> Result<(), UnpackError> {
        let mut pending = std::mem::take(&mut self.directories);
        if !pending.iter().any(|directory| directory.path.is_empty()) {
            let attributes = Attributes {
                mode: 0o755,
                owner: None,
                modified: None,
            };
            pending.push(PendingDirectory {
                path: Vec::new(),
                attributes,
                xattrs: Vec::new(),
            });
        }
        // A stable sort: of several members for one directory the last stays last.
        let sort = |all: &mut Vec<PendingDirectory>| all.sort_by(|a, b| a.path.cmp(&b.path));
        sort(&mut pending);
        let restored = self.restored(&pending);
        pending.extend(restored);
        sort(&mut pending);
        for (place, directory) in pending.iter().enumerate().rev() {
            if pending
                .get(place + 1)
                .is_some_and(|next| next.path == directory.path)
            {
                self.tally.directories -= 1;
                continue;
            }
            self.settle(directory)
                .map_err(|error| error.about(&directory.path))?;
        }
        Ok(())
    }

    /// The directories that no member names and that were opened for the caller. `pending` is
    /// sorted.
    fn restored(&self, pending: &[PendingDirectory]) -> Vec<PendingDirectory> {
        let is_named =
            |path: &[u8]| pending.binary_search_by(|named| named.path.as_slice().cmp(path));
        let unlocked = self.root.unlocked();
        unlocked
            .filter(|(path, _)| is_named(path).is_err())
            .map(|(path, mode)| PendingDirectory {
                path: path.to_vec(),
                attributes: Attributes {
                    mode: mode.as_raw_mode(),
                    owner: None,
                    modified: None,
                },
                xattrs: Vec::new(),
            })
            .collect()
    }

    fn settle(&mut self, directory: &PendingDirectory) -> Result<(), UnpackError> {
        let opened;
        let fd = if directory.path.is_empty() {
            self.root.fd()
        } else {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            self.root.unlock(&directory.path).map_err(explain)?;
            opened = self.root.open(&directory.path, flags).map_err(explain)?;
            opened.as_fd()
        };
        directory.attributes.set_owner(fd)?;
        self.set_xattrs(fd, &directory.xattrs)?;
        directory.attributes.set_mode_and_time(fd)?;
        self.root.settled(&directory.path);
        Ok(())
    }

    fn is_directory(&mut self, path: &MemberPath) -> Result<bool, UnpackError> {
        let parent = match self.root.directory(path.parent()) {
            Err(Errno::NOENT) => return Ok(false),
            opened => opened.map_err(explain)?,
        };
        match statat(parent, path.name(), AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(cannot_create(errno)),
            Ok(found) => match FileType::from_raw_mode(found.st_mode) {
                FileType::Directory => Ok(true),
                // A link makes way for the directory; the mode never goes through it.
                FileType::Symlink => Ok(false),
                _ => Err(UnpackError::malformed("the name is that of a file already")),
            },
        }
    }
}

/// Makes a directory that the caller can fill.
fn make(parent: BorrowedFd<'_>, name: &[u8], masked: bool) -> Result<(), Errno> {
    mkdirat(parent, name, Mode::RWXU)?;
    if masked {
        // The directory was made a moment ago in a tree that only the caller can reach.
        chmodat(parent, name, Mode::RWXU, AtFlags::empty())?;
    }
    Ok(())
}

/// Tries the file system: whether new directories lack the owner's rights.
pub(super) fn probe(root: BorrowedFd<'_>) -> Result<bool, UnpackError> {
    let find = |name: &str| statat(root, name, AtFlags::SYMLINK_NOFOLLOW);
    mkdirat(root, PROBE, Mode::RWXU).map_err(cannot_create)?;
    let made = find(PROBE).map_err(cannot_create)?;
    let folded = find(&PROBE.to_uppercase());
    unlinkat(root, PROBE, AtFlags::REMOVEDIR).map_err(cannot_create)?;
    if folded.is_ok() {
        // Two members of a root file system would become one, in silence.
        return Err(UnpackError::target(
            "the target's file system takes names that differ in case for one",
        ));
    }
    Ok(!Mode::from_raw_mode(made.st_mode).contains(Mode::RWXU))
}

const PROBE: &str = "unpack-probe";
