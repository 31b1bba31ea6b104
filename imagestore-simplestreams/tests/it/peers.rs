//! The real `lxc` command and the real LXD daemon as readers of a tree that was made here.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use imagestore_testkit::oracle::Tool;
use imagestore_testkit::{Server, Site};
use imagestore_verify::Sha256;

use crate::published::{ARCH, Place, lookup_in};

#[tokio::test]
async fn the_real_client_lists_exports_and_copies_what_is_published_here() {
    if let Some(missing) = missing() {
        assert!(
            std::env::var_os("IMAGESTORE_REQUIRE_TOOLS").is_none(),
            "{missing}, and IMAGESTORE_REQUIRE_TOOLS asks for it"
        );
        eprintln!("NOT TESTED: a real LXD as reader, because {missing}");
        return;
    }
    let place = Place::new();
    let xdelta3 = Tool::find("xdelta3").expect("looked for before");
    let random: Vec<u8> = (0..9000_u32)
        .flat_map(|block| *Sha256::of(&block.to_le_bytes()).as_bytes())
        .collect();
    fs::write(place.path("rootfs/etc/random"), random).expect("written");
    for build in ["20240601_00:00", "20240601_00:01"] {
        let squashfs = place.path(&format!("{build}.squashfs"));
        let made = Command::new("mksquashfs")
            .args([place.path("rootfs"), squashfs.clone()])
            .args(["-noappend", "-quiet", "-no-progress"])
            .output();
        assert!(made.expect("mksquashfs").status.success());
        // This changes a file below `rootfs`, so the next squashfs differs.
        place.publish_delta(build, &squashfs, &xdelta3);
    }
    place.publish_combined("20240601_00:02");
    let server = Server::https(Site::directory(place.tree())).expect("a port");
    let lxd = Lxd::start();
    let certificate = place.path("tree.crt");
    fs::write(&certificate, server.certificate().expect("https").pem()).expect("written");
    lxd.run(
        "add",
        &[&server.url(), certificate.to_str().expect("UTF-8")],
    );

    // By the fingerprint that is found here, it finds the same image, and so for every form.
    for (variant, form, build) in [
        ("default", "squashfs", "20240601_00:01"),
        ("default", "squashfs", "20240601_00:00"),
        ("default", "tar", "20240601_00:01"),
        ("one", "combined", "20240601_00:02"),
    ] {
        let path = format!("ubuntu/trusty/{ARCH}/{variant}/{build}+{form}");
        let image = lookup_in(&place.tree(), &path, "squashfs").await;
        let fingerprint = image.fingerprint.expect("has one").to_string();
        let listed = lxd.lxc(&[
            "image",
            "list",
            "tree:",
            "--format",
            "csv",
            "--columns",
            "Fs",
        ]);
        assert!(
            listed.contains(&fingerprint),
            "no {fingerprint} in {listed}"
        );
        let found = lxd.lxc(&["image", "info", &format!("tree:{fingerprint}")]);
        assert!(
            found.contains(&format!("Fingerprint: {fingerprint}")),
            "{found}"
        );
        assert!(found.contains(&format!("serial: {build}")), "{found}");
    }

    let newest = lookup_in(&place.tree(), "ubuntu/lts", "squashfs").await;
    let fingerprint = newest.fingerprint.expect("has one");
    let found = lxd.lxc(&["image", "info", "tree:ubuntu/lts"]);
    assert!(
        found.contains(&format!("Fingerprint: {fingerprint}")),
        "{found}"
    );

    lxd.lxc(&["image", "export", "tree:ubuntu/lts", "exported", "--quiet"]);
    let rootfs = fs::read(lxd.directory.path().join("exported.root")).expect("exported");
    let metadata = fs::read(lxd.directory.path().join("exported")).expect("exported");
    assert_eq!(Sha256::of(&[metadata, rootfs].concat()), fingerprint);

    lxd.lxc(&[
        "image",
        "copy",
        "tree:ubuntu/lts",
        "local:",
        "--alias",
        "mine",
        "--quiet",
    ]);
    let kept = lxd.lxc(&[
        "image",
        "list",
        "local:",
        "--format",
        "csv",
        "--columns",
        "lF",
    ]);
    assert_eq!(kept.trim(), format!("mine,{fingerprint}"));

    lxd.lxc(&[
        "image",
        "copy",
        "tree:ubuntu/trusty/one",
        "local:",
        "--quiet",
    ]);

    // With the build before at hand, the daemon fetches the delta and not the file.
    lxd.lxc(&["image", "delete", "local:mine"]);
    let path = format!("ubuntu/trusty/{ARCH}/default/20240601_00:00");
    let older = lookup_in(&place.tree(), &path, "squashfs").await;
    for fingerprint in [older.fingerprint.expect("has one"), fingerprint] {
        server.forget_requests();
        let from = format!("tree:{fingerprint}");
        lxd.lxc(&["image", "copy", &from, "local:", "--quiet"]);
    }
    let asked: Vec<_> = server.requests().iter().map(|it| it.path.clone()).collect();
    let there = |end: &str| asked.iter().any(|path| path.ends_with(end));
    assert!(there("/root.20240601_00:00.vcdiff"), "{asked:?}");
    assert!(!there("/rootfs.squashfs"), "{asked:?}");
}

struct Lxd {
    directory: tempfile::TempDir,
}

impl Lxd {
    fn start() -> Self {
        let lxd = Self {
            directory: tempfile::tempdir().expect("a directory"),
        };
        lxd.run("start", &[]);
        lxd
    }

    fn lxc(&self, arguments: &[&str]) -> String {
        self.run("lxc", arguments)
    }

    fn run(&self, command: &str, arguments: &[&str]) -> String {
        let output = self.command(command, arguments);
        let said = fs::read_to_string(self.directory.path().join("out")).unwrap_or_default();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{command} {arguments:?}: {errors}\n{said}"
        );
        String::from_utf8(output.stdout).expect("text")
    }

    fn command(&self, command: &str, arguments: &[&str]) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/lxd.sh");
        Command::new(script)
            .arg(command)
            .arg(self.directory.path())
            .args(arguments)
            .output()
            .expect("the script")
    }
}

impl Drop for Lxd {
    fn drop(&mut self) {
        // What goes wrong here must not hide what went wrong before.
        drop(self.command("stop", &[]));
    }
}

/// What is missing for a real reader.
fn missing() -> Option<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    for program in ["lxd", "lxc", "mksquashfs", "setsid", "xdelta3", "tar"] {
        if !folders.iter().any(|folder| folder.join(program).is_file()) {
            return Some(format!("`{program}` is not installed"));
        }
    }
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    (!is_root).then(|| "only root can start one".to_owned())
}
