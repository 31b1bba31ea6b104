use std::os::unix::fs::MetadataExt;

use imagestore::{ErrorKind, ImageStore, Network, UnpackOptions};
use imagestore_testkit::keys;
use imagestore_verify::Policy;

use crate::world::{BUILD, DIRECTORY, REFERENCE, World, read};

#[tokio::test]
async fn walks_from_the_reference_to_a_directory() {
    let world = World::new();
    let images = world.image_store();
    let fetched = images
        .fetch(&REFERENCE.parse().expect("a reference"))
        .await
        .expect("fetched");
    let hops: Vec<_> = fetched
        .hops
        .iter()
        .map(|hop| hop.remote.url().protocol())
        .collect();
    assert_eq!(hops, ["registry", "lxc-images"]);
    let signer = keys::images().fingerprint().to_string();
    assert!(
        fetched.hops[1]
            .proofs
            .iter()
            .any(|proof| proof.to_string().contains(&signer))
    );
    assert_eq!(fetched.image.id().build(), BUILD);

    let target = world.path("out");
    let options = UnpackOptions::default();
    let unpacked = images
        .unpack(&fetched.image, &target, &options)
        .await
        .expect("unpacked");
    assert_eq!(read(&target.join("rootfs/etc/hostname")), "trusty\n");
    let busybox = target.join("rootfs/bin/busybox").metadata().expect("there");
    assert_eq!(busybox.mode() & 0o7777, 0o4755);
    assert_eq!(
        busybox.ino(),
        target
            .join("rootfs/bin/sh")
            .metadata()
            .expect("there")
            .ino()
    );
    assert_eq!(
        std::fs::read_link(target.join("rootfs/bin/ls"))
            .expect("a link")
            .to_str(),
        Some("busybox")
    );
    assert_eq!(read(&target.join("metadata/templates")), "/etc/hostname\n");
    let lxc = unpacked.lxc.as_ref().expect("a LXC image");
    assert_eq!(lxc.templates(), [b"/etc/hostname".to_vec()]);
}

#[tokio::test]
async fn downloads_nothing_the_second_time() {
    let world = World::new();
    let reference = REFERENCE.parse().expect("a reference");
    world
        .image_store()
        .fetch(&reference)
        .await
        .expect("fetched");
    world.images.forget_requests();
    world
        .image_store()
        .fetch(&reference)
        .await
        .expect("fetched again");
    let paths: Vec<_> = world
        .images
        .requests()
        .iter()
        .map(|it| it.path.clone())
        .collect();
    assert!(
        !paths.iter().any(|path| path.contains(".tar.xz")),
        "{paths:?}"
    );
}

#[tokio::test]
async fn finds_an_image_by_its_alias() {
    let world = World::new();
    let images = world.image_store();
    let found = images
        .resolve(&"ubuntu/lts".parse().expect("a reference"))
        .await
        .expect("found");
    assert_eq!(found.image.id.path(), "ubuntu/trusty/amd64/default");
}

#[tokio::test]
async fn goes_on_without_the_network_with_what_is_here() {
    let world = World::new();
    let offline = |world: &World| {
        let config = imagestore::Config::open(&world.write_config()).expect("valid");
        ImageStore::builder()
            .with_config(config)
            .with_store_dir(world.path("store"))
            .with_policy(Policy::default().with_at(keys::at(keys::NOW)))
            .with_network(Network::Offline)
            .build()
            .expect("a store")
    };
    let reference = REFERENCE.parse().expect("a reference");
    let error = offline(&world)
        .fetch(&reference)
        .await
        .expect_err("nothing is here");
    assert_eq!(error.kind(), ErrorKind::Network);
    world
        .image_store()
        .fetch(&reference)
        .await
        .expect("fetched");
    world.images.forget_requests();
    world.registry.forget_requests();
    offline(&world)
        .fetch(&reference)
        .await
        .expect("all of it is here");
    assert!(world.images.requests().is_empty() && world.registry.requests().is_empty());
}

#[tokio::test]
async fn lists_step_by_step() {
    let world = World::new();
    let images = world.image_store();
    let names = async |reference: &str| {
        let listed = images
            .list(&reference.parse().expect("a reference"))
            .await
            .expect("listed");
        listed
            .entries
            .iter()
            .map(|entry| entry.name.clone())
            .collect::<Vec<_>>()
    };
    world.images.forget_requests();
    assert_eq!(names("images:").await, ["lxc-images", "ubuntu/lts"]);
    assert!(
        world.images.requests().is_empty(),
        "listing a registry must not ask its servers"
    );
    assert_eq!(names("images:lxc-images").await, ["ubuntu"]);
    assert_eq!(
        names("images:lxc-images/ubuntu/trusty/amd64/default").await,
        [BUILD]
    );
}

#[tokio::test]
async fn does_not_find_what_is_not_there() {
    let world = World::new();
    for (reference, message) in [
        ("images:nowhere/x", "nowhere"),
        ("images:lxc-images/ubuntu/sparse/amd64", "sparse"),
        (
            "images:lxc-images/ubuntu/trusty/amd64/default/20200101_00:00",
            "20200101_00:00",
        ),
    ] {
        world.refuses(reference, ErrorKind::NotFound, message).await;
    }
    world
        .refuses(
            "other:x",
            ErrorKind::InvalidConfig,
            "no such remote: `other`",
        )
        .await;
}

#[tokio::test]
async fn keeps_what_is_in_the_target() {
    let world = World::new();
    let target = world.path("full");
    std::fs::create_dir(&target).expect("made");
    std::fs::write(target.join("mine"), "mine").expect("written");
    let images = world.image_store();
    let fetched = images
        .fetch(&REFERENCE.parse().expect("a reference"))
        .await
        .expect("fetched");
    let options = UnpackOptions::default();
    let error = images
        .unpack(&fetched.image, &target, &options)
        .await
        .expect_err("in use");
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert_eq!(read(&target.join("mine")), "mine");
}

#[tokio::test]
async fn tells_an_image_without_configuration() {
    let world = World::new();
    let mut archive = tar::Builder::new(Vec::new());
    crate::world::append(&mut archive, "expiry", 0o644, b"1719792000\n");
    let meta = crate::world::xz(&archive.into_inner().expect("in memory"));
    let rootfs = crate::world::rootfs_archive("trusty\n");
    let sums = format!(
        "{}  meta.tar.xz\n{}  rootfs.tar.xz\n",
        imagestore_verify::Sha256::of(&meta),
        imagestore_verify::Sha256::of(&rootfs)
    );
    for (name, bytes) in [
        ("meta.tar.xz", meta),
        ("rootfs.tar.xz", rootfs),
        ("SHA256SUMS", sums.into_bytes()),
    ] {
        let path = format!("{DIRECTORY}{name}");
        world.put(&world.images, &path, &bytes, keys::images(), keys::SIGNED);
    }
    world
        .refuses(REFERENCE, ErrorKind::Malformed, "config")
        .await;
}
