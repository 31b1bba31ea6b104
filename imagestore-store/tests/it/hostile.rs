//! What others, or a broken disk, put into the store.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use imagestore_core::ErrorKind;
use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::reuse::spoil;
use crate::scene::*;

#[tokio::test]
async fn a_file_that_was_replaced_by_something_else_is_fetched_again() {
    let elsewhere = tempfile::TempDir::new().expect("a temporary directory");
    let target = elsewhere.path().join("target");
    type Replace = fn(&Path, &Path);
    let replacements: [(&str, Replace, &str); 7] = [
        (
            "link",
            |path, target| symlink(target, path).expect("a link"),
            "cannot open, it is no file or directory of a store",
        ),
        (
            "directory",
            |path, _| fs::create_dir(path).expect("a directory"),
            "is no regular file",
        ),
        (
            "fifo",
            |path, _| mknodat(CWD, path, FileType::Fifo, Mode::RUSR, 0).expect("a fifo"),
            "is no regular file",
        ),
        (
            "second name",
            |path, target| fs::hard_link(target, path).expect("a name"),
            "has 2 names, a file of a store has one",
        ),
        ("nothing", |_, _| {}, "a file of the image is missing"),
        (
            "empty file",
            |path, _| fs::write(path, "").expect("written"),
            "has 0 bytes, the index says 10500",
        ),
        (
            "longer file",
            |path, target| {
                fs::copy(target, path).expect("copied");
                spoil(path, |bytes| bytes.push(0));
            },
            "has 10501 bytes, the index says 10500",
        ),
    ];
    for (what, replace, reason) in replacements {
        let scene = Scene::new();
        fs::write(&target, &scene.rootfs).expect("written");
        drop(scene.fetch(&scene.image()).await.expect("fetched"));
        let path = scene.published("rootfs.tar.xz");
        fs::remove_file(&path).expect("removed");
        replace(&path, &target);
        scene.remote.forget();
        let stored = scene.fetch(&scene.image()).await.expect(what);
        assert_eq!(bytes_of(&stored, "rootfs.tar.xz"), scene.rootfs, "{what}");
        assert_eq!(scene.remote.offsets(ROOTFS), [0], "{what}");
        let warning = &scene.events.warnings()[0];
        assert!(
            warning.contains(&format!(" is not used: {reason}: ")),
            "{what}: {warning}"
        );
        assert_eq!(
            fs::read(&target).expect("untouched"),
            scene.rootfs,
            "{what}"
        );
    }
}

#[tokio::test]
async fn a_part_that_is_a_link_is_not_written_through() {
    let scene = Scene::new();
    let target = scene.directory.path().join("passwd");
    fs::write(&target, "root").expect("written");
    scene.remote.fail(
        ROOTFS,
        &[2_000, 2_000, 2_000, 2_000].map(crate::remote::Fault::Cut),
    );
    scene.fetch(&scene.image()).await.expect_err("breaks");
    let part = scene
        .files()
        .into_iter()
        .find(|file| file.ends_with("1.0.part"))
        .expect("a part");
    fs::remove_file(&part).expect("removed");
    symlink(&target, &part).expect("a link");
    scene.fetch(&scene.image()).await.expect("fetched");
    assert_eq!(fs::read_to_string(&target).expect("there"), "root");
}

#[tokio::test]
async fn directories_that_are_links_are_refused() {
    let scene = Scene::new();
    let target = tempfile::TempDir::new().expect("a temporary directory");
    drop(scene.fetch(&scene.image()).await.expect("fetched"));
    let build = scene
        .published("manifest.json")
        .parent()
        .expect("a directory")
        .to_owned();
    fs::rename(&build, target.path().join("build")).expect("moved");
    symlink(target.path().join("build"), &build).expect("a link");
    let error = scene.store.get(&id()).expect_err("a link");
    assert_eq!(error.kind(), ErrorKind::Storage);
    let place = build
        .parent()
        .expect("images")
        .canonicalize()
        .expect("a path");
    let message = format!(
        "cannot open, it is no file or directory of a store: {}; remove it",
        place.join(build.file_name().expect("a name")).display()
    );
    assert_eq!(error.to_string(), message);
}

#[tokio::test]
async fn a_fetch_puts_a_build_in_the_place_of_a_link() {
    let scene = Scene::new();
    let path = scene
        .fetch(&scene.image())
        .await
        .expect("fetched")
        .path()
        .to_owned();
    let target = scene.directory.path().join("elsewhere");
    fs::rename(&path, &target).expect("moved");
    symlink(&target, &path).expect("a link");
    scene.remote.forget();
    let stored = scene.fetch(&scene.image()).await.expect("fetched again");
    assert_eq!(bytes_of(&stored, "rootfs.tar.xz"), scene.rootfs);
    assert_eq!(scene.remote.offsets(ROOTFS), [0]);
    assert!(!path.is_symlink() && target.join("manifest.json").is_file());
}

#[tokio::test]
async fn a_manifest_of_another_image_is_not_taken_for_this_one() {
    let scene = Scene::new();
    drop(scene.fetch(&scene.image()).await.expect("fetched"));
    let build = scene
        .published("manifest.json")
        .parent()
        .expect("a directory")
        .to_owned();
    let other = imagestore_core::ImageId::new("r", "p", "b");
    let image = scene
        .image()
        .map(|image| imagestore_core::Image::new(other.clone(), image.downloads));
    let path = scene
        .fetch(&image)
        .await
        .expect("fetched")
        .path()
        .to_owned();
    fs::copy(build.join("manifest.json"), path.join("copy")).expect("copied");
    fs::rename(path.join("copy"), path.join("manifest.json")).expect("swapped");
    let error = scene.store.get(&other).expect_err("another");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(scene.store.list().expect("a list").len(), 1);
    assert_eq!(scene.store.verify().expect("verifies").damaged.len(), 1);
}
