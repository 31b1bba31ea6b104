//! Archives that cost too much.

use std::path::Path;
use std::time::Duration;

use imagestore_unpack::{UnpackErrorKind, UnpackLimits, Unpacker};

use crate::archive::{Archive, Header, pax_records};
use crate::scene::{Scene, assert_refused, cpu, filter, has, xz};

#[track_caller]
fn assert_too_large(archive: &[u8], message: &str) {
    let start = cpu();
    assert_refused(
        archive,
        UnpackErrorKind::TooLarge,
        &format!("{message} of the unpacked archive"),
    );
    assert!(
        (cpu() - start) < Duration::from_secs(2),
        "{:?}",
        (cpu() - start)
    );
}

fn limited(change: impl FnOnce(&mut UnpackLimits)) -> Unpacker {
    let mut limits = UnpackLimits::default();
    change(&mut limits);
    Unpacker::new().with_limits(limits)
}

#[test]
fn extension_header_of_two_gigabytes() {
    for (kind, gnu) in [(b'x', false), (b'g', false), (b'L', true), (b'K', true)] {
        let mut header = Header::new(kind, "x").size(2 << 30);
        if gnu {
            header = header.gnu();
        }
        assert_too_large(
            &Archive::new().member(header, &[b'a'; 1024]).cut(),
            "an extension header has 2147483648 bytes, over the limit of 262144 at byte 0",
        );
    }
}

#[test]
fn path_of_too_many_components() {
    let path = |components: usize| {
        let name = vec!["d"; components].join("/");
        Archive::new()
            .pax(&[("path", name.as_bytes())])
            .file("x", b"")
            .end()
    };
    Scene::new().tree(&path(128));
    for components in [129, 1500] {
        let name = vec!["d"; components].join("/");
        let shown = if name.len() > 256 {
            format!("{}…", &name[..256])
        } else {
            name
        };
        assert_too_large(
            &path(components),
            &format!("a name has more components than the limit of 128: `{shown}` at byte 1024")
                .replace(
                    "at byte 1024",
                    if components == 129 {
                        "at byte 1024"
                    } else {
                        "at byte 3584"
                    },
                ),
        );
    }
}

#[test]
fn path_and_component_are_too_long() {
    let path = |name: &str| {
        Archive::new()
            .pax(&[("path", name.as_bytes())])
            .file("x", b"")
            .end()
    };
    let shown = format!("{}…", "c".repeat(256));
    Scene::new().tree(&path(&"c".repeat(255)));
    assert_too_large(
        &path(&"c".repeat(256)),
        &format!(
            "a component of a name has 256 bytes, over the limit of 255: `{}` at byte 1024",
            "c".repeat(256)
        ),
    );
    assert_too_large(
        &path(&"c".repeat(4096)),
        &format!("a name has 4096 bytes, over the limit of 4095: `{shown}` at byte 5120"),
    );
    let target = "t".repeat(4096);
    assert_too_large(
        &Archive::new()
            .pax(&[("linkpath", target.as_bytes())])
            .symlink("x", "y")
            .end(),
        "a link's target has 4096 bytes, over the limit of 4095: `x` at byte 5120",
    );
}

#[test]
fn more_members_than_the_limit() {
    let mut archive = Archive::new();
    for place in 0..11 {
        archive = archive.file(place.to_string(), b"");
    }
    let scene = Scene::new();
    scene.assert_refused_by(
        &limited(|limits| limits.entries = 10),
        &archive.clone().end(),
        UnpackErrorKind::TooLarge,
        "the archive has more members than the limit of 10 at byte 5120 of the unpacked archive",
    );
    scene
        .unpack(&limited(|limits| limits.entries = 11), &archive.end())
        .expect("as many as allowed");
}

#[test]
fn more_bytes_than_the_limit() {
    if !has("xz") {
        return;
    }
    let archive = Archive::new().file("x", &[7; 4 << 20]).end();
    Scene::new().assert_refused_by(
        &limited(|limits| limits.bytes = 1 << 20),
        &archive,
        UnpackErrorKind::TooLarge,
        "a file has 4194304 bytes, over the limit of 1048576: `x` at byte 0 of the unpacked archive",
    );
    let many = (0..100).fold(Archive::new(), |archive, place| {
        archive.file(format!("{place}"), &[7; 100 << 10])
    });
    Scene::new().assert_refused_by(
        &limited(|limits| limits.bytes = 1 << 20),
        &xz(&many.end()),
        UnpackErrorKind::TooLarge,
        "the archive unpacks to more than the limit of 1048576 bytes",
    );
}

