//! A store, a remote and an image, for each test anew.

use std::error::Error as StdError;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use imagestore_core::{
    Check, Context, Download, Error, ErrorKind, Event, FileRole, Image, ImageFile, ImageId,
    Progress, RemoteConfig, Result, Trust,
};
use imagestore_store::{Store, StoredImage};
use imagestore_verify::signing::SigningKey;
use imagestore_verify::{Keyring, Policy, Sha256, Unverified, Verified, check_digest};
use tempfile::TempDir;
use tokio::sync::Notify;
use url::Url;

use crate::remote::Remote;

pub(crate) const ROOTFS: &str = "https://images.example/20240601/rootfs.tar.xz";
pub(crate) const ROOTFS_ASC: &str = "https://images.example/20240601/rootfs.tar.xz.asc";
pub(crate) const META: &str = "https://images.example/20240601/meta.tar.xz";
pub(crate) const META_ASC: &str = "https://images.example/20240601/meta.tar.xz.asc";

pub(crate) struct Scene {
    pub(crate) directory: TempDir,
    pub(crate) store: Store,
    pub(crate) remote: Arc<Remote>,
    pub(crate) config: RemoteConfig,
    pub(crate) context: Context,
    pub(crate) events: Arc<Events>,
    pub(crate) rootfs: Vec<u8>,
    pub(crate) meta: Vec<u8>,
}

impl Scene {
    /// A remote with `rootfs.tar.xz` of 10,500 bytes and `meta.tar.xz` of 700, both signed by
    /// [`key`].
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let store = Store::open(&directory.path().join("store")).expect("a new store");
        let remote = Arc::new(Remote::default());
        let events = Arc::new(Events::default());
        let (rootfs, meta) = (content(b'r', 10_500), content(b'm', 700));
        for (url, bytes) in [(ROOTFS, &rootfs), (META, &meta)] {
            remote.put(url, bytes.clone());
            remote.put(&format!("{url}.asc"), sign(key(), bytes));
        }
        Self {
            context: context(Arc::clone(&remote) as _).with_progress(Arc::clone(&events) as _),
            config: config(),
            directory,
            store,
            remote,
            events,
            rootfs,
            meta,
        }
    }

    pub(crate) async fn fetch(&self, image: &Verified<Image>) -> Result<StoredImage> {
        self.store.fetch(&self.context, &self.config, image).await
    }

    /// Both files, each with its digest and a signature by [`key`].
    pub(crate) fn image(&self) -> Verified<Image> {
        self.image_by(&keyring(key()))
    }

    /// The same, signed by one of these keys.
    pub(crate) fn image_by(&self, keys: &Keyring) -> Verified<Image> {
        let meta = ImageFile::new("meta.tar.xz", FileRole::Metadata);
        let rootfs = ImageFile::new("rootfs.tar.xz", FileRole::Rootfs);
        let checks = |url: &str, bytes: &[u8]| {
            vec![Check::Digest(Sha256::of(bytes)), signature(&[url], keys)]
        };
        verified(Image::new(
            id(),
            vec![
                Download::new(vec![url(META)], meta, checks(META_ASC, &self.meta)),
                Download::new(vec![url(ROOTFS)], rootfs, checks(ROOTFS_ASC, &self.rootfs))
                    .with_size(Some(self.rootfs.len() as u64)),
            ],
        ))
    }

    /// The root file system alone, with these checks.
    pub(crate) fn rootfs_by(&self, checks: Vec<Check>) -> Verified<Image> {
        let rootfs = ImageFile::new("rootfs.tar.xz", FileRole::Rootfs);
        verified(Image::new(
            id(),
            vec![Download::new(vec![url(ROOTFS)], rootfs, checks)],
        ))
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.directory.path().join("store")
    }

    /// Every file in the store but what is remembered and its format.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for part in ["images", "staging", "trash"] {
            walk(&self.root().join(part), &mut files);
        }
        files
    }

    /// The one published file of this name.
    pub(crate) fn published(&self, name: &str) -> PathBuf {
        let mut files = self.files();
        files.retain(|file| file.ends_with(name) && file.starts_with(self.root().join("images")));
        assert_eq!(files.len(), 1, "{files:?}");
        files.remove(0)
    }
}

/// What was told, as text, and a bell that rings when enough of a file is here.
#[derive(Debug, Default)]
pub(crate) struct Events {
    told: Mutex<Vec<String>>,
    bell: Notify,
    rings_at: Mutex<Option<u64>>,
    rings_for: Mutex<Option<String>>,
}

impl Events {
    pub(crate) fn told(&self) -> Vec<String> {
        self.told.lock().expect("told").clone()
    }

    pub(crate) fn warnings(&self) -> Vec<String> {
        let told = self.told();
        told.iter()
            .filter_map(|text| text.strip_prefix("warning "))
            .map(str::to_owned)
            .collect()
    }

