//! Maps of sparse files.

use imagestore_unpack::UnpackErrorKind;

use super::assert_malformed;
use crate::archive::{Archive, pax_records};
use crate::scene::{Scene, assert_refused};

#[test]
fn sparse_maps_are_consistent() {
    let map = |text: &str| {
        let mut block = text.as_bytes().to_vec();
        block.resize(512, 0);
        block.extend_from_slice(b"island");
        block
    };
    let archive = |real_size: &[u8], text: &str| {
        Archive::new()
            .pax(&[
                ("GNU.sparse.major", b"1"),
                ("GNU.sparse.minor", b"0"),
                ("GNU.sparse.name", b"holes"),
                ("GNU.sparse.realsize", real_size),
            ])
            .file("GNUSparseFile.0/holes", &map(text))
            .end()
    };
    let scene = Scene::new();
    scene.tree(&archive(b"1000000", "2\n5000\n6\n1000000\n0\n"));
    let content = std::fs::read(scene.target().join("holes")).expect("a file");
    assert_eq!(
        (content.len(), &content[4999..5007]),
        (1_000_000, &b"\0island\0"[..])
    );
    for (text, message) in [
        ("1\n5000\n7\n", "a sparse file maps 7 bytes and stores 6"),
        (
            "2\n5000\n3\n4000\n3\n",
            "a sparse file puts 3 bytes at 4000, which is out of order or outside its 1000000 bytes",
        ),
        (
            "1\n999999\n6\n",
            "a sparse file puts 6 bytes at 999999, which is out of order or outside its 1000000 \
             bytes",
        ),
        (
            "1\n-5\n6\n",
            "the map of a sparse file holds `-5`, not a number",
        ),
        ("9\n", "the map of a sparse file does not end"),
    ] {
        assert_malformed(
            &archive(b"1000000", text),
            &format!("{message}: `holes` at byte 1024"),
        );
    }
    assert_refused(
        &archive(b"4611686018427387904", "1\n0\n6\n"),
        UnpackErrorKind::TooLarge,
        "a sparse file has 4611686018427387904 bytes, over the limit of 68719476736: `holes` at \
         byte 1024 of the unpacked archive",
    );
    assert_refused(
        &Archive::new()
            .pax(&[("GNU.sparse.map", b"0,6")])
            .file("x", b"island")
            .end(),
        UnpackErrorKind::Unsupported,
        "the sparse record `GNU.sparse.map` is of GNU's formats 0.0 and 0.1, which are not \
         supported; pack with format 1.0, the default of GNU tar at byte 0 of the unpacked archive",
    );
    assert_malformed(
        &Archive::new()
            .pax(&[("GNU.sparse.major", b"1")])
            .file("x", b"")
            .end(),
        "the records of a sparse file are incomplete: major, minor, name and realsize of format \
         1.0 are needed at byte 1024",
    );
}

#[test]
fn one_file_in_many_extensions_is_one_file() {
    // A record as long as its own length field allows, to cross the digits of the length.
    for length in [85, 86, 87, 88, 89, 985, 990, 995] {
        let name = "a/".repeat(length / 2);
        let records = pax_records(&[("path", format!("{name}f").as_bytes())]);
        let archive = Archive::new()
            .pax_raw(b'x', &records)
            .file("x", b"data")
            .end();
        let outcome = Scene::new().unpack(&imagestore_unpack::Unpacker::new(), &archive);
        if length / 2 < 128 {
            assert_eq!(outcome.expect("a long path").files, 1);
        } else {
            assert_eq!(
                outcome.expect_err("too deep").kind(),
                UnpackErrorKind::TooLarge
            );
        }
    }
}
