//! The golden tree walked end to end.

use std::fs;

use imagestore_core::{ErrorKind, FileRole, ImageSource, Listing};
use imagestore_systemimage::installed;
use imagestore_testkit::conformance::{Expected, run_all};
use imagestore_verify::Proof;

use crate::world::{World, snapshot};

#[tokio::test]
async fn runs_the_conformance_suite() {
    let world = World::golden();
    let layers = [
        FileRole::Layer,
        FileRole::Layer,
        FileRole::Layer,
        FileRole::Layer,
    ];
    let expected = Expected::image("stable/golden1", "2", layers)
        .with_missing("nope/golden1")
        .with_missing("stable/other")
        .with_listing("", ["empty", "old", "stable"])
        .with_listing("stable", ["golden1"])
        .with_listing("stable/golden1", ["1", "2"])
        .with_listing("empty", []);
    run_all(&world.source(), &expected).await;
}

#[tokio::test]
async fn a_full_image_and_a_delta_lead_to_the_newer_tree() {
    let world = World::golden();
    let folder = tempfile::tempdir().expect("a directory");
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    let first = world.lookup("stable/golden1/1").await.expect("build 1");
    assert_eq!(first.id.build(), "1");
    world.install(&first, &old).expect("installed");
    let second = world.lookup("stable/golden1").await.expect("build 2");
    world.install(&second, &new).expect("installed");
    assert_ne!(snapshot(&old), snapshot(&new));

    let delta = world.lookup("stable/golden1/1..").await.expect("a delta");
    assert_eq!(delta.id.build(), "1..2");
    assert_eq!(delta.properties["base"], "1");
    world.install(&delta, &old).expect("upgraded");
    assert_eq!(snapshot(&old), snapshot(&new));
    assert!(old.join("system/usr/old-dir-or-file/now-a-dir").is_file());
    let ini = installed(fs::File::open(&old).expect("a directory"));
    assert_eq!(ini.expect("read").expect("there").build_number, 2);

    let error = world.install(&delta, &old).expect_err("not the base");
    assert_eq!(
        error.to_string(),
        "the delta leads on from build 1 of `golden1`, and the directory holds build 2 of `golden1`"
    );
    let error = world.install(&second, &old).expect_err("not empty");
    assert_eq!(error.to_string(), "a full image needs an empty directory");
}

#[tokio::test]
async fn an_upgrade_that_broke_off_goes_on() {
    let world = World::golden();
    let folder = tempfile::tempdir().expect("a directory");
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    let first = world.lookup("stable/golden1/1").await.expect("build 1");
    world.install(&first, &old).expect("installed");
    world
        .install(
            &world.lookup("stable/golden1").await.expect("build 2"),
            &new,
        )
        .expect("installed");
    let delta = world.lookup("stable/golden1/1..2").await.expect("a delta");
    // As if the process had ended between removing and placing, with the journal written.
    fs::write(old.join(".system-image-upgrade"), "1 2\n").expect("written");
    fs::remove_file(old.join("system/usr/old-dir-or-file")).expect("removed");
    fs::remove_file(old.join("system/etc/system-image/channel.ini")).expect("removed");
    world.install(&delta, &old).expect("goes on");
    assert_eq!(snapshot(&old), snapshot(&new));

    fs::write(old.join(".system-image-upgrade"), "7 9\n").expect("written");
    let error = world.install(&delta, &old).expect_err("another upgrade");
    assert_eq!(
        error.to_string(),
        "an upgrade from build 7 to 9 was broken off in the directory; apply 7..9 again"
    );
}

