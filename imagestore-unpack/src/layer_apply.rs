use std::fs::File;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use imagestore_verify::Verified;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, fstatvfs, openat, statat, unlinkat};
use rustix::io::Errno;

use crate::decode::{Budget, Decoding, Packed, XzBackend, with_feed};
use crate::error::UnpackError;
use crate::layer::{Layer, Place, place};
use crate::limits::UnpackLimits;
use crate::place::{MemberPath, Placer, Policy, Root};
use crate::policy::{Devices, Owners, Profile, Xattrs};
use crate::progress::{UnpackProgress, Watch};
use crate::remove::remove_tree;
use crate::tar::{Entry, Kind, Time, Walk};
use crate::unpacked::Unpacked;

/// Applies layers to a directory, one after the other.
///
/// All calls block. A layer that is refused may have been applied in part: fill a
/// [`StagedTarget`](crate::StagedTarget), or apply the same layers again, which leads to the same
/// tree.
///
/// # Defaults
///
/// Those of [`Unpacker`](crate::Unpacker).
#[derive(Clone, Debug, Default)]
pub struct LayerApplier {
    owners: Option<Owners>,
    devices: Devices,
    xattrs: Xattrs,
    limits: UnpackLimits,
    cancel: Option<Arc<AtomicBool>>,
    watch: Option<Watch>,
}

/// What a layer is applied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerBase {
    /// Nothing but layers of the same full image: what it says is removed is not looked for.
    Nothing,
    /// The tree it was made from: what it says is removed is deleted first.
    Tree,
}

impl LayerApplier {
    /// An applier with the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Chooses who owns what is placed.
    #[must_use]
    pub fn with_owners(self, owners: Option<Owners>) -> Self {
        Self { owners, ..self }
    }

    /// Chooses what happens to device nodes.
    #[must_use]
    pub fn with_devices(self, devices: Devices) -> Self {
        Self { devices, ..self }
    }

    /// Chooses which extended attributes are kept.
    #[must_use]
    pub fn with_xattrs(self, xattrs: Xattrs) -> Self {
        Self { xattrs, ..self }
    }

    /// Sets what a layer may cost.
    #[must_use]
    pub fn with_limits(self, limits: UnpackLimits) -> Self {
        Self { limits, ..self }
    }

    /// Stops soon after the flag is set, with [`Canceled`](crate::UnpackErrorKind::Canceled).
    #[must_use]
    pub fn with_cancel(self, cancel: Arc<AtomicBool>) -> Self {
        Self {
            cancel: Some(cancel),
            ..self
        }
    }

    /// Tells `watch` about every quarter of a mebibyte, from the calling thread.
    #[must_use]
    pub fn with_progress(self, watch: impl Fn(UnpackProgress) + Send + Sync + 'static) -> Self {
        Self {
            watch: Some(Watch(Arc::new(watch))),
            ..self
        }
    }

    /// The limits, for reading a layer.
    #[must_use]
    pub fn limits(&self) -> &UnpackLimits {
        &self.limits
    }

    /// Deletes what the layer says is removed, then places its members over what is there.
    ///
    /// The directory itself stays private to the caller. An ordinary user gets the right to write to
    /// directories of the tree for as long as the call takes.
    ///
    /// # Errors
    ///
    /// [`UnpackErrorKind`](crate::UnpackErrorKind) lists them.
    pub fn apply(
        &self,
        archive: &Verified<File>,
        layer: &Layer,
        base: LayerBase,
        directory: impl AsFd,
    ) -> Result<Unpacked, UnpackError> {
        let directory = directory.as_fd();
        if base == LayerBase::Tree {
            let mut root = tree(directory)?;
            for path in &layer.removed {
                remove(&mut root, path).map_err(|error| error.about(path.bytes()))?;
            }
        }
        let is_root = rustix::process::geteuid().is_root();
        let default = if is_root {
            Owners::Recorded
        } else {
            Owners::Caller
        };
        let policy = Policy {
            owners: self.owners.clone().unwrap_or(default),
            devices: self.devices,
            xattrs: self.xattrs,
            profile: Profile::Rootfs,
            is_root,
        };
        let decoding = Decoding {
            limits: &self.limits,
            budget: budget(directory, self.limits.bytes)?,
            cancel: self.cancel.as_deref(),
            threads: NonZeroUsize::MIN,
            watch: self.watch.as_ref(),
            xz: XzBackend::default(),
        };
        let placer = Placer::within(tree(directory)?, &policy)?;
        with_feed(Packed::file(archive)?, decoding, |feed| {
            let unpacked = self.fill(&mut Walk::new(feed, &self.limits), placer)?;
            feed.report();
            Ok(unpacked)
        })
    }

