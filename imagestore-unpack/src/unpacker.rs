use std::ffi::OsStr;
use std::fs::File;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use imagestore_verify::Verified;

use crate::apply::{Plan, apply};
use crate::decode::{Budget, Decoding, Feed, Packed, XzBackend, with_feed};
use crate::error::UnpackError;
use crate::excludes::Excludes;
use crate::limits::UnpackLimits;
use crate::place::{MemberPath, Placer, Policy};
use crate::policy::{Devices, Durability, Owners, Profile, Xattrs};
use crate::progress::{UnpackProgress, Watch};
use crate::remove::remove_tree;
use crate::staging::Staging;
use crate::target::{Target, check_name, make_private};
use crate::unpacked::Unpacked;

/// Unpacks verified archives to directories.
///
/// All calls block; in async code run them where blocking is allowed.
///
/// # Defaults
///
/// A root file system with the recorded owners for root and the caller's for everybody else;
/// device nodes are skipped and counted; attributes `user.*`, and for root `security.capability`;
/// nothing excluded; the [`UnpackLimits`]' defaults; as many decoder threads as processors, at
/// most four.
#[derive(Clone, Debug, Default)]
pub struct Unpacker {
    owners: Option<Owners>,
    devices: Devices,
    xattrs: Xattrs,
    profile: Profile,
    durability: Durability,
    excludes: Excludes,
    subtree: Vec<u8>,
    limits: UnpackLimits,
    threads: Option<NonZeroUsize>,
    xz: XzBackend,
    cancel: Option<Arc<AtomicBool>>,
    watch: Option<Watch>,
}

