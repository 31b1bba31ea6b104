//! A server in memory, and who asks it.

use std::error::Error as _;
use std::sync::{Arc, Mutex};

use imagestore_core::freshness::InMemory;
use imagestore_core::{
    Context, Error, Event, Image, ImageSource, Listing, Lookup, Progress, Protocol, RemoteConfig,
    Trust,
};
use imagestore_lxcimages::LxcImagesProtocol;
use imagestore_testkit::{MemoryTransport, keys};
use imagestore_verify::signing::SigningKey;
use imagestore_verify::{Policy, Sha256, Verified};

/// Where the server is.
pub(crate) const BASE: &str = "https://images.example";
/// A build made half a day before everything is signed.
pub(crate) const BUILD: &str = "20240531_12:00";

/// The line of an index for a build at the usual place.
pub(crate) fn line(name: &str, build: &str) -> String {
    format!(
        "{};{build};/images/{name}/{build}/\n",
        name.replace('/', ";")
    )
}

/// A server with `ubuntu/trusty/amd64/default` and `ubuntu/trusty/arm64/cloud`, all of it in order.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) transport: Arc<MemoryTransport>,
    pub(crate) memory: Arc<InMemory>,
    pub(crate) warnings: Arc<Warnings>,
}

impl Tree {
    pub(crate) fn new() -> Self {
        let tree = Self::empty();
        for name in ["ubuntu/trusty/amd64/default", "ubuntu/trusty/arm64/cloud"] {
            tree.put_build(name, BUILD);
        }
        let text =
            line("ubuntu/trusty/amd64/default", BUILD) + &line("ubuntu/trusty/arm64/cloud", BUILD);
        tree.put_index("index-user", &text, keys::SIGNED);
        tree
    }

    pub(crate) fn empty() -> Self {
        Self {
            transport: Arc::default(),
            memory: Arc::default(),
            warnings: Arc::default(),
        }
    }

    pub(crate) fn put_index(&self, name: &str, text: &str, at: u64) {
        self.put_signed(
            &format!("/meta/1.0/{name}"),
            text.as_bytes(),
            keys::images(),
            at,
        );
    }

    /// The three files of a build, signed when everything is.
    pub(crate) fn put_build(&self, name: &str, build: &str) {
        let place = format!("/images/{name}/{build}");
        let (meta, rootfs) = contents(name, build);
        let sums = format!(
            "{}  rootfs.tar.xz\n{}  meta.tar.xz\n",
            Sha256::of(&rootfs),
            Sha256::of(&meta)
        );
        self.put_signed(
            &format!("{place}/SHA256SUMS"),
            sums.as_bytes(),
            keys::images(),
            keys::SIGNED,
        );
        self.put_signed(
            &format!("{place}/meta.tar.xz"),
            &meta,
            keys::images(),
            keys::SIGNED,
        );
        self.put_signed(
            &format!("{place}/rootfs.tar.xz"),
            &rootfs,
            keys::images(),
            keys::SIGNED,
        );
    }

    pub(crate) fn put_signed(&self, path: &str, bytes: &[u8], key: &SigningKey, at: u64) {
        self.transport
            .put_signed(&url(path), bytes.to_vec(), key, keys::at(at));
    }

    pub(crate) fn remote() -> RemoteConfig {
        let trust = Trust::Signatures(keys::keyring(keys::images()));
        let url = "https+lxc-images://images.example".parse().expect("a url");
        RemoteConfig::new("lxc".parse().expect("a name"), url, trust)
            .with_architecture(Some("amd64".into()))
    }

    pub(crate) fn with_arguments(arguments: &[(&str, &str)]) -> RemoteConfig {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self::remote().with_arguments(arguments.iter().map(own).collect())
    }

    pub(crate) fn context(&self) -> Context {
        self.context_at(keys::NOW)
    }

    pub(crate) fn context_at(&self, now: u64) -> Context {
        let mut policy = Policy::default();
        policy.at = Some(keys::at(now));
        Context::new(self.transport.clone())
            .with_memory(self.memory.clone())
            .with_progress(self.warnings.clone())
            .with_policy(policy)
    }

    pub(crate) fn source(&self, remote: RemoteConfig) -> Arc<dyn ImageSource> {
        LxcImagesProtocol::new()
            .source(remote, &self.context())
            .expect("a remote that is in order")
    }

    pub(crate) async fn lookup(&self, path: &str) -> Result<Verified<Image>, Error> {
        lookup(&*self.source(Self::remote()), path).await
    }

    pub(crate) async fn names(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let source = self.source(Self::remote());
        let listing = source
            .list(&prefix.parse().expect(prefix))
            .await?
            .into_inner();
        let Listing::Entries { entries, .. } = listing else {
            panic!("a listing of {prefix} that leads elsewhere: {listing:?}");
        };
        Ok(entries.into_iter().map(|entry| entry.name).collect())
    }
}

pub(crate) async fn lookup(source: &dyn ImageSource, path: &str) -> Result<Verified<Image>, Error> {
    let answer = source.lookup(&path.parse().expect(path)).await?;
    Ok(answer.map(|answer| match answer {
        Lookup::Image(image) => *image,
        Lookup::Referral(referral) => panic!("{path} leads elsewhere: {referral:?}"),
    }))
}

/// What is in the two files of a build.
pub(crate) fn contents(name: &str, build: &str) -> (Vec<u8>, Vec<u8>) {
    (
        format!("meta of {name} {build}").into_bytes(),
        format!("rootfs of {name} {build}").into_bytes(),
    )
}

pub(crate) fn url(path: &str) -> String {
    format!("{BASE}{path}")
}

/// The error and all its causes, one a line.
pub(crate) fn chain(error: &Error) -> String {
    let mut lines = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        lines.push(cause.to_string());
        next = cause.source();
    }
    for (n, one) in lines.iter().enumerate() {
        for (m, other) in lines.iter().enumerate() {
            assert!(
                n == m || !one.contains(other.as_str()),
                "`{one}` repeats `{other}`"
            );
        }
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
