use imagestore_core::{Download, ErrorKind, FileRole, Image, ImageFile};
use imagestore_verify::{Sha256, Verified};

use crate::remote::Fault;
use crate::scene::*;

const MIRROR: &str = "https://mirror.example/20240601/rootfs.tar.xz";
const MIRROR_ASC: &str = "https://mirror.example/20240601/rootfs.tar.xz.asc";

#[tokio::test]
async fn takes_the_file_from_the_mirror_when_the_remote_cannot_give_it() {
    for (faults, warning) in [
        (
            vec![Fault::Unreachable],
            format!("is not reachable: {ROOTFS}; trying another location"),
        ),
        (
            vec![Fault::NotFound],
            format!("status 404: {ROOTFS}; trying another location"),
        ),
        (
            vec![Fault::Refused],
            format!("status 403: {ROOTFS}; trying another location"),
        ),
        (
            vec![Fault::Flip(3)],
            format!("does not verify: {ROOTFS}; trying another location"),
        ),
        (
            vec![Fault::Grow(4_000)],
            format!("has more bytes, the index says 10500: {ROOTFS}; trying another location"),
        ),
    ] {
        let scene = mirrored();
        scene.remote.fail(ROOTFS, &faults);
        let stored = scene.fetch(&image(&scene)).await.expect("from the mirror");
        assert_eq!(bytes_of(&stored, "rootfs.tar.xz"), scene.rootfs);
        assert_eq!(scene.events.warnings(), [warning]);
        assert_eq!(scene.remote.offsets(MIRROR), [0]);
    }
}

#[tokio::test]
async fn a_missing_signature_is_the_fault_of_one_location_only() {
    let scene = mirrored();
    scene.remote.remove(ROOTFS_ASC);
    scene.fetch(&image(&scene)).await.expect("from the mirror");
    assert_eq!(scene.remote.offsets(ROOTFS), Vec::<u64>::new());
    assert_eq!(scene.remote.offsets(MIRROR_ASC), [0]);
}

#[tokio::test]
async fn blames_each_location_in_the_causes() {
    let scene = mirrored();
    scene.remote.fail(ROOTFS, &[Fault::Unreachable]);
    scene.remote.fail(MIRROR, &[Fault::Flip(1)]);
    let error = scene.fetch(&image(&scene)).await.expect_err("none is good");
    let (kind, lines) = lines(&error);
    assert_eq!(kind, ErrorKind::Untrusted);
    assert_eq!(
        lines[..3],
        [
            "none of 2 locations has a good copy of `rootfs.tar.xz`".to_owned(),
            format!("is not reachable: {ROOTFS}"),
            format!("does not verify: {MIRROR}"),
        ]
    );
    assert!(
        lines[3].starts_with("digest is ")
            && lines[3].contains(&Sha256::of(&scene.rootfs).to_string())
    );
    assert_eq!(scene.files(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn does_not_join_the_halves_of_two_mirrors() {
    let scene = mirrored();
    scene
        .remote
        .fail(ROOTFS, &[5_000, 5_000, 5_000, 5_000].map(Fault::Cut));
    let stored = scene.fetch(&image(&scene)).await.expect("from the mirror");
    assert_eq!(bytes_of(&stored, "rootfs.tar.xz"), scene.rootfs);
    assert_eq!(scene.remote.offsets(MIRROR), [0]);
}

#[tokio::test]
async fn goes_on_where_the_part_came_from() {
    let scene = mirrored();
    scene.remote.fail(ROOTFS, &[Fault::Unreachable]);
    scene
        .remote
        .fail(MIRROR, &[7_000, 7_000, 7_000, 7_000].map(Fault::Cut));
    let error = scene.fetch(&image(&scene)).await.expect_err("breaks");
    assert_eq!(error.kind(), ErrorKind::Network);
    scene.remote.forget();
    scene.fetch(&image(&scene)).await.expect("the rest");
    assert_eq!(scene.remote.offsets(MIRROR), [7_000]);
    assert_eq!(scene.remote.offsets(ROOTFS), Vec::<u64>::new());
}

fn mirrored() -> Scene {
    let scene = Scene::new();
    scene.remote.put(MIRROR, scene.rootfs.clone());
    scene.remote.put(MIRROR_ASC, sign(key(), &scene.rootfs));
    scene
}

fn image(scene: &Scene) -> Verified<Image> {
    let rootfs = ImageFile::new("rootfs.tar.xz", FileRole::Rootfs);
    let checks = vec![
        digest(&scene.rootfs),
        signature(&[ROOTFS_ASC, MIRROR_ASC], &keyring(key())),
    ];
    let download = Download::new(vec![url(ROOTFS), url(MIRROR)], rootfs, checks);
    verified(Image::new(id(), vec![download.with_size(Some(10_500))]))
}
