use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use imagestore_core::{
    Check, Download, Entry, EntryKind, Error, ErrorKind, FileRole, Image, ImageFile, ImageId,
    ImagePath, ImageSource, Listing, Lookup, RemoteConfig, Result, Trust, async_trait,
};
use imagestore_testkit::conformance::{self, Expected};
use imagestore_testkit::keys;
use imagestore_verify::{Sha256, Unverified, Verified, check_digest};

/// A source that holds one image under two names and another one in a folder, and may break one rule.
#[derive(Debug)]
struct Fixed {
    remote: RemoteConfig,
    broken: &'static str,
}

impl Fixed {
    fn new(broken: &'static str) -> Self {
        let remote = RemoteConfig::new(
            "fixed".parse().expect("a name"),
            "https+fixed://images.example".parse().expect("a URL"),
            Trust::Signatures(keys::keyring(keys::images())),
        );
        Self { remote, broken }
    }

    fn image(&self, path: &str) -> Image {
        let url = "https://images.example/disk".parse().expect("a URL");
        let name = if self.broken == "names" {
            "../disk"
        } else {
            "disk"
        };
        let checks = match self.broken {
            "checks" => Vec::new(),
            _ => vec![Check::Digest(Sha256::of(b"disk"))],
        };
        let canonical = if self.broken == "ids" || path == "another/i386" {
            path
        } else {
            "distro/amd64"
        };
        Image::new(
            ImageId::new(self.remote.id(), canonical, "1"),
            vec![Download::new(
                vec![url],
                ImageFile::new(name, FileRole::Disk),
                checks,
            )],
        )
    }
}

fn checked<T>(value: T) -> Verified<T> {
    let index = bytes::Bytes::from_static(b"index");
    let sum = Sha256::of(&index);
    check_digest(Unverified::new(index), &sum)
        .expect("its own digest")
        .map(|_| value)
}

#[async_trait]
impl ImageSource for Fixed {
    fn remote(&self) -> &RemoteConfig {
        &self.remote
    }

    async fn lookup(&self, path: &ImagePath) -> Result<Verified<Lookup>> {
        let text = path.to_string();
        match text.as_str() {
            "distro/amd64" | "distro" => Ok(checked(Lookup::Image(Box::new(self.image(&text))))),
            "another/i386" if self.broken != "below" => {
                Ok(checked(Lookup::Image(Box::new(self.image(&text)))))
            }
            _ if self.broken == "missing" => {
                Err(Error::new(ErrorKind::Network, "no such image").with_subject(path))
            }
            _ => Err(Error::new(ErrorKind::NotFound, "no such image").with_subject(path)),
        }
    }

    async fn list(&self, prefix: &ImagePath) -> Result<Verified<Listing>> {
        let mut names: BTreeMap<&str, Vec<Entry>> = BTreeMap::new();
        let mut root = vec![
            Entry::new("another", EntryKind::Folder),
            Entry::new("distro", EntryKind::Alias),
        ];
        if self.broken == "order" {
            root.reverse();
        }
        names.insert("", root);
        names.insert("distro", vec![Entry::new("amd64", EntryKind::Image)]);
        if self.broken != "folders" {
            names.insert("another", vec![Entry::new("i386", EntryKind::Image)]);
        }
        match names.remove(prefix.to_string().as_str()) {
            Some(entries) => Ok(checked(Listing::of(entries))),
            None => Err(Error::new(ErrorKind::NotFound, "no such image").with_subject(prefix)),
        }
    }
}

fn expected() -> Expected {
    Expected::image("distro/amd64", "1", [FileRole::Disk])
        .with_alias("distro")
        .with_missing("distro/sparc")
        .with_listing("", ["another", "distro"])
        .with_listing("distro", ["amd64"])
}

#[tokio::test]
async fn a_sound_source_passes() {
    conformance::run_all(&Fixed::new(""), &expected()).await;
}

#[tokio::test]
async fn each_broken_rule_is_found() {
    for (broken, message) in [
        ("names", "`../disk` is no plain name"),
        ("checks", "has no check"),
        ("ids", "distro is another name for distro/amd64"),
        ("missing", "distro/sparc: no such image"),
        ("folders", "listing of `another`: no such image"),
        ("below", "lookup of `another/i386`: no such image"),
        ("order", "has `another` behind `distro`"),
    ] {
        let source = Fixed::new(broken);
        let run = AssertUnwindSafe(conformance::run_all(&source, &expected()))
            .catch_unwind()
            .await;
        let panic = run.expect_err(broken);
        let said = panic.downcast_ref::<String>().expect("a message");
        assert!(said.contains(message), "{broken}: {said}");
    }
}