    fn fill(
        &self,
        walk: &mut Walk<'_, '_>,
        mut placer: Placer<'_>,
    ) -> Result<Unpacked, UnpackError> {
        // Set-user-id programs of the tree are nobody's business on this machine.
        let top = private_top();
        placer.place(&MemberPath::parse(b".", &self.limits)?, &top, None, walk)?;
        while let Some(entry) = walk.next()? {
            self.place(walk, &mut placer, &entry)
                .map_err(|error| error.about(&entry.name).at(entry.offset))?;
        }
        let mut unpacked = placer.finish()?;
        unpacked.directories -= 1;
        Ok(unpacked)
    }

    fn place(
        &self,
        walk: &mut Walk<'_, '_>,
        placer: &mut Placer<'_>,
        entry: &Entry,
    ) -> Result<(), UnpackError> {
        let path = MemberPath::parse(&entry.name, &self.limits)?;
        if place(&path, &entry.kind)? == Place::Nowhere {
            return Ok(());
        }
        let to = match &entry.kind {
            Kind::HardLink(target) => Some(MemberPath::parse(target, &self.limits)?),
            _ => None,
        };
        placer.place(&path, entry, to.as_ref(), walk)
    }
}

/// Deletes a path with all below it; one that is gone already is fine.
fn remove(root: &mut Root, path: &MemberPath) -> Result<(), UnpackError> {
    let parent = match root.directory(path.parent()) {
        // What lies below a file that is gone, or is no directory, is gone too.
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
        Err(Errno::LOOP) => {
            return Err(UnpackError::refused(
                "`removed` names a path through a symbolic link",
            ));
        }
        opened => opened.map_err(cannot_remove)?,
    };
    let found = match statat(parent, path.name(), AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(()),
        found => found.map_err(cannot_remove)?,
    };
    if FileType::from_raw_mode(found.st_mode) != FileType::Directory {
        return unlinkat(parent, path.name(), AtFlags::empty()).map_err(cannot_remove);
    }
    // The kept handle is one for its path only; deleting asks for one to act on.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let parent = openat(parent, ".", flags, Mode::empty()).map_err(cannot_remove)?;
    remove_tree(parent.as_fd(), path.name()).map_err(cannot_remove)?;
    // Handles of directories that are gone must not be used for what takes their place.
    *root = tree(root.fd())?;
    Ok(())
}

/// A tree that is filled already. Root may write everywhere; its owner takes the right where the
/// modes of the image do not give it.
fn tree(directory: BorrowedFd<'_>) -> Result<Root, UnpackError> {
    let root = Root::new(cloned(directory)?)?;
    Ok(if rustix::process::geteuid().is_root() {
        root
    } else {
        root.unlocking()
    })
}

fn private_top() -> Entry {
    Entry {
        name: b".".to_vec(),
        kind: Kind::Directory,
        mode: 0o700,
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        modified: Time::default(),
        xattrs: Vec::new(),
        foreign_xattrs: 0,
        offset: 0,
    }
}

fn cloned(directory: BorrowedFd<'_>) -> Result<std::os::fd::OwnedFd, UnpackError> {
    directory
        .try_clone_to_owned()
        .map_err(|cause| UnpackError::storage("cannot keep the target open", cause))
}

/// The limit, or what is free less a twentieth, whichever is less.
fn budget(directory: BorrowedFd<'_>, limit: u64) -> Result<Budget, UnpackError> {
    let space = fstatvfs(directory)
        .map_err(|errno| UnpackError::storage("cannot ask for free space", errno))?;
    if space.f_blocks == 0 {
        return Ok(Budget::Limit(limit));
    }
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    let room = free - free / 20;
    Ok(if room < limit {
        Budget::Room(room)
    } else {
        Budget::Limit(limit)
    })
}

fn cannot_remove(errno: Errno) -> UnpackError {
    UnpackError::storage("cannot delete what is removed", errno)
}
