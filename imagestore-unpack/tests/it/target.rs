//! Where archives are unpacked to, and what the system refuses on the way.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use imagestore_testkit::oracle::absent;
use imagestore_unpack::{UnpackError, UnpackErrorKind, Unpacker};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::archive::{Archive, Header};
use crate::scene::{Scene, has, is_root, verified};
use crate::snapshot::snapshot;

fn small() -> Vec<u8> {
    Archive::new().directory("d").file("d/x", b"data").end()
}

#[track_caller]
fn assert_invalid(outcome: Result<imagestore_unpack::Unpacked, UnpackError>, message: &str) {
    let error = outcome.expect_err("not a place to unpack to");
    assert_eq!(
        (error.to_string().as_str(), error.kind()),
        (message, UnpackErrorKind::InvalidTarget)
    );
}

#[test]
fn an_empty_directory_is_replaced() {
    let scene = Scene::new();
    fs::create_dir(scene.target()).expect("a directory");
    scene.tree(&small());
    assert_eq!(
        fs::read(scene.target().join("d/x")).expect("a file"),
        b"data"
    );
}

#[test]
fn what_is_there_is_not_replaced() {
    let scene = Scene::new();
    fs::create_dir(scene.target()).expect("a directory");
    fs::write(scene.target().join("mine"), "").expect("a file");
    assert_invalid(
        scene.unpack(&Unpacker::new(), &small()),
        "the target is not empty: `target`",
    );
    assert!(scene.target().join("mine").exists());

    let scene = Scene::new();
    fs::write(scene.target(), "").expect("a file");
    let message = "the target is there already and is not a directory: `target`";
    assert_invalid(scene.unpack(&Unpacker::new(), &small()), message);

    let scene = Scene::new();
    symlink("canary", scene.target()).expect("a link");
    assert_invalid(scene.unpack(&Unpacker::new(), &small()), message);
}

#[test]
fn the_parent_is_there_and_the_target_has_a_name() {
    let scene = Scene::new();
    let archive = verified(&small());
    let missing = scene.path("missing/target");
    let error = Unpacker::new()
        .unpack(&archive, &missing)
        .expect_err("no parent");
    assert_eq!(error.kind(), UnpackErrorKind::InvalidTarget);
    assert!(
        error
            .to_string()
            .starts_with("the target's parent is not a directory that can be opened: `/")
    );
    let error = Unpacker::new()
        .unpack(&archive, Path::new("/"))
        .expect_err("no name");
    assert_eq!(error.to_string(), "the target has no name of its own: `/`");
}

#[test]
fn mount_points_and_others_directories_are_left_alone() {
    if !is_root() {
        absent("root, to mount and give away");
        return;
    }
    let scene = Scene::new();
    fs::create_dir(scene.target()).expect("a directory");
    std::os::unix::fs::chown(scene.target(), Some(1234), None).expect("root may");
    assert_invalid(
        scene.unpack(&Unpacker::new(), &small()),
        "the target belongs to somebody else: `target`",
    );
}

#[test]
fn leftovers_of_killed_processes_are_removed_and_others_kept() {
    let scene = Scene::new();
    let left = scene.path(".target.0123456789abcdef.partial");
    fs::create_dir_all(left.join("a/b")).expect("a directory");
    fs::write(left.join("a/b/x"), "").expect("a file");
    symlink("../../canary", left.join("a/out")).expect("a link");
    fs::set_permissions(left.join("a/b"), fs::Permissions::from_mode(0o000))
        .expect("the owner may");
    scene.tree(&small());
    assert!(!left.exists());

    let scene = Scene::new();
    let other = scene.path(".targets.0123456789abcdef.partial");
    let held = scene.path(".target.fedcba9876543210.partial");
    fs::create_dir(&other).expect("a directory");
    fs::create_dir(&held).expect("a directory");
    let lock = fs::File::open(&held).expect("a directory");
    lock.lock_shared().expect("nobody holds it");
    Unpacker::new()
        .unpack(&verified(&small()), &scene.target())
        .expect("unpacked");
    assert!(other.exists() && held.exists());
}

#[test]
fn a_tree_without_permissions_is_removed_again() {
    let archive = Archive::new()
        .member(Header::new(b'5', "./").mode(0), b"")
        .member(Header::new(b'5', "d").mode(0), b"")
        .file("d/e/x", b"")
        .member(Header::new(b'5', "d/e").mode(0), b"");
    let scene = Scene::new();
    scene
        .unpack(&Unpacker::new(), &archive.clone().end())
        .expect("odd, and allowed");
    assert_eq!(
        fs::metadata(scene.target())
            .expect("there")
            .permissions()
            .mode()
            & 0o7777,
        0
    );
    for path in ["", "d", "d/e"] {
        let path = scene.target().join(path);
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).expect("the owner may");
    }
    // Refused after the last member, with everything in place.
    Scene::new().assert_refused_by(
        &Unpacker::new(),
        &archive.raw(&[0; 1024]).raw(b"x").cut(),
        UnpackErrorKind::Malformed,
        "there is data after the end of the archive at byte 3072 of the unpacked archive",
    );
}

