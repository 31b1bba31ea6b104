use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

use imagestore_core::{Error, ErrorKind, Result};

use crate::dir::Dir;
use crate::error::{damaged, storage};
use crate::memory::TRUST;
use crate::recover::recover;
use crate::store::{PATIENCE, Store};

impl Store {
    /// The store in this directory, which is made, for its owner alone, if there is none. What
    /// earlier processes left unfinished is cleared away.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`] if the directory cannot be made or used, belongs to another user, can
    /// be written to by others, or holds something else; [`ErrorKind::Unsupported`] if a later
    /// version of the format is in it.
    pub fn open(root: &Path) -> Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(root)
            .map_err(|cause| storage("create", root.display(), cause))?;
        let root = open_root(root)?;
        check_owner(&root)?;
        check_format(&root, Missing::Write)?;
        let store = Self::below(root)?;
        // What is left over takes room and does no harm: a store that cannot be written to can be
        // read.
        let _ = recover(&store);
        Ok(store)
    }

    /// The store in this directory, for reading what is there. Nothing is made or cleared away.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no store, and those of [`Store::open`].
    pub fn open_existing(root: &Path) -> Result<Self> {
        let no_store =
            || Error::new(ErrorKind::NotFound, "there is no store").with_subject(root.display());
        if !root.is_dir() {
            return Err(no_store());
        }
        let dir = open_root(root)?;
        check_owner(&dir)?;
        check_format(&dir, Missing::Refuse).map_err(|error| match error.kind() {
            ErrorKind::NotFound => no_store(),
            _ => error,
        })?;
        Self::below(dir)
    }

    fn below(root: Dir) -> Result<Self> {
        let store = Self {
            images: root.create(IMAGES)?,
            staging: root.create(STAGING)?,
            trash: root.create(TRASH)?,
            patience: PATIENCE,
            root,
        };
        store.root.create(TRUST)?;
        Ok(store)
    }
}

/// Links on the way to a store are the user's; they are followed here, once, and never again.
fn open_root(root: &Path) -> Result<Dir> {
    let path = root
        .canonicalize()
        .map_err(|cause| storage("open", root.display(), cause))?;
    Dir::open_path(&path)
}

/// Who can write to the store can put anything in the place of what was checked.
fn check_owner(root: &Dir) -> Result<()> {
    let path = root.path().display();
    let metadata = root
        .file()
        .metadata()
        .map_err(|cause| storage("inspect", path, cause))?;
    let path = root.path().display();
    let (owner, user) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if owner != user && owner != 0 {
        let what = format!("belongs to user {owner}, not to user {user} or root");
        return Err(damaged(what, path).with_remedy("name another directory for the store"));
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o022 != 0 {
        let what = format!("can be written to by others (mode {mode:04o})");
        let remedy = format!("run chmod go-w {path}");
        return Err(damaged(what, path).with_remedy(remedy));
    }
    Ok(())
}

fn check_format(root: &Dir, missing: Missing) -> Result<()> {
    if let Some(found) = root.read(FORMAT)? {
        return check_known(root, &found);
    }
    match missing {
        Missing::Refuse => Err(Error::new(ErrorKind::NotFound, "there is no store")),
        Missing::Write => write_format(root),
    }
}

fn check_known(root: &Dir, found: &[u8]) -> Result<()> {
    if found == FORMAT_1.as_bytes() {
        return Ok(());
    }
    let found = String::from_utf8_lossy(&found[..found.len().min(80)])
        .trim()
        .to_owned();
    let what = format!(
        "has the format `{found}`, this version knows `{}`",
        FORMAT_1.trim()
    );
    Err(Error::new(ErrorKind::Unsupported, what)
        .with_subject(root.path().join(FORMAT).display())
        .with_remedy("use a newer version, or another directory"))
}

fn write_format(root: &Dir) -> Result<()> {
    let is_ours = |name: &String| name == "lost+found" || name.starts_with(".FORMAT.");
    if let Some(stranger) = root.names()?.into_iter().find(|name| !is_ours(name)) {
        // Several processes may make one store at once. The format is the first thing each of them
        // writes: whatever else another one has made is seen together with it.
        if let Some(found) = root.read(FORMAT)? {
            return check_known(root, &found);
        }
        let what = format!("is no store and holds other files, such as `{stranger}`");
        return Err(damaged(what, root.path().display())
            .with_remedy("name an empty directory for the store"));
    }
    root.replace(FORMAT, FORMAT_1.as_bytes())?;
    root.sync()
}

#[derive(Clone, Copy)]
enum Missing {
    Refuse,
    Write,
}

const FORMAT: &str = "FORMAT";
const FORMAT_1: &str = "imagestore store 1\n";
const IMAGES: &str = "images";
const STAGING: &str = "staging";
const TRASH: &str = "trash";

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_store_made_by_another_in_the_meantime_is_a_store() {
        let directory = TempDir::new().expect("a temporary directory");
        Store::open(directory.path()).expect("a store");
        let root = open_root(directory.path()).expect("a directory");
        // There was no format when this one looked for it.
        write_format(&root).expect("a store");

        root.replace(FORMAT, b"imagestore store 2\n")
            .expect("written");
        let error = write_format(&root).expect_err("a later version");
        assert_eq!(error.kind(), ErrorKind::Unsupported);

        root.remove_file(FORMAT).expect("removed");
        let error = write_format(&root).expect_err("no store");
        assert_eq!(error.kind(), ErrorKind::Storage);
    }
}
