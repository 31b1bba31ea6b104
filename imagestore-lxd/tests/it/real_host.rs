//! A real host, started and stopped.

use std::collections::HashMap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use imagestore_core::{FileRole, RemoteConfig, TlsTrust, Trust};
use imagestore_lxd::Metadata;
use imagestore_store::StoredImage;
use imagestore_unpack::{MemberLimits, StagedTarget, Unpacker, read_members};

/// The real daemon, with all its state in a directory of its own.
pub(crate) struct RealHost {
    pub(crate) directory: tempfile::TempDir,
    values: HashMap<String, String>,
    pub(crate) port: u16,
}

impl RealHost {
    pub(crate) fn start() -> Option<Self> {
        if let Some(missing) = missing() {
            assert!(
                std::env::var_os("IMAGESTORE_REQUIRE_TOOLS").is_none(),
                "{missing}, and IMAGESTORE_REQUIRE_TOOLS asks for it"
            );
            eprintln!("NOT TESTED: a real LXD host, because {missing}");
            return None;
        }
        let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|socket| socket.local_addr());
        let mut host = Self {
            directory: tempfile::tempdir().expect("a directory"),
            values: HashMap::new(),
            port: port.expect("a port").port(),
        };
        let text = host.script("start", &[&host.port.to_string()]);
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        host.values = pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Some(host)
    }

    pub(crate) fn script(&self, command: &str, arguments: &[&str]) -> String {
        run_script(self.directory.path(), command, arguments)
    }

    pub(crate) fn value(&self, name: &str) -> &str {
        &self.values[name]
    }

    pub(crate) fn over_socket(&self) -> RemoteConfig {
        remote(&format!("unix+lxd://{}", self.value("SOCKET")))
    }

    pub(crate) fn over_https(&self) -> RemoteConfig {
        let pin = self.value("CERTIFICATE").parse().expect("a digest");
        remote(&format!("https+lxd://127.0.0.1:{}", self.port)).with_tls(TlsTrust::Pin(vec![pin]))
    }

    /// Whether a tree is the one that was packed.
    pub(crate) fn check_tree(&self, tree: &Path, path: &str) {
        let packed = self.directory.path().join("image/rootfs");
        let mut names = vec![PathBuf::new()];
        let mut count = 0;
        while let Some(name) = names.pop() {
            let (one, other) = (packed.join(&name), tree.join(&name));
            let wanted = fs::symlink_metadata(&one).expect("it is there");
            let kind = wanted.file_type();
            if kind.is_char_device() {
                assert!(!other.exists(), "{path}: a device");
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

    pub(crate) fn lxc(&self, arguments: &[&str]) -> String {
        let output = Command::new("lxc")
            .args(arguments)
            .env("LXD_DIR", self.directory.path().join("d"))
            .env("LXD_CONF", self.directory.path().join("conf"))
            .env_remove("LXD_SOCKET")
            .output()
            .expect("lxc");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8(output.stdout).expect("text")
    }
}

impl Drop for RealHost {
    fn drop(&mut self) {
        // What goes wrong here must not hide what went wrong before.
        drop(command(self.directory.path(), "stop", &[]).status());
    }
}

pub(crate) fn run_script(directory: &Path, name: &str, arguments: &[&str]) -> String {
    let output = command(directory, name, arguments)
        .output()
        .expect("the script");
    assert!(
        output.status.success(),
        "{name}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("text")
}

fn command(directory: &Path, name: &str, arguments: &[&str]) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/lxd-host.sh");
    let mut command = Command::new(script);
    command.arg(name).arg(directory).args(arguments);
    command
}

/// What is missing for a real host.
fn missing() -> Option<String> {
    for program in ["lxd", "lxc", "mksquashfs", "openssl", "xz", "setsid"] {
        let found = std::env::var_os("PATH").is_some_and(|path| {
            std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
        });
        if !found {
            return Some(format!("`{program}` is not installed"));
        }
    }
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    (!is_root).then(|| "only root can start one".to_owned())
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
