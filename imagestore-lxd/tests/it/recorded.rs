//! What real hosts said, said again.
//!
//! `tests/data/lxd` holds answers of a LXD 5.0.2 by its socket (`rest`, `ops`) and to those it does
//! not trust (`https`), and of an Incus 6.0.4 (`incus_rest`). Each of them stands in a table here
//! or in a module below, and a table is read to its end: what is in none is found by
//! [`every_recording_is_said_again`].

mod instead;
mod pulls;
mod reply;
mod resumed;
mod scene;
mod secrets;
mod trust;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use self::scene::{Call, Door, Recorded, Scene};

const SPLIT: &str = "105b4adf5210f712e14eb29ed3a9731ab6fbf7cb21dc03a6f56967d3871132d7";
const SQUASH: &str = "093193799f568311307e85a28e29d7ceabb4fac0ad7090aa0da39d4824bf4f8e";
const UNIFIED: &str = "bf27d42927fa4cf33ca64733f4b7b53b901703b868d2f70d6161092d41d3947b";
const SECRET: &str = "9e9cc0aac2c168fc2dc35389feb987ee77c9b3849d95450fcd605b56266fe3cc";
const INCUS_SECRET: &str = "fd608357a35aa2193c9585fe82dac9d0994e2db26c0f9c89150c5c6812054ae7";
/// How fingerprints and secrets are written in the tables.
const NAMES: [(&str, &str); 5] = [
    ("{incus_secret}", INCUS_SECRET),
    ("{secret}", SECRET),
    ("{split}", SPLIT),
    ("{squash}", SQUASH),
    ("{unified}", UNIFIED),
];

/// A LXD, to a caller it trusts.
const LXD: Recorded = Recorded {
    door: Door::Socket,
    answers: &[
        ("GET /1.0", "rest/1.0"),
        ("GET /1.0/images?recursion=1", "rest/images_recursion1"),
        (
            "GET /1.0/images?recursion=1&project=other",
            "rest/image_project",
        ),
        ("GET /1.0/images/aliases/tiny-split", "rest/alias"),
        ("GET /1.0/images/aliases/nope", "rest/alias_missing"),
        ("GET /1.0/images/bf27d42927fa", "rest/image_short"),
        ("GET /1.0/images/{split}", "rest/image_split"),
        ("GET /1.0/images/{squash}", "rest/image_squash"),
        ("GET /1.0/images/{unified}", "rest/image_unified"),
        ("GET /1.0/images/{split}/export", "rest/export_split"),
        ("GET /1.0/images/{squash}/export", "rest/export_squash"),
        ("GET /1.0/images/{unified}/export", "rest/export_unified"),
        ("POST /1.0/images/{unified}/secret", "rest/secret"),
    ],
};

/// An Incus, to a caller it trusts. Two of the images were recorded in its list only, so what the
/// LXD says about them, which is the same, has to do.
const INCUS: Recorded = Recorded {
    door: Door::Socket,
    answers: &[
        ("GET /1.0", "incus_rest/1.0"),
        ("GET /1.0/images?recursion=1", "incus_rest/images_r1"),
        ("GET /1.0/images/aliases/tiny-split", "incus_rest/alias"),
        ("GET /1.0/images/aliases/nope", "incus_rest/alias_missing"),
        ("GET /1.0/images/bf27d42927fa", "incus_rest/short2"),
        ("GET /1.0/images/{split}", "rest/image_split"),
        ("GET /1.0/images/{squash}", "rest/image_squash"),
        ("GET /1.0/images/{unified}", "incus_rest/image_unified"),
        ("GET /1.0/images/{split}/export", "incus_rest/export_split"),
        (
            "GET /1.0/images/{squash}/export",
            "incus_rest/export_squash",
        ),
        (
            "GET /1.0/images/{unified}/export",
            "incus_rest/export_unified",
        ),
        (
            "POST /1.0/images/{unified}/secret",
            "rest/secret | incus_rest/secret",
        ),
    ],
};

/// A LXD, to everybody. One image is public.
const UNTRUSTED: Recorded = Recorded {
    door: Door::Https,
    answers: &[
        ("GET /1.0", "https/untrusted_1.0"),
        ("GET /1.0/images?recursion=1", "https/untrusted_images"),
        (
            "GET /1.0/images/aliases/tiny-squash",
            "https/untrusted_alias_public",
        ),
        (
            "GET /1.0/images/aliases/tiny-split",
            "https/untrusted_alias_private",
        ),
        ("GET /1.0/images/{squash}", "https/untrusted_image_public"),
        ("GET /1.0/images/{unified}", "https/untrusted_image_private"),
        (
            "GET /1.0/images/{squash}/export",
            "https/untrusted_export_public",
        ),
    ],
};

const ALL_IMAGES: &str = "{squash} is {squash}, public: yes\n\
                          {split} is {split}, public: no\n\
                          {unified} is {unified}, public: no\n\
                          tiny-split is {split}, public: no\n\
                          tiny-squash is {squash}, public: yes\n\
                          tiny-unified is {unified}, public: no";

