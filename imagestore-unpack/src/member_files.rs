use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, fchmod, mkdirat, openat};
use rustix::io::Errno;

use crate::error::UnpackError;
use crate::limits::UnpackLimits;
use crate::members::Member;
use crate::place::MemberPath;
use crate::remove::remove_tree;
use crate::target::{check_name, make_private};
use crate::unpacked::Unpacked;

/// Writes members that were read into memory to files in a new directory `name` in `parent`. On
/// any error the directory is gone again.
///
/// Files have mode 0644 and directories 0755, and all belong to the caller: such files are read by
/// the host, not by what runs in the image.
///
/// # Errors
///
/// `InvalidTarget` if `name` is there or is not one component, `Unsafe` or `Malformed` for a name
/// that leaves the directory or comes twice, `Storage` for what the file system says.
pub fn write_members(
    members: &[Member],
    parent: impl AsFd,
    name: impl AsRef<OsStr>,
) -> Result<Unpacked, UnpackError> {
    let (parent, name) = (parent.as_fd(), check_name(name.as_ref())?);
    let directory = make_private(parent, name).map_err(|errno| match errno {
        Errno::EXIST => UnpackError::target("the target is there already").about(name),
        errno => UnpackError::storage("cannot make the target", errno).about(name),
    })?;
    let outcome = write_all(members, directory.as_fd());
    if outcome.is_err() {
        // The first error is the one to report.
        let _ = remove_tree(parent, name);
    }
    outcome
}

fn write_all(members: &[Member], root: BorrowedFd<'_>) -> Result<Unpacked, UnpackError> {
    let mut done = Unpacked::default();
    for member in members {
        let path = MemberPath::parse(&member.name, &UnpackLimits::default())?;
        let directory =
            directory_of(root, &path, &mut done).map_err(|errno| explain(errno, member))?;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&directory, path.name(), flags, Mode::RUSR | Mode::WUSR)
            .map_err(|errno| explain(errno, member))?;
        fchmod(&file, Mode::from_raw_mode(0o644)).map_err(|errno| explain(errno, member))?;
        File::from(file).write_all(&member.data).map_err(|cause| {
            UnpackError::storage("cannot write a file", cause).about(&member.name)
        })?;
        done.files += 1;
        done.bytes += member.data.len() as u64;
    }
    fchmod(root, PLAIN)
        .map_err(|errno| UnpackError::storage("cannot open the target to others", errno))?;
    Ok(done)
}

/// The directory a member belongs into, made where it is missing, one component at a time.
fn directory_of(
    root: BorrowedFd<'_>,
    path: &MemberPath,
    done: &mut Unpacked,
) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut directory = openat(root, ".", flags, Mode::empty())?;
    for component in path
        .parent()
        .split(|byte| *byte == b'/')
        .filter(|it| !it.is_empty())
    {
        match mkdirat(&directory, component, Mode::RWXU) {
            Ok(()) => done.directories += 1,
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
        directory = openat(&directory, component, flags, Mode::empty())?;
        fchmod(&directory, PLAIN)?;
    }
    Ok(directory)
}

fn explain(errno: Errno, member: &Member) -> UnpackError {
    let error = match errno {
        Errno::EXIST => UnpackError::malformed("the name comes twice"),
        Errno::NOTDIR => UnpackError::malformed("the name passes through what is no directory"),
        errno => UnpackError::storage("cannot write a file", errno),
    };
    error.about(&member.name)
}

const PLAIN: Mode = Mode::from_raw_mode(0o755);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::UnpackErrorKind;

    fn members(names: &[&str]) -> Vec<Member> {
        names
            .iter()
            .map(|name| Member {
                name: name.as_bytes().to_vec(),
                data: b"text".to_vec(),
            })
            .collect()
    }

    #[test]
    fn writes_files_below_the_directory() {
        let parent = tempfile::tempdir().expect("a directory");
        let handle = File::open(parent.path()).expect("a handle");
        let names = members(&["metadata.yaml", "templates/hostname.tpl"]);
        let done = write_members(&names, &handle, "metadata").expect("written");
        assert_eq!((done.files, done.directories, done.bytes), (2, 1, 8));
        let text = std::fs::read(parent.path().join("metadata/templates/hostname.tpl"));
        assert_eq!(text.expect("a file"), b"text");
    }

    #[test]
    fn leaves_nothing_of_members_that_cannot_all_be_written() {
        let parent = tempfile::tempdir().expect("a directory");
        let handle = File::open(parent.path()).expect("a handle");
        for (names, kind) in [
            (&["a", "a"][..], UnpackErrorKind::Malformed),
            (&["a", "a/b"], UnpackErrorKind::Malformed),
            (&["ok", "../b"], UnpackErrorKind::Unsafe),
        ] {
            let error = write_members(&members(names), &handle, "metadata").expect_err("refused");
            assert_eq!(error.kind(), kind, "{names:?}");
            assert!(!parent.path().join("metadata").exists());
        }
    }
}
