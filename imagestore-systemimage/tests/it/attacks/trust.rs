//! A1 to A10: what is believed.

use std::sync::Arc;

use imagestore_core::{Check, ErrorKind};
use imagestore_systemimage::{Expected, LayerFile, SystemImageProtocol, TrustInMemory, install};
use imagestore_testkit::MemoryFault;
use imagestore_unpack::LayerApplier;

use crate::shared::{data, read};
use crate::world::{NOW, World, digested, keyring_of, keyring_tarball, secret, url};

use super::{CHANNELS, INDEX, VERSION, refused};

#[tokio::test]
async fn a1_signature_is_stripped() {
    for path in [
        CHANNELS,
        INDEX,
        VERSION,
        "/gpg/image-master.tar.xz",
        "/gpg/blacklist.tar.xz",
    ] {
        let world = World::golden();
        let asc = url(&format!("{path}.asc"));
        world.transport.remove(&asc);
        let (kind, text) = refused(&world, "stable/golden1").await;
        assert_eq!(kind, ErrorKind::Untrusted, "{path}: {text}");
        assert!(
            text.starts_with(&format!("is not signed: {}", url(path))),
            "{text}"
        );
        let key = secret("image-signing").certificate();
        for other in [Vec::new(), key.into_bytes(), b"<html>".to_vec()] {
            world.transport.put(&asc, other);
            let (kind, text) = refused(&world, "stable/golden1").await;
            assert_eq!(kind, ErrorKind::Untrusted, "{path}: {text}");
        }
    }
}

#[tokio::test]
async fn a2_signed_message_passes_for_a_signature() {
    let world = World::golden();
    let asc = read(&data("cases/sig-inline-opaque/channels.json.asc"));
    world.transport.put(&url(&format!("{VERSION}.asc")), asc);
    let (kind, text) = refused(&world, "stable/golden1").await;
    assert_eq!(kind, ErrorKind::Untrusted, "{text}");
    assert!(text.contains(&url(&format!("{VERSION}.asc"))), "{text}");
}

#[tokio::test]
async fn a3_weak_digest_is_refused() {
    let world = World::golden();
    let folder = data("cases/sig-sha1");
    world
        .transport
        .put(&url(CHANNELS), read(&folder.join("channels.json")));
    let asc = read(&folder.join("channels.json.asc"));
    world.transport.put(&url("/channels.json.asc"), asc);
    let (kind, text) = refused(&world, "stable/golden1").await;
    assert_eq!(kind, ErrorKind::Untrusted);
    assert!(text.contains("SHA1"), "{text}");
}

#[tokio::test]
async fn a4_older_keyring_is_served_again() {
    let mut world = World::golden();
    let old = |name: &str| world.transport.file(&url(name)).expect("there");
    let (tarball, asc) = (
        old("/gpg/image-signing.tar.xz"),
        old("/gpg/image-signing.tar.xz.asc"),
    );
    let both = keyring_of("image-signing", "", &["image-signing-2", "image-signing"]);
    world.put(
        "/gpg/image-signing.tar.xz",
        &both,
        &secret("image-master"),
        NOW - 5,
    );
    world.lookup("stable/golden1").await.expect("the newer one");

    // A keyring that works is not replaced, so the older one is not even looked at.
    world
        .transport
        .put(&url("/gpg/image-signing.tar.xz"), tarball);
    world
        .transport
        .put(&url("/gpg/image-signing.tar.xz.asc"), asc);
    world.transport.forget_requests();
    world.lookup("stable/golden1").await.expect("the kept one");
    assert_eq!(world.transport.count(&url("/gpg/image-signing.tar.xz")), 0);

    // Where it is needed, it is refused.
    world.trust = Arc::new(TrustInMemory::default());
    world.protocol = SystemImageProtocol::new().with_trust_memory(world.trust.clone());
    let (kind, text) = refused(&world, "stable/golden1").await;
    assert_eq!(kind, ErrorKind::RolledBack, "{text}");
}

