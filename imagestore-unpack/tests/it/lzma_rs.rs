//! The backend that is there because it was asked for.

use imagestore_unpack::{UnpackErrorKind, Unpacker, XzBackend};

use crate::archive::Archive;
use crate::scene::{Scene, filter, has, xz};

#[test]
fn plain_files_come_out() {
    if !has("xz") {
        return;
    }
    let archive = Archive::new().file("x", &[7; 100_000]).end();
    let unpacker = Unpacker::new().with_xz(XzBackend::LzmaRs);
    for packed in [
        xz(&archive),
        filter("xz", &["-c", "-T2", "--block-size=20KiB"], &archive),
    ] {
        let scene = Scene::new();
        scene.unpack(&unpacker, &packed).expect("LZMA2 and CRC64");
        assert_eq!(
            std::fs::read(scene.target().join("x")).expect("a file"),
            [7; 100_000]
        );
    }
}

#[test]
fn valid_files_it_does_not_know_are_refused() {
    if !has("xz") {
        return;
    }
    let archive = Archive::new().file("x", b"data").end();
    let unpacker = Unpacker::new().with_xz(XzBackend::LzmaRs);
    Scene::new().assert_refused_by(
        &unpacker,
        &filter("xz", &["-c", "--x86", "--lzma2"], &archive),
        UnpackErrorKind::Unsupported,
        "the xz data uses filters other than LZMA2, which lzma-rs does not know",
    );
    Scene::new().assert_refused_by(
        &unpacker,
        &[xz(&archive[..512]), xz(&archive[512..])].concat(),
        UnpackErrorKind::Malformed,
        "the xz data is damaged",
    );
}

#[test]
fn blocks_it_could_not_hold_are_refused() {
    if !has("xz") {
        return;
    }
    let zeros = Archive::new().file("zeros", &vec![0; 140 << 20]).end();
    Scene::new().assert_refused_by(
        &Unpacker::new().with_xz(XzBackend::LzmaRs),
        &xz(&zeros),
        UnpackErrorKind::TooLarge,
        "an xz block of 146802176 bytes is over the decoder's memory limit of 134217728; lzma-rs \
         keeps whole blocks in memory",
    );
}