/// What comes of a host of either family that trusts its caller.
const TRUSTED: [(Call, &str); 8] = [
    (Call::List, ALL_IMAGES),
    (
        Call::Lookup("tiny-split"),
        "{split}: Multipart of 708 bytes, for amd64, of 20240101_03:42, until 1893456000",
    ),
    (
        Call::Lookup(SQUASH),
        "{squash}: Multipart of 4568 bytes, for amd64, of 20240101_03:42, until 1893456000",
    ),
    (
        Call::Lookup("bf27d42927fa"),
        "{unified}: Plain of 556 bytes, for amd64, of 20240101_03:42, until 1893456000",
    ),
    (
        Call::Lookup("nope"),
        "NotFound: no such image: nope\n\
         not there (status 404 Not Found): HOST/1.0/images/aliases/nope\n\
         the host says: Image alias not found",
    ),
    (
        Call::Fetch("tiny-split"),
        "metadata.tar of 472, rootfs of 236",
    ),
    (Call::Fetch(SQUASH), "metadata.tar of 472, rootfs of 4096"),
    (Call::Fetch(UNIFIED), "unified.tar of 556"),
];

#[tokio::test]
async fn a_recorded_lxd_is_listed_and_fetched() {
    let scene = Scene::new(
        &LXD,
        &[("GET /1.0/images/aliases/bf27d42927fa", "rest/alias_missing")],
    );
    says(&scene, &TRUSTED).await;
    let own = [
        (
            Call::Host,
            "trusted: true, lxd 5.0.2 for [\"x86_64\", \"i686\"], extensions: 318",
        ),
        (
            Call::ListProject("other"),
            "NotFound: no such project, or not for this caller: `other` on HOST\n\
             not there (status 404 Not Found): HOST/1.0/images?…\n\
             the host says: Check if project has images: fetch project: Project not found",
        ),
        (Call::Secret, "{secret}"),
    ];
    says(&scene, &own).await;
    scene.asked_for_all_and_nothing_else();
}

#[tokio::test]
async fn a_recorded_incus_is_listed_and_fetched() {
    let scene = Scene::new(
        &INCUS,
        &[(
            "GET /1.0/images/aliases/bf27d42927fa",
            "incus_rest/alias_missing",
        )],
    );
    says(&scene, &TRUSTED).await;
    let own = [
        (
            Call::Host,
            "trusted: true, incus 6.0.4 for [\"x86_64\", \"i686\"], extensions: 450",
        ),
        (Call::Secret, "{incus_secret}"),
    ];
    says(&scene, &own).await;
    scene.asked_for_all_and_nothing_else();
}

#[tokio::test]
async fn a_recorded_host_shows_strangers_what_is_public() {
    let scene = Scene::new(&UNTRUSTED, &[]);
    let calls = [
        (
            Call::Host,
            "trusted: false, nobody nobody for [], extensions: 318",
        ),
        (
            Call::List,
            "{squash} is {squash}, public: yes\n\
             tiny-squash is {squash}, public: yes",
        ),
        (
            Call::Lookup("tiny-squash"),
            "{squash}: Multipart of 4568 bytes, for amd64, of 20240101_03:42, until 1893456000",
        ),
        (
            Call::Fetch("tiny-squash"),
            "metadata.tar of 472, rootfs of 4096",
        ),
        // Hidden, not forbidden.
        (
            Call::Lookup("tiny-split"),
            "NotFound: no such image among those the host shows to everybody: tiny-split\n\
             not there (status 404 Not Found): HOST/1.0/images/aliases/tiny-split\n\
             the host says: Image alias not found",
        ),
        (
            Call::Fetch(UNIFIED),
            "NotFound: no such image among those the host shows to everybody: {unified}\n\
             not there (status 404 Not Found): HOST/1.0/images/{unified}\n\
             the host says: Image \"{unified}\" not found",
        ),
    ];
    says(&scene, &calls).await;
    scene.asked_for_all_and_nothing_else();
}

async fn says(scene: &Scene, calls: &[(Call, &str)]) {
    for (call, outcome) in calls {
        assert_eq!(scene.outcome(*call).await, *outcome, "{call:?}");
    }
}

#[test]
fn every_recording_is_said_again() {
    let mut there = BTreeSet::new();
    below(&reply::root(), &mut there);
    let hosts = [
        LXD,
        INCUS,
        UNTRUSTED,
        pulls::PULLING,
        secrets::OPENED,
        secrets::RENEWED,
    ];
    let recordings = hosts.iter().flat_map(|host| host.answers);
    let recordings = recordings
        .map(|(_, recording)| *recording)
        .chain(instead::recordings())
        .chain(resumed::RECORDINGS);
    let used: BTreeSet<_> = recordings
        .flat_map(reply::files)
        .chain(trust::FILES.map(str::to_owned))
        .chain([pulls::REQUEST.to_owned()])
        .collect();
    assert_eq!(there, used);
}

fn below(directory: &Path, files: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        match path.strip_prefix(reply::root()) {
            Ok(_) if path.is_dir() => below(&path, files),
            Ok(name) => drop(files.insert(name.to_string_lossy().into_owned())),
            Err(error) => panic!("{error}"),
        }
    }
}
