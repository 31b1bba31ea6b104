//! A tree of our own publisher, read by our own source, by the rules of the phone and by gpgv.

mod server;

use std::fs;
use std::path::PathBuf;

use imagestore_core::ErrorKind;
use imagestore_publish::{KeyringRole, RoleKeyring, SystemChannel};
use imagestore_systemimage::Channels;
use imagestore_testkit::keys;
use imagestore_testkit::oracle::Tool;

use self::server::{Server, files, member, members};
use crate::world::{BASE, snapshot};

#[tokio::test]
async fn a_full_image_and_a_delta_on_top_give_the_newer_tree() {
    let server = Server::new();
    let (one, two) = server.trees();
    assert_eq!(server.publish(&one, None), 1);
    assert_eq!(server.publish(&two, Some(1)), 2);
    let world = server.world();
    let (upgraded, fresh) = (
        server.folder.path().join("upgraded"),
        server.folder.path().join("fresh"),
    );
    let first = server
        .lookup(&world, "20.04/stable/phone/1")
        .await
        .expect("build 1");
    world.install(&first, &upgraded).expect("installed");
    assert!(upgraded.join("system/etc/gone").exists());
    let delta = server
        .lookup(&world, "20.04/stable/phone/1..2")
        .await
        .expect("a delta");
    assert_eq!(delta.properties["base"], "1");
    world.install(&delta, &upgraded).expect("upgraded");
    let second = server
        .lookup(&world, "20.04/stable/phone")
        .await
        .expect("build 2");
    world.install(&second, &fresh).expect("installed");
    assert_eq!(snapshot(&upgraded), snapshot(&fresh));
    let mut wanted = snapshot(&two);
    let found = snapshot(&fresh);
    wanted.retain(|name, _| !matches!(name.as_str(), "system" | "system/etc" | "system/usr"));
    for (name, described) in &wanted {
        assert_eq!(found.get(name), Some(described), "{name}");
    }
}

#[tokio::test]
async fn documents_are_byte_for_byte_what_recoveries_read() {
    let server = Server::new();
    let (one, two) = server.trees();
    server.publish(&one, None);
    server.publish(&two, Some(1));
    let text = fs::read_to_string(server.root().join("channels.json")).expect("there");
    assert_eq!(
        text,
        "{\n    \"20.04/stable\": {\n        \"devices\": {\n            \"phone\": {\n                \
         \"index\": \"/20.04/stable/phone/index.json\"\n            }\n        }\n    }\n}\n"
    );
    let index = server.index();
    let names: Vec<_> = index.builds().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["F1", "F2", "D2<1"]);
    for build in index.builds() {
        let last = build.files.last().expect("files");
        assert_eq!(
            last.path,
            format!("/20.04/stable/phone/version-{}.tar.xz", build.version)
        );
        let keyring = &build.files[build.files.len() - 2];
        assert!(
            keyring.path.starts_with("/pool/keyring-"),
            "{}",
            keyring.path
        );
        for (place, file) in build.files.iter().enumerate() {
            assert_eq!(file.order, place as i64);
            let on_disk = fs::metadata(server.root().join(&file.path[1..])).expect("there");
            assert_eq!(on_disk.len(), file.size);
        }
    }
    let removed = members(
        &server.root().join(&index.builds()[2].files[0].path[1..]),
        "removed",
    );
    assert_eq!(
        removed,
        "system/becomes-a-file\nsystem/becomes-a-file/inner\nsystem/becomes-a-folder\n\
         system/changes\nsystem/etc/gone\nsystem/link\nsystem/usr/bin/a\nsystem/usr/bin/b\n"
    );
    let keyring = members(
        &server.root().join("gpg/image-signing.tar.xz"),
        "keyring.json",
    );
    let expiry = keys::NOW + 63_072_000;
    assert_eq!(
        keyring,
        format!("{{\n    \"expiry\": {expiry},\n    \"type\": \"image-signing\"\n}}\n")
    );
    let ini = members(
        &server.root().join("20.04/stable/phone/version-2.tar.xz"),
        "system/etc/system-image/channel.ini",
    );
    assert_eq!(
        ini,
        "[service]\nbase: localhost\nhttp_port: 80\nhttps_port: 443\nchannel: 20.04/stable\n\
         device: phone\nbuild_number: 2\nversion_detail: a=1,version=2\n"
    );
}

#[test]
fn gpgv_accepts_every_signature() {
    let Some(gpgv) = Tool::find("gpgv") else {
        return;
    };
    let server = Server::new();
    let (one, two) = server.trees();
    server.publish(&one, None);
    server.publish(&two, Some(1));
    let ring = server.folder.path().join("ring.gpg");
    let mut all = Vec::new();
    for name in ["archive-master", "image-master", "image-signing"] {
        all.extend(member(
            &server.root().join(format!("gpg/{name}.tar.xz")),
            "keyring.gpg",
        ));
    }
    fs::write(&ring, all).expect("written");
    let mut count = 0;
    for path in files(&server.root()) {
        let asc = PathBuf::from(format!("{}.asc", path.display()));
        if path.extension().is_some_and(|it| it == "asc")
            || path.starts_with(server.root().join(".publish"))
        {
            continue;
        }
        let run = gpgv.command().args(["--keyring"]);
        drop(run.args([&ring, &asc, &path]).run().expect_success());
        count += 1;
    }
    assert_eq!(count, 11);
}

