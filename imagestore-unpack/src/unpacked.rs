/// What came out of an archive.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Unpacked {
    /// Regular files.
    pub files: u64,
    /// Directories, those included that only the names of others imply.
    pub directories: u64,
    /// Symbolic links.
    pub symlinks: u64,
    /// Hard links: names for files that have one already.
    pub hard_links: u64,
    /// FIFOs.
    pub fifos: u64,
    /// Device nodes that were made.
    pub devices: u64,
    /// Device nodes that were left out, and names for them.
    pub devices_skipped: u64,
    /// Extended attributes that were left out.
    pub xattrs_dropped: u64,
    /// Files whose set-user-id or set-group-id bit was taken away.
    pub set_ids_dropped: u64,
    /// Members that an exclude pattern left out.
    pub excluded: u64,
    /// Members outside the chosen subtree.
    pub outside_subtree: u64,
    /// Bytes of content of regular files, holes not counted.
    pub bytes: u64,
}
