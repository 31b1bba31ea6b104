//! Archives that can be read in more than one way, or in none.

mod extensions;
mod sparse;

use std::path::Path;

use imagestore_unpack::UnpackErrorKind;

use crate::archive::{Archive, Header};
use crate::scene::{Scene, assert_refused};

#[track_caller]
fn assert_malformed(archive: &[u8], message: &str) {
    assert_refused(
        archive,
        UnpackErrorKind::Malformed,
        &format!("{message} of the unpacked archive"),
    );
}

#[test]
fn owners_are_numbers_within_range() {
    for (what, archive) in [
        (
            "uid",
            Archive::new().pax(&[("uid", b"4294967295")]).file("x", b""),
        ),
        (
            "gid",
            Archive::new().pax(&[("gid", b"4294967296")]).file("x", b""),
        ),
    ] {
        let id = if what == "uid" {
            4_294_967_295_u64
        } else {
            4_294_967_296
        };
        assert_malformed(
            &archive.end(),
            &format!("the {what} {id} is not between 0 and 4294967294: `x` at byte 1024"),
        );
    }
    let minus_one = Header::new(b'0', "x").put(108, &[0xff; 8]);
    assert_malformed(
        &Archive::new().member(minus_one, b"").end(),
        "the uid -1 is not between 0 and 4294967294: `x` at byte 0",
    );
    assert_malformed(
        &Archive::new().pax(&[("uid", b"root")]).file("x", b"").end(),
        "the PAX uid is `root`, not a number at byte 0",
    );
}

#[test]
fn sizes_that_differ_are_refused() {
    let inner = Archive::new().file("smuggled", b"").cut();
    let mut content = inner.clone();
    content.resize(1024, 0);
    assert_malformed(
        &Archive::new()
            .pax(&[("size", b"0")])
            .file("x", &content)
            .end(),
        "the PAX size is 0, the header's size is 1024: `x` at byte 1024",
    );
    assert_malformed(
        &Archive::new()
            .pax(&[("size", b"8589934592")])
            .file("x", &content)
            .end(),
        "the PAX size is 8589934592, the header's size is 1024: `x` at byte 1024",
    );
    // Equal sizes say the same thing twice.
    Scene::new().tree(
        &Archive::new()
            .pax(&[("size", b"1024")])
            .file("x", &content)
            .end(),
    );
}

#[test]
fn members_without_content_have_no_size() {
    let inner = Archive::new().file("smuggled", b"").cut();
    for kind in *b"123456" {
        let header = Header::new(kind, "x").link("y").device(1, 3);
        let archive = Archive::new()
            .pax(&[("size", b"512")])
            .member(header, &inner);
        assert_malformed(
            &archive.end(),
            "a member without content claims 512 bytes of it: `x` at byte 1024",
        );
        let header = Header::new(kind, "x").link("y").device(1, 3).size(512);
        assert_malformed(
            &Archive::new().member(header, &inner).end(),
            "a member without content claims 512 bytes of it: `x` at byte 0",
        );
    }
}

#[test]
fn numbers_are_numbers() {
    let mut huge = [0; 12];
    (huge[0], huge[1]) = (0x84, 1);
    for (at, bytes, message) in [
        (124, &huge[..], "the size field holds"),
        (124, &[0xff; 12][..], "the size -1 is negative"),
        (124, b"            ", "the header has no size"),
        (
            124,
            b"000000000x0\0",
            "the size field holds `000000000x0\\u{0}`, not a number",
        ),
        (
            100,
            b"-000644\0",
            "the mode field holds `-000644\\u{0}`, not a number",
        ),
        (
            136,
            b"0 777777777\0",
            "the mtime field holds `0 777777777\\u{0}`, not a number",
        ),
    ] {
        let archive = Archive::new()
            .member(Header::new(b'0', "x").put(at, bytes), b"")
            .end();
        let error = Scene::new().unpack(&imagestore_unpack::Unpacker::new(), &archive);
        let error = error.expect_err("not a number");
        assert_eq!(error.kind(), UnpackErrorKind::Malformed);
        assert!(error.to_string().starts_with(message), "{error}");
    }
    // Blanks before, no end after: writers of old did so.
    let old = Header::new(b'0', "x")
        .put(100, b"00000644")
        .put(108, b"     0 \0")
        .owner(0, 0);
    let id = u64::from(rustix::process::geteuid().as_raw());
    Scene::new().tree(&Archive::new().member(old.owner(id, id), b"").end());
}

