//! An image a host fetched itself, and one it could not.

use imagestore_lxd::{OperationClass, OperationStatus, Pull, PullProtocol, PulledImage};
use serde_json::Value;

use super::reply::read;
use super::scene::{Call, Door, Recorded, Scene};

/// What was sent.
pub(super) const REQUEST: &str = "ops/post_images_copy_request.json";

/// A LXD that was asked to fetch an image, and again and again how far it was.
pub(super) const PULLING: Recorded = Recorded {
    door: Door::Socket,
    answers: &[
        ("POST /1.0/images", "ops/post_images_copy"),
        (WAIT, "ops/op_poll_1"),
        (WAIT, "ops/op_poll_2"),
        (WAIT, "ops/op_poll_3"),
        (WAIT, "ops/op_poll_4"),
        (WAIT, "ops/op_wait"),
        (
            "GET /1.0/operations/b757fd70-2354-4583-91ea-3095e27299c7",
            "ops/op_failed",
        ),
        (
            "GET /1.0/operations/b757fd70-2354-4583-91ea-3095e27299c7/wait?timeout=1",
            "ops/op_failed",
        ),
    ],
};
const WAIT: &str = "GET /1.0/operations/04c7ad68-3423-4bae-9b33-641339797fac/wait?timeout=1";
const FAILED: &str = "b757fd70-2354-4583-91ea-3095e27299c7";

#[tokio::test]
async fn a_recorded_pull_goes_through_all_its_states() {
    let wanted: Value = serde_json::from_slice(&read(REQUEST)).expect("JSON");
    let source = &wanted["source"];
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let pull = Pull::new(
        text(&source["server"]).parse().expect("a URL"),
        PullProtocol::Lxd,
        PulledImage::Alias(text(&source["alias"])),
    )
    .with_certificate(text(&source["certificate"]))
    .with_alias(text(&wanted["aliases"][0]["name"]));

    let scene = Scene::new(&PULLING, &[]);
    let host = scene.host();
    let begun = host.start_pull(&pull).await.expect("begun");
    assert_eq!(begun.id.to_string(), "04c7ad68-3423-4bae-9b33-641339797fac");
    assert_eq!(begun.class, OperationClass::Task);
    assert_eq!(begun.status, OperationStatus::Running);
    assert!(!begun.may_cancel);
    let ended = host.follow(&begun.id).await.expect("ended");
    assert_eq!(ended.status, OperationStatus::Success);
    assert_eq!(
        ended.fingerprint.expect("a fingerprint").to_string(),
        "8720cab55f412b1a81a50f370d7fce901d1b3550b117183468604508253e9a73"
    );
    assert_eq!(ended.size, Some(268_477_260));
    assert_eq!(
        scene.asker.told.working(),
        ["Downloading image: 112.97MB (112.97MB/s)"]
    );
    let sent = &scene.server.requests()[0].body;
    assert_eq!(serde_json::from_slice::<Value>(sent).expect("JSON"), wanted);

    assert_eq!(scene.outcome(Call::Operation(FAILED)).await, "Failure");
    let failed = scene.outcome(Call::Follow(FAILED)).await;
    assert_eq!(
        failed,
        "Network: the host could not do it: \
         Downloading image (b757fd70-2354-4583-91ea-3095e27299c7)\n\
         the host says: Failed to connect to LXD server \"https://127.0.0.1:1\": \
         Get \"https://127.0.0.1:1/1.0\": Unable to connect to: 127.0.0.1:1 \
         ([dial tcp 127.0.0.1:1: connect: connection refused])"
    );
    scene.asked_for_all_and_nothing_else();
}
