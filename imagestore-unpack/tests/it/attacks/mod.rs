//! Archives that reach outside, or ask for rights that are not theirs to give.

mod rights;

use std::path::Path;

use imagestore_unpack::{UnpackErrorKind, Unpacker};

use crate::archive::{Archive, Header};
use crate::scene::{Scene, assert_refused};

#[test]
fn name_climbs_out_of_the_target() {
    for name in ["../x", "d/../../x", "./../canary/victim", "d/.."] {
        assert_refused(
            &Archive::new().file(name, b"evil").end(),
            UnpackErrorKind::Unsafe,
            &format!("the name leaves the target: `{name}` at byte 0 of the unpacked archive"),
        );
    }
}

#[test]
fn name_is_absolute() {
    let scene = Scene::new();
    let victim = scene.victim();
    // Long enough for the prefix field on some systems, so it goes by PAX.
    let archive = Archive::new()
        .pax(&[("path", victim.as_bytes())])
        .file("x", b"evil")
        .end();
    scene.assert_refused_by(
        &Unpacker::new(),
        &archive,
        UnpackErrorKind::Unsafe,
        &format!("the name is absolute: `{victim}` at byte 1024 of the unpacked archive"),
    );
    assert_refused(
        &Archive::new().file("/etc/x", b"evil").end(),
        UnpackErrorKind::Unsafe,
        "the name is absolute: `/etc/x` at byte 0 of the unpacked archive",
    );
}

#[test]
fn link_leaves_target() {
    let scene = Scene::new();
    let canary = scene.path("canary").display().to_string();
    for target in [canary.as_str(), "../canary", ".", "/"] {
        assert_refused(
            &Archive::new()
                .symlink("out", target)
                .file("out/victim", b"evil")
                .end(),
            UnpackErrorKind::Unsafe,
            "the name passes through a symbolic link: `out/victim` at byte 512 of the unpacked \
             archive",
        );
    }
}

#[test]
fn chain_of_links_climbs_out() {
    // `a/b` would be a link in the root that points above it.
    assert_refused(
        &Archive::new()
            .symlink("a", ".")
            .symlink("a/b", "..")
            .file("a/b/canary/victim", b"evil")
            .end(),
        UnpackErrorKind::Unsafe,
        "the name passes through a symbolic link: `a/b` at byte 512 of the unpacked archive",
    );
}

#[test]
fn chain_of_links_is_longer_than_a_path() {
    let deep = "d".repeat(200);
    let mut archive = Archive::new();
    let mut path = String::new();
    for step in 0..30 {
        archive = archive.directory(format!("{path}{step}"));
        archive = archive.symlink(format!("{path}l{step}"), &deep[..90]);
        path.push_str(&format!("{step}/"));
    }
    assert_refused(
        &archive
            .symlink("out", "l0/".repeat(30))
            .file("out/x", b"evil")
            .end(),
        UnpackErrorKind::Unsafe,
        "the name passes through a symbolic link: `out/x` at byte 31232 of the unpacked archive",
    );
}

#[test]
fn link_takes_the_place_of_the_root() {
    for name in [".", "./"] {
        let archive = Archive::new().pax(&[("path", name.as_bytes())]);
        let archive = archive.symlink("x", "/").file("etc", b"evil").end();
        let outcome = Scene::new()
            .unpack(&Unpacker::new(), &archive)
            .expect_err("refused");
        let expected = if name == "." {
            UnpackErrorKind::Unsafe
        } else {
            UnpackErrorKind::Malformed
        };
        assert_eq!(outcome.kind(), expected, "{outcome}");
    }
}

#[test]
fn absolute_links_of_a_root_file_system_are_data() {
    let scene = Scene::new();
    let victim = scene.victim();
    let archive = Archive::new()
        .directory("etc")
        .symlink("etc/alternative", &victim)
        .end();
    let tree = scene.tree(&archive);
    assert_eq!(
        tree[Path::new("etc/alternative")].content,
        format!("{:?}", victim.as_bytes())
    );
}

#[test]
fn hard_link_leaves_target() {
    for (to, message) in [
        ("/etc/passwd", "the name is absolute"),
        ("../canary/victim", "the name leaves the target"),
        ("out/victim", "the name passes through a symbolic link"),
    ] {
        let archive = Archive::new()
            .symlink("out", "../canary")
            .hard_link("x", to);
        assert_refused(
            &archive.file("x", b"evil").end(),
            UnpackErrorKind::Unsafe,
            &format!("{message}: `x` at byte 512 of the unpacked archive"),
        );
    }
}

