//! Trees that real publishers made and real clients read, where they are at hand. The same rules
//! are held by literals in the other tests.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use imagestore_core::{Context, ErrorKind, Image, ImageSource, RemoteConfig, Trust};
use imagestore_simplestreams::{Index, ParseError, Products, Simplestreams};
use imagestore_testkit::{MemoryTransport, oracle};
use imagestore_verify::{Channel, Keyring, Sha256, Verified};

use crate::tree::{BASE, chain, lookup};

/// The vectors of this protocol, if they are at hand.
fn vectors(path: &str) -> Option<PathBuf> {
    oracle::shared(&format!("vectors/simplestreams/{path}"))
}

fn read(path: &str) -> Option<Vec<u8>> {
    vectors(path).map(|path| fs::read(path).expect("a file"))
}

fn source(
    tree: &str,
    arch: &str,
    trust: Trust,
    arguments: &[(&str, &str)],
) -> Option<Simplestreams> {
    let root = vectors(tree)?;
    let transport = MemoryTransport::new().with_channel(Channel::new("a test"));
    transport.put_tree(BASE, &root).expect("files");
    let url = "https+simplestreams://images.example"
        .parse()
        .expect("a url");
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let remote = RemoteConfig::new("ss".parse().expect("a name"), url, trust)
        .with_architecture(Some(arch.to_owned()))
        .with_arguments(arguments.iter().map(own).collect());
    let context = Context::new(Arc::new(transport));
    Some(Simplestreams::new(remote, context).expect("in order"))
}

/// The fingerprint is that of the files as they lie in the tree.
fn holds(tree: &str, image: &Verified<Image>) {
    let mut all = Vec::new();
    for download in &image.downloads {
        let path = download.locations[0].path().trim_start_matches('/');
        let bytes = read(&format!("{tree}/{path}")).expect("listed");
        assert_eq!(download.size, Some(bytes.len() as u64), "{path}");
        all.extend(bytes);
    }
    assert_eq!(image.fingerprint, Some(Sha256::of(&all)));
}

#[tokio::test]
async fn finds_what_the_real_client_lists() {
    for (arguments, path, place, build) in [
        (
            &[][..],
            "ubuntu/trusty",
            "ubuntu/trusty/amd64/default",
            "20240102_03:42+tar",
        ),
        (
            &[("prefer", "squashfs")],
            "ubuntu/14.04",
            "ubuntu/trusty/amd64/default",
            "20240102_03:42+squashfs",
        ),
        (
            &[],
            "ubuntu/trusty/default/amd64/20240101_03:42",
            "ubuntu/trusty/amd64/default",
            "20240101_03:42+tar",
        ),
        (
            &[],
            "ubuntu/trusty/combined/arm64",
            "ubuntu/trusty/arm64/combined",
            "20240102_03:42+combined",
        ),
    ] {
        let Some(source) = source("tree_ok", "amd64", Trust::Channel, arguments) else {
            return;
        };
        let image = lookup(&source, path)
            .await
            .unwrap_or_else(|e| panic!("{path}: {}", chain(&e)));
        assert_eq!((image.id.path(), image.id.build()), (place, build));
        holds("tree_ok", &image);
        let fingerprint = image.fingerprint.expect("has one").to_string();
        let again = lookup(&source, &fingerprint).await.expect("by fingerprint");
        assert_eq!(again.id, image.id);
    }
}

#[tokio::test]
async fn a_delta_of_xdelta3_takes_the_place_of_the_file() {
    let Some(root) = vectors("tree_ok") else {
        return;
    };
    let transport = Arc::new(MemoryTransport::new().with_channel(Channel::new("a test")));
    transport.put_tree(BASE, &root).expect("files");
    let context = Context::new(transport.clone());
    let remote = crate::tree::Tree::with_arguments(&[("prefer", "squashfs")]);
    let source = Simplestreams::new(remote, context.clone()).expect("in order");
    let folder = tempfile::tempdir().expect("a directory");
    let store = imagestore_store::Store::open(folder.path()).expect("a store");
    for build in ["20240101_03:42", "20240102_03:42"] {
        let path = format!("ubuntu/trusty/amd64/default/{build}");
        let image = lookup(&source, &path).await.expect("there");
        let stored = store
            .fetch(&context, source.remote(), &image)
            .await
            .expect("right");
        assert_eq!(stored.fingerprint(), image.fingerprint);
    }
    let asked = transport.requests();
    let of_type = |ending: &str| asked.iter().filter(|url| url.ends_with(ending)).count();
    assert_eq!(
        (of_type("rootfs.squashfs"), of_type(".vcdiff")),
        (1, 1),
        "{asked:?}"
    );
}

