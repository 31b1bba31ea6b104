use std::error::Error as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use imagestore::{Config, Error, ErrorKind, ImageStore, Result, UnpackOptions, UnpackedImage};
use imagestore_testkit::{Server, Site, keys};
use imagestore_verify::signing::SigningKey;
use imagestore_verify::{Policy, Sha256};
use tempfile::TempDir;

pub(crate) const REFERENCE: &str = "images:lxc-images/ubuntu/trusty/amd64/default";
pub(crate) const BUILD: &str = "20240531_03:49";
pub(crate) const DIRECTORY: &str = "/images/ubuntu/trusty/amd64/default/20240531_03:49/";

/// A registry and an lxc-images server, signed and served over TLS, with a place to fetch to.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) registry: Server,
    pub(crate) images: Server,
    directory: TempDir,
}

impl World {
    /// Signed at a fixed time, to be judged a day later: see [`World::image_store`].
    pub(crate) fn new() -> Self {
        Self::signed(keys::SIGNED)
    }

    /// Signed now, for programs that go by the clock of the system.
    pub(crate) fn now() -> Self {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .expect("after 1970");
        Self::signed(now.as_secs())
    }

    fn signed(at: u64) -> Self {
        let world = Self {
            registry: Server::https(Site::empty()).expect("a port"),
            images: Server::https(Site::empty()).expect("a port"),
            directory: TempDir::new().expect("a directory"),
        };
        world.publish_build(DIRECTORY, "trusty\n");
        world.publish_index(&[("ubuntu;trusty;amd64;default", BUILD, DIRECTORY)], at);
        world.publish_registry(at);
        world
    }

    /// Puts a file and its signature where they belong.
    pub(crate) fn put(&self, server: &Server, path: &str, bytes: &[u8], key: &SigningKey, at: u64) {
        server.put(path, bytes.to_vec());
        server.put(&format!("{path}.asc"), keys::sign(key, bytes, keys::at(at)));
    }

    pub(crate) fn publish_build(&self, directory: &str, hostname: &str) {
        let (meta, rootfs) = (meta_archive(), rootfs_archive(hostname));
        let sums = format!(
            "{}  meta.tar.xz\n{}  rootfs.tar.xz\n",
            Sha256::of(&meta),
            Sha256::of(&rootfs)
        );
        for (name, bytes) in [
            ("meta.tar.xz", &meta),
            ("rootfs.tar.xz", &rootfs),
            ("SHA256SUMS", &sums.into_bytes()),
        ] {
            let path = format!("{directory}{name}");
            self.put(&self.images, &path, bytes, keys::images(), keys::SIGNED);
        }
    }

    pub(crate) fn publish_index(&self, lines: &[(&str, &str, &str)], at: u64) {
        let index: String = lines
            .iter()
            .map(|(tuple, build, path)| format!("{tuple};{build};{path}\n"))
            .collect();
        self.put(
            &self.images,
            "/meta/1.0/index-user",
            index.as_bytes(),
            keys::images(),
            at,
        );
    }

