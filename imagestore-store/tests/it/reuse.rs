use std::fs;
use std::os::unix::fs::PermissionsExt;

use imagestore_core::{ErrorKind, Image};
use imagestore_verify::{Sha256, Verified};

use crate::scene::*;

#[tokio::test]
async fn downloads_nothing_the_second_time() {
    let scene = Scene::new();
    scene.fetch(&scene.image()).await.expect("fetched");
    assert_eq!(scene.remote.asked().len(), 4);
    scene.remote.forget();
    let stored = scene.fetch(&scene.image()).await.expect("reused");
    assert_eq!(scene.remote.asked(), []);
    assert_eq!(bytes_of(&stored, "rootfs.tar.xz"), scene.rootfs);
    assert_eq!(
        stored
            .artifact("rootfs.tar.xz")
            .expect("rootfs")
            .proofs()
            .len(),
        2
    );
    let told = scene.events.told();
    assert_eq!(
        told[told.len() - 4..],
        [
            "reused meta.tar.xz",
            "verified meta.tar.xz by 2 proofs",
            "reused rootfs.tar.xz",
            "verified rootfs.tar.xz by 2 proofs"
        ]
    );
}

#[tokio::test]
async fn notices_a_changed_file_and_fetches_it_again() {
    for (name, url) in [("rootfs.tar.xz", ROOTFS), ("meta.tar.xz", META)] {
        let scene = Scene::new();
        scene.fetch(&scene.image()).await.expect("fetched");
        let path = scene.published(name);
        spoil(&path, |bytes| bytes[13] ^= 1);
        scene.remote.forget();
        let stored = scene.fetch(&scene.image()).await.expect("fetched again");
        assert_eq!(bytes_of(&stored, "rootfs.tar.xz"), scene.rootfs);
        assert_eq!(scene.remote.offsets(url), [0]);
        assert_eq!(
            fs::read(scene.published("rootfs.tar.xz")).expect("published"),
            scene.rootfs
        );
        assert_eq!(
            fs::read(scene.published("meta.tar.xz")).expect("published"),
            scene.meta
        );
        let warnings = scene.events.warnings();
        assert!(warnings[0].starts_with(&format!(
            "what is kept of {} is not used: does not verify: ",
            id()
        )));
        assert_eq!(scene.store.verify().expect("verifies").whole, 1);
    }
}

#[tokio::test]
async fn counts_a_build_without_a_whole_manifest_as_absent() {
    for spoilt in [&b""[..], b"{}", b"{\"schema\":1"] {
        let scene = Scene::new();
        scene.fetch(&scene.image()).await.expect("fetched");
        spoil(&scene.published("manifest.json"), |bytes| {
            *bytes = spoilt.to_vec()
        });
        scene.remote.forget();
        scene.fetch(&scene.image()).await.expect("fetched again");
        assert_eq!(scene.remote.offsets(ROOTFS), [0]);
        assert!(scene.events.warnings()[0].contains("the manifest is damaged: "));
    }
}

#[tokio::test]
async fn does_not_use_what_a_key_signed_that_is_no_longer_believed() {
    let scene = Scene::new();
    scene.fetch(&scene.image()).await.expect("fetched");
    scene.remote.forget();
    let image = scene.image_by(&keyring(other_key()));
    let error = scene
        .fetch(&image)
        .await
        .expect_err("signed by a foreign key");
    let (kind, lines) = lines(&error);
    assert_eq!(kind, ErrorKind::Untrusted);
    assert_eq!(
        lines[1],
        format!(
            "signed by {}, which is not in the keyring",
            key().fingerprint()
        )
    );
    for (url, bytes) in [(ROOTFS, &scene.rootfs), (META, &scene.meta)] {
        scene
            .remote
            .put(&format!("{url}.asc"), sign(other_key(), bytes));
    }
    let stored = scene.fetch(&image).await.expect("signed anew");
    let proofs = stored.artifact("rootfs.tar.xz").expect("rootfs").proofs();
    assert!(proofs.iter().any(|proof| {
        proof
            .to_string()
            .contains(&other_key().fingerprint().to_string())
    }));
    scene.remote.forget();
    scene.fetch(&image).await.expect("reused");
    assert_eq!(scene.remote.asked(), []);
}