impl Unpacker {
    /// An unpacker with the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Chooses who owns what is unpacked.
    #[must_use]
    pub fn with_owners(self, owners: Owners) -> Self {
        Self {
            owners: Some(owners),
            ..self
        }
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

    /// Says what the archive may hold.
    #[must_use]
    pub fn with_profile(self, profile: Profile) -> Self {
        Self { profile, ..self }
    }

    /// Chooses whether to sync before the target appears.
    #[must_use]
    pub fn with_durability(self, durability: Durability) -> Self {
        Self { durability, ..self }
    }

    /// Leaves members out.
    #[must_use]
    pub fn with_excludes(self, excludes: Excludes) -> Self {
        Self { excludes, ..self }
    }

    /// Takes only what is below this directory of the archive, as if it were the root: `rootfs` of
    /// a unified LXD image. Members outside are counted; hard links that leave it are refused.
    #[must_use]
    pub fn with_subtree(self, subtree: impl Into<Vec<u8>>) -> Self {
        Self {
            subtree: subtree.into(),
            ..self
        }
    }

    /// Sets what an archive may cost.
    #[must_use]
    pub fn with_limits(self, limits: UnpackLimits) -> Self {
        Self { limits, ..self }
    }

    /// Sets how many threads decode, where the archive allows more than one.
    #[must_use]
    pub fn with_threads(self, threads: NonZeroUsize) -> Self {
        Self {
            threads: Some(threads),
            ..self
        }
    }

    /// Chooses the library that decodes xz.
    #[must_use]
    pub fn with_xz(self, xz: XzBackend) -> Self {
        Self { xz, ..self }
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

    /// Unpacks an archive to `target`, which must not exist or be an empty directory of the
    /// caller's.
    ///
    /// The tree grows in a directory beside the target that only the caller can enter, and gets the
    /// target's name when it is complete; an empty directory that was there is replaced. On any
    /// error nothing is left. What a killed process left for the same target is removed.
    ///
    /// # Errors
    ///
    /// [`UnpackErrorKind`](crate::UnpackErrorKind) lists them.
    ///
    /// # Deviation
    ///
    /// GNU tar skips members it finds unsafe and goes on; here one such member ends the unpacking.
    pub fn unpack(&self, archive: &Verified<File>, target: &Path) -> Result<Unpacked, UnpackError> {
        let target = Target::open(target)?;
        target.check_vacant()?;
        let staging = Staging::create(target)?;
        let unpacked = self.fill(archive, staging.directory())?;
        staging.publish()?;
        Ok(unpacked)
    }

    /// Unpacks an archive to a new directory `name` in `parent`, for callers who stage and publish
    /// several together. On any error the directory is gone again.
    ///
    /// # Errors
    ///
    /// [`UnpackErrorKind`](crate::UnpackErrorKind) lists them; `InvalidTarget` also if `name` is
    /// there or is not one component.
    pub fn unpack_into(
        &self,
        archive: &Verified<File>,
        parent: impl AsFd,
        name: impl AsRef<OsStr>,
    ) -> Result<Unpacked, UnpackError> {
        self.fill_new(parent.as_fd(), name.as_ref(), |directory| {
            self.fill(archive, directory)
        })
    }

    /// Makes a directory `name` in `parent` and fills it; on any error it is gone again.
    pub(crate) fn fill_new<T>(
        &self,
        parent: BorrowedFd<'_>,
        name: &OsStr,
        fill: impl FnOnce(BorrowedFd<'_>) -> Result<T, UnpackError>,
    ) -> Result<T, UnpackError> {
        let name = check_name(name)?;
        let directory = make_private(parent, name).map_err(|errno| match errno {
            rustix::io::Errno::EXIST => {
                UnpackError::target("the target is there already").about(name)
            }
            errno => UnpackError::storage("cannot make the target", errno).about(name),
        })?;
        let outcome = fill(directory.as_fd());
        if outcome.is_err() {
            // The first error is the one to report.
            let _ = remove_tree(parent, name);
        }
        outcome
    }

    fn fill(
        &self,
        archive: &Verified<File>,
        directory: BorrowedFd<'_>,
    ) -> Result<Unpacked, UnpackError> {
        self.fill_with(archive, directory, self.subtree()?, apply)
    }

    /// Fills a directory with the members of a subtree, by way of `apply`.
    pub(crate) fn fill_with<T>(
        &self,
        archive: &Verified<File>,
        directory: BorrowedFd<'_>,
        subtree: MemberPath,
        apply: impl FnOnce(&mut Feed<'_>, Placer<'_>, &Plan<'_>) -> Result<T, UnpackError>,
    ) -> Result<T, UnpackError> {
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
            profile: self.profile,
            is_root,
        };
        let plan = Plan {
            excludes: &self.excludes,
            subtree,
            limits: &self.limits,
        };
        let decoding = Decoding {
            limits: &self.limits,
            budget: budget(directory, self.limits.bytes)?,
            cancel: self.cancel.as_deref(),
            threads: self.threads(),
            watch: self.watch.as_ref(),
            xz: self.xz,
        };
        let root = directory
            .try_clone_to_owned()
            .map_err(|cause| UnpackError::storage("cannot keep the target open", cause))?;
        let placer = Placer::new(root, &policy)?;
        let unpacked = with_feed(Packed::file(archive)?, decoding, |feed| {
            apply(feed, placer, &plan)
        })?;
        if self.durability == Durability::Synced {
            rustix::fs::syncfs(directory)
                .map_err(|errno| UnpackError::storage("cannot sync the file system", errno))?;
        }
        Ok(unpacked)
    }

    pub(crate) fn limits(&self) -> &UnpackLimits {
        &self.limits
    }

    fn subtree(&self) -> Result<MemberPath, UnpackError> {
        let subtree: &[u8] = if self.subtree.is_empty() {
            b"."
        } else {
            &self.subtree
        };
        MemberPath::parse(subtree, &self.limits)
    }

    fn threads(&self) -> NonZeroUsize {
        self.threads.unwrap_or_else(|| {
            let processors = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
            processors.min(MOST_THREADS)
        })
    }
}

/// The limit, or what is free less a twentieth, whichever is less.
fn budget(directory: BorrowedFd<'_>, limit: u64) -> Result<Budget, UnpackError> {
    let space = rustix::fs::fstatvfs(directory)
        .map_err(|errno| UnpackError::storage("cannot ask for free space", errno))?;
    if space.f_blocks == 0 {
        // Some file systems do not say.
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

/// The walk behind the decoder keeps up with about this many.
const MOST_THREADS: NonZeroUsize = NonZeroUsize::new(4).expect("four is not zero");
