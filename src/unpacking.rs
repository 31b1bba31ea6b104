use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use imagestore_core::{Error, ErrorKind, Event, FileRole, ImageFile, ImageId, Progress, Result};
use imagestore_lxcimages::{Metadata, Mode};
use imagestore_store::StoredImage;
use imagestore_unpack::{
    Devices, Excludes, MemberLimits, Owners, Profile, StagedTarget, UnpackError, UnpackErrorKind,
    UnpackLimits, Unpacked, Unpacker, Xattrs, read_members,
};
use imagestore_verify::Verified;

/// How an image is unpacked.
///
/// # Defaults
/// Those of [`Unpacker`]: the recorded owners for root and the caller's for everybody else, device
/// nodes skipped and counted.
#[derive(Clone, Debug, Default)]
pub struct UnpackOptions {
    owners: Option<Owners>,
    devices: Devices,
    xattrs: Xattrs,
    limits: UnpackLimits,
}

impl UnpackOptions {
    /// Who owns what is unpacked.
    #[must_use]
    pub fn with_owners(mut self, owners: Owners) -> Self {
        self.owners = Some(owners);
        self
    }

    /// What becomes of device nodes.
    #[must_use]
    pub fn with_devices(mut self, devices: Devices) -> Self {
        self.devices = devices;
        self
    }

    /// What becomes of extended attributes.
    #[must_use]
    pub fn with_xattrs(mut self, xattrs: Xattrs) -> Self {
        self.xattrs = xattrs;
        self
    }

    /// How much an archive may ask for.
    #[must_use]
    pub fn with_limits(mut self, limits: UnpackLimits) -> Self {
        self.limits = limits;
        self
    }

    fn unpacker(&self) -> Unpacker {
        let unpacker = Unpacker::new()
            .with_devices(self.devices)
            .with_xattrs(self.xattrs)
            .with_limits(self.limits.clone());
        match &self.owners {
            Some(owners) => unpacker.with_owners(owners.clone()),
            None => unpacker,
        }
    }
}

/// An image on disk, and what was put there.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UnpackedImage {
    /// The directory.
    pub target: PathBuf,
    /// What lies in it.
    pub parts: Vec<UnpackedPart>,
    /// What the metadata of a LXC image say: configuration, templates, expiry.
    pub lxc: Option<Metadata>,
}

/// One directory below the target.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UnpackedPart {
    /// Its name: `metadata` or `rootfs`.
    pub name: &'static str,
    /// What was put there.
    pub counts: Unpacked,
}

impl fmt::Display for UnpackedImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, part) in self.parts.iter().enumerate() {
            let counts = &part.counts;
            let separator = if n > 0 { "; " } else { "" };
            write!(
                f,
                "{separator}{} has {} files, {} directories, {} symlinks, {} hard links, {} bytes",
                part.name,
                counts.files,
                counts.directories,
                counts.symlinks,
                counts.hard_links,
                counts.bytes,
            )?;
            if counts.devices_skipped > 0 {
                write!(f, ", {} devices left out", counts.devices_skipped)?;
            }
        }
        Ok(())
    }
}

pub(crate) async fn unpack(
    image: &StoredImage,
    target: &Path,
    options: &UnpackOptions,
    progress: Arc<dyn Progress>,
) -> Result<UnpackedImage> {
    let cancel = CancelOnDrop::default();
    let mut work = Work {
        archives: Vec::new(),
        id: image.id().clone(),
        mode: mode(image),
        compat: image
            .properties()
            .get("compat")
            .and_then(|level| level.parse().ok()),
        target: target.to_owned(),
        options: options.clone(),
        cancel: Arc::clone(&cancel.flag),
        progress,
    };
    for artifact in image.artifacts() {
        work.archives.push(Archive {
            file: artifact.file().clone(),
            verified: artifact.open()?,
        });
    }
    match tokio::task::spawn_blocking(move || work.run()).await {
        Ok(outcome) => outcome,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => Err(Error::new(ErrorKind::Canceled, "the runtime went away")
                .with_subject(target.display())
                .with_source(error)),
        },
    }
}

/// Stops the blocking work when the future that waits for it is dropped.
#[derive(Debug, Default)]
struct CancelOnDrop {
    flag: Arc<AtomicBool>,
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.flag.store(true, Ordering::Relaxed);
    }
}

/// An image file of the store, open under a handle of its own.
struct Archive {
    file: ImageFile,
    verified: Verified<File>,
}

