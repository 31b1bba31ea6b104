//! The golden tree in memory, with the keys to change it, and who asks it.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex};

use imagestore_core::freshness::InMemory;
use imagestore_core::{
    Context, Error, Event, Image, ImageSource, Lookup, Progress, RemoteConfig, Trust,
};
use imagestore_systemimage::{
    Expected, LayerFile, SystemImage, SystemImageProtocol, TrustInMemory, install,
};
use imagestore_testkit::{MemoryTransport, keys};
use imagestore_unpack::LayerApplier;
use imagestore_verify::signing::SigningKey;
use imagestore_verify::{Keyring, Policy, Sha256, Spool, StreamingCheck, Verified};

use crate::shared::{data, read};

/// Where the server is.
pub(crate) const BASE: &str = "https://images.example";
/// A time after everything in the golden tree was signed: 2026-11-24.
pub(crate) const NOW: u64 = 1_795_500_000;

/// A server with the golden tree.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) transport: Arc<MemoryTransport>,
    pub(crate) memory: Arc<InMemory>,
    pub(crate) trust: Arc<TrustInMemory>,
    pub(crate) warnings: Arc<Warnings>,
    pub(crate) protocol: SystemImageProtocol,
    pub(crate) arguments: BTreeMap<String, String>,
    pub(crate) now: u64,
}

impl World {
    pub(crate) fn golden() -> Self {
        let world = Self::empty();
        world
            .transport
            .put_tree(BASE, &data("golden/server"))
            .expect("the golden tree");
        world
    }

    pub(crate) fn empty() -> Self {
        let trust = Arc::new(TrustInMemory::default());
        Self {
            transport: Arc::default(),
            memory: Arc::default(),
            protocol: SystemImageProtocol::new().with_trust_memory(trust.clone()),
            trust,
            warnings: Arc::default(),
            arguments: BTreeMap::new(),
            now: NOW,
        }
    }

    pub(crate) fn remote(&self) -> RemoteConfig {
        let url = "https+system-image://images.example"
            .parse()
            .expect("a url");
        let trust = Trust::Signatures(public("archive-master"));
        RemoteConfig::new("touch".parse().expect("a name"), url, trust)
            .with_arguments(self.arguments.clone())
    }

    pub(crate) fn context(&self) -> Context {
        Context::new(self.transport.clone())
            .with_memory(self.memory.clone())
            .with_progress(self.warnings.clone())
            .with_policy(Policy::default().with_at(keys::at(self.now)))
    }

    pub(crate) fn source(&self) -> SystemImage {
        self.protocol
            .system_image(self.remote(), &self.context())
            .expect("a remote that is in order")
    }

    pub(crate) async fn lookup(&self, path: &str) -> Result<Verified<Image>, Error> {
        let answer = self.source().lookup(&path.parse().expect(path)).await?;
        Ok(answer.map(|answer| match answer {
            Lookup::Image(image) => *image,
            Lookup::Referral(referral) => panic!("{path} leads elsewhere: {referral:?}"),
        }))
    }

    /// Downloads and checks the layers of an image as a store does, and installs them.
    pub(crate) fn install(&self, image: &Image, target: &Path) -> Result<(), Error> {
        fs::create_dir_all(target).expect("a target");
        let expected = Expected::from_properties(&image.properties)
            .expect("whole")
            .expect("of this protocol");
        let mut layers = Vec::new();
        for download in &image.downloads {
            layers.push(LayerFile {
                name: download.files[0].name.clone(),
                archive: self.fetch(download),
            });
        }
        let directory = File::open(target).expect("a directory");
        install(&layers, &expected, &directory, &LayerApplier::new()).map(|_| ())
    }

    fn fetch(&self, download: &imagestore_core::Download) -> Verified<File> {
        let get = |url: &url::Url| self.transport.file(url.as_str()).expect("on the server");
        let mut check = StreamingCheck::new();
        for one in &download.checks {
            check = match one {
                imagestore_core::Check::Digest(digest) => check.with_digest(*digest),
                imagestore_core::Check::Signature { locations, keys } => {
                    let asc = imagestore_verify::Unverified::new(get(&locations[0]));
                    let asc = imagestore_verify::DetachedSignature::parse(&asc).expect("an .asc");
                    let policy = Policy::default().with_at(keys::at(self.now));
                    check
                        .with_signature(imagestore_verify::Verifier::new(keys.clone(), policy), asc)
                }
                other => panic!("a check of a new kind: {other:?}"),
            };
        }
        verified(&get(&download.locations[0]), check)
    }

