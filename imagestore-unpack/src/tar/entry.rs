use super::sparse::SparseMap;

/// One member of an archive, all its headers taken together.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The name as it is in the archive.
    pub(crate) name: Vec<u8>,
    pub(crate) kind: Kind,
    /// Permission bits, with set-id and sticky.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) modified: Time,
    pub(crate) xattrs: Vec<Xattr>,
    /// Attributes given in a form that is not read: they count as dropped.
    pub(crate) foreign_xattrs: u64,
    /// Where the header begins in the unpacked archive.
    pub(crate) offset: u64,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Block(Device),
    Character(Device),
    Directory,
    Fifo,
    File { sparse: Option<SparseMap> },
    HardLink(Vec<u8>),
    Symlink(Vec<u8>),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Device {
    pub(crate) major: u32,
    pub(crate) minor: u32,
}

/// Seconds since 1970, and nanoseconds after them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Time {
    pub(crate) seconds: i64,
    pub(crate) nanoseconds: u32,
}

#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Xattr {
    pub(crate) name: Vec<u8>,
    pub(crate) value: Vec<u8>,
}