struct Work {
    archives: Vec<Archive>,
    id: ImageId,
    mode: Mode,
    compat: Option<u32>,
    target: PathBuf,
    options: UnpackOptions,
    cancel: Arc<AtomicBool>,
    progress: Arc<dyn Progress>,
}

impl Work {
    fn run(self) -> Result<UnpackedImage> {
        let staged = StagedTarget::new(&self.target).map_err(|error| self.error(None, error))?;
        let mut done = UnpackedImage {
            target: self.target.clone(),
            parts: Vec::new(),
            lxc: None,
        };
        // The metadata come first: they say what to leave out of the root file system.
        for archive in self.with_role(&FileRole::Metadata) {
            done.lxc = self.lxc(archive)?;
            let unpacker = self.options.unpacker().with_profile(Profile::Flat);
            done.parts
                .push(self.part(archive, unpacker, &staged, METADATA)?);
        }
        for archive in self.with_role(&FileRole::Rootfs) {
            let excludes = match (&done.lxc, self.mode) {
                (Some(lxc), Mode::User) => Excludes::new(lxc.excludes().iter().cloned()),
                _ => Excludes::default(),
            };
            let unpacker = self.options.unpacker().with_excludes(excludes);
            done.parts
                .push(self.part(archive, unpacker, &staged, ROOTFS)?);
        }
        if done.parts.is_empty() {
            return Err(
                Error::new(ErrorKind::Unsupported, "has nothing that can be unpacked")
                    .with_subject(&self.id),
            );
        }
        staged.publish().map_err(|error| self.error(None, error))?;
        Ok(done)
    }

    fn with_role(&self, role: &FileRole) -> impl Iterator<Item = &Archive> {
        self.archives
            .iter()
            .filter(move |archive| archive.file.role == *role)
    }

    fn part(
        &self,
        archive: &Archive,
        unpacker: Unpacker,
        staged: &StagedTarget,
        name: &'static str,
    ) -> Result<UnpackedPart> {
        let (progress, file) = (Arc::clone(&self.progress), archive.file.name.clone());
        let unpacker = unpacker
            .with_cancel(Arc::clone(&self.cancel))
            .with_progress(move |it| {
                progress.on(Event::Unpacked {
                    file: &file,
                    bytes: it.bytes,
                    entries: it.entries,
                });
            });
        let counts = unpacker
            .unpack_into(&archive.verified, staged, name)
            .map_err(|error| self.error(Some(archive), error))?;
        Ok(UnpackedPart { name, counts })
    }

    /// What the metadata say, if they are those of a LXC image.
    fn lxc(&self, archive: &Archive) -> Result<Option<Metadata>> {
        let members = read_members(&archive.verified, &MemberLimits::default())
            .map_err(|error| self.error(Some(archive), error))?;
        let members = members.into_iter().map(|member| (member.name, member.data));
        let metadata =
            Metadata::from_members(members, self.mode, self.compat).map_err(|error| {
                Error::new(
                    ErrorKind::Malformed,
                    "the metadata of this build are defective",
                )
                .with_subject(&self.id)
                .with_source(error)
            })?;
        Ok(Some(metadata))
    }

    fn error(&self, archive: Option<&Archive>, cause: UnpackError) -> Error {
        let kind = match cause.kind() {
            UnpackErrorKind::Canceled => ErrorKind::Canceled,
            UnpackErrorKind::InvalidTarget => ErrorKind::InvalidConfig,
            UnpackErrorKind::Storage => ErrorKind::Storage,
            UnpackErrorKind::TooLarge => ErrorKind::TooLarge,
            UnpackErrorKind::Unsafe => ErrorKind::Unsafe,
            UnpackErrorKind::Unsupported => ErrorKind::Unsupported,
            _ => ErrorKind::Malformed,
        };
        let error = match archive {
            Some(archive) => Error::new(
                kind,
                format!("{} of {} is not unpacked", archive.file.name, self.id),
            ),
            None => Error::new(kind, "nothing can be unpacked into it")
                .with_subject(self.target.display()),
        };
        error.with_source(cause)
    }
}

/// For whom a LXC image was looked up; for others it does not matter.
fn mode(image: &StoredImage) -> Mode {
    match image.properties().get("mode") {
        Some(mode) if mode == Mode::System.name() => Mode::System,
        _ => Mode::User,
    }
}

const METADATA: &str = "metadata";
const ROOTFS: &str = "rootfs";
