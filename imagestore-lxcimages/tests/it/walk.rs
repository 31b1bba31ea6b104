//! From a registry to an image, through the resolver.

use std::sync::Arc;

use imagestore_core::{
    Cleartext, EntryKind, ErrorKind, RemoteConfig, Resolution, Resolver, TlsTrust, Trust,
};
use imagestore_lxcimages::LxcImagesProtocol;
use imagestore_registry::RegistryProtocol;
use imagestore_testkit::{MemoryFault, keys};
use imagestore_verify::signing::SigningKey;

use crate::tree::{BUILD, Tree, chain};

const REGISTRY: &str = "https://registry.example";

/// A registry that refers `lxc-images` and the alias `ubuntu` to the image server, whose key it
/// serves.
fn registry() -> Tree {
    let tree = Tree::new();
    let key = keys::images().fingerprint();
    let index = format!(
        r#"{{"version": 1, "generated_at": {}, "servers": [
            {{"name": "lxc-images", "url": "https+lxc-images://images.example",
              "trusted_keys": ["/keys/0x{key}"], "arguments": {{"binding": "required"}}}}],
           "aliases": {{"ubuntu": {{"server": "lxc-images",
              "arguments": {{"distribution": "ubuntu", "release": "trusty", "variant": "default"}}}}}}}}"#,
        keys::SIGNED
    );
    put(
        &tree,
        "registry.example",
        "/1.0/index.json",
        index.as_bytes(),
        keys::registry(),
    );
    put_key(&tree, "registry.example", keys::images());
    tree
}

fn put(tree: &Tree, host: &str, path: &str, bytes: &[u8], key: &SigningKey) {
    let url = format!("https://{host}{path}");
    tree.transport
        .put_signed(&url, bytes.to_vec(), key, keys::at(keys::SIGNED));
}

fn put_key(tree: &Tree, host: &str, key: &SigningKey) {
    let path = format!("/keys/0x{}", key.fingerprint());
    put(
        tree,
        host,
        &path,
        key.certificate().as_bytes(),
        keys::registry(),
    );
}

fn resolver(tree: &Tree) -> Resolver {
    let trust = Trust::Signatures(keys::keyring(keys::registry()));
    let url = "https+registry://registry.example".parse().expect("a url");
    let remote = RemoteConfig::new("images".parse().expect("a name"), url, trust)
        .with_architecture(Some("amd64".into()))
        .with_cleartext(Cleartext::Allow);
    Resolver::new(tree.context())
        .with_protocol(Arc::new(RegistryProtocol::new()))
        .with_protocol(Arc::new(LxcImagesProtocol::new()))
        .with_remote(remote)
}

async fn resolve(tree: &Tree, reference: &str) -> Result<Resolution, (ErrorKind, String)> {
    let answer = resolver(tree)
        .resolve(&reference.parse().expect(reference))
        .await;
    answer.map_err(|error| (error.kind(), chain(&error)))
}

#[tokio::test]
async fn reference_becomes_a_build_with_the_keys_the_registry_gave() {
    let tree = registry();
    for reference in [
        "images:lxc-images/ubuntu/trusty/amd64/default",
        "images:lxc-images/ubuntu/trusty",
        "images:ubuntu",
        "images:ubuntu/x86_64",
        "images:ubuntu/20240531_12:00",
        "images:ubuntu/amd64/20240531_12:00",
    ] {
        let found = resolve(&tree, reference).await.expect(reference);
        assert_eq!(
            found.image.id.path(),
            "ubuntu/trusty/amd64/default",
            "{reference}"
        );
        assert_eq!(found.image.id.build(), BUILD);
        assert_eq!(found.image.properties["bound"], "yes");
        assert_eq!(found.hops.len(), 2);
        let server = &found.hops[1].remote;
        assert_eq!(server.name().as_str(), "lxc-images");
        assert_eq!(server.arguments()["binding"], "required");
        assert_eq!(server.tls(), &TlsTrust::SystemRoots);
        assert_eq!(server.cleartext(), Cleartext::Refuse);
        assert_eq!(server.architecture(), Some("amd64"));
        let Trust::Signatures(found) = server.trust() else {
            panic!("no keys")
        };
        assert_eq!(found.fingerprints(), [keys::images().fingerprint()]);
    }
}

#[tokio::test]
async fn listing_goes_level_by_level_and_asks_only_who_is_meant() {
    let tree = registry();
    let resolver = resolver(&tree);
    let root = resolver
        .list(&"images:".parse().expect("a name"))
        .await
        .expect("a listing");
    let names: Vec<_> = root
        .entries
        .iter()
        .map(|entry| (entry.name.as_str(), entry.kind))
        .collect();
    assert_eq!(
        names,
        [
            ("lxc-images", EntryKind::Remote),
            ("ubuntu", EntryKind::Alias)
        ]
    );
    let asked = tree.transport.requests();
    assert_eq!(
        asked,
        [
            format!("{REGISTRY}/1.0/index.json"),
            format!("{REGISTRY}/1.0/index.json.asc"),
        ]
    );
    for (reference, wanted) in [
        ("images:lxc-images", "ubuntu"),
        ("images:lxc-images/ubuntu", "trusty"),
        ("images:lxc-images/ubuntu/trusty", "amd64 arm64"),
        ("images:ubuntu", "amd64 arm64"),
        ("images:ubuntu/amd64", BUILD),
        ("images:lxc-images/ubuntu/trusty/arm64", "cloud"),
    ] {
        let listed = resolver
            .list(&reference.parse().expect(reference))
            .await
            .expect(reference);
        let names: Vec<_> = listed
            .entries
            .iter()
            .map(|entry| entry.name.as_str())
            .collect();
        assert_eq!(names.join(" "), wanted, "{reference}");
    }
}

