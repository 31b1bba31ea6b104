use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use imagestore_verify::signing::SigningKey;
use imagestore_verify::{
    DetachedSignature, Keyring, Policy, Proof, Unverified, Verifier, VerifyError,
};
use serde::{Deserialize, Serialize};

use crate::error::{At, PublishError};
use crate::steps;

/// A tree that nobody else publishes to at the moment.
#[derive(Debug)]
pub(crate) struct Tree {
    root: PathBuf,
    state: State,
    _lock: File,
}

impl Tree {
    /// The tree below `root`, made if there is none, as soon as nobody else publishes to it.
    pub(crate) fn open(root: &Path) -> Result<Self, PublishError> {
        let folder = root.join(STATE_FOLDER);
        steps::make_folders(&folder)?;
        let path = folder.join("lock");
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path);
        let lock = lock.at("open", &path)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => lock.lock().at("lock", &path)?,
            Err(TryLockError::Error(error)) => return Err(error).at("lock", &path),
        }
        let state = State::read(&folder.join(STATE_FILE))?;
        Ok(Self {
            root: root.to_owned(),
            state,
            _lock: lock,
        })
    }

    /// A path below the root.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// The next publication: when it is signed, and which it is. Remembered before anything is signed, so that no
    /// second one, after a crash either, is signed at the same second.
    ///
    /// `documents` are the indexes of the tree, which bear the time of the last publication if the state was lost.
    pub(crate) fn next(
        &mut self,
        now: SystemTime,
        key: &SigningKey,
        documents: &[PathBuf],
        last_serial: u64,
    ) -> Result<Publication, PublishError> {
        let mut last = 0;
        for document in documents {
            last = last.max(signed_at(document, key)?);
        }
        self.advance(seconds(now), last, last_serial)
    }

    /// The next publication of a tree that need not be signed; `last` is when the last one was written, which counts
    /// if the state was lost.
    pub(crate) fn next_after(
        &mut self,
        now: SystemTime,
        last: Option<SystemTime>,
    ) -> Result<Publication, PublishError> {
        let last = last.filter(|_| self.state.signed_at == 0);
        self.advance(seconds(now), last.map_or(0, seconds), 0)
    }

    fn advance(
        &mut self,
        now: u64,
        last: u64,
        last_serial: u64,
    ) -> Result<Publication, PublishError> {
        let last = last.max(self.state.signed_at);
        if last > now + PATIENCE_SECONDS {
            return Err(PublishError::ClockBehind { now, last });
        }
        self.state = State {
            signed_at: now.max(last + 1),
            serial: self.state.serial.max(last_serial) + 1,
        };
        self.state.write(&self.root.join(STATE_FOLDER))?;
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(self.state.signed_at);
        Ok(Publication {
            at,
            serial: self.state.serial,
        })
    }
}

/// One publication to a tree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Publication {
    /// When all of it is signed.
    pub(crate) at: SystemTime,
    /// A number that rises.
    pub(crate) serial: u64,
}

impl Publication {
    /// Writes the signature of a file beside it.
    pub(crate) fn sign(&self, key: &SigningKey, path: &Path) -> Result<(), PublishError> {
        let file = File::open(path).at("open", path)?;
        let asc = key.sign_file(io::BufReader::with_capacity(1 << 20, file), self.at);
        steps::write(&beside(path), asc.at("sign", path)?.as_bytes())
    }

    /// The UNIX seconds of the signatures.
    pub(crate) fn seconds(&self) -> u64 {
        seconds(self.at)
    }
}

/// Where the signature of a file is.
pub(crate) fn beside(path: &Path) -> PathBuf {
    let mut asc = path.as_os_str().to_owned();
    asc.push(".asc");
    PathBuf::from(asc)
}

/// When a document was signed; 0 if it never was.
fn signed_at(document: &Path, key: &SigningKey) -> Result<u64, PublishError> {
    let path = beside(document);
    let (data, asc, written) = match (fs::read(document), fs::read(&path), fs::metadata(&path)) {
        (Ok(data), Ok(asc), Ok(metadata)) => (data, asc, metadata.modified().at("read", &path)?),
        _ => return Ok(0),
    };
    let closed = |bytes: Vec<u8>| Unverified::new(Bytes::from(bytes));
    // The time in the signature is what readers have seen, even if the data are of another publication. A signature by
    // another key, or none at all, was made at the latest when it was written.
    let found = own_keyring(key).ok().and_then(|keyring| {
        let signature = DetachedSignature::parse(&closed(asc)).ok()?;
        match Verifier::new(keyring, Policy::default()).check(closed(data), &signature) {
            Ok(verified) => verified.proofs().iter().find_map(|proof| match proof {
                Proof::Signature(signature) => Some(signature.signed_at()),
                _ => None,
            }),
            Err(
                VerifyError::BadSignature { signed_at, .. }
                | VerifyError::NotAlive { signed_at, .. },
            ) => Some(signed_at),
            Err(_) => None,
        }
    });
    Ok(seconds(found.unwrap_or(written)))
}

fn own_keyring(key: &SigningKey) -> Result<Keyring, VerifyError> {
    Keyring::from_bytes(key.certificate().as_bytes())
}

/// What is remembered between publications.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct State {
    serial: u64,
    signed_at: u64,
}

impl State {
    fn read(path: &Path) -> Result<Self, PublishError> {
        match fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).at("read", path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).at("read", path),
        }
    }

    fn write(&self, folder: &Path) -> Result<(), PublishError> {
        let (path, new) = (folder.join(STATE_FILE), folder.join("state.new"));
        if let Err(error) = fs::remove_file(&new)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error).at("remove", &new);
        }
        let bytes = serde_json::to_vec(self).at("write", &new)?;
        steps::write(&new, &bytes)?;
        steps::rename(&new, &path)
    }
}

pub(crate) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

const STATE_FOLDER: &str = ".publish";
const STATE_FILE: &str = "state.json";
/// Readers bear with signatures of the next day; publications one second apart may run ahead of the clock by less.
const PATIENCE_SECONDS: u64 = 12 * 3600;
