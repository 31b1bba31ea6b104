use std::fs;

use imagestore_core::ErrorKind;

use crate::remote::{CHUNK, Fault};
use crate::reuse::spoil;
use crate::scene::*;

#[tokio::test]
async fn asks_for_the_rest_of_a_body_that_broke() {
    let scene = Scene::new();
    scene
        .remote
        .fail(ROOTFS, &[Fault::Cut(4_000), Fault::Cut(9_000)]);
    let stored = scene
        .fetch(&scene.image())
        .await
        .expect("fetched in three parts");
    assert_eq!(bytes_of(&stored, "rootfs.tar.xz"), scene.rootfs);
    assert_eq!(scene.remote.offsets(ROOTFS), [0, 4_000, 9_000]);
    assert_eq!(scene.remote.sent(ROOTFS), 10_500);
    assert_eq!(
        scene.events.warnings()[0],
        format!("the connection broke: {ROOTFS}; asking for the rest")
    );
}

#[tokio::test]
async fn asks_for_the_rest_of_a_body_that_ended_early_without_saying_so() {
    let scene = Scene::new();
    scene.remote.fail(ROOTFS, &[Fault::End(5_000)]);
    let stored = scene
        .fetch(&scene.image())
        .await
        .expect("fetched in two parts");
    assert_eq!(bytes_of(&stored, "rootfs.tar.xz"), scene.rootfs);
    assert_eq!(scene.remote.offsets(ROOTFS), [0, 5_000]);
    assert_eq!(
        scene.events.warnings()[0],
        format!("ended after 5000 of 10500 bytes: {ROOTFS}; asking for the rest")
    );
}

#[tokio::test]
async fn gives_up_after_three_resumes_and_goes_on_with_the_next_fetch() {
    let scene = Scene::new();
    let cuts = [1_000, 2_000, 3_000, 4_000].map(Fault::Cut);
    scene.remote.fail(ROOTFS, &cuts);
    let error = scene
        .fetch(&scene.image())
        .await
        .expect_err("breaks four times");
    assert_eq!(error.kind(), ErrorKind::Network);
    assert_eq!(error.to_string(), format!("the connection broke: {ROOTFS}"));
    assert_eq!(scene.store.list().expect("a list"), []);
    scene.remote.forget();
    let stored = scene.fetch(&scene.image()).await.expect("the rest");
    assert_eq!(bytes_of(&stored, "rootfs.tar.xz"), scene.rootfs);
    assert_eq!(scene.remote.offsets(ROOTFS), [4_000]);
    assert_eq!(scene.remote.sent(ROOTFS), 6_500);
    assert!(
        scene
            .files()
            .iter()
            .all(|file| file.starts_with(scene.root().join("images")))
    );
}

#[tokio::test]
async fn a_dropped_future_keeps_what_arrived() {
    let scene = Scene::new();
    scene.remote.fail(ROOTFS, &[Fault::Hang(6_000)]);
    let image = scene.image();
    tokio::select! {
        result = scene.fetch(&image) => panic!("ended: {result:?}"),
        () = scene.events.downloaded(6_000) => {}
    }
    scene.remote.forget();
    let stored = scene.fetch(&scene.image()).await.expect("the rest");
    assert_eq!(bytes_of(&stored, "rootfs.tar.xz"), scene.rootfs);
    assert_eq!(scene.remote.offsets(ROOTFS), [6_000]);
}

#[tokio::test]
async fn does_not_ask_again_for_a_file_that_was_complete() {
    let scene = Scene::new();
    scene.remote.fail(ROOTFS, &[Fault::Hang(6_000)]);
    let image = scene.image();
    tokio::select! {
        result = scene.fetch(&image) => panic!("ended: {result:?}"),
        () = scene.events.verified("meta.tar.xz") => {}
    }
    // It may have been dropped before it asked for the other file.
    scene.remote.fail(ROOTFS, &[]);
    scene.remote.forget();
    let stored = scene.fetch(&scene.image()).await.expect("the rest");
    assert_eq!(bytes_of(&stored, "meta.tar.xz"), scene.meta);
    assert_eq!(scene.remote.offsets(META), Vec::<u64>::new());
    assert_eq!(scene.remote.offsets(META_ASC), Vec::<u64>::new());
    assert!(
        scene
            .events
            .told()
            .contains(&"reused meta.tar.xz".to_owned())
    );
}

