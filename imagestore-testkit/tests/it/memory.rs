use imagestore_core::{ErrorKind, Get, RemoteConfig, Resume, Transport, Trust, Validators};
use imagestore_testkit::{MemoryFault, MemoryTransport, keys};
use imagestore_verify::{Sha256, check_digest};
use url::Url;

const URL: &str = "https://images.example/a/b";

fn remote() -> RemoteConfig {
    RemoteConfig::new(
        "images".parse().expect("a name"),
        "https+lxc-images://images.example".parse().expect("a URL"),
        Trust::Signatures(keys::keyring(keys::images())),
    )
}

fn transport() -> (MemoryTransport, Vec<u8>) {
    let transport = MemoryTransport::new();
    let bytes: Vec<u8> = (0..5000).map(|n| (n % 251) as u8).collect();
    transport.put(URL, bytes.clone());
    (transport, bytes)
}

#[tokio::test]
async fn answers_and_counts() {
    let (transport, bytes) = transport();
    let (remote, url) = (remote(), Url::parse(URL).expect("valid"));
    let body = transport
        .get(Get::document(&remote, &url))
        .await
        .expect("there");
    assert_eq!(body.length(), Some(5000));
    let body = body.collect(5000).await.expect("small enough");
    assert_eq!(
        check_digest(body, &Sha256::of(&bytes))
            .expect("the same")
            .len(),
        5000
    );
    assert_eq!(
        (transport.count(URL), transport.requests()),
        (1, vec![URL.to_owned()])
    );
}

#[tokio::test]
async fn goes_on_where_a_part_ends_if_the_file_is_the_same() {
    let (transport, bytes) = transport();
    let (remote, url) = (remote(), Url::parse(URL).expect("valid"));
    let etag = |bytes: &[u8]| Some(format!("\"{}\"", Sha256::of(bytes)));
    let resume = |etag| Resume {
        offset: 4000,
        validators: Validators {
            etag,
            last_modified: None,
        },
    };
    let (same, other) = (resume(etag(&bytes)), resume(etag(b"other")));
    let body = transport
        .get(Get::file(&remote, &url).with_resume(Some(&same)))
        .await
        .expect("there");
    assert_eq!((body.offset(), body.length()), (4000, Some(1000)));
    let body = transport
        .get(Get::file(&remote, &url).with_resume(Some(&other)))
        .await
        .expect("there");
    assert_eq!((body.offset(), body.length()), (0, Some(5000)));
}

#[tokio::test]
async fn misbehaves_as_told() {
    let (transport, bytes) = transport();
    let (remote, url) = (remote(), Url::parse(URL).expect("valid"));
    let get = async || transport.get(Get::document(&remote, &url)).await;

    for (fault, kind) in [
        (MemoryFault::NotFound, ErrorKind::NotFound),
        (MemoryFault::Status(503), ErrorKind::Network),
        (MemoryFault::Unreachable, ErrorKind::Network),
    ] {
        transport.fail(URL, fault);
        assert_eq!(get().await.expect_err("fails").kind(), kind, "{fault:?}");
    }

    transport.fail(URL, MemoryFault::Cut(10));
    let error = get()
        .await
        .expect("a head")
        .collect(9999)
        .await
        .expect_err("cut");
    assert_eq!(error.kind(), ErrorKind::Network);

    transport.fail_once(URL, MemoryFault::FlipByte(7));
    let body = get()
        .await
        .expect("a head")
        .collect(9999)
        .await
        .expect("whole");
    check_digest(body, &Sha256::of(&bytes)).expect_err("changed");
    let body = get()
        .await
        .expect("a head")
        .collect(9999)
        .await
        .expect("whole");
    check_digest(body, &Sha256::of(&bytes)).expect("once only");

    transport.fail(URL, MemoryFault::Grow(1));
    let error = get()
        .await
        .expect("a head")
        .collect(5000)
        .await
        .expect_err("longer");
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    transport.heal(URL);
    transport.remove(URL);
    assert_eq!(
        get().await.expect_err("removed").kind(),
        ErrorKind::NotFound
    );
}
