//! What extension headers may say.

use std::path::Path;

use imagestore_unpack::UnpackErrorKind;

use super::assert_malformed;
use crate::archive::{Archive, Header};
use crate::scene::{Scene, assert_refused};

#[test]
fn extension_headers_are_not_mixed() {
    let message = "extension headers are repeated or mixed";
    let pax: &[(&str, &[u8])] = &[("comment", b"1")];
    for (archive, offset) in [
        (Archive::new().pax(pax).long(b'L', b"name"), 1024),
        (Archive::new().long(b'L', b"name").pax(pax), 1024),
        (Archive::new().pax(pax).pax(pax), 1024),
        (Archive::new().long(b'L', b"one").long(b'L', b"two"), 1024),
        (
            Archive::new()
                .long(b'K', b"one")
                .long(b'L', b"x")
                .long(b'K', b"two"),
            2048,
        ),
        (Archive::new().pax(pax).global(pax), 1024),
    ] {
        assert_malformed(
            &archive.file("x", b"").end(),
            &format!("{message} at byte {offset}"),
        );
    }
    for archive in [Archive::new().pax(pax), Archive::new().long(b'L', b"name")] {
        assert_malformed(
            &archive.end(),
            "an extension header has no member after it at byte 1024",
        );
    }
}

#[test]
fn long_names_of_gnu_are_names() {
    let name = "n".repeat(240);
    let target = "t/".repeat(100);
    let header = Header::new(b'2', "short").gnu().link("short");
    let archive = Archive::new()
        .long(b'K', target.as_bytes())
        .long(b'L', name.as_bytes())
        .member(header, b"");
    let tree = Scene::new().tree(&archive.end());
    assert_eq!(
        tree[Path::new(&name)].content,
        format!("{:?}", target.as_bytes())
    );
    assert_malformed(
        &Archive::new().long(b'L', b"a\0b").file("x", b"").end(),
        "a GNU long name is empty or holds a NUL at byte 0",
    );
    assert_malformed(
        &Archive::new()
            .member(Header::new(b'L', "x").size(1), b"a")
            .file("x", b"")
            .end(),
        "a GNU long name outside the GNU format at byte 0",
    );
}

#[test]
fn pax_records_are_well_formed() {
    for (records, message) in [
        (
            &b"99 path=x\n"[..],
            "a PAX record is 99 bytes long, of which 10 are there",
        ),
        (
            b"10 path=xy",
            "a PAX record does not end in a newline: begins with `10 path=xy`",
        ),
        (
            b"x path=xy\n",
            "a PAX record has no length: begins with `x path=xy\\n`",
        ),
        (
            b"9 path=x\n\0",
            "a PAX record has no length: begins with `\\u{0}`",
        ),
    ] {
        assert_malformed(
            &Archive::new().pax_raw(b'x', records).file("x", b"").end(),
            &format!("{message} at byte 0"),
        );
    }
}

#[test]
fn pax_records_come_once() {
    assert_malformed(
        &Archive::new()
            .pax(&[("path", b"one"), ("path", b"two")])
            .file("x", b"")
            .end(),
        "the PAX key `path` comes twice at byte 0",
    );
}

#[test]
fn pax_paths_hold_no_nul() {
    for key in ["path", "linkpath"] {
        assert_malformed(
            &Archive::new()
                .pax(&[(key, b"etc/\0x")])
                .symlink("x", "y")
                .end(),
            &format!("the PAX {key} holds a NUL at byte 0"),
        );
        assert_malformed(
            &Archive::new().pax(&[(key, b"")]).symlink("x", "y").end(),
            &format!("the PAX {key} is empty at byte 0"),
        );
    }
    assert_malformed(
        &Archive::new()
            .pax(&[("linkpath", b"y")])
            .file("x", b"")
            .end(),
        "a member that is not a link has a link target: `x` at byte 1024",
    );
}

#[test]
fn global_headers_name_nothing() {
    for key in ["path", "linkpath", "size", "uid"] {
        assert_malformed(
            &Archive::new().global(&[(key, b"1")]).file("x", b"").end(),
            &format!(
                "a global header sets `{key}`; only comment and mtime may be global at byte 0"
            ),
        );
    }
    let archive = Archive::new()
        .global(&[("comment", b"a commit"), ("mtime", b"12.5")])
        .file("x", b"")
        .end();
    let tree = Scene::new().tree(&archive);
    assert_eq!(tree.len(), 2);
    assert_eq!(tree[Path::new("x")].modified, (12, 500_000_000));
}

#[test]
fn records_that_change_a_member_are_not_passed_over() {
    for key in [
        "SCHILY.realsize",
        "GNU.dumpdir",
        "GNU.volume.size",
        "future",
    ] {
        assert_refused(
            &Archive::new().pax(&[(key, b"1")]).file("x", b"").end(),
            UnpackErrorKind::Unsupported,
            &format!(
                "the PAX record `{key}=1` changes the member in a way that is not supported at \
                 byte 0 of the unpacked archive"
            ),
        );
    }
}