    /// Replaces a file and its signature.
    pub(crate) fn put(&self, path: &str, bytes: &[u8], key: &SigningKey, at: u64) {
        self.transport
            .put_signed(&url(path), bytes.to_vec(), key, keys::at(at));
    }

    /// Replaces text in a document and signs it anew.
    pub(crate) fn edit(&self, path: &str, from: &str, to: &str, key: &str, at: u64) {
        let bytes = self.transport.file(&url(path)).expect("there");
        let text = String::from_utf8(bytes.to_vec()).expect("text");
        assert!(text.contains(from), "{path} has no `{from}`");
        self.put(path, text.replace(from, to).as_bytes(), &secret(key), at);
    }
}

/// A file that has passed these checks.
pub(crate) fn verified(bytes: &[u8], check: StreamingCheck) -> Verified<File> {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(bytes).expect("written");
    let files = Spool::resume(file, check).expect("read").finish();
    files
        .expect("it passes")
        .map(|mut files| files.pop().expect("one file"))
}

/// A file of which only the digest counts.
pub(crate) fn digested(bytes: &[u8]) -> Verified<File> {
    verified(bytes, StreamingCheck::new().with_digest(Sha256::of(bytes)))
}

pub(crate) fn url(path: &str) -> String {
    format!("{BASE}{path}")
}

/// A public key of the golden tree.
pub(crate) fn public(name: &str) -> Keyring {
    Keyring::from_bytes(&read(&data(&format!("golden/keys/{name}.pub.gpg")))).expect(name)
}

/// A secret key of the golden tree.
pub(crate) fn secret(name: &str) -> SigningKey {
    let bytes = read(&data(&format!("golden/keys/{name}.sec.asc")));
    SigningKey::from_bytes(&bytes, None).expect(name)
}

/// A keyring tarball with these members.
pub(crate) fn keyring_tarball(json: &str, keys: &[u8]) -> Vec<u8> {
    tarball(&[("keyring.json", json.as_bytes()), ("keyring.gpg", keys)])
}

/// The keyring tarball of some golden keys.
pub(crate) fn keyring_of(kind: &str, more: &str, names: &[&str]) -> Vec<u8> {
    let keys: Vec<u8> = names
        .iter()
        .flat_map(|name| read(&data(&format!("golden/keys/{name}.pub.gpg"))))
        .collect();
    keyring_tarball(&format!("{{\n{more}    \"type\": \"{kind}\"\n}}\n"), &keys)
}

/// A `.tar.xz` of plain files.
pub(crate) fn tarball(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        let raw = header.as_old_mut();
        raw.name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        archive.append(&header, *content).expect("written");
    }
    packed(&archive.into_inner().expect("written"))
}

pub(crate) fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(bytes).expect("written");
    encoder.finish().expect("packed")
}

/// Everything below a directory that an upgrade must bring about: kind, mode, owner, content.
pub(crate) fn snapshot(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    walk(root, root, &mut found);
    found
}

fn walk(root: &Path, folder: &Path, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let metadata = fs::symlink_metadata(&path).expect("there");
        let name = path
            .strip_prefix(root)
            .expect("below")
            .display()
            .to_string();
        let mode = metadata.permissions().mode();
        let owner = format!("{}:{}", metadata.uid(), metadata.gid());
        let content = if metadata.is_symlink() {
            format!("-> {}", fs::read_link(&path).expect("a link").display())
        } else if metadata.is_dir() {
            walk(root, &path, found);
            "folder".to_owned()
        } else {
            let bytes = fs::read(&path).expect("a file");
            format!("{} links, {}", metadata.nlink(), Sha256::of(&bytes))
        };
        found.insert(name, format!("{mode:o} {owner} {content}"));
    }
}

/// The error and all its causes, one a line.
pub(crate) fn chain(error: &Error) -> String {
    let mut lines = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        lines.push(cause.to_string());
        next = cause.source();
    }
    lines.join("\n")
}

/// Keeps the warnings.
#[derive(Debug, Default)]
pub(crate) struct Warnings(Mutex<Vec<String>>);

impl Warnings {
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().expect("no test panics with it").clone()
    }
}

impl Progress for Warnings {
    fn on(&self, event: Event<'_>) {
        if let Event::Warning { text } = event {
            self.0
                .lock()
                .expect("no test panics with it")
                .push(text.to_owned());
        }
    }
}
