//! What a simplestreams tree holds, and when it holds nothing new.

use std::fs;
use std::num::NonZeroUsize;
use std::time::Duration;

use imagestore_publish::{
    ImageContents, ImageMetadata, PackOptions, PublishError, RootfsSource, SimplestreamsPublisher,
};
use imagestore_testkit::keys;
use imagestore_verify::{Policy, Sha256, Unverified, Verifier};
use serde_json::Value;

use crate::support::{Place, build, files, name};

const NAME: &str = "ubuntu/trusty/amd64/default";

fn publisher(place: &Place) -> SimplestreamsPublisher<'static> {
    SimplestreamsPublisher::new(place.tree()).with_time(keys::at(keys::SIGNED))
}

fn contents(place: &Place) -> ImageContents {
    let squashfs = place.path("rootfs.squashfs");
    fs::write(&squashfs, "hsqs, and then some").expect("written");
    let rootfs = RootfsSource::Directory(place.path("rootfs"), PackOptions::default());
    ImageContents::new(ImageMetadata::Made)
        .with_rootfs(rootfs)
        .with_squashfs(squashfs)
}

fn json(place: &Place, path: &str) -> Value {
    serde_json::from_str(&place.read(path)).expect("JSON")
}

#[test]
fn lists_one_file_for_both_programs_with_every_fingerprint() {
    let place = Place::new();
    let contents = contents(&place).with_alias("ubuntu/lts");
    publisher(&place)
        .publish(&name(NAME), build("20240601_00:00"), &contents)
        .expect("published");
    let index = json(&place, "streams/v1/index.json");
    assert_eq!(index["format"], "index:1.0");
    assert_eq!(index["updated"], "Sat, 01 Jun 2024 00:00:00 +0000");
    let entry = &index["index"]["images"];
    assert_eq!(entry["path"], "streams/v1/images.json");
    assert_eq!(entry["datatype"], "image-downloads");
    assert_eq!(entry["products"][0], "ubuntu:trusty:amd64:default");
    let products = json(&place, "streams/v1/images.json");
    let product = &products["products"]["ubuntu:trusty:amd64:default"];
    assert_eq!(
        product["aliases"],
        "ubuntu/trusty/default,ubuntu/trusty,ubuntu/lts"
    );
    assert_eq!(
        (&product["os"], &product["arch"]),
        (&"ubuntu".into(), &"amd64".into())
    );
    let items = &product["versions"]["20240601_00:00"]["items"];
    let bytes = |item: &str| {
        let path = items[item]["path"].as_str().expect("a path");
        let bytes = fs::read(place.tree().join(path)).expect("there");
        assert_eq!(items[item]["size"], bytes.len());
        assert_eq!(items[item]["sha256"], Sha256::of(&bytes).to_string());
        bytes
    };
    let metadata = bytes("lxd.tar.xz");
    assert_eq!(metadata, bytes("incus.tar.xz"));
    for family in ["lxd.tar.xz", "incus.tar.xz"] {
        let item = &items[family];
        assert_eq!(item["ftype"], family);
        for (data, field) in [
            ("root.tar.xz", "combined_rootxz_sha256"),
            ("root.tar.xz", "combined_sha256"),
            ("root.squashfs", "combined_squashfs_sha256"),
        ] {
            let both = Sha256::of(&[&metadata[..], &bytes(data)].concat()).to_string();
            assert_eq!(item[field], both, "{family} {field}");
        }
    }
    assert_eq!(items["root.squashfs"]["ftype"], "squashfs");
    assert!(
        files(&place.tree())
            .iter()
            .all(|file| !file.contains(".partial"))
    );
}

#[test]
fn signs_the_same_bytes_in_both_forms() {
    let place = Place::new();
    publisher(&place)
        .with_key(keys::images())
        .publish(&name(NAME), build("20240601_00:00"), &contents(&place))
        .expect("published");
    let policy = Policy::default().with_at(keys::at(keys::NOW));
    let verifier = Verifier::new(keys::keyring(keys::images()), policy);
    let open = |text: String| Unverified::new(bytes::Bytes::from(text));
    let signed = verifier
        .check_clear_signed(open(place.read("streams/v1/images.sjson")))
        .expect("signed");
    let plain = place.read("streams/v1/images.json");
    // Signed text has no end behind its last line, and the ends of the others are those of the network.
    let text = plain.trim_end_matches('\n').replace('\n', "\r\n");
    assert_eq!(*signed, text.as_bytes());
    let asc = open(place.read("streams/v1/images.json.gpg"));
    let asc = imagestore_verify::DetachedSignature::parse(&asc).expect("a signature");
    verifier.check(open(plain), &asc).expect("signed");
    let index = verifier
        .check_clear_signed(open(place.read("streams/v1/index.sjson")))
        .expect("signed");
    let index: Value = serde_json::from_slice(&index).expect("JSON");
    // Whoever believes the one by its signature is led to the other with a signature.
    assert_eq!(index["index"]["images"]["path"], "streams/v1/images.sjson");
}

