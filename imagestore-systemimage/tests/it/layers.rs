//! Layers and the directories they are applied to.

use std::fs::File;

use imagestore_unpack::{
    Layer, LayerApplier, LayerBase, UnpackError, UnpackErrorKind, UnpackLimits,
};
use imagestore_verify::Verified;

use crate::world::digested;

enum Is<'a> {
    Directory,
    File(&'a [u8]),
    HardLink(&'a str),
    Symlink(&'a str),
}

fn archive(members: &[(&str, Is<'_>)]) -> Verified<File> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, is) in members {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o755);
        header.set_size(0);
        let raw = header.as_old_mut();
        raw.name[..name.len()].copy_from_slice(name.as_bytes());
        let mut content: &[u8] = b"";
        match is {
            Is::Directory => header.set_entry_type(tar::EntryType::Directory),
            Is::File(bytes) => {
                content = bytes;
                header.set_size(bytes.len() as u64);
            }
            Is::HardLink(target) => {
                header.set_entry_type(tar::EntryType::Link);
                header.set_link_name_literal(target).expect("short");
            }
            Is::Symlink(target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_link_name_literal(target).expect("short");
            }
        }
        header.set_cksum();
        archive.append(&header, content).expect("in memory");
    }
    digested(&archive.into_inner().expect("in memory"))
}

fn read(archive: &Verified<File>) -> Result<Layer, UnpackError> {
    Layer::read(archive, &UnpackLimits::default(), &[b"system/etc/ini"])
}

fn apply(
    archive: &Verified<File>,
    base: LayerBase,
    to: &std::path::Path,
) -> Result<(), UnpackError> {
    let layer = read(archive)?;
    let directory = File::open(to).expect("a directory");
    let applier = LayerApplier::new();
    applier.apply(archive, &layer, base, &directory).map(|_| ())
}

#[test]
fn replaces_and_removes_what_is_there() {
    let folder = tempfile::tempdir().expect("a directory");
    let to = folder.path();
    let full = archive(&[
        ("system", Is::Directory),
        ("system/gone", Is::File(b"old")),
        ("system/folder", Is::Directory),
        ("system/folder/inner", Is::File(b"old")),
        ("system/file", Is::File(b"old")),
        ("system/a", Is::File(b"linked")),
        ("data/added", Is::File(b"data")),
    ]);
    apply(&full, LayerBase::Nothing, to).expect("applied");
    let delta = archive(&[
        (
            "removed",
            Is::File(b"system/gone\nsystem/folder\nsystem/file\nsystem/not there"),
        ),
        ("system/file", Is::Directory),
        ("system/file/inner", Is::File(b"new")),
        ("system/folder", Is::Symlink("/etc")),
        ("system/b", Is::HardLink("system/a")),
    ]);
    // The same again changes nothing: an upgrade that broke off goes on like this.
    for _ in 0..2 {
        apply(&delta, LayerBase::Tree, to).expect("applied");
        assert!(!to.join("system/gone").exists());
        assert_eq!(
            std::fs::read(to.join("system/file/inner")).expect("there"),
            b"new"
        );
        assert_eq!(
            std::fs::read_link(to.join("system/folder")).expect("a link"),
            std::path::Path::new("/etc")
        );
        assert_eq!(
            std::fs::read(to.join("system/b")).expect("there"),
            b"linked"
        );
        assert!(!to.join("removed").exists());
    }
    let mode = std::fs::metadata(to).expect("there").permissions();
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&mode) & 0o7777,
        0o700
    );
}

#[test]
fn never_follows_a_link_of_the_tree_it_upgrades() {
    let outside = tempfile::tempdir().expect("a directory");
    std::fs::write(outside.path().join("kept"), "kept").expect("written");
    let folder = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(folder.path().join("system")).expect("made");
    std::os::unix::fs::symlink(outside.path(), folder.path().join("system/out")).expect("linked");
    for members in [
        &[("removed", Is::File(b"system/out/kept"))][..],
        &[("system/out/new", Is::File(b"x"))],
        &[("system/link", Is::HardLink("system/out/kept"))],
    ] {
        let error = apply(&archive(members), LayerBase::Tree, folder.path()).expect_err("a link");
        assert_eq!(error.kind(), UnpackErrorKind::Unsafe, "{error}");
        assert!(
            error.to_string().contains("through a symbolic link"),
            "{error}"
        );
    }
    assert_eq!(std::fs::read_dir(outside.path()).expect("there").count(), 1);
}

#[test]
fn keeps_what_is_wanted_and_refuses_it_as_anything_but_a_file() {
    let layer = read(&archive(&[("system/etc/ini", Is::File(b"text"))])).expect("read");
    assert_eq!(layer.file(b"system/etc/ini"), Some(&b"text"[..]));
    assert_eq!(layer.file(b"system/etc/other"), None);
    for is in [Is::Symlink("x"), Is::Directory] {
        let error = read(&archive(&[("system/etc/ini", is)])).expect_err("no file");
        assert_eq!(error.kind(), UnpackErrorKind::Unsafe);
    }
}

#[test]
fn refuses_links_and_flags_that_are_not_what_they_seem() {
    for members in [
        &[("system/x", Is::HardLink("removed"))][..],
        &[("system/x", Is::HardLink("../x"))],
        &[("system", Is::Symlink("/"))],
        &[("removed", Is::Directory)],
        &[("legacy_channel", Is::Symlink("/etc/passwd"))],
        &[
            ("system/x", Is::Symlink("/data")),
            ("system/x/evil", Is::File(b"x")),
        ],
    ] {
        let error = read(&archive(members)).expect_err("refused");
        assert_eq!(error.kind(), UnpackErrorKind::Unsafe, "{error}");
    }
    let twice = archive(&[("removed", Is::File(b"")), ("removed", Is::File(b""))]);
    assert_eq!(
        read(&twice).expect_err("twice").kind(),
        UnpackErrorKind::Malformed
    );
    read(&archive(&[
        ("legacy_channel", Is::File(b"")),
        ("removed", Is::File(b"")),
    ]))
    .expect("flags");
}