#[tokio::test]
async fn a5_blacklist_is_withheld() {
    let world = World::golden();
    world
        .transport
        .fail(&url("/gpg/blacklist.tar.xz"), MemoryFault::Unreachable);
    let (kind, _) = refused(&world, "stable/golden1").await;
    assert_eq!(kind, ErrorKind::Network, "could not ask is not none");
    world.transport.heal(&url("/gpg/blacklist.tar.xz"));

    let old = |name: &str| world.transport.file(&url(name)).expect("there");
    let (tarball, asc) = (
        old("/gpg/blacklist.tar.xz"),
        old("/gpg/blacklist.tar.xz.asc"),
    );
    world
        .lookup("stable/golden1")
        .await
        .expect("the spare key is on the list");
    let listed = keyring_of("blacklist", "", &["image-signing"]);
    world.put(
        "/gpg/blacklist.tar.xz",
        &listed,
        &secret("image-master"),
        NOW - 5,
    );
    let (kind, text) = refused(&world, "stable/golden1").await;
    assert_eq!(kind, ErrorKind::Untrusted);
    assert!(text.contains("which is blacklisted"), "{text}");

    world.transport.remove(&url("/gpg/blacklist.tar.xz"));
    let (kind, text) = refused(&world, "stable/golden1").await;
    assert_eq!(kind, ErrorKind::Untrusted, "what was listed stays so");
    assert!(text.contains("which is blacklisted"), "{text}");
    let said = world.warnings.all();
    assert!(
        said.iter()
            .any(|text| text.starts_with("the server has no blacklist any more; the 2 keys")),
        "{said:?}"
    );

    world.transport.put(&url("/gpg/blacklist.tar.xz"), tarball);
    world.transport.put(&url("/gpg/blacklist.tar.xz.asc"), asc);
    let (kind, _) = refused(&world, "stable/golden1").await;
    assert_eq!(kind, ErrorKind::RolledBack, "an older list");
}

#[tokio::test]
async fn a6_index_is_replayed() {
    let world = World::golden();
    let old = |name: &str| world.transport.file(&url(name)).expect("there");
    let (index, asc) = (old(INDEX), old(&format!("{INDEX}.asc")));
    world.edit(INDEX, "12:00:00", "12:30:00", "device-signing", NOW - 5);
    world.lookup("stable/golden1").await.expect("the newer one");
    world.transport.put(&url(INDEX), index);
    world.transport.put(&url(&format!("{INDEX}.asc")), asc);
    let (kind, text) = refused(&world, "stable/golden1").await;
    assert_eq!(kind, ErrorKind::RolledBack, "{text}");

    // Signed anew, but of an earlier time, or without the newest version.
    let world = World::golden();
    world.lookup("stable/golden1").await.expect("the first");
    world.edit(INDEX, "12:00:00", "11:00:00", "device-signing", NOW - 5);
    let (kind, text) = refused(&world, "stable/golden1").await;
    assert_eq!(kind, ErrorKind::RolledBack);
    assert!(text.contains("generated_at"), "{text}");
    world.edit(INDEX, "11:00:00", "13:00:00", "device-signing", NOW - 4);
    world.edit(
        INDEX,
        "\"version\": 2,",
        "\"version\": 0,",
        "device-signing",
        NOW - 3,
    );
    let (kind, text) = refused(&world, "stable/golden1").await;
    assert_eq!(kind, ErrorKind::RolledBack, "{text}");
    assert!(text.contains("version 1, seen before 2"), "{text}");
}

/// Fast-forward: a number nobody reaches would make every honest one look old.
#[tokio::test]
async fn a_version_that_leaps_is_not_remembered() {
    let world = World::golden();
    world.lookup("stable/golden1").await.expect("the first");
    let version = |old: u32, new: u32, at| {
        let (old, new) = (
            format!("\"version\": {old},"),
            format!("\"version\": {new},"),
        );
        world.edit(INDEX, &old, &new, "device-signing", at);
    };
    for end in ["", ".asc"] {
        let file = world.transport.file(&url(&format!("{VERSION}{end}")));
        let leapt = VERSION.replace('2', "10003") + end;
        world.transport.put(&url(&leapt), file.expect("there"));
    }
    let (two, leapt) = ("version-2.tar", "version-10003.tar");
    world.edit(INDEX, two, leapt, "device-signing", NOW - 7);
    version(2, 10_003, NOW - 5);
    let (kind, text) = refused(&world, "stable/golden1").await;
    assert_eq!(kind, ErrorKind::Malformed, "{text}");
    assert!(
        text.contains("more than 10000 at once (version 10003, seen before 2)"),
        "{text}"
    );
    version(10_003, 2, NOW - 4);
    world.edit(INDEX, leapt, two, "device-signing", NOW - 3);
    world
        .lookup("stable/golden1")
        .await
        .expect("the honest one");
}

