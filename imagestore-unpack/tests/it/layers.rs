//! Layers over a tree whose directories do not let their owner in: what root does not notice, an
//! ordinary user must not either. These tests are run as both.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use imagestore_unpack::{
    Layer, LayerApplier, LayerBase, UnpackError, UnpackErrorKind, UnpackLimits,
};

use crate::archive::{Archive, Header};
use crate::scene::verified;

/// A directory with this mode.
fn directory(archive: Archive, name: &str, mode: u64) -> Archive {
    archive.member(Header::new(b'5', name).mode(mode), b"")
}

fn apply(archive: &[u8], base: LayerBase, to: &Path) -> Result<(), UnpackError> {
    let archive = verified(archive);
    let layer = Layer::read(&archive, &UnpackLimits::default(), &[])?;
    let directory = File::open(to).expect("a directory");
    let applied = LayerApplier::new().apply(&archive, &layer, base, &directory);
    applied.map(|_| ())
}

/// The tree `system` in a directory: `locked` may not be written to, `closed` not be entered.
fn full(to: &Path) {
    let mut archive = Archive::new();
    for (name, mode) in [
        ("system", 0o555),
        ("system/locked", 0o1555),
        ("system/locked/deep", 0o555),
        ("system/locked/gone", 0o555),
        ("system/closed", 0),
    ] {
        archive = directory(archive, name, mode);
    }
    let archive = archive
        .file("system/locked/old", b"old")
        .file("system/locked/deep/old", b"old")
        .file("system/locked/gone/old", b"old")
        .file("system/closed/old", b"old")
        .end();
    apply(&archive, LayerBase::Nothing, to).expect("a full image");
}

fn new_directory() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a directory");
    let to = folder.path().join("tree");
    let mut builder = fs::DirBuilder::new();
    builder.mode(0o700).create(&to).expect("a directory");
    (folder, to)
}

/// Modes and contents by path. What cannot be entered is opened for it first, as root need not.
fn tree(to: &Path) -> BTreeMap<String, (u32, Option<Vec<u8>>)> {
    let mut found = BTreeMap::new();
    let mut open = vec![to.to_owned()];
    while let Some(path) = open.pop() {
        let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode));
        let metadata = fs::symlink_metadata(&path).expect("it is there");
        let was = metadata.permissions().mode() & 0o7777;
        let name = path.strip_prefix(to).expect("below");
        let name = name.to_str().expect("text").to_owned();
        if metadata.is_dir() {
            mode(was | 0o700).expect("ours");
            for entry in fs::read_dir(&path).expect("it can be read") {
                open.push(entry.expect("an entry").path());
            }
            found.insert(name, (was, None));
        } else {
            found.insert(name, (was, Some(fs::read(&path).expect("a file"))));
        }
    }
    found
}

fn assert_tree(to: &Path, expected: &[(&str, u32, Option<&[u8]>)]) {
    let expected = expected
        .iter()
        .map(|(name, mode, data)| ((*name).to_owned(), (*mode, data.map(<[u8]>::to_vec))));
    assert_eq!(tree(to), expected.collect());
}

#[test]
fn another_layer_of_a_full_image_goes_over_locked_directories() {
    let (_folder, to) = new_directory();
    full(&to);
    let archive = Archive::new()
        .file("system/locked/deep/new", b"new")
        .hard_link("system/locked/deep/linked", "system/locked/old")
        .end();
    apply(&archive, LayerBase::Nothing, &to).expect("the next layer");
    assert_tree(
        &to,
        &[
            ("", 0o700, None),
            ("system", 0o555, None),
            ("system/closed", 0, None),
            ("system/closed/old", 0o644, Some(b"old")),
            ("system/locked", 0o1555, None),
            ("system/locked/deep", 0o555, None),
            ("system/locked/deep/linked", 0o644, Some(b"old")),
            ("system/locked/deep/new", 0o644, Some(b"new")),
            ("system/locked/deep/old", 0o644, Some(b"old")),
            ("system/locked/gone", 0o555, None),
            ("system/locked/gone/old", 0o644, Some(b"old")),
            ("system/locked/old", 0o644, Some(b"old")),
        ],
    );
}

#[test]
fn a_delta_removes_and_replaces_in_locked_directories() {
    let (_folder, to) = new_directory();
    full(&to);
    let archive = Archive::new().file(
        "removed",
        b"system/locked/gone\nsystem/locked/deep/old\nsystem/closed/old\n",
    );
    // One is named, and so gets another mode; the others keep theirs.
    let archive = directory(archive, "system/closed", 0o111)
        .file("system/closed/new", b"new")
        .file("system/locked/old", b"replaced")
        .file("system/locked/made/new", b"new")
        .end();
    apply(&archive, LayerBase::Tree, &to).expect("the delta");
    assert_tree(
        &to,
        &[
            ("", 0o700, None),
            ("system", 0o555, None),
            ("system/closed", 0o111, None),
            ("system/closed/new", 0o644, Some(b"new")),
            ("system/locked", 0o1555, None),
            ("system/locked/deep", 0o555, None),
            ("system/locked/made", 0o755, None),
            ("system/locked/made/new", 0o644, Some(b"new")),
            ("system/locked/old", 0o644, Some(b"replaced")),
        ],
    );
}

#[test]
fn a_refused_layer_leaves_the_modes_as_they_were() {
    let (_folder, to) = new_directory();
    full(&to);
    let archive = Archive::new()
        .file("removed", b"system/closed/old\n")
        .file("system/locked/deep/new", b"new")
        .file("system/locked", b"a file where a directory is")
        .end();
    let error = apply(&archive, LayerBase::Tree, &to).expect_err("it must be refused");
    assert_eq!(error.kind(), UnpackErrorKind::Malformed, "{error}");
    let found = tree(&to);
    for (name, mode) in [
        ("system", 0o555),
        ("system/closed", 0),
        ("system/locked", 0o1555),
        ("system/locked/deep", 0o555),
    ] {
        assert_eq!(found[name].0, mode, "{name}");
    }
}
