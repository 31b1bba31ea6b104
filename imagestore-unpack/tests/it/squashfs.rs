//! The same tree as unsquashfs makes, entry by entry, and images that lie.

use std::fs;
use std::path::Path;
use std::process::Command;

use imagestore_unpack::{UnpackErrorKind, UnpackLimits, Unpacker};

use crate::gnu_tar::{Names, expected, grow, run};
use crate::scene::{Scene, has, verified, verified_path};
use crate::snapshot::snapshot;

#[test]
fn packed_with_gzip() {
    assert_same_as_unsquashfs(&["-comp", "gzip"]);
}

#[test]
fn packed_with_xz_and_filters() {
    assert_same_as_unsquashfs(&["-comp", "xz", "-Xbcj", "x86"]);
}

#[test]
#[cfg(feature = "zstd")]
fn packed_with_zstd() {
    assert_same_as_unsquashfs(&["-comp", "zstd", "-b", "1M"]);
}

#[test]
fn small_blocks_without_fragments() {
    assert_same_as_unsquashfs(&["-comp", "gzip", "-b", "4K", "-no-fragments"]);
}

#[test]
fn fragments_of_large_files() {
    assert_same_as_unsquashfs(&["-comp", "gzip", "-b", "16K", "-always-use-fragments"]);
}

#[test]
fn not_packed_at_all() {
    assert_same_as_unsquashfs(&["-noI", "-noD", "-noF", "-noX"]);
}

#[test]
fn without_tables_for_export_and_duplicates() {
    assert_same_as_unsquashfs(&["-no-exports", "-no-duplicates", "-no-sparse"]);
}

#[track_caller]
fn assert_same_as_unsquashfs(arguments: &[&str]) {
    if !tools() {
        return;
    }
    let work = tempfile::tempdir().expect("a temporary directory");
    let source = work.path().join("source");
    grow(&source, Names::All);
    let many = source.join("many");
    fs::create_dir(&many).expect("a directory");
    for number in 0..600 {
        fs::write(many.join(format!("{number}")), vec![number as u8; number]).expect("a file");
    }
    let image = work.path().join("image");
    make(&source, &image, arguments);

    let scene = Scene::new();
    let ours = Unpacker::new().unpack(&verified_path(&image), &scene.target());
    scene.assert_untouched();
    let unpacked = ours.unwrap_or_else(|e| panic!("{e} {:?}", std::error::Error::source(&e)));

    let theirs = work.path().join("theirs");
    run(Command::new("unsquashfs")
        .args(["-n", "-d"])
        .arg(&theirs)
        .arg(&image));
    let expected = expected(&theirs);
    let found = snapshot(&scene.target());
    for (path, node) in &expected {
        assert_eq!(found.get(path), Some(node), "{}", path.display());
    }
    assert_eq!(found.len(), expected.len());
    // The packer makes two links of two names of one symbolic link.
    assert_eq!(unpacked.hard_links, 1);
}

#[test]
fn takes_what_is_below_a_subtree() {
    if !tools() {
        return;
    }
    let scene = Scene::new();
    let image = small(&[("rootfs/etc/name", "box"), ("other", "x")]);
    let unpacker = Unpacker::new().with_subtree("rootfs");
    let unpacked = scene.unpack(&unpacker, &image).expect("a tree");
    assert_eq!((unpacked.files, unpacked.outside_subtree), (1, 2));
    assert_eq!(
        fs::read(scene.target().join("etc/name")).expect("a file"),
        b"box"
    );
}

#[test]
fn a_directory_in_itself_is_refused() {
    if !tools() {
        return;
    }
    let mut image = small(&[("loop/file", "x")]);
    let name = find(&image, b"loop");
    // The entry points to the inode of the root instead.
    image.copy_within(32..34, name - 8);
    assert_malformed(&image, "a directory is in two places: `loop`");
}

#[test]
fn names_that_are_no_names_are_refused() {
    if !tools() {
        return;
    }
    for (wrong, message) in [
        (&b"../x"[..], "a name in a directory is no name: `../x`"),
        (b"a\0bc", "a name in a directory is no name: `a\\u{0}bc`"),
        (b"/etc", "a name in a directory is no name: `/etc`"),
    ] {
        let mut image = small(&[("four", "x")]);
        let name = find(&image, b"four");
        image[name..name + 4].copy_from_slice(wrong);
        let scene = Scene::new();
        scene.assert_refused_by(&Unpacker::new(), &image, UnpackErrorKind::Unsafe, message);
    }
    let mut image = small(&[("aaa1", "x"), ("aaa2", "y")]);
    let name = find(&image, b"aaa2");
    image[name + 3] = b'1';
    assert_malformed(&image, "the names of a directory are not in order: `aaa1`");
}

