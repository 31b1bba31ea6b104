use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use imagestore_verify::Sha256;

/// What is compared of an entry: kind and mode, owner, size, time, link target, names of the same
/// file, content.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Node {
    mode: u32,
    owner: (u32, u32),
    size: u64,
    modified: (i64, i64),
    link: Option<PathBuf>,
    names: Vec<PathBuf>,
    content: Option<Sha256>,
}

/// Every entry of a tree by its path.
pub(crate) fn tree(root: &Path) -> BTreeMap<PathBuf, Node> {
    let mut paths = vec![PathBuf::new()];
    let mut inodes: BTreeMap<u64, Vec<PathBuf>> = BTreeMap::new();
    let mut found = BTreeMap::new();
    while let Some(path) = paths.pop() {
        let full = root.join(&path);
        let metadata = full.symlink_metadata().expect("an entry");
        if metadata.is_dir() {
            for entry in std::fs::read_dir(&full).expect("a directory") {
                paths.push(path.join(entry.expect("an entry").file_name()));
            }
        } else {
            inodes.entry(metadata.ino()).or_default().push(path.clone());
        }
        found.insert(path, metadata);
    }
    let node = |path: &PathBuf, metadata: &std::fs::Metadata| {
        let full = root.join(path);
        let mut names = inodes.get(&metadata.ino()).cloned().unwrap_or_default();
        names.sort();
        Node {
            mode: metadata.mode(),
            owner: (metadata.uid(), metadata.gid()),
            // The size of a directory is the file system's own affair.
            size: if metadata.is_dir() {
                0
            } else {
                metadata.size()
            },
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            link: metadata
                .is_symlink()
                .then(|| std::fs::read_link(&full).expect("a link")),
            names,
            content: metadata
                .is_file()
                .then(|| Sha256::of(&std::fs::read(&full).expect("a file"))),
        }
    };
    found
        .iter()
        .map(|(path, metadata)| (path.clone(), node(path, metadata)))
        .collect()
}

/// Says which entries differ, one by one.
pub(crate) fn assert_same(one: &Path, other: &Path) {
    let (one, other) = (tree(one), tree(other));
    for (path, node) in &one {
        assert_eq!(Some(node), other.get(path), "{}", path.display());
    }
    let missing: Vec<_> = other
        .keys()
        .filter(|path| !one.contains_key(*path))
        .collect();
    assert!(missing.is_empty(), "missing: {missing:?}");
}
