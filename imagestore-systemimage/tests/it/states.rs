//! The state machine of the keyrings: what is asked for again, and what ends a run.

use imagestore_core::ErrorKind;
use imagestore_testkit::MemoryFault;

use crate::world::{NOW, World, chain, keyring_of, secret, url};

const MASTER: &str = "/gpg/image-master.tar.xz";
const SIGNING: &str = "/gpg/image-signing.tar.xz";
const BLACKLIST: &str = "/gpg/blacklist.tar.xz";
const CHANNELS: &str = "/channels.json";
const INDEX: &str = "/stable/golden1/index.json";

async fn refused(world: &World) -> (ErrorKind, String) {
    let error = world
        .lookup("stable/golden1")
        .await
        .expect_err("it must be refused");
    (error.kind(), chain(&error))
}

fn sign_anew(world: &World, path: &str, key: &str, at: u64) {
    let bytes = world.transport.file(&url(path)).expect("there");
    world.put(path, &bytes, &secret(key), at);
}

#[tokio::test]
async fn keyrings_are_kept_and_the_rest_is_asked_for_on_every_run() {
    let world = World::golden();
    world.lookup("stable/golden1").await.expect("found");
    world.transport.forget_requests();
    world.lookup("stable/golden1").await.expect("found");
    let asked = |path: &str| world.transport.count(&url(path));
    assert_eq!((asked(MASTER), asked(SIGNING)), (0, 0));
    assert_eq!((asked(BLACKLIST), asked(CHANNELS), asked(INDEX)), (1, 1, 1));
    assert_eq!(asked("/stable/golden1/device-signing.tar.xz"), 1);
    assert_eq!(asked("/gpg/archive-master.tar.xz"), 0, "never downloaded");
}

#[tokio::test]
async fn a_new_image_signing_is_asked_for_once_when_the_channels_do_not_verify() {
    let world = World::golden();
    world
        .lookup("stable/golden1")
        .await
        .expect("the old keys are kept");
    let both = keyring_of("image-signing", "", &["image-signing-2", "image-signing"]);
    world.put(SIGNING, &both, &secret("image-master"), NOW - 9);
    sign_anew(&world, CHANNELS, "image-signing-2", NOW - 8);
    sign_anew(
        &world,
        "/stable/golden1/device-signing.tar.xz",
        "image-signing-2",
        NOW - 8,
    );
    world.transport.forget_requests();
    world
        .lookup("stable/golden1")
        .await
        .expect("with the new keys");
    assert_eq!(world.transport.count(&url(SIGNING)), 1);

    // The next is no better: one attempt, and the kept keyring stays.
    sign_anew(&world, CHANNELS, "spare", NOW - 7);
    world.transport.forget_requests();
    let (kind, _) = refused(&world).await;
    assert_eq!(kind, ErrorKind::Untrusted);
    assert_eq!(world.transport.count(&url(SIGNING)), 1);
    sign_anew(&world, CHANNELS, "image-signing-2", NOW - 6);
    world.lookup("stable/golden1").await.expect("still kept");
}

#[tokio::test]
async fn a_refreshed_image_signing_that_is_bad_is_fatal_and_changes_nothing() {
    let world = World::golden();
    world.lookup("stable/golden1").await.expect("kept");
    let other = keyring_of("image-signing", "", &["spare"]);
    world.put(SIGNING, &other, &secret("spare"), NOW - 9);
    sign_anew(&world, CHANNELS, "spare", NOW - 8);
    let (kind, text) = refused(&world).await;
    assert_eq!(kind, ErrorKind::Untrusted);
    assert!(text.contains(SIGNING), "{text}");
    sign_anew(&world, CHANNELS, "image-signing", NOW - 7);
    world
        .lookup("stable/golden1")
        .await
        .expect("the kept keyring is as it was");
}

#[tokio::test]
async fn an_index_that_does_not_verify_asks_for_image_signing_once_more() {
    let world = World::golden();
    world.lookup("stable/golden1").await.expect("kept");
    let both = keyring_of("image-signing", "", &["image-signing-2", "image-signing"]);
    world.put(SIGNING, &both, &secret("image-master"), NOW - 9);
    sign_anew(&world, INDEX, "image-signing-2", NOW - 8);
    world
        .lookup("stable/golden1")
        .await
        .expect("with the new keys");
}

