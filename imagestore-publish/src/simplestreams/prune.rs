//! When a version that no index lists any more is removed.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::error::{At, PublishError};
use crate::steps;
use crate::tree::seconds;

/// Whether a version that is not listed may go: readers with an older index have had the time for it that is given. The
/// first time it is asked for, it is noted that from now on no index lists it.
pub(super) fn is_due(
    folder: &Path,
    now: SystemTime,
    grace: Duration,
) -> Result<bool, PublishError> {
    if grace.is_zero() {
        return Ok(true);
    }
    let now = seconds(now);
    match since(folder)? {
        // Noted by a clock that was ahead.
        Some(since) if since > now => note(folder, now)?,
        Some(since) => return Ok(now - since >= grace.as_secs()),
        None => note(folder, now)?,
    }
    Ok(false)
}

/// It is listed, again perhaps.
pub(super) fn forget(folder: &Path) -> Result<(), PublishError> {
    steps::remove_file(&folder.join(FILE))
}

fn note(folder: &Path, now: u64) -> Result<(), PublishError> {
    forget(folder)?;
    steps::write(&folder.join(FILE), format!("{now}\n").as_bytes())
}

fn since(folder: &Path) -> Result<Option<u64>, PublishError> {
    let path = folder.join(FILE);
    match fs::read_to_string(&path) {
        // One that cannot be read was broken off, and is noted anew.
        Ok(text) => Ok(text.trim().parse().ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).at("read", &path),
    }
}

const FILE: &str = "unlisted-since";
