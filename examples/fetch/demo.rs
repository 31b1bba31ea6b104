//! The whole way on this machine alone: throw-away keys, a signed registry and an lxc-images
//! server, both over TLS on loopback; a fetch, a second one that downloads nothing, and one that is
//! refused because a byte was flipped.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use imagestore::{Config, Error, ErrorKind, ImageRef, ImageStore, Result, UnpackOptions};
use imagestore_publish::{
    BuildId, Contents, ListedAlias, ListedRemote, LxcImagesPublisher, Meta, MetaSource,
    PackOptions, Registry, RegistryPublisher, RootfsSource,
};
use imagestore_testkit::{Fault, Server, Site};
use imagestore_verify::signing::SigningKey;
use rustix::fs::XattrFlags;
use tempfile::TempDir;

use crate::report::Report;

pub(crate) async fn run(report: Report) -> Result<()> {
    let demo = Demo::new(&report)?;
    let reference: ImageRef = REFERENCE.parse()?;

    report.say(format!("\n== fetch {REFERENCE}"));
    let images = demo.image_store("store", &report)?;
    let resolution = images.resolve(&reference).await?;
    report.found(&resolution.hops, &resolution.image.id);
    let image = images.fetch_resolved(&resolution).await?;
    let target = demo.path("trusty");
    let unpacked = images
        .unpack(&image, &target, &UnpackOptions::default())
        .await?;
    report.done(
        &image,
        &resolution.hops,
        resolution.image.stale,
        Some(&unpacked),
    );
    show(&report, &target.join("rootfs"))?;

    report.say("\n== fetch it again");
    demo.server.forget_requests();
    images.fetch(&reference).await?;
    let files = demo.server.requests();
    let files: Vec<_> = files
        .iter()
        .filter(|it| it.path.ends_with(".tar.xz"))
        .collect();
    if !files.is_empty() {
        return Err(surprise("image files were downloaded again"));
    }
    report.say(
        "downloaded nothing: the index was asked for, the files were checked again where they are",
    );

    report.say("\n== flip one byte of rootfs.tar.xz on the server, and fetch on a machine that has nothing yet");
    demo.server.fail(&demo.rootfs, Fault::FlipByte(1000));
    match demo
        .image_store("other-store", &report)?
        .fetch(&reference)
        .await
    {
        Ok(_) => return Err(surprise("a flipped byte was not noticed")),
        Err(error) if error.kind() == ErrorKind::Untrusted => {
            report.say("refused, and nothing was kept:");
            report.explain(&error);
        }
        Err(error) => return Err(error),
    }
    report.say(format!(
        "\nAll of it was in {}, which is removed now.",
        demo.path("").display()
    ));
    Ok(())
}

/// Two servers and everything they serve, below one directory.
struct Demo {
    directory: TempDir,
    registry: Server,
    server: Server,
    /// Where the root file system lies on its server.
    rootfs: String,
}

impl Demo {
    fn new(report: &Report) -> Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("imagestore-demo-")
            .tempdir()
            .map_err(|error| disk("a directory", error))?;
        let now = SystemTime::now();
        let key = |who: &str| SigningKey::generate_ed25519(who, now - Duration::from_secs(3600));
        let registry_key = key("demonstration registry <registry@example.org>");
        let images_key = key("demonstration images <images@example.org>");
        report.say(format!(
            "keys       registry {}",
            registry_key.fingerprint()
        ));
        report.say(format!("           images   {}", images_key.fingerprint()));

        let root = directory.path().join("root");
        make_root(&root).map_err(|error| disk("the root file system", error))?;
        let config = "lxc.include = LXC_TEMPLATE_CONFIG/common.conf\nlxc.arch = x86_64\n";
        let meta = Meta::new(config)
            .with_config_user(config)
            .with_templates(["/etc/hostname"])
            .with_expiry(now + Duration::from_secs(30 * 86_400))
            .with_create_message("You made a container.\n");
        let contents = Contents::new(
            RootfsSource::Directory(root, PackOptions::default()),
            MetaSource::Files(meta),
        );
        let name = "ubuntu/trusty/amd64/default".parse().map_err(publishing)?;
        let tree = directory.path().join("images");
        let published = LxcImagesPublisher::new(&tree, &images_key)
            .publish(&name, BuildId::at(now), &contents)
            .map_err(publishing)?;
        let server =
            Server::https(Site::directory(&tree)).map_err(|error| disk("a port", error))?;

        let Some(certificate) = server.certificate() else {
            return Err(surprise("the server has no certificate"));
        };
        let listed = ListedRemote::new("lxc-images", server.remote_url("lxc-images").to_string())
            .with_description("", "Images of the demonstration.")
            .with_key(images_key.certificate())
            .with_certificate(certificate.der());
        let index = Registry::new().with_remote(listed).with_alias(
            "ubuntu/lts",
            ListedAlias::new("lxc-images", "ubuntu", "trusty"),
        );
        let tree = directory.path().join("registry");
        RegistryPublisher::new(&tree, &registry_key)
            .publish(&index)
            .map_err(publishing)?;
        let registry =
            Server::https(Site::directory(&tree)).map_err(|error| disk("a port", error))?;
        report.say(format!("servers    {}", registry.remote_url("registry")));
        report.say(format!("           {}", server.remote_url("lxc-images")));

