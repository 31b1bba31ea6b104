//! What readers find of a tree whose publisher was ended at any of its steps.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use imagestore_testkit::keys;
use imagestore_verify::signing::SigningKey;
use imagestore_verify::{DetachedSignature, Policy, Unverified, Verifier};

use super::{Contents, LxcImagesPublisher, MetaSource, RootfsSource};
use crate::crash;
use crate::meta::Meta;
use crate::pack::PackOptions;

/// Runs in processes of its own: publishes, and is ended at a step.
#[test]
fn child() {
    let Some(root) = crash::doomed() else {
        return;
    };
    let key = fs::read(root.join("key")).expect("a key");
    let key = SigningKey::from_bytes(&key, None).expect("a key");
    publish(&root, &key, "20240601_00:02").expect("nothing is wrong but the end of the process");
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
    let steps = crash::killed_at_every_step(start.path(), "lxc_images::crash::child", |ended| {
        let root = ended.root();
        let step = ended.step.as_deref().unwrap_or("the end");
        let named = read(root, &key, step);
        if ended.step.is_none() {
            assert_eq!(named, "20240601_00:02", "not killed");
            return;
        }
        // The next publication goes on as if nothing had happened.
        let next = publish(root, &key, "20240601_00:03").expect("goes on after a crash");
        assert_eq!(read(root, &key, step), "20240601_00:03");
        assert!(next.skipped.is_empty(), "{step}: {:?}", next.skipped);
        assert_eq!(crash::leftover(root), None, "after the end at `{step}`");
    });
    assert!(steps.len() > 40, "only {steps:?}");
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
fn read(root: &Path, key: &SigningKey, step: &str) -> String {
    let tree = root.join("tree");
    let check = |path: &Path| {
        let open = |path: &Path| {
            let bytes =
                fs::read(path).unwrap_or_else(|error| panic!("at `{step}`: {path:?}: {error}"));
            Unverified::new(Bytes::from(bytes))
        };
        let asc = DetachedSignature::parse(&open(&crate::tree::beside(path))).expect("a signature");
        let policy = Policy::default().with_at(keys::at(keys::NOW));
        let checked = Verifier::new(keys::keyring(key), policy).check(open(path), &asc);
        checked
            .unwrap_or_else(|error| panic!("at `{step}`: {path:?}: {error}"))
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
