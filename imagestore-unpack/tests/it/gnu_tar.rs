//! The same tree as GNU tar makes, entry by entry.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use imagestore_unpack::Unpacker;
use rustix::fs::{
    AtFlags, CWD, Mode, Timespec, Timestamps, XattrFlags, lsetxattr, mkfifoat, utimensat,
};

use crate::scene::{Scene, has, is_root, verified_path};
use crate::snapshot::{Node, snapshot};

#[test]
fn pax_with_xattrs_as_distrobuilder_packs() {
    assert_same_as_gnu_tar(
        &["--format=pax", "--xattrs", "--sort=name", "-J"],
        Names::All,
    );
}

#[test]
fn gnu_format_with_xz() {
    assert_same_as_gnu_tar(&["--format=gnu", "-J"], Names::All);
}

#[test]
fn gnu_format_with_gzip() {
    assert_same_as_gnu_tar(&["--format=gnu", "-z"], Names::All);
}

#[test]
fn ustar_plain() {
    assert_same_as_gnu_tar(&["--format=ustar"], Names::Short);
}

#[test]
fn v7_plain() {
    assert_same_as_gnu_tar(&["--format=v7"], Names::Oldest);
}

#[test]
fn sparse_files_of_the_gnu_format() {
    assert_same_as_gnu_tar(&["--format=gnu", "--sparse"], Names::All);
}

#[test]
fn sparse_files_of_the_pax_format() {
    assert_same_as_gnu_tar(
        &["--format=pax", "--sparse", "--sparse-version=1.0"],
        Names::All,
    );
}

