use std::collections::HashSet;
use std::fs::File;
use std::num::NonZeroUsize;

use bytes::Bytes;
use imagestore_verify::Verified;

use crate::decode::{Budget, Decoding, Feed, Packed, XzBackend, with_feed};
use crate::error::UnpackError;
use crate::limits::UnpackLimits;
use crate::place::MemberPath;
use crate::tar::{Entry, Kind, Walk};

/// One file of a metadata archive, in memory.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Member {
    /// The name, without a leading `./`.
    pub name: Vec<u8>,
    /// The content.
    pub data: Vec<u8>,
}

/// What a metadata archive may hold.
///
/// # Defaults
///
/// They fit the metadata of every known image, and the keyrings of system-image. `Default` gives
/// them; change single fields afterwards.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct MemberLimits {
    /// Bytes of the unpacked archive; 4 MiB.
    pub bytes: u64,
    /// Bytes of one member; 1 MiB.
    pub member_bytes: u64,
    /// Members; 1,000.
    pub members: u64,
    /// Components of a name; 1, so no directories.
    pub components: usize,
}

impl Default for MemberLimits {
    fn default() -> Self {
        Self {
            bytes: 4 << 20,
            member_bytes: 1 << 20,
            members: 1_000,
            components: 1,
        }
    }
}

/// Reads a small archive of regular files into memory.
///
/// Names may begin with `./`. Links, devices, names that come twice, `..` and absolute names are
/// refused; so are directories, save the root's own entry, unless names may have several
/// components.
///
/// # Errors
///
/// [`UnpackErrorKind`](crate::UnpackErrorKind) lists them.
pub fn read_members(
    archive: &Verified<File>,
    limits: &MemberLimits,
) -> Result<Vec<Member>, UnpackError> {
    read(Packed::file(archive)?, limits)
}

/// The same as [`read_members`] for an archive in memory.
///
/// # Errors
///
/// [`UnpackErrorKind`](crate::UnpackErrorKind) lists them.
pub fn read_members_from_bytes(
    archive: &Verified<Bytes>,
    limits: &MemberLimits,
) -> Result<Vec<Member>, UnpackError> {
    read(Packed::bytes(archive), limits)
}

fn read(packed: Packed<'_>, limits: &MemberLimits) -> Result<Vec<Member>, UnpackError> {
    let unpack_limits = UnpackLimits {
        bytes: limits.bytes,
        entries: limits.members,
        components: limits.components,
        ..UnpackLimits::default()
    };
    let decoding = Decoding {
        limits: &unpack_limits,
        budget: Budget::Limit(limits.bytes),
        cancel: None,
        threads: NonZeroUsize::MIN,
        watch: None,
        xz: XzBackend::default(),
    };
    with_feed(packed, decoding, |feed| {
        collect(feed, limits, &unpack_limits)
    })
}

fn collect(
    feed: &mut Feed<'_>,
    limits: &MemberLimits,
    unpack_limits: &UnpackLimits,
) -> Result<Vec<Member>, UnpackError> {
    let mut walk = Walk::new(feed, unpack_limits);
    let mut names = HashSet::new();
    let mut members = Vec::new();
    while let Some(entry) = walk.next()? {
        let member = member(&mut walk, &entry, limits, unpack_limits, &mut names)
            .map_err(|error| error.about(&entry.name).at(entry.offset))?;
        members.extend(member);
    }
    Ok(members)
}

fn member(
    walk: &mut Walk<'_, '_>,
    entry: &Entry,
    limits: &MemberLimits,
    unpack_limits: &UnpackLimits,
    names: &mut HashSet<MemberPath>,
) -> Result<Option<Member>, UnpackError> {
    let path = MemberPath::parse(&entry.name, unpack_limits)?;
    match &entry.kind {
        Kind::Directory if path.is_root() || limits.components > 1 => return Ok(None),
        Kind::File { sparse: None } if !path.is_root() => {}
        _ => return Err(UnpackError::refused("metadata may hold regular files only")),
    }
    if !names.insert(path.clone()) {
        return Err(UnpackError::malformed("the name comes twice"));
    }
    let size = walk.left();
    if size > limits.member_bytes {
        return Err(UnpackError::too_large(format!(
            "a file of {size} bytes is over the limit of {} for metadata",
            limits.member_bytes
        )));
    }
    let mut data = Vec::new();
    loop {
        let part = walk.data()?;
        if part.is_empty() {
            return Ok(Some(Member {
                name: path.bytes().to_vec(),
                data,
            }));
        }
        data.extend_from_slice(part);
    }
}
