//! Patterns as GNU tar reads them.

use std::path::Path;
use std::process::Command;

use imagestore_unpack::{Excludes, UnpackErrorKind, Unpacker};

use crate::archive::Archive;
use crate::scene::{Scene, has};
use crate::snapshot::snapshot;

#[test]
fn patterns_mean_what_they_mean_to_gnu_tar() {
    if !has("tar") {
        return;
    }
    let names = [
        "./dev/null",
        "./dev/zero",
        "./dev/pts/ptmx",
        "./dev/a[b",
        "./dev/a]",
        "./etc/dev/null",
        "dev/null",
        "./dev/x-y",
        "./dev/X",
        "./dev/7",
        "./dev/*",
        "./devices",
        "./d\\e",
        "./^x",
        "./dev/null.d/below",
        "./.hidden",
        "./dev/-",
        "./dev/a b",
    ];
    let mut archive = Archive::new();
    for name in names {
        archive = archive.file(name, b"");
    }
    let archive = archive.end();
    let work = tempfile::tempdir().expect("a temporary directory");
    let path = work.path().join("archive.tar");
    std::fs::write(&path, archive).expect("room for it");
    let patterns = [
        "./dev/null",
        "dev/null",
        "./dev/*",
        "./dev/?",
        "./dev",
        "./de",
        "./dev/",
        "*null",
        "*/null",
        "./dev/[a-z]*",
        "./dev/[!a-z]*",
        "./dev/[^a-z]",
        "./dev/[[:digit:]]",
        "./dev/[[:upper:]-]",
        "./dev/a\\[b",
        "./dev/a[[]b",
        "./dev/[]]",
        "./dev/a[]]",
        "./dev/\\*",
        "./dev/[x]-y",
        "./d\\\\e",
        "./[\\^]x",
        "./?hidden",
        "*",
        "./*/*/*",
        "./dev/a*b",
        "./dev/[a",
        "./dev/a[b",
        "./dev/[!]x]",
        "./dev/[a-]*",
        ".",
        "./",
        "./dev/x-?",
    ];
    for pattern in patterns {
        let listed = Command::new("tar")
            .args([
                "--anchored",
                "--exclude",
                pattern,
                "--quoting-style=literal",
                "-tf",
            ])
            .arg(&path)
            .output()
            .expect("it starts");
        assert!(listed.status.success(), "{pattern}");
        let kept = String::from_utf8(listed.stdout).expect("plain names");
        let excludes = Excludes::new([pattern]);
        let ours: Vec<&str> = names
            .into_iter()
            .filter(|name| !excludes.matches(name.as_bytes()))
            .collect();
        assert_eq!(ours, kept.lines().collect::<Vec<_>>(), "{pattern}");
    }
}

#[test]
fn excluded_members_are_left_out_and_counted() {
    let archive = Archive::new()
        .directory("./dev")
        .file("./dev/log", b"")
        .device(b'3', "./dev/null", 1, 3)
        .hard_link("./dev/also-null", "./dev/null")
        .file("./keep", b"")
        .end();
    let unpacker = Unpacker::new().with_excludes(Excludes::from_lines(b"./dev/null\n./dev/log"));
    let scene = Scene::new();
    let unpacked = scene.unpack(&unpacker, &archive).expect("the rest");
    assert_eq!(
        (unpacked.excluded, unpacked.devices_skipped, unpacked.files),
        (2, 1, 1)
    );
    let tree = snapshot(&scene.target());
    assert_eq!(
        tree.keys().map(|path| path.as_path()).collect::<Vec<_>>(),
        [Path::new(""), Path::new("dev"), Path::new("keep"),]
    );
}

#[test]
fn a_name_for_an_excluded_file_is_refused_not_forgotten() {
    let archive = Archive::new()
        .file("a", b"content")
        .hard_link("b", "a")
        .end();
    Scene::new().assert_refused_by(
        &Unpacker::new().with_excludes(Excludes::new(["a"])),
        &archive,
        UnpackErrorKind::Malformed,
        "a hard link to `a`, which does not come before it: `b` at byte 1024 of the unpacked archive",
    );
}
