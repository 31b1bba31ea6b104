//! A registry in memory, and who asks it.

use std::error::Error as _;
use std::sync::{Arc, Mutex};

use imagestore_core::freshness::InMemory;
use imagestore_core::{
    Context, Error, Event, ImageSource, Listing, Lookup, Progress, Protocol, Referral,
    RemoteConfig, Trust,
};
use imagestore_registry::RegistryProtocol;
use imagestore_testkit::{MemoryTransport, keys};
use imagestore_verify::signing::SigningKey;
use imagestore_verify::{Policy, Verified};

pub(crate) const BASE: &str = "https://registry.example";
pub(crate) const INDEX: &str = "https://registry.example/1.0/index.json";

/// A registry, with the keys of the image servers in place.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) transport: Arc<MemoryTransport>,
    memory: Arc<InMemory>,
    warnings: Arc<Warnings>,
}

impl Server {
    /// One whose index has these servers and aliases.
    pub(crate) fn new(servers: &str, aliases: &str) -> Self {
        let server = Self {
            transport: Arc::default(),
            memory: Arc::default(),
            warnings: Arc::default(),
        };
        server.publish(
            &format!(r#""servers": [{servers}], "aliases": {{{aliases}}}"#),
            0,
        );
        for key in [keys::images(), keys::other_images()] {
            server.put(
                &key_path(key),
                key.certificate().as_bytes(),
                keys::registry(),
            );
        }
        server
    }

    /// One with the server `a`, which has these further fields.
    pub(crate) fn with_a(fields: &str) -> Self {
        Self::new(
            &format!(r#"{{"name": "a", "url": "https+lxc-images://a.example", {fields}}}"#),
            "",
        )
    }

    /// A new index with these fields, signed this many seconds later than everything else.
    pub(crate) fn publish(&self, fields: &str, later: u64) {
        let text = format!(r#"{{"version": 1, {fields}}}"#);
        let at = keys::at(keys::SIGNED + later);
        self.transport
            .put_signed(INDEX, text.into_bytes(), keys::registry(), at);
    }

    pub(crate) fn put(&self, path: &str, bytes: &[u8], key: &SigningKey) {
        let url = format!("{BASE}{path}");
        self.transport
            .put_signed(&url, bytes.to_vec(), key, keys::at(keys::SIGNED));
    }

    pub(crate) fn remote() -> RemoteConfig {
        let trust = Trust::Signatures(keys::keyring(keys::registry()));
        let url = "https+registry://registry.example".parse().expect("a url");
        RemoteConfig::new("images".parse().expect("a name"), url, trust)
            .with_architecture(Some("arm64".into()))
    }

    pub(crate) fn context(&self) -> Context {
        let mut policy = Policy::default();
        policy.at = Some(keys::at(keys::NOW));
        Context::new(self.transport.clone())
            .with_memory(self.memory.clone())
            .with_progress(self.warnings.clone())
            .with_policy(policy)
    }

    pub(crate) fn source(&self) -> Arc<dyn ImageSource> {
        let protocol = RegistryProtocol::new().with_locale(Some("fr_CH.UTF-8".into()));
        protocol
            .source(Self::remote(), &self.context())
            .expect("a registry with keys")
    }

    pub(crate) async fn refer(&self, path: &str) -> Result<Verified<Referral>, Error> {
        let answer = self.source().lookup(&path.parse().expect(path)).await?;
        Ok(answer.map(|answer| match answer {
            Lookup::Referral(referral) => *referral,
            Lookup::Image(image) => panic!("{path} is an image: {image:?}"),
        }))
    }

    pub(crate) async fn list(&self) -> Vec<imagestore_core::Entry> {
        let answer = self
            .source()
            .list(&"".parse().expect("a path"))
            .await
            .expect("a listing");
        match answer.into_inner() {
            Listing::Entries { entries, .. } => entries,
            Listing::Referral(referral) => panic!("the root leads elsewhere: {referral:?}"),
        }
    }

    pub(crate) fn warnings(&self) -> Vec<String> {
        self.warnings
            .0
            .lock()
            .expect("no test panics with it")
            .clone()
    }
}

/// Where the key of a server is on the registry.
pub(crate) fn key_path(key: &SigningKey) -> String {
    format!("/keys/0x{}", key.fingerprint())
}

/// `trusted_keys` with the keys of these servers.
pub(crate) fn trusted(keys: &[&SigningKey]) -> String {
    let paths: Vec<_> = keys
        .iter()
        .map(|key| format!("\"{}\"", key_path(key)))
        .collect();
    format!("\"trusted_keys\": [{}]", paths.join(", "))
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

#[derive(Debug, Default)]
struct Warnings(Mutex<Vec<String>>);

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
