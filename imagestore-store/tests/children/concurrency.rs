use std::sync::Arc;
use std::time::Duration;

use imagestore_core::ErrorKind;
use imagestore_store::Store;

use crate::child::{Child, Task};
use crate::remote::Fault;
use crate::scene::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_fetches_of_one_image_download_it_once() {
    let scene = Arc::new(Scene::new());
    let fetches: Vec<_> = (0..16)
        .map(|_| {
            let scene = Arc::clone(&scene);
            tokio::spawn(async move {
                // Its own opening of the store, as another process would have.
                let store = Store::open(&scene.root()).expect("the store");
                let stored = store
                    .fetch(&scene.context, &scene.config, &scene.image())
                    .await;
                bytes_of(&stored.expect("fetched"), "rootfs.tar.xz")
            })
        })
        .collect();
    for fetch in fetches {
        assert_eq!(fetch.await.expect("no panic"), scene.rootfs);
    }
    for url in [ROOTFS, ROOTFS_ASC, META, META_ASC] {
        assert_eq!(scene.remote.offsets(url), [0], "{url}");
    }
}

#[test]
fn eight_processes_that_fetch_one_image_download_it_once() {
    let child = Child::new();
    let processes: Vec<_> = (0..8).map(|_| child.start(Task::Fetch)).collect();
    for process in processes {
        let output = process.wait_with_output().expect("a child");
        assert!(output.status.success(), "{output:?}");
    }
    let mut asked = child.asked();
    asked.sort();
    assert_eq!(asked, [META, META_ASC, ROOTFS, ROOTFS_ASC]);
    assert_eq!(child.store().verify().expect("verifies").whole, 1);
}

#[tokio::test]
async fn a_fetch_that_waits_too_long_says_that_the_image_is_busy() {
    let scene = Scene::new();
    scene.remote.fail(ROOTFS, &[Fault::Hang(2_000)]);
    let image = scene.image();
    let busy = async {
        scene.events.downloaded(2_000).await;
        let store = Store::open(&scene.root())
            .expect("the store")
            .with_patience(Duration::ZERO);
        store
            .fetch(&scene.context, &scene.config, &scene.image())
            .await
    };
    let error = tokio::select! {
        result = scene.fetch(&image) => panic!("ended: {result:?}"),
        result = busy => result.expect_err("busy"),
    };
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert_eq!(
        error.to_string(),
        format!(
            "the image is busy in another process, waited 0 seconds: {}; \
             wait until that one is done, then try again",
            id()
        )
    );
    // Nothing was taken from the one that was busy.
    scene.fetch(&image).await.expect("the rest");
    assert_eq!(scene.remote.offsets(ROOTFS), [0, 2_000]);
}

#[tokio::test]
async fn fetches_of_different_images_do_not_wait_for_each_other() {
    let scene = Scene::new();
    scene.remote.fail(ROOTFS, &[Fault::Hang(2_000)]);
    let image = scene.image();
    let other = scene.rootfs_by(vec![digest(&scene.rootfs)]).map(|image| {
        let id = imagestore_core::ImageId::new(image.id.remote(), "other", image.id.build());
        imagestore_core::Image::new(id, image.downloads)
    });
    let second = async {
        scene.events.downloaded(2_000).await;
        let store = scene.store.clone().with_patience(Duration::ZERO);
        store.fetch(&scene.context, &scene.config, &other).await
    };
    tokio::select! {
        result = scene.fetch(&image) => panic!("ended: {result:?}"),
        result = second => assert_eq!(result.expect("fetched").size(), 10_500),
    }
}
