use imagestore_core::{Error, ErrorKind, Result};

use crate::dir::Dir;
use crate::error::storage;

/// Refuses to begin what the disk has no room for.
pub(crate) fn check_space(dir: &Dir, needed: u64, subject: impl std::fmt::Display) -> Result<()> {
    let found = rustix::fs::fstatvfs(dir.file())
        .map_err(|errno| storage("measure", dir.path().display(), errno.into()))?;
    compare(needed, found.f_bavail.saturating_mul(found.f_frsize))
        .map_err(|error| error.with_subject(subject))
}

fn compare(needed: u64, free: u64) -> Result<()> {
    if needed <= free {
        return Ok(());
    }
    let message = format!("needs {needed} bytes on the disk of the store, {free} are free");
    Err(Error::new(ErrorKind::Storage, message).with_remedy("free some, or prune the store"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_is_needed_and_what_is_free() {
        compare(10, 10).expect("fits");
        let error = compare(11, 10).expect_err("does not fit");
        assert_eq!(error.kind(), ErrorKind::Storage);
        assert_eq!(
            error.to_string(),
            "needs 11 bytes on the disk of the store, 10 are free; free some, or prune the store"
        );
    }
}
