use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use imagestore_core::{
    Context, Image, ImageId, ImagePath, ImageRef, ImageSource, Listing, Lookup, Protocol,
    RemoteConfig, Resolver, Result, TlsTrust, Trust, async_trait,
};
use imagestore_verify::signing::SigningKey;
use imagestore_verify::{Channel, Keyring, Sha256, Unverified, Verified, trust_channel};

use crate::memory::Table;

/// A protocol that counts the sources it makes, and tells by the build of an image which one spoke.
#[derive(Debug, Default)]
struct Counting {
    made: AtomicUsize,
    forgotten: Arc<Mutex<Vec<usize>>>,
}

impl Protocol for Counting {
    fn name(&self) -> &'static str {
        "counting"
    }

    fn source(&self, remote: RemoteConfig, _: &Context) -> Result<Arc<dyn ImageSource>> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let filled_in = remote.with_architecture(Some("amd64".to_owned()));
        Ok(Arc::new(Numbered {
            remote: filled_in,
            number,
            forgotten: Arc::clone(&self.forgotten),
        }))
    }
}

#[derive(Debug)]
struct Numbered {
    remote: RemoteConfig,
    number: usize,
    forgotten: Arc<Mutex<Vec<usize>>>,
}

#[async_trait]
impl ImageSource for Numbered {
    fn remote(&self) -> &RemoteConfig {
        &self.remote
    }

    async fn lookup(&self, path: &ImagePath) -> Result<Verified<Lookup>> {
        let id = ImageId::new(self.remote.id(), path.to_string(), self.number.to_string());
        let image = Lookup::Image(Box::new(Image::new(id, Vec::new())));
        let told = Unverified::new(bytes::Bytes::new());
        Ok(trust_channel(told, &Channel::new("test")).map(|_| image))
    }

    async fn list(&self, _: &ImagePath) -> Result<Verified<Listing>> {
        panic!("not asked here")
    }

    fn forget(&self) {
        self.forgotten.lock().expect("whole").push(self.number);
    }
}

fn remote(url: &str) -> RemoteConfig {
    let (name, url) = (
        "start".parse().expect("a name"),
        url.parse().expect("a URL"),
    );
    RemoteConfig::new(name, url, Trust::Channel)
}

fn resolver() -> (Arc<Counting>, Resolver) {
    let protocol = Arc::new(Counting::default());
    let context = Context::new(Arc::new(Table::default()));
    let resolver = Resolver::new(context).with_protocol(protocol.clone());
    (protocol, resolver)
}

/// The number of the source that answers for a remote.
async fn answers(resolver: &Resolver, remote: RemoteConfig) -> usize {
    let reference: ImageRef = "start:x".parse().expect("a reference");
    let resolver = resolver.clone().with_remote(remote);
    let found = resolver.resolve(&reference).await.expect("an image");
    found.image.id.build().parse().expect("a number")
}

fn keyring() -> (SigningKey, Keyring) {
    let key = SigningKey::generate_ed25519("test", std::time::SystemTime::now());
    let keyring = Keyring::from_bytes(key.certificate().as_bytes()).expect("a certificate");
    (key, keyring)
}

const URL: &str = "https+counting://images.example";

#[tokio::test(flavor = "current_thread")]
async fn one_source_serves_a_resolver_and_its_clones() {
    let (protocol, resolver) = resolver();
    for _ in 0..3 {
        assert_eq!(answers(&resolver, remote(URL)).await, 0);
    }
    assert_eq!(protocol.made.load(Ordering::Relaxed), 1);
    // Another protocol of that name is not answered for by the one before.
    let other = resolver.with_protocol(Arc::new(Counting::default()));
    assert_eq!(answers(&other, remote(URL)).await, 0);
    assert_eq!(protocol.made.load(Ordering::Relaxed), 1);
}

#[tokio::test(flavor = "current_thread")]
async fn a_remote_that_differs_in_anything_is_another_source() {
    let (_, resolver) = resolver();
    let (key, keys) = keyring();
    let signed = |keys: &Keyring| {
        let url = URL.parse().expect("a URL");
        RemoteConfig::new(
            "start".parse().expect("a name"),
            url,
            Trust::Signatures(keys.clone()),
        )
    };
    let pins = |n: u8| TlsTrust::Pin(vec![Sha256::of(&[n])]);
    let arguments = |value: &str| BTreeMap::from([("type".to_owned(), value.to_owned())]);
    let (_, rotated) = keyring();
    let remotes = [
        remote(URL),
        remote("https+counting://images.example/below"),
        remote(URL).with_tls(pins(1)),
        remote(URL).with_tls(pins(2)),
        remote(URL).with_arguments(arguments("container")),
        remote(URL).with_arguments(arguments("virtual-machine")),
        remote(URL).with_architecture(Some("arm64".to_owned())),
        signed(&keys),
        signed(&rotated),
        signed(&keys.union(&rotated).expect("two certificates")),
    ];
    for (number, remote) in remotes.iter().enumerate() {
        assert_eq!(answers(&resolver, remote.clone()).await, number);
    }
    for (number, remote) in remotes.iter().enumerate() {
        assert_eq!(answers(&resolver, remote.clone()).await, number);
    }
    // The same key, read from its file again.
    let again = Keyring::from_bytes(key.certificate().as_bytes()).expect("a certificate");
    assert_eq!(answers(&resolver, signed(&again)).await, 7);
}

#[tokio::test(flavor = "current_thread")]
async fn keeps_the_sixteen_that_were_asked_last() {
    let (protocol, resolver) = resolver();
    let url = |n: usize| remote(&format!("https+counting://{n}.example"));
    for n in 0..16 {
        assert_eq!(answers(&resolver, url(n)).await, n);
    }
    // The first is asked again, so the second is the one that goes.
    assert_eq!(answers(&resolver, url(0)).await, 0);
    assert_eq!(answers(&resolver, url(16)).await, 16);
    assert_eq!(answers(&resolver, url(0)).await, 0);
    assert_eq!(protocol.made.load(Ordering::Relaxed), 17);
    assert_eq!(answers(&resolver, url(1)).await, 17);
}

#[tokio::test(flavor = "current_thread")]
async fn only_the_source_of_the_last_hop_forgets() {
    let (protocol, resolver) = resolver();
    let reference: ImageRef = "start:x".parse().expect("a reference");
    answers(&resolver, remote("https+counting://other.example")).await;
    let found = resolver
        .clone()
        .with_remote(remote(URL))
        .resolve(&reference)
        .await
        .expect("an image");
    // It is found though the source has filled in what was not asked for.
    assert_eq!(found.hops[0].remote.architecture(), Some("amd64"));
    resolver.forget(&found.hops);
    assert_eq!(*protocol.forgotten.lock().expect("whole"), [1]);
    resolver.forget(&[]);
    assert_eq!(protocol.forgotten.lock().expect("whole").len(), 1);
}