#[tokio::test]
async fn keys_of_the_registry_do_not_count_on_its_servers() {
    let tree = registry();
    let index = "/meta/1.0/index-user";
    let bytes = tree
        .transport
        .file(&format!("https://images.example{index}"))
        .expect("it is there");
    put(&tree, "images.example", index, &bytes, keys::registry());
    let (kind, text) = resolve(&tree, "images:ubuntu")
        .await
        .expect_err("signed by the registry");
    assert_eq!(kind, ErrorKind::Untrusted);
    assert_eq!(
        text,
        format!(
            "does not verify: https://images.example{index}\nsigned by {}, which is not in the keyring",
            keys::registry().fingerprint()
        )
    );
}

#[tokio::test]
async fn keys_of_a_server_do_not_count_on_the_registry() {
    let key = format!("/keys/0x{}", keys::images().fingerprint());
    for path in ["/1.0/index.json", key.as_str()] {
        let tree = registry();
        let url = format!("{REGISTRY}{path}");
        let bytes = tree.transport.file(&url).expect("it is there");
        put(&tree, "registry.example", path, &bytes, keys::images());
        let (kind, text) = resolve(&tree, "images:ubuntu")
            .await
            .expect_err("signed by a server");
        assert_eq!(kind, ErrorKind::Untrusted);
        assert!(
            text.starts_with(&format!("does not verify: {url}\nsigned by ")),
            "{text}"
        );
    }
}

#[tokio::test]
async fn every_document_on_the_way_is_checked() {
    let key = format!("{REGISTRY}/keys/0x{}", keys::images().fingerprint());
    let place = "https://images.example/images/ubuntu/trusty/amd64/default/20240531_12:00";
    for url in [
        format!("{REGISTRY}/1.0/index.json"),
        key,
        "https://images.example/meta/1.0/index-user".into(),
        format!("{place}/SHA256SUMS"),
    ] {
        let tree = registry();
        tree.transport.fail(&url, MemoryFault::FlipByte(7));
        let (kind, text) = resolve(&tree, "images:ubuntu").await.expect_err(&url);
        assert_eq!(kind, ErrorKind::Untrusted, "{text}");
        assert!(
            text.starts_with(&format!("does not verify: {url}\n")),
            "{text}"
        );

        let tree = registry();
        tree.transport.remove(&format!("{url}.asc"));
        let (kind, text) = resolve(&tree, "images:ubuntu").await.expect_err(&url);
        assert_eq!(
            (kind, text),
            (
                ErrorKind::Untrusted,
                format!("is not signed: {url}\nstatus 404: {url}.asc"),
            )
        );
    }
}

#[tokio::test]
async fn registry_refers_in_a_circle() {
    let tree = Tree::new();
    let refer = |tree: &Tree, host: &str, to: &str| {
        let key = keys::registry().fingerprint();
        let index = format!(
            r#"{{"version": 1, "servers": [{{"name": "next", "url": "https+registry://{to}",
                 "trusted_keys": ["/keys/0x{key}"]}}]}}"#
        );
        put(
            tree,
            host,
            "/1.0/index.json",
            index.as_bytes(),
            keys::registry(),
        );
        put_key(tree, host, keys::registry());
    };
    refer(&tree, "registry.example", "registry.example");
    let (kind, text) = resolve(&tree, "images:next/next")
        .await
        .expect_err("itself");
    assert_eq!(
        (kind, text.as_str()),
        (
            ErrorKind::Loop,
            "https+registry://registry.example refers back to a remote asked before: \
         https+registry://registry.example",
        )
    );
    // A new tree: the memory of the first would refuse two indexes of one second.
    let tree = Tree::new();
    refer(&tree, "registry.example", "a.example");
    refer(&tree, "a.example", "registry.example");
    let (kind, text) = resolve(&tree, "images:next/next/next")
        .await
        .expect_err("a circle of two");
    assert_eq!(
        (kind, text.as_str()),
        (
            ErrorKind::Loop,
            "https+registry://a.example refers back to a remote asked before: https+registry://registry.example",
        )
    );
    let tree = Tree::new();
    refer(&tree, "registry.example", "a.example");
    for (from, to) in [("a", "b"), ("b", "c"), ("c", "d"), ("d", "e")] {
        refer(&tree, &format!("{from}.example"), &format!("{to}.example"));
    }
    let (kind, text) = resolve(&tree, "images:next/next/next/next/next/x")
        .await
        .expect_err("five hops");
    assert_eq!(
        (kind, text.as_str()),
        (
            ErrorKind::Loop,
            "more than 4 referrals: https+registry://e.example",
        )
    );
}

#[tokio::test]
async fn registry_refers_from_https_to_http_or_to_a_socket() {
    for (url, wanted) in [
        (
            "http+lxc-images://images.example",
            "https+registry://registry.example refers from https to http: http+lxc-images://images.example",
        ),
        (
            "http+lxc-images://127.0.0.1",
            "https+registry://registry.example refers from https to http: http+lxc-images://127.0.0.1",
        ),
        (
            "unix+lxd:///var/lib/lxd/unix.socket",
            "server `s` is a socket of this machine",
        ),
    ] {
        let tree = Tree::new();
        let key = keys::images().fingerprint();
        let index = format!(
            r#"{{"version": 1, "servers": [{{"name": "s", "url": "{url}", "trusted_keys": ["/keys/0x{key}"]}}]}}"#
        );
        put(
            &tree,
            "registry.example",
            "/1.0/index.json",
            index.as_bytes(),
            keys::registry(),
        );
        put_key(&tree, "registry.example", keys::images());
        let (kind, text) = resolve(&tree, "images:s/x/y").await.expect_err(url);
        assert_eq!((kind, text.as_str()), (ErrorKind::Unsafe, wanted));
    }
}