#[tokio::test]
async fn a_bad_blacklist_asks_for_image_master_once_more() {
    let world = World::golden();
    world
        .lookup("stable/golden1")
        .await
        .expect("the old image-master is kept");
    // image-signing-2 plays a new image-master.
    let master = keyring_of("image-master", "", &["image-signing-2", "image-master"]);
    world.put(MASTER, &master, &secret("archive-master"), NOW - 9);
    sign_anew(&world, BLACKLIST, "image-signing-2", NOW - 8);
    world
        .lookup("stable/golden1")
        .await
        .expect("with the new image-master");
    sign_anew(&world, BLACKLIST, "spare", NOW - 7);
    let (kind, text) = refused(&world).await;
    assert_eq!(kind, ErrorKind::Untrusted);
    assert!(text.contains(BLACKLIST), "{text}");
}

#[tokio::test]
async fn an_unusable_blacklist_is_fatal() {
    let world = World::golden();
    let other = keyring_of("image-signing", "", &["spare"]);
    world.put(BLACKLIST, &other, &secret("image-master"), NOW - 9);
    let (kind, text) = refused(&world).await;
    assert_eq!(kind, ErrorKind::Malformed);
    assert!(
        text.contains("keyring type mismatch; wanted: blacklist, got: image-signing"),
        "{text}"
    );
    let expired = keyring_of("blacklist", "    \"expiry\": 1556323200,\n", &["spare"]);
    world.put(BLACKLIST, &expired, &secret("image-master"), NOW - 8);
    let (kind, _) = refused(&world).await;
    assert_eq!(kind, ErrorKind::Expired);
    let empty = keyring_of("blacklist", "", &[]);
    world.put(BLACKLIST, &empty, &secret("image-master"), NOW - 7);
    world
        .lookup("stable/golden1")
        .await
        .expect("an empty one is fine");
    world.transport.fail(&url(BLACKLIST), MemoryFault::NotFound);
    World::golden();
    world
        .lookup("stable/golden1")
        .await
        .expect("none at all is fine too");
}

#[tokio::test]
async fn a_blacklisted_image_master_brings_everything_below_it_down() {
    let world = World::golden();
    let listed = keyring_of("blacklist", "", &["image-master"]);
    world.put(BLACKLIST, &listed, &secret("image-master"), NOW - 9);
    let (kind, text) = refused(&world).await;
    assert_eq!(kind, ErrorKind::Untrusted);
    assert!(
        text.starts_with(
            "every key of image-master is blacklisted, so nothing below it is trusted"
        ),
        "{text}"
    );
}

#[tokio::test]
async fn a_blacklisted_device_key_signs_nothing() {
    let world = World::golden();
    let listed = keyring_of("blacklist", "", &["device-signing"]);
    world.put(BLACKLIST, &listed, &secret("image-master"), NOW - 9);
    let (kind, text) = refused(&world).await;
    assert_eq!(kind, ErrorKind::Untrusted);
    assert!(text.contains("which is blacklisted"), "{text}");
}

#[tokio::test]
async fn higher_keys_do_not_stand_in_for_lower_ones() {
    for (path, key) in [
        (CHANNELS, "image-master"),
        (CHANNELS, "device-signing"),
        (INDEX, "image-master"),
        (INDEX, "spare"),
        (SIGNING, "archive-master"),
        (SIGNING, "image-signing"),
        (MASTER, "image-master"),
        ("/stable/golden1/device-signing.tar.xz", "image-master"),
    ] {
        let world = World::golden();
        sign_anew(&world, path, key, NOW - 5);
        let (kind, text) = refused(&world).await;
        assert_eq!(kind, ErrorKind::Untrusted, "{path} by {key}: {text}");
    }
    // Either of the two may sign the index.
    let world = World::golden();
    sign_anew(&world, INDEX, "image-signing", NOW - 5);
    world
        .lookup("stable/golden1")
        .await
        .expect("by image-signing");
}

