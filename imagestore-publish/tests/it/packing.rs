//! Directories that are packed here and unpacked by GNU tar.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use imagestore_publish::{Devices, Owners, PackOptions, Packed, PublishError, pack};
use imagestore_testkit::oracle::{Tool, missing};
use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags, chownat, lgetxattr,
    llistxattr, lsetxattr, makedev, mknodat, utimensat,
};

fn packed(folder: &Path, options: &PackOptions) -> Result<(Packed, Vec<u8>), PublishError> {
    let mut tarball = Vec::new();
    pack(folder, options, &mut tarball).map(|packed| (packed, tarball))
}

/// Everything that can be in a directory, as far as this user may make it.
fn everything(root: &Path) {
    let path = |name: &str| root.join(name);
    let write = |name: &str, content: &[u8]| fs::write(path(name), content).expect("written");
    let mode = |name: &str, mode: u32| {
        fs::set_permissions(path(name), fs::Permissions::from_mode(mode)).expect("own");
    };
    let long = "l".repeat(120);
    fs::create_dir_all(path(&format!("deep/{long}/{long}"))).expect("made");
    write(&format!("deep/{long}/{long}/{long}"), b"long");
    write("empty", b"");
    write("block", &[1; 512]);
    write("more", &[2; 70_001]);
    write("su", b"#!/bin/sh\n");
    mode("su", 0o4755);
    write("setgid", b"");
    mode("setgid", 0o2710);
    fs::create_dir(path("tmp")).expect("made");
    mode("tmp", 0o1777);
    fs::create_dir(path("closed")).expect("made");
    write("closed/secret", b"x");
    mode("closed/secret", 0o400);
    mode("closed", 0o500);
    write("zz-first", b"linked");
    fs::hard_link(path("zz-first"), path("zz-second")).expect("made");
    fs::hard_link(path("zz-first"), path("tmp/third")).expect("made");
    symlink("../../outside", path("link")).expect("made");
    symlink(format!("/{long}"), path("long-link")).expect("made");
    symlink("dangling", path(&format!("{long}-link"))).expect("made");
    write("name with blanks\nand = % lines", b"odd");
    fs::write(
        root.join(std::ffi::OsStr::from_bytes(b"latin-\xe4")),
        b"bytes",
    )
    .expect("written");
    mknodat(
        CWD,
        path("pipe"),
        FileType::Fifo,
        Mode::from_raw_mode(0o640),
        0,
    )
    .expect("made");
    for (name, flags) in [("more", XattrFlags::empty()), ("tmp", XattrFlags::empty())] {
        if lsetxattr(path(name), "user.odd=100%", b"a\0b\n=c", flags).is_err() {
            missing("a file system with extended attributes of users");
        }
    }
    if rustix::process::geteuid().is_root() {
        chownat(
            CWD,
            path("block"),
            Some(Uid::from_raw(3_000_000)),
            Some(Gid::from_raw(42)),
            AtFlags::SYMLINK_NOFOLLOW,
        )
        .expect("root");
        chownat(
            CWD,
            path("link"),
            Some(Uid::from_raw(7)),
            Some(Gid::from_raw(8)),
            AtFlags::SYMLINK_NOFOLLOW,
        )
        .expect("root");
        let nodes = mknodat(
            CWD,
            path("null"),
            FileType::CharacterDevice,
            Mode::from_raw_mode(0o666),
            makedev(1, 3),
        )
        .and_then(|()| {
            mknodat(
                CWD,
                path("disk"),
                FileType::BlockDevice,
                Mode::from_raw_mode(0o660),
                makedev(259, 65_537),
            )
        });
        if nodes.is_err() {
            missing("the right to make device nodes");
        }
        // VFS_CAP_REVISION_2 with CAP_NET_RAW, as `ping` has it.
        let capability = [
            1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ];
        if lsetxattr(
            path("more"),
            "security.capability",
            &capability,
            XattrFlags::empty(),
        )
        .is_err()
        {
            missing("the right to set file capabilities");
        }
    } else {
        missing("root, for owners, device nodes and capabilities");
    }
    let times = [
        ("more", 1_700_000_000, 123_456_789),
        ("empty", -5, 250_000_000),
        ("link", 12, 500),
        ("tmp", 99, 0),
        ("zz-first", 0, 0),
        ("block", 9_000_000_000, 1),
    ];
    for (name, seconds, nanos) in times {
        let time = Timespec {
            tv_sec: seconds,
            tv_nsec: nanos,
        };
        let times = Timestamps {
            last_access: time,
            last_modification: time,
        };
        utimensat(CWD, path(name), &times, AtFlags::SYMLINK_NOFOLLOW).expect("own");
    }
}

