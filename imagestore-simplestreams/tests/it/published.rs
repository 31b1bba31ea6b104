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
use imagestore_testkit::conformance::all_that_is_listed_is_there;
use imagestore_testkit::oracle::Tool;
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

    fn publisher(&self) -> SimplestreamsPublisher<'static> {
        SimplestreamsPublisher::new(self.tree())
            .with_key(keys::images())
            .with_time(keys::at(keys::SIGNED))
    }

    /// A build with a tarball and a squashfs; each differs from the one before.
    pub(crate) fn publish(&self, build: &str, squashfs: &Path) {
        self.publish_by(&self.publisher(), build, squashfs);
    }

    /// The same with a delta from the build before.
    pub(crate) fn publish_delta(&self, build: &str, squashfs: &Path, xdelta3: &Tool) {
        let publisher = self.publisher().with_deltas(xdelta3.path());
        self.publish_by(&publisher, build, squashfs);
    }

    /// Another image, in one file, which is left in `combined.tar.xz`.
    pub(crate) fn publish_combined(&self, build: &str) {
        let combined = self.path("combined.tar.xz");
        let yaml = "architecture: x86_64\ncreation_date: 1717200000\n";
        fs::write(self.path("metadata.yaml"), yaml).expect("written");
        let tar = Tool::find("tar").expect("tar");
        let packed = tar
            .command()
            .folder(self.folder.path())
            .args(["-cJf", "combined.tar.xz", "metadata.yaml", "rootfs"])
            .run();
        drop(packed.expect_success());
        let contents = ImageContents::new(ImageMetadata::Made).with_combined(combined);
        let name = format!("ubuntu/trusty/{ARCH}/one");
        publish(&self.publisher(), &name, build, &contents);
    }

    /// An image of this release, under the name that is the newest's.
    fn publish_release(&self, release: &str, build: &str) {
        fs::write(self.path("squashfs"), format!("hsqs, and {release}")).expect("written");
        let contents = ImageContents::new(ImageMetadata::Made)
            .with_squashfs(self.path("squashfs"))
            .with_alias("ubuntu/lts");
        let name = format!("ubuntu/{release}/{ARCH}/default");
        publish(&self.publisher(), &name, build, &contents);
    }

    fn publish_by(&self, publisher: &SimplestreamsPublisher<'_>, build: &str, squashfs: &Path) {
        fs::write(self.path("rootfs/etc/build"), build).expect("written");
        let options = PackOptions::default().with_owners(Owners::Root);
        let contents = ImageContents::new(ImageMetadata::Made)
            .with_rootfs(RootfsSource::Directory(self.path("rootfs"), options))
            .with_squashfs(squashfs)
            .with_alias("ubuntu/lts");
        let name = format!("ubuntu/trusty/{ARCH}/default");
        publish(publisher, &name, build, &contents);
    }
}

fn publish(
    publisher: &SimplestreamsPublisher<'_>,
    name: &str,
    build: &str,
    contents: &ImageContents,
) {
    let (name, build) = (
        name.parse().expect("a name"),
        build.parse().expect("a build"),
    );
    let published = publisher.publish(&name, build, contents);
    published.expect("published");
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

/// Bytes that look like no others, behind the magic of a squashfs.
fn squashfs(place: &Place, name: &str, change: u8) -> PathBuf {
    let mut bytes = b"hsqs".to_vec();
    for block in 0..3000_u32 {
        bytes.extend_from_slice(Sha256::of(&block.to_le_bytes()).as_bytes());
    }
    bytes[50_000] ^= change;
    let path = place.path(name);
    fs::write(&path, bytes).expect("written");
    path
}

#[tokio::test]
async fn the_next_build_comes_as_a_delta_and_whole_if_that_is_damaged() {
    let Some(xdelta3) = Tool::find("xdelta3") else {
        return;
    };
    let place = Place::new();
    let (first, second) = (squashfs(&place, "one", 0), squashfs(&place, "two", 1));
    place.publish_delta("20240531_12:00", &first, &xdelta3);
    place.publish_delta("20240531_12:01", &second, &xdelta3);
    let folder = format!("{BASE}/images/ubuntu/trusty/{ARCH}/default/20240531_12:01");
    let (full, delta) = (
        format!("{folder}/rootfs.squashfs"),
        format!("{folder}/root.20240531_12:00.vcdiff"),
    );
    for damaged in [false, true] {
        let (transport, context) = context(&place.tree());
        let store = Store::open(&place.path(&format!("store-{damaged}"))).expect("a store");
        let source = source(&context, "squashfs");
        if damaged {
            let mut bytes = transport.file(&delta).expect("published").to_vec();
            bytes[20] ^= 1;
            transport.put(&delta, bytes);
        }
        for build in ["20240531_12:00", "20240531_12:01"] {
            let name = format!("ubuntu/trusty/{ARCH}/default/{build}");
            let image = lookup(&source, &name).await.expect("listed");
            let stored = store.fetch(&context, source.remote(), &image).await;
            let stored = stored.expect("right");
            assert_eq!(stored.fingerprint(), image.fingerprint);
        }
        assert_eq!(transport.count(&delta), 1, "damaged: {damaged}");
        assert_eq!(transport.count(&full), usize::from(damaged));
    }
}

#[tokio::test]
async fn an_image_in_one_file_is_found_and_kept() {
    // GNU tar calls it.
    if Tool::find("xz").is_none() {
        return;
    }
    let place = Place::new();
    place.publish_combined("20240531_12:00");
    let (_, context) = context(&place.tree());
    let store = Store::open(&place.path("store")).expect("a store");
    let source = source(&context, "tar");
    let image = lookup(&source, "ubuntu/trusty/one").await.expect("listed");
    assert_eq!(image.id.build(), "20240531_12:00+combined");
    let stored = store.fetch(&context, source.remote(), &image).await;
    let stored = stored.expect("right");
    assert_eq!(stored.artifacts().len(), 1);
    let bytes = fs::read(place.path("combined.tar.xz")).expect("there");
    assert_eq!(stored.fingerprint(), Some(Sha256::of(&bytes)));
}

#[tokio::test]
async fn an_alias_leads_to_the_newest_of_the_images_that_ask_for_it() {
    let place = Place::new();
    for (release, build, wanted) in [
        ("trusty", "20240530_12:00", "trusty"),
        ("xenial", "20240531_12:00", "xenial"),
        // An older build of another release takes nothing away.
        ("precise", "20240529_12:00", "xenial"),
        ("trusty", "20240531_13:00", "trusty"),
    ] {
        place.publish_release(release, build);
        let (_, context) = context(&place.tree());
        let source = source(&context, "squashfs");
        let image = lookup(&source, "ubuntu/lts").await.expect("one image");
        let path = format!("ubuntu/{wanted}/{ARCH}/default");
        assert_eq!(image.id.path(), path, "after {release} {build}");
        all_that_is_listed_is_there(&source, 6).await;
    }
}