    pub(crate) fn publish_registry(&self, at: u64) {
        let key_name = format!("/keys/0x{}", keys::images().fingerprint());
        let certificate = self.images.certificate().expect("served over TLS");
        let pin = certificate.sha256().to_string().to_uppercase();
        let index = serde_json::json!({
            "version": 1,
            "generated_at": at,
            "servers": [{
                "name": "lxc-images",
                "description": "Images for tests.",
                "url": format!("https+lxc-images://{}", self.images.authority()),
                "arguments": {},
                "trusted_keys": [key_name],
                "trusted_certs": [format!("/certs/{pin}")],
            }],
            "aliases": {"ubuntu/lts": {"server": "lxc-images",
                "arguments": {"distribution": "ubuntu", "release": "trusty", "variant": "default"}}},
        });
        let index = index.to_string().into_bytes();
        self.put(
            &self.registry,
            "/1.0/index.json",
            &index,
            keys::registry(),
            at,
        );
        let certificate_of_key = keys::images().certificate();
        self.put(
            &self.registry,
            &key_name,
            certificate_of_key.as_bytes(),
            keys::registry(),
            at,
        );
        let pem = certificate.pem().as_bytes();
        self.put(
            &self.registry,
            &format!("/certs/{pin}"),
            pem,
            keys::registry(),
            at,
        );
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The configuration a person would write: files of keys and certificates beside
    /// `remotes.toml`.
    pub(crate) fn write_config(&self) -> PathBuf {
        let write =
            |name: &str, text: &str| std::fs::write(self.path(name), text).expect("written");
        write("registry.asc", &keys::registry().certificate());
        write(
            "registry.pem",
            self.registry.certificate().expect("served over TLS").pem(),
        );
        let config = format!(
            "default = \"images\"\n\n[remotes.images]\nurl = \"https+registry://{}\"\n\
             trusted_keys = [\"registry.asc\"]\ntrusted_certs = [\"registry.pem\"]\n\
             default_arch = \"amd64\"\n",
            self.registry.authority()
        );
        write("remotes.toml", &config);
        self.path("remotes.toml")
    }

    pub(crate) fn image_store(&self) -> ImageStore {
        let config = Config::open(&self.write_config()).expect("a valid configuration");
        ImageStore::builder()
            .with_config(config)
            .with_store_dir(self.path("store"))
            .with_policy(Policy::default().with_at(keys::at(keys::NOW)))
            .build()
            .expect("a store")
    }

    /// Fetches and unpacks into `out`.
    pub(crate) async fn fetch(&self, reference: &str) -> Result<UnpackedImage> {
        let images = self.image_store();
        let fetched = images.fetch(&reference.parse()?).await?;
        images
            .unpack(&fetched.image, &self.path("out"), &UnpackOptions::default())
            .await
    }

    /// Fetches, is refused in this way, and leaves nothing in the output directory.
    pub(crate) async fn refuses(&self, reference: &str, kind: ErrorKind, message: &str) {
        let error = self.fetch(reference).await.expect_err("refused");
        let lines = chain(&error);
        assert_eq!(error.kind(), kind, "{lines:?}");
        assert!(
            lines.iter().any(|line| line.contains(message)),
            "no `{message}` in {lines:?}"
        );
        assert!(
            !self.path("out").exists(),
            "something is left in the output directory"
        );
        let left: Vec<_> = std::fs::read_dir(self.directory.path())
            .expect("a directory")
            .map(|entry| entry.expect("an entry").file_name())
            .filter(|name| name.to_string_lossy().starts_with(".out"))
            .collect();
        assert!(
            left.is_empty(),
            "left beside the output directory: {left:?}"
        );
    }
}

/// All lines of an error. None of them repeats another.
pub(crate) fn chain(error: &Error) -> Vec<String> {
    let mut lines = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(it) = cause {
        lines.push(it.to_string());
        cause = it.source();
    }
    for (n, line) in lines.iter().enumerate() {
        for (m, other) in lines.iter().enumerate() {
            assert!(
                n == m || !line.contains(other.as_str()),
                "`{line}` repeats `{other}`"
            );
        }
    }
    lines
}

pub(crate) fn meta_archive() -> Vec<u8> {
    let config = "lxc.include = LXC_TEMPLATE_CONFIG/common.conf\nlxc.arch = x86_64\n";
    let mut archive = tar::Builder::new(Vec::new());
    for (name, text) in [
        ("create-message", "You made a container.\n"),
        ("expiry", "1719792000\n"),
        ("excludes-user", "./dev/null\n"),
        ("config", config),
        ("config-user", config),
        ("templates", "/etc/hostname\n"),
    ] {
        append(&mut archive, name, 0o644, text.as_bytes());
    }
    xz(&archive.into_inner().expect("in memory"))
}

pub(crate) fn rootfs_archive(hostname: &str) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for directory in ["./", "./bin/", "./etc/"] {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(0o755);
        header.set_size(0);
        archive
            .append_data(&mut header, directory, std::io::empty())
            .expect("in memory");
    }
    append(&mut archive, "./etc/hostname", 0o644, hostname.as_bytes());
    append(&mut archive, "./bin/busybox", 0o4755, &[0x7f; 70_000]);
    for (kind, name, target) in [
        (tar::EntryType::Link, "./bin/sh", "./bin/busybox"),
        (tar::EntryType::Symlink, "./bin/ls", "busybox"),
    ] {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(0o777);
        header.set_size(0);
        archive
            .append_link(&mut header, name, target)
            .expect("in memory");
    }
    xz(&archive.into_inner().expect("in memory"))
}

pub(crate) fn append(archive: &mut tar::Builder<Vec<u8>>, name: &str, mode: u32, data: &[u8]) {
    let mut header = tar::Header::new_ustar();
    header.set_mode(mode);
    header.set_mtime(1_395_234_589);
    header.set_size(data.len() as u64);
    archive
        .append_data(&mut header, name, data)
        .expect("in memory");
}

pub(crate) fn xz(data: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 6);
    encoder.write_all(data).expect("in memory");
    encoder.finish().expect("in memory")
}

pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