#[test]
fn old_versions_leave_the_list_first_and_the_tree_when_their_time_is_up() {
    let place = Place::new();
    let at = |seconds: u64, keep: usize| {
        SimplestreamsPublisher::new(place.tree())
            .with_time(keys::at(keys::SIGNED + seconds))
            .with_kept_versions(NonZeroUsize::new(keep).expect("not zero"))
            .with_grace(Duration::from_secs(100))
    };
    let mut removed = Vec::new();
    for minute in 0..5 {
        let id = format!("20240601_00:0{minute}");
        let published = at(minute * 60, 2)
            .publish(&name(NAME), build(&id), &contents(&place))
            .expect("published");
        removed.extend(published.removed);
    }
    assert_eq!(listed(&place), ["20240601_00:03", "20240601_00:04"]);
    // The first was listed until two minutes ago, the second until one minute ago.
    let folder = place.tree().join("images").join(NAME);
    assert_eq!(removed, [folder.join("20240601_00:00")]);
    let four = ["01", "02", "03", "04"].map(|minute| format!("20240601_00:{minute}"));
    assert_eq!(versions(&place), four);

    at(300, 2).refresh().expect("refreshed");
    assert_eq!(versions(&place), four[1..]);
    // One that is listed again has its time again when it leaves once more.
    at(310, 3).refresh().expect("refreshed");
    assert_eq!(listed(&place), four[1..]);
    at(500, 2).refresh().expect("refreshed");
    assert_eq!(versions(&place), four[1..]);
    at(590, 2).refresh().expect("refreshed");
    assert_eq!(versions(&place), four[1..]);
    at(600, 2).refresh().expect("refreshed");
    assert_eq!(versions(&place), four[2..]);
    at(610, 1)
        .with_grace(Duration::ZERO)
        .refresh()
        .expect("refreshed");
    assert_eq!(versions(&place), four[3..]);

    let error = publisher(&place)
        .publish(&name(NAME), build("20240601_00:04"), &contents(&place))
        .expect_err("again");
    assert!(matches!(error, PublishError::NotNewest { .. }), "{error}");
}

/// The versions in the product file.
fn listed(place: &Place) -> Vec<String> {
    let products = json(place, "streams/v1/images.json");
    let versions = &products["products"]["ubuntu:trusty:amd64:default"]["versions"];
    let versions = versions.as_object().expect("an object");
    versions.keys().cloned().collect()
}

/// The versions in the tree.
fn versions(place: &Place) -> Vec<String> {
    let folder = place.tree().join("images").join(NAME);
    let entries = fs::read_dir(folder).expect("there");
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
    let mut there: Vec<_> = entries
        .map(|entry| name(entry).into_string().expect("UTF-8"))
        .collect();
    there.sort_unstable();
    there
}

#[test]
fn refuses_what_readers_would_refuse() {
    let place = Place::new();
    let empty = place.path("empty");
    fs::write(&empty, "").expect("written");
    let good = contents(&place);
    let made = || ImageContents::new(ImageMetadata::Made);
    for (contents, message) in [
        (
            made(),
            "an image has neither a root file system nor a disk: `ubuntu/trusty/amd64/default`"
                .to_owned(),
        ),
        (
            made().with_squashfs(&empty),
            format!("a file is no squashfs: `{}`", empty.display()),
        ),
        (
            made().with_disk(place.path("rootfs.squashfs")),
            format!(
                "a file is no qcow2 disk: `{}`",
                place.path("rootfs.squashfs").display()
            ),
        ),
        (
            good.clone().with_alias("../x"),
            "an alias is no plain name: `../x`".to_owned(),
        ),
        (
            (0..100).fold(good.clone(), |contents, n| {
                contents.with_alias(format!("{}{n:03}", "x".repeat(190)))
            }),
            "an image has more aliases than fit on a line that can be signed: \
             `ubuntu/trusty/amd64/default`"
                .to_owned(),
        ),
        (
            good.clone().with_alias("a,b"),
            "an alias is no plain name: `a,b`".to_owned(),
        ),
        (
            ImageContents::new(ImageMetadata::Yaml("properties: {}\n".into()))
                .with_squashfs(place.path("rootfs.squashfs")),
            "the metadata of an image lack a field: `architecture`".to_owned(),
        ),
    ] {
        let error = publisher(&place)
            .publish(&name(NAME), build("20240601_00:00"), &contents)
            .expect_err(&message);
        assert_eq!(error.to_string(), message);
    }
    publisher(&place)
        .publish(&name(NAME), build("20240601_00:00"), &good)
        .expect("the same build, in order");
    let own = place.tree().join("streams/v1/own.json");
    fs::write(&own, "{}").expect("written");
    let error = publisher(&place).refresh().expect_err("a foreign file");
    assert!(matches!(error, PublishError::Foreign { .. }), "{error}");
}
