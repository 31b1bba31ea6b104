//! How long does it take to turn a `rootfs.tar.xz` into a directory?
//!
//! Data: the tree in `IMAGESTORE_BENCH_ROOT`, such as one by `debootstrap --variant=minbase`; without it a tree of 200 MB in
//! 4,000 files is made. It is packed by GNU tar and `xz -T0`, so that its blocks can be decoded side by side, and
//! as one block.

mod side_by_side;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use imagestore_unpack::Unpacker;
use imagestore_verify::{Sha256, Spool, StreamingCheck, Verified};
use side_by_side::{Way, compare, is_installed, is_smoke_test, peer, rounds};

fn main() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    let root = match std::env::var_os("IMAGESTORE_BENCH_ROOT") {
        Some(root) if !is_smoke_test() => PathBuf::from(root),
        _ => make_root(&path("root")),
    };
    for (blocks, options) in [("many blocks", "-T0 -1"), ("one block", "-T1 -1")] {
        let archive = path("rootfs.tar.xz");
        peer(&format!(
            "tar --numeric-owner --xattrs -C {} -cf - . | xz {options} -c > {}",
            root.display(),
            archive.display()
        ));
        let (xz, out) = (archive.display().to_string(), path("out"));
        let verified = verified(&archive);
        let fresh = || {
            if out.exists() {
                fs::remove_dir_all(&out).expect("removed");
            }
        };
        let mut ways = vec![Way::new("imagestore-unpack", || {
            fresh();
            Unpacker::new().unpack(&verified, &out).expect("unpacked");
        })];
        for (name, decode) in [
            ("xz -dc | tar -xp", "xz -dc"),
            ("xz -T0 -dc | tar -xp", "xz -T0 -dc"),
        ] {
            let (out, xz, fresh) = (out.display().to_string(), xz.clone(), &fresh);
            ways.push(Way::new(name, move || {
                fresh();
                peer(&format!(
                    "mkdir {out} && {decode} {xz} | tar -xp --numeric-owner -C {out} -f -"
                ));
            }));
        }
        if is_installed("bsdtar") {
            let (out, xz, fresh) = (out.display().to_string(), xz.clone(), &fresh);
            ways.push(Way::new("bsdtar -xp", move || {
                fresh();
                peer(&format!(
                    "mkdir {out} && bsdtar -xp --numeric-owner -C {out} -f {xz}"
                ));
            }));
        }
        compare(
            &format!("unpacking {} in {blocks}", size(&archive)),
            rounds(),
            ways,
        );
    }
}

fn verified(archive: &Path) -> Verified<File> {
    let digest = Sha256::of(&fs::read(archive).expect("an archive"));
    let file = File::options()
        .read(true)
        .write(true)
        .open(archive)
        .expect("an archive");
    let check = StreamingCheck::new().with_digest(digest);
    let spool = Spool::resume(file, check).expect("readable");
    spool
        .finish()
        .expect("its own digest")
        .map(|mut files| files.remove(0))
}

fn make_root(root: &Path) -> PathBuf {
    let (files, bytes) = if is_smoke_test() {
        (20, 1_000)
    } else {
        (4_000, 50_000)
    };
    let mut word = 1u64;
    for n in 0..files {
        let folder = root.join(format!("usr/lib/{:03}", n / 40));
        fs::create_dir_all(&folder).expect("made");
        let text: Vec<u8> = (0..bytes)
            .map(|_| {
                word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                b'a' + (word >> 60) as u8
            })
            .collect();
        fs::write(folder.join(format!("file-{n}")), text).expect("written");
    }
    root.to_owned()
}

fn size(archive: &Path) -> String {
    format!("{} bytes", fs::metadata(archive).expect("an archive").len())
}
