use rustix::fs::{AtFlags, FileType, linkat, statat, symlinkat};
use rustix::io::Errno;

use super::name::MemberPath;
use super::root::explain;
use super::{Placer, cannot_create};
use crate::error::UnpackError;
use crate::escape::escape;
use crate::tar::Entry;

impl Placer<'_> {
    /// Makes a symbolic link; where it points is data and never followed here.
    pub(super) fn symlink(
        &mut self,
        path: &MemberPath,
        entry: &Entry,
        target: &[u8],
    ) -> Result<(), UnpackError> {
        let mut attributes = self.attributes(entry)?;
        attributes.mode = 0o777;
        self.drop_xattrs(entry);
        self.in_parent(path, |parent, name| symlinkat(target, parent, name))?;
        let parent = self.root.directory(path.parent()).map_err(explain)?;
        attributes.set_at(parent, path.name())?;
        self.tally.symlinks += 1;
        Ok(())
    }

    /// Gives a file that was placed before one more name. A link to a symbolic link is one more
    /// name of the symbolic link.
    pub(super) fn hard_link(
        &mut self,
        path: &MemberPath,
        to: &MemberPath,
    ) -> Result<(), UnpackError> {
        let target = || escape(to.bytes());
        if path == to {
            return Err(UnpackError::malformed("a hard link to itself"));
        }
        if to.is_root() {
            return Err(UnpackError::malformed("a hard link to a directory"));
        }
        let found = match self.root.directory(to.parent()) {
            Err(Errno::NOENT) => Err(Errno::NOENT),
            opened => statat(
                opened.map_err(explain)?,
                to.name(),
                AtFlags::SYMLINK_NOFOLLOW,
            ),
        };
        match found {
            Err(Errno::NOENT) if self.skipped.contains(to.bytes()) => {
                self.skipped.insert(path.bytes().to_vec());
                self.tally.devices_skipped += 1;
                return Ok(());
            }
            Err(Errno::NOENT) => {
                return Err(UnpackError::malformed(format!(
                    "a hard link to `{}`, which does not come before it",
                    target()
                )));
            }
            Err(errno) => return Err(cannot_create(errno)),
            Ok(found) if FileType::from_raw_mode(found.st_mode) == FileType::Directory => {
                return Err(UnpackError::malformed(format!(
                    "a hard link to the directory `{}`",
                    target()
                )));
            }
            Ok(_) => {}
        }
        match self.link(path, to) {
            Err(Errno::NOENT) => self.make_parents(path.parent())?,
            Err(Errno::EXIST) => self.clear(path)?,
            outcome => return self.linked(outcome),
        }
        let outcome = self.link(path, to);
        self.linked(outcome)
    }

    fn link(&mut self, path: &MemberPath, to: &MemberPath) -> Result<(), Errno> {
        let [from, parent] = self.root.directories(to.parent(), path.parent())?;
        linkat(from, to.name(), parent, path.name(), AtFlags::empty())
    }

    fn linked(&mut self, outcome: Result<(), Errno>) -> Result<(), UnpackError> {
        match outcome {
            Ok(()) => {
                self.tally.hard_links += 1;
                Ok(())
            }
            Err(errno @ (Errno::LOOP | Errno::XDEV | Errno::NOTDIR)) => Err(explain(errno)),
            Err(errno) => Err(cannot_create(errno)),
        }
    }
}
