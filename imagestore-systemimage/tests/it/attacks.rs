//! One test for each attack on the protocol, by its number.

use std::sync::Arc;

use imagestore_core::{Check, ErrorKind, Trust};
use imagestore_systemimage::{
    Expected, Index, LayerFile, Plan, Request, SystemImageProtocol, TrustInMemory, install,
};
use imagestore_testkit::MemoryFault;
use imagestore_unpack::{Layer, LayerApplier, UnpackErrorKind, UnpackLimits};
use imagestore_verify::Proof;

use crate::shared::{data, read};
use crate::world::{
    NOW, World, chain, digested, keyring_of, keyring_tarball, secret, tarball, url,
};

const CHANNELS: &str = "/channels.json";
const INDEX: &str = "/stable/golden1/index.json";
const VERSION: &str = "/stable/golden1/version-2.tar.xz";

async fn refused(world: &World, path: &str) -> (ErrorKind, String) {
    let error = world.lookup(path).await.expect_err("it must be refused");
    (error.kind(), chain(&error))
}

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
        (INDEX, 33 << 20, "16777216"),
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

#[test]
fn a11_archive_leaves_its_place() {
    for (name, message) in [
        (
            "etc/passwd",
            "a layer holds system, partitions and data, and nothing beside them",
        ),
        ("system/../../data/x", "the name leaves the target"),
        ("/system/x", "the name is absolute"),
        (
            "ubuntu_command",
            "a layer holds system, partitions and data, and nothing beside them",
        ),
        ("system", "a root of a layer must be a directory"),
    ] {
        let archive = digested(&tarball(&[(name, b"x")]));
        let error = Layer::read(&archive, &UnpackLimits::default(), &[]).expect_err(name);
        assert_eq!(error.kind(), UnpackErrorKind::Unsafe);
        assert!(error.to_string().starts_with(message), "{name}: {error}");
    }
    for line in [
        "../recovery",
        "/data",
        "",
        ".",
        "*",
        "system",
        "system/..",
        "etc/passwd",
        "removed",
    ] {
        let list = format!("system/etc/good\n{line}\nsystem/other\n");
        let archive = digested(&tarball(&[("removed", list.as_bytes())]));
        let error = Layer::read(&archive, &UnpackLimits::default(), &[]).expect_err(line);
        assert_eq!(error.kind(), UnpackErrorKind::Unsafe, "{line:?}: {error}");
    }
    let list = b"system/a b\nsystem/*\nsystem/$(reboot)\nsystem/last";
    let archive = digested(&tarball(&[("removed", list)]));
    let layer = Layer::read(&archive, &UnpackLimits::default(), &[]).expect("literal lines");
    let removed: Vec<_> = layer.removed().map(String::from_utf8_lossy).collect();
    assert_eq!(
        removed,
        ["system/a b", "system/*", "system/$(reboot)", "system/last"]
    );
}

#[tokio::test]
async fn a12_file_takes_the_name_of_another() {
    for (to, kind) in [
        ("/pool/ubuntu_command.tar.xz", ErrorKind::Unsafe),
        ("/pool/image-master.tar.xz", ErrorKind::Unsafe),
        ("/pool/a b.tar.xz", ErrorKind::Unsafe),
        ("/pool/..", ErrorKind::Unsafe),
        ("/other/version-2.tar.xz", ErrorKind::Malformed),
    ] {
        let world = World::golden();
        let device =
            "/pool/device-2b6e04432e4fd13ed4caec9a764ec178a3ce5d3aa8c269411cc8e74fc8f7af54.tar.xz";
        let from = format!("\"path\": \"{device}\"");
        world.edit(
            INDEX,
            &from,
            &format!("\"path\": \"{to}\""),
            "image-signing",
            NOW - 5,
        );
        let (found, text) = refused(&world, "stable/golden1").await;
        assert_eq!(found, kind, "{to}: {text}");
    }
}

#[tokio::test]
async fn a13_path_leads_to_another_server() {
    for to in [
        "https://evil.example/pool/x.tar.xz",
        "//evil.example/x.tar.xz",
        "/../x.tar.xz",
    ] {
        let world = World::golden();
        let device =
            "/pool/device-2b6e04432e4fd13ed4caec9a764ec178a3ce5d3aa8c269411cc8e74fc8f7af54.tar.xz";
        let from = format!("\"path\": \"{device}\"");
        world.edit(
            INDEX,
            &from,
            &format!("\"path\": \"{to}\""),
            "image-signing",
            NOW - 5,
        );
        let (kind, text) = refused(&world, "stable/golden1").await;
        assert_eq!(kind, ErrorKind::Unsafe, "{to}: {text}");
        assert!(
            !world
                .transport
                .requests()
                .iter()
                .any(|asked| asked.contains("evil"))
        );
        world.edit(CHANNELS, INDEX, to, "image-signing", NOW - 4);
        let (kind, text) = refused(&world, "stable/golden1").await;
        assert_eq!(kind, ErrorKind::Unsafe, "{to}: {text}");
    }
}

