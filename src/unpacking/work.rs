use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use imagestore_core::{Error, ErrorKind, Event, FileRole, ImageFile, ImageId, Progress, Result};
use imagestore_lxcimages::Mode;
use imagestore_systemimage::{Expected, LayerFile, install};
use imagestore_unpack::{
    Excludes, Member, MemberLimits, Profile, StagedTarget, UnpackError, UnpackErrorKind, Unpacker,
    read_members, write_members,
};
use imagestore_verify::Verified;

use crate::unpacking::{UnpackOptions, UnpackedImage, UnpackedPart};

/// An image file of the store, open under a handle of its own.
pub(super) struct Archive {
    pub(super) file: ImageFile,
    pub(super) verified: Verified<File>,
}

/// Everything the blocking part of an unpacking needs.
pub(super) struct Work {
    pub(super) archives: Vec<Archive>,
    pub(super) id: ImageId,
    pub(super) mode: Mode,
    pub(super) compat: Option<u32>,
    /// What the layers of a system-image build must turn out to be.
    pub(super) layers: Option<Expected>,
    pub(super) target: PathBuf,
    pub(super) options: UnpackOptions,
    pub(super) cancel: Arc<AtomicBool>,
    pub(super) progress: Arc<dyn Progress>,
}

impl Work {
    pub(super) fn run(mut self) -> Result<UnpackedImage> {
        if let Some(expected) = self.layers.take() {
            return self.install(&expected);
        }
        let staged = StagedTarget::new(&self.target).map_err(|error| self.error(None, error))?;
        let mut done = UnpackedImage {
            target: self.target.clone(),
            parts: Vec::new(),
            lxc: None,
            lxd: None,
        };
        // The metadata come first: they say what to leave out of the root file system.
        for archive in self.with_role(&FileRole::Metadata) {
            let mut limits = MemberLimits::default();
            limits.components = METADATA_COMPONENTS;
            let members = read_members(&archive.verified, &limits)
                .map_err(|error| self.error(Some(archive), error))?;
            self.understand(&members, &mut done)?;
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
        for archive in self.with_role(&FileRole::Unified) {
            self.unified(archive, &staged, &mut done)?;
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

    /// Applies layers: a full image to a new directory, an upgrade to the one that holds its base.
    fn install(mut self, expected: &Expected) -> Result<UnpackedImage> {
        let archives = std::mem::take(&mut self.archives);
        let layers: Vec<_> = archives
            .into_iter()
            .filter(|archive| archive.file.role == FileRole::Layer)
            .map(|archive| LayerFile {
                name: archive.file.name,
                archive: archive.verified,
            })
            .collect();
        let (progress, id) = (Arc::clone(&self.progress), self.id.to_string());
        let applier = self
            .options
            .applier()
            .with_cancel(Arc::clone(&self.cancel))
            .with_progress(move |it| {
                progress.on(Event::Unpacked {
                    file: &id,
                    bytes: it.bytes,
                    entries: it.entries,
                });
            });
        let about = |error: Error| match error.subject() {
            Some(_) => error,
            None => error.with_subject(self.target.display()),
        };
        let counts = if expected.base.is_some() {
            let directory = File::open(&self.target).map_err(|cause| {
                Error::new(ErrorKind::InvalidConfig, "there is nothing to upgrade")
                    .with_subject(self.target.display())
                    .with_source(cause)
            })?;
            install(&layers, expected, &directory, &applier).map_err(about)?
        } else {
            let staged =
                StagedTarget::new(&self.target).map_err(|error| self.error(None, error))?;
            let counts = install(&layers, expected, &staged, &applier).map_err(about)?;
            staged.publish().map_err(|error| self.error(None, error))?;
            counts
        };
        Ok(UnpackedImage {
            target: self.target.clone(),
            parts: vec![UnpackedPart {
                name: LAYERS,
                counts,
            }],
            lxc: None,
            lxd: None,
        })
    }

    /// The root file system and what is said about it, from one archive.
    fn unified(
        &self,
        archive: &Archive,
        staged: &StagedTarget,
        done: &mut UnpackedImage,
    ) -> Result<()> {
        let unpacked = self
            .watched(archive, self.options.unpacker())
            .unpack_unified(&archive.verified, staged, ROOTFS)
            .map_err(|error| self.error(Some(archive), error))?;
        self.understand(&unpacked.metadata, done)?;
        let counts = write_members(&unpacked.metadata, staged, METADATA)
            .map_err(|error| self.error(Some(archive), error))?;
        done.parts.push(UnpackedPart {
            name: METADATA,
            counts,
        });
        done.parts.push(UnpackedPart {
            name: ROOTFS,
            counts: unpacked.rootfs,
        });
        Ok(())
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
        let counts = self
            .watched(archive, unpacker)
            .unpack_into(&archive.verified, staged, name)
            .map_err(|error| self.error(Some(archive), error))?;
        Ok(UnpackedPart { name, counts })
    }

    /// An unpacker that can be stopped and tells how far it is.
    fn watched(&self, archive: &Archive, unpacker: Unpacker) -> Unpacker {
        let (progress, file) = (Arc::clone(&self.progress), archive.file.name.clone());
        unpacker
            .with_cancel(Arc::clone(&self.cancel))
            .with_progress(move |it| {
                progress.on(Event::Unpacked {
                    file: &file,
                    bytes: it.bytes,
                    entries: it.entries,
                });
            })
    }

    /// Reads what the metadata say: those of LXD have a `metadata.yaml`, those of LXC do not.
    fn understand(&self, members: &[Member], done: &mut UnpackedImage) -> Result<()> {
        if let Some(yaml) = members
            .iter()
            .find(|member| member.name == b"metadata.yaml")
        {
            let parsed = imagestore_lxd::Metadata::parse(&yaml.data);
            done.lxd = Some(parsed.map_err(|error| self.defective(error))?);
            return Ok(());
        }
        let members = members.iter().map(|member| (&member.name, &member.data));
        let parsed = imagestore_lxcimages::Metadata::from_members(members, self.mode, self.compat);
        done.lxc = Some(parsed.map_err(|error| self.defective(error))?);
        Ok(())
    }

    fn defective(&self, cause: impl std::error::Error + Send + Sync + 'static) -> Error {
        Error::new(
            ErrorKind::Malformed,
            "the metadata of this build are defective",
        )
        .with_subject(&self.id)
        .with_source(cause)
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

const METADATA: &str = "metadata";
const ROOTFS: &str = "rootfs";
const LAYERS: &str = "layers";
// `metadata.yaml`, and the files in `templates/`.
const METADATA_COMPONENTS: usize = 2;
