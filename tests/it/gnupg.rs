//! A registry and an image server made with nothing of ours: real GnuPG, GNU tar and xz, served by
//! a plain static web server.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use imagestore::{Config, ErrorKind, ImageStore, UnpackOptions};
use imagestore_testkit::oracle::Tool;
use tempfile::TempDir;

use crate::trees::assert_same;

#[tokio::test]
async fn fetches_and_unpacks_a_tree_signed_by_gnupg() {
    let Some(foreign) = Foreign::publish() else {
        return;
    };
    let images = foreign.image_store("store");
    let reference = "images:lxc-images/debian/bookworm/amd64/default"
        .parse()
        .expect("a reference");
    let fetched = images.fetch(&reference).await.expect("fetched");
    let options = UnpackOptions::default();
    images
        .unpack(&fetched.image, &foreign.path("out"), &options)
        .await
        .expect("unpacked");
    let wanted = foreign.path("wanted");
    std::fs::create_dir(&wanted).expect("made");
    let archive = foreign.build().join("rootfs.tar.xz");
    run(Command::new("tar")
        .args(["-xpJf"])
        .arg(archive)
        .arg("--numeric-owner")
        .arg("-C")
        .arg(&wanted));
    assert_same(&foreign.path("out/rootfs"), &wanted);

    for (option, message) in [
        ("--clear-sign", "SHA256SUMS.asc"),
        ("--sign", "SHA256SUMS.asc"),
    ] {
        let sums = foreign.build().join("SHA256SUMS");
        let mut gpg = foreign.gpg();
        run(gpg
            .args(["--yes", "--armor", option, "--output"])
            .arg(with_asc(&sums))
            .arg(&sums));
        // Another store: the first one may go by what it knows, for the web server tells files
        // apart by whole seconds only.
        let images = foreign.image_store(option);
        let error = images
            .fetch(&reference)
            .await
            .expect_err("not a detached signature");
        assert_eq!(error.kind(), ErrorKind::Untrusted);
        assert!(error.to_string().contains(message), "{error}");
    }
}

/// What GnuPG, tar and xz made, and the web server that serves it until this is dropped.
struct Foreign {
    directory: TempDir,
    server: Child,
    port: u16,
}

