use std::fs;
use std::time::Duration;

use imagestore_core::{ErrorKind, Image, ImageId};
use imagestore_store::{ProofRecord, PruneMode, PruneOptions, Pruned, StoredImage};
use imagestore_verify::{Proof, Sha256};

use crate::reuse::spoil;
use crate::scene::*;

#[tokio::test]
async fn gives_what_is_here_without_asking_its_remote() {
    let scene = Scene::new();
    let fingerprint = Sha256::of(&[&scene.meta[..], &scene.rootfs].concat());
    let image = scene.image().map(|image| {
        image
            .with_expiry(Some(at(NOW)))
            .with_fingerprint(fingerprint)
            .with_property("release", "trusty")
    });
    scene.fetch(&image).await.expect("fetched");
    scene.remote.forget();
    let stored = scene.store.get(&id()).expect("kept");
    assert_eq!(scene.remote.asked(), []);
    assert_eq!(bytes_of(&stored, "rootfs.tar.xz"), scene.rootfs);
    assert_eq!(
        stored.artifacts()[1].proofs(),
        [Proof::Digest(Sha256::of(&scene.rootfs))]
    );
    assert_eq!(
        (stored.expires_at(), stored.fingerprint()),
        (Some(at(NOW)), Some(fingerprint))
    );
    assert_eq!(stored.properties()["release"], "trusty");
}

#[tokio::test]
async fn writes_down_why_it_was_believed() {
    let scene = Scene::new();
    let image = scene.image();
    let fetched = scene.fetch(&image).await.expect("fetched");
    let lines = |records: &[ProofRecord]| -> Vec<String> {
        records.iter().map(ToString::to_string).collect()
    };
    let proofs = |image: &StoredImage, at: usize| -> Vec<String> {
        let proofs = image.artifacts()[at].proofs().iter();
        proofs.map(ToString::to_string).collect()
    };
    let kept = scene.store.get(&id()).expect("kept");
    for (at, artifact) in kept.artifacts().iter().enumerate() {
        let noted = lines(artifact.fetch_proofs());
        assert_eq!(noted, proofs(&fetched, at));
        assert!(
            noted.iter().any(|line| line.starts_with("signed by ")),
            "{noted:?}"
        );
    }
    let index: Vec<_> = image.proofs().iter().map(ToString::to_string).collect();
    assert_eq!(lines(kept.index_proofs()), index);
    assert!(!index.is_empty());
}

#[tokio::test]
async fn gives_nothing_that_is_not_here_or_not_whole() {
    let scene = Scene::new();
    let error = scene.store.get(&id()).expect_err("absent");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(
        error.to_string(),
        format!("the image is not in the store: {}; fetch it", id())
    );
    scene.fetch(&scene.image()).await.expect("fetched");
    spoil(&scene.published("meta.tar.xz"), |bytes| bytes[0] ^= 1);
    let error = scene.store.get(&id()).expect_err("changed");
    let place = scene.published("meta.tar.xz");
    let place = place.canonicalize().expect("a path");
    assert_eq!(
        (error.kind(), error.to_string()),
        (
            ErrorKind::Untrusted,
            format!("does not verify: {}", place.display())
        )
    );
    spoil(&scene.published("meta.tar.xz"), |bytes| bytes.truncate(3));
    let error = scene.store.get(&id()).expect_err("cut");
    let message = format!("has 3 bytes, the manifest says 700: {}", place.display());
    assert_eq!(
        (error.kind(), error.to_string()),
        (ErrorKind::Storage, message)
    );
}

#[tokio::test]
async fn verify_names_what_is_damaged_and_why() {
    let scene = Scene::new();
    drop(builds(&scene, &["1", "2", "3"]).await);
    let report = scene.store.verify().expect("verifies");
    assert_eq!(
        (report.whole, report.bytes, report.damaged.len()),
        (3, 33_600, 0)
    );
    let damaged = scene
        .store
        .get(&build("2"))
        .expect("kept")
        .path()
        .to_owned();
    spoil(&damaged.join("files/rootfs.tar.xz"), |bytes| {
        bytes[10_499] ^= 1
    });
    let report = scene.store.verify().expect("verifies");
    assert_eq!((report.whole, report.damaged.len()), (2, 1));
    assert_eq!(report.damaged[0].id, Some(build("2")));
    assert_eq!(
        damaged.file_name().and_then(|name| name.to_str()),
        Some(report.damaged[0].key.as_str())
    );
    let message = format!(
        "does not verify: {}",
        damaged.join("files/rootfs.tar.xz").display()
    );
    assert_eq!(report.damaged[0].error.to_string(), message);
}

