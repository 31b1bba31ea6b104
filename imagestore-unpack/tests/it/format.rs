//! Archives that can be read in more than one way, or in none.

use std::path::Path;

use imagestore_unpack::UnpackErrorKind;

use crate::archive::{Archive, Header, pax_records};
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
