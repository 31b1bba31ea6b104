use imagestore_core::{ErrorKind, Image};
use imagestore_verify::{Sha256, Verified};

use crate::scene::*;

fn whole(scene: &Scene) -> Sha256 {
    Sha256::of(&[&scene.meta[..], &scene.rootfs].concat())
}

fn image(scene: &Scene, fingerprint: Sha256) -> Verified<Image> {
    scene
        .image()
        .map(|image| image.with_fingerprint(fingerprint))
}

#[tokio::test]
async fn files_that_are_right_one_by_one_must_have_the_fingerprint_together() {
    let scene = Scene::new();
    let backwards = Sha256::of(&[&scene.rootfs[..], &scene.meta].concat());
    for wrong in [backwards, Sha256::of(&scene.rootfs)] {
        let error = scene.fetch(&image(&scene, wrong)).await.expect_err("wrong");
        let (kind, lines) = lines(&error);
        assert_eq!(kind, ErrorKind::Untrusted);
        assert_eq!(
            lines,
            [format!(
                "the files together are {}, the fingerprint is {wrong}: {}",
                whole(&scene),
                id()
            )]
        );
        assert_eq!(scene.files(), Vec::<std::path::PathBuf>::new());
    }
    let stored = scene.fetch(&image(&scene, whole(&scene))).await;
    let stored = stored.expect("the right one");
    assert_eq!(stored.fingerprint(), Some(whole(&scene)));
}

#[tokio::test]
async fn what_is_here_is_not_handed_out_under_another_fingerprint() {
    let scene = Scene::new();
    scene.fetch(&scene.image()).await.expect("fetched");
    let wrong = Sha256::of(b"another image");
    let error = scene.fetch(&image(&scene, wrong)).await.expect_err("wrong");
    assert_eq!(error.kind(), ErrorKind::Untrusted);
    let stored = scene.store.get(&id()).expect("still here");
    assert_eq!(stored.fingerprint(), None);
    scene.remote.forget();
    let stored = scene.fetch(&image(&scene, whole(&scene))).await;
    assert_eq!(
        stored.expect("the right one").fingerprint(),
        Some(whole(&scene))
    );
    assert_eq!(scene.remote.asked(), []);
}
