//! What GnuPG, coreutils, xz and GNU tar make of a tree.

use std::fs;
use std::path::{Path, PathBuf};

use imagestore_testkit::keys;
use imagestore_testkit::oracle::Tool;

use crate::support::{Place, build, files, name};

fn published(place: &Place) -> PathBuf {
    let id = build("20240601_00:00");
    let name = name("ubuntu/trusty/amd64/default");
    place
        .publisher()
        .publish(&name, id, &place.contents())
        .expect("published")
        .folder
}

fn signed_files(place: &Place) -> Vec<PathBuf> {
    let found = files(&place.tree());
    let signed: Vec<PathBuf> = found
        .iter()
        .filter_map(|file| file.strip_suffix(".asc"))
        .map(|file| place.tree().join(file))
        .collect();
    assert_eq!(signed.len(), 5, "{found:?}");
    signed
}

/// An empty home for GnuPG with the public key in it.
fn gnupg(place: &Place) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let home = place.path("gnupg");
    fs::create_dir(&home).expect("made");
    fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).expect("own");
    fs::write(place.path("key.asc"), keys::images().certificate()).expect("written");
    home
}

fn asc(path: &Path) -> String {
    format!("{}.asc", path.display())
}

#[test]
fn gpg_verifies_every_file() {
    let Some(gpg) = Tool::find("gpg") else { return };
    let place = Place::new();
    published(&place);
    let home = gnupg(&place);
    let run = |args: &[&str]| {
        let base = [
            "--batch",
            "--no-autostart",
            "--homedir",
            home.to_str().expect("UTF-8"),
        ];
        gpg.command().args(base).args(args).run()
    };
    let key = place.path("key.asc");
    drop(run(&["--import", key.to_str().expect("UTF-8")]).expect_success());
    let fingerprint = keys::images().fingerprint().to_string();
    for file in signed_files(&place) {
        let status = run(&[
            "--status-fd",
            "1",
            "--verify",
            &asc(&file),
            file.to_str().expect("UTF-8"),
        ]);
        let status = status.expect_success();
        let valid = status
            .lines()
            .find(|line| line.contains("VALIDSIG"))
            .expect("a valid signature");
        assert!(valid.contains(&fingerprint), "{valid}");
        // Class 00: over the bytes of a file. Digest 10: SHA-512.
        let words: Vec<&str> = valid.split(' ').collect();
        assert_eq!((words[9], words[10]), ("10", "00"), "{valid}");
    }
    let file = &signed_files(&place)[0];
    fs::write(file, "changed").expect("written");
    assert!(!run(&["--verify", &asc(file), file.to_str().expect("UTF-8")]).success());
}

#[test]
fn gpgv_verifies_every_file() {
    let (Some(gpgv), Some(gpg)) = (Tool::find("gpgv"), Tool::find("gpg")) else {
        return;
    };
    let place = Place::new();
    published(&place);
    let home = gnupg(&place);
    let ring = place.path("ring.gpg");
    let dearmor = [
        "--batch",
        "--no-autostart",
        "--homedir",
        home.to_str().expect("UTF-8"),
        "--dearmor",
    ];
    let binary = gpg
        .command()
        .args(dearmor)
        .input(keys::images().certificate())
        .run();
    fs::write(&ring, binary.stdout).expect("written");
    for file in signed_files(&place) {
        let args = [
            "--keyring",
            ring.to_str().expect("UTF-8"),
            &asc(&file),
            file.to_str().expect("UTF-8"),
        ];
        drop(gpgv.command().args(args).run().expect_success());
    }
}

#[test]
fn sha256sum_and_xz_find_nothing_wrong() {
    let place = Place::new();
    let folder = published(&place);
    if let Some(sha256sum) = Tool::find("sha256sum") {
        let said = sha256sum
            .command()
            .folder(&folder)
            .args(["-c", "--strict", "SHA256SUMS"])
            .run();
        assert_eq!(
            said.expect_success(),
            "rootfs.tar.xz: OK\nmeta.tar.xz: OK\n"
        );
    }
    if let Some(xz) = Tool::find("xz") {
        drop(
            xz.command()
                .folder(&folder)
                .args(["-t", "rootfs.tar.xz", "meta.tar.xz"])
                .run()
                .expect_success(),
        );
    }
}

#[test]
fn tar_lists_both_tarballs() {
    // GNU tar calls it.
    let (Some(tar), Some(_)) = (Tool::find("tar"), Tool::find("xz")) else {
        return;
    };
    let place = Place::new();
    let folder = published(&place);
    let list = |file: &str| {
        let said = tar.command().folder(&folder).args(["-tvJf", file]).run();
        assert!(said.stderr.is_empty(), "{}", said.stderr_text());
        let said = said.expect_success();
        let last = |line: &str| {
            line.split(" 20")
                .last()
                .and_then(|rest| rest.get(15..))
                .map(str::to_owned)
        };
        said.lines().filter_map(last).collect::<Vec<_>>()
    };
    assert_eq!(list("meta.tar.xz"), ["expiry", "config", "templates"]);
    assert_eq!(
        list("rootfs.tar.xz"),
        ["./", "./etc/", "./etc/hostname", "./name -> etc/hostname"]
    );
}

#[test]
fn large_tarballs_have_blocks_with_sizes() {
    let Some(xz) = Tool::find("xz") else { return };
    let place = Place::new();
    // 50 MiB that compress well: more than two blocks of 24 MiB.
    let large = fs::File::create(place.path("rootfs/large")).expect("made");
    large.set_len(50 << 20).expect("sized");
    let folder = published(&place);
    let said = xz
        .command()
        .folder(&folder)
        .args(["--robot", "-lvv", "rootfs.tar.xz"])
        .run();
    let said = said.expect_success();
    let blocks: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("block\t"))
        .collect();
    assert_eq!(blocks.len(), 3, "{said}");
    for block in blocks {
        let columns: Vec<&str> = block.split('\t').collect();
        assert_eq!(columns[9], "CRC64", "{block}");
        assert_eq!(columns[12], "cu", "both sizes are in the header: {block}");
    }
}