    /// Waits until so many bytes of a file are here.
    pub(crate) async fn downloaded(&self, bytes: u64) {
        *self.rings_at.lock().expect("bell") = Some(bytes);
        self.bell.notified().await;
    }
}

impl Events {
    /// Waits until a file has passed its check.
    pub(crate) async fn verified(&self, file: &str) {
        *self.rings_for.lock().expect("bell") = Some(format!("verified {file} "));
        self.bell.notified().await;
    }
}

impl Progress for Events {
    fn on(&self, event: Event<'_>) {
        let text = match event {
            Event::Asked { url } => format!("asked {}", url.path()),
            Event::DownloadStarted { file, size, offset } => {
                format!("started {file} {size:?} from {offset}")
            }
            Event::Downloaded { bytes, .. } => {
                if self
                    .rings_at
                    .lock()
                    .expect("bell")
                    .is_some_and(|at| bytes >= at)
                {
                    self.bell.notify_one();
                }
                return;
            }
            Event::Reused { file } => format!("reused {file}"),
            Event::Verified { what, proofs } => {
                format!("verified {what} by {} proofs", proofs.len())
            }
            Event::Warning { text } => format!("warning {text}"),
            other => format!("{other:?}"),
        };
        if self
            .rings_for
            .lock()
            .expect("bell")
            .as_ref()
            .is_some_and(|at| text.starts_with(at))
        {
            self.bell.notify_one();
        }
        self.told.lock().expect("told").push(text);
    }
}

pub(crate) fn key() -> &'static SigningKey {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    KEY.get_or_init(|| SigningKey::generate_ed25519("images <images@example.org>", at(CREATED)))
}

pub(crate) fn other_key() -> &'static SigningKey {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    KEY.get_or_init(|| SigningKey::generate_ed25519("others <others@example.org>", at(CREATED)))
}

pub(crate) fn keyring(key: &SigningKey) -> Keyring {
    Keyring::from_bytes(key.certificate().as_bytes()).expect("a certificate")
}

pub(crate) fn sign(key: &SigningKey, bytes: &[u8]) -> Bytes {
    Bytes::from(key.sign_detached(bytes, at(SIGNED)))
}

pub(crate) fn signature(locations: &[&str], keys: &Keyring) -> Check {
    Check::Signature {
        locations: locations.iter().map(|text| url(text)).collect(),
        keys: keys.clone(),
    }
}

pub(crate) fn digest(bytes: &[u8]) -> Check {
    Check::Digest(Sha256::of(bytes))
}

pub(crate) fn verified(image: Image) -> Verified<Image> {
    let index = Bytes::from_static(b"index");
    let checked =
        check_digest(Unverified::new(index.clone()), &Sha256::of(&index)).expect("the index");
    checked.map(|_| image)
}

pub(crate) fn context(transport: Arc<dyn imagestore_core::Transport>) -> Context {
    Context::new(transport).with_policy(Policy::default().with_at(at(NOW)))
}

pub(crate) fn config() -> RemoteConfig {
    let address = "https+lxc-images://images.example"
        .parse()
        .expect("a remote URL");
    RemoteConfig::new(
        "images".parse().expect("a name"),
        address,
        Trust::Signatures(keyring(key())),
    )
}

pub(crate) fn id() -> ImageId {
    ImageId::new(
        "https+lxc-images://images.example",
        "ubuntu/trusty/amd64/default",
        "20240601_05:00",
    )
}

pub(crate) fn url(text: &str) -> Url {
    Url::parse(text).expect("a URL")
}

pub(crate) fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// Bytes that differ from place to place.
pub(crate) fn content(seed: u8, length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| (at % 251) as u8 ^ seed ^ (at / 251) as u8)
        .collect()
}

pub(crate) fn bytes_of(image: &StoredImage, name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let file = image.artifact(name).expect(name).open().expect("opens");
    (&*file).read_to_end(&mut bytes).expect("reads");
    bytes
}

/// The kind of an error and its line, with the lines of its causes.
pub(crate) fn lines(error: &Error) -> (ErrorKind, Vec<String>) {
    let mut lines = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        lines.push(error.to_string());
        cause = error.source();
    }
    for (at, line) in lines.iter().enumerate() {
        for other in &lines[at + 1..] {
            assert!(!line.contains(other.as_str()), "`{line}` repeats `{other}`");
        }
    }
    (error.kind(), lines)
}

pub(crate) fn walk(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        match path.is_dir() && !path.is_symlink() {
            true => walk(&path, files),
            false => files.push(path),
        }
    }
}

pub(crate) const CREATED: u64 = 1_704_067_200;
pub(crate) const SIGNED: u64 = 1_717_200_000;
pub(crate) const NOW: u64 = SIGNED + 86_400;