impl Foreign {
    fn publish() -> Option<Self> {
        for tool in ["gpg", "gpg-agent", "tar", "xz", "python3", "sha256sum"] {
            Tool::find(tool)?;
        }
        let directory = TempDir::new().expect("a directory");
        std::fs::create_dir_all(directory.path().join("gnupg")).expect("made");
        std::fs::set_permissions(
            directory.path().join("gnupg"),
            PermissionsExt::from_mode(0o700),
        )
        .expect("private");
        std::fs::create_dir_all(directory.path().join("www")).expect("made");
        let mut server = Command::new("python3")
            .args([
                "-u",
                "-m",
                "http.server",
                "--bind",
                "127.0.0.1",
                "--directory",
            ])
            .arg(directory.path().join("www"))
            .arg("0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("started");
        let mut line = String::new();
        let stdout = server.stdout.take().expect("piped");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("the line that names the port");
        let port = line
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
            .next();
        let foreign = Self {
            directory,
            server,
            port: port.expect("a port"),
        };
        foreign.fill();
        Some(foreign)
    }

    fn fill(&self) {
        let mut gpg = self.gpg();
        run(gpg.args([
            "--quick-gen-key",
            "registry <r@example.org>",
            "rsa3072",
            "sign",
            "never",
        ]));
        let mut gpg = self.gpg();
        run(gpg.args([
            "--quick-gen-key",
            "images <i@example.org>",
            "ed25519",
            "sign",
            "never",
        ]));
        let export = |who: &str| {
            let output = self
                .gpg()
                .args(["--armor", "--export", who])
                .output()
                .expect("run");
            assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
            output.stdout
        };
        std::fs::write(self.path("registry.asc"), export("r@example.org")).expect("written");
        let listing = self
            .gpg()
            .args(["--with-colons", "--list-keys", "i@example.org"])
            .output();
        let listing = String::from_utf8(listing.expect("run").stdout).expect("ASCII");
        let fingerprint = listing
            .lines()
            .find_map(|line| {
                line.strip_prefix("fpr:")
                    .map(|rest| rest.trim_matches(':').to_owned())
            })
            .expect("a fingerprint");

        let host = format!("127.0.0.1:{}", self.port);
        let long_id = &fingerprint[fingerprint.len() - 16..];
        self.write(
            "r@example.org",
            "registry/keys",
            &format!("0x{long_id}"),
            &export("i@example.org"),
        );
        let index = format!(
            r#"{{"version": 1, "generated_at": 1415397644, "servers": [{{"name": "lxc-images",
            "description.fr": "Ça c'est juste un exemple.",
            "url": "http+lxc-images://{host}/mirror/lxc-images", "arguments": {{}},
            "trusted_keys": ["/keys/0x{long_id}"], "min_client_ver": 0, "max_client_ver": 0}}],
            "aliases": {{}}, "unknown": [1, 2, 3]}}"#
        );
        self.write(
            "r@example.org",
            "registry/1.0",
            "index.json",
            index.as_bytes(),
        );

        self.make_root();
        std::fs::create_dir_all(self.build()).expect("made");
        std::fs::create_dir_all(self.path("meta")).expect("made");
        for (name, text) in [("config", "lxc.arch = x86_64\n"), ("expiry", "1\n")] {
            std::fs::write(self.path("meta").join(name), text).expect("written");
        }
        let tar = || {
            let mut command = Command::new("tar");
            command
                .env("XZ_OPT", "-T0")
                .args(["--numeric-owner", "-cJf"]);
            command
        };
        let meta = self.build().join("meta.tar.xz");
        run(tar()
            .arg(meta)
            .arg("-C")
            .arg(self.path("meta"))
            .args(["config", "expiry"]));
        let rootfs = self.build().join("rootfs.tar.xz");
        run(tar()
            .arg(rootfs)
            .arg("--format=pax")
            .arg("-C")
            .arg(self.path("root"))
            .arg("."));
        let sums = Command::new("sha256sum")
            .args(["meta.tar.xz", "rootfs.tar.xz"])
            .current_dir(self.build())
            .output()
            .expect("run");
        std::fs::write(self.build().join("SHA256SUMS"), sums.stdout).expect("written");
        for name in ["meta.tar.xz", "rootfs.tar.xz", "SHA256SUMS"] {
            self.sign("i@example.org", &self.build().join(name));
        }
        let line = format!("debian;bookworm;amd64;default;20240531_05:24;/{BUILD}/\n");
        self.write(
            "i@example.org",
            "mirror/lxc-images/meta/1.0",
            "index-user",
            line.as_bytes(),
        );
    }

    fn make_root(&self) {
        let root = self.path("root");
        for directory in ["etc/deep/er", "bin", "var/empty"] {
            std::fs::create_dir_all(root.join(directory)).expect("made");
        }
        let long = "long-".repeat(30);
        std::fs::write(root.join("etc").join(&long), "long name\n").expect("written");
        std::fs::write(root.join("bin/tool"), vec![7; 300_000]).expect("written");
        std::fs::set_permissions(root.join("bin/tool"), PermissionsExt::from_mode(0o6755))
            .expect("set");
        std::fs::hard_link(root.join("bin/tool"), root.join("bin/same")).expect("linked");
        symlink("/etc/alternatives/x", root.join("bin/absolute")).expect("linked");
        symlink("../../outside", root.join("etc/deep/relative")).expect("linked");
        std::fs::set_permissions(root.join("var/empty"), PermissionsExt::from_mode(0o1777))
            .expect("set");
        std::fs::set_permissions(root.join("etc/deep"), PermissionsExt::from_mode(0o555))
            .expect("set");
    }

    fn write(&self, who: &str, directory: &str, name: &str, bytes: &[u8]) {
        let directory = self.path("www").join(directory);
        std::fs::create_dir_all(&directory).expect("made");
        std::fs::write(directory.join(name), bytes).expect("written");
        self.sign(who, &directory.join(name));
    }

    fn sign(&self, who: &str, file: &Path) {
        let mut gpg = self.gpg();
        run(gpg
            .args(["--armor", "--detach-sign", "-u", who, "--output"])
            .arg(with_asc(file))
            .arg(file));
    }

    fn gpg(&self) -> Command {
        let mut command = Command::new("gpg");
        command.env("GNUPGHOME", self.path("gnupg")).args([
            "--batch",
            "--quiet",
            "--pinentry-mode",
            "loopback",
            "--passphrase",
            "",
        ]);
        command
    }

    fn image_store(&self, store: &str) -> ImageStore {
        let config = format!(
            "[remotes.images]\nurl = \"http+registry://127.0.0.1:{}/registry\"\n\
             trusted_keys = [\"registry.asc\"]\n",
            self.port
        );
        let config = Config::parse(&config, self.path("")).expect("valid");
        let builder = ImageStore::builder().with_config(config);
        builder
            .with_store_dir(self.path(store))
            .build()
            .expect("a store")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn build(&self) -> PathBuf {
        self.path("www/mirror/lxc-images").join(BUILD)
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        // Both may be gone already; there is nobody to tell.
        let _ = self.server.kill();
        let _ = self.server.wait();
        let mut stop = Command::new("gpgconf");
        let _ = stop
            .env("GNUPGHOME", self.path("gnupg"))
            .args(["--kill", "all"])
            .status();
    }
}

fn run(command: &mut Command) {
    let output = command.output().expect("run");
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn with_asc(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".asc");
    name.into()
}

const BUILD: &str = "images/debian/bookworm/amd64/default/20240531_05:24";