#[test]
fn a14_deltas_go_in_a_circle() {
    let index = Index::parse(
        br#"{"global": {"generated_at": "Mon Dec 18 08:54:59 UTC 2017"}, "images": [
            {"type": "delta", "version": 2, "base": 2}, {"type": "delta", "version": 2, "base": 3},
            {"type": "delta", "version": 3, "base": 2}, {"type": "full", "version": 2},
            {"type": "full", "version": 2, "bootme": true}]}"#,
    )
    .expect("some are good");
    assert_eq!(index.skipped().len(), 3);
    let plan = Plan::new(&index, Request::new(1)).expect("few ways");
    let winner: Vec<_> = plan.winner().map(ToString::to_string).collect();
    assert_eq!(winner, ["F2", "D3<2"]);
}

#[tokio::test]
async fn a15_device_key_is_not_named_any_more() {
    let world = World::golden();
    world.lookup("stable/golden1").await.expect("named");
    let channels = world.transport.file(&url(CHANNELS)).expect("there");
    let text = String::from_utf8(channels.to_vec()).expect("text");
    let start = text
        .find(",\n                \"keyring\": {")
        .expect("named");
    let end = start + text[start..].find('}').expect("its end") + 1;
    let without = format!("{}{}", &text[..start], &text[end..]);
    world.put(
        CHANNELS,
        without.as_bytes(),
        &secret("image-signing"),
        NOW - 5,
    );
    let (kind, text) = refused(&world, "stable/golden1").await;
    assert_eq!(kind, ErrorKind::Untrusted);
    assert!(
        text.contains("3DA7227145F7746E9395E9E625F9F06F8074D406"),
        "{text}"
    );
}

#[tokio::test]
async fn a16_clock_is_wrong() {
    let mut world = World::golden();
    // In 2101 every keyring of the tree has expired.
    world.now = 4_133_980_800;
    let (kind, text) = refused(&world, "stable/golden1").await;
    assert_eq!(kind, ErrorKind::Expired);
    assert_eq!(
        text,
        "expired keyring timestamp: the image-signing keyring counted until 2100-01-01 00:00:00 UTC; \
         your clock is 2101-01-01 00:00:00 UTC: https://images.example/gpg/image-signing.tar.xz; \
         if the clock is right, the server must publish a new keyring"
    );
    world.now = 3600;
    let (kind, text) = refused(&world, "stable/golden1").await;
    assert_eq!(kind, ErrorKind::Untrusted);
    assert!(text.contains("1970-01-01"), "{text}");
}

#[tokio::test]
async fn a17_device_key_signs_a_rootfs() {
    let world = World::golden();
    let rootfs =
        "/pool/rootfs-88ad853f87fb5a8430a55d4e0db19397267e16e617bcd79b56afc9b38a5fdaeb.tar.xz";
    let bytes = world.transport.file(&url(rootfs)).expect("there");
    world.put(rootfs, &bytes, &secret("device-signing"), NOW - 5);
    let image = world
        .lookup("stable/golden1")
        .await
        .expect("the protocol allows it");
    // Its key is among those that are shown.
    let shown = image.proofs().iter().any(|proof| match proof {
        Proof::Signature(it) => it.signer().to_string().starts_with("3DA72271"),
        _ => false,
    });
    assert!(shown, "{:?}", image.proofs());
    let folder = tempfile::tempdir().expect("a directory");
    world.install(&image, folder.path()).expect("installed");
}

#[test]
fn a18_server_is_asked_without_tls() {
    let world = World::golden();
    let Trust::Signatures(keys) = world.remote().trust().clone() else {
        panic!("signatures")
    };
    let url = "http+system-image://images.example".parse().expect("a url");
    let name = "touch".parse().expect("a name");
    let remote = imagestore_core::RemoteConfig::new(name, url, Trust::Signatures(keys));
    let error = remote.check_reachable().expect_err("http");
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(
        error
            .to_string()
            .ends_with("use https, or set allow_http = true for this remote")
    );
}
