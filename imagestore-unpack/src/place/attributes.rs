use std::os::fd::BorrowedFd;

use rustix::fs::{
    AtFlags, Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, chownat, fchmod, fchown, futimens,
    utimensat,
};
use rustix::io::Errno;

use super::Placer;
use crate::error::UnpackError;
use crate::policy::{Owner, Owners, Profile};
use crate::tar::{Entry, Kind, Time};

/// What a member's inode is to be like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attributes {
    pub(super) mode: u32,
    pub(super) owner: Option<Owner>,
    pub(super) modified: Option<Time>,
}

impl Placer<'_> {
    pub(super) fn attributes(&mut self, entry: &Entry) -> Result<Attributes, UnpackError> {
        let modified = Some(entry.modified);
        if self.policy.profile == Profile::Flat {
            let mode = if matches!(entry.kind, Kind::Directory) {
                0o755
            } else {
                0o644
            };
            return Ok(Attributes {
                mode,
                owner: None,
                modified,
            });
        }
        let mut mode = entry.mode;
        if self.policy.owners == Owners::Caller && mode & SET_IDS != 0 {
            mode &= !SET_IDS;
            self.tally.set_ids_dropped += 1;
        }
        Ok(Attributes {
            mode,
            owner: self.policy.owners.of(entry.uid, entry.gid)?,
            modified,
        })
    }
}

impl Attributes {
    /// Sets the owner. It comes before mode and extended attributes: a change of owner takes the
    /// set-id bits and the capabilities away.
    pub(super) fn set_owner(self, fd: BorrowedFd<'_>) -> Result<(), UnpackError> {
        let Some(owner) = self.owner else {
            return Ok(());
        };
        fchown(
            fd,
            Some(Uid::from_raw(owner.uid)),
            Some(Gid::from_raw(owner.gid)),
        )
        .map_err(|errno| no_owner(owner, errno))
    }

    pub(super) fn set_mode_and_time(self, fd: BorrowedFd<'_>) -> Result<(), UnpackError> {
        fchmod(fd, Mode::from_raw_mode(self.mode))
            .map_err(|errno| UnpackError::storage("cannot set the mode of a member", errno))?;
        match self.modified {
            Some(time) => futimens(fd, &times(time)).map_err(no_time),
            None => Ok(()),
        }
    }

    /// Sets owner and time of a link or a special file by its name, which is not followed.
    pub(super) fn set_at(self, parent: BorrowedFd<'_>, name: &[u8]) -> Result<(), UnpackError> {
        if let Some(owner) = self.owner {
            let uid = Some(Uid::from_raw(owner.uid));
            let gid = Some(Gid::from_raw(owner.gid));
            chownat(parent, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|errno| no_owner(owner, errno))?;
        }
        match self.modified {
            Some(time) => {
                utimensat(parent, name, &times(time), AtFlags::SYMLINK_NOFOLLOW).map_err(no_time)
            }
            None => Ok(()),
        }
    }
}

/// The time of the last access stays what it is.
fn times(modified: Time) -> Timestamps {
    Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: modified.seconds,
            tv_nsec: modified.nanoseconds.into(),
        },
    }
}

fn no_owner(owner: Owner, errno: Errno) -> UnpackError {
    let Owner { uid, gid } = owner;
    match errno {
        // The second is a user namespace without that id.
        Errno::PERM | Errno::INVAL => UnpackError::refused(format!(
            "the caller may not give files to {uid}:{gid}; unpack as root or with Owners::Caller"
        ))
        .because(errno),
        errno => UnpackError::storage("cannot set the owner of a member", errno),
    }
}

fn no_time(errno: Errno) -> UnpackError {
    UnpackError::storage("cannot set the time of a member", errno)
}

const SET_IDS: u32 = 0o6000;