/// All that counts of every name below a directory.
fn described(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut inodes: BTreeMap<u64, String> = BTreeMap::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(path) = waiting.pop() {
        let metadata = fs::symlink_metadata(&path).expect("there");
        let name = path
            .strip_prefix(root)
            .expect("below")
            .as_os_str()
            .as_bytes()
            .escape_ascii()
            .to_string();
        let kind = metadata.file_type();
        let content = if kind.is_symlink() {
            format!("{:?}", fs::read_link(&path).expect("a link"))
        } else if kind.is_file() {
            let bytes = fs::read(&path).expect("readable");
            format!("{} {}", bytes.len(), imagestore_verify::Sha256::of(&bytes))
        } else if kind.is_block_device() || kind.is_char_device() {
            format!("{:x}", metadata.rdev())
        } else {
            String::new()
        };
        if kind.is_dir() {
            let mut below: Vec<_> = fs::read_dir(&path)
                .expect("a folder")
                .map(|entry| entry.expect("one").path())
                .collect();
            below.sort();
            waiting.extend(below.into_iter().rev());
        }
        let mut names = Vec::with_capacity(4096);
        llistxattr(&path, rustix::buffer::spare_capacity(&mut names)).expect("readable");
        let mut attributes: Vec<String> = names
            .split(|byte| *byte == 0)
            .filter(|name| !name.is_empty())
            .map(|name| {
                let mut value = Vec::with_capacity(4096);
                lgetxattr(&path, name, rustix::buffer::spare_capacity(&mut value))
                    .expect("readable");
                format!("{}={}", name.escape_ascii(), value.escape_ascii())
            })
            .collect();
        attributes.sort();
        let first = inodes
            .entry(metadata.ino())
            .or_insert_with(|| name.clone())
            .clone();
        let line = format!(
            "{:o} {}:{} {}.{:09} same as {first} {content} {attributes:?}",
            metadata.mode(),
            metadata.uid(),
            metadata.gid(),
            metadata.mtime(),
            metadata.mtime_nsec(),
        );
        found.insert(name, line);
    }
    found
}

#[test]
fn gnu_tar_unpacks_what_was_packed() {
    let Some(tar) = Tool::find("tar") else { return };
    let folder = tempfile::tempdir().expect("a directory");
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    fs::create_dir(&from).expect("made");
    fs::create_dir(&to).expect("made");
    everything(&from);
    let (packed, tarball) = packed(&from, &PackOptions::default()).expect("packed");
    assert_eq!(packed.bytes, tarball.len() as u64);
    assert_eq!(packed.bytes % 10_240, 0);
    // The very options of the reference client.
    let options = ["--numeric-owner", "--xattrs-include=*", "-xpf", "-", "-C"];
    let said = tar.command().args(options).args([&to]).input(tarball).run();
    let complaints = said.stderr_text();
    drop(said.expect_success());
    assert!(!complaints.contains("rror"), "{complaints}");
    let (wanted, found) = (described(&from), described(&to));
    for (name, line) in &wanted {
        assert_eq!(found.get(name), Some(line), "{name}");
    }
    assert_eq!(found.len(), wanted.len());
    assert_eq!(packed.entries, wanted.len() as u64);
}

