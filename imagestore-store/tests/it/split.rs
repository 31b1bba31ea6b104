use imagestore_core::{Download, ErrorKind, FileRole, Image, ImageFile};
use imagestore_verify::{Sha256, Verified};

use crate::remote::Fault;
use crate::reuse::spoil;
use crate::scene::*;

const EXPORT: &str = "https://host.example/1.0/images/f00/export";
const TYPE: &str = "multipart/form-data; boundary=7e9bd2";

#[tokio::test]
async fn parts_a_split_export_into_its_two_files() {
    let scene = exported("\r\n--7e9bd2--\r\n\r\n--7e9bd2--\r\n");
    let stored = scene.fetch(&image(&scene)).await.expect("fetched");
    assert_eq!(bytes_of(&stored, "lxd.tar.xz"), scene.meta);
    assert_eq!(bytes_of(&stored, "rootfs.squashfs"), scene.rootfs);
    let digests: Vec<_> = stored
        .artifacts()
        .iter()
        .map(imagestore_store::Artifact::sha256)
        .collect();
    assert_eq!(
        digests,
        [Sha256::of(&scene.meta), Sha256::of(&scene.rootfs)]
    );
    scene.remote.forget();
    let stored = scene.fetch(&image(&scene)).await.expect("reused");
    assert_eq!(bytes_of(&stored, "rootfs.squashfs"), scene.rootfs);
    assert_eq!(scene.remote.asked(), []);
    drop(stored);
    let stored = scene.store.get(&id()).expect("kept");
    assert_eq!(bytes_of(&stored, "lxd.tar.xz"), scene.meta);
}

#[tokio::test]
async fn notices_bytes_that_moved_from_one_file_to_the_other() {
    let scene = exported("\r\n--7e9bd2--\r\n");
    scene.fetch(&image(&scene)).await.expect("fetched");
    let first = scene.rootfs[0];
    spoil(&scene.published("lxd.tar.xz"), |bytes| bytes.push(first));
    spoil(&scene.published("rootfs.squashfs"), |bytes| {
        bytes.remove(0);
    });
    scene.remote.forget();
    let stored = scene.fetch(&image(&scene)).await.expect("fetched again");
    assert_eq!(bytes_of(&stored, "lxd.tar.xz"), scene.meta);
    assert_eq!(scene.remote.offsets(EXPORT), [0]);
}

#[tokio::test]
async fn asks_for_the_whole_of_an_export_that_broke() {
    // In the second the transfer ends in good order, as that of a proxy does that was cut itself.
    for fault in [Fault::Cut(3_000), Fault::End(3_000)] {
        let scene = exported("\r\n--7e9bd2--\r\n");
        scene.remote.fail(EXPORT, &[fault]);
        scene.fetch(&image(&scene)).await.expect("fetched");
        assert_eq!(scene.remote.offsets(EXPORT), [0, 0]);
    }
}

#[tokio::test]
async fn refuses_exports_of_another_form_or_content() {
    let scene = exported("");
    let error = scene.fetch(&image(&scene)).await.expect_err("no end line");
    let (kind, causes) = lines(&error);
    assert_eq!(kind, ErrorKind::Network);
    let expected = [
        format!("the answer broke off: {EXPORT}"),
        "the multipart body ends before its end line".to_owned(),
    ];
    assert_eq!(causes, expected);
    let scene = exported("\r\n--7e9bd2--\r\n");
    scene
        .remote
        .put_typed(EXPORT, scene.rootfs.clone(), "application/octet-stream");
    let error = scene.fetch(&image(&scene)).await.expect_err("one file");
    let (kind, causes) = lines(&error);
    assert_eq!(kind, ErrorKind::Malformed);
    assert_eq!(
        causes[0],
        format!("the answer has not the form of its media type: {EXPORT}")
    );
    assert_eq!(
        causes[1],
        "the multipart body is malformed: its media type is not multipart/form-data"
    );
    let scene = exported("\r\n--7e9bd2--\r\n");
    scene.remote.fail(EXPORT, &[Fault::Flip(300)]);
    let error = scene
        .fetch(&image(&scene))
        .await
        .expect_err("a changed byte");
    assert_eq!(
        (error.kind(), error.to_string()),
        (ErrorKind::Untrusted, format!("does not verify: {EXPORT}"))
    );
    assert_eq!(scene.files(), Vec::<std::path::PathBuf>::new());
}

fn exported(end: &str) -> Scene {
    let scene = Scene::new();
    let header = |name: &str| {
        format!(
            "--7e9bd2\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"../../{name}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        )
    };
    let body = [
        header("metadata").as_bytes(),
        &scene.meta,
        b"\r\n",
        header("rootfs").as_bytes(),
        &scene.rootfs,
        end.as_bytes(),
    ]
    .concat();
    scene.remote.put_typed(EXPORT, body, TYPE);
    scene
}

fn image(scene: &Scene) -> Verified<Image> {
    let whole = [&scene.meta[..], &scene.rootfs].concat();
    let metadata = ImageFile::new("lxd.tar.xz", FileRole::Metadata);
    let download = Download::new(vec![url(EXPORT)], metadata, vec![digest(&whole)])
        .with_part(ImageFile::new("rootfs.squashfs", FileRole::Rootfs))
        .with_size(Some(11_200));
    verified(Image::new(id(), vec![download]).with_fingerprint(Sha256::of(&whole)))
}