#[test]
fn headers_add_up() {
    let mut block = Header::new(b'0', "x").finish();
    block[0] = b'y';
    let archive = Archive::new().file("first", b"").raw(&block).end();
    let error = Scene::new().unpack(&imagestore_unpack::Unpacker::new(), &archive);
    let error = error.expect_err("a bad checksum").to_string();
    let expected = "the header's checksum is ";
    assert!(error.starts_with(expected) && error.ends_with("at byte 512 of the unpacked archive"));
    let magic = Header::new(b'0', "x").put(257, b"ustar\x0001");
    assert_malformed(
        &Archive::new().file("first", b"").member(magic, b"").end(),
        "the header's magic is `ustar\\u{0}01`, which is neither ustar, GNU nor v7 at byte 512",
    );
}

#[test]
fn the_end_is_marked_once_and_nothing_follows() {
    let one = Archive::new().file("x", b"data");
    assert_malformed(
        &one.clone().cut(),
        "the archive has no end marker at byte 1024",
    );
    assert_malformed(
        &one.clone().raw(&[0; 512]).cut(),
        "the archive ends after half of its end marker at byte 1024",
    );
    assert_malformed(
        &one.clone().raw(&[0; 512]).file("y", b"").end(),
        "a zero block stands in the middle of the archive at byte 1024",
    );
    assert_malformed(
        &one.clone().raw(&[0; 1024]).file("hidden", b"").end(),
        "there is data after the end of the archive at byte 2048",
    );
    let mut late = one.clone().raw(&[0; 1 << 20]).end();
    late.push(1);
    assert_malformed(
        &late,
        "there is data after the end of the archive at byte 1050624",
    );
    assert_malformed(
        &one.clone().raw(&[0; 1030]).cut(),
        "the archive is cut short at byte 1024",
    );
    let cut = one.cut();
    assert_malformed(&cut[..600], "the archive is cut short at byte 600");
    assert_malformed(&cut[..514], "the archive is cut short: `x` at byte 0");
    assert_malformed(
        &Archive::new().file("x", b"data").raw(&[b'x'; 100]).cut(),
        "the archive is cut short at byte 1024",
    );
}

#[test]
fn unknown_types_are_refused() {
    for kind in *b"789ADMNVXZ" {
        assert_malformed(
            &Archive::new().member(Header::new(kind, "x"), b"").end(),
            &format!(
                "the member type `{}` is not known: `x` at byte 0",
                char::from(kind)
            ),
        );
    }
}

#[test]
fn members_are_named() {
    for name in ["", "/", "//"] {
        assert_malformed(
            &Archive::new().directory(name).end(),
            &format!("a member is named `{name}`: `{name}` at byte 0"),
        );
    }
    assert_malformed(
        &Archive::new().file("x/", b"").end(),
        "a member that is no directory is named like one: `x/` at byte 0",
    );
    assert_malformed(
        &Archive::new().symlink("x", "").end(),
        "a link has no target: `x` at byte 0",
    );
}

#[test]
fn the_root_entry_sets_the_mode_of_the_target() {
    let scene = Scene::new();
    let archive = Archive::new()
        .member(Header::new(b'5', "./").mode(0o500), b"")
        .file("./x", b"")
        .end();
    let tree = scene.tree(&archive);
    let root = &tree[Path::new("")];
    assert_eq!((root.mode, root.modified), (0o500, (1_700_000_000, 0)));
}

#[test]
fn directories_of_old_are_told_by_their_slash() {
    let header = Header::new(0, "old/").v7().mode(0o750);
    let tree = Scene::new().tree(&Archive::new().member(header, b"").end());
    let old = &tree[Path::new("old")];
    assert_eq!((old.kind.as_str(), old.mode), ("directory", 0o750));
}
