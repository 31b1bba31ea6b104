use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;
use std::vec;

use super::super::pipe::Sink;
use super::blocks::{Block, open_all};
use super::image::Image;
use super::inode::{Content, Inode, Kind, Listing};
use super::metadata::{Cache, Cursor};
use super::tables::Tables;
use super::writer::{Header, Writer};
use crate::error::UnpackError;
use crate::tar::{Device, Xattr};

/// Writes all of a file system as members, each directory before what it holds.
pub(super) struct Tree<'a, 'w, 's> {
    image: &'a Image<'a>,
    cache: Rc<Cache>,
    writer: Writer<'w, 's>,
    /// Directories that were entered: a second way into one would be a circle, or a bomb.
    entered: HashSet<u32>,
    /// The first name of each inode that has several.
    first_names: HashMap<u32, Vec<u8>>,
    fragments: VecDeque<Opened>,
    entries: u64,
}

/// A fragment that was unpacked a moment ago.
struct Opened {
    index: u32,
    bytes: Rc<Vec<u8>>,
}

/// One name in a directory.
struct Named {
    name: Vec<u8>,
    reference: u64,
}

/// A directory whose entries are being written.
struct Level {
    path: Vec<u8>,
    rest: vec::IntoIter<Named>,
}

impl<'a, 'w, 's> Tree<'a, 'w, 's> {
    pub(super) fn new(image: &'a Image<'a>, sink: &'w mut Sink<'s>) -> Self {
        Self {
            image,
            cache: Rc::default(),
            writer: Writer::new(sink),
            entered: HashSet::new(),
            first_names: HashMap::new(),
            fragments: VecDeque::new(),
            entries: 0,
        }
    }

    pub(super) fn write(mut self) -> Result<(), UnpackError> {
        let cache = Rc::clone(&self.cache);
        let root = Inode::read(self.image, &cache, self.image.root_inode)?;
        let Kind::Directory(listing) = root.kind else {
            return Err(UnpackError::malformed(
                "the root of the file system is no directory",
            ));
        };
        self.member(b".", &root, b'5', 0, b"", NO_DEVICE, &cache)?;
        let mut levels = vec![self.enter(Vec::new(), root.number, listing, &cache)?];
        while let Some(level) = levels.last_mut() {
            let Some(named) = level.rest.next() else {
                levels.pop();
                continue;
            };
            let path = match level.path.as_slice() {
                b"" => named.name,
                above => [above, b"/", &named.name].concat(),
            };
            let below = self
                .entry(&path, named.reference, &cache)
                .map_err(|error| error.about(&path))?;
            levels.extend(below);
        }
        self.writer.end()
    }

    /// Writes one member; for a directory, gives what is to be written after it.
    fn entry(
        &mut self,
        path: &[u8],
        reference: u64,
        cache: &Cache,
    ) -> Result<Option<Level>, UnpackError> {
        let limits = self.image.decoding.limits;
        if path.len() > limits.path_bytes {
            return Err(UnpackError::too_large(format!(
                "a name has {} bytes, over the limit of {}",
                path.len(),
                limits.path_bytes
            )));
        }
        let inode = Inode::read(self.image, cache, reference)?;
        let several = inode.links > 1 && !matches!(inode.kind, Kind::Directory(_));
        if several && let Some(first) = self.first_names.get(&inode.number) {
            let first = first.clone();
            self.member(path, &inode, b'1', 0, &first, NO_DEVICE, cache)?;
            return Ok(None);
        }
        match &inode.kind {
            Kind::Socket => return Ok(None),
            Kind::Directory(listing) => {
                self.member(path, &inode, b'5', 0, b"", NO_DEVICE, cache)?;
                return self
                    .enter(path.to_vec(), inode.number, *listing, cache)
                    .map(Some);
            }
            Kind::Symlink(target) => {
                self.member(path, &inode, b'2', 0, target, NO_DEVICE, cache)?
            }
            Kind::Character(device) => self.member(path, &inode, b'3', 0, b"", *device, cache)?,
            Kind::Block(device) => self.member(path, &inode, b'4', 0, b"", *device, cache)?,
            Kind::Fifo => self.member(path, &inode, b'6', 0, b"", NO_DEVICE, cache)?,
            Kind::File(content) => {
                let size = content.size;
                if size > limits.bytes {
                    return Err(UnpackError::too_large(format!(
                        "a file has {size} bytes, over the limit of {}",
                        limits.bytes
                    )));
                }
                self.member(path, &inode, b'0', size, b"", NO_DEVICE, cache)?;
            }
        }
        if several {
            self.first_names.insert(inode.number, path.to_vec());
        }
        if let Kind::File(content) = inode.kind {
            let size = content.size;
            self.content(content, cache)?;
            self.writer.pad(size)?;
        }
        Ok(None)
    }

    #[expect(clippy::too_many_arguments, reason = "a header has that many fields")]
    fn member(
        &mut self,
        path: &[u8],
        inode: &Inode<'_>,
        letter: u8,
        size: u64,
        link: &[u8],
        device: Device,
        cache: &Cache,
    ) -> Result<(), UnpackError> {
        let tables = Tables::new(self.image, cache);
        let xattrs: Vec<Xattr> = match inode.xattrs {
            // A further name has the attributes of the first.
            Some(index) if letter != b'1' => tables.xattrs(index)?,
            _ => Vec::new(),
        };
        self.writer.header(&Header {
            path,
            letter,
            mode: u32::from(inode.mode) & 0o7777,
            uid: tables.id(inode.owner)?,
            gid: tables.id(inode.group)?,
            modified: inode.modified,
            size,
            link,
            device,
            xattrs: &xattrs,
        })
    }

