//! Real programs of others, started for one test and stopped again.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::oracle;

/// The real LXD: its daemon, with all its state in a directory of its own, and its command `lxc`.
///
/// Never one of the system. It ends when this is dropped.
#[derive(Debug)]
pub struct Lxd {
    directory: TempDir,
    port: u16,
}

impl Lxd {
    /// Starts one that listens on its socket alone; nothing, and loudly so, where it cannot be started.
    ///
    /// # Panics
    /// If it does not start, or if it cannot be and `IMAGESTORE_REQUIRE_TOOLS=1` is set.
    #[must_use]
    pub fn start() -> Option<Self> {
        if let Some(what) = missing() {
            oracle::missing(what);
            return None;
        }
        let lxd = Self {
            directory: tempfile::tempdir().expect("a directory"),
            port: 0,
        };
        lxd.run("start", &[]);
        Some(lxd)
    }

    /// The same, on https at a port of 127.0.0.1 too.
    ///
    /// # Panics
    /// If there is no free port.
    #[must_use]
    pub fn listening(mut self) -> Self {
        let free = TcpListener::bind(("127.0.0.1", 0)).and_then(|socket| socket.local_addr());
        self.port = free.expect("a port").port();
        self.run("listen", &[&self.port.to_string()]);
        self
    }

    /// Where all of it lies.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Where the daemon listens.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.directory().join("d/unix.socket")
    }

    /// The port of 127.0.0.1 it listens on as well.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Runs `lxc` in the directory, without input; what it printed.
    ///
    /// # Panics
    /// If it fails.
    pub fn lxc(&self, arguments: &[&str]) -> String {
        self.run("lxc", arguments)
    }

    /// Whether `lxc` does this.
    #[must_use]
    pub fn can(&self, arguments: &[&str]) -> bool {
        let output = script(self.directory(), "lxc", arguments).output();
        output.expect("the script").status.success()
    }

    /// Makes a server known to `lxc` under a name, with the certificate it is to believe. `protocol` is `lxd` or
    /// `simplestreams`.
    ///
    /// # Panics
    /// If `lxc` does not want it.
    pub fn know(&self, name: &str, url: &str, protocol: &str, certificate_pem: &str) {
        let file = self.directory().join(format!("{name}.crt"));
        fs::write(file, certificate_pem).expect("written");
        self.run("know", &[name, url, protocol]);
    }

    /// Runs one of the other commands of `peers/lxd.sh`; what it printed.
    ///
    /// # Panics
    /// If it fails.
    pub fn run(&self, command: &str, arguments: &[&str]) -> String {
        run(self.directory(), command, arguments)
    }

    /// What ends the daemon at once, as a crash would, from any thread.
    pub fn killer(&self) -> impl Fn() + Send + 'static {
        let directory = self.directory().to_owned();
        move || drop(run(&directory, "kill", &[]))
    }

    /// What starts a daemon again that was killed, from any thread.
    pub fn reviver(&self) -> impl Fn() + Send + 'static {
        let directory = self.directory().to_owned();
        move || drop(run(&directory, "again", &[]))
    }
}

/// A program for the place of `/sbin/init` in a container, which makes the file `/ran` and waits; nothing where it is
/// not known how to make one.
#[must_use]
pub fn init() -> Option<Vec<u8>> {
    if std::env::consts::ARCH != "x86_64" {
        return None;
    }
    let code: &[u8] = &[
        0xb8, 85, 0, 0, 0, // creat
        0xbf, 0x92, 0, 0x40, 0, // of the name below
        0xbe, 0xa4, 1, 0, 0, // with mode 0644
        0x0f, 0x05, //
        0xb8, 34, 0, 0, 0, // pause
        0x0f, 0x05, //
        0xeb, 0xf7, // and again
        b'/', b'r', b'a', b'n', 0,
    ];
    let length = 120 + code.len() as u64;
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0".to_vec();
    for word in [0x40_0078, 64, 0u64] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    // One segment, to be read and run.
    elf.extend([1, 0, 0, 0, 5, 0, 0, 0]);
    for word in [0, 0x40_0000, 0x40_0000, length, length, 0x1000] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend(code);
    Some(elf)
}

impl Drop for Lxd {
    fn drop(&mut self) {
        // What goes wrong here must not hide what went wrong before.
        drop(script(self.directory(), "stop", &[]).output());
    }
}

fn run(directory: &Path, command: &str, arguments: &[&str]) -> String {
    let output: Output = script(directory, command, arguments)
        .output()
        .expect("the script");
    let said = fs::read_to_string(directory.join("out")).unwrap_or_default();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command} {arguments:?}: {errors}\n{said}"
    );
    String::from_utf8(output.stdout).expect("text")
}

fn script(directory: &Path, command: &str, arguments: &[&str]) -> Command {
    let mut script = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/lxd.sh"));
    script.arg(command).arg(directory).args(arguments);
    script
}

/// What a real LXD needs and is not there.
fn missing() -> Option<&'static str> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let programs = ["lxd", "lxc", "mksquashfs", "openssl", "xz", "setsid"];
    let absent = |name: &&&str| !folders.iter().any(|folder| folder.join(name).is_file());
    if let Some(name) = programs.iter().find(absent) {
        return Some(name);
    }
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    (!is_root).then_some("root, who alone can start LXD")
}
