//! Disks of virtual machines, and metadata that were given, in a simplestreams tree.

use std::fs;
use std::path::{Path, PathBuf};

use imagestore_publish::{ImageContents, ImageMetadata, SimplestreamsPublisher};
use imagestore_testkit::keys;
use imagestore_testkit::oracle::Tool;
use imagestore_verify::Sha256;
use serde_json::Value;

use crate::support::{Place, build, name};

const NAME: &str = "ubuntu/trusty/amd64/vm";

fn publisher(place: &Place) -> SimplestreamsPublisher<'static> {
    SimplestreamsPublisher::new(place.tree()).with_time(keys::at(keys::SIGNED))
}

/// The items of a version, as the product file lists them.
fn items(place: &Place, build: &str) -> Value {
    let products: Value =
        serde_json::from_str(&place.read("streams/v1/images.json")).expect("JSON");
    products["products"]["ubuntu:trusty:amd64:vm"]["versions"][build]["items"].clone()
}

fn names(items: &Value) -> Vec<&String> {
    items.as_object().expect("an object").keys().collect()
}

/// The file of an item, which is what the item says.
fn bytes(place: &Place, item: &Value) -> Vec<u8> {
    let path = item["path"].as_str().expect("a path");
    let bytes = fs::read(place.tree().join(path)).expect("there");
    assert_eq!(item["size"], bytes.len());
    assert_eq!(item["sha256"], Sha256::of(&bytes).to_string());
    bytes
}

/// Bytes that look like no others, behind the magic of a qcow2 disk.
fn disk(place: &Place, name: &str, change: u8) -> PathBuf {
    let mut bytes = b"QFI\xfb".to_vec();
    for block in 0..3000_u32 {
        bytes.extend_from_slice(Sha256::of(&block.to_le_bytes()).as_bytes());
    }
    bytes[50_000] ^= change;
    let path = place.path(name);
    fs::write(&path, bytes).expect("written");
    path
}

#[test]
fn a_disk_is_listed_with_the_fingerprint_it_has_behind_the_metadata() {
    let place = Place::new();
    let (id, disk) = ("20240601_00:00", disk(&place, "disk", 0));
    let squashfs = place.path("squashfs");
    fs::write(&squashfs, "hsqs, and then some").expect("written");
    let contents = ImageContents::new(ImageMetadata::Made)
        .with_disk(&disk)
        .with_squashfs(squashfs);
    publisher(&place)
        .publish(&name(NAME), build(id), &contents)
        .expect("published");
    let listed = items(&place, id);
    assert_eq!(
        names(&listed),
        ["disk.qcow2", "incus.tar.xz", "lxd.tar.xz", "root.squashfs"]
    );
    let item = &listed["disk.qcow2"];
    assert_eq!(item["ftype"], "disk-kvm.img");
    assert_eq!(
        item["path"],
        format!("images/{NAME}/{id}/disk.qcow2").as_str()
    );
    let published = bytes(&place, item);
    assert_eq!(published, fs::read(disk).expect("there"));
    for family in ["lxd.tar.xz", "incus.tar.xz"] {
        let metadata = bytes(&place, &listed[family]);
        for (field, data) in [
            ("combined_disk-kvm-img_sha256", &published),
            (
                "combined_squashfs_sha256",
                &bytes(&place, &listed["root.squashfs"]),
            ),
        ] {
            let both = Sha256::of(&[&metadata[..], data].concat()).to_string();
            assert_eq!(listed[family][field], both, "{family} {field}");
        }
    }
}

#[test]
fn a_delta_leads_from_the_disk_before_to_the_new_one() {
    let Some(xdelta3) = Tool::find("xdelta3") else {
        return;
    };
    let place = Place::new();
    let (first, second) = (disk(&place, "first", 0), disk(&place, "second", 1));
    for (id, disk) in [("20240601_00:00", &first), ("20240601_00:01", &second)] {
        publisher(&place)
            .with_deltas(xdelta3.path())
            .publish(
                &name(NAME),
                build(id),
                &ImageContents::new(ImageMetadata::Made).with_disk(disk),
            )
            .expect("published");
    }
    let listed = items(&place, "20240601_00:01");
    let key = "disk.20240601_00:00.vcdiff";
    assert_eq!(
        names(&listed),
        [key, "disk.qcow2", "incus.tar.xz", "lxd.tar.xz"]
    );
    let item = &listed[key];
    assert_eq!(item["ftype"], "disk-kvm.img.vcdiff");
    assert_eq!(item["delta_base"], "20240601_00:00");
    let delta = bytes(&place, item);
    assert!(delta.len() < 1000, "{} bytes", delta.len());
    let out = place.path("out");
    let delta = place.tree().join(item["path"].as_str().expect("a path"));
    let made = xdelta3
        .command()
        .args(["-d", "-s"])
        .args([&first, &delta, &out])
        .run();
    drop(made.expect_success());
    let read = |path: &Path| fs::read(path).expect("there");
    assert!(read(&out) == read(&second), "it makes another disk");
}

#[test]
fn metadata_that_were_given_are_published() {
    let place = Place::new();
    let text = "architecture: x86_64\ncreation_date: 1717200000\nproperties:\n  os: Own\n";
    let given = |id: &str, metadata: ImageMetadata| {
        let contents = ImageContents::new(metadata).with_disk(disk(&place, "disk", 0));
        publisher(&place)
            .publish(&name(NAME), build(id), &contents)
            .expect("published");
        bytes(&place, &items(&place, id)["lxd.tar.xz"])
    };
    let made = given("20240601_00:00", ImageMetadata::Yaml(text.to_owned()));
    let path = place.path("metadata.tar.xz");
    fs::write(&path, &made).expect("written");
    if let Some(tar) = Tool::find("tar").filter(|_| Tool::find("xz").is_some()) {
        let said = tar.command().args(["-xOJf"]).args([&path]).run();
        assert_eq!(said.expect_success(), text);
    }

    // A byte behind the archive would be lost if it were packed anew.
    let padded = [&made[..], &[0; 4]].concat();
    fs::write(&path, &padded).expect("written");
    let again = given("20240601_00:01", ImageMetadata::Archive(path));
    assert!(again == padded, "not byte for byte");
}
