//! Ends a publishing process before each of its steps, and looks at what readers find.

use std::cell::RefCell;
use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use imagestore_testkit::keys;
use imagestore_verify::signing::SigningKey;
use imagestore_verify::{DetachedSignature, Policy, Unverified, Verifier};

use super::{Contents, LxcImagesPublisher, MetaSource, RootfsSource};
use crate::meta::Meta;
use crate::pack::PackOptions;

static STEPS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static STOP_AT: RefCell<Option<usize>> = const { RefCell::new(None) };
}

/// Ends the process if it is its turn, as a kill would: nothing is cleared away.
pub(crate) fn step() {
    let stop = STOP_AT.with_borrow(|stop| *stop);
    if let Some(stop) = stop
        && STEPS.fetch_add(1, Ordering::Relaxed) == stop
    {
        std::process::exit(KILLED);
    }
}

/// Runs in a process of its own: publishes, and is ended before a step.
#[test]
fn child() {
    let Some(root) = env::var_os(ROOT) else {
        return;
    };
    let root = Path::new(&root);
    let stop = env::var(STOP).expect("a step").parse().expect("a number");
    STOP_AT.set(Some(stop));
    let key =
        SigningKey::from_bytes(&fs::read(root.join("key")).expect("a key"), None).expect("a key");
    publish(root, &key, "20240601_00:02").expect("nothing is wrong but the end of the process");
}

#[test]
fn readers_find_a_whole_tree_whenever_the_publisher_is_killed() {
    let key = keys::new("crash");
    let start = tempfile::tempdir().expect("a directory");
    fs::create_dir(start.path().join("rootfs")).expect("made");
    fs::write(start.path().join("rootfs/file"), "content").expect("written");
    fs::write(start.path().join("key"), key.secret()).expect("written");
    // Two builds, of which the first is removed by the publication that is killed.
    publish(start.path(), &key, "20240601_00:00").expect("the first");
    publish(start.path(), &key, "20240601_00:01").expect("the second");
    let mut stopped = 0;
    for stop in 0.. {
        let folder = tempfile::tempdir().expect("a directory");
        let root = folder.path();
        copy(start.path(), root);
        let status = Command::new(env::current_exe().expect("this test"))
            .args(["--exact", "lxc_images::crash::child", "--quiet"])
            .env(ROOT, root)
            .env(STOP, stop.to_string())
            .output()
            .expect("started");
        let named = read(root, &key, stop);
        if status.status.success() {
            assert_eq!(named, "20240601_00:02", "not killed");
            break;
        }
        let output = String::from_utf8_lossy(&status.stdout);
        assert_eq!(
            status.status.code(),
            Some(KILLED),
            "at step {stop}: {output}"
        );
        stopped += 1;

        let next = publish(root, &key, "20240601_00:03").expect("goes on after a crash");
        assert_eq!(read(root, &key, stop), "20240601_00:03");
        assert!(next.skipped.is_empty(), "{:?}", next.skipped);
        let left = all_names(root)
            .into_iter()
            .find(|name| name.contains("partial") || name.ends_with(".new"));
        assert_eq!(left, None, "after the crash at step {stop}");
    }
    assert!(stopped > 30, "only {stopped} steps");
}

fn publish(
    root: &Path,
    key: &SigningKey,
    build: &str,
) -> Result<super::Published, crate::PublishError> {
    let contents = Contents::new(
        RootfsSource::Directory(root.join("rootfs"), PackOptions::default()),
        MetaSource::Files(Meta::new("lxc.arch = x86_64\n")),
    );
    LxcImagesPublisher::new(root.join("tree"), key)
        .with_kept_builds(std::num::NonZeroUsize::new(2).expect("two"))
        .with_time(keys::at(keys::SIGNED))
        .publish(
            &"a/b/c/d".parse().expect("a name"),
            build.parse().expect("a build"),
            &contents,
        )
}

/// Reads the tree as a reader does, and says which build it names.
fn read(root: &Path, key: &SigningKey, step: usize) -> String {
    let tree = root.join("tree");
    let check = |path: &Path| {
        let open = |path: &Path| {
            let bytes =
                fs::read(path).unwrap_or_else(|error| panic!("step {step}: {path:?}: {error}"));
            Unverified::new(Bytes::from(bytes))
        };
        let asc = DetachedSignature::parse(&open(&crate::tree::beside(path))).expect("a signature");
        let policy = Policy::default().with_at(keys::at(keys::NOW));
        let checked = Verifier::new(keys::keyring(key), policy).check(open(path), &asc);
        checked
            .unwrap_or_else(|error| panic!("step {step}: {path:?}: {error}"))
            .into_inner()
    };
    let system = check(&tree.join("meta/1.0/index-system"));
    assert_eq!(system, check(&tree.join("meta/1.0/index-user")));
    let line = String::from_utf8(system.to_vec()).expect("text");
    let columns: Vec<&str> = line.trim_end().split(';').collect();
    for file in ["rootfs.tar.xz", "meta.tar.xz", "SHA256SUMS"] {
        check(&tree.join(columns[5].trim_start_matches('/')).join(file));
    }
    columns[4].to_owned()
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.file_type().expect("known").is_dir() {
            fs::create_dir(&to).expect("made");
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), &to).expect("copied");
        }
    }
}

fn all_names(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        names.push(entry.file_name().to_string_lossy().into_owned());
        if entry.file_type().expect("known").is_dir() {
            names.extend(all_names(&entry.path()));
        }
    }
    names
}

const KILLED: i32 = 77;
const ROOT: &str = "IMAGESTORE_PUBLISH_CRASH_ROOT";
const STOP: &str = "IMAGESTORE_PUBLISH_CRASH_STEP";