#[tokio::test]
async fn starts_over_when_the_range_is_not_heeded() {
    let scene = broken_off().await;
    scene.remote.fail(ROOTFS, &[Fault::IgnoreRange]);
    let stored = scene.fetch(&scene.image()).await.expect("the whole");
    assert_eq!(bytes_of(&stored, "rootfs.tar.xz"), scene.rootfs);
    assert_eq!(scene.remote.offsets(ROOTFS), [5_000]);
    assert_eq!(scene.remote.sent(ROOTFS), 10_500);
}

#[tokio::test]
async fn starts_over_when_the_range_is_refused() {
    let scene = broken_off().await;
    scene.remote.fail(ROOTFS, &[Fault::RefuseRange]);
    let stored = scene.fetch(&scene.image()).await.expect("the whole");
    assert_eq!(bytes_of(&stored, "rootfs.tar.xz"), scene.rootfs);
    assert_eq!(scene.remote.offsets(ROOTFS), [5_000, 0]);
}

#[tokio::test]
async fn does_not_join_the_rest_from_another_place() {
    let scene = broken_off().await;
    scene.remote.fail(ROOTFS, &[Fault::Offset(4_000)]);
    let stored = scene.fetch(&scene.image()).await.expect("the whole");
    assert_eq!(bytes_of(&stored, "rootfs.tar.xz"), scene.rootfs);
    assert_eq!(scene.remote.offsets(ROOTFS), [5_000, 0]);
}

#[tokio::test]
async fn does_not_join_the_rest_of_another_tag() {
    let scene = broken_off().await;
    scene.remote.fail(ROOTFS, &[Fault::Retag]);
    let stored = scene.fetch(&scene.image()).await.expect("the whole");
    assert_eq!(bytes_of(&stored, "rootfs.tar.xz"), scene.rootfs);
    assert_eq!(scene.remote.offsets(ROOTFS), [5_000, 0]);
    // Not a byte of the rest was read.
    assert_eq!(scene.remote.sent(ROOTFS), 10_500);
}

#[tokio::test]
async fn does_not_join_two_issues_of_a_file() {
    let mut scene = broken_off().await;
    scene.rootfs = content(b'n', 10_500);
    scene.remote.put(ROOTFS, scene.rootfs.clone());
    scene.remote.put(ROOTFS_ASC, sign(key(), &scene.rootfs));
    let stored = scene.fetch(&scene.image()).await.expect("the new one");
    assert_eq!(bytes_of(&stored, "rootfs.tar.xz"), scene.rootfs);
    // The index gives another digest: the part is of no use, and is not asked about.
    assert_eq!(scene.remote.offsets(ROOTFS), [0]);
}

#[tokio::test]
async fn starts_over_once_when_what_was_joined_does_not_verify() {
    // The remote has no tags, so it cannot tell that the file was replaced in between.
    let scene = Scene::new();
    scene.remote.put_tagged(ROOTFS, content(b'o', 10_500), None);
    scene
        .remote
        .fail(ROOTFS, &[5_000, 5_000, 5_000, 5_000].map(Fault::Cut));
    scene.fetch(&scene.image()).await.expect_err("breaks");
    scene.remote.put_tagged(ROOTFS, scene.rootfs.clone(), None);
    scene.remote.forget();
    let stored = scene.fetch(&scene.image()).await.expect("the whole");
    assert_eq!(bytes_of(&stored, "rootfs.tar.xz"), scene.rootfs);
    assert_eq!(scene.remote.offsets(ROOTFS), [5_000, 0]);
    let warnings = scene.events.warnings();
    assert_eq!(
        warnings[3..],
        [format!("does not verify: {ROOTFS}; asking for the whole")]
    );
}

