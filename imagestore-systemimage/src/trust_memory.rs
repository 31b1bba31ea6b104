use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind as IoKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use imagestore_core::{Error, ErrorKind, Result};
use imagestore_verify::{Fingerprint, Sha256, Spool, StreamingCheck, Unverified};

/// What lasts from run to run: the keyrings that were good, to be checked again, and the keys that
/// count no more.
///
/// # Contract
/// What was blacklisted once stays so. What is recalled may be anything: it is checked again.
pub trait TrustMemory: fmt::Debug + Send + Sync {
    /// What was kept of the remote with this id under this plain name.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`].
    fn recall(&self, remote: &str, name: &str) -> Result<Option<Unverified<Bytes>>>;

    /// Keeps it, in place of what was kept before.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`].
    fn keep(&self, remote: &str, name: &str, bytes: &Unverified<Bytes>) -> Result<()>;

    /// All keys of a remote that were ever blacklisted.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`], also if they cannot be read: they must not be forgotten in silence.
    fn blacklisted(&self, remote: &str) -> Result<BTreeSet<Fingerprint>>;

    /// Adds to them.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`].
    fn blacklist(&self, remote: &str, keys: &BTreeSet<Fingerprint>) -> Result<()>;
}

/// A trust memory that lasts as long as the process.
#[derive(Debug, Default)]
pub struct TrustInMemory {
    kept: Mutex<BTreeMap<(String, String), Unverified<Bytes>>>,
    blacklisted: Mutex<BTreeMap<String, BTreeSet<Fingerprint>>>,
}

impl TrustMemory for TrustInMemory {
    fn recall(&self, remote: &str, name: &str) -> Result<Option<Unverified<Bytes>>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(kept.get(&(remote.to_owned(), name.to_owned())).cloned())
    }

    fn keep(&self, remote: &str, name: &str, bytes: &Unverified<Bytes>) -> Result<()> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert((remote.to_owned(), name.to_owned()), bytes.clone());
        Ok(())
    }

    fn blacklisted(&self, remote: &str) -> Result<BTreeSet<Fingerprint>> {
        let all = self.blacklisted.lock();
        let all = all.unwrap_or_else(PoisonError::into_inner);
        Ok(all.get(remote).cloned().unwrap_or_default())
    }

    fn blacklist(&self, remote: &str, keys: &BTreeSet<Fingerprint>) -> Result<()> {
        let all = self.blacklisted.lock();
        let mut all = all.unwrap_or_else(PoisonError::into_inner);
        all.entry(remote.to_owned()).or_default().extend(keys);
        Ok(())
    }
}

/// A trust memory on the disk.
///
/// ```text
/// DIRECTORY/<sha256 of the remote's URL>/
///     image-master.tar.xz  image-master.tar.xz.asc
///     image-signing.tar.xz image-signing.tar.xz.asc
///     blacklisted                       a fingerprint a line, only ever longer
/// ```
#[derive(Clone, Debug)]
pub struct TrustDirectory {
    directory: PathBuf,
}

impl TrustDirectory {
    /// The memory in this directory, which is made when something is to be kept.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    fn folder(&self, remote: &str) -> PathBuf {
        let name = Sha256::of(remote.as_bytes()).to_string();
        self.directory.join(name)
    }

    fn made_folder(&self, remote: &str) -> Result<PathBuf> {
        let folder = self.folder(remote);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(|cause| storage("make", &folder, cause))?;
        Ok(folder)
    }

    fn read(&self, remote: &str, name: &str) -> Result<Option<Vec<u8>>> {
        let path = self.folder(remote).join(name);
        match fs::metadata(&path) {
            Ok(found) if found.len() > MAX_BYTES => {
                let message = format!("has {} bytes, at most {MAX_BYTES} are kept", found.len());
                return Err(Error::new(ErrorKind::Storage, message).with_subject(path.display()));
            }
            _ => {}
        }
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(cause) if cause.kind() == IoKind::NotFound => Ok(None),
            Err(cause) => Err(storage("read", &path, cause)),
        }
    }
}

impl TrustMemory for TrustDirectory {
    fn recall(&self, remote: &str, name: &str) -> Result<Option<Unverified<Bytes>>> {
        let bytes = self.read(remote, name)?;
        Ok(bytes.map(|bytes| Unverified::new(Bytes::from(bytes))))
    }

