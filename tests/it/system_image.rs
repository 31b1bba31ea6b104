//! A system-image server from the publisher to a directory: first a full image, then a delta on it.

use std::fs;
use std::path::{Path, PathBuf};

use imagestore::{Config, ErrorKind, ImageStore, Result, UnpackOptions, UnpackedImage};
use imagestore_publish::{
    BuildContents, KeyringRole, Part, RoleKeyring, SystemChannel, SystemImageKeys,
    SystemImagePublisher,
};
use imagestore_testkit::{Server, Site, keys};
use imagestore_verify::Policy;
use imagestore_verify::signing::SigningKey;
use tempfile::TempDir;

struct Touch {
    directory: TempDir,
    archive: SigningKey,
    master: SigningKey,
    signing: SigningKey,
    server: Server,
}

impl Touch {
    fn new() -> Self {
        let directory = TempDir::new().expect("a directory");
        let root = directory.path().join("server");
        fs::create_dir(&root).expect("made");
        let touch = Self {
            server: Server::https(Site::directory(&root)).expect("a port"),
            archive: keys::new("archive-master"),
            master: keys::new("image-master"),
            signing: keys::new("image-signing"),
            directory,
        };
        for (role, key) in [
            (KeyringRole::ArchiveMaster, &touch.archive),
            (KeyringRole::ImageMaster, &touch.master),
            (KeyringRole::ImageSigning, &touch.signing),
        ] {
            let keyring = RoleKeyring::new(role).with_key(key.certificate());
            touch.publisher().keyring(&keyring).expect("published");
        }
        let own = SystemChannel::Own { hidden: false };
        touch
            .publisher()
            .channel("24.04/arm64/stable", &own)
            .expect("published");
        touch
    }

    fn publisher(&self) -> SystemImagePublisher<'_> {
        let keys = SystemImageKeys::new(&self.archive, &self.master, &self.signing);
        SystemImagePublisher::new(self.path("server"), keys).with_time(keys::at(keys::SIGNED))
    }

    /// Publishes a tree with these files below `system/etc`.
    fn publish(&self, files: &[(&str, &str)], base: Option<u32>) {
        let tree = self.path(&format!("tree-{}", base.unwrap_or(0)));
        fs::create_dir_all(tree.join("system/etc")).expect("made");
        for (name, text) in files {
            fs::write(tree.join("system/etc").join(name), text).expect("written");
        }
        let mut contents = BuildContents::new(vec![Part::new("rootfs", tree)]);
        contents.delta_from = base;
        self.publisher()
            .publish("24.04/arm64/stable", "phone", &contents)
            .expect("published");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn image_store(&self) -> ImageStore {
        let write = |name: &str, text: &str| fs::write(self.path(name), text).expect("written");
        let fingerprint = self.archive.fingerprint().to_string();
        fs::create_dir_all(self.path("keys")).expect("made");
        write(
            &format!("keys/{fingerprint}.asc"),
            &self.archive.certificate(),
        );
        let certificate = self.server.certificate().expect("served over TLS");
        write("touch.pem", certificate.pem());
        write(
            "remotes.toml",
            &format!(
                "[remotes.touch]\nurl = \"https+system-image://{}\"\n\
                 trusted_keys = [\"{fingerprint}\"]\ntrusted_certs = [\"touch.pem\"]\n",
                self.server.authority()
            ),
        );
        ImageStore::builder()
            .with_config(Config::open(&self.path("remotes.toml")).expect("valid"))
            .with_store_dir(self.path("store"))
            .with_policy(Policy::default().with_at(keys::at(keys::NOW)))
            .build()
            .expect("a store")
    }

    async fn fetch(&self, reference: &str, target: &Path) -> Result<UnpackedImage> {
        let images = self.image_store();
        let fetched = images.fetch(&reference.parse()?).await?;
        images
            .unpack(&fetched.image, target, &UnpackOptions::default())
            .await
    }
}

fn etc(target: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(target.join("system/etc")).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            let name = path
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            found.push((name, fs::read_to_string(&path).expect("text")));
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn a_full_image_is_fetched_and_then_upgraded_by_a_delta() {
    let touch = Touch::new();
    touch.publish(
        &[("same", "same"), ("changes", "old"), ("gone", "old")],
        None,
    );
    let (target, fresh) = (touch.path("phone"), touch.path("fresh"));
    let done = touch
        .fetch("touch:24.04/arm64/stable/phone", &target)
        .await
        .expect("the full image");
    assert!(done.to_string().starts_with("layers has "), "{done}");
    let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    assert_eq!(
        etc(&target),
        [
            file("changes", "old"),
            file("gone", "old"),
            file("same", "same"),
            file("ubuntu-build", "1\n")
        ]
    );

    touch.publish(
        &[("same", "same"), ("changes", "new"), ("added", "new")],
        Some(1),
    );
    touch
        .fetch("touch:24.04/arm64/stable/phone/1..", &target)
        .await
        .expect("the delta");
    touch
        .fetch("touch:24.04/arm64/stable/phone", &fresh)
        .await
        .expect("the full image");
    assert_eq!(etc(&target), etc(&fresh));
    assert_eq!(
        etc(&target),
        [
            file("added", "new"),
            file("changes", "new"),
            file("same", "same"),
            file("ubuntu-build", "2\n")
        ]
    );

    let error = touch
        .fetch("touch:24.04/arm64/stable/phone/1..2", &target)
        .await
        .expect_err("it is at 2 already");
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
}

#[tokio::test]
async fn a_delta_that_breaks_during_the_download_is_planned_around() {
    let touch = Touch::new();
    touch.publish(&[("a", "old")], None);
    touch.publish(&[("a", "new")], Some(1));
    let pool = fs::read_dir(touch.path("server/pool")).expect("the pool");
    for entry in pool {
        let path = entry.expect("an entry").path();
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        if name.contains(".delta-") && name.ends_with(".tar.xz") {
            fs::remove_file(&path).expect("removed");
        }
    }
    touch
        .fetch("touch:24.04/arm64/stable/phone/1..", &touch.path("phone"))
        .await
        .expect("the full image is the last resort");
    assert_eq!(
        etc(&touch.path("phone"))[0],
        ("a".to_owned(), "new".to_owned())
    );
}
