use super::image::Image;
use super::metadata::{Cache, Cursor};
use crate::error::UnpackError;
use crate::tar::Device;

/// An inode, whichever of its two forms it has.
pub(super) struct Inode<'a> {
    pub(super) number: u32,
    pub(super) mode: u16,
    pub(super) owner: u16,
    pub(super) group: u16,
    pub(super) modified: u32,
    pub(super) links: u32,
    pub(super) xattrs: Option<u32>,
    pub(super) kind: Kind<'a>,
}

pub(super) enum Kind<'a> {
    Block(Device),
    Character(Device),
    Directory(Listing),
    Fifo,
    File(Content<'a>),
    Socket,
    Symlink(Vec<u8>),
}

/// Where the entries of a directory are.
#[derive(Clone, Copy)]
pub(super) struct Listing {
    pub(super) block: u32,
    pub(super) offset: u16,
    /// Bytes of all entries and their headers.
    pub(super) bytes: u32,
}

/// Where the bytes of a file are.
pub(super) struct Content<'a> {
    pub(super) start: u64,
    pub(super) size: u64,
    /// The number of the fragment that holds its end, and where in it.
    pub(super) fragment: Option<u32>,
    pub(super) offset: u32,
    /// Stands at the sizes of the blocks.
    pub(super) sizes: Cursor<'a>,
}

impl<'a> Inode<'a> {
    pub(super) fn read(
        image: &'a Image<'a>,
        cache: &'a Cache,
        reference: u64,
    ) -> Result<Self, UnpackError> {
        let mut cursor = Cursor::at(image, cache, image.inode_table, reference)?;
        let form = cursor.u16()?;
        let mut inode = Inode {
            mode: cursor.u16()?,
            owner: cursor.u16()?,
            group: cursor.u16()?,
            modified: cursor.u32()?,
            number: cursor.u32()?,
            links: 1,
            xattrs: None,
            kind: Kind::Socket,
        };
        match form {
            1 => {
                let block = cursor.u32()?;
                inode.links = cursor.u32()?;
                let bytes = u32::from(cursor.u16()?);
                let offset = cursor.u16()?;
                inode.kind = Kind::Directory(listing(block, offset, bytes)?);
            }
            8 => {
                inode.links = cursor.u32()?;
                let bytes = cursor.u32()?;
                let block = cursor.u32()?;
                let _parent = cursor.u32()?;
                let _index = cursor.u16()?;
                let offset = cursor.u16()?;
                inode.xattrs = xattrs(cursor.u32()?);
                inode.kind = Kind::Directory(listing(block, offset, bytes)?);
            }
            2 => {
                let start = cursor.u32()?.into();
                let (fragment, offset) = (cursor.u32()?, cursor.u32()?);
                let size = cursor.u32()?.into();
                inode.kind = content(start, size, fragment, offset, cursor);
            }
            9 => {
                let (start, size) = (cursor.u64()?, cursor.u64()?);
                let _holes = cursor.u64()?;
                inode.links = cursor.u32()?;
                let (fragment, offset) = (cursor.u32()?, cursor.u32()?);
                inode.xattrs = xattrs(cursor.u32()?);
                inode.kind = content(start, size, fragment, offset, cursor);
            }
            3 | 10 => {
                inode.links = cursor.u32()?;
                let length = cursor.u32()?;
                let limit = image.decoding.limits.path_bytes;
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                if length > limit {
                    return Err(UnpackError::too_large(format!(
                        "a link's target has {length} bytes, over the limit of {limit}"
                    )));
                }
                inode.kind = Kind::Symlink(cursor.bytes(length)?);
                if form == 10 {
                    inode.xattrs = xattrs(cursor.u32()?);
                }
            }
            4 | 5 | 11 | 12 => {
                inode.links = cursor.u32()?;
                let device = device(cursor.u32()?);
                if form > 8 {
                    inode.xattrs = xattrs(cursor.u32()?);
                }
                inode.kind = if matches!(form, 4 | 11) {
                    Kind::Block(device)
                } else {
                    Kind::Character(device)
                };
            }
            6 | 7 | 13 | 14 => {
                inode.links = cursor.u32()?;
                if form > 8 {
                    inode.xattrs = xattrs(cursor.u32()?);
                }
                if matches!(form, 6 | 13) {
                    inode.kind = Kind::Fifo;
                }
            }
            other => {
                return Err(UnpackError::malformed(format!(
                    "an inode is of the unknown form {other}"
                )));
            }
        }
        Ok(inode)
    }
}

fn listing(block: u32, offset: u16, bytes: u32) -> Result<Listing, UnpackError> {
    // Three bytes are counted for `.` and `..`, which are not there.
    let bytes = bytes
        .checked_sub(3)
        .ok_or_else(|| UnpackError::malformed("a directory is shorter than an empty one"))?;
    Ok(Listing {
        block,
        offset,
        bytes,
    })
}

fn content(start: u64, size: u64, fragment: u32, offset: u32, sizes: Cursor<'_>) -> Kind<'_> {
    Kind::File(Content {
        start,
        size,
        fragment: (fragment != NONE).then_some(fragment),
        offset,
        sizes,
    })
}

fn xattrs(index: u32) -> Option<u32> {
    (index != NONE).then_some(index)
}

/// As the kernel packs it: twelve bits of the major number between eight and twelve of the minor.
fn device(number: u32) -> Device {
    Device {
        major: number >> 8 & 0xfff,
        minor: number & 0xff | number >> 12 & 0xfff00,
    }
}

const NONE: u32 = u32::MAX;
