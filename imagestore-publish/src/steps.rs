//! The steps in which a tree changes, one function each. Everything that writes goes through here, so that a test can
//! end the process before any of them; and where a step is several, within.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

#[cfg(test)]
use crate::crash::{is_next, step};
use crate::error::{At, PublishError};

/// A file that was not there, open for writing.
pub(crate) fn create(path: &Path) -> Result<File, PublishError> {
    step("create", path);
    OpenOptions::new()
        .write(true)
        .read(true)
        .create_new(true)
        .open(path)
        .at("create", path)
}

/// Writes a file that was not there, to the disk.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), PublishError> {
    let mut file = create(path)?;
    step("write", path);
    if is_next() {
        let (half, _) = bytes.split_at(bytes.len() / 2);
        file.write_all(half).at("write", path)?;
    }
    step("write the rest of", path);
    file.write_all(bytes).at("write", path)?;
    sync(&file, path)
}

/// A file, from here on safe from a loss of power.
pub(crate) fn sync(file: &File, path: &Path) -> Result<(), PublishError> {
    step("sync", path);
    file.sync_all().at("sync", path)
}

/// The names in a folder, from here on safe from a loss of power.
pub(crate) fn sync_folder(path: &Path) -> Result<(), PublishError> {
    let folder = File::open(path).at("open", path)?;
    sync(&folder, path)
}

/// A folder and all above it that were not there.
pub(crate) fn make_folders(path: &Path) -> Result<(), PublishError> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        make_folders(parent)?;
        make_folder(path)?;
        return sync_folder(parent);
    }
    make_folder(path)
}

fn make_folder(path: &Path) -> Result<(), PublishError> {
    step("create", path);
    match fs::create_dir(path) {
        // Another publisher may make the folder of the lock at the same time.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made.at("create", path),
    }
}

/// One file under a second name, for a reader the same file.
pub(crate) fn link(from: &Path, to: &Path) -> Result<(), PublishError> {
    step("link", to);
    fs::hard_link(from, to).at("link", to)
}

/// Gives a file or folder its final name, which replaces a file of that name in the same step.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), PublishError> {
    step("rename", from);
    fs::rename(from, to).at("rename", from)?;
    to.parent().map_or(Ok(()), sync_folder)
}

/// Puts the folder `new` in the place of the folder `place` in one step; what was there is removed.
pub(crate) fn replace_folder(new: &Path, place: &Path) -> Result<(), PublishError> {
    sync_folder(new)?;
    if !place.exists() {
        return rename(new, place);
    }
    step("exchange", place);
    match renameat_with(CWD, new, CWD, place, RenameFlags::EXCHANGE) {
        Ok(()) => {}
        // A file system that cannot: file by file, so that at no moment there is none.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => replace_files(new, place)?,
        Err(error) => return Err(error).at("exchange", place),
    }
    if let Some(parent) = place.parent() {
        sync_folder(parent)?;
    }
    remove_folder(new)
}

fn replace_files(new: &Path, place: &Path) -> Result<(), PublishError> {
    let fresh = names(new)?;
    for name in &fresh {
        let from = new.join(name);
        step("rename", &from);
        fs::rename(&from, place.join(name)).at("rename", &from)?;
    }
    // Backwards: what leads to others goes before what it leads to.
    let old = names(place)?;
    for name in old.iter().rev().filter(|name| !fresh.contains(name)) {
        let old = place.join(name);
        step("remove", &old);
        fs::remove_file(&old).at("remove", &old)?;
    }
    sync_folder(place)
}

/// Removes a folder with all below it. One that is gone already is fine.
pub(crate) fn remove_folder(path: &Path) -> Result<(), PublishError> {
    step("remove", path);
    if is_next()
        && let Some(first) = names(path)?.first()
    {
        drop(fs::remove_file(path.join(first)));
    }
    step("remove the rest of", path);
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.at("remove", path),
    }
}

/// Removes a file. One that is gone already is fine.
pub(crate) fn remove_file(path: &Path) -> Result<(), PublishError> {
    step("remove", path);
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.at("remove", path),
    }
}

/// The names in a folder, sorted; none if there is no such folder.
pub(crate) fn names(folder: &Path) -> Result<Vec<String>, PublishError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.at("list", folder)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.at("list", folder)?.file_name();
        names.push(name.into_string().map_err(|name| PublishError::Foreign {
            path: folder.join(name),
        })?);
    }
    names.sort_unstable();
    Ok(names)
}

/// Where a test ends the process.
#[cfg(not(test))]
fn step(_: &str, _: &Path) {}

#[cfg(not(test))]
fn is_next() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a directory");
        for (name, content) in files {
            fs::write(folder.path().join(name), content).expect("written");
        }
        folder
    }

    #[test]
    fn replaces_file_by_file_where_names_cannot_be_exchanged() {
        let old = folder_with(&[("index", "old"), ("index.asc", "old"), ("gone", "old")]);
        let new = folder_with(&[("index", "new"), ("index.asc", "new")]);
        replace_files(new.path(), old.path()).expect("replaced");
        assert_eq!(names(old.path()).expect("listed"), ["index", "index.asc"]);
        assert_eq!(fs::read(old.path().join("index")).expect("there"), b"new");
    }

    #[test]
    fn removes_an_index_before_what_it_leads_to() {
        let old = folder_with(&[("index.sjson", "old")]);
        // A folder cannot be removed as a file, so it ends here.
        fs::create_dir(old.path().join("images.sjson")).expect("made");
        let new = folder_with(&[("index.json", "new")]);
        replace_files(new.path(), old.path()).expect_err("a folder is in the way");
        let left = names(old.path()).expect("listed");
        assert_eq!(left, ["images.sjson", "index.json"]);
    }

    #[test]
    fn replaces_a_folder_in_one_step() {
        let parent = folder_with(&[]);
        let (place, new) = (parent.path().join("1.0"), parent.path().join(".1.0.new"));
        for content in ["first", "second"] {
            make_folders(&new).expect("made");
            write(&new.join("index"), content.as_bytes()).expect("written");
            replace_folder(&new, &place).expect("replaced");
            assert_eq!(
                fs::read(place.join("index")).expect("there"),
                content.as_bytes()
            );
            assert_eq!(names(parent.path()).expect("listed"), ["1.0"]);
        }
    }
}
