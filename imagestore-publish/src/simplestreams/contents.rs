use std::path::PathBuf;

use crate::build_id::BuildId;
use crate::error::PublishError;
use crate::image_name::ImageName;
use crate::lxc_images::RootfsSource;
use crate::tree::seconds;

/// What a version in a simplestreams tree is made of: metadata, and one or more of a tarball, a squashfs and a disk; or
/// all of it in one file.
#[derive(Clone, Debug)]
pub struct ImageContents {
    pub(super) metadata: ImageMetadata,
    pub(super) rootfs: Option<RootfsSource>,
    pub(super) squashfs: Option<PathBuf>,
    pub(super) disk: Option<PathBuf>,
    pub(super) combined: Option<PathBuf>,
    pub(super) aliases: Vec<String>,
}

impl ImageContents {
    /// A version with these metadata and no data yet.
    #[must_use]
    pub fn new(metadata: ImageMetadata) -> Self {
        Self {
            metadata,
            rootfs: None,
            squashfs: None,
            disk: None,
            combined: None,
            aliases: Vec::new(),
        }
    }

    /// The root file system as a tarball.
    #[must_use]
    pub fn with_rootfs(mut self, rootfs: RootfsSource) -> Self {
        self.rootfs = Some(rootfs);
        self
    }

    /// The root file system as a squashfs, published byte for byte.
    #[must_use]
    pub fn with_squashfs(mut self, squashfs: impl Into<PathBuf>) -> Self {
        self.squashfs = Some(squashfs.into());
        self
    }

    /// The disk of a virtual machine as a qcow2 file, published byte for byte.
    #[must_use]
    pub fn with_disk(mut self, disk: impl Into<PathBuf>) -> Self {
        self.disk = Some(disk.into());
        self
    }

    /// Metadata and root file system, or disk, in one tarball, published byte for byte: `metadata.yaml` and `rootfs/` or
    /// `rootfs.img`, packed with gzip or xz. It has metadata of its own and goes alone: of several images in one version
    /// LXD takes any, now this one and now that one, if one of them is in one file.
    ///
    /// LXD takes every such file for a container, so one with a disk is listed for Incus alone.
    #[must_use]
    pub fn with_combined(mut self, combined: impl Into<PathBuf>) -> Self {
        self.combined = Some(combined.into());
        self
    }

    /// One more name of the image, such as `ubuntu/lts`.
    ///
    /// A name that moves from release to release is given to each new build of the image that is to have it: of several
    /// images for one architecture that ask for a name, and are of one kind, container or virtual machine, the one whose
    /// newest build is newer has it; of two builds of the same minute, the image whose name sorts last. The others are
    /// listed without it, and have it again if they outlive the holder. `DIST/RELEASE/VARIANT`, and `DIST/RELEASE` of a
    /// default variant, stay with the image they describe, whoever asks for them.
    #[must_use]
    pub fn with_alias(mut self, alias: impl Into<String>) -> Self {
        self.aliases.push(alias.into());
        self
    }

    /// The names the image asks for: those that describe it, and those that were given.
    pub(super) fn names(&self, name: &ImageName) -> Result<Vec<String>, PublishError> {
        let mut names = own_names(name);
        for alias in &self.aliases {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._~+-@=".contains(&byte);
            let segment =
                |part: &str| !part.is_empty() && !part.starts_with('.') && part.bytes().all(plain);
            if !alias.split('/').all(segment) || alias.len() > 200 {
                return Err(PublishError::field("an alias", "is no plain name", alias));
            }
            if !names.contains(alias) {
                names.push(alias.clone());
            }
        }
        let length: usize = names.iter().map(|name| name.len() + 1).sum();
        if length > MAX_NAMES {
            let problem = "has more aliases than fit on a line that can be signed";
            return Err(PublishError::field("an image", problem, name.to_string()));
        }
        Ok(names)
    }
}

/// The names that describe an image: `DIST/RELEASE/VARIANT`, for the default variant also `DIST/RELEASE`.
pub(super) fn own_names(name: &ImageName) -> Vec<String> {
    let short = format!("{}/{}", name.distribution(), name.release());
    let mut names = vec![format!("{short}/{}", name.variant())];
    if name.variant() == "default" {
        names.push(short);
    }
    names
}

/// Where the metadata of an image for LXD and Incus come from.
#[derive(Clone, Debug)]
pub enum ImageMetadata {
    /// A `lxd.tar.xz` or `incus.tar.xz`, which are the same, published byte for byte.
    Archive(PathBuf),
    /// They say what the name and the build say, and no more.
    Made,
    /// A `metadata.yaml`.
    Yaml(String),
}

/// A `metadata.yaml` that says what the name and the build say.
pub(super) fn yaml(name: &ImageName, build: BuildId) -> String {
    let (os, release, arch, variant) = (
        name.distribution(),
        name.release(),
        name.architecture(),
        name.variant(),
    );
    let machine = MACHINES
        .iter()
        .find(|(debian, _)| *debian == arch)
        .map_or(arch, |(_, machine)| machine);
    // Zero means that there is no date, which readers refuse.
    let created = seconds(build.time()).max(1);
    format!(
        "architecture: \"{machine}\"\n\
         creation_date: {created}\n\
         properties:\n\
         \x20 architecture: \"{arch}\"\n\
         \x20 description: \"{os} {release} {arch} ({variant}) ({build})\"\n\
         \x20 name: \"{os}-{release}-{arch}-{variant}-{build}\"\n\
         \x20 os: \"{os}\"\n\
         \x20 release: \"{release}\"\n\
         \x20 serial: \"{build}\"\n\
         \x20 variant: \"{variant}\"\n\
         templates: {{}}\n"
    )
}

/// Architectures under Debian's name and under that of the kernel, by which LXD and Incus go.
const MACHINES: [(&str, &str); 6] = [
    ("amd64", "x86_64"),
    ("arm64", "aarch64"),
    ("armel", "armv6l"),
    ("armhf", "armv7l"),
    ("i386", "i686"),
    ("ppc64el", "ppc64le"),
];
/// All names of an image are one value on one line.
const MAX_NAMES: usize = 16 << 10;
