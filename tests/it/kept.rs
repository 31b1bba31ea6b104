//! What is kept of remotes from one look-up to the next, and when it is not good any more.

use std::fs;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use imagestore::config::RemoteSettings;
use imagestore::core::{Event, Progress};
use imagestore::{Config, ErrorKind, ImageRef, ImageStore, Network};
use imagestore_publish::{
    ImageContents, ImageMetadata, PackOptions, RootfsSource, SimplestreamsPublisher,
};
use imagestore_testkit::{Fault, Server, Site, keys};
use imagestore_verify::Policy;
use imagestore_verify::signing::SigningKey;
use tempfile::TempDir;

use crate::world::{BUILD, DIRECTORY, REFERENCE, World};

/// A signed simplestreams tree with one image, served over TLS.
struct Tree {
    server: Server,
    directory: TempDir,
}

impl Tree {
    fn new() -> Self {
        let directory = TempDir::new().expect("a directory");
        fs::create_dir_all(directory.path().join("rootfs/etc")).expect("made");
        let tree = directory.path().join("tree");
        let server = Server::https(Site::directory(tree)).expect("a port");
        let tree = Self { server, directory };
        tree.trust(keys::images());
        tree.publish(FIRST);
        tree
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn publish(&self, build: &str) {
        fs::write(self.path("rootfs/etc/build"), build).expect("written");
        let rootfs = RootfsSource::Directory(self.path("rootfs"), PackOptions::default());
        let contents = ImageContents::new(ImageMetadata::Made).with_rootfs(rootfs);
        SimplestreamsPublisher::new(self.path("tree"))
            .with_key(keys::images())
            .with_kept_versions(NonZeroUsize::MIN)
            .with_time(keys::at(keys::SIGNED))
            .publish(
                &NAME.parse().expect("a name"),
                build.parse().expect("a build"),
                &contents,
            )
            .expect("published");
    }

    /// A publisher without a grace for old builds.
    fn drop_build(&self, build: &str) {
        let folder = self.path("tree/images").join(NAME).join(build);
        fs::remove_dir_all(folder).expect("removed");
    }

    /// Writes the key file that the configuration names.
    fn trust(&self, key: &SigningKey) {
        fs::write(self.path("tree.asc"), key.certificate()).expect("written");
    }

    fn images(&self, settings: RemoteSettings) -> (ImageStore, Arc<Warnings>) {
        self.images_over(settings, Network::Online)
    }

    fn images_over(
        &self,
        settings: RemoteSettings,
        network: Network,
    ) -> (ImageStore, Arc<Warnings>) {
        let name = "tree".parse().expect("a name");
        let warnings = Arc::<Warnings>::default();
        let images = ImageStore::builder()
            .with_config(Config::new(self.directory.path()).with_remote(name, settings))
            .with_store_dir(self.path("store"))
            .with_policy(Policy::default().with_at(keys::at(keys::NOW)))
            .with_progress(warnings.clone())
            .with_network(network)
            .build()
            .expect("a store");
        (images, warnings)
    }

    fn by_channel(&self) -> RemoteSettings {
        let certificate = self.server.certificate().expect("served over TLS");
        let url = format!("https+simplestreams://{}", self.server.authority());
        RemoteSettings::new(url).with_trusted_certs([format!("sha256:{}", certificate.sha256())])
    }

    fn signed(&self) -> RemoteSettings {
        self.by_channel().with_trusted_keys(["tree.asc"])
    }

    fn asked(&self, path: &str) -> usize {
        self.server.requests_for(path).len()
    }
}

#[derive(Debug, Default)]
struct Warnings(Mutex<Vec<String>>);

impl Warnings {
    fn all(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Progress for Warnings {
    fn on(&self, event: Event<'_>) {
        if let Event::Warning { text } = event {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.push(text.to_owned());
        }
    }
}

fn reference() -> ImageRef {
    format!("tree:{NAME}").parse().expect("a reference")
}

#[tokio::test]
async fn one_index_serves_many_lookups_through_one_image_store() {
    let tree = Tree::new();
    let (images, _) = tree.images(tree.by_channel());
    for _ in 0..2 {
        let found = images.resolve(&reference()).await.expect("found");
        assert_eq!(found.image.id.build(), format!("{FIRST}+tar"));
        images.list(&reference()).await.expect("listed");
    }
    images.clone().fetch(&reference()).await.expect("fetched");
    assert_eq!(tree.asked(INDEX), 1);
    assert_eq!(tree.asked("/streams/v1/images.json"), 1);
}

#[tokio::test]
async fn a_changed_key_file_takes_effect_at_once() {
    let tree = Tree::new();
    let (images, _) = tree.images(tree.signed());
    images.resolve(&reference()).await.expect("found");
    tree.trust(keys::stranger());
    let error = images.resolve(&reference()).await.expect_err("another key");
    assert_eq!(error.kind(), ErrorKind::Untrusted, "{error}");
    tree.trust(keys::images());
    images.resolve(&reference()).await.expect("found");
}

#[tokio::test]
async fn indexes_of_other_protocols_are_seen_as_they_are() {
    let world = World::new();
    let images = world.image_store();
    let reference: ImageRef = REFERENCE.parse().expect("a reference");
    let found = images.resolve(&reference).await.expect("found");
    assert_eq!(found.image.id.build(), BUILD);

    let later = DIRECTORY.replace(BUILD, LATER);
    world.publish_build(&later, "later\n");
    let line = ("ubuntu;trusty;amd64;default", LATER, later.as_str());
    world.publish_index(&[line], keys::SIGNED + 1);
    let found = images.resolve(&reference).await.expect("found");
    assert_eq!(found.image.id.build(), LATER);

    let at = keys::SIGNED + 1;
    let index = serde_json::json!({"version": 1, "generated_at": at, "servers": [], "aliases": {}});
    let index = index.to_string().into_bytes();
    world.put(
        &world.registry,
        "/1.0/index.json",
        &index,
        keys::registry(),
        at,
    );
    let error = images.resolve(&reference).await.expect_err("not there");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

#[tokio::test]
async fn a_build_that_was_rotated_away_gives_way_to_the_next() {
    for signed in [true, false] {
        let tree = Tree::new();
        let settings = if signed {
            tree.signed()
        } else {
            tree.by_channel()
        };
        let (images, warnings) = tree.images(settings);
        images.resolve(&reference()).await.expect("found");
        tree.publish(SECOND);
        tree.drop_build(FIRST);
        let fetched = images.fetch(&reference()).await.expect("the next");
        assert_eq!(fetched.image.id().build(), format!("{SECOND}+tar"));
        assert_eq!(fetched.stale, None);
        let warnings = warnings.all();
        let [warning] = warnings.as_slice() else {
            panic!("one warning, not {warnings:?}");
        };
        assert!(warning.contains(FIRST), "{warning}");
        assert!(
            warning.ends_with("; asking for the index anew"),
            "{warning}"
        );
        let index = if signed {
            "/streams/v1/index.sjson"
        } else {
            INDEX
        };
        assert_eq!(tree.asked(index), 2);
    }
}

#[tokio::test]
async fn a_file_that_is_gone_for_good_is_an_error_after_asking_once_more() {
    let tree = Tree::new();
    let (images, warnings) = tree.images(tree.by_channel());
    let rootfs = format!("/images/{NAME}/{FIRST}/rootfs.tar.xz");
    tree.server.remove(&rootfs);
    let error = images.fetch(&reference()).await.expect_err("gone");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains(&rootfs), "{error}");
    assert_eq!(tree.asked(INDEX), 2);
    assert_eq!(tree.asked(&rootfs), 1);
    assert_eq!(warnings.all().len(), 1);

    // A remote that cannot be asked once more says nothing against the first error.
    let (images, _) = tree.images(tree.by_channel());
    images.resolve(&reference()).await.expect("found");
    tree.server.fail(INDEX, Fault::status(501));
    let error = images.fetch(&reference()).await.expect_err("gone");
    assert!(error.to_string().contains(&rootfs), "{error}");
}

#[tokio::test]
async fn a_build_that_is_gone_from_the_index_too_is_said_to_be_gone() {
    let tree = Tree::new();
    let (images, _) = tree.images(tree.by_channel());
    let named: ImageRef = format!("tree:{NAME}/{FIRST}").parse().expect("a reference");
    images.resolve(&named).await.expect("found");
    tree.publish(SECOND);
    tree.drop_build(FIRST);
    let error = images.fetch(&named).await.expect_err("gone");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(
        error.to_string(),
        format!("no such build: `{NAME}/{FIRST}`")
    );
    assert_eq!(tree.asked(INDEX), 2);
}

/// Replaces the one build of a world by a later one when the first file of it is asked for.
#[derive(Debug)]
struct Rotating(Mutex<Option<World>>, Mutex<Option<World>>);

impl Progress for Rotating {
    fn on(&self, event: Event<'_>) {
        let Event::Asked { url } = event else { return };
        if !url.path().ends_with(".tar.xz.asc") {
            return;
        }
        let world = self.0.lock().expect("whole").take();
        let Some(world) = world else { return };
        let later = DIRECTORY.replace(BUILD, LATER);
        world.publish_build(&later, "later\n");
        let line = ("ubuntu;trusty;amd64;default", LATER, later.as_str());
        world.publish_index(&[line], keys::SIGNED + 1);
        for name in ["meta.tar.xz", "rootfs.tar.xz", "SHA256SUMS"] {
            for path in [name.to_owned(), format!("{name}.asc")] {
                world.images.remove(&format!("{DIRECTORY}{path}"));
            }
        }
        *self.1.lock().expect("whole") = Some(world);
    }
}

#[tokio::test]
async fn a_signed_build_that_goes_during_its_download_gives_way_to_the_next() {
    let world = World::new();
    let config = Config::open(&world.write_config()).expect("valid");
    let store = world.path("store");
    let rotating = Arc::new(Rotating(Mutex::new(Some(world)), Mutex::default()));
    let images = ImageStore::builder()
        .with_config(config)
        .with_store_dir(store)
        .with_policy(Policy::default().with_at(keys::at(keys::NOW)))
        .with_progress(rotating.clone())
        .build()
        .expect("a store");
    let reference = REFERENCE.parse().expect("a reference");
    let fetched = images.fetch(&reference).await.expect("the next");
    assert_eq!(fetched.image.id().build(), LATER);
    assert!(rotating.1.lock().expect("whole").is_some());
}

#[tokio::test]
async fn a_signed_tree_is_kept_for_when_there_is_no_network() {
    let tree = Tree::new();
    let (images, _) = tree.images(tree.signed());
    images.fetch(&reference()).await.expect("fetched");
    tree.server.forget_requests();
    let (images, _) = tree.images_over(tree.signed(), Network::Offline);
    images.fetch(&reference()).await.expect("all of it is here");
    assert!(tree.server.requests().is_empty());
    // What only the channel vouches for is not kept: what lies on a disk came over no channel.
    let (images, _) = tree.images_over(tree.by_channel(), Network::Offline);
    let error = images.resolve(&reference()).await.expect_err("not kept");
    assert_eq!(error.kind(), ErrorKind::Network);
}

const NAME: &str = "ubuntu/trusty/amd64/default";
const FIRST: &str = "20240530_12:00";
const SECOND: &str = "20240531_12:00";
const LATER: &str = "20240601_03:49";
const INDEX: &str = "/streams/v1/index.json";