#[test]
fn equal_directories_give_equal_tarballs() {
    let folder = tempfile::tempdir().expect("a directory");
    let tarballs = [["b", "a", "c"], ["c", "b", "a"]].map(|names| {
        let root = folder.path().join(names[0]);
        fs::create_dir(&root).expect("made");
        for name in names.iter().chain([&"."]) {
            let path = root.join(name);
            if !path.exists() {
                fs::write(&path, name).expect("written");
            }
            let time = Timespec {
                tv_sec: 5,
                tv_nsec: 0,
            };
            let times = Timestamps {
                last_access: time,
                last_modification: time,
            };
            utimensat(CWD, &path, &times, AtFlags::empty()).expect("own");
        }
        packed(&root, &PackOptions::default()).expect("packed").1
    });
    assert_eq!(tarballs[0], tarballs[1]);
}

#[test]
fn leaves_out_owners_and_devices_on_request_and_reports_sockets() {
    let folder = tempfile::tempdir().expect("a directory");
    let root = folder.path();
    let listener = UnixListener::bind(root.join("socket")).expect("bound");
    let node = mknodat(
        CWD,
        root.join("null"),
        FileType::CharacterDevice,
        Mode::from_raw_mode(0o666),
        makedev(1, 3),
    );
    if node.is_err() {
        missing("the right to make device nodes");
    }
    let devices: &[&str] = if node.is_ok() { &["./null"] } else { &[] };
    let (kept, _) = packed(root, &PackOptions::default()).expect("packed");
    assert_eq!(
        (kept.devices, kept.skipped),
        (
            devices.iter().map(ToString::to_string).collect(),
            vec!["./socket".to_owned()]
        )
    );
    let options = PackOptions::default()
        .with_devices(Devices::Skip)
        .with_owners(Owners::Root);
    let (skipped, tarball) = packed(root, &options).expect("packed");
    assert_eq!(
        (
            skipped.entries,
            skipped.devices.len(),
            skipped.skipped.len()
        ),
        (1, 0, 1 + devices.len())
    );
    let mut archive = tar::Archive::new(&tarball[..]);
    for entry in archive.entries().expect("a tarball") {
        let header = entry.expect("an entry").header().clone();
        assert_eq!(
            (header.uid().expect("octal"), header.gid().expect("octal")),
            (0, 0)
        );
    }
    drop(listener);
}

#[test]
fn does_not_cross_into_another_file_system() {
    let folder = tempfile::tempdir().expect("a directory");
    let mounted = folder.path().join("proc");
    fs::create_dir(&mounted).expect("made");
    let Some(mount) = Tool::find("mount").filter(|_| rustix::process::geteuid().is_root()) else {
        missing("root, for a mount");
        return;
    };
    let done = mount
        .command()
        .args(["-t", "tmpfs", "none"])
        .args([&mounted])
        .run();
    if !done.success() {
        missing("the right to mount");
        return;
    }
    let result = packed(folder.path(), &PackOptions::default());
    let umount = Tool::find("umount").expect("beside mount");
    drop(umount.command().args([&mounted]).run().expect_success());
    assert_eq!(
        result.expect_err("mounted").to_string(),
        "cannot pack ./proc: another file system is mounted there; unmount it"
    );
}

#[test]
fn does_not_follow_links_out_of_the_directory() {
    let folder = tempfile::tempdir().expect("a directory");
    let root = folder.path().join("root");
    fs::create_dir(&root).expect("made");
    fs::create_dir(folder.path().join("outside")).expect("made");
    fs::write(folder.path().join("outside/secret"), "secret").expect("written");
    symlink("../outside", root.join("folder")).expect("made");
    symlink("../outside/secret", root.join("file")).expect("made");
    let (packed, tarball) = packed(&root, &PackOptions::default()).expect("packed");
    assert_eq!(packed.entries, 3);
    assert!(
        !tarball.windows(6).any(|bytes| bytes == b"secret") || {
            // The names of the links hold the word; no data of a file do.
            let mut archive = tar::Archive::new(&tarball[..]);
            archive
                .entries()
                .expect("a tarball")
                .all(|entry| entry.expect("an entry").size() == 0)
        }
    );
}