    fn enter(
        &mut self,
        path: Vec<u8>,
        number: u32,
        listing: Listing,
        cache: &Cache,
    ) -> Result<Level, UnpackError> {
        if !self.entered.insert(number) {
            return Err(UnpackError::malformed("a directory is in two places"));
        }
        let entries = self.listing(listing, cache)?;
        Ok(Level {
            path,
            rest: entries.into_iter(),
        })
    }

    fn listing(&mut self, listing: Listing, cache: &Cache) -> Result<Vec<Named>, UnpackError> {
        let mut all: Vec<Named> = Vec::new();
        if listing.bytes == 0 {
            return Ok(all);
        }
        let start = self.image.directory_table.checked_add(listing.block.into());
        let start = start
            .ok_or_else(|| UnpackError::malformed("a directory leads out of the file system"))?;
        let mut cursor = Cursor::new(self.image, cache, start, listing.offset)?;
        let mut left = u64::from(listing.bytes);
        let mut take = |bytes: u64| {
            left = left
                .checked_sub(bytes)
                .ok_or_else(|| UnpackError::malformed("a directory is longer than it says"))?;
            Ok(left)
        };
        loop {
            let mut after = take(12)?;
            // Both numbers are one less than what they count.
            let count = cursor.u32()?;
            if count > 255 {
                return Err(UnpackError::malformed(format!(
                    "a part of a directory has {} entries",
                    u64::from(count) + 1
                )));
            }
            let block = cursor.u32()?;
            let _number = cursor.u32()?;
            for _ in 0..=count {
                take(8)?;
                let offset = cursor.u16()?;
                let _number = cursor.u16()?;
                let _form = cursor.u16()?;
                let length = usize::from(cursor.u16()?) + 1;
                after = take(length as u64)?;
                let name = cursor.bytes(length.min(256))?;
                check_name(&name)?;
                // In order, so that none comes twice.
                if all.last().is_some_and(|last| last.name >= name) {
                    return Err(UnpackError::malformed(
                        "the names of a directory are not in order",
                    )
                    .about(&name));
                }
                self.entries += 1;
                let limit = self.image.decoding.limits.entries;
                if self.entries > limit {
                    return Err(UnpackError::too_large(format!(
                        "the archive has more members than the limit of {limit}"
                    )));
                }
                let reference = u64::from(block) << 16 | u64::from(offset);
                all.push(Named { name, reference });
            }
            if after == 0 {
                return Ok(all);
            }
        }
    }

    fn content(&mut self, mut content: Content<'_>, cache: &Cache) -> Result<(), UnpackError> {
        let block_size = u64::from(self.image.block_size);
        let tail = match content.fragment {
            Some(_) => content.size % block_size,
            None => 0,
        };
        let mut left = content.size - tail;
        let mut start = content.start;
        let mut blocks = Vec::new();
        while left > 0 {
            let length = left.min(block_size);
            let block = Block {
                start,
                size: content.sizes.u32()?,
                // At most the size of a block.
                length: length as u32,
            };
            start = start.saturating_add(block.packed_length().into());
            blocks.push(block);
            left -= length;
            if blocks.len() == TOGETHER || left == 0 {
                for bytes in open_all(self.image, &blocks)? {
                    self.writer.put(&bytes)?;
                }
                blocks.clear();
            }
        }
        let Some(index) = content.fragment.filter(|_| tail > 0) else {
            return Ok(());
        };
        let fragment = self.fragment(index, cache)?;
        let from = content.offset as usize;
        let part = from
            .checked_add(tail as usize)
            .and_then(|end| fragment.get(from..end));
        let part = part.ok_or_else(|| UnpackError::malformed("a file ends beyond its fragment"))?;
        self.writer.put(part)
    }

    fn fragment(&mut self, index: u32, cache: &Cache) -> Result<Rc<Vec<u8>>, UnpackError> {
        if let Some(opened) = self.fragments.iter().find(|opened| opened.index == index) {
            return Ok(Rc::clone(&opened.bytes));
        }
        let block = Tables::new(self.image, cache).fragment(index)?;
        self.image.count(block.packed_length() as usize);
        let bytes = Rc::new(block.open(self.image)?);
        if self.fragments.len() == FRAGMENTS {
            self.fragments.pop_front();
        }
        self.fragments.push_back(Opened {
            index,
            bytes: Rc::clone(&bytes),
        });
        Ok(bytes)
    }
}

/// One component and nothing else.
fn check_name(name: &[u8]) -> Result<(), UnpackError> {
    if matches!(name, b"." | b"..") || name.contains(&b'/') || name.contains(&0) || name.len() > 255
    {
        return Err(UnpackError::refused("a name in a directory is no name").about(name));
    }
    Ok(())
}

const NO_DEVICE: Device = Device { major: 0, minor: 0 };
/// Blocks that are unpacked side by side.
const TOGETHER: usize = 16;
const FRAGMENTS: usize = 16;
