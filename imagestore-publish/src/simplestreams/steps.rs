//! The steps of this publisher, before each of which a test can end the process; and where a step is several, within.

use std::fs;
use std::path::Path;

use super::crash::{is_next, step};
use crate::error::PublishError;
use crate::steps;

pub(super) use crate::steps::names;

pub(super) fn make_folders(path: &Path) -> Result<(), PublishError> {
    step("make folders", path);
    steps::make_folders(path)
}

pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), PublishError> {
    step("write", path);
    let (half, _) = bytes.split_at(bytes.len() / 2);
    if is_next() {
        steps::write(path, half)?;
    }
    step("write the rest of", path);
    steps::write(path, bytes)
}

pub(super) fn rename(from: &Path, to: &Path) -> Result<(), PublishError> {
    step("rename", from);
    steps::rename(from, to)
}

pub(super) fn replace_folder(new: &Path, place: &Path) -> Result<(), PublishError> {
    step("show", place);
    if is_next() && place.exists() {
        // What there is between the exchange and the removal.
        let old = new.with_extension("old");
        fs::rename(place, &old).expect("renamed");
        fs::rename(new, place).expect("renamed");
        fs::rename(&old, new).expect("renamed");
    }
    step("remove what was shown before of", place);
    steps::replace_folder(new, place)
}

pub(super) fn remove_folder(path: &Path) -> Result<(), PublishError> {
    step("remove", path);
    if is_next()
        && let Some(first) = names(path)?.first()
    {
        steps::remove_file(&path.join(first))?;
    }
    step("remove the rest of", path);
    steps::remove_folder(path)
}

pub(super) fn remove_file(path: &Path) -> Result<(), PublishError> {
    step("remove", path);
    steps::remove_file(path)
}

pub(super) fn sync_folder(path: &Path) -> Result<(), PublishError> {
    step("sync", path);
    steps::sync_folder(path)
}
