//! Images in one file, and deltas, in a simplestreams tree.

use std::fs;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use imagestore_publish::{ImageContents, ImageMetadata, SimplestreamsPublisher};
use imagestore_testkit::keys;
use imagestore_testkit::oracle::Tool;
use imagestore_verify::Sha256;
use serde_json::Value;

use crate::support::{Place, build, files, name};

const NAME: &str = "ubuntu/trusty/amd64/default";
const YAML: &str = "architecture: x86_64\ncreation_date: 1717200000\n";

fn publisher(place: &Place) -> SimplestreamsPublisher<'static> {
    SimplestreamsPublisher::new(place.tree()).with_time(keys::at(keys::SIGNED))
}

fn made() -> ImageContents {
    ImageContents::new(ImageMetadata::Made)
}

/// The items of a version, as the product file lists them.
fn items(place: &Place, build: &str) -> Value {
    let products: Value =
        serde_json::from_str(&place.read("streams/v1/images.json")).expect("JSON");
    products["products"]["ubuntu:trusty:amd64:default"]["versions"][build]["items"].clone()
}

fn tarball(members: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, text) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive
            .append_data(&mut header, name, text.as_bytes())
            .expect("in memory");
    }
    archive.into_inner().expect("in memory")
}

fn gzip(place: &Place, bytes: &[u8]) -> PathBuf {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("in memory");
    let path = place.path("one.tar.gz");
    fs::write(&path, encoder.finish().expect("in memory")).expect("written");
    path
}

#[test]
fn an_image_in_one_file_is_listed_for_whoever_can_use_it() {
    let place = Place::new();
    let id = "20240601_00:00";
    let container = tarball(&[("./metadata.yaml", YAML), ("rootfs/etc/hostname", "one\n")]);
    let contents = made().with_combined(gzip(&place, &container));
    publisher(&place)
        .publish(&name(NAME), build(id), &contents)
        .expect("published");
    let listed = items(&place, id);
    let names: Vec<_> = listed.as_object().expect("an object").keys().collect();
    assert_eq!(names, ["incus_combined.tar.gz", "lxd_combined.tar.gz"]);
    let bytes = fs::read(place.path("one.tar.gz")).expect("there");
    for (name, item) in listed.as_object().expect("an object") {
        assert_eq!(item["ftype"], **name);
        assert_eq!(item["sha256"], Sha256::of(&bytes).to_string());
        assert_eq!(item["size"], bytes.len());
        assert_eq!(item["combined_type"], Value::Null);
        let path = place.tree().join(item["path"].as_str().expect("a path"));
        assert_eq!(fs::read(path).expect("there"), bytes);
    }

    let id = "20240601_00:01";
    let machine = tarball(&[("metadata.yaml", YAML), ("rootfs.img", "QFI")]);
    let contents = made().with_combined(gzip(&place, &machine));
    publisher(&place)
        .publish(&name(NAME), build(id), &contents)
        .expect("published");
    let listed = items(&place, id);
    assert_eq!(listed.as_object().expect("an object").len(), 1);
    let item = &listed["incus_combined.tar.gz"];
    assert_eq!(item["combined_type"], "virtual-machine");
}

#[test]
fn an_image_in_one_file_must_be_whole_and_say_what_it_is() {
    let place = Place::new();
    let rootfs = ("rootfs/etc/hostname", "one\n");
    let shown = place.path("one.tar.gz").display().to_string();
    let cases = [
        (
            tarball(&[rootfs]),
            "the metadata of an image lack a file: `metadata.yaml`".to_owned(),
        ),
        (
            tarball(&[("metadata.yaml", "architecture: x86_64\n"), rootfs]),
            "the metadata of an image lack a field: `creation_date`".to_owned(),
        ),
        (
            tarball(&[("metadata.yaml", YAML), ("templates/x", "")]),
            format!("an image in one file holds neither rootfs/ nor rootfs.img: `{shown}`"),
        ),
    ];
    let publish = |path: PathBuf| {
        publisher(&place)
            .publish(
                &name(NAME),
                build("20240601_00:00"),
                &made().with_combined(path),
            )
            .expect_err("refused")
            .to_string()
    };
    for (bytes, message) in cases {
        assert_eq!(publish(gzip(&place, &bytes)), message);
    }
    let path = gzip(&place, &tarball(&[("metadata.yaml", YAML), rootfs]));
    let both = made()
        .with_combined(&path)
        .with_squashfs(squashfs(&place, "squashfs", 0, 0));
    let error = publisher(&place)
        .publish(&name(NAME), build("20240601_00:00"), &both)
        .expect_err("refused");
    assert_eq!(
        error.to_string(),
        format!(
            "an image in one file goes alone: of several, LXD takes now this one and now that \
             one: `{NAME}`"
        )
    );
    let mut bytes = fs::read(&path).expect("there");
    let checksum = bytes.len() - 8;
    bytes[checksum] ^= 1;
    fs::write(&path, bytes).expect("written");
    let found = publish(path);
    assert!(found.starts_with("not a whole packed tarball: "), "{found}");
    assert!(
        files(&place.tree())
            .iter()
            .all(|file| !file.contains("combined"))
    );
}

