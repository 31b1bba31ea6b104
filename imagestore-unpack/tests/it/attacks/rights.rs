//! Members that would give rights on the host.

use std::path::Path;

use imagestore_unpack::{Devices, UnpackErrorKind, Unpacker};

use crate::archive::{Archive, Header};
use crate::scene::{Scene, assert_refused, is_root};

#[test]
fn device_is_skipped_unless_wanted() {
    let archive = Archive::new()
        .device(b'3', "dev/null", 1, 3)
        .device(b'3', "dev/mem", 1, 1)
        .device(b'4', "dev/sda", 8, 0)
        .hard_link("dev/zero-too", "dev/null")
        .device(b'3', "home/null", 1, 3)
        .file("x", b"")
        .end();
    let scene = Scene::new();
    let unpacked = scene.unpack(&Unpacker::new(), &archive).expect("skipped");
    assert_eq!(
        (unpacked.devices_skipped, unpacked.files, unpacked.devices),
        (5, 1, 0)
    );
    assert_eq!(crate::snapshot::snapshot(&scene.target()).len(), 2);

    Scene::new().assert_refused_by(
        &Unpacker::new().with_devices(Devices::Refuse),
        &archive,
        UnpackErrorKind::Unsafe,
        "a device node, 1:3, is not wanted: `dev/null` at byte 0 of the unpacked archive",
    );

    let scene = Scene::new();
    let wanted = Unpacker::new().with_devices(Devices::Create);
    if is_root() {
        let unpacked = scene.unpack(&wanted, &archive).expect("root may");
        assert_eq!(
            (
                unpacked.devices,
                unpacked.hard_links,
                unpacked.devices_skipped
            ),
            (1, 1, 3)
        );
        let tree = crate::snapshot::snapshot(&scene.target());
        let null = &tree[Path::new("dev/null")];
        assert_eq!((null.mode, null.content.as_str()), (0o644, "259"));
        assert!(!tree.contains_key(Path::new("dev/mem")));
        assert!(!tree.contains_key(Path::new("home/null")));
    } else {
        scene.assert_refused_by(
            &wanted,
            &archive,
            UnpackErrorKind::Unsafe,
            "only root may make device nodes; use Devices::Skip: `dev/null` at byte 0 of the \
             unpacked archive",
        );
    }
}

#[test]
fn device_passes_for_a_deleted_file() {
    assert_refused(
        &Archive::new().device(b'3', "usr/bin/login", 0, 0).end(),
        UnpackErrorKind::Unsafe,
        "the character device 0:0 means a deleted file to overlay file systems: `usr/bin/login` \
         at byte 0 of the unpacked archive",
    );
    let tree = Scene::new().tree(&Archive::new().file("usr/.wh.bin", b"").end());
    assert!(
        tree.contains_key(Path::new("usr/.wh.bin")),
        "whiteouts of layers are plain names"
    );
}

#[test]
fn attribute_gives_rights_on_the_host() {
    let archive = Archive::new()
        .pax(&[
            ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
            (
                "SCHILY.xattr.security.selinux",
                b"system_u:object_r:bin_t:s0",
            ),
            ("SCHILY.xattr.security.ima", b"\x03\x02"),
            ("SCHILY.xattr.security.evm", b"\x02\x01"),
            ("SCHILY.xattr.system.posix_acl_access", b"\x02\0\0\0"),
            ("SCHILY.xattr.user.kept", b"yes"),
            ("SCHILY.acl.access", b"user::rwx"),
            ("LIBARCHIVE.xattr.user.kept", b"eWVz"),
        ])
        .file("x", b"")
        .end();
    let scene = Scene::new();
    let unpacked = scene
        .unpack(&Unpacker::new(), &archive)
        .expect("dropped, not refused");
    assert_eq!(unpacked.xattrs_dropped, 6);
    let tree = crate::snapshot::snapshot(&scene.target());
    let found: Vec<_> = tree[Path::new("x")].xattrs.iter().collect();
    assert_eq!(found, [(&"user.kept".to_owned(), &b"yes".to_vec())]);
}

#[test]
fn set_ids_belong_to_their_owner() {
    let uid = u64::from(rustix::process::geteuid().as_raw());
    let archive = |uid| {
        Archive::new()
            .member(Header::new(b'0', "su").mode(0o6755).owner(uid, uid), b"")
            .member(Header::new(b'0', "plain").mode(0o1755).owner(uid, uid), b"")
            .end()
    };
    let scene = Scene::new();
    let unpacked = scene
        .unpack(&Unpacker::new(), &archive(uid))
        .expect("a harmless archive");
    let tree = crate::snapshot::snapshot(&scene.target());
    if is_root() {
        assert_eq!(
            (unpacked.set_ids_dropped, tree[Path::new("su")].mode),
            (0, 0o6755)
        );
    } else {
        assert_eq!(
            (unpacked.set_ids_dropped, tree[Path::new("su")].mode),
            (1, 0o755)
        );
        Scene::new().assert_refused_by(
            &Unpacker::new().with_owners(imagestore_unpack::Owners::Recorded),
            &archive(0),
            UnpackErrorKind::Unsafe,
            "the caller may not give files to 0:0; unpack as root or with Owners::Caller: `su` at \
             byte 0 of the unpacked archive",
        );
    }
    assert_eq!(tree[Path::new("plain")].mode, 0o1755);
}
