use crate::options::{ImageType, Prefer};

/// One way a version is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Form {
    /// Metadata and a squashfs.
    Squashfs,
    /// Metadata and a tarball of the root file system.
    Tar,
    /// One tarball of both.
    Combined,
    /// Metadata and a disk, `disk-kvm.img`.
    DiskKvm,
    /// Metadata and a disk, `uefi1.img`.
    Uefi1,
    /// Metadata and a disk, `disk1.img`.
    Disk1,
    /// One tarball of metadata and a disk.
    CombinedDisk,
}

impl Form {
    /// A short name, which also stands in the build of an image.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Squashfs => "squashfs",
            Self::Tar => "tar",
            Self::Combined => "combined",
            Self::DiskKvm => "disk-kvm",
            Self::Uefi1 => "uefi1",
            Self::Disk1 => "disk1",
            Self::CombinedDisk => "combined-disk",
        }
    }

    /// For what it is made.
    #[must_use]
    pub fn image_type(self) -> ImageType {
        match self {
            Self::Squashfs | Self::Tar | Self::Combined => ImageType::Container,
            _ => ImageType::VirtualMachine,
        }
    }

    /// Where it stands among those of its type; the least is taken.
    pub(crate) fn rank(self, prefer: Prefer) -> (bool, Self) {
        (prefer == Prefer::Tar && self == Self::Squashfs, self)
    }
}
