//! The real `lxc` command and the real LXD daemon as readers of a tree that was made here.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use imagestore_testkit::oracle::{self, Tool};
use imagestore_testkit::peers::{Lxd, init};
use imagestore_testkit::{Server, Site};
use imagestore_verify::Sha256;

use crate::published::{ARCH, Place, lookup_in};

#[tokio::test]
async fn the_real_client_lists_exports_and_copies_what_is_published_here() {
    let (Some(xdelta3), Some(lxd)) = (Tool::find("xdelta3"), Lxd::start()) else {
        return;
    };
    let place = Place::new();
    if let Some(init) = init() {
        let program = place.path("rootfs/sbin/init");
        fs::create_dir_all(place.path("rootfs/sbin")).expect("made");
        fs::write(&program, init).expect("written");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("its own file");
    }
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
    let certificate = server.certificate().expect("https");
    lxd.know("tree", &server.url(), "simplestreams", certificate.pem());

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
    let rootfs = fs::read(lxd.directory().join("exported.root")).expect("exported");
    let metadata = fs::read(lxd.directory().join("exported")).expect("exported");
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

    launches_and_exports(&lxd, &place);
}

/// An instance of the image runs, as far as instances run here, and what is exported of it is what was published.
fn launches_and_exports(lxd: &Lxd, place: &Place) {
    lxd.lxc(&["storage", "create", "pool", "dir"]);
    lxd.lxc(&["init", "tree:ubuntu/lts", "one", "--storage", "pool"]);
    let exported = exported(lxd, "one");
    let mut files = vec!["etc/hostname"];
    files.extend(init().map(|_| "sbin/init"));
    for name in files {
        let (wanted, found) = (place.path("rootfs").join(name), exported.join(name));
        assert_eq!(
            fs::read(found).expect("exported"),
            fs::read(wanted).expect("published"),
            "{name}"
        );
    }
    // Of the two forms it takes the squashfs, which was made before this file was written anew.
    let build = fs::read_to_string(exported.join("etc/build"));
    assert_eq!(build.expect("exported"), "20240601_00:00");
    if init().is_none() || !lxd.can(&["start", "one"]) {
        oracle::absent("a machine on which containers of LXD start");
        return;
    }
    let state = lxd.lxc(&["list", "one", "--format", "csv", "--columns", "s"]);
    assert_eq!(state.trim(), "RUNNING");
    lxd.lxc(&["stop", "one", "--force"]);
    let place = lxd.directory().join("one.exported");
    fs::remove_dir_all(place).expect("its own directory");
    assert!(self::exported(lxd, "one").join("ran").is_file());
    lxd.lxc(&["delete", "one", "--force"]);
}

/// The root file system in an export of an instance.
fn exported(lxd: &Lxd, name: &str) -> PathBuf {
    let file = format!("{name}.tar.gz");
    lxd.lxc(&["export", name, &file, "--instance-only"]);
    let target = lxd.directory().join(format!("{name}.exported"));
    fs::create_dir(&target).expect("a directory");
    let unpacked = Command::new("tar")
        .args(["-x", "-f"])
        .arg(lxd.directory().join(file))
        .arg("-C")
        .arg(&target)
        .status();
    assert!(unpacked.expect("tar").success());
    target.join("backup/container/rootfs")
}
