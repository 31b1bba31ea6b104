use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use imagestore_publish::{
    BuildId, Contents, ImageName, LxcImagesPublisher, Meta, MetaSource, PackOptions, RootfsSource,
};
use imagestore_testkit::keys;
use imagestore_verify::signing::SigningKey;
use imagestore_verify::{DetachedSignature, Policy, Proof, Unverified, Verified, Verifier};
use tempfile::TempDir;

/// A directory for a tree, and one with a small root file system.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        let rootfs = folder.path().join("rootfs");
        fs::create_dir_all(rootfs.join("etc")).expect("made");
        fs::write(rootfs.join("etc/hostname"), "LXC_NAME\n").expect("written");
        std::os::unix::fs::symlink("etc/hostname", rootfs.join("name")).expect("made");
        Self { folder }
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub(crate) fn tree(&self) -> PathBuf {
        self.path("tree")
    }

    pub(crate) fn contents(&self) -> Contents {
        Contents::new(
            RootfsSource::Directory(self.path("rootfs"), PackOptions::default()),
            MetaSource::Files(meta()),
        )
    }

    pub(crate) fn publisher(&self) -> LxcImagesPublisher<'static> {
        LxcImagesPublisher::new(self.tree(), keys::images()).with_time(keys::at(keys::SIGNED))
    }

    pub(crate) fn read(&self, path: &str) -> String {
        let path = self.tree().join(path.trim_start_matches('/'));
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        String::from_utf8(bytes).expect("text")
    }
}

pub(crate) fn meta() -> Meta {
    Meta::new("lxc.include = LXC_TEMPLATE_CONFIG/common.conf\nlxc.arch = x86_64\n")
        .with_templates(["/etc/hostname"])
}

pub(crate) fn name(text: &str) -> ImageName {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

pub(crate) fn build(text: &str) -> BuildId {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Checks a file of a tree against its signature, a week after all were made.
pub(crate) fn check(path: &Path, key: &SigningKey) -> Verified<Bytes> {
    let open = |path: &Path| {
        let bytes = fs::read(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        Unverified::new(Bytes::from(bytes))
    };
    let asc = path.with_file_name(format!(
        "{}.asc",
        path.file_name().expect("a file").to_string_lossy()
    ));
    let signature = DetachedSignature::parse(&open(&asc)).expect("a signature");
    let verifier = Verifier::new(
        keys::keyring(key),
        Policy::default().with_at(keys::at(keys::SIGNED + 7 * 86_400)),
    );
    let checked = verifier.check(open(path), &signature);
    checked.unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

/// When a file of a tree was signed, in UNIX seconds.
pub(crate) fn signed_at(path: &Path, key: &SigningKey) -> u64 {
    let checked = check(path, key);
    let found = checked.proofs().iter().find_map(|proof| match proof {
        Proof::Signature(signature) => Some(signature.signed_at()),
        _ => None,
    });
    let since = found
        .expect("a signature")
        .duration_since(std::time::UNIX_EPOCH);
    since.expect("after 1970").as_secs()
}

/// All files below a folder, sorted, by their paths below it.
pub(crate) fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type().expect("known").is_dir() {
            found.extend(
                files(&entry.path())
                    .iter()
                    .map(|below| format!("{name}/{below}")),
            );
        } else {
            found.push(name);
        }
    }
    found.sort();
    found
}