#[tokio::test]
async fn a7_index_of_another_device_is_served() {
    let world = World::golden();
    let other = "/stable/golden2/index.json";
    world.edit(
        CHANNELS,
        "\"empty\": {\n        \"devices\": {}",
        "\"empty\": {\n        \"devices\": {\"golden2\": {\"index\": \"/stable/golden2/index.json\"}}",
        "image-signing",
        NOW - 5,
    );
    let index = world.transport.file(&url(INDEX)).expect("there");
    world.put(other, &index, &secret("image-signing"), NOW - 5);
    let (kind, text) = refused(&world, "empty/golden2").await;
    assert_eq!(kind, ErrorKind::Untrusted);
    assert!(
        text.contains("F2 has no `/stable/golden2/version-2.tar.xz`"),
        "{text}"
    );

    // Files of another device, channel or build under the right names.
    let own = data("golden/server/stable/golden1/version-2.tar.xz");
    let image = world.lookup("stable/golden1").await.expect("found");
    let right = Expected::from_properties(&image.properties)
        .expect("whole")
        .expect("there");
    let folder = tempfile::tempdir().expect("a directory");
    for (channel, device, version, message) in [
        (
            "stable",
            "golden2",
            2,
            "is of device `golden1`, not `golden2`: version-2.tar.xz",
        ),
        (
            "devel",
            "golden1",
            2,
            "is of channel `stable`, not `devel`: version-2.tar.xz",
        ),
        (
            "stable",
            "golden1",
            3,
            "is of build 2, not 3: version-2.tar.xz",
        ),
    ] {
        let mut expected = right.clone();
        expected.channels = vec![channel.to_owned()];
        expected.device = device.to_owned();
        expected.version = version;
        let layer = LayerFile {
            name: "version-2.tar.xz".to_owned(),
            archive: digested(&read(&own)),
        };
        let directory = std::fs::File::open(folder.path()).expect("a directory");
        let error = install(&[layer], &expected, &directory, &LayerApplier::new())
            .expect_err("another one");
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (ErrorKind::Untrusted, message)
        );
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("there").count(), 0);
}

#[tokio::test]
async fn a8_checksum_alone_is_not_enough() {
    let world = World::golden();
    let image = world.lookup("stable/golden1").await.expect("found");
    for download in &image.downloads {
        let digests = download
            .checks
            .iter()
            .filter(|it| matches!(it, Check::Digest(_)));
        let signatures = download
            .checks
            .iter()
            .filter(|it| matches!(it, Check::Signature { .. }));
        assert_eq!((digests.count(), signatures.count()), (1, 1));
    }
    let bytes = world.transport.file(&url(VERSION)).expect("there");
    world.put(VERSION, &bytes, &secret("spare"), NOW - 5);
    let (kind, text) = refused(&world, "stable/golden1").await;
    assert_eq!(kind, ErrorKind::Untrusted, "the checksum is right: {text}");
}

#[tokio::test]
async fn a9_answer_never_ends() {
    for (path, bytes, limit) in [
        (CHANNELS, 9 << 20, "8388608"),
        ("/channels.json.asc", 65 << 10, "65536"),
        ("/gpg/image-master.tar.xz", 2 << 20, "1048576"),
        (INDEX, 33 << 20, "33554432"),
    ] {
        let world = World::golden();
        world.transport.fail(&url(path), MemoryFault::Grow(bytes));
        let (kind, text) = refused(&world, "stable/golden1").await;
        assert_eq!(kind, ErrorKind::TooLarge, "{path}: {text}");
        assert!(
            text.contains(&format!("at most {limit} bytes are allowed")),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a10_keyring_unpacks_without_end() {
    let world = World::golden();
    let bomb = keyring_tarball("{\"type\": \"image-signing\"}", &vec![0; 9 << 20]);
    assert!(bomb.len() < 100 << 10);
    // Unsigned, it is not even opened.
    world.put(
        "/gpg/image-signing.tar.xz",
        &bomb,
        &secret("spare"),
        NOW - 5,
    );
    let (kind, text) = refused(&world, "stable/golden1").await;
    assert_eq!(kind, ErrorKind::Untrusted, "{text}");
    world.put(
        "/gpg/image-signing.tar.xz",
        &bomb,
        &secret("image-master"),
        NOW - 4,
    );
    let (kind, text) = refused(&world, "stable/golden1").await;
    assert_eq!(kind, ErrorKind::TooLarge, "{text}");
}
