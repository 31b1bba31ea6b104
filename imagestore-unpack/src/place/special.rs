use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, chmodat, fstat, makedev, mknodat, openat};
use rustix::io::Errno;

use super::Placer;
use super::name::MemberPath;
use super::root::explain;
use crate::error::UnpackError;
use crate::policy::Devices;
use crate::tar::{Device, Entry};

impl Placer<'_> {
    pub(super) fn device(
        &mut self,
        path: &MemberPath,
        entry: &Entry,
        kind: FileType,
        device: Device,
    ) -> Result<(), UnpackError> {
        let Device { major, minor } = device;
        if kind == FileType::CharacterDevice && major == 0 && minor == 0 {
            return Err(UnpackError::refused(
                "the character device 0:0 means a deleted file to overlay file systems",
            ));
        }
        match self.policy.devices {
            Devices::Create if is_usual(path, kind, device) => {
                self.special(path, entry, kind, makedev(major, minor))
            }
            Devices::Create | Devices::Skip => {
                self.drop_xattrs(entry);
                self.tally.devices_skipped += 1;
                self.skipped.insert(path.bytes().to_vec());
                Ok(())
            }
            Devices::Refuse => Err(UnpackError::refused(format!(
                "a device node, {major}:{minor}, is not wanted"
            ))),
        }
    }

    pub(super) fn special(
        &mut self,
        path: &MemberPath,
        entry: &Entry,
        kind: FileType,
        device: u64,
    ) -> Result<(), UnpackError> {
        let attributes = self.attributes(entry)?;
        self.drop_xattrs(entry);
        let mode = Mode::from_raw_mode(attributes.mode);
        self.in_parent(path, |parent, name| {
            mknodat(parent, name, kind, mode, device)
        })
        .map_err(|error| match error.kind() {
            crate::UnpackErrorKind::Storage if kind != FileType::Fifo && !self.policy.is_root => {
                UnpackError::refused("only root may make device nodes; use Devices::Skip")
            }
            _ => error,
        })?;
        let parent = self.root.directory(path.parent()).map_err(explain)?;
        attributes.set_at(parent, path.name())?;
        set_mode(parent, path.name(), kind, mode)
            .map_err(|errno| UnpackError::storage("cannot set the mode of a member", errno))?;
        // The change of mode left the time alone.
        match kind {
            FileType::Fifo => self.tally.fifos += 1,
            _ => self.tally.devices += 1,
        }
        Ok(())
    }
}

/// Sets the mode that `mknod` cut by the process's mask.
///
/// There is no handle to a special file that `fchmod` takes without opening the device behind it,
/// so the mode is set through the handle's entry in `/proc`, which nobody can exchange.
fn set_mode(parent: BorrowedFd<'_>, name: &[u8], kind: FileType, mode: Mode) -> Result<(), Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let node = openat(parent, name, flags, Mode::empty())?;
    let found = fstat(&node)?;
    if FileType::from_raw_mode(found.st_mode) != kind {
        return Err(Errno::LOOP);
    }
    if Mode::from_raw_mode(found.st_mode) == mode {
        return Ok(());
    }
    let path = format!("/proc/self/fd/{}", node.as_raw_fd());
    chmodat(rustix::fs::CWD, path, mode, AtFlags::empty())
}

/// Devices that every container may have, and only where they belong.
fn is_usual(path: &MemberPath, kind: FileType, device: Device) -> bool {
    let Device { major, minor } = device;
    let usual = match major {
        1 => matches!(minor, 3 | 5 | 7 | 8 | 9),
        4 => true,
        5 => minor <= 2,
        10 => matches!(minor, 200 | 229),
        136..=143 => true,
        _ => false,
    };
    kind == FileType::CharacterDevice && usual && path.bytes().starts_with(b"dev/")
}