#[tokio::test]
async fn prune_leaves_what_is_in_use() {
    let scene = Scene::new();
    let mut stored = builds(&scene, &["1", "2", "3"]).await;
    let used = stored.remove(1);
    drop(stored);
    let pruned = scene.store.prune(&all()).expect("pruned");
    assert_eq!(
        (removed(&pruned), in_use(&pruned)),
        (vec!["1", "3"], vec!["2"])
    );
    assert_eq!(pruned.size(), 22_400);
    assert_eq!(bytes_of(&used, "rootfs.tar.xz"), scene.rootfs);
    assert_eq!(scene.store.list().expect("a list").len(), 1);
    drop(used);
    assert_eq!(removed(&scene.store.prune(&all()).expect("pruned")), ["2"]);
    assert_eq!(scene.files(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn prune_keeps_what_was_used_lately_and_the_newest_builds() {
    let scene = Scene::new();
    drop(builds(&scene, &["1", "2", "3"]).await);
    let options = PruneOptions::default().with_at(at(NOW + 10 * 86_400 - 1));
    assert_eq!(
        removed(&scene.store.prune(&options).expect("pruned")),
        Vec::<&str>::new()
    );
    let options = all().with_keep_builds(2).with_mode(PruneMode::DryRun);
    assert_eq!(removed(&scene.store.prune(&options).expect("told")), ["1"]);
    assert_eq!(scene.store.list().expect("a list").len(), 3);
    let options = options.with_mode(PruneMode::Remove);
    assert_eq!(
        removed(&scene.store.prune(&options).expect("pruned")),
        ["1"]
    );
    let left: Vec<_> = scene
        .store
        .list()
        .expect("a list")
        .into_iter()
        .map(|build| build.id)
        .collect();
    assert_eq!(left, [build("2"), build("3")]);
}

#[tokio::test]
async fn prune_removes_what_is_damaged() {
    let scene = Scene::new();
    drop(builds(&scene, &["1"]).await);
    fs::remove_file(scene.published("manifest.json")).expect("removed");
    assert_eq!(scene.store.list().expect("a list"), []);
    let pruned = scene
        .store
        .prune(&PruneOptions::default().with_at(at(NOW)))
        .expect("pruned");
    assert_eq!(pruned.damaged, 1);
    assert_eq!(scene.files(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn removes_a_build_that_nobody_uses() {
    let scene = Scene::new();
    let stored = scene.fetch(&scene.image()).await.expect("fetched");
    let error = scene.store.remove(&id()).expect_err("in use");
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert_eq!(
        error.to_string(),
        format!(
            "the image is in use: {}; remove it when nobody uses it",
            id()
        )
    );
    drop(stored);
    scene.store.remove(&id()).expect("removed");
    assert_eq!(scene.files(), Vec::<std::path::PathBuf>::new());
    let error = scene.store.remove(&id()).expect_err("gone");
    assert_eq!(
        (error.kind(), error.to_string()),
        (
            ErrorKind::NotFound,
            format!("the image is not in the store: {}", id())
        )
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_lose_nothing_while_others_prune() {
    let scene = std::sync::Arc::new(Scene::new());
    let tasks: Vec<_> = (0..8)
        .map(|number| {
            let scene = std::sync::Arc::clone(&scene);
            tokio::spawn(async move {
                for _ in 0..6 {
                    if number % 4 == 0 {
                        let pruned = scene.store.prune(&all().with_unused_for(Duration::ZERO));
                        pruned.expect("pruned");
                    } else {
                        let stored = scene.fetch(&scene.image()).await.expect("fetched");
                        assert_eq!(bytes_of(&stored, "rootfs.tar.xz"), scene.rootfs);
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    assert!(scene.store.verify().expect("verifies").damaged.is_empty());
}

fn all() -> PruneOptions {
    PruneOptions::default().with_at(at(NOW + 11 * 86_400))
}

fn removed(pruned: &Pruned) -> Vec<&str> {
    pruned
        .removed
        .iter()
        .map(|build| build.id.build())
        .collect()
}

fn in_use(pruned: &Pruned) -> Vec<&str> {
    pruned.in_use.iter().map(|build| build.id.build()).collect()
}

fn build(name: &str) -> ImageId {
    ImageId::new(id().remote(), id().path(), name)
}

async fn builds(scene: &Scene, names: &[&str]) -> Vec<StoredImage> {
    let mut stored = Vec::new();
    for name in names {
        let image = scene
            .image()
            .map(|image| Image::new(build(name), image.downloads));
        stored.push(scene.fetch(&image).await.expect("fetched"));
    }
    stored
}