#[tokio::test]
async fn does_not_use_what_has_another_digest_by_now() {
    let mut scene = Scene::new();
    scene.fetch(&scene.image()).await.expect("fetched");
    scene.rootfs = content(b'n', 9_000);
    scene.remote.put(ROOTFS, scene.rootfs.clone());
    scene.remote.put(ROOTFS_ASC, sign(key(), &scene.rootfs));
    let stored = scene.fetch(&scene.image()).await.expect("fetched again");
    assert_eq!(bytes_of(&stored, "rootfs.tar.xz"), scene.rootfs);
    assert_eq!(stored.size(), 9_700);
}

#[tokio::test]
async fn asks_for_the_signature_of_what_was_kept_without_one() {
    let scene = Scene::new();
    scene
        .fetch(&scene.rootfs_by(vec![digest(&scene.rootfs)]))
        .await
        .expect("fetched");
    let image = scene.rootfs_by(vec![
        digest(&scene.rootfs),
        signature(&[ROOTFS_ASC], &keyring(key())),
    ]);
    scene.remote.remove(ROOTFS_ASC);
    let error = scene.fetch(&image).await.expect_err("not signed");
    assert_eq!(
        (error.kind(), error.to_string()),
        (ErrorKind::Untrusted, format!("is not signed: {ROOTFS}"))
    );
}

#[tokio::test]
async fn one_remote_does_not_answer_for_another() {
    let scene = Scene::new();
    scene.fetch(&scene.image()).await.expect("fetched");
    scene.remote.forget();
    let other = scene.image().map(|image| {
        let id = imagestore_core::ImageId::new(
            "https+lxc-images://other.example",
            image.id.path(),
            image.id.build(),
        );
        Image::new(id, image.downloads)
    });
    scene.fetch(&other).await.expect("fetched");
    assert_eq!(scene.remote.offsets(ROOTFS), [0]);
    assert_eq!(scene.store.list().expect("a list").len(), 2);
}

#[tokio::test]
async fn writes_down_what_the_index_says_by_now() {
    let scene = Scene::new();
    scene.fetch(&scene.image()).await.expect("fetched");
    let later: Verified<Image> = scene.image().map(|image| {
        image
            .with_expiry(Some(at(NOW + 9)))
            .with_property("release", "trusty")
    });
    scene.remote.forget();
    scene.fetch(&later).await.expect("reused");
    assert_eq!(scene.remote.asked(), []);
    let listed = scene.store.list().expect("a list").remove(0);
    assert_eq!(listed.expires_at, Some(at(NOW + 9)));
    assert_eq!(listed.properties["release"], "trusty");
    assert_eq!((listed.fetched_at, listed.used_at), (at(NOW), at(NOW)));
}

#[tokio::test]
async fn a_build_that_is_replaced_stays_readable_for_those_who_have_it() {
    let mut scene = Scene::new();
    let old = scene.fetch(&scene.image()).await.expect("fetched");
    let before = scene.rootfs.clone();
    scene.rootfs = content(b'n', 9_000);
    scene.remote.put(ROOTFS, scene.rootfs.clone());
    scene.remote.put(ROOTFS_ASC, sign(key(), &scene.rootfs));
    let new = scene.fetch(&scene.image()).await.expect("replaced");
    assert_eq!(
        Sha256::of(&bytes_of(&old, "rootfs.tar.xz")),
        Sha256::of(&before)
    );
    assert_eq!(bytes_of(&new, "rootfs.tar.xz"), scene.rootfs);
}

pub(crate) fn spoil(path: &std::path::Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).expect("a file of the store");
    change(&mut bytes);
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("writable");
    fs::write(path, bytes).expect("written");
}
