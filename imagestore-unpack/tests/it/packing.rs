//! The packings besides xz.

use std::path::Path;

use imagestore_unpack::{UnpackErrorKind, Unpacker};

use crate::archive::Archive;
use crate::scene::{Scene, filter, has};
use crate::snapshot::snapshot;

fn golden() -> Vec<u8> {
    Archive::new()
        .directory("etc")
        .file("etc/hostname", b"one\n")
        .file("x", &[b'x'; 9000])
        .end()
}

#[track_caller]
fn assert_broken(archive: &[u8], message: &str) {
    let error = Scene::new()
        .unpack(&Unpacker::new(), archive)
        .expect_err("it is broken");
    assert_eq!(
        (error.to_string().as_str(), error.kind()),
        (message, UnpackErrorKind::Malformed)
    );
}

/// A flip in what means nothing, such as a time stamp or a table's unused part, changes nothing.
fn assert_every_flip_is_found_or_harmless(packed: &[u8]) {
    let tree = |archive: &[u8]| {
        let scene = Scene::new();
        scene.unpack(&Unpacker::new(), archive).map(|_| {
            let mut tree = snapshot(&scene.target());
            // The target's own time is the present.
            tree.remove(Path::new(""));
            tree
        })
    };
    let good = tree(packed).expect("intact");
    let mut found = 0;
    for place in 0..packed.len() {
        let mut flipped = packed.to_vec();
        flipped[place] ^= 0x20;
        match tree(&flipped) {
            Ok(other) => assert_eq!(other, good, "byte {place}"),
            Err(_) => found += 1,
        }
    }
    assert!(found > packed.len() * 9 / 10, "{found} of {}", packed.len());
}

#[test]
fn gzip_is_checked_to_its_end() {
    let packed = filter("gzip", &["-c", "-n"], &golden());
    let tree = Scene::new().tree(&packed);
    assert_eq!(tree.len(), 4);
    assert_every_flip_is_found_or_harmless(&packed);
    assert_broken(&packed[..packed.len() - 1], "the gzip data is cut short");
    assert_broken(&packed[..50], "the gzip data is cut short");
    let garbage = [packed.clone(), b"garbage".to_vec()].concat();
    assert_eq!(
        Scene::new()
            .unpack(&Unpacker::new(), &garbage)
            .expect_err("garbage")
            .kind(),
        UnpackErrorKind::Malformed
    );
    let (head, tail) = (&golden()[..600], &golden()[600..]);
    let members = [filter("gzip", &["-c"], head), filter("gzip", &["-c"], tail)].concat();
    assert_eq!(Scene::new().tree(&members).len(), 4);
}

#[cfg(feature = "zstd")]
#[test]
fn zstd_is_checked_to_its_end() {
    if !has("zstd") {
        return;
    }
    let packed = filter("zstd", &["-c", "--check"], &golden());
    assert_eq!(Scene::new().tree(&packed).len(), 4);
    assert_every_flip_is_found_or_harmless(&packed);
    assert_broken(&packed[..packed.len() - 1], "the zstd data is cut short");
    assert_broken(
        &[packed.clone(), b"garbage".to_vec()].concat(),
        "the zstd data is damaged",
    );
    let (head, tail) = (&golden()[..600], &golden()[600..]);
    let frames = [filter("zstd", &["-c"], head), filter("zstd", &["-c"], tail)].concat();
    assert_eq!(Scene::new().tree(&frames).len(), 4);
    let long = filter("zstd", &["-c", "--ultra", "--long=31"], &vec![7; 1 << 20]);
    let error = Scene::new()
        .unpack(&Unpacker::new(), &long)
        .expect_err("no tar, if it fits");
    assert!(
        matches!(
            error.kind(),
            UnpackErrorKind::Malformed | UnpackErrorKind::TooLarge
        ),
        "{error}"
    );
}

#[cfg(not(feature = "zstd"))]
#[test]
fn zstd_is_named_when_it_is_not_built_in() {
    let error = Scene::new()
        .unpack(&Unpacker::new(), b"\x28\xb5\x2f\xfd")
        .expect_err("not built");
    assert_eq!(error.kind(), UnpackErrorKind::Unsupported);
    assert_eq!(
        error.to_string(),
        "the archive is packed with zstd; build with the feature `zstd` to unpack it"
    );
    assert!(has("tar"));
}

#[test]
fn an_archive_without_members_is_an_empty_tree() {
    let tree = Scene::new().tree(&Archive::new().end());
    assert_eq!(tree.len(), 1);
}

#[test]
fn what_is_no_archive_is_refused() {
    assert_broken(b"", "the archive is empty");
    assert_broken(
        b"<!DOCTYPE html>",
        "not an archive: begins with `<!DOCTYP`; xz, gzip, zstd and plain tar can be unpacked",
    );
}

#[cfg(not(any(feature = "liblzma", feature = "pure-rust", feature = "lzma-rs")))]
#[test]
fn xz_is_named_when_it_is_not_built_in() {
    if !has("xz") {
        return;
    }
    let packed = crate::scene::xz(&golden());
    let error = Scene::new()
        .unpack(&Unpacker::new(), &packed)
        .expect_err("not built");
    assert_eq!(error.kind(), UnpackErrorKind::Unsupported);
    assert_eq!(
        error.to_string(),
        "the archive is packed with xz; build with the feature `liblzma` or `pure-rust` to unpack it"
    );
}
