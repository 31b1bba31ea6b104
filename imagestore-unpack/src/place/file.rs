use std::cell::Cell;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;

use super::Placer;
use super::name::MemberPath;
use crate::error::UnpackError;
use crate::tar::{Entry, SparseMap, Walk};

impl Placer<'_> {
    pub(super) fn file(
        &mut self,
        path: &MemberPath,
        entry: &Entry,
        sparse: Option<&SparseMap>,
        walk: &mut Walk<'_, '_>,
    ) -> Result<(), UnpackError> {
        let attributes = self.attributes(entry)?;
        let xattrs = self.keep_xattrs(entry)?;
        let size = sparse.map_or(walk.left(), |map| map.real_size);
        if size > self.largest_file {
            // Writing on would kill the process with SIGXFSZ.
            return Err(UnpackError::storage(
                format!(
                    "a file of {size} bytes is over the process's limit of {}",
                    self.largest_file
                ),
                Errno::FBIG,
            ));
        }
        let mut file = self.create(path)?;
        let stored = walk.left();
        match sparse {
            None => write_all(&mut file, walk)?,
            Some(map) => write_sparse(&mut file, map, walk)?,
        }
        attributes.set_owner(file.as_fd())?;
        self.set_xattrs(file.as_fd(), &xattrs)?;
        attributes.set_mode_and_time(file.as_fd())?;
        self.tally.files += 1;
        self.tally.bytes += stored;
        Ok(())
    }

    fn create(&mut self, path: &MemberPath) -> Result<File, UnpackError> {
        let created: Cell<Option<OwnedFd>> = Cell::new(None);
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        self.in_parent(path, |parent, name| {
            created.set(Some(openat(parent, name, flags, Mode::RUSR | Mode::WUSR)?));
            Ok(())
        })?;
        created
            .take()
            .map(File::from)
            .ok_or_else(|| super::cannot_create(Errno::BADF))
    }
}

fn write_all(file: &mut File, walk: &mut Walk<'_, '_>) -> Result<(), UnpackError> {
    loop {
        let part = walk.data()?;
        if part.is_empty() {
            return Ok(());
        }
        file.write_all(part).map_err(cannot_write)?;
    }
}

fn write_sparse(
    file: &mut File,
    map: &SparseMap,
    walk: &mut Walk<'_, '_>,
) -> Result<(), UnpackError> {
    file.set_len(map.real_size).map_err(cannot_write)?;
    for segment in &map.segments {
        let mut left = segment.length;
        if left > 0 {
            file.seek(SeekFrom::Start(segment.offset))
                .map_err(cannot_write)?;
        }
        while left > 0 {
            let part = walk.data_up_to(left)?;
            if part.is_empty() {
                return Err(UnpackError::malformed(
                    "a sparse file stores less than it maps",
                ));
            }
            file.write_all(part).map_err(cannot_write)?;
            left -= part.len() as u64;
        }
    }
    Ok(())
}

fn cannot_write(cause: std::io::Error) -> UnpackError {
    UnpackError::storage("cannot write a member", cause)
}