/// Limits and masks are the process's, so these cases run in processes of their own.
#[test]
fn process_limits_and_masks() {
    let this = std::env::current_exe().expect("this test");
    for case in [
        "few_handles",
        "small_files",
        "mask_everything",
        "mask_nothing",
    ] {
        let output = Command::new(&this)
            .args([
                "--exact",
                "target::in_a_process_of_its_own",
                "--nocapture",
                "--test-threads=1",
            ])
            .env("UNPACK_CASE", case)
            .output()
            .expect("it starts");
        let text = String::from_utf8_lossy(&output.stdout);
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{case}: {} {text} {log}",
            output.status
        );
        assert!(text.contains(&format!("done: {case}")), "{case}: {text}");
    }
}

#[test]
fn in_a_process_of_its_own() {
    let Ok(case) = std::env::var("UNPACK_CASE") else {
        return;
    };
    let scene = Scene::new();
    match case.as_str() {
        "few_handles" => {
            limit(Resource::Nofile, 20);
            let archive = (0..60).fold(Archive::new(), |archive, place| {
                archive.file(format!("{place}/a/b/c/d/e/f/g/h/x"), b"data")
            });
            let unpacked = scene
                .unpack(&Unpacker::new(), &archive.clone().end())
                .expect("enough");
            assert_eq!(unpacked.files, 60);
            let scene = Scene::new();
            let bad = archive.file("../x", b"").end();
            assert!(scene.unpack(&Unpacker::new(), &bad).is_err());
            assert!(!scene.target().exists());
        }
        "small_files" => {
            let archive = verified(&Archive::new().file("x", &[7; 100_000]).end());
            limit(Resource::Fsize, 50_000);
            let error = Unpacker::new()
                .unpack(&archive, &scene.target())
                .expect_err("too large");
            assert_eq!(error.kind(), UnpackErrorKind::Storage);
            assert_eq!(
                error.to_string(),
                "a file of 100000 bytes is over the process's limit of 50000: `x` at byte 0 of \
                 the unpacked archive"
            );
            scene.assert_untouched();
        }
        mask => {
            let old = rustix::process::umask(rustix::fs::Mode::from_raw_mode(
                if mask == "mask_everything" { 0o777 } else { 0 },
            ));
            let archive = Archive::new()
                .file("implied/x", b"data")
                .directory("d")
                .member(Header::new(b'6', "d/fifo").mode(0o640), b"")
                .member(Header::new(b'0', "d/y").mode(0o666), b"")
                .end();
            let outcome = Unpacker::new().unpack(&verified(&archive), &scene.target());
            rustix::process::umask(old);
            outcome.expect("masks do not matter");
            let tree = snapshot(&scene.target());
            for (path, mode) in [
                ("", 0o755),
                ("implied", 0o755),
                ("implied/x", 0o644),
                ("d", 0o755),
                ("d/fifo", 0o640),
                ("d/y", 0o666),
            ] {
                assert_eq!(tree[Path::new(path)].mode, mode, "{path}");
            }
        }
    }
    println!("done: {case}");
}

/// A full file system, with room for inodes or for bytes gone.
#[test]
fn a_full_file_system_is_left_as_it_was() {
    if !is_root() || !has("mount") {
        absent("root, to mount");
        return;
    }
    let many = (0..300).fold(Archive::new(), |archive, place| {
        archive.file(format!("{place}"), b"")
    });
    let large = Archive::new().file("x", &[7; 2 << 20]);
    for (options, archive, message) in [
        (
            "size=64m,nr_inodes=64",
            many.end(),
            "cannot create a member: `",
        ),
        (
            "size=1m",
            large.end(),
            "the archive unpacks to more than the ",
        ),
    ] {
        let scene = Scene::new();
        let work = tempfile::tempdir().expect("a temporary directory");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(work.path())
            .status()
            .expect("it starts");
        if !mounted.success() {
            absent("the right to mount");
            return;
        }
        let outcome = Unpacker::new().unpack(&verified(&archive), &work.path().join("target"));
        let left = fs::read_dir(work.path()).expect("the mount").count();
        let unmounted = Command::new("umount")
            .arg(work.path())
            .status()
            .expect("it starts");
        assert!(unmounted.success());
        let error = outcome.expect_err("it is full");
        assert_eq!(error.kind(), UnpackErrorKind::Storage);
        assert!(error.to_string().starts_with(message), "{error}");
        let cause = std::error::Error::source(&error).expect("the system's word");
        assert_eq!(cause.to_string(), "No space left on device (os error 28)");
        assert_eq!(left, 0);
        scene.assert_untouched();
    }
}

fn limit(resource: Resource, value: u64) {
    let Rlimit { maximum, .. } = getrlimit(resource);
    setrlimit(
        resource,
        Rlimit {
            current: Some(value),
            maximum,
        },
    )
    .expect("lower is allowed");
}
