use std::fmt;
use std::io;

use imagestore_core::{Error, ErrorKind};
use rustix::io::Errno;

/// The error for a step on the disk that went wrong, with the remedy where there is one.
pub(crate) fn storage(action: &str, subject: impl fmt::Display, cause: io::Error) -> Error {
    let errno = cause.raw_os_error().map(Errno::from_raw_os_error);
    let (reason, remedy) = match errno {
        Some(Errno::NOSPC) => (", no space is left", Some("free some, or prune the store")),
        Some(Errno::DQUOT) => (
            ", the disk quota is used up",
            Some("free some, or prune the store"),
        ),
        Some(Errno::ROFS) => (
            ", the file system is mounted read-only",
            Some("mount it writable, or name another directory for the store"),
        ),
        Some(Errno::ACCESS | Errno::PERM) => (
            " without permission",
            Some("run as the owner of the store, or name another directory for it"),
        ),
        Some(Errno::MFILE | Errno::NFILE) => (
            ", too many files are open",
            Some("raise the limit of open files"),
        ),
        Some(Errno::LOOP | Errno::NOTDIR) => {
            (", it is no file or directory of a store", Some("remove it"))
        }
        _ => ("", None),
    };
    let error = Error::new(ErrorKind::Storage, format!("cannot {action}{reason}"))
        .with_subject(subject)
        .with_source(cause);
    match remedy {
        Some(remedy) => error.with_remedy(remedy),
        None => error,
    }
}

/// The error for something in the store that is not as it was put there.
pub(crate) fn damaged(what: impl Into<String>, subject: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Storage, what).with_subject(subject)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_remedy_of_a_disk_that_cannot_be_written() {
        for (errno, message) in [
            (
                Errno::NOSPC,
                "cannot write, no space is left: /store/x; free some, or prune the store",
            ),
            (
                Errno::DQUOT,
                "cannot write, the disk quota is used up: /store/x; free some, or prune the store",
            ),
            (
                Errno::ROFS,
                "cannot write, the file system is mounted read-only: /store/x; \
                 mount it writable, or name another directory for the store",
            ),
            (
                Errno::ACCESS,
                "cannot write without permission: /store/x; \
                 run as the owner of the store, or name another directory for it",
            ),
            (Errno::IO, "cannot write: /store/x"),
        ] {
            let error = storage("write", "/store/x", io::Error::from(errno));
            assert_eq!(
                (error.kind(), error.to_string().as_str()),
                (ErrorKind::Storage, message)
            );
        }
    }
}