#[tokio::test]
async fn answers_name_every_signer_from_the_files_up() {
    let world = World::golden();
    let image = world.lookup("stable/golden1").await.expect("found");
    let signers: Vec<_> = image
        .proofs()
        .iter()
        .filter_map(|proof| match proof {
            Proof::Signature(signature) => Some(signature.signer().to_string()),
            _ => None,
        })
        .collect();
    for (name, fingerprint) in [
        ("archive-master", "75E04D5326B5F0E9E2C71E55A6D39D6D6AB09542"),
        ("image-master", "D26425FBB41EC073E9525F1BE618C184A1FF6915"),
        ("image-signing", "A269ABCCDF375623BEB89C40BEE5185730A39565"),
    ] {
        assert!(
            signers.iter().any(|signer| signer == fingerprint),
            "{name}: {signers:?}"
        );
    }
    assert!(image.properties["plan"].starts_with("from build 0 to 2, "));
}

#[tokio::test]
async fn redirected_channels_lead_to_the_same_build() {
    let world = World::golden();
    for path in ["legacy/golden1", "old/golden1"] {
        let image = world.lookup(path).await.expect(path);
        assert_eq!(image.properties["version"], "2");
        let folder = tempfile::tempdir().expect("a directory");
        world
            .install(&image, folder.path())
            .expect("the channel it was redirected to counts");
    }
    let error = world.lookup("empty/golden1").await.expect_err("no devices");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(
        error.to_string(),
        "no such device in channel `empty`: `golden1`; the channel has no devices"
    );
}

#[tokio::test]
async fn hands_over_what_a_recovery_needs() {
    let world = World::golden();
    let path = "stable/golden1".parse().expect("a path");
    let over = world.source().hand_over(&path).await.expect("found");
    let names: Vec<&str> = over
        .layers
        .iter()
        .map(|layer| layer.name.as_str())
        .collect();
    let lines = names
        .iter()
        .map(|name| format!("update {name} {name}.asc\n"));
    let expected = format!(
        "load_keyring image-master.tar.xz image-master.tar.xz.asc\n\
         load_keyring image-signing.tar.xz image-signing.tar.xz.asc\n\
         load_keyring device-signing.tar.xz device-signing.tar.xz.asc\n\
         format system\nmount system\n{}unmount system\n",
        lines.collect::<String>()
    );
    assert_eq!(over.command, expected);
    assert_eq!(names.last(), Some(&"version-2.tar.xz"));
    assert_eq!(over.names().len(), 2 * (3 + 4));

    let delta = "stable/golden1/1..".parse().expect("a path");
    let over = world.source().hand_over(&delta).await.expect("found");
    assert!(!over.command.contains("format system"));

    let folder = tempfile::tempdir().expect("a directory");
    let target = folder.path().join("android/cache/recovery");
    over.write(&target, |layer| {
        let file = |path: &str| {
            let bytes = world
                .transport
                .file(&crate::world::url(path))
                .expect("there");
            Box::new(std::io::Cursor::new(bytes)) as Box<dyn std::io::Read>
        };
        Ok((file(&layer.path), file(&layer.signature)))
    })
    .expect("written");
    let mut written: Vec<_> = fs::read_dir(&target)
        .expect("made though it was missing")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("plain")
        })
        .collect();
    written.sort();
    let mut wanted = over.names();
    wanted.push("ubuntu_command".to_owned());
    wanted.sort();
    assert_eq!(written, wanted);
    assert_eq!(
        fs::read_to_string(target.join("ubuntu_command")).expect("written"),
        over.command
    );
}

#[tokio::test]
async fn a_base_shows_channels_below_it_only() {
    let mut world = World::golden();
    let (from, to) = ("\"stable\": {", "\"ubuntu-core/devel\": {");
    world.edit(
        "/channels.json",
        from,
        to,
        "image-signing",
        crate::world::NOW - 1,
    );
    world.arguments.insert("base".into(), "ubuntu-core".into());
    let listing = world
        .source()
        .list(&"".parse().expect("a path"))
        .await
        .expect("listed");
    let Listing::Entries { entries, .. } = listing.into_inner() else {
        panic!("entries")
    };
    let names: Vec<_> = entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["devel"]);
    let image = world.lookup("devel/golden1").await.expect("found");
    assert_eq!(image.id.path(), "devel/golden1");
}
