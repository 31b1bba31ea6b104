//! Which image of a simplestreams tree has a name that several ask for.

use std::collections::BTreeMap;
use std::fs;

use imagestore_publish::{ImageContents, ImageMetadata, PublishedVersion, SimplestreamsPublisher};
use imagestore_testkit::keys;
use serde_json::Value;

use crate::support::{Place, build, name};

fn publisher(place: &Place) -> SimplestreamsPublisher<'static> {
    SimplestreamsPublisher::new(place.tree()).with_time(keys::at(keys::SIGNED))
}

fn publish(place: &Place, image: &str, minute: u8, alias: Option<&str>) -> PublishedVersion {
    let squashfs = place.path("squashfs");
    fs::write(&squashfs, format!("hsqs{image}{minute}")).expect("written");
    let contents = ImageContents::new(ImageMetadata::Made).with_squashfs(squashfs);
    with_alias(place, image, minute, contents, alias)
}

fn with_alias(
    place: &Place,
    image: &str,
    minute: u8,
    mut contents: ImageContents,
    alias: Option<&str>,
) -> PublishedVersion {
    if let Some(alias) = alias {
        contents = contents.with_alias(alias);
    }
    let id = build(&format!("20240601_00:{minute:02}"));
    let published = publisher(place).publish(&name(image), id, &contents);
    published.expect("published")
}

/// The images that have a name, as readers see it.
fn holders(place: &Place, alias: &str) -> Vec<String> {
    let products: Value =
        serde_json::from_str(&place.read("streams/v1/images.json")).expect("JSON");
    let products = products["products"].as_object().expect("an object");
    let has = |product: &Value| {
        let aliases = product["aliases"].as_str().expect("text");
        assert_ne!(aliases, "");
        aliases.split(',').any(|found| found == alias)
    };
    let holders = products.iter().filter(|(_, product)| has(product));
    holders.map(|(image, _)| image.clone()).collect()
}

const TRUSTY: &str = "ubuntu/trusty/amd64/default";
const XENIAL: &str = "ubuntu/xenial/amd64/default";

#[test]
fn an_alias_moves_to_the_newest_build_that_asks_for_it() {
    let place = Place::new();
    let lts = Some("ubuntu/lts");
    publish(&place, TRUSTY, 0, lts);
    publish(&place, "ubuntu/trusty/arm64/default", 0, lts);
    let moved = publish(&place, XENIAL, 1, lts);
    assert_eq!(moved.withheld, BTreeMap::new());
    let there = [
        "ubuntu:trusty:arm64:default".to_owned(),
        "ubuntu:xenial:amd64:default".to_owned(),
    ];
    assert_eq!(holders(&place, "ubuntu/lts"), there);
    assert_eq!(
        holders(&place, "ubuntu/trusty"),
        ["ubuntu:trusty:amd64:default", "ubuntu:trusty:arm64:default"]
    );

    // A build of another image that does not ask for it leaves it where it is.
    publish(&place, TRUSTY, 2, None);
    assert_eq!(holders(&place, "ubuntu/lts"), there);
    // So does one that asks for it and is not newer; whoever publishes it is told who has it.
    publish(&place, XENIAL, 3, lts);
    let late = publish(&place, "ubuntu/bionic/amd64/default", 2, lts);
    let holder = BTreeMap::from([("ubuntu/lts".to_owned(), name(XENIAL))]);
    assert_eq!(late.withheld, holder);
    assert_eq!(holders(&place, "ubuntu/lts"), there);
    // When the holder is gone, the next has it again.
    fs::remove_dir_all(place.tree().join("images/ubuntu/xenial")).expect("removed");
    publisher(&place).refresh().expect("refreshed");
    let there = ["ubuntu:bionic:amd64:default", "ubuntu:trusty:arm64:default"];
    assert_eq!(holders(&place, "ubuntu/lts"), there);
}

#[test]
fn an_alias_of_two_builds_of_one_minute_goes_to_the_last_name() {
    for order in [[TRUSTY, XENIAL], [XENIAL, TRUSTY]] {
        let place = Place::new();
        for image in order {
            publish(&place, image, 0, Some("ubuntu/lts"));
        }
        let there = ["ubuntu:xenial:amd64:default"];
        assert_eq!(holders(&place, "ubuntu/lts"), there);
    }
}

#[test]
fn a_name_that_describes_an_image_stays_with_it() {
    let place = Place::new();
    publish(&place, TRUSTY, 0, None);
    let published = publish(&place, XENIAL, 1, Some("ubuntu/trusty"));
    let holder = BTreeMap::from([("ubuntu/trusty".to_owned(), name(TRUSTY))]);
    assert_eq!(published.withheld, holder);
    let there = ["ubuntu:trusty:amd64:default"];
    assert_eq!(holders(&place, "ubuntu/trusty"), there);
}

#[test]
fn a_container_and_a_virtual_machine_may_share_an_alias() {
    let place = Place::new();
    let lts = Some("ubuntu/lts");
    let disk = place.path("disk");
    fs::write(&disk, b"QFI\xfb, and then some").expect("written");
    let disk = ImageContents::new(ImageMetadata::Made).with_disk(disk);
    publish(&place, TRUSTY, 0, lts);
    with_alias(&place, "ubuntu/trusty/amd64/vm", 1, disk.clone(), lts);
    let there = ["ubuntu:trusty:amd64:default", "ubuntu:trusty:amd64:vm"];
    assert_eq!(holders(&place, "ubuntu/lts"), there);
    // One that is both takes both.
    let squashfs = place.path("squashfs");
    with_alias(&place, XENIAL, 2, disk.with_squashfs(squashfs), lts);
    let there = ["ubuntu:xenial:amd64:default"];
    assert_eq!(holders(&place, "ubuntu/lts"), there);
}
