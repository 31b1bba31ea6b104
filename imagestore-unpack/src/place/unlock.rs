//! Directories of a tree that its owner may not write to, opened for as long as it takes.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, chmodat, statat};
use rustix::io::Errno;

use super::root::{Root, split};

impl Root {
    /// Gives the caller the owner's rights to the directories of a tree that it passes through.
    /// They are taken away again when this is dropped, at the latest.
    pub(crate) fn unlocking(mut self) -> Self {
        self.unlocks = true;
        self
    }

    /// The directories whose modes are to be restored, parents first.
    pub(crate) fn unlocked(&self) -> impl Iterator<Item = (&[u8], Mode)> {
        let all = self.unlocked.iter();
        all.map(|(path, mode)| (path.as_slice(), *mode))
    }

    /// Does not restore the mode of a directory that got another.
    pub(crate) fn settled(&mut self, path: &[u8]) {
        self.unlocked.remove(path);
    }

    /// Makes a directory one that the caller may read and change. What is not there, or no
    /// directory, or somebody else's, is left to whoever opens it.
    pub(crate) fn unlock(&mut self, path: &[u8]) -> Result<(), Errno> {
        if !self.unlocks || path.is_empty() {
            return Ok(());
        }
        let (above, name) = split(path);
        self.unlock(above)?;
        // Not one of the kept handles: whoever asks may count on the ones it has.
        let parent = self.enter(above)?;
        let Ok(found) = statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) else {
            return Ok(());
        };
        let mode = Mode::from_raw_mode(found.st_mode);
        if FileType::from_raw_mode(found.st_mode) != FileType::Directory
            || found.st_uid != rustix::process::geteuid().as_raw()
            || mode.contains(Mode::RWXU)
        {
            return Ok(());
        }
        // The tree is the caller's alone: nothing else takes the name in between.
        chmodat(&parent, name, mode | Mode::RWXU, AtFlags::empty())?;
        self.unlocked.insert(path.to_vec(), mode);
        Ok(())
    }

    fn enter(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        if path.is_empty() {
            return rustix::io::fcntl_dupfd_cloexec(self.fd(), 0);
        }
        self.open(path, OFlags::PATH | OFlags::DIRECTORY)
    }
}

impl Drop for Root {
    /// What was applied in part is still to have the modes it had.
    fn drop(&mut self) {
        for (path, mode) in self.unlocked.iter().rev() {
            let (above, name) = split(path);
            if let Ok(parent) = self.enter(above) {
                // It may have been deleted meanwhile.
                let _ = chmodat(parent, name, *mode, AtFlags::empty());
            }
        }
    }
}
