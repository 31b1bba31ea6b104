//! Our own door, asked by our own source; the real programs ask it in `peers`.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::num::NonZeroU16;
use std::time::{Duration, Instant, SystemTime};

use imagestore_core::{
    ErrorKind, FileRole, ImageSource as _, RemoteConfig, Resume, TlsTrust, Transport, Trust,
    Validators,
};
use imagestore_http::HttpTransport;
use imagestore_lxd::serve::{Door, ServedImage, Shelf};
use imagestore_testkit::conformance::{Expected, run_all};
use imagestore_testkit::server::Certificate;
use imagestore_verify::{Sha256, Spool, StreamingCheck, Verified};

use crate::door::Wire;
use crate::host::{Asker, lookup};

/// A file that was checked.
pub(crate) fn verified(bytes: &[u8]) -> Verified<File> {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(bytes).expect("room");
    let check = StreamingCheck::new().with_digest(Sha256::of(bytes));
    let spool = Spool::resume(file, check).expect("readable");
    spool
        .finish()
        .expect("its own digest")
        .map(|mut files| files.remove(0))
}

/// A door on loopback with these images behind it, opened until the handle is dropped.
pub(crate) async fn open(images: Vec<ServedImage>) -> Open {
    open_as(images, |door| door).await
}

/// The same, with a door that is set like this.
async fn open_as(images: Vec<ServedImage>, set: impl FnOnce(Door) -> Door) -> Open {
    let certificate = Certificate::new(&["127.0.0.1", "localhost"]);
    let shelf = Shelf::new();
    shelf.show(images).expect("names that differ");
    let address = "127.0.0.1:0".parse().expect("an address");
    let (pem, key) = (
        certificate.pem().as_bytes(),
        certificate.key_pem().as_bytes(),
    );
    let door = Door::https(shelf, address, pem, key).await.expect("a door");
    let pin = door.certificate().expect("a certificate");
    assert_eq!(pin, certificate.sha256());
    let url = door.url().expect("a url");
    let running = tokio::spawn(set(door).run());
    let certificate_pem = certificate.pem().to_owned();
    Open {
        url,
        pin,
        certificate_pem,
        running,
    }
}

pub(crate) struct Open {
    pub(crate) url: String,
    pub(crate) pin: Sha256,
    pub(crate) certificate_pem: String,
    running: tokio::task::JoinHandle<()>,
}

impl Open {
    pub(crate) fn remote(&self) -> RemoteConfig {
        let url = self.url.replacen("https", "https+lxd", 1);
        RemoteConfig::new(
            "ours".parse().expect("a name"),
            url.parse().expect("a url"),
            Trust::Channel,
        )
        .with_tls(TlsTrust::Pin(vec![self.pin]))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.running.abort();
    }
}

#[tokio::test]
async fn our_door_is_a_host_like_any_other() {
    let unified = ServedImage::unified(verified(b"unified"))
        .expect("an image")
        .with_alias("ubuntu/trusty");
    let split = ServedImage::split(verified(b"\xfd7zXZ metadata"), verified(b"hsqs root"))
        .expect("an image")
        .with_alias("split")
        .with_architecture("aarch64")
        .with_created_at(Some(
            SystemTime::UNIX_EPOCH + Duration::from_secs(1_395_234_589),
        ))
        .with_property("os", "debian");
    let (one, two) = (
        unified.fingerprint().to_string(),
        split.fingerprint().to_string(),
    );
    assert_eq!(two, Sha256::of(b"\xfd7zXZ metadatahsqs root").to_string());
    let open = open(vec![unified, split]).await;
    let asker = Asker::new();
    let source = asker.source(open.remote());
    let expected = Expected::image("ubuntu/trusty", &one, [FileRole::Unified])
        .with_alias(&one)
        .with_alias(&one[..12])
        .with_missing("nope")
        .with_listing("", ["ubuntu/trusty", "split", &one, &two]);
    run_all(&source, &expected).await;
    let image = lookup(&source, "split").await.expect("an image");
    assert_eq!(image.properties["architecture"], "arm64");
    assert_eq!(image.properties["os"], "debian");
    let stored = asker.fetch(&source, "split").await.expect("fetched");
    let mut root = Vec::new();
    let mut file = stored.artifacts()[1].open().expect("a file").into_inner();
    file.read_to_end(&mut root).expect("readable");
    assert_eq!(root, b"hsqs root");
    assert!(!source.host().await.expect("a host").trusted);
}