#[tokio::test]
async fn a_device_keyring_is_of_its_device_and_time() {
    let place = "/stable/golden1/device-signing.tar.xz";
    for (more, kind) in [
        ("    \"model\": \"golden2\",\n", ErrorKind::Untrusted),
        (
            "    \"expiry\": 1556323200,\n    \"model\": \"golden1\",\n",
            ErrorKind::Expired,
        ),
    ] {
        let world = World::golden();
        let keyring = keyring_of("device-signing", more, &["device-signing"]);
        world.put(place, &keyring, &secret("image-signing"), NOW - 5);
        let (found, text) = refused(&world).await;
        assert_eq!(found, kind, "{text}");
    }
    let world = World::golden();
    world.transport.remove(&url(place));
    let (kind, _) = refused(&world).await;
    assert_eq!(kind, ErrorKind::NotFound, "named and not there is fatal");
}

#[tokio::test]
async fn expiry_is_exact() {
    let world = World::golden();
    let at = |expiry: u64| {
        let more = format!("    \"expiry\": {expiry},\n");
        keyring_of("image-signing", &more, &["image-signing"])
    };
    world.put(SIGNING, &at(NOW), &secret("image-master"), NOW - 9);
    world
        .lookup("stable/golden1")
        .await
        .expect("until this second");
    world.transport.forget_requests();
    world
        .lookup("stable/golden1")
        .await
        .expect("fetched once more");
    assert_eq!(
        world.transport.count(&url(SIGNING)),
        1,
        "not used again in its last second"
    );
    world.put(SIGNING, &at(NOW - 1), &secret("image-master"), NOW - 8);
    assert_eq!(refused(&world).await.0, ErrorKind::Expired);
}

#[tokio::test]
async fn what_is_missing_has_three_names() {
    let world = World::golden();
    for (path, message) in [
        (
            "nope/golden1",
            "no such channel: `nope/golden1`; list the remote to see its channels",
        ),
        (
            "stable/other",
            "no such device in channel `stable`: `other`; it has golden1",
        ),
    ] {
        let error = world.lookup(path).await.expect_err(path);
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (ErrorKind::NotFound, message)
        );
    }
    let nothing = "nothing is published for device `golden1` in channel `stable`: \
                   https+system-image://images.example";
    world.transport.remove(&url(INDEX));
    let (kind, text) = refused(&world).await;
    assert_eq!((kind, text.as_str()), (ErrorKind::NotFound, nothing));
    let empty = br#"{"global": {"generated_at": "Mon Nov 23 12:00:00 UTC 2026"}, "images": []}"#;
    world.put(INDEX, empty, &secret("image-signing"), NOW - 5);
    let (kind, text) = refused(&world).await;
    assert_eq!((kind, text.as_str()), (ErrorKind::NotFound, nothing));
}

#[tokio::test]
async fn a_delta_that_is_gone_or_badly_signed_is_planned_around() {
    let delta = "/pool/rootfs-88ad853f87fb5a8430a55d4e0db19397267e16e617bcd79b56afc9b38a5fdaeb.delta-\
                 rootfs-7646397d28dd58ba09fe6af201fba5a0b7cb9604deced1f19fa9e2fc6f474782.tar.xz";
    for badly_signed in [false, true] {
        let world = World::golden();
        if badly_signed {
            sign_anew(&world, delta, "spare", NOW - 5);
        } else {
            world.transport.remove(&url(&format!("{delta}.asc")));
        }
        let image = world
            .lookup("stable/golden1/1..")
            .await
            .expect("the full image is left");
        assert_eq!(image.id.build(), "2");
        assert_eq!(image.properties.get("base"), None);
        let said = world.warnings.all();
        assert!(
            said.iter()
                .any(|text| text.starts_with("D2<1 cannot be used")),
            "{said:?}"
        );
    }
    // What only shows during the download comes from outside.
    let world = World::golden();
    let image = world.lookup("stable/golden1/1..").await.expect("a delta");
    let name = delta.rsplit('/').next().expect("a name");
    assert!(world.protocol.avoid(&image.id, name));
    let again = world
        .lookup("stable/golden1/1..")
        .await
        .expect("the full image");
    assert_eq!(again.id.build(), "2");
    assert!(
        !world.protocol.avoid(&again.id, "version-2.tar.xz"),
        "a full image is the last resort"
    );
}
