use imagestore_core::{Check, Download, ErrorKind, FileRole, Image, ImageFile, Limits};
use imagestore_verify::{Proof, Sha256};

use crate::remote::Fault;
use crate::scene::*;

#[tokio::test]
async fn brings_all_files_in_unpack_order_with_their_proofs() {
    let scene = Scene::new();
    let stored = scene.fetch(&scene.image()).await.expect("fetched");
    let names: Vec<_> = stored
        .artifacts()
        .iter()
        .map(|artifact| artifact.file().name.as_str())
        .collect();
    assert_eq!(names, ["meta.tar.xz", "rootfs.tar.xz"]);
    assert_eq!(bytes_of(&stored, "rootfs.tar.xz"), scene.rootfs);
    assert_eq!(bytes_of(&stored, "meta.tar.xz"), scene.meta);
    let rootfs = stored.artifact("rootfs.tar.xz").expect("rootfs");
    assert_eq!(
        (rootfs.size(), rootfs.sha256()),
        (10_500, Sha256::of(&scene.rootfs))
    );
    assert_eq!(rootfs.file().role, FileRole::Rootfs);
    let signers = rootfs.proofs().iter().filter_map(|proof| match proof {
        Proof::Signature(signature) => Some(*signature.signer()),
        _ => None,
    });
    assert_eq!(signers.collect::<Vec<_>>(), [key().fingerprint()]);
    assert!(
        rootfs
            .proofs()
            .contains(&Proof::Digest(Sha256::of(&scene.rootfs)))
    );
    assert_eq!((stored.id(), stored.size()), (&id(), 11_200));
    assert_eq!(stored.fetched_at(), at(NOW));
}

#[tokio::test]
async fn asks_for_the_signature_before_the_file() {
    let scene = Scene::new();
    let checks = vec![signature(&[ROOTFS_ASC], &keyring(key()))];
    scene
        .fetch(&scene.rootfs_by(checks))
        .await
        .expect("fetched");
    let asked: Vec<_> = scene
        .remote
        .asked()
        .into_iter()
        .map(|asked| asked.url)
        .collect();
    assert_eq!(asked, [ROOTFS_ASC, ROOTFS]);
    assert_eq!(
        scene.events.told(),
        [
            "asked /20240601/rootfs.tar.xz.asc",
            "started rootfs.tar.xz Some(10500) from 0",
            "verified rootfs.tar.xz by 1 proofs",
        ]
    );
}

#[tokio::test]
async fn refuses_a_changed_byte_and_keeps_nothing() {
    for place in [0, 5_000, 10_499] {
        let scene = Scene::new();
        scene.remote.fail(ROOTFS, &[Fault::Flip(place)]);
        let error = scene
            .fetch(&scene.image())
            .await
            .expect_err("a changed byte");
        let (kind, lines) = lines(&error);
        assert_eq!(kind, ErrorKind::Untrusted);
        assert_eq!(lines[0], format!("does not verify: {ROOTFS}"));
        assert!(lines[1].starts_with("digest is "), "{lines:?}");
        assert!(
            lines[1].ends_with(&format!("expected {}", Sha256::of(&scene.rootfs))),
            "{lines:?}"
        );
        assert_eq!(scene.files(), Vec::<std::path::PathBuf>::new());
    }
}

