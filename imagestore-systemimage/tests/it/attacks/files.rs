//! A11 to A18: files, places, and who may do what.

use imagestore_core::{ErrorKind, Trust};
use imagestore_systemimage::{Index, Plan, Request};
use imagestore_unpack::{Layer, UnpackErrorKind, UnpackLimits};
use imagestore_verify::Proof;

use crate::world::{NOW, World, digested, secret, tarball, url};

use super::{CHANNELS, INDEX, refused};

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
    // What was signed and seen has happened, so this one is judged at that time.
    world.now = 3600;
    world.lookup("stable/golden1").await.expect("seen before");
    let mut world = World::golden();
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
