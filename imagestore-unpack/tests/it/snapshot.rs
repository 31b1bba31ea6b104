//! Everything about a tree that unpacking can set, for comparing.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use imagestore_verify::Sha256;

/// One inode as seen by one of its names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Node {
    pub(crate) kind: String,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) modified: (i64, i64),
    /// The content's size and digest, or where a link points.
    pub(crate) content: String,
    /// The first of its names.
    pub(crate) same_as: PathBuf,
    pub(crate) xattrs: BTreeMap<String, Vec<u8>>,
}

/// All names below a directory, and the directory itself as the empty name.
pub(crate) fn snapshot(root: &Path) -> BTreeMap<PathBuf, Node> {
    let mut nodes = BTreeMap::new();
    let mut inodes = BTreeMap::new();
    let mut open = vec![PathBuf::new()];
    while let Some(path) = open.pop() {
        let node = node(root, &path, &mut inodes);
        if node.kind == "directory" {
            let mut below: Vec<_> = fs::read_dir(root.join(&path))
                .expect("a readable directory")
                .map(|entry| path.join(entry.expect("an entry").file_name()))
                .collect();
            // The smallest name of an inode is met first, whatever the order on disk.
            below.sort();
            open.extend(below.into_iter().rev());
        }
        nodes.insert(path, node);
    }
    nodes
}

fn node(root: &Path, path: &Path, inodes: &mut BTreeMap<(u64, u64), PathBuf>) -> Node {
    let full = if path.as_os_str().is_empty() {
        root.to_path_buf()
    } else {
        root.join(path)
    };
    let found = fs::symlink_metadata(&full).expect("it was listed");
    let kind = found.file_type();
    let (kind, content) = if kind.is_dir() {
        ("directory".to_owned(), String::new())
    } else if kind.is_symlink() {
        let target = fs::read_link(&full).expect("a link");
        (
            "symlink".to_owned(),
            format!("{:?}", target.as_os_str().as_bytes()),
        )
    } else if kind.is_file() {
        let digest = match fs::read(&full) {
            Ok(bytes) => Sha256::of(&bytes).to_string(),
            Err(_) => "unreadable".to_owned(),
        };
        ("file".to_owned(), format!("{} {digest}", found.len()))
    } else if kind.is_fifo() {
        ("fifo".to_owned(), String::new())
    } else {
        (format!("{kind:?}"), found.rdev().to_string())
    };
    let same_as = inodes
        .entry((found.dev(), found.ino()))
        .or_insert_with(|| path.to_path_buf());
    Node {
        kind,
        mode: found.mode() & 0o7777,
        uid: found.uid(),
        gid: found.gid(),
        modified: (found.mtime(), found.mtime_nsec()),
        content,
        same_as: same_as.clone(),
        xattrs: xattrs(&full),
    }
}

fn xattrs(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut names = vec![0; 64 << 10];
    let Ok(length) = rustix::fs::llistxattr(path, &mut names[..]) else {
        return BTreeMap::new();
    };
    names[..length]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| {
            let mut value = vec![0; 64 << 10];
            let length = rustix::fs::lgetxattr(path, name, &mut value[..]).expect("it was listed");
            (
                String::from_utf8_lossy(name).into_owned(),
                value[..length].to_vec(),
            )
        })
        .collect()
}