#[tokio::test]
async fn refuses_a_changed_byte_by_the_signature_alone() {
    let scene = Scene::new();
    scene.remote.fail(ROOTFS, &[Fault::Flip(77)]);
    let image = scene.rootfs_by(vec![signature(&[ROOTFS_ASC], &keyring(key()))]);
    let error = scene.fetch(&image).await.expect_err("a changed byte");
    let (kind, lines) = lines(&error);
    assert_eq!(
        (kind, lines[0].as_str()),
        (ErrorKind::Untrusted, &*format!("does not verify: {ROOTFS}"))
    );
    assert!(
        lines[1].starts_with("the data does not match the signature by "),
        "{lines:?}"
    );
    assert_eq!(scene.files(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn refuses_a_file_without_its_signature_and_does_not_ask_for_it() {
    let scene = Scene::new();
    scene.remote.remove(ROOTFS_ASC);
    let error = scene.fetch(&scene.image()).await.expect_err("no signature");
    let (kind, lines) = lines(&error);
    assert_eq!(kind, ErrorKind::Untrusted);
    assert_eq!(
        lines,
        [
            format!("is not signed: {ROOTFS}"),
            format!("status 404: {ROOTFS_ASC}")
        ]
    );
    assert_eq!(scene.remote.offsets(ROOTFS), Vec::<u64>::new());
    assert_eq!(scene.files(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn refuses_a_foreign_signature_before_the_first_byte_of_the_file() {
    let scene = Scene::new();
    scene
        .remote
        .put(ROOTFS_ASC, sign(other_key(), &scene.rootfs));
    let image = scene.rootfs_by(vec![signature(&[ROOTFS_ASC], &keyring(key()))]);
    let error = scene.fetch(&image).await.expect_err("a foreign signature");
    let (kind, lines) = lines(&error);
    assert_eq!(kind, ErrorKind::Untrusted);
    assert_eq!(lines[0], format!("does not verify: {ROOTFS}"));
    let missing = format!(
        "signed by {}, which is not in the keyring",
        other_key().fingerprint()
    );
    assert_eq!(lines[1], missing);
    assert_eq!(scene.remote.offsets(ROOTFS), Vec::<u64>::new());
}

#[tokio::test]
async fn refuses_something_that_is_no_signature() {
    let scene = Scene::new();
    scene.remote.put(ROOTFS_ASC, "<html>log in to go on</html>");
    let error = scene.fetch(&scene.image()).await.expect_err("no signature");
    let (kind, lines) = lines(&error);
    assert_eq!(
        (kind, lines[0].as_str()),
        (
            ErrorKind::Untrusted,
            &*format!("does not verify: {ROOTFS_ASC}")
        )
    );
    assert_eq!(lines[1], "signature is malformed");
}

#[tokio::test]
async fn refuses_a_signature_that_never_ends() {
    let scene = Scene::new();
    scene.remote.put(ROOTFS_ASC, vec![b'x'; (64 << 10) + 1]);
    let error = scene.fetch(&scene.image()).await.expect_err("too large");
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    let message = format!("has 65537 bytes, at most 65536 bytes are allowed: {ROOTFS_ASC}");
    assert_eq!(error.to_string(), message);
}

#[tokio::test]
async fn body_never_ends() {
    let scene = Scene::new();
    scene.remote.fail(ROOTFS, &[Fault::Grow(1 << 20)]);
    let error = scene.fetch(&scene.image()).await.expect_err("too much");
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(
        error.to_string(),
        format!("has more bytes, the index says 10500: {ROOTFS}")
    );
    // Not one chunk more than what it takes to see it.
    assert_eq!(scene.remote.sent(ROOTFS), 11_000);
    assert_eq!(scene.files(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn refuses_more_than_the_limit_where_the_index_gives_no_size() {
    let mut scene = Scene::new();
    let mut limits = Limits::default();
    limits.file_bytes = 10_499;
    scene.context = scene.context.clone().with_limits(limits);
    let image = scene.rootfs_by(vec![digest(&scene.rootfs)]);
    let error = scene.fetch(&image).await.expect_err("too large");
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(
        error.to_string(),
        format!("has 10500 bytes, at most 10499 bytes are allowed: {ROOTFS}")
    );
    scene.remote.fail(ROOTFS, &[Fault::Grow(0)]);
    let error = scene.fetch(&image).await.expect_err("too large");
    assert_eq!(
        error.to_string(),
        format!("has more bytes, at most 10499 bytes are allowed: {ROOTFS}")
    );
}

#[tokio::test]
async fn takes_a_file_below_the_size_limit_of_the_index_and_refuses_one_above() {
    let scene = Scene::new();
    let by_limit = |limit| {
        let mut image = scene.rootfs_by(vec![digest(&scene.rootfs)]);
        image = image.map(|mut image| {
            image.downloads[0].size = None;
            image.downloads[0].size_limit = Some(limit);
            image
        });
        image
    };
    let error = scene.fetch(&by_limit(10_499)).await.expect_err("too large");
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(
        error.to_string(),
        format!("has 10500 bytes, at most 10499 bytes are allowed: {ROOTFS}")
    );
    let stored = scene.fetch(&by_limit(20_000)).await.expect("smaller");
    assert_eq!(stored.size(), 10_500);
}

#[tokio::test]
async fn refuses_an_answer_of_another_size_than_the_index_says() {
    let scene = Scene::new();
    scene.remote.put(ROOTFS, scene.rootfs[..10_000].to_vec());
    let error = scene.fetch(&scene.image()).await.expect_err("another size");
    assert_eq!(error.kind(), ErrorKind::Untrusted);
    assert_eq!(
        error.to_string(),
        format!("has 10000 bytes, the index says 10500: {ROOTFS}")
    );
}

#[tokio::test]
async fn refuses_what_needs_more_room_than_there_is() {
    let scene = Scene::new();
    let mut limits = Limits::default();
    limits.file_bytes = u64::MAX;
    let context = scene.context.clone().with_limits(limits);
    let rootfs = ImageFile::new("rootfs.tar.xz", FileRole::Rootfs);
    let download =
        Download::new(vec![url(ROOTFS)], rootfs, vec![digest(b"")]).with_size(Some(1 << 60));
    let image = verified(Image::new(id(), vec![download]));
    let error = scene
        .store
        .fetch(&context, &scene.config, &image)
        .await
        .expect_err("no room");
    assert_eq!(error.kind(), ErrorKind::Storage);
    let message = error.to_string();
    assert!(
        message.starts_with("needs 1152921504606846976 bytes on the disk of the store, "),
        "{message}"
    );
    assert!(
        message.ends_with(
            " are free: https+lxc-images://images.example/ubuntu/trusty/amd64/default \
        build 20240601_05:00; free some, or prune the store"
        ),
        "{message}"
    );
    assert_eq!(scene.remote.asked(), []);
}

#[tokio::test]
async fn refuses_images_that_cannot_be_kept_as_described() {
    let scene = Scene::new();
    let file = |name: &str| ImageFile::new(name, FileRole::Rootfs);
    let download = |name: &str| Download::new(vec![url(ROOTFS)], file(name), vec![digest(b"x")]);
    let about =
        "https+lxc-images://images.example/ubuntu/trusty/amd64/default build 20240601_05:00";
    let nowhere = Download::new(Vec::new(), file("a"), vec![digest(b"x")]);
    let unchecked = Download::new(vec![url(ROOTFS)], file("a"), Vec::new());
    let doubtful = Download::new(
        vec![url(ROOTFS)],
        file("a"),
        vec![digest(b"x"), digest(b"y")],
    );
    let unsigned = Check::Signature {
        locations: Vec::new(),
        keys: keyring(key()),
    };
    let unsigned = Download::new(vec![url(ROOTFS)], file("a"), vec![unsigned]);
    let (x, y) = (Sha256::of(b"x"), Sha256::of(b"y"));
    for (downloads, kind, message) in [
        (
            vec![],
            ErrorKind::Malformed,
            format!("the image has no files: {about}"),
        ),
        (
            vec![download("../etc/passwd")],
            ErrorKind::Unsafe,
            "the name of an image file is not plain: `../etc/passwd`".into(),
        ),
        (
            vec![download("a"), download("a")],
            ErrorKind::Malformed,
            format!("two files of the image are called `a`: {about}"),
        ),
        (
            vec![nowhere],
            ErrorKind::Malformed,
            format!("a file of the image is nowhere to be found: {about}"),
        ),
        (
            vec![unchecked],
            ErrorKind::Untrusted,
            format!("does not verify: {ROOTFS}"),
        ),
        (
            vec![doubtful],
            ErrorKind::Malformed,
            format!("a file has two digests, {x} and {y}: {about}"),
        ),
        (
            vec![unsigned],
            ErrorKind::Malformed,
            format!("a signature of the image is nowhere to be found: {about}"),
        ),
        (
            vec![download("a").with_size(Some(1 << 40))],
            ErrorKind::TooLarge,
            format!("has 1099511627776 bytes, at most 68719476736 bytes are allowed: {ROOTFS}"),
        ),
    ] {
        let error = scene
            .fetch(&verified(Image::new(id(), downloads)))
            .await
            .expect_err(&message);
        assert_eq!((error.kind(), error.to_string()), (kind, message));
    }
    assert_eq!(scene.remote.asked(), []);
}

#[tokio::test]
async fn warns_of_an_image_past_its_expiry_and_brings_it() {
    let scene = Scene::new();
    let image = scene
        .image()
        .map(|image| image.with_expiry(Some(at(NOW - 1))));
    let stored = scene.fetch(&image).await.expect("fetched");
    assert_eq!(stored.expires_at(), Some(at(NOW - 1)));
    assert_eq!(
        scene.events.warnings(),
        [format!("{} is published past its expiry", id())]
    );
}

#[tokio::test]
async fn gives_files_that_can_be_read_only() {
    use std::io::Write;
    let scene = Scene::new();
    let stored = scene.fetch(&scene.image()).await.expect("fetched");
    let file = stored
        .artifact("rootfs.tar.xz")
        .expect("rootfs")
        .open()
        .expect("opens");
    let error = (&*file).write(b"x").expect_err("read-only");
    assert_eq!(
        error.raw_os_error(),
        Some(rustix::io::Errno::BADF.raw_os_error())
    );
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(scene.published("rootfs.tar.xz"))
        .expect("published")
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o400);
}