#[test]
fn bomb_of_zeros() {
    if !has("xz") {
        return;
    }
    let zeros = Archive::new()
        .member(Header::new(b'0', "zeros").size(1 << 30), b"")
        .cut();
    let mut packed = xz(&[zeros, vec![0; 128 << 20]].concat());
    for (program, bytes) in [
        ("xz", packed.clone()),
        (
            "gzip",
            filter("gzip", &["-c", "-9"], &filter("xz", &["-dc"], &packed)),
        ),
    ] {
        packed = bytes;
        let start = cpu();
        let error = Scene::new()
            .unpack(&Unpacker::new(), &packed)
            .expect_err("a bomb");
        assert_eq!(
            error.kind(),
            UnpackErrorKind::TooLarge,
            "{program}: {error}"
        );
        let message = error.to_string();
        assert!(message.contains(" packed bytes unpack to "), "{message}");
        assert!(
            message.contains(", over the limit of 200 for each"),
            "{message}"
        );
        assert!(
            (cpu() - start) < Duration::from_secs(10),
            "{:?}",
            (cpu() - start)
        );
    }
}

#[test]
fn attributes_beyond_their_limits() {
    let big = vec![b'v'; (64 << 10) + 1];
    assert_too_large(
        &Archive::new()
            .pax(&[("SCHILY.xattr.user.big", &big)])
            .file("x", b"")
            .end(),
        "the extended attribute `user.big` has 65537 bytes, over the limit of 65536 at byte 0",
    );
    let keys: Vec<String> = (0..65)
        .map(|place| format!("SCHILY.xattr.user.n{place}"))
        .collect();
    let records: Vec<(&str, &[u8])> = keys.iter().map(|key| (key.as_str(), &b"v"[..])).collect();
    assert_too_large(
        &Archive::new().pax(&records).file("x", b"").end(),
        "there are more extended attributes than the limit of 64 at byte 0",
    );
    let name = format!("SCHILY.xattr.user.{}", "n".repeat(251));
    assert_too_large(
        &Archive::new().pax(&[(&name, b"v")]).file("x", b"").end(),
        &format!(
            "the extended attribute `user.{}` has a name of 256 bytes, over the limit of 255 at \
             byte 0",
            "n".repeat(251)
        ),
    );
    for name in [
        "SCHILY.xattr.nospace",
        "SCHILY.xattr.",
        "SCHILY.xattr.user.",
        "SCHILY.xattr..x",
    ] {
        let shown = &name["SCHILY.xattr.".len()..];
        assert_refused(
            &Archive::new().pax(&[(name, b"v")]).file("x", b"").end(),
            UnpackErrorKind::Malformed,
            &format!(
                "the extended attribute `{shown}` has no name space at byte 0 of the unpacked \
                 archive"
            ),
        );
    }
}

#[test]
fn many_deep_members_take_linear_time() {
    let directory = "d/".repeat(40);
    let mut archive = Archive::new();
    for place in 0..5000 {
        // Every member in another directory than the one before.
        let name = format!("{}{directory}{place}", place % 10);
        archive = archive.file(name, b"");
    }
    let start = cpu();
    let scene = Scene::new();
    let unpacked = scene
        .unpack(&Unpacker::new(), &archive.end())
        .expect("many members");
    assert_eq!((unpacked.files, unpacked.directories), (5000, 400));
    assert!(
        (cpu() - start) < Duration::from_secs(5),
        "{:?}",
        (cpu() - start)
    );
    std::fs::remove_dir_all(scene.target()).expect("the tree");
}

#[test]
fn sizes_of_sparse_maps_are_bounded() {
    let mut map = String::from("20000\n");
    for place in 0..20_000_u64 {
        map.push_str(&format!("{}\n0\n", place * 1_000_000_000));
    }
    let records = pax_records(&[
        ("GNU.sparse.major", b"1"),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.name", b"holes"),
        ("GNU.sparse.realsize", b"60000000000"),
    ]);
    let archive = Archive::new()
        .pax_raw(b'x', &records)
        .file("x", map.as_bytes())
        .end();
    let error = Scene::new()
        .unpack(&Unpacker::new(), &archive)
        .expect_err("too large a map");
    assert_eq!(error.kind(), UnpackErrorKind::TooLarge);
    assert_eq!(
        error.to_string(),
        "an extension header has 262656 bytes, over the limit of 262144: `holes` at byte 1024 of \
         the unpacked archive"
    );
    assert!(!Path::new("holes").exists());
}
