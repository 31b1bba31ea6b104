mod work;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use imagestore_core::{Error, ErrorKind, Progress, Result};
use imagestore_lxcimages::{Metadata, Mode};
use imagestore_store::StoredImage;
use imagestore_systemimage::Expected;
use imagestore_unpack::{Devices, LayerApplier, Owners, UnpackLimits, Unpacked, Unpacker, Xattrs};

use crate::unpacking::work::{Archive, Work};

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

    fn applier(&self) -> LayerApplier {
        LayerApplier::new()
            .with_owners(self.owners.clone())
            .with_devices(self.devices)
            .with_xattrs(self.xattrs)
            .with_limits(self.limits.clone())
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
    /// What the metadata of a LXD or Incus image say: architecture, properties, templates.
    pub lxd: Option<imagestore_lxd::Metadata>,
}

/// One directory below the target.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UnpackedPart {
    /// Its name: `metadata` or `rootfs`; `layers` if it is the target itself.
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
        layers: Expected::from_properties(image.properties())?,
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

/// For whom a LXC image was looked up; for others it does not matter.
fn mode(image: &StoredImage) -> Mode {
    match image.properties().get("mode") {
        Some(mode) if mode == Mode::System.name() => Mode::System,
        _ => Mode::User,
    }
}