#[test]
fn numeric_owners_and_globals() {
    assert_same_as_gnu_tar(
        &[
            "--format=pax",
            "--numeric-owner",
            "--pax-option=comment=hello,mtime=1600000000.25",
        ],
        Names::All,
    );
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Names {
    All,
    Oldest,
    Short,
}

#[track_caller]
fn assert_same_as_gnu_tar(arguments: &[&str], names: Names) {
    if !has("tar") || !has("xz") || !has("gzip") {
        return;
    }
    let work = tempfile::tempdir().expect("a temporary directory");
    let source = work.path().join("source");
    grow(&source, names);
    let archive = work.path().join("archive");
    run(Command::new("tar")
        .args(arguments)
        .arg("-cf")
        .arg(&archive)
        .arg("-C")
        .arg(&source)
        .arg("."));

    let scene = Scene::new();
    let ours = Unpacker::new().unpack(&verified_path(&archive), &scene.target());
    scene.assert_untouched();
    let unpacked = ours.unwrap_or_else(|e| panic!("{e} {:?}", std::error::Error::source(&e)));

    let theirs = work.path().join("theirs");
    fs::create_dir(&theirs).expect("a directory");
    let include = "--xattrs-include=*";
    run(Command::new("tar")
        .args(["-xpf"])
        .arg(&archive)
        .args(["--numeric-owner", "--xattrs", include, "-C"])
        .arg(&theirs));

    let expected = expected(&theirs);
    let found = snapshot(&scene.target());
    for (path, node) in &expected {
        assert_eq!(found.get(path), Some(node), "{}", path.display());
    }
    assert_eq!(found.len(), expected.len());
    let count = |kind: &str| expected.values().filter(|node| node.kind == kind).count() as u64;
    assert_eq!(unpacked.directories, count("directory"));
    let names_of_files = count("file") + count("symlink");
    assert_eq!(
        unpacked.files + unpacked.symlinks + unpacked.hard_links,
        names_of_files
    );
    assert_eq!(
        unpacked.hard_links,
        if names == Names::Oldest { 1 } else { 2 }
    );
    let devices = if is_root() && names != Names::Oldest {
        1
    } else {
        0
    };
    assert_eq!(unpacked.devices_skipped, devices);
}

/// What GNU tar made, less what is left out on purpose: devices, and set-id bits of files that are
/// the caller's.
pub(crate) fn expected(theirs: &Path) -> BTreeMap<PathBuf, Node> {
    let mut nodes = snapshot(theirs);
    nodes.retain(|_, node| {
        matches!(
            node.kind.as_str(),
            "directory" | "fifo" | "file" | "symlink"
        )
    });
    for node in nodes.values_mut() {
        if !is_root() {
            node.mode &= 0o1777;
        }
        // A link's mode is the system's.
        if node.kind == "symlink" {
            assert_eq!(node.mode & 0o777, 0o777);
        }
    }
    nodes
}

pub(crate) fn grow(root: &Path, names: Names) {
    fs::create_dir_all(root.join("usr/bin")).expect("a directory");
    fs::create_dir_all(root.join("etc/empty")).expect("a directory");
    fs::create_dir_all(root.join("tmp")).expect("a directory");
    fs::create_dir_all(root.join("secret")).expect("a directory");
    for size in [0, 1, 511, 512, 513, 5000, 300_000] {
        let bytes: Vec<u8> = (0..size)
            .map(|place: u32| (place * 7 % 251) as u8)
            .collect();
        fs::write(root.join(format!("usr/bin/size-{size}")), bytes).expect("a file");
    }
    fs::write(root.join("secret/key"), "hush").expect("a file");
    fs::write(root.join("usr/bin/setuid"), "#!").expect("a file");
    fs::hard_link(root.join("usr/bin/size-513"), root.join("etc/name")).expect("a link");
    symlink("/etc/../usr/bin/size-1", root.join("etc/absolute")).expect("a link");
    symlink("nowhere", root.join("dangling")).expect("a link");
    File::create(root.join("holes"))
        .and_then(|file| {
            file.set_len(5_000_000)?;
            std::os::unix::fs::FileExt::write_at(&file, b"island", 1_000_000)?;
            std::os::unix::fs::FileExt::write_at(&file, &[7; 9000], 3_000_001)
        })
        .expect("a sparse file");
    if names != Names::Oldest {
        mkfifoat(CWD, root.join("etc/fifo"), Mode::from_raw_mode(0o620)).expect("a fifo");
        symlink("nowhere", root.join("etc/one")).expect("a link");
        rustix::fs::link(root.join("etc/one"), root.join("etc/two")).expect("a link to the link");
    }
    if names == Names::All {
        let long = "component-of-a-long-name/".repeat(12);
        fs::create_dir_all(root.join(&long)).expect("a directory");
        fs::write(root.join(&long).join("x".repeat(255)), "deep").expect("a file");
        symlink("target/".repeat(40), root.join("etc/long-target")).expect("a link");
    }
    for name in [
        &b"etc/not-utf8-\xff\xfe"[..],
        b"etc/new\nline\x1b[2J",
        b"-rf",
        b"etc/back\\slash",
    ] {
        fs::write(root.join(OsStr::from_bytes(name)), "odd").expect("a file");
    }
    if is_root() {
        let own = |path: &str, uid, gid| {
            std::os::unix::fs::lchown(root.join(path), Some(uid), Some(gid)).expect("root may");
        };
        own("usr/bin/setuid", 1234, 4321);
        own("etc/absolute", 65_534, 65_534);
        own("etc/empty", 33, 33);
        if names == Names::All {
            // Seven octal digits do not hold these.
            own("usr/bin/size-512", 3_000_000, 4_000_000_000);
            let ping = [
                1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            ];
            let path = root.join("usr/bin/size-5000");
            lsetxattr(&path, "security.capability", &ping, XattrFlags::empty()).expect("root may");
        }
        if names != Names::Oldest {
            let mode = Mode::from_raw_mode(0o660);
            let device = rustix::fs::makedev(7, 300);
            let kind = rustix::fs::FileType::BlockDevice;
            rustix::fs::mknodat(CWD, root.join("loop"), kind, mode, device).expect("root may");
        }
    }
    let xattr = |path: &str, name: &str, value: &[u8]| {
        lsetxattr(root.join(path), name, value, XattrFlags::empty()).expect("user attributes");
    };
    xattr("usr/bin/size-1", "user.plain", b"value");
    xattr("usr/bin/size-1", "user.odd=100%", b"line\nline=\0\xff\n");
    xattr("etc/empty", "user.empty", b"");
    for (path, mode) in [
        ("usr/bin/setuid", 0o6755),
        ("usr/bin/size-0", 0o000),
        ("usr/bin/size-1", 0o444),
        ("etc/empty", 0o2775),
        ("tmp", 0o1777),
        ("secret", 0o700),
        ("usr", 0o555),
    ] {
        fs::set_permissions(root.join(path), fs::Permissions::from_mode(mode))
            .expect("the owner may");
    }
    if !is_root() {
        // GNU tar could not read the one, nor set the attributes of the other.
        for path in ["usr/bin/size-0", "usr/bin/size-1"] {
            let plain = fs::Permissions::from_mode(0o600);
            fs::set_permissions(root.join(path), plain).expect("the owner may");
        }
    }
    let time = |path: &str, seconds, nanoseconds| {
        let time = Timespec {
            tv_sec: seconds,
            tv_nsec: nanoseconds,
        };
        let times = Timestamps {
            last_access: time,
            last_modification: time,
        };
        utimensat(CWD, root.join(path), &times, AtFlags::SYMLINK_NOFOLLOW).expect("the owner may");
    };
    time("usr/bin/size-511", 1_234_567_890, 987_654_321);
    time("etc/absolute", 1_111_111_111, 0);
    time("secret", 1_000_000_000, 500_000_000);
    time("etc", 999_999_999, 0);
    if names == Names::All {
        time("usr/bin/size-300000", -86_400, 0);
        time("dangling", 5_000_000_000, 250_000_000);
    }
    assert_eq!(
        fs::metadata(root.join("secret")).expect("there").mtime(),
        1_000_000_000
    );
}

pub(crate) fn run(command: &mut Command) {
    let output = command.output().expect("it starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}");
}