#[tokio::test]
async fn phases_are_of_the_newest_build_only() {
    let server = Server::new();
    let (one, two) = server.trees();
    server.publish(&one, None);
    let phases = || {
        let index = server.index();
        index
            .builds()
            .iter()
            .map(|build| build.phased_percentage)
            .collect::<Vec<_>>()
    };
    server
        .publisher()
        .phase("20.04/stable", "phone", 20)
        .expect("set");
    assert_eq!(phases(), [20]);
    server.publish(&two, Some(1));
    assert_eq!(phases(), [100, 100, 100]);
    server
        .publisher()
        .phase("20.04/stable", "phone", 0)
        .expect("withdrawn");
    assert_eq!(phases(), [100, 0, 0]);
    let image = server
        .lookup(&server.world(), "20.04/stable/phone")
        .await
        .expect("the one before");
    assert_eq!(image.id.build(), "1");
    server
        .publisher()
        .phase("20.04/stable", "phone", 100)
        .expect("offered to all");
    assert_eq!(phases(), [100, 100, 100]);
    let error = server
        .publisher()
        .phase("20.04/stable", "phone", 101)
        .expect_err("too many");
    assert_eq!(error.to_string(), "a percentage is above 100: `101`");
    server
        .publisher()
        .expire("20.04/stable", "phone", 1)
        .expect("expired");
    let left: Vec<_> = server
        .index()
        .builds()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(left, ["F2"]);
}

#[tokio::test]
async fn aliases_and_redirects_lead_to_the_images_of_their_targets() {
    let server = Server::new();
    let (one, _) = server.trees();
    server.publish(&one, None);
    let publisher = server.publisher();
    let target = || "20.04/stable".to_owned();
    publisher
        .channel("stable", &SystemChannel::Alias { target: target() })
        .expect("published");
    publisher
        .channel("16.04", &SystemChannel::Redirect { target: target() })
        .expect("published");
    publisher
        .redirect_device("18.04", "phone", "20.04/stable")
        .expect("published");
    let world = server.world();
    for path in ["stable/phone", "16.04/phone", "18.04/phone"] {
        let image = server.lookup(&world, path).await.expect(path);
        let folder = tempfile::tempdir().expect("a directory");
        world.install(&image, folder.path()).expect(path);
        let ini = fs::read_to_string(folder.path().join("system/etc/system-image/channel.ini"));
        let ini = ini.expect("there");
        assert_eq!(
            ini.contains("channel_target: 20.04/stable\n"),
            path == "stable/phone",
            "{ini}"
        );
    }
    let bytes = fs::read(server.root().join("channels.json")).expect("there");
    let channels = Channels::parse(&bytes).expect("channels");
    assert!(channels.channel("16.04").expect("there").hidden);
    let moved = &channels.channel("18.04").expect("there").devices["phone"];
    assert_eq!(moved.redirect.as_deref(), Some("20.04/stable"));
}

#[tokio::test]
async fn keys_are_changed_and_blacklisted() {
    let mut server = Server::new();
    let (one, two) = server.trees();
    server.publish(&one, None);
    server.publish(&two, Some(1));
    let world = server.world();
    server
        .lookup(&world, "20.04/stable/phone")
        .await
        .expect("with the old key");
    let old = server.signing.certificate();
    server.signing = keys::new("signing, the second");
    let publisher = server.publisher();
    let new = RoleKeyring::new(KeyringRole::ImageSigning).with_key(server.signing.certificate());
    publisher.keyring(&new).expect("published");
    publisher.sign_anew().expect("signed");
    let list = RoleKeyring::new(KeyringRole::Blacklist).with_key(old);
    publisher.keyring(&list).expect("published");
    world
        .transport
        .put_tree(BASE, &server.root())
        .expect("the tree");
    server
        .lookup(&world, "20.04/stable/phone")
        .await
        .expect("the newest is signed anew");
    server
        .lookup(&world, "20.04/stable/phone/1..2")
        .await
        .expect("and so are the deltas");
    let error = server
        .lookup(&world, "20.04/stable/phone/1")
        .await
        .expect_err("the old is not");
    assert_eq!(error.kind(), ErrorKind::Untrusted);
}

#[tokio::test]
async fn a_device_keyring_is_published_with_its_device() {
    let server = Server::new();
    let (one, _) = server.trees();
    server.publish(&one, None);
    let device = keys::new("device");
    let keyring = RoleKeyring::new(KeyringRole::DeviceSigning)
        .with_key(device.certificate())
        .with_model("phone")
        .with_expiry(keys::NOW + 2_678_400);
    let publisher = server.publisher();
    publisher
        .device_keyring("20.04/stable", "phone", &keyring)
        .expect("published");
    let image = server
        .lookup(&server.world(), "20.04/stable/phone")
        .await
        .expect("found");
    let fingerprint = device.fingerprint().to_string();
    let believed = image.downloads[0].checks.iter().any(|check| match check {
        imagestore_core::Check::Signature { keys, .. } => keys
            .fingerprints()
            .iter()
            .any(|key| key.to_string() == fingerprint),
        _ => false,
    });
    assert!(believed, "the device key may sign files");
    let error = publisher
        .device_keyring("20.04/stable", "tablet", &keyring)
        .expect_err("no such device");
    assert_eq!(
        error.to_string(),
        "a device is not published: `20.04/stable/tablet`"
    );
}
