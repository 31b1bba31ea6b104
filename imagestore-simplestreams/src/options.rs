use std::fmt;

use imagestore_core::{Error, ErrorKind, ImagePath, RemoteConfig, Result};

/// For what an image is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ImageType {
    /// For containers: a tarball or a squashfs.
    #[default]
    Container,
    /// For virtual machines: a disk.
    VirtualMachine,
}

impl ImageType {
    /// The value of the argument `type`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::VirtualMachine => "virtual-machine",
        }
    }
}

impl fmt::Display for ImageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which root file system is taken where a version has both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Prefer {
    /// `squashfs`: smaller, and what LXD and Incus take.
    Squashfs,
    /// `root.tar.xz`: what every unpacker can read.
    #[default]
    Tar,
}

/// How a remote of this protocol is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) image_type: ImageType,
    pub(crate) prefer: Prefer,
    /// What aliases begin with and need not.
    pub(crate) strip: Option<String>,
}

impl Options {
    /// These options, where the arguments of the remote do not say otherwise.
    pub(crate) fn for_remote(mut self, remote: &RemoteConfig) -> Result<Self> {
        let arguments = remote.arguments();
        match arguments.get("type").map(String::as_str) {
            None => {}
            Some("container") => self.image_type = ImageType::Container,
            Some("virtual-machine") => self.image_type = ImageType::VirtualMachine,
            Some(other) => {
                let wanted = "`container` or `virtual-machine`";
                return Err(invalid(remote, "type", other, wanted));
            }
        }
        match arguments.get("prefer").map(String::as_str) {
            None => {}
            Some("squashfs") => self.prefer = Prefer::Squashfs,
            Some("tar") => self.prefer = Prefer::Tar,
            Some(other) => return Err(invalid(remote, "prefer", other, "`squashfs` or `tar`")),
        }
        if let Some(strip) = arguments.get("strip") {
            let folder = strip.strip_suffix('/').unwrap_or_default();
            if folder.is_empty() || folder.parse::<ImagePath>().is_err() {
                let wanted = "what aliases begin with, a slash at its end";
                return Err(invalid(remote, "strip", strip, wanted));
            }
            self.strip = Some(strip.clone());
        }
        Ok(self)
    }
}

fn invalid(remote: &RemoteConfig, argument: &str, found: &str, wanted: &str) -> Error {
    let found: String = found.chars().take(80).collect();
    Error::new(
        ErrorKind::InvalidConfig,
        format!(
            "remote `{}` has an argument `{argument}` of another value",
            remote.name()
        ),
    )
    .with_subject(format_args!("`{found}`"))
    .with_remedy(format!("it is {wanted}"))
}