#[tokio::test]
async fn a_part_that_was_tampered_with_is_thrown_away_once() {
    let scene = broken_off().await;
    spoil(&part(&scene), |bytes| bytes[17] ^= 1);
    let stored = scene.fetch(&scene.image()).await.expect("the whole");
    assert_eq!(bytes_of(&stored, "rootfs.tar.xz"), scene.rootfs);
    assert_eq!(scene.remote.offsets(ROOTFS), [5_000, 0]);
    let scene = broken_off().await;
    scene
        .remote
        .fail(ROOTFS, &[Fault::Flip(9_000), Fault::Flip(9_000)]);
    let error = scene
        .fetch(&scene.image())
        .await
        .expect_err("the remote lies");
    assert_eq!(error.kind(), ErrorKind::Untrusted);
    assert_eq!(scene.remote.offsets(ROOTFS), [5_000, 0]);
    assert_eq!(scene.files(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn ignores_a_damaged_note_about_a_part() {
    for note in ["", "{}", "null", "\0\0\0"] {
        let scene = broken_off().await;
        spoil(&part(&scene).with_file_name("1.json"), |bytes| {
            *bytes = note.into()
        });
        scene.fetch(&scene.image()).await.expect("the whole");
        assert_eq!(scene.remote.offsets(ROOTFS), [0], "{note:?}");
    }
}

#[tokio::test]
async fn ignores_a_part_that_is_larger_than_the_file() {
    let scene = broken_off().await;
    spoil(&part(&scene), |bytes| bytes.resize(10_501, 0));
    scene.fetch(&scene.image()).await.expect("the whole");
    assert_eq!(scene.remote.offsets(ROOTFS), [0]);
}

#[tokio::test]
async fn asks_for_nothing_when_the_part_is_the_whole() {
    let scene = broken_off().await;
    let rootfs = scene.rootfs.clone();
    spoil(&part(&scene), |bytes| *bytes = rootfs);
    let stored = scene.fetch(&scene.image()).await.expect("complete");
    assert_eq!(bytes_of(&stored, "rootfs.tar.xz"), scene.rootfs);
    assert_eq!(scene.remote.offsets(ROOTFS), Vec::<u64>::new());
}

#[tokio::test]
async fn does_not_go_on_with_a_part_that_only_a_signature_could_judge() {
    for (etag, offset) in [
        (None, 0),
        (Some("W/\"weak\""), 0),
        (Some("\"strong\""), 5_000),
    ] {
        let scene = Scene::new();
        scene.remote.put_tagged(ROOTFS, scene.rootfs.clone(), etag);
        scene.remote.fail(ROOTFS, &[Fault::Cut(5_000)]);
        let image = scene.rootfs_by(vec![signature(&[ROOTFS_ASC], &keyring(key()))]);
        let stored = scene.fetch(&image).await.expect("fetched");
        assert_eq!(bytes_of(&stored, "rootfs.tar.xz"), scene.rootfs);
        assert_eq!(scene.remote.offsets(ROOTFS), [0, offset], "{etag:?}");
    }
}

#[tokio::test]
async fn keeps_the_part_while_the_remote_is_down() {
    let scene = broken_off().await;
    scene
        .remote
        .fail(ROOTFS, &[Fault::Unreachable, Fault::Unreachable]);
    let error = scene.fetch(&scene.image()).await.expect_err("down");
    assert_eq!(
        (error.kind(), error.to_string()),
        (ErrorKind::Network, format!("is not reachable: {ROOTFS}"))
    );
    assert_eq!(
        fs::read(part(&scene)).expect("the part"),
        scene.rootfs[..5_000]
    );
    scene.remote.forget();
    scene.fetch(&scene.image()).await.expect("the rest");
    assert_eq!(scene.remote.offsets(ROOTFS), [5_000]);
}

#[tokio::test]
async fn keeps_the_part_while_the_remote_does_not_give_the_rest() {
    let scene = broken_off().await;
    scene.remote.fail(ROOTFS, &[Fault::Refused]);
    let error = scene.fetch(&scene.image()).await.expect_err("not allowed");
    assert_eq!(
        (error.kind(), error.to_string()),
        (ErrorKind::Refused, format!("status 403: {ROOTFS}"))
    );
    assert_eq!(scene.remote.offsets(ROOTFS), [5_000], "asked again");
    scene.remote.forget();
    scene.fetch(&scene.image()).await.expect("the rest");
    assert_eq!(scene.remote.offsets(ROOTFS), [5_000]);
}

/// A store with the first 5,000 bytes of the root file system.
async fn broken_off() -> Scene {
    let scene = Scene::new();
    scene
        .remote
        .fail(ROOTFS, &[5_000, 5_000, 5_000, 5_000].map(Fault::Cut));
    scene.fetch(&scene.image()).await.expect_err("breaks");
    scene.remote.forget();
    assert_eq!(
        fs::read(part(&scene)).expect("the part"),
        scene.rootfs[..5_000]
    );
    assert_eq!(5_000 % CHUNK, 0);
    scene
}

fn part(scene: &Scene) -> std::path::PathBuf {
    let mut parts = scene.files();
    parts.retain(|file| file.ends_with("1.0.part"));
    assert_eq!(parts.len(), 1, "{parts:?}");
    parts.remove(0)
}