    fn keep(&self, remote: &str, name: &str, bytes: &Unverified<Bytes>) -> Result<()> {
        let path = self.made_folder(remote)?.join(name);
        let failed = |cause| storage("write", &path, cause);
        replace(&path, |file| {
            // A spool is the way of unverified bytes to the disk.
            let mut spool = Spool::new(file, StreamingCheck::new());
            spool.write(bytes).and_then(|()| spool.sync_all())
        })
        .map_err(failed)
    }

    fn blacklisted(&self, remote: &str) -> Result<BTreeSet<Fingerprint>> {
        let Some(bytes) = self.read(remote, BLACKLISTED)? else {
            return Ok(BTreeSet::new());
        };
        let text = String::from_utf8_lossy(&bytes);
        let parsed: Result<_, _> = text.lines().map(str::parse).collect();
        parsed.map_err(|cause| {
            let path = self.folder(remote).join(BLACKLISTED);
            Error::new(ErrorKind::Storage, "the kept blacklist is damaged")
                .with_subject(path.display())
                .with_remedy("remove it only if no key was ever blacklisted")
                .with_source(cause)
        })
    }

    fn blacklist(&self, remote: &str, keys: &BTreeSet<Fingerprint>) -> Result<()> {
        let folder = self.made_folder(remote)?;
        let lock = folder.join("lock");
        let locked = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock)
            .and_then(|file| file.lock().map(|()| file));
        // Held until the new list is there: two processes must not lose each other's keys.
        let _locked = locked.map_err(|cause| storage("lock", &lock, cause))?;
        let mut all = self.blacklisted(remote)?;
        if keys.is_subset(&all) {
            return Ok(());
        }
        all.extend(keys);
        let text: String = all.iter().map(|key| format!("{key}\n")).collect();
        let path = folder.join(BLACKLISTED);
        replace(&path, |mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .map_err(|cause| storage("write", &path, cause))
    }
}

/// Writes a file beside the one of this name, and renames it when it is whole.
fn replace(path: &Path, write: impl FnOnce(File) -> std::io::Result<()>) -> std::io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let new = path.with_file_name(format!(".{name}.{}", std::process::id()));
    match fs::remove_file(&new) {
        Err(error) if error.kind() != IoKind::NotFound => return Err(error),
        _ => {}
    }
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    write(file)?;
    fs::rename(&new, path)
}

fn storage(what: &str, path: &Path, cause: std::io::Error) -> Error {
    Error::new(ErrorKind::Storage, format!("cannot {what}"))
        .with_subject(path.display())
        .with_source(cause)
}

const BLACKLISTED: &str = "blacklisted";
const MAX_BYTES: u64 = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn key(digit: char) -> Fingerprint {
        let text: String = std::iter::repeat_n(digit, 40).collect();
        text.parse().expect("forty digits")
    }

    #[test]
    fn what_was_blacklisted_once_stays_so_in_the_next_run() {
        let folder = tempfile::tempdir().expect("a directory");
        let first = TrustDirectory::new(folder.path());
        assert!(first.blacklisted("r").expect("none").is_empty());
        first
            .blacklist("r", &BTreeSet::from([key('A')]))
            .expect("kept");
        first.blacklist("r", &BTreeSet::new()).expect("nothing new");
        let next = TrustDirectory::new(folder.path());
        next.blacklist("r", &BTreeSet::from([key('B')]))
            .expect("kept");
        assert_eq!(
            first.blacklisted("r").expect("read"),
            BTreeSet::from([key('A'), key('B')])
        );
        assert!(first.blacklisted("other").expect("none").is_empty());
    }

    #[test]
    fn a_damaged_blacklist_is_an_error_and_not_an_empty_one() {
        let folder = tempfile::tempdir().expect("a directory");
        let memory = TrustDirectory::new(folder.path());
        memory
            .blacklist("r", &BTreeSet::from([key('A')]))
            .expect("kept");
        fs::write(memory.folder("r").join(BLACKLISTED), "AB").expect("written");
        let error = memory.blacklisted("r").expect_err("damaged");
        assert_eq!(error.kind(), ErrorKind::Storage);
        assert!(
            error
                .to_string()
                .starts_with("the kept blacklist is damaged"),
            "{error}"
        );
    }

    #[test]
    fn keeps_bytes_unread_and_gives_them_back_unverified() {
        let folder = tempfile::tempdir().expect("a directory");
        let memory = TrustDirectory::new(folder.path());
        assert!(memory.recall("r", "k").expect("none").is_none());
        for text in ["first", "second one"] {
            memory
                .keep("r", "k", &Unverified::new(Bytes::from(text)))
                .expect("kept");
            let found = memory.recall("r", "k").expect("read").expect("there");
            assert_eq!(found.len(), text.len());
        }
    }
}