#[test]
fn superblocks_that_make_no_sense_are_refused() {
    if !tools() {
        return;
    }
    let image = small(&[("file", "x")]);
    let change = |at: usize, bytes: &[u8]| {
        let mut image = image.clone();
        image[at..at + bytes.len()].copy_from_slice(bytes);
        image
    };
    assert_malformed(
        &change(12, &[0, 0, 0, 0x10]),
        "the file system has blocks of 268435456 bytes and says that this is 2 to the power of 17",
    );
    assert_malformed(
        &change(20, &[9, 0]),
        "the file system is packed in the unknown way 9",
    );
    let scene = Scene::new();
    for (at, bytes, message) in [
        (
            28,
            [3, 0],
            "the file system is squashfs 3.0; 4.0 can be unpacked",
        ),
        (
            20,
            [3, 0],
            "the file system is packed with lzo; gzip, xz and zstd can be unpacked",
        ),
    ] {
        let kind = UnpackErrorKind::Unsupported;
        scene.assert_refused_by(&Unpacker::new(), &change(at, &bytes), kind, message);
    }
    let length = image.len();
    let used = u64::from_le_bytes(image[40..48].try_into().expect("eight bytes"));
    assert_malformed(
        &image[..used as usize - 1],
        &format!(
            "the file system has {used} bytes, of which {} are there",
            used - 1
        ),
    );
    assert!(length as u64 >= used);
    assert_malformed(&image[..50], "the file system is cut short");
}

#[test]
fn no_changed_byte_leads_out_or_ends_in_a_panic() {
    if !tools() {
        return;
    }
    let image = small(&[
        ("dir/one", "1"),
        ("dir/two", "22"),
        ("file", "x"),
        ("link", "y"),
    ]);
    let used = u64::from_le_bytes(image[40..48].try_into().expect("eight bytes")) as usize;
    let mut limits = UnpackLimits::default();
    limits.bytes = 1 << 20;
    let unpacker = Unpacker::new().with_limits(limits);
    let mut refused = 0;
    for at in 0..used {
        for value in [0x00, 0x7f, 0xff] {
            let mut changed = image[..used].to_vec();
            changed[at] = value;
            let scene = Scene::new();
            if let Err(error) = scene.unpack(&unpacker, &changed) {
                assert!(!scene.target().exists(), "{error}");
                refused += 1;
            }
        }
    }
    assert!(refused > used / 4, "{refused} of {used}");
}

#[test]
fn an_image_of_a_tree_of_zeros_is_bounded() {
    if !tools() {
        return;
    }
    let work = tempfile::tempdir().expect("a temporary directory");
    let source = work.path().join("source");
    fs::create_dir(&source).expect("a directory");
    fs::File::create(source.join("hole"))
        .and_then(|file| file.set_len(256 << 20))
        .expect("a hole");
    let image = work.path().join("image");
    make(&source, &image, &[]);
    let error = Unpacker::new().unpack(&verified_path(&image), &Scene::new().target());
    assert_eq!(error.expect_err("zeros").kind(), UnpackErrorKind::TooLarge);
}

fn assert_malformed(image: &[u8], message: &str) {
    Scene::new().assert_refused_by(&Unpacker::new(), image, UnpackErrorKind::Malformed, message);
}

/// An image whose tables can be read and changed.
fn small(files: &[(&str, &str)]) -> Vec<u8> {
    let work = tempfile::tempdir().expect("a temporary directory");
    let source = work.path().join("source");
    for (name, text) in files {
        let path = source.join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, text).expect("a file");
    }
    let image = work.path().join("image");
    make(&source, &image, &["-noI", "-noD", "-noF", "-noX"]);
    let bytes = fs::read(&image).expect("an image");
    assert!(
        Unpacker::new()
            .unpack(&verified(&bytes), &Scene::new().target())
            .is_ok()
    );
    bytes
}

fn find(image: &[u8], name: &[u8]) -> usize {
    image
        .windows(name.len())
        .position(|window| window == name)
        .expect("the name")
}

fn make(source: &Path, image: &Path, arguments: &[&str]) {
    run(Command::new("mksquashfs")
        .arg(source)
        .arg(image)
        .args(["-noappend", "-quiet", "-no-progress"])
        .args(arguments));
}

fn tools() -> bool {
    has("mksquashfs") && has("unsquashfs")
}
