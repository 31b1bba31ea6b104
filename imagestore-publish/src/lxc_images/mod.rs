mod build;
#[cfg(test)]
mod crash;
pub(crate) mod index;
mod publisher;

use std::fmt;
use std::path::PathBuf;

use crate::meta::Meta;
use crate::pack::PackOptions;

pub use self::publisher::{LxcImagesPublisher, Published, Skipped};

/// What a build is made of.
#[derive(Clone, Debug)]
pub struct Contents {
    /// The root file system.
    pub rootfs: RootfsSource,
    /// The small files about it.
    pub meta: MetaSource,
}

impl Contents {
    /// A build of a root file system and the small files about it.
    #[must_use]
    pub fn new(rootfs: RootfsSource, meta: MetaSource) -> Self {
        Self { rootfs, meta }
    }
}

/// Where a root file system comes from.
#[derive(Clone, Debug)]
pub enum RootfsSource {
    /// A `rootfs.tar.xz`, published byte for byte.
    Archive(PathBuf),
    /// A directory, packed like this.
    Directory(PathBuf, PackOptions),
}

/// Where the small files about an image come from.
#[derive(Clone, Debug)]
pub enum MetaSource {
    /// A `meta.tar.xz`, published byte for byte.
    Archive(PathBuf),
    /// A directory of files named as in `meta.tar.xz`.
    Directory(PathBuf),
    /// These.
    Files(Meta),
}

/// Who unpacks: the two indexes of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Root, without a user namespace.
    System,
    /// Somebody in a user namespace.
    User,
}

impl Mode {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::System, Self::User];
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "system",
            Self::User => "user",
        })
    }
}