#[tokio::test]
async fn a_large_file_is_sent_from_any_place() {
    let noise: Vec<u8> = (0..400_000u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    let image = ServedImage::unified(verified(&noise))
        .expect("an image")
        .with_alias("large");
    let tag = format!("\"{}\"", image.fingerprint());
    let open = open(vec![image]).await;
    let asker = Asker::new();
    let source = asker.source(open.remote());
    let stored = asker.fetch(&source, "large").await.expect("fetched");
    assert_eq!(stored.size(), 1_600_000);

    let image = lookup(&source, "large").await.expect("an image");
    let url = &image.downloads[0].locations[0];
    let resume = Resume {
        offset: 1_599_990,
        validators: Validators {
            etag: Some(tag),
            last_modified: None,
        },
    };
    let remote = open.remote();
    let request = imagestore_core::Get::file(&remote, url).with_resume(Some(&resume));
    let body = HttpTransport::default()
        .get(request)
        .await
        .expect("an answer");
    assert_eq!((body.offset(), body.length()), (1_599_990, Some(10)));
    let digest = Sha256::of(&noise[1_599_990..]);
    let bytes = body.collect(100).await.expect("ten bytes");
    assert!(imagestore_verify::check_digest(bytes, &digest).is_ok());
}

#[tokio::test]
async fn a_shelf_shows_what_it_was_told_last() {
    let shelf = Shelf::new();
    let image = |text: &[u8]| ServedImage::unified(verified(text)).expect("an image");
    let twice = shelf.show([image(b"a").with_alias("x"), image(b"b").with_alias("x")]);
    let error = twice.expect_err("one name for two");
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert_eq!(
        error.to_string(),
        "two images on a shelf have one name: `x`"
    );
    assert!(shelf.show([image(b"a"), image(b"a")]).is_err());
    assert!(ServedImage::unified(verified(b"")).is_err());

    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("socket");
    let door = Door::socket(shelf.clone(), &path).expect("a door");
    assert_eq!((door.url(), door.certificate()), (None, None));
    let running = tokio::spawn(door.run());
    let url = format!("unix+incus://{}", path.display());
    let remote = RemoteConfig::new(
        "ours".parse().expect("a name"),
        url.parse().expect("a url"),
        Trust::Channel,
    );
    let asker = Asker::new();
    let source = asker.source(remote);
    shelf.show([image(b"a").with_alias("x")]).expect("one");
    asker.fetch(&source, "x").await.expect("fetched");
    shelf.show([image(b"b").with_alias("y")]).expect("another");
    assert_eq!(
        lookup(&source, "x").await.expect_err("gone").kind(),
        ErrorKind::NotFound
    );
    lookup(&source, "y").await.expect("there");
    assert_eq!(source.remote().url().protocol(), "incus");
    running.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_nothing_loses_the_place_over_https() {
    let (large, export) = large();
    let patient = |door: Door| door.with_places(ONE).with_patience(SECOND);
    let open = open_as(vec![large], patient).await;
    let connect = || Wire::https(&open.url, &open.certificate_pem);
    let address = open.url.trim_start_matches("https://");
    let started = Instant::now();
    let silent = TcpStream::connect(address).expect("a door");
    assert_eq!(connect().ask("GET", "/1.0", "").status, 200);
    assert!(started.elapsed() >= SECOND);
    drop(silent);
    check_idlers(connect, &export);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_nothing_loses_the_place_at_a_socket() {
    let (large, export) = large();
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("socket");
    let shelf = Shelf::new();
    shelf.show([large]).expect("one");
    let door = Door::socket(shelf, &path).expect("a door");
    let door = door.with_places(ONE).with_patience(SECOND);
    let running = tokio::spawn(door.run());
    check_idlers(|| Wire::socket(&path), &export);
    running.abort();
}

/// Four ways to do nothing, each in the only place there is.
fn check_idlers(connect: impl Fn() -> Wire, export: &str) {
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n");
    for (request, answered) in [
        (get(export), true),
        (get("/1.0/images?recursion=1"), true),
        (get("/1.0"), true),
        ("GET /1.0 HT".to_owned(), false),
    ] {
        let started = Instant::now();
        let mut idler = connect();
        idler.send(&request);
        let next = connect().ask("GET", "/1.0", "");
        assert_eq!(next.status, 200, "{request}");
        assert!(started.elapsed() >= SECOND, "{request}");
        let reply = idler.reply("GET");
        assert_eq!(reply.is_some(), answered, "{request}");
        let short = request == get("/1.0");
        assert!(reply.is_none_or(|reply| reply.whole == short), "{request}");
        assert!(idler.reply("GET").is_none(), "{request}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_finds_no_place_waits_for_one() {
    let (long, none) = (Duration::MAX, Vec::new());
    let open = open_as(none, |door| door.with_places(ONE).with_patience(long)).await;
    let connect = || Wire::https(&open.url, &open.certificate_pem);
    let mut first = connect();
    assert_eq!(first.ask("GET", "/1.0", "").status, 200);
    let second = TcpStream::connect(open.url.trim_start_matches("https://")).expect("a door");
    assert_eq!(first.ask("GET", "/1.0", "").status, 200);
    drop((second, first));
    assert_eq!(connect().ask("GET", "/1.0", "").status, 200);
}

/// An image that no socket takes as a whole, listed or exported, and where its bytes are.
fn large() -> (ServedImage, String) {
    let bytes = vec![b'a'; 24 << 20];
    let image = ServedImage::unified(verified(&bytes))
        .expect("an image")
        .with_property("notes", String::from_utf8(bytes).expect("text"));
    let export = format!("/1.0/images/{}/export", image.fingerprint());
    (image, export)
}

const ONE: NonZeroU16 = NonZeroU16::MIN;
const SECOND: Duration = Duration::from_secs(1);
