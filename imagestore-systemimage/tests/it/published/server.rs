//! A server of its own, and what is to be found on it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use imagestore_core::{RemoteConfig, Trust};
use imagestore_publish::{
    BuildContents, KeyringRole, Part, RoleKeyring, SystemChannel, SystemImageKeys,
    SystemImagePublisher,
};
use imagestore_systemimage::Index;
use imagestore_testkit::keys;
use imagestore_verify::signing::SigningKey;

use crate::world::{BASE, World};

pub(super) struct Server {
    pub(super) folder: tempfile::TempDir,
    pub(super) archive: SigningKey,
    pub(super) master: SigningKey,
    pub(super) signing: SigningKey,
}

impl Server {
    pub(super) fn new() -> Self {
        let server = Self {
            folder: tempfile::tempdir().expect("a directory"),
            archive: keys::new("archive"),
            master: keys::new("master"),
            signing: keys::new("signing"),
        };
        let publisher = server.publisher();
        for (role, key) in [
            (KeyringRole::ArchiveMaster, &server.archive),
            (KeyringRole::ImageMaster, &server.master),
            (KeyringRole::ImageSigning, &server.signing),
        ] {
            let mut keyring = RoleKeyring::new(role).with_key(key.certificate());
            if role == KeyringRole::ImageSigning {
                keyring = keyring.with_expiry(keys::NOW + 63_072_000);
            }
            publisher.keyring(&keyring).expect("published");
        }
        publisher
            .channel("20.04/stable", &SystemChannel::Own { hidden: false })
            .expect("published");
        server
    }

    pub(super) fn root(&self) -> PathBuf {
        self.folder.path().join("server")
    }

    pub(super) fn publisher(&self) -> SystemImagePublisher<'_> {
        let keys = SystemImageKeys::new(&self.archive, &self.master, &self.signing);
        SystemImagePublisher::new(self.root(), keys).with_time(keys::at(keys::SIGNED))
    }

    pub(super) fn publish(&self, tree: &Path, base: Option<u32>) -> u32 {
        let mut contents = BuildContents::new(vec![Part::new("rootfs", tree)]).with_detail("a=1");
        contents.delta_from = base;
        let published = self.publisher().publish("20.04/stable", "phone", &contents);
        published.expect("published").version
    }

    /// The first tree, and the second made from it by every kind of change.
    pub(super) fn trees(&self) -> (PathBuf, PathBuf) {
        let (one, two) = (
            self.folder.path().join("one"),
            self.folder.path().join("two"),
        );
        for tree in [&one, &two] {
            fs::create_dir_all(tree.join("system/etc")).expect("made");
            fs::create_dir_all(tree.join("system/usr/bin")).expect("made");
            fs::create_dir_all(tree.join("data")).expect("made");
            fs::write(tree.join("system/etc/same"), "same").expect("written");
            fs::write(tree.join("system/etc/name with * and space"), "same").expect("written");
            fs::write(tree.join("system/usr/bin/a"), "linked").expect("written");
            let link = tree.join("system/usr/bin/b");
            fs::hard_link(tree.join("system/usr/bin/a"), link).expect("linked");
            symlink("/android/vendor", tree.join("system/vendor")).expect("linked");
        }
        fs::write(one.join("system/etc/gone"), "old").expect("written");
        fs::write(one.join("system/becomes-a-folder"), "old").expect("written");
        fs::create_dir(one.join("system/becomes-a-file")).expect("made");
        fs::write(one.join("system/becomes-a-file/inner"), "old").expect("written");
        fs::write(one.join("system/changes"), "old").expect("written");
        symlink("old", one.join("system/link")).expect("linked");
        fs::create_dir(two.join("system/becomes-a-folder")).expect("made");
        fs::write(two.join("system/becomes-a-folder/inner"), "new").expect("written");
        fs::write(two.join("system/becomes-a-file"), "new").expect("written");
        fs::write(two.join("system/changes"), "new").expect("written");
        fs::set_permissions(
            two.join("system/changes"),
            fs::Permissions::from_mode(0o755),
        )
        .expect("set");
        symlink("new", two.join("system/link")).expect("linked");
        fs::write(two.join("data/added"), "new").expect("written");
        (one, two)
    }

    /// The world that reads the tree as it is.
    pub(super) fn world(&self) -> World {
        let mut world = World::empty();
        world.now = keys::NOW;
        world
            .transport
            .put_tree(BASE, &self.root())
            .expect("the tree");
        world
    }

    pub(super) fn remote(&self) -> RemoteConfig {
        let trust = Trust::Signatures(keys::keyring(&self.archive));
        let url = "https+system-image://images.example"
            .parse()
            .expect("a url");
        RemoteConfig::new("own".parse().expect("a name"), url, trust)
    }

    pub(super) async fn lookup(
        &self,
        world: &World,
        path: &str,
    ) -> imagestore_core::Result<imagestore_core::Image> {
        use imagestore_core::ImageSource;
        let source = world
            .protocol
            .system_image(self.remote(), &world.context())
            .expect("in order");
        let found = source
            .lookup(&path.parse().expect(path))
            .await?
            .into_inner();
        match found {
            imagestore_core::Lookup::Image(image) => Ok(*image),
            imagestore_core::Lookup::Referral(_) => panic!("an image"),
        }
    }

    pub(super) fn index(&self) -> Index {
        let path = self.root().join("20.04/stable/phone/index.json");
        Index::parse(&fs::read(path).expect("there")).expect("an index")
    }
}

pub(super) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

pub(super) fn members(archive: &Path, name: &str) -> String {
    String::from_utf8(member(archive, name)).expect("text")
}

pub(super) fn member(archive: &Path, name: &str) -> Vec<u8> {
    use std::io::Read;
    let packed = fs::read(archive).expect("there");
    let mut archive = tar::Archive::new(liblzma::read::XzDecoder::new(&packed[..]));
    for entry in archive.entries().expect("a tarball") {
        let mut entry = entry.expect("an entry");
        if entry.path_bytes().as_ref() == name.as_bytes() {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).expect("read");
            return bytes;
        }
    }
    panic!("no {name}")
}
