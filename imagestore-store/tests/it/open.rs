use std::ffi::CString;
use std::fs::{self, Permissions};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use imagestore_core::ErrorKind;
use imagestore_store::Store;
use imagestore_testkit::oracle::absent;
use rustix::fs::inotify::{self, ReadFlags, WatchFlags};
use rustix::io::Errno;
use tempfile::TempDir;

use crate::remote::Fault;
use crate::scene::*;

#[test]
fn makes_a_store_for_its_owner_alone() {
    let directory = TempDir::new().expect("a temporary directory");
    let root = directory.path().join("a/b/store");
    let store = Store::open(&root).expect("a new store");
    assert_eq!(mode(&root), 0o700);
    assert_eq!(
        fs::read_to_string(root.join("FORMAT")).expect("a format"),
        "imagestore store 1\n"
    );
    for name in ["images", "staging", "trash", "trust"] {
        assert_eq!(mode(&root.join(name)), 0o700, "{name}");
    }
    assert_eq!(store.path(), root.canonicalize().expect("a path"));
    assert_eq!(store.list().expect("a list"), []);
}

#[test]
fn refuses_a_directory_that_others_can_write_to() {
    for bits in [0o777, 0o770, 0o1777, 0o702] {
        let directory = TempDir::new().expect("a temporary directory");
        fs::set_permissions(directory.path(), Permissions::from_mode(bits)).expect("a mode");
        let error = Store::open(directory.path()).expect_err("writable by others");
        let place = directory.path().canonicalize().expect("a path");
        let message = format!(
            "can be written to by others (mode {bits:04o}): {place}; run chmod go-w {place}",
            place = place.display()
        );
        assert_eq!(
            (error.kind(), error.to_string()),
            (ErrorKind::Storage, message)
        );
    }
}

#[test]
fn refuses_a_directory_of_another_user() {
    let directory = TempDir::new().expect("a temporary directory");
    if std::os::unix::fs::chown(directory.path(), Some(12_345), None).is_err() {
        absent("root, to give a directory to another user");
        return;
    }
    let error = Store::open(directory.path()).expect_err("of another user");
    let place = directory.path().canonicalize().expect("a path");
    let message = format!(
        "belongs to user 12345, not to user 0 or root: {}; name another directory for the store",
        place.display()
    );
    assert_eq!(
        (error.kind(), error.to_string()),
        (ErrorKind::Storage, message)
    );
}

#[test]
fn refuses_a_directory_with_other_files() {
    let directory = TempDir::new().expect("a temporary directory");
    fs::write(directory.path().join("thesis.txt"), "…").expect("written");
    let error = Store::open(directory.path()).expect_err("not a store");
    let place = directory.path().canonicalize().expect("a path");
    let message = format!(
        "is no store and holds other files, such as `thesis.txt`: {}; name an empty directory for the store",
        place.display()
    );
    assert_eq!(
        (error.kind(), error.to_string()),
        (ErrorKind::Storage, message)
    );
    assert_eq!(
        fs::read_dir(directory.path()).expect("a directory").count(),
        1
    );
}

#[test]
fn refuses_a_later_format() {
    let directory = TempDir::new().expect("a temporary directory");
    let root = directory.path().join("store");
    Store::open(&root).expect("a new store");
    fs::write(root.join("FORMAT"), "imagestore store 2\n").expect("written");
    for open in [Store::open, Store::open_existing] {
        let error = open(&root).expect_err("a later format");
        let place = root.canonicalize().expect("a path").join("FORMAT");
        let message = format!(
            "has the format `imagestore store 2`, this version knows `imagestore store 1`: {}; \
             use a newer version, or another directory",
            place.display()
        );
        assert_eq!(
            (error.kind(), error.to_string()),
            (ErrorKind::Unsupported, message)
        );
    }
}

#[test]
fn open_existing_makes_nothing() {
    let directory = TempDir::new().expect("a temporary directory");
    for root in [directory.path().to_owned(), directory.path().join("none")] {
        let error = Store::open_existing(&root).expect_err("no store");
        let message = format!("there is no store: {}", root.display());
        assert_eq!(
            (error.kind(), error.to_string()),
            (ErrorKind::NotFound, message)
        );
    }
    assert_eq!(
        fs::read_dir(directory.path()).expect("a directory").count(),
        0
    );
}

#[tokio::test]
async fn follows_a_link_to_the_store_once_at_its_opening() {
    let scene = Scene::new();
    let link = scene.directory.path().join("link");
    symlink(scene.root(), &link).expect("a link");
    let store = Store::open(&link).expect("through the link");
    fs::remove_file(&link).expect("removed");
    symlink("/nowhere", &link).expect("another link");
    let stored = store
        .fetch(&scene.context, &scene.config, &scene.image())
        .await
        .expect("fetched");
    assert!(
        stored
            .path()
            .starts_with(scene.root().canonicalize().expect("a path"))
    );
}

#[tokio::test]
async fn clears_away_what_nobody_works_on_and_keeps_the_parts_of_a_day() {
    let scene = Scene::new();
    scene
        .remote
        .fail(ROOTFS, &[5_000, 5_000, 5_000, 5_000].map(Fault::Cut));
    scene.fetch(&scene.image()).await.expect_err("breaks");
    fs::create_dir(scene.root().join("trash/left")).expect("made");
    fs::write(scene.root().join("trash/left/over"), "x").expect("written");
    Store::open(&scene.root()).expect("opens");
    Store::open(&scene.root()).expect("opens");
    let kept = scene.files();
    assert!(
        kept.iter().any(|file| file.ends_with("1.0.part")),
        "{kept:?}"
    );
    assert!(!kept.iter().any(|file| file.ends_with("over")), "{kept:?}");
    let yesterday = SystemTime::now() - Duration::from_secs(25 * 60 * 60);
    let mut paths = kept;
    for name in fs::read_dir(scene.root().join("staging")).expect("a directory") {
        paths.push(name.expect("an entry").path());
    }
    for path in paths {
        let file = fs::File::open(path).expect("opens");
        file.set_times(fs::FileTimes::new().set_modified(yesterday))
            .expect("old");
    }
    Store::open(&scene.root()).expect("opens");
    assert_eq!(scene.files(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn opening_a_store_looks_at_no_build() {
    let scene = Scene::new();
    let images = scene.root().join("images");
    fs::create_dir(images.join("0".repeat(64))).expect("made");
    let watch = inotify::init(inotify::CreateFlags::NONBLOCK).expect("a watch");
    inotify::add_watch(&watch, &images, WatchFlags::ALL_EVENTS).expect("watched");

    Store::open(&scene.root()).expect("opens");
    // The directory itself is opened, and not read; nothing in it is opened.
    let opened = [ReadFlags::OPEN, ReadFlags::CLOSE_NOWRITE];
    assert_eq!(
        events(&watch),
        opened.map(|event| (event | ReadFlags::ISDIR, None))
    );
    fs::read_dir(&images).expect("a directory").count();
    let seen = events(&watch);
    assert!(
        seen.contains(&(ReadFlags::ACCESS | ReadFlags::ISDIR, None)),
        "the watch sees what is read: {seen:?}"
    );
}

fn events(watch: &OwnedFd) -> Vec<(ReadFlags, Option<CString>)> {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = inotify::Reader::new(watch, &mut buffer);
    let mut events = Vec::new();
    loop {
        match reader.next() {
            Ok(event) => events.push((event.events(), event.file_name().map(Into::into))),
            Err(Errno::AGAIN) => return events,
            Err(error) => panic!("{error}"),
        }
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("there").permissions().mode() & 0o7777
}