#[test]
fn hard_link_to_a_link_is_replaced_not_written_through() {
    let scene = Scene::new();
    let archive = Archive::new()
        .symlink("out", "../canary/victim")
        .hard_link("x", "out")
        .file("x", b"mine")
        .end();
    let tree = scene.tree(&archive);
    assert_eq!(tree[Path::new("x")].kind, "file");
    assert_eq!(tree[Path::new("out")].kind, "symlink");
}

#[test]
fn hard_link_leads_nowhere() {
    for (archive, message) in [
        (
            Archive::new().hard_link("x", "missing"),
            "a hard link to `missing`, which does not come before it: `x` at byte 0",
        ),
        (
            Archive::new().directory("d").hard_link("x", "d"),
            "a hard link to the directory `d`: `x` at byte 512",
        ),
        (
            Archive::new().hard_link("x", "."),
            "a hard link to a directory: `x` at byte 0",
        ),
        (
            Archive::new().file("x", b"").hard_link("x", "./x"),
            "a hard link to itself: `x` at byte 512",
        ),
    ] {
        assert_refused(
            &archive.end(),
            UnpackErrorKind::Malformed,
            &format!("{message} of the unpacked archive"),
        );
    }
}

#[test]
fn directory_replaces_a_link_and_its_mode_stays_inside() {
    let scene = Scene::new();
    let directory = Header::new(b'5', "out").mode(0o777);
    let archive = Archive::new()
        .symlink("out", "../canary")
        .member(directory, b"")
        .end();
    let tree = scene.tree(&archive);
    let node = &tree[Path::new("out")];
    assert_eq!((node.kind.as_str(), node.mode), ("directory", 0o777));
}

#[test]
fn directory_turns_into_a_link() {
    assert_refused(
        &Archive::new()
            .directory("rootfs")
            .symlink("rootfs", "/")
            .file("rootfs/x", b"")
            .end(),
        UnpackErrorKind::Unsafe,
        "the name is that of a directory, which cannot become something else: `rootfs` at byte \
         512 of the unpacked archive",
    );
    assert_refused(
        &Archive::new()
            .file("a/b/c", b"")
            .symlink("a/b", "/")
            .file("a/b/x", b"")
            .end(),
        UnpackErrorKind::Malformed,
        "the name is that of a directory, which cannot become something else: `a/b` at byte 512 \
         of the unpacked archive",
    );
}

#[test]
fn file_and_directory_have_one_name() {
    assert_refused(
        &Archive::new().file("x", b"").directory("x").end(),
        UnpackErrorKind::Malformed,
        "the name is that of a file already: `x` at byte 512 of the unpacked archive",
    );
    assert_refused(
        &Archive::new().directory("d/x").file("d/x", b"").end(),
        UnpackErrorKind::Malformed,
        "the name is that of a directory, which cannot become something else: `d/x` at byte 512 \
         of the unpacked archive",
    );
    assert_refused(
        &Archive::new().file("x", b"").file("x/y", b"").end(),
        UnpackErrorKind::Malformed,
        "the name passes through what is no directory: `x/y` at byte 512 of the unpacked archive",
    );
}

#[test]
fn the_last_of_two_files_counts() {
    let scene = Scene::new();
    let archive = Archive::new()
        .file("x", b"first")
        .hard_link("y", "x")
        .file("x", b"second")
        .symlink("x", "y")
        .file("x", b"third")
        .end();
    let tree = scene.tree(&archive);
    assert_eq!(
        std::fs::read(scene.target().join("x")).expect("a file"),
        b"third"
    );
    assert_eq!(
        std::fs::read(scene.target().join("y")).expect("a file"),
        b"first"
    );
    assert_eq!(tree.len(), 3);
}

#[test]
fn odd_names_are_names() {
    let names: [&[u8]; 6] = [
        b"-rf",
        b"a\nb",
        b"\x1b[31mred",
        b"back\\slash",
        b"\xff\xfe",
        b" ",
    ];
    let mut archive = Archive::new();
    for name in names {
        archive = archive.file(name, b"odd");
    }
    let scene = Scene::new();
    assert_eq!(scene.tree(&archive.end()).len(), names.len() + 1);

    assert_refused(
        &Archive::new().file(b"\x1b[2J/../\xff", b"").end(),
        UnpackErrorKind::Unsafe,
        "the name leaves the target: `\\u{1b}[2J/../\\xff` at byte 0 of the unpacked archive",
    );
}
