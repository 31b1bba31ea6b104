//! What readers find of a tree whose publisher was ended at any of its steps.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use imagestore_testkit::keys;
use imagestore_verify::signing::SigningKey;
use imagestore_verify::{DetachedSignature, Policy, Sha256, Unverified, Verifier};
use serde_json::Value;

use super::{ImageContents, ImageMetadata, PublishedVersion, SimplestreamsPublisher};
use crate::crash;

/// Runs in processes of its own: publishes, and is ended at a step.
#[test]
fn child() {
    let Some(root) = crash::doomed() else {
        return;
    };
    let key = fs::read(root.join("key")).expect("a key");
    let key = SigningKey::from_bytes(&key, None).expect("a key");
    let grace = fs::read_to_string(root.join("grace")).expect("a time");
    publish(
        &root,
        &key,
        "20240601_00:02",
        grace.parse().expect("a number"),
    );
}

#[test]
fn data_are_written_before_what_lists_them_and_removed_after() {
    let (start, key) = start(0);
    let seen = crash::steps_of(|| {
        publish(start.path(), &key, "20240601_00:02", 0);
    });
    let order = [
        "write version.json",
        "rename .partial-20240601_00:02",
        "write images.json",
        "write images.json.gpg",
        "write index.json",
        "write images.sjson",
        "write index.sjson",
        "exchange v1",
        "rename 20240601_00:00",
        "remove .partial-old",
    ];
    let mut places = order.iter().map(|step| {
        let place = seen.iter().rposition(|seen| seen == step);
        place.unwrap_or_else(|| panic!("no step `{step}` in {seen:?}"))
    });
    assert!(places.by_ref().is_sorted(), "{seen:?}");
}

#[test]
fn readers_find_a_whole_tree_whenever_the_publisher_is_killed() {
    killed_at_every_step(0);
}

#[test]
fn readers_with_the_index_before_find_all_it_names_whenever_the_publisher_is_killed() {
    let steps = killed_at_every_step(86_400);
    assert!(steps.contains("write unlisted-since"), "{steps:?}");
}

/// Kills a publication at each of its steps; the names of these.
fn killed_at_every_step(grace: u64) -> BTreeSet<String> {
    let (start, key) = start(grace);
    let before = read(start.path(), &key, "before");
    let steps = crash::killed_at_every_step(start.path(), "simplestreams::crash::child", |ended| {
        let root = ended.root();
        let step = ended.step.as_deref().unwrap_or("the end");
        let named = read(root, &key, step);
        if grace > 0 {
            for (file, sha256) in &before {
                check_file(root, file, sha256, step);
            }
        }
        if ended.step.is_none() {
            assert!(named.keys().any(|file| file.contains("/20240601_00:02/")));
            return;
        }
        let next = publish(root, &key, "20240601_00:03", grace);
        assert!(next.skipped.is_empty(), "{step}: {:?}", next.skipped);
        let named = read(root, &key, step);
        assert!(named.keys().any(|file| file.contains("/20240601_00:03/")));
        assert_eq!(crash::leftover(root), None, "after the end at `{step}`");
    });
    assert!(steps.len() > 40, "only {steps:?}");
    steps
}

/// A tree of two versions, of which the first is left out by the next publication.
fn start(grace: u64) -> (tempfile::TempDir, SigningKey) {
    let key = keys::new("crash");
    let start = tempfile::tempdir().expect("a directory");
    fs::write(start.path().join("key"), key.secret()).expect("written");
    fs::write(start.path().join("grace"), grace.to_string()).expect("written");
    for build in ["20240601_00:00", "20240601_00:01"] {
        publish(start.path(), &key, build, grace);
    }
    (start, key)
}

fn publish(root: &Path, key: &SigningKey, build: &str, grace: u64) -> PublishedVersion {
    let squashfs = root.join("squashfs");
    fs::write(&squashfs, format!("hsqs, and then {build}")).expect("written");
    SimplestreamsPublisher::new(root.join("tree"))
        .with_key(key)
        .with_kept_versions(NonZeroUsize::new(2).expect("two"))
        .with_grace(Duration::from_secs(grace))
        .with_time(keys::at(keys::SIGNED))
        .publish(
            &"a/b/c/default".parse().expect("a name"),
            build.parse().expect("a build"),
            &ImageContents::new(ImageMetadata::Made).with_squashfs(squashfs),
        )
        .expect("nothing is wrong but the end of the process")
}

/// Reads a tree as readers do, by either signature, and says which files it names, with their digests.
fn read(root: &Path, key: &SigningKey, step: &str) -> BTreeMap<String, String> {
    let tree = root.join("tree");
    let open = |path: &str| {
        let bytes = fs::read(tree.join(path));
        Unverified::new(Bytes::from(bytes.unwrap_or_else(|error| {
            panic!("at `{step}`: {path}: {error}");
        })))
    };
    let policy = Policy::default().with_at(keys::at(keys::NOW));
    let verifier = Verifier::new(keys::keyring(key), policy);
    let document = |path: &str| -> Value {
        let checked = if path.ends_with(".sjson") {
            verifier.check_clear_signed(open(path))
        } else {
            let asc = DetachedSignature::parse(&open(&format!("{path}.gpg")));
            verifier.check(open(path), &asc.expect("a signature"))
        };
        let checked = checked.unwrap_or_else(|error| panic!("at `{step}`: {path}: {error}"));
        serde_json::from_slice(&checked).expect("JSON")
    };
    let named = ["json", "sjson"].map(|ending| {
        let index = document(&format!("streams/v1/index.{ending}"));
        let products = index["index"]["images"]["path"].as_str().expect("a path");
        let products = document(products);
        let versions = products["products"]["a:b:c:default"]["versions"].as_object();
        let mut files = BTreeMap::new();
        for version in versions.expect("versions").values() {
            for item in version["items"].as_object().expect("items").values() {
                let field = |name: &str| item[name].as_str().expect("text").to_owned();
                check_file(root, &field("path"), &field("sha256"), step);
                files.insert(field("path"), field("sha256"));
            }
        }
        files
    });
    let [plain, signed] = named;
    assert_eq!(plain, signed, "at `{step}`");
    plain
}

fn check_file(root: &Path, path: &str, sha256: &str, step: &str) {
    let bytes = fs::read(root.join("tree").join(path));
    let bytes = bytes.unwrap_or_else(|error| panic!("at `{step}`: {path}: {error}"));
    assert_eq!(Sha256::of(&bytes).to_string(), sha256, "at `{step}`");
}