#[tokio::test]
async fn believes_the_signatures_of_gnupg_and_refuses_others() {
    let Some(key) = read("tree_ok/test-pub.gpg") else {
        return;
    };
    let trust = Trust::Signatures(Keyring::from_bytes(&key).expect("a key"));
    let source = source("tree_ok", "amd64", trust, &[]).expect("vectors");
    let image = lookup(&source, "ubuntu/trusty").await;
    let image = image.unwrap_or_else(|error| panic!("{}", chain(&error)));
    assert_eq!(image.id.build(), "20240102_03:42+tar");
    holds("tree_ok", &image);
}

#[tokio::test]
async fn reads_the_tree_of_another_publisher() {
    let Some(source) = source("tree_incus", "x86_64", Trust::Channel, &[]) else {
        return;
    };
    // It names the variant nowhere but in the name of the product.
    let image = lookup(&source, "ubuntu/trusty/default")
        .await
        .expect("there");
    assert_eq!(image.id.path(), "ubuntu/trusty/x86_64/default");
    assert_eq!(image.id.build(), "201403191309+squashfs");
    assert_eq!(
        image.fingerprint.map(|f| f.to_string()).as_deref(),
        Some("093193799f568311307e85a28e29d7ceabb4fac0ad7090aa0da39d4824bf4f8e")
    );
    holds("tree_incus", &image);
    let listing = source.list(&"".parse().expect("the root")).await;
    assert!(listing.is_ok());
}

#[test]
fn indexes_of_the_field_name_what_they_name() {
    for (name, wanted) in [
        ("incus_kriszos_index.json", &["streams/v1/images.json"][..]),
        ("juju_imageids_index.json", &[]),
        (
            "pysimplestreams_minimal_index.json",
            &["streams/v1/download.json"],
        ),
        (
            "pysimplestreams_foocloud_index.json",
            &["streams/v1/com.example.foovendor:released:download.json"],
        ),
    ] {
        let Some(bytes) = read(&format!("streams/{name}")) else {
            return;
        };
        let index = Index::parse(&bytes).expect(name);
        let found: Vec<_> = index
            .files()
            .map(imagestore_simplestreams::ProductFile::path)
            .collect();
        assert_eq!(found, wanted, "{name}");
    }
}

#[test]
fn product_files_of_the_field_hold_what_they_hold() {
    for (name, content_id, wanted) in [
        (
            "linuxcontainers_images_2023-04_excerpt.json",
            "images",
            &[
                "almalinux/8/amd64/cloud 20230422_23:27 squashfs tar disk-kvm",
                "almalinux/8/amd64/cloud 20230421_23:27 squashfs tar disk-kvm",
            ][..],
        ),
        (
            "incus_kriszos_images_excerpt.json",
            "images",
            &["chr/7.20.8/amd64/cloud 202602202329 disk-kvm"],
        ),
        (
            "pysimplestreams_minimal_download.json",
            "com.example:download",
            &["com.example:product1 20150915"],
        ),
    ] {
        let Some(bytes) = read(&format!("streams/{name}")) else {
            return;
        };
        let products = Products::parse(&bytes, content_id, 10_000).expect(name);
        let found: Vec<_> = products
            .iter()
            .flat_map(|product| product.versions().map(move |version| (product, version)))
            .map(|(product, version)| {
                let mut line = format!("{} {}", product.place(), version.serial());
                for choice in version.choices() {
                    line.push_str(&format!(" {}", choice.form().name()));
                }
                line
            })
            .collect();
        assert_eq!(found, wanted, "{name}");
        let error = Products::parse(&bytes, "another", 10_000).expect_err("another");
        assert!(matches!(error, ParseError::ContentId { .. }), "{error}");
        assert_eq!(error.kind(), ErrorKind::Malformed);
    }
    // Fields of the product hold for its items: these have no digest but md5, so they are nothing
    // to fetch, and no error for whoever asks for something else.
    if let Some(bytes) =
        read("streams/pysimplestreams_foocloud_com.example.foovendor-released-download.json")
    {
        let id = "com.example.foovendor:released:download";
        let products = Products::parse(&bytes, id, 10_000).expect("a product file");
        assert_eq!(products.iter().count(), 2);
        assert_eq!(
            products
                .iter()
                .flat_map(|p| p.versions())
                .flat_map(|v| v.choices())
                .count(),
            0
        );
        assert_eq!(products.updated(), Some(1_363_802_217));
    }
}
