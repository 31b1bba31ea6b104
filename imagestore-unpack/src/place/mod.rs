//! From members to files, below one directory handle.
//!
//! No path text reaches the kernel but a member's own last component: its directory is opened
//! below the root with `openat2` (no links, no mounts, not upwards), and everything else acts on
//! handles. Directories get their owner, mode and times when all members are placed.

mod attributes;
mod directory;
mod file;
mod link;
mod name;
mod root;
mod special;
mod unlock;
mod xattr;

use std::collections::HashSet;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FileType, statat, unlinkat};
use rustix::io::Errno;

use self::directory::PendingDirectory;
pub(crate) use self::name::MemberPath;
use self::root::explain;
pub(crate) use self::root::{Root, split};
use crate::error::UnpackError;
use crate::policy::{Devices, Owners, Profile, Xattrs};
use crate::tar::{Entry, Kind, Walk};
use crate::unpacked::Unpacked;

/// What the caller allows.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) owners: Owners,
    pub(crate) devices: Devices,
    pub(crate) xattrs: Xattrs,
    pub(crate) profile: Profile,
    /// Whether the caller may do what only root may.
    pub(crate) is_root: bool,
}

/// Places members below a directory.
pub(crate) struct Placer<'a> {
    policy: &'a Policy,
    root: Root,
    directories: Vec<PendingDirectory>,
    /// Names of devices that were left out: a hard link to one is left out too.
    skipped: HashSet<Vec<u8>>,
    /// Whether the process's mask takes the owner's rights from new directories.
    masked: bool,
    largest_file: u64,
    tally: Unpacked,
}

impl<'a> Placer<'a> {
    /// Places below `root`, a new and empty directory that only the caller can reach.
    pub(crate) fn new(root: OwnedFd, policy: &'a Policy) -> Result<Self, UnpackError> {
        Self::within(Root::new(root)?, policy)
    }

    /// Places over what is there.
    pub(crate) fn within(root: Root, policy: &'a Policy) -> Result<Self, UnpackError> {
        let masked = directory::probe(root.fd())?;
        let largest_file = rustix::process::getrlimit(rustix::process::Resource::Fsize).current;
        Ok(Self {
            policy,
            root,
            directories: Vec::new(),
            skipped: HashSet::new(),
            masked,
            largest_file: largest_file.unwrap_or(u64::MAX),
            tally: Unpacked::default(),
        })
    }

    pub(crate) fn tally(&mut self) -> &mut Unpacked {
        &mut self.tally
    }

    /// Places one member, at `path`; its content comes from `walk`.
    pub(crate) fn place(
        &mut self,
        path: &MemberPath,
        entry: &Entry,
        link_path: Option<&MemberPath>,
        walk: &mut Walk<'_, '_>,
    ) -> Result<(), UnpackError> {
        if self.policy.profile == Profile::Flat {
            refuse_in_metadata(path, entry)?;
        }
        if path.is_root() && !matches!(entry.kind, Kind::Directory) {
            return Err(UnpackError::refused(
                "the root of the tree must be a directory",
            ));
        }
        match &entry.kind {
            Kind::Directory => self.directory(path, entry),
            Kind::File { sparse, .. } => self.file(path, entry, sparse.as_ref(), walk),
            Kind::Symlink(target) => self.symlink(path, entry, target),
            Kind::HardLink(_) => match link_path {
                Some(to) => self.hard_link(path, to),
                None => Err(UnpackError::refused(
                    "a hard link leaves the chosen subtree",
                )),
            },
            Kind::Fifo => self.special(path, entry, FileType::Fifo, 0),
            Kind::Block(device) => self.device(path, entry, FileType::BlockDevice, *device),
            Kind::Character(device) => self.device(path, entry, FileType::CharacterDevice, *device),
        }
    }

    /// Notes a member that is left out by the caller's choice.
    pub(crate) fn exclude(&mut self, path: &MemberPath, entry: &Entry) {
        self.tally.excluded += 1;
        if matches!(entry.kind, Kind::Block(_) | Kind::Character(_)) {
            self.skipped.insert(path.bytes().to_vec());
        }
    }

    /// Gives directories their attributes; after this the tree is what the archive says.
    pub(crate) fn finish(mut self) -> Result<Unpacked, UnpackError> {
        self.settle_directories()?;
        Ok(self.tally)
    }

    /// Runs `create` on the directory of a member, with the directory made if nobody named it.
    fn in_parent(
        &mut self,
        path: &MemberPath,
        create: impl Fn(std::os::fd::BorrowedFd<'_>, &[u8]) -> Result<(), Errno>,
    ) -> Result<(), UnpackError> {
        let parent = match self.root.directory(path.parent()) {
            Err(Errno::NOENT) => {
                self.make_parents(path.parent())?;
                self.root.directory(path.parent())
            }
            opened => opened,
        };
        let parent = parent.map_err(explain)?;
        match create(parent, path.name()) {
            Err(Errno::EXIST) => {}
            outcome => return outcome.map_err(cannot_create),
        }
        self.clear(path)?;
        let parent = self.root.directory(path.parent()).map_err(explain)?;
        create(parent, path.name()).map_err(cannot_create)
    }

    /// Makes way for a member whose name was there before: the last one counts, as in GNU tar,
    /// but a directory stays one.
    fn clear(&mut self, path: &MemberPath) -> Result<(), UnpackError> {
        if self.policy.profile == Profile::Flat {
            return Err(UnpackError::malformed("the name comes twice"));
        }
        let parent = self.root.directory(path.parent()).map_err(explain)?;
        let there =
            statat(parent, path.name(), AtFlags::SYMLINK_NOFOLLOW).map_err(cannot_create)?;
        if FileType::from_raw_mode(there.st_mode) == FileType::Directory {
            // A directory that turns into a link redirects whoever uses the tree's names.
            let message = "the name is that of a directory, which cannot become something else";
            return Err(if path.is_top() {
                UnpackError::refused(message)
            } else {
                UnpackError::malformed(message)
            });
        }
        unlinkat(parent, path.name(), AtFlags::empty()).map_err(cannot_create)
    }
}

/// Metadata is read on the host: nothing in it may point elsewhere or pass for the host's own.
fn refuse_in_metadata(path: &MemberPath, entry: &Entry) -> Result<(), UnpackError> {
    if !matches!(entry.kind, Kind::Directory | Kind::File { .. }) {
        return Err(UnpackError::refused(
            "metadata may hold regular files and directories, and nothing else",
        ));
    }
    let first = path
        .bytes()
        .split(|byte| *byte == b'/')
        .next()
        .unwrap_or_default();
    if HOST_NAMES.contains(&first) {
        return Err(UnpackError::refused(
            "the host keeps its own file under this name",
        ));
    }
    Ok(())
}

fn cannot_create(errno: Errno) -> UnpackError {
    UnpackError::storage("cannot create a member", errno)
}

/// Names that container managers write beside an image's metadata and trust.
const HOST_NAMES: [&[u8]; 2] = [b"backup.yaml", b"exec-output"];
