mod header;
mod walk;

use std::fs;
use std::io::Write;
use std::path::Path;

use rustix::fs::{Mode, OFlags, open};

use crate::error::{At, PublishError};

/// Writes a directory as a tarball, the way `tar --sort=name --numeric-owner --xattrs -c -C FOLDER .` does.
///
/// The format is PAX, with times to the nanosecond, extended attributes (file capabilities and ACLs among them) and
/// hard links. Names are sorted and begin with `./`, so that equal directories give equal tarballs. Nothing is followed
/// out of the directory.
///
/// # Deviation
/// Where GNU tar crosses into file systems that are mounted below the directory, this ends; where it writes user and
/// group names, this writes numbers only. Holes are written as zeros. Attributes that belong to this machine are left
/// out: `security.selinux`, `security.ima`, `security.evm` and those of overlay file systems.
///
/// # Errors
/// [`PublishError::Pack`] if something changes while it is read or is mounted below; [`PublishError::Io`].
pub fn pack(folder: &Path, options: &PackOptions, to: impl Write) -> Result<Packed, PublishError> {
    // Links may lead to the directory, but not further.
    let root = fs::canonicalize(folder).at("open", folder)?;
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
    let fd = open(&root, flags, Mode::empty()).at("open", folder)?;
    walk::Walk::new(folder, options, to).run(fd)
}

/// How a directory is packed.
///
/// # Defaults
/// Owners and device nodes as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PackOptions {
    /// Whose the files are.
    pub owners: Owners,
    /// What to do with device nodes.
    pub devices: Devices,
}

impl PackOptions {
    /// Whose the files are.
    #[must_use]
    pub fn with_owners(mut self, owners: Owners) -> Self {
        self.owners = owners;
        self
    }

    /// What to do with device nodes.
    #[must_use]
    pub fn with_devices(mut self, devices: Devices) -> Self {
        self.devices = devices;
        self
    }
}

/// Whose the files in a tarball are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Owners {
    /// The same user and group ids as in the directory.
    #[default]
    Keep,
    /// User 0 and group 0, for directories made without privileges.
    Root,
}

/// What becomes of device nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Devices {
    /// They are packed and reported, for readers that exclude them.
    #[default]
    Pack,
    /// They are left out and reported.
    Skip,
}

/// What was packed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Packed {
    /// How many entries the tarball has.
    pub entries: u64,
    /// How many bytes it has.
    pub bytes: u64,
    /// The device nodes in it, as `./dev/null`: what goes into `excludes-user`.
    pub devices: Vec<String>,
    /// What is not in it: sockets, which have no form in a tarball, and device nodes if they are skipped.
    pub skipped: Vec<String>,
}
