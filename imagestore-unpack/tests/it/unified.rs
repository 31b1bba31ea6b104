//! Unified images of LXD: one archive with the root and what is said about it.

use std::fs;

use imagestore_unpack::{StagedTarget, UnpackError, UnpackErrorKind, UnpackedUnified, Unpacker};

use crate::archive::Archive;
use crate::scene::{Scene, verified};

fn unpack(scene: &Scene, archive: &[u8]) -> Result<UnpackedUnified, UnpackError> {
    let staged = StagedTarget::new(&scene.target())?;
    let unpacked = Unpacker::new().unpack_unified(&verified(archive), &staged, "rootfs")?;
    staged.publish()?;
    scene.assert_untouched();
    Ok(unpacked)
}

#[test]
fn gives_the_root_and_what_is_said_about_it_in_one_reading() {
    let rootfs = |archive: Archive| {
        archive
            .directory("rootfs/")
            .file("./rootfs/etc/name", b"box")
            .hard_link("rootfs/etc/again", "rootfs/etc/name")
            .symlink("rootfs/etc/link", "/etc/passwd")
    };
    let said = |archive: Archive| {
        archive
            .file("metadata.yaml", b"architecture: x86_64")
            .directory("templates")
            .file("templates/name.tpl", b"{{ name }}")
    };
    for archive in [
        rootfs(said(Archive::new())).end(),
        said(rootfs(Archive::new().directory("./"))).end(),
    ] {
        let scene = Scene::new();
        let unpacked = unpack(&scene, &archive).expect("an image");
        assert_eq!(
            (
                unpacked.rootfs.files,
                unpacked.rootfs.hard_links,
                unpacked.rootfs.symlinks
            ),
            (1, 1, 1)
        );
        let names: Vec<_> = unpacked
            .metadata
            .iter()
            .map(|member| member.name.as_slice())
            .collect();
        assert_eq!(names, [&b"metadata.yaml"[..], b"templates/name.tpl"]);
        assert_eq!(unpacked.metadata[0].data, b"architecture: x86_64");
        assert_eq!(
            fs::read(scene.target().join("rootfs/etc/again")).expect("a file"),
            b"box"
        );
        assert!(!scene.target().join("rootfs/metadata.yaml").exists());
    }
}

#[test]
fn what_the_host_reads_is_never_a_link_or_a_device() {
    for name in [
        "rootfs",
        "templates",
        "exec-output",
        "metadata.yaml",
        "backup.yaml",
    ] {
        for kind in ["symlink", "hard link", "device"] {
            let start = Archive::new().directory("rootfs").file("rootfs/x", b"x");
            // `rootfs` itself must be replaced before anything is in it.
            let start = if name == "rootfs" {
                Archive::new()
            } else {
                start
            };
            let archive = match kind {
                "symlink" => start.symlink(name, "/etc"),
                "hard link" => start.hard_link(name, "rootfs/x"),
                _ => start.device(b'3', name, 1, 3),
            };
            let archive = archive.file("metadata.yaml", b"a: b").end();
            let scene = Scene::new();
            let error = unpack(&scene, &archive).expect_err(name);
            assert_eq!(
                error.kind(),
                UnpackErrorKind::Unsafe,
                "{name} as {kind}: {error}"
            );
            assert_eq!(error.entry(), Some(name));
            assert!(!scene.target().exists());
        }
    }
}

#[test]
fn refuses_names_and_sizes_that_have_no_place() {
    let start = || {
        Archive::new()
            .directory("rootfs")
            .file("metadata.yaml", b"a: b")
    };
    let long = vec![b' '; (1 << 20) + 1];
    for (archive, kind, message) in [
        (
            start().file("backup.yaml", b"x"),
            UnpackErrorKind::Unsafe,
            "an image holds no such thing beside its root: `backup.yaml`",
        ),
        (
            start().file("templates", b"x"),
            UnpackErrorKind::Unsafe,
            "an image holds no such thing beside its root: `templates`",
        ),
        (
            start().file("../x", b"x"),
            UnpackErrorKind::Unsafe,
            "the name leaves the target: `../x`",
        ),
        (
            start().file("metadata.yaml", b"x"),
            UnpackErrorKind::Malformed,
            "the name comes twice: `metadata.yaml`",
        ),
        (
            start().file("rootfs.img", b"QFI"),
            UnpackErrorKind::Unsupported,
            "the image is of a virtual machine: its root is a disk: `rootfs.img`",
        ),
        (
            start().hard_link("rootfs/yaml", "metadata.yaml"),
            UnpackErrorKind::Unsafe,
            "a hard link leaves the chosen subtree: `rootfs/yaml`",
        ),
        (
            Archive::new()
                .directory("rootfs")
                .file("metadata.yaml", &long),
            UnpackErrorKind::TooLarge,
            "a file of 1048577 bytes, 1048577 in all, is over the limits for metadata: 1048576 bytes each, \
             4194304 in all: `metadata.yaml`",
        ),
        (
            Archive::new().directory("rootfs"),
            UnpackErrorKind::Malformed,
            "the image has no `metadata.yaml`",
        ),
        (
            Archive::new().file("metadata.yaml", b"x"),
            UnpackErrorKind::Malformed,
            "the image has no `rootfs`",
        ),
    ] {
        let scene = Scene::new();
        let error = unpack(&scene, &archive.end()).expect_err(message);
        assert_eq!(error.kind(), kind, "{error}");
        let text = error.to_string();
        assert!(text.starts_with(message), "{text}");
        assert!(!scene.target().exists());
    }
}
