use imagestore_core::{Delta, Download, FileRole, Image, ImageFile, ImageId};
use imagestore_verify::{Sha256, Verified};

use crate::scene::*;

const NEW: &str = "https://images.example/20240602/rootfs.tar.xz";
const DELTA: &str = "https://images.example/20240602/rootfs.vcdiff";

/// The root file system with a few bytes more in the middle.
fn new(scene: &Scene) -> Vec<u8> {
    let mut new = scene.rootfs.clone();
    new.splice(5_000..5_000, *b"new bytes");
    new
}

/// A VCDIFF file that makes it: copy, add, copy.
fn delta(scene: &Scene) -> Vec<u8> {
    delta_of(scene, b"new bytes")
}

fn delta_of(scene: &Scene, added: &[u8]) -> Vec<u8> {
    let old = scene.rootfs.len();
    let made = old + added.len();
    let instructions = [
        &[19][..],
        &number(5_000),
        &[1],
        &number(added.len()),
        &[19],
        &number(old - 5_000),
    ]
    .concat();
    let addresses = [number(0), number(5_000)].concat();
    let lengths = [
        number(added.len()),
        number(instructions.len()),
        number(addresses.len()),
    ]
    .concat();
    let body = [
        &number(made)[..],
        &[0],
        &lengths,
        added,
        &instructions,
        &addresses,
    ]
    .concat();
    let window = [
        &[1][..],
        &number(old),
        &number(0),
        &number(body.len()),
        &body,
    ]
    .concat();
    [b"\xd6\xc3\xc4\0\0", &window[..]].concat()
}

/// In base 128, the highest digits first.
fn number(number: usize) -> Vec<u8> {
    let mut digits = vec![(number & 0x7f) as u8];
    let mut rest = number >> 7;
    while rest > 0 {
        digits.insert(0, 0x80 | (rest & 0x7f) as u8);
        rest >>= 7;
    }
    digits
}

/// The next build, which can be made from the one before by this delta.
fn next(scene: &Scene, delta: &[u8]) -> Verified<Image> {
    let new = new(scene);
    scene.remote.put(NEW, new.clone());
    let file = ImageFile::new("rootfs.tar.xz", FileRole::Rootfs);
    let size = Some(delta.len() as u64);
    let download = Download::new(vec![url(NEW)], file, vec![digest(&new)])
        .with_size(Some(new.len() as u64))
        .with_delta(Delta::new(
            vec![url(DELTA)],
            Sha256::of(&scene.rootfs),
            Sha256::of(delta),
            size,
        ));
    let id = ImageId::new(id().remote(), id().path(), "20240602");
    verified(Image::new(id, vec![download]))
}

fn asked(scene: &Scene) -> Vec<String> {
    let asked = scene.remote.asked().into_iter();
    asked.map(|asked| asked.url).collect()
}

#[tokio::test]
async fn makes_a_file_from_the_one_before_and_asks_for_the_delta_only() {
    let scene = Scene::new();
    scene.fetch(&scene.image()).await.expect("the old one");
    let delta = delta(&scene);
    scene.remote.put(DELTA, delta.clone());
    scene.remote.forget();
    let stored = scene.fetch(&next(&scene, &delta)).await.expect("made");
    assert_eq!(bytes_of(&stored, "rootfs.tar.xz"), new(&scene));
    assert_eq!(asked(&scene), [DELTA]);
    assert_eq!(scene.events.warnings(), [""; 0]);
}

#[tokio::test]
async fn fetches_the_whole_file_when_the_delta_fails_in_any_way() {
    let good = delta(&Scene::new());
    let other = {
        let mut bytes = good.clone();
        let place = bytes
            .windows(3)
            .position(|found| found == b"new")
            .expect("data");
        bytes[place] ^= 1;
        bytes
    };
    let longer = delta_of(&Scene::new(), b"new bytes and more");
    let (cut, page) = (good[..30].to_vec(), b"<html>".to_vec());
    for (served, named, why) in [
        (None, &good, ""),
        (Some(&other), &good, "does not verify"),
        (Some(&other), &other, "does not verify"),
        (Some(&cut), &cut, "the delta is cut"),
        (Some(&page), &page, "the delta is none"),
        (
            Some(&longer),
            &longer,
            "the delta makes more bytes than the index says",
        ),
    ] {
        let scene = Scene::new();
        scene.fetch(&scene.image()).await.expect("the old one");
        if let Some(served) = served {
            scene.remote.put(DELTA, served.clone());
        }
        scene.remote.forget();
        let stored = scene.fetch(&next(&scene, named)).await.expect("fetched");
        assert_eq!(bytes_of(&stored, "rootfs.tar.xz"), new(&scene));
        assert_eq!(asked(&scene), [DELTA, NEW], "{why}");
        let warnings = scene.events.warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        let wanted = format!("rootfs.tar.xz is not made from a delta but fetched: {why}");
        assert!(warnings[0].starts_with(&wanted), "{why}: {warnings:?}");
    }
}

#[tokio::test]
async fn does_not_ask_for_a_delta_to_a_file_that_is_not_here() {
    let scene = Scene::new();
    let delta = delta(&scene);
    scene.remote.put(DELTA, delta.clone());
    let stored = scene.fetch(&next(&scene, &delta)).await.expect("fetched");
    assert_eq!(bytes_of(&stored, "rootfs.tar.xz"), new(&scene));
    assert_eq!(asked(&scene), [NEW]);
}
