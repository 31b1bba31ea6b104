use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use crate::error::UnpackError;
use crate::staging::Staging;
use crate::target::Target;

/// A directory that several archives are unpacked into before it gets its name.
///
/// Fill it with [`Unpacker::unpack_into`](crate::Unpacker::unpack_into) and then
/// [publish](Self::publish) it. Dropped before that, it is removed with all it holds.
#[derive(Debug)]
pub struct StagedTarget {
    staging: Staging,
}

impl StagedTarget {
    /// A directory beside `target`, which must not exist or be an empty directory of the caller's.
    ///
    /// # Errors
    ///
    /// `InvalidTarget` if the target is in use, `Storage` if nothing can be made beside it.
    pub fn new(target: &Path) -> Result<Self, UnpackError> {
        let target = Target::open(target)?;
        target.check_vacant()?;
        Ok(Self {
            staging: Staging::create(target)?,
        })
    }

    /// Gives the directory the target's name; an empty directory there is replaced. It stays
    /// private to the caller: a root file system holds set-user-id programs that other users of
    /// this machine have no business with.
    ///
    /// # Errors
    ///
    /// `InvalidTarget` if somebody filled the target meanwhile, `Storage` if it cannot be renamed.
    pub fn publish(self) -> Result<(), UnpackError> {
        self.staging.publish()
    }
}

impl AsFd for StagedTarget {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.staging.directory()
    }
}
