//! From a tree that was published to files in a store.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use imagestore_core::{Context, ErrorKind, Image, ImageSource, RemoteConfig, Trust};
use imagestore_publish::{
    ImageContents, ImageMetadata, Owners, PackOptions, RootfsSource, SimplestreamsPublisher,
};
use imagestore_simplestreams::Simplestreams;
use imagestore_store::Store;
use imagestore_testkit::{MemoryTransport, keys};
use imagestore_verify::{Policy, Sha256, Verified};
use tempfile::TempDir;

use crate::tree::{BASE, lookup};

/// The architecture of this machine, for which alone a real client looks aliases up.
pub(crate) const ARCH: &str = match std::env::consts::ARCH.as_bytes() {
    b"aarch64" => "arm64",
    _ => "amd64",
};

/// A directory for a tree, and one with a small root file system.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        fs::create_dir_all(folder.path().join("rootfs/etc")).expect("made");
        fs::write(folder.path().join("rootfs/etc/hostname"), "tree\n").expect("written");
        Self { folder }
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub(crate) fn tree(&self) -> PathBuf {
        self.path("tree")
    }

    /// A build with a tarball and a squashfs; each differs from the one before.
    pub(crate) fn publish(&self, build: &str, squashfs: &Path) {
        fs::write(self.path("rootfs/etc/build"), build).expect("written");
        let options = PackOptions::default().with_owners(Owners::Root);
        let contents = ImageContents::new(ImageMetadata::Made)
            .with_rootfs(RootfsSource::Directory(self.path("rootfs"), options))
            .with_squashfs(squashfs)
            .with_alias("ubuntu/lts");
        let name = format!("ubuntu/trusty/{ARCH}/default");
        SimplestreamsPublisher::new(self.tree())
            .with_key(keys::images())
            .with_time(keys::at(keys::SIGNED))
            .publish(
                &name.parse().expect("a name"),
                build.parse().expect("a build"),
                &contents,
            )
            .expect("published");
    }
}

fn context(tree: &Path) -> (Arc<MemoryTransport>, Context) {
    let transport = Arc::new(MemoryTransport::new());
    transport.put_tree(BASE, tree).expect("files");
    let policy = Policy::default().with_at(keys::at(keys::NOW));
    let context = Context::new(transport.clone()).with_policy(policy);
    (transport, context)
}

fn source(context: &Context, prefer: &str) -> Simplestreams {
    let trust = Trust::Signatures(keys::keyring(keys::images()));
    let url = "https+simplestreams://images.example"
        .parse()
        .expect("a url");
    let arguments = [("prefer".to_owned(), prefer.to_owned())].into();
    let remote = RemoteConfig::new("ss".parse().expect("a name"), url, trust)
        .with_architecture(Some(ARCH.to_owned()))
        .with_arguments(arguments);
    Simplestreams::new(remote, context.clone()).expect("in order")
}

/// What our own reader finds in a tree, by its signatures.
pub(crate) async fn lookup_in(tree: &Path, path: &str, prefer: &str) -> Verified<Image> {
    let (_, context) = context(tree);
    let found = lookup(&source(&context, prefer), path).await;
    found.unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[tokio::test]
async fn what_is_published_is_found_and_kept() {
    let place = Place::new();
    fs::write(place.path("squashfs"), "hsqs, and then some").expect("written");
    place.publish("20240531_12:00", &place.path("squashfs"));
    let (transport, context) = context(&place.tree());
    let store = Store::open(&place.path("store")).expect("a store");
    for (prefer, file) in [("tar", "rootfs.tar.xz"), ("squashfs", "rootfs.squashfs")] {
        let source = source(&context, prefer);
        let image = lookup(&source, "ubuntu/lts").await.expect("listed");
        let stored = store.fetch(&context, source.remote(), &image).await;
        let stored = stored.expect("right");
        let names: Vec<_> = stored
            .artifacts()
            .iter()
            .map(|a| a.file().name.clone())
            .collect();
        assert_eq!(names, ["incus.tar.xz", file]);
        assert_eq!(stored.fingerprint(), image.fingerprint);
        assert_eq!(stored.properties()["form"], image.properties["form"]);
    }
    // Clear-signed documents are there, so nothing else was asked for.
    assert!(
        transport
            .requests()
            .iter()
            .all(|asked| !asked.ends_with(".gpg"))
    );
}

#[tokio::test]
async fn files_of_another_version_are_refused_one_by_one_and_together() {
    let place = Place::new();
    fs::write(place.path("squashfs"), "hsqs, and then some").expect("written");
    place.publish("20240531_12:00", &place.path("squashfs"));
    let (transport, context) = context(&place.tree());
    let store = Store::open(&place.path("store")).expect("a store");
    let source = source(&context, "tar");
    let image = lookup(&source, "ubuntu/lts").await.expect("listed");

    // The tree names a fingerprint that its files do not have, as a tree did that was taken over.
    let wrong = Sha256::of(b"another image");
    let lying = image.clone().map(|image| image.with_fingerprint(wrong));
    let error = store
        .fetch(&context, source.remote(), &lying)
        .await
        .expect_err("poison");
    assert_eq!(error.kind(), ErrorKind::Untrusted);
    assert!(
        error
            .to_string()
            .contains(&format!("the fingerprint is {wrong}")),
        "{error}"
    );

    // A body that is longer than the index says is not read to its end.
    let rootfs = image.downloads[1].locations[0].as_str();
    let size = image.downloads[1].size.expect("known") as usize;
    transport.put(rootfs, vec![b'x'; size + 1]);
    let error = store
        .fetch(&context, source.remote(), &image)
        .await
        .expect_err("longer");
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    transport.put(rootfs, vec![b'x'; size]);
    let error = store
        .fetch(&context, source.remote(), &image)
        .await
        .expect_err("others");
    assert_eq!(error.kind(), ErrorKind::Untrusted, "{error}");
}
