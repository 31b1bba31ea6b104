//! A secret as it lived: for two exports within five seconds, and dead after six.

use std::sync::Arc;

use imagestore_lxd::Secret;

use super::scene::{Call, Door, Recorded, Scene, failed, stored};
use super::{SECRET, UNIFIED};
use crate::host::{Asker, lookup};

/// A host that opens one image to those who name a secret. Of exports the heads were recorded.
pub(super) const OPENED: Recorded = Recorded {
    door: Door::Https,
    answers: &[
        (
            "GET /1.0/images/{unified}?secret={secret}",
            "https/secret_image",
        ),
        (
            "GET /1.0/images/{unified}/export?secret={secret}",
            "https/secret_export | rest/export_unified",
        ),
        (
            "GET /1.0/images/{unified}/export?secret={secret}",
            "https/secret_export_reuse | rest/export_unified",
        ),
        (
            "GET /1.0/images/{unified}/export?secret={secret}",
            "https/secret_export_reuse6 | https/untrusted_export_private",
        ),
    ],
};

/// The same, and whoever makes secrets for it. The second one is that of another host.
pub(super) const RENEWED: Recorded = Recorded {
    door: Door::Https,
    answers: &[
        ("POST /1.0/images/{unified}/secret", "rest/secret"),
        (
            "POST /1.0/images/{unified}/secret",
            "rest/secret | incus_rest/secret",
        ),
        (
            "GET /1.0/images/{unified}?secret={secret}",
            "https/secret_image",
        ),
        (
            "GET /1.0/images/{unified}/export?secret={secret}",
            "https/secret_export | rest/export_unified",
        ),
        (
            "GET /1.0/images/{unified}/export?secret={secret}",
            "https/secret_export_reuse6 | https/untrusted_export_private",
        ),
        (
            "GET /1.0/images/{unified}/export?secret={incus_secret}",
            "https/secret_export | rest/export_unified",
        ),
    ],
};

#[tokio::test]
async fn one_secret_opens_a_look_up_and_its_download_and_no_more() {
    let scene = Scene::new(&OPENED, &[]);
    let secret = Secret::new(SECRET).expect("a secret");
    let host = scene.host().with_secret(secret);
    let image = lookup(&host, UNIFIED).await.expect("an image");
    let (remote, in_time, late) = (scene.remote(), &scene.asker, Asker::new());
    let fetched = in_time.store.fetch(&in_time.context, &remote, &image);
    let fetched = fetched.await.expect("the secret lives");
    assert_eq!(stored(&fetched), "unified.tar of 556");
    let fetched = late.store.fetch(&late.context, &remote, &image);
    let error = fetched.await.expect_err("the secret has died");
    assert_eq!(
        scene.shown(&failed(&error)),
        "NotFound: no such image, or its secret is used up or older than five seconds: \
         image {unified}\n\
         not there (status 404 Not Found): HOST/1.0/images/{unified}/export?…"
    );
    scene.asked_for_all_and_nothing_else();
}

#[tokio::test]
async fn a_secret_that_has_died_is_followed_by_a_new_one() {
    let scene = Scene::new(&RENEWED, &[]);
    let host = scene.host().with_secrets(Arc::new(scene.host()));
    let fetched = scene.outcome_for(&host, Call::Fetch(UNIFIED)).await;
    assert_eq!(fetched, "unified.tar of 556");
    assert_eq!(
        scene.asked(),
        [
            "POST /1.0/images/{unified}/secret",
            "GET /1.0/images/{unified}?secret={secret}",
            "GET /1.0/images/{unified}/export?secret={secret}",
            "GET /1.0/images/{unified}/export?secret={secret}",
            "POST /1.0/images/{unified}/secret",
            "GET /1.0/images/{unified}/export?secret={incus_secret}",
        ]
    );
    scene.asked_for_all_and_nothing_else();
}