        let folder = published
            .folder
            .strip_prefix(directory.path().join("images"));
        let folder = folder.map_err(|_| surprise("a build lies outside its tree"))?;
        let rootfs = format!("/{}/rootfs.tar.xz", folder.display());
        let demo = Self {
            directory,
            registry,
            server,
            rootfs,
        };
        demo.write_config(&registry_key)?;
        report.say(format!(
            "remotes    {}",
            demo.path("remotes.toml").display()
        ));
        Ok(demo)
    }

    /// What a person would write: the key and the certificate of the registry, and nothing about
    /// its servers.
    fn write_config(&self, registry_key: &SigningKey) -> Result<()> {
        let certificate = self.registry.certificate().map(|it| it.pem().to_owned());
        let config = format!(
            "default = \"images\"\n\n[remotes.images]\nurl = \"{}\"\ntrusted_keys = [\"registry.asc\"]\n\
             trusted_certs = [\"registry.pem\"]\ndefault_arch = \"amd64\"\n",
            self.registry.remote_url("registry")
        );
        for (name, text) in [
            ("registry.asc", registry_key.certificate()),
            ("registry.pem", certificate.unwrap_or_default()),
            ("remotes.toml", config),
        ] {
            fs::write(self.path(name), text).map_err(|error| disk(name, error))?;
        }
        Ok(())
    }

    fn image_store(&self, store: &str, report: &Report) -> Result<ImageStore> {
        ImageStore::builder()
            .with_config(Config::open(&self.path("remotes.toml"))?)
            .with_store_dir(self.path(store))
            .with_progress(Arc::new(report.clone()))
            .build()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// A small root file system with one of everything that is easily lost.
fn make_root(root: &Path) -> std::io::Result<()> {
    for directory in [
        "bin",
        "etc/alternatives",
        "usr/share/doc",
        "var/lib/empty",
        "tmp",
    ] {
        fs::create_dir_all(root.join(directory))?;
    }
    fs::write(root.join("etc/hostname"), "LXC_NAME\n")?;
    fs::write(
        root.join("etc/os-release"),
        "ID=ubuntu\nVERSION_ID=\"14.04\"\n",
    )?;
    // Something to download: text that packs neither to nothing nor not at all.
    let mut word = 1u32;
    let text: String = (0..400_000)
        .map(|_| {
            word = word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            char::from(b'a' + (word >> 28) as u8)
        })
        .collect();
    fs::write(root.join("usr/share/doc/text"), text)?;
    fs::write(root.join("bin/busybox"), vec![0x7f; 300_000])?;
    fs::hard_link(root.join("bin/busybox"), root.join("bin/sh"))?;
    symlink("busybox", root.join("bin/ls"))?;
    symlink("/bin/sh", root.join("etc/alternatives/shell"))?;
    fs::write(root.join("bin/su"), "set-user-id\n")?;
    fs::set_permissions(root.join("bin/su"), PermissionsExt::from_mode(0o4755))?;
    fs::set_permissions(root.join("tmp"), PermissionsExt::from_mode(0o1777))?;
    // Not every disk takes extended attributes; the demonstration goes on without.
    let _ = rustix::fs::setxattr(
        root.join("etc/hostname"),
        XATTR,
        b"demonstration",
        XattrFlags::empty(),
    );
    Ok(())
}

fn show(report: &Report, root: &Path) -> Result<()> {
    for path in [
        "bin/busybox",
        "bin/sh",
        "bin/ls",
        "bin/su",
        "etc/alternatives/shell",
        "etc/hostname",
        "tmp",
    ] {
        let full = root.join(path);
        let metadata = full.symlink_metadata().map_err(|error| disk(path, error))?;
        let mut line = format!(
            "  {:06o} {:>7} {path}",
            metadata.permissions().mode(),
            metadata.len()
        );
        if let Ok(link) = fs::read_link(&full) {
            line.push_str(&format!(" -> {}", link.display()));
        }
        let mut value = [0; 64];
        if let Ok(length) = rustix::fs::lgetxattr(&full, XATTR, &mut value) {
            line.push_str(&format!(
                " [{XATTR}={}]",
                String::from_utf8_lossy(&value[..length])
            ));
        }
        report.say(line);
    }
    Ok(())
}

fn disk(what: &str, cause: std::io::Error) -> Error {
    Error::new(ErrorKind::Storage, format!("{what} cannot be made or read")).with_source(cause)
}

fn publishing(cause: imagestore_publish::PublishError) -> Error {
    Error::new(ErrorKind::Storage, "the demonstration cannot be published").with_source(cause)
}

fn surprise(what: &str) -> Error {
    Error::new(
        ErrorKind::Malformed,
        format!("the demonstration went wrong: {what}"),
    )
}

const REFERENCE: &str = "images:lxc-images/ubuntu/trusty/amd64/default";
const XATTR: &str = "user.imagestore.demo";