/// Bytes that look like no others, behind the magic of a squashfs.
fn squashfs(place: &Place, name: &str, seed: u8, change: u8) -> PathBuf {
    let mut bytes = b"hsqs".to_vec();
    for block in 0..3000_u32 {
        let block = [&[seed][..], &block.to_le_bytes()].concat();
        bytes.extend_from_slice(Sha256::of(&block).as_bytes());
    }
    bytes[50_000] ^= change;
    let path = place.path(name);
    fs::write(&path, bytes).expect("written");
    path
}

#[test]
fn a_delta_leads_from_the_version_before_to_the_new_one() {
    let Some(xdelta3) = Tool::find("xdelta3") else {
        return;
    };
    let place = Place::new();
    let publish = |id: &str, squashfs: &Path, keep: usize| {
        publisher(&place)
            .with_deltas(xdelta3.path())
            .with_kept_versions(NonZeroUsize::new(keep).expect("not zero"))
            .publish(&name(NAME), build(id), &made().with_squashfs(squashfs))
            .expect("published");
    };
    let (first, second) = (
        squashfs(&place, "first", 0, 0),
        squashfs(&place, "second", 0, 1),
    );
    publish("20240601_00:00", &first, 3);
    publish("20240601_00:01", &second, 3);
    assert_eq!(
        items(&place, "20240601_00:00")
            .as_object()
            .expect("an object")
            .len(),
        3
    );
    let listed = items(&place, "20240601_00:01");
    let item = &listed["root.20240601_00:00.vcdiff"];
    assert_eq!(item["ftype"], "squashfs.vcdiff");
    assert_eq!(item["delta_base"], "20240601_00:00");
    let path = place.tree().join(item["path"].as_str().expect("a path"));
    let delta = fs::read(&path).expect("there");
    assert_eq!(item["sha256"], Sha256::of(&delta).to_string());
    assert_eq!(item["size"], delta.len());
    assert!(delta.len() < 1000, "{} bytes", delta.len());
    let tells = |name: &[u8]| delta.windows(name.len()).any(|bytes| bytes == name);
    assert!(
        !tells(b"rootfs.squashfs"),
        "it holds the names of the files"
    );
    let out = place.path("out");
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let made_again = xdelta3
        .command()
        .args([
            "-d",
            "-s",
            &path(&first),
            &path(&place.tree().join(item["path"].as_str().expect("a path"))),
            &path(&out),
        ])
        .run();
    drop(made_again.expect_success());
    assert_eq!(
        fs::read(&out).expect("made"),
        fs::read(&second).expect("there")
    );

    // One that saves nothing is not kept.
    publish("20240601_00:02", &squashfs(&place, "other", 7, 0), 3);
    assert_eq!(
        items(&place, "20240601_00:02")
            .as_object()
            .expect("an object")
            .len(),
        3
    );
    let kept = files(&place.tree());
    let deltas = kept.iter().filter(|file| file.ends_with(".vcdiff"));
    assert_eq!(deltas.count(), 1);

    // One whose start is listed no more is listed no more.
    publish("20240601_00:03", &squashfs(&place, "other", 7, 1), 1);
    let listed = items(&place, "20240601_00:03");
    assert_eq!(listed["root.20240601_00:02.vcdiff"], Value::Null);
    assert!(
        files(&place.tree())
            .iter()
            .any(|file| file.ends_with("20240601_00:03/root.20240601_00:02.vcdiff"))
    );
}

#[test]
fn deltas_that_cannot_be_made_are_an_error_that_changes_nothing() {
    let place = Place::new();
    let contents = made().with_squashfs(squashfs(&place, "first", 0, 0));
    let publish = |id: &str, program: &str| {
        publisher(&place)
            .with_deltas(program)
            .publish(&name(NAME), build(id), &contents)
    };
    let error = publish("20240601_00:00", "no-such-program").expect_err("missing");
    assert_eq!(
        error.to_string(),
        "`no-such-program` is not there; install it, or publish without deltas"
    );
    assert!(!place.tree().exists());
    let error = publish("20240601_00:00", "false").expect_err("fails");
    assert_eq!(
        error.to_string(),
        "false ended with exit status: 1 and said: nothing"
    );
}
