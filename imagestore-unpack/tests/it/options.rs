//! What callers can choose.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use imagestore_testkit::oracle::absent;
use imagestore_unpack::{
    Durability, IdKind, IdRange, Owners, Profile, UnpackErrorKind, UnpackProgress, Unpacker, Xattrs,
};

use crate::archive::{Archive, Header};
use crate::scene::{Scene, has, is_root, verified, xz};
use crate::snapshot::snapshot;

#[test]
fn owners_are_mapped_into_a_container() {
    let ranges = vec![
        IdRange::new(IdKind::User, 0, 100_000, 65_536).expect("a range"),
        IdRange::new(IdKind::Group, 0, 200_000, 65_536).expect("a range"),
    ];
    let unpacker = Unpacker::new().with_owners(Owners::Mapped(ranges));
    let unmapped = Archive::new()
        .member(Header::new(b'0', "x").owner(70_000, 0), b"")
        .end();
    Scene::new().assert_refused_by(
        &unpacker,
        &unmapped,
        UnpackErrorKind::Unsafe,
        "the uid 70000 is in no range of the id map: `x` at byte 0 of the unpacked archive",
    );
    if !is_root() {
        absent("root, to give files away");
        return;
    }
    let capability = [
        1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    let archive = Archive::new()
        .member(Header::new(b'5', "./").mode(0o755).owner(0, 0), b"")
        .pax(&[("SCHILY.xattr.security.capability", &capability)])
        .member(Header::new(b'0', "etc/x").mode(0o4755).owner(33, 44), b"")
        .member(Header::new(b'2', "link").link("x").owner(1000, 1000), b"")
        .end();
    let scene = Scene::new();
    scene.unpack(&unpacker, &archive).expect("mapped");
    let tree = snapshot(&scene.target());
    let owner = |path: &str| (tree[Path::new(path)].uid, tree[Path::new(path)].gid);
    assert_eq!(owner(""), (100_000, 200_000));
    assert_eq!(owner("etc"), (100_000, 200_000));
    assert_eq!(owner("etc/x"), (100_033, 200_044));
    assert_eq!(owner("link"), (101_000, 201_000));
    let node = &tree[Path::new("etc/x")];
    assert_eq!(node.mode, 0o4755);
    let value = &node.xattrs["security.capability"];
    assert_eq!(
        (value.len(), value[3], &value[20..]),
        (24, 3, &100_000_u32.to_le_bytes()[..])
    );
}

#[test]
fn owners_are_the_callers() {
    let scene = Scene::new();
    let archive = Archive::new()
        .member(Header::new(b'5', "d").mode(0o755).owner(1234, 1234), b"")
        .member(Header::new(b'0', "d/x").mode(0o6711).owner(1234, 1234), b"")
        .end();
    let unpacked = scene
        .unpack(&Unpacker::new().with_owners(Owners::Caller), &archive)
        .expect("anybody may");
    let tree = snapshot(&scene.target());
    let x = &tree[Path::new("d/x")];
    assert_eq!(x.uid, rustix::process::geteuid().as_raw());
    assert_eq!((x.mode, unpacked.set_ids_dropped), (0o711, 1));
}

#[test]
fn attributes_are_dropped_or_kept_with_lists() {
    let acl = [
        &[2, 0, 0, 0][..],
        &[1, 0, 6, 0, 255, 255, 255, 255],
        &[2, 0, 4, 0, 33, 0, 0, 0],
        &[4, 0, 4, 0, 255, 255, 255, 255],
        &[16, 0, 4, 0, 255, 255, 255, 255],
        &[32, 0, 0, 0, 255, 255, 255, 255],
    ]
    .concat();
    let archive = Archive::new()
        .pax(&[
            ("SCHILY.xattr.user.x", b"y"),
            ("SCHILY.xattr.system.posix_acl_access", &acl),
        ])
        .member(Header::new(b'0', "x").mode(0o640), b"")
        .end();
    for (choice, dropped, kept) in [
        (Xattrs::Drop, 2, vec![]),
        (Xattrs::Keep, 1, vec!["user.x"]),
        (
            Xattrs::KeepWithAcls,
            0,
            vec!["system.posix_acl_access", "user.x"],
        ),
    ] {
        let scene = Scene::new();
        let unpacked = scene.unpack(&Unpacker::new().with_xattrs(choice), &archive);
        assert_eq!(
            unpacked.expect("unpacked").xattrs_dropped,
            dropped,
            "{choice:?}"
        );
        let tree = snapshot(&scene.target());
        assert_eq!(
            tree[Path::new("x")].xattrs.keys().collect::<Vec<_>>(),
            kept,
            "{choice:?}"
        );
        assert_eq!(tree[Path::new("x")].mode, 0o640);
    }
}

#[test]
fn metadata_is_flat_and_plain() {
    let unpacker = Unpacker::new().with_profile(Profile::Flat);
    let good = Archive::new()
        .directory("templates")
        .pax(&[("SCHILY.xattr.user.x", b"y")])
        .member(
            Header::new(b'0', "templates/a").mode(0o6777).owner(12, 12),
            b"",
        )
        .file("metadata.yaml", b"architecture: x86_64\n")
        .end();
    let scene = Scene::new();
    let unpacked = scene.unpack(&unpacker, &good).expect("plain files");
    assert_eq!((unpacked.files, unpacked.xattrs_dropped), (2, 1));
    let a = &snapshot(&scene.target())[Path::new("templates/a")];
    assert_eq!(
        (a.mode, a.uid),
        (0o644, rustix::process::geteuid().as_raw())
    );

    let only = "metadata may hold regular files and directories, and nothing else: `x`";
    for (archive, kind, message) in [
        (
            Archive::new().symlink("x", "y"),
            UnpackErrorKind::Unsafe,
            only,
        ),
        (
            Archive::new().hard_link("x", "y"),
            UnpackErrorKind::Unsafe,
            only,
        ),
        (
            Archive::new().device(b'3', "x", 1, 3),
            UnpackErrorKind::Unsafe,
            only,
        ),
        (
            Archive::new().member(Header::new(b'6', "x"), b""),
            UnpackErrorKind::Unsafe,
            only,
        ),
        (
            Archive::new().file("backup.yaml", b""),
            UnpackErrorKind::Unsafe,
            "the host keeps its own file under this name: `backup.yaml`",
        ),
        (
            Archive::new().file("./exec-output/x", b""),
            UnpackErrorKind::Unsafe,
            "the host keeps its own file under this name: `./exec-output/x`",
        ),
    ] {
        Scene::new().assert_refused_by(
            &unpacker,
            &archive.end(),
            kind,
            &format!("{message} at byte 0 of the unpacked archive"),
        );
    }
    Scene::new().assert_refused_by(
        &unpacker,
        &Archive::new().file("x", b"1").file("./x", b"2").end(),
        UnpackErrorKind::Malformed,
        "the name comes twice: `./x` at byte 1024 of the unpacked archive",
    );
}

#[test]
fn a_subtree_becomes_the_root() {
    let unpacker = Unpacker::new().with_subtree("rootfs");
    let archive = Archive::new()
        .file("metadata.yaml", b"")
        .member(Header::new(b'5', "rootfs").mode(0o750), b"")
        .file("./rootfs/etc/hostname", b"one")
        .hard_link("rootfs/etc/name", "rootfs/etc/hostname")
        .file("templates/hostname.tpl", b"")
        .end();
    let scene = Scene::new();
    let unpacked = scene.unpack(&unpacker, &archive).expect("a unified image");
    assert_eq!(
        (
            unpacked.outside_subtree,
            unpacked.files,
            unpacked.hard_links
        ),
        (2, 1, 1)
    );
    let tree = snapshot(&scene.target());
    assert_eq!(tree[Path::new("")].mode, 0o750);
    assert_eq!(tree.len(), 4);

    for (archive, message) in [
        (
            Archive::new().directory("rootfs").symlink("rootfs", "/"),
            "the root of the tree must be a directory: `rootfs` at byte 512",
        ),
        (
            Archive::new()
                .file("outside", b"")
                .hard_link("rootfs/x", "outside"),
            "a hard link leaves the chosen subtree: `rootfs/x` at byte 512",
        ),
    ] {
        Scene::new().assert_refused_by(
            &unpacker,
            &archive.end(),
            UnpackErrorKind::Unsafe,
            &format!("{message} of the unpacked archive"),
        );
    }
    Scene::new().assert_refused_by(
        &Unpacker::new().with_subtree("a/rootfs"),
        &Archive::new().symlink("a", "/").end(),
        UnpackErrorKind::Unsafe,
        "the chosen subtree is below what is no directory: `a` at byte 0 of the unpacked archive",
    );
}

#[test]
fn progress_goes_up_to_the_whole() {
    if !has("xz") {
        return;
    }
    let archive = xz(&Archive::new().file("x", &[7; 3 << 20]).file("y", b"").end());
    let seen = Arc::new(Mutex::new(Vec::<UnpackProgress>::new()));
    let told = Arc::clone(&seen);
    let unpacker = Unpacker::new()
        .with_progress(move |progress| told.lock().expect("no panic").push(progress));
    Scene::new().unpack(&unpacker, &archive).expect("unpacked");
    let seen = seen.lock().expect("no panic");
    assert!(seen.len() > 10);
    assert!(seen.is_sorted_by_key(|progress| (progress.packed, progress.bytes, progress.entries)));
    let last = seen.last().expect("at least one");
    assert_eq!((last.packed, last.entries), (archive.len() as u64, 2));
    assert_eq!(
        (last.packed, last.bytes >= 3 << 20),
        (last.packed_total, true)
    );
}

#[test]
fn canceling_leaves_nothing() {
    let archive = (0..40).fold(Archive::new(), |archive, place| {
        archive.file(format!("d{place}/x"), &[7; 100 << 10])
    });
    let archive = archive.end();
    for stop in [0, 1, 5, 10] {
        let cancel = Arc::new(AtomicBool::new(stop == 0));
        let (flag, calls) = (Arc::clone(&cancel), AtomicU64::new(0));
        let unpacker = Unpacker::new().with_cancel(cancel).with_progress(move |_| {
            if calls.fetch_add(1, Ordering::Relaxed) + 1 == stop {
                flag.store(true, Ordering::Relaxed);
            }
        });
        let scene = Scene::new();
        let error = scene.unpack(&unpacker, &archive).expect_err("canceled");
        assert_eq!(error.kind(), UnpackErrorKind::Canceled);
        assert!(
            error.to_string().starts_with("unpacking was canceled"),
            "{error}"
        );
        assert!(!scene.target().exists());
    }
}

#[test]
fn callers_stage_several_trees_together() {
    let scene = Scene::new();
    let target = scene.target();
    std::fs::create_dir(&target).expect("a directory");
    let parent: OwnedFd = std::fs::File::open(&target).expect("a directory").into();
    let good = verified(&Archive::new().file("x", b"").end());
    let bad = verified(&Archive::new().file("x", b"").file("../x", b"").end());
    let unpacker = Unpacker::new().with_durability(Durability::Synced);
    assert_eq!(
        unpacker
            .unpack_into(&good, &parent, "rootfs")
            .expect("new")
            .files,
        1
    );
    for (name, message) in [
        ("rootfs", "the target is there already: `rootfs`"),
        ("../x", "`../x` is not the name of a directory to make"),
        ("", "`` is not the name of a directory to make"),
        ("..", "`..` is not the name of a directory to make"),
    ] {
        let error = unpacker
            .unpack_into(&good, &parent, name)
            .expect_err(message);
        assert_eq!(
            (error.to_string().as_str(), error.kind()),
            (message, UnpackErrorKind::InvalidTarget)
        );
    }
    let error = unpacker
        .unpack_into(&bad, &parent, "metadata")
        .expect_err("unsafe");
    assert_eq!(error.kind(), UnpackErrorKind::Unsafe);
    let left: Vec<_> = std::fs::read_dir(&target)
        .expect("there")
        .flatten()
        .collect();
    assert_eq!(left.len(), 1, "{left:?}");
    scene.assert_untouched();
}

#[test]
fn an_archive_can_be_unpacked_again_from_the_same_handle() {
    if !has("xz") {
        return;
    }
    let archive = verified(&xz(&Archive::new().file("x", b"again").end()));
    for _ in 0..2 {
        let scene = Scene::new();
        Unpacker::new()
            .unpack(&archive, &scene.target())
            .expect("unpacked");
        assert_eq!(
            std::fs::read(scene.target().join("x")).expect("a file"),
            b"again"
        );
    }
}
