//! A real host, started and stopped.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use imagestore_core::{FileRole, RemoteConfig, TlsTrust, Trust};
use imagestore_lxd::Metadata;
use imagestore_store::StoredImage;
use imagestore_testkit::peers::Lxd;
use imagestore_unpack::{MemberLimits, StagedTarget, Unpacker, read_members};

/// Whether devices are made of those in an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Devices {
    Made,
    Skipped,
}

/// The real daemon, with images.
pub(crate) struct RealHost {
    pub(crate) lxd: Lxd,
    values: HashMap<String, String>,
}

impl RealHost {
    pub(crate) fn start() -> Option<Self> {
        let lxd = Lxd::start()?.listening();
        let text = lxd.run("images", &[]);
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let values = pairs.map(own).collect();
        Some(Self { lxd, values })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.lxd.directory().join(name)
    }

    pub(crate) fn lxc(&self, arguments: &[&str]) -> String {
        self.lxd.lxc(arguments)
    }

    pub(crate) fn value(&self, name: &str) -> &str {
        &self.values[name]
    }

    pub(crate) fn over_socket(&self) -> RemoteConfig {
        remote(&format!("unix+lxd://{}", self.lxd.socket().display()))
    }

    pub(crate) fn over_https(&self) -> RemoteConfig {
        let pin = self.value("CERTIFICATE").parse().expect("a digest");
        remote(&format!("https+lxd://127.0.0.1:{}", self.lxd.port()))
            .with_tls(TlsTrust::Pin(vec![pin]))
    }

    /// Whether a tree is the one that was packed, with or without its device.
    pub(crate) fn check_tree(&self, tree: &Path, path: &str, devices: Devices) {
        let packed = self.path("image/rootfs");
        let mut names = vec![PathBuf::new()];
        let mut count = 0;
        while let Some(name) = names.pop() {
            let (one, other) = (packed.join(&name), tree.join(&name));
            let wanted = fs::symlink_metadata(&one).expect("it is there");
            let kind = wanted.file_type();
            if kind.is_char_device() {
                let found = fs::symlink_metadata(&other).is_ok_and(|it| it.rdev() == wanted.rdev());
                assert_eq!(found, devices == Devices::Made, "{path}: a device");
                continue;
            }
            let found = fs::symlink_metadata(&other)
                .unwrap_or_else(|error| panic!("{path}: {name:?}: {error}"));
            assert_eq!(found.file_type(), kind, "{path}: {name:?}");
            assert_eq!((found.uid(), found.gid()), (0, 0), "{path}: {name:?}");
            if !kind.is_symlink() {
                assert_eq!(found.mode(), wanted.mode(), "{path}: {name:?}");
            }
            if kind.is_dir() {
                let below = fs::read_dir(&one).expect("a directory");
                names.extend(below.map(|entry| name.join(entry.expect("an entry").file_name())));
            } else if kind.is_file() {
                let same = fs::read(&one).expect("a file") == fs::read(&other).expect("a file");
                assert!(same, "{path}: {name:?}");
                assert_eq!(found.nlink(), wanted.nlink(), "{path}: {name:?}");
            } else if kind.is_symlink() {
                assert_eq!(
                    fs::read_link(&one).expect("a link"),
                    fs::read_link(&other).expect("a link")
                );
            }
            count += 1;
        }
        assert_eq!(count, 14, "{path}");
    }
}

fn remote(url: &str) -> RemoteConfig {
    RemoteConfig::new(
        "host".parse().expect("a name"),
        url.parse().expect(url),
        Trust::Channel,
    )
}

/// Unpacks an image of either form to `rootfs` in a directory, and reads what is said about it.
pub(crate) fn unpack(stored: &StoredImage, target: &Path) -> Metadata {
    let staged = StagedTarget::new(target).expect("a target");
    let unpacker = Unpacker::new();
    let mut members = Vec::new();
    for artifact in stored.artifacts() {
        match artifact.file().role {
            FileRole::Unified => {
                let unpacked = unpacker.unpack_unified(artifact.verified(), &staged, "rootfs");
                members = unpacked.expect("unpacked").metadata;
            }
            FileRole::Metadata => {
                let mut limits = MemberLimits::default();
                limits.components = 2;
                members = read_members(artifact.verified(), &limits).expect("members");
            }
            _ => {
                unpacker
                    .unpack_into(artifact.verified(), &staged, "rootfs")
                    .expect("unpacked");
            }
        }
    }
    staged.publish().expect("published");
    let names: Vec<_> = members
        .iter()
        .map(|member| member.name.as_slice())
        .collect();
    assert_eq!(names, [&b"metadata.yaml"[..], b"templates/hostname.tpl"]);
    Metadata::parse(&members[0].data).expect("metadata")
}
