//! The steps of a system-image upgrade: tarballs applied one after the other to one directory.

use std::collections::HashSet;
use std::fs::File;

use imagestore_verify::Verified;

use crate::decode::{Budget, Decoding, Packed, XzBackend, with_feed};
use crate::error::UnpackError;
use crate::limits::UnpackLimits;
use crate::place::MemberPath;
use crate::tar::{Entry, Kind, Walk};

/// A layer that was looked through from end to end before anything of it is applied.
///
/// ```text
/// removed            what is deleted first, one path a line (a delta has it)
/// system/…           the root file system
/// partitions/…       images of partitions
/// data/…             what goes to the data partition
/// legacy_channel, system_in_data      flags for a recovery, which are not placed
/// ```
///
/// # Deviation
/// A recovery reads `removed` with a shell: blanks part names, `*` is a pattern, `..` is obeyed and
/// a last line without an end is lost. Here a line is one literal path below one of the three roots,
/// or the layer is refused.
#[derive(Clone, Debug)]
pub struct Layer {
    pub(crate) removed: Vec<MemberPath>,
    kept: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Layer {
    /// Looks through an archive: names, links, `removed`. The content of `wanted` is kept, the
    /// names without `./`.
    ///
    /// # Errors
    ///
    /// [`UnpackErrorKind`](crate::UnpackErrorKind) lists them; `Unsafe` for a member outside the
    /// three roots.
    pub fn read(
        archive: &Verified<File>,
        limits: &UnpackLimits,
        wanted: &[&[u8]],
    ) -> Result<Self, UnpackError> {
        let decoding = Decoding {
            limits,
            budget: Budget::Limit(limits.bytes),
            cancel: None,
            threads: std::num::NonZeroUsize::MIN,
            watch: None,
            xz: XzBackend::default(),
        };
        with_feed(Packed::file(archive)?, decoding, |feed| {
            let mut walk = Walk::new(feed, limits);
            let mut look = Look {
                limits,
                wanted,
                removed: None,
                kept: Vec::new(),
                links: HashSet::new(),
            };
            while let Some(entry) = walk.next()? {
                look.at(&mut walk, &entry)
                    .map_err(|error| error.about(&entry.name).at(entry.offset))?;
            }
            Ok(Self {
                removed: look.removed.unwrap_or_default(),
                kept: look.kept,
            })
        })
    }

    /// What it deletes.
    pub fn removed(&self) -> impl Iterator<Item = &[u8]> {
        self.removed.iter().map(MemberPath::bytes)
    }

    /// The content of a member that was wanted and is there.
    #[must_use]
    pub fn file(&self, name: &[u8]) -> Option<&[u8]> {
        self.kept
            .iter()
            .find(|(kept, _)| kept == name)
            .map(|(_, content)| content.as_slice())
    }
}

/// Where a member of a layer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Below one of the roots.
    Below,
    /// Nowhere: it is for whoever applies the layer.
    Nowhere,
}

/// Where the member at a path goes.
pub(crate) fn place(path: &MemberPath, kind: &Kind) -> Result<Place, UnpackError> {
    let bytes = path.bytes();
    let is_directory = matches!(kind, Kind::Directory);
    if path.is_root() && is_directory {
        return Ok(Place::Nowhere);
    }
    if path.is_top() && (bytes == REMOVED || FLAGS.contains(&bytes)) {
        return match kind {
            Kind::File { sparse: None } => Ok(Place::Nowhere),
            _ => Err(UnpackError::refused("the name belongs to a plain file")),
        };
    }
    let first = bytes.split(|byte| *byte == b'/').next().unwrap_or_default();
    if !ROOTS.contains(&first) {
        return Err(UnpackError::refused(
            "a layer holds system, partitions and data, and nothing beside them",
        ));
    }
    if path.is_top() && !is_directory {
        return Err(UnpackError::refused(
            "a root of a layer must be a directory",
        ));
    }
    Ok(Place::Below)
}

struct Look<'a> {
    limits: &'a UnpackLimits,
    wanted: &'a [&'a [u8]],
    removed: Option<Vec<MemberPath>>,
    kept: Vec<(Vec<u8>, Vec<u8>)>,
    links: HashSet<Vec<u8>>,
}

impl Look<'_> {
    fn at(&mut self, walk: &mut Walk<'_, '_>, entry: &Entry) -> Result<(), UnpackError> {
        let path = MemberPath::parse(&entry.name, self.limits)?;
        let place = place(&path, &entry.kind)?;
        let mut above = path.parent();
        while !above.is_empty() {
            if self.links.contains(above) {
                return Err(UnpackError::refused(
                    "the name passes through a symbolic link",
                ));
            }
            let slash = above.iter().rposition(|byte| *byte == b'/');
            above = &above[..slash.unwrap_or(0)];
        }
        match &entry.kind {
            Kind::Symlink(_) => {
                self.links.insert(path.bytes().to_vec());
            }
            Kind::HardLink(target) => {
                let target = MemberPath::parse(target, self.limits)?;
                let to = self::place(&target, &Kind::File { sparse: None })?;
                if to != Place::Below {
                    return Err(UnpackError::refused("a hard link to what is not placed"));
                }
                self.links.remove(path.bytes());
            }
            _ => {
                self.links.remove(path.bytes());
            }
        }
        if place == Place::Nowhere && path.bytes() == REMOVED {
            if self.removed.is_some() {
                return Err(UnpackError::malformed("the name comes twice"));
            }
            let content = content(walk, MAX_REMOVED)?;
            self.removed = Some(self.lines(&content)?);
        } else if self.wanted.contains(&path.bytes()) {
            if !matches!(entry.kind, Kind::File { sparse: None }) {
                return Err(UnpackError::refused("the name belongs to a plain file"));
            }
            let content = content(walk, MAX_KEPT)?;
            self.kept.retain(|(name, _)| name != path.bytes());
            self.kept.push((path.bytes().to_vec(), content));
        }
        Ok(())
    }

    fn lines(&self, content: &[u8]) -> Result<Vec<MemberPath>, UnpackError> {
        let content = content.strip_suffix(b"\n").unwrap_or(content);
        if content.is_empty() {
            return Ok(Vec::new());
        }
        content
            .split(|byte| *byte == b'\n')
            .map(|line| self.line(line).map_err(|error| error.about(line)))
            .collect()
    }

    fn line(&self, line: &[u8]) -> Result<MemberPath, UnpackError> {
        if line.is_empty() {
            return Err(UnpackError::refused("`removed` has an empty line"));
        }
        if line.contains(&0) {
            return Err(UnpackError::refused("`removed` has a line with a NUL"));
        }
        let path = MemberPath::parse(line, self.limits)?;
        if path.is_root() || path.is_top() {
            return Err(UnpackError::refused(
                "`removed` names what is not below system, partitions or data",
            ));
        }
        place(&path, &Kind::File { sparse: None })?;
        Ok(path)
    }
}

fn content(walk: &mut Walk<'_, '_>, most: u64) -> Result<Vec<u8>, UnpackError> {
    let size = walk.left();
    if size > most {
        return Err(UnpackError::too_large(format!(
            "a file of {size} bytes is over the limit of {most} for what is read here"
        )));
    }
    let mut data = Vec::new();
    loop {
        let part = walk.data()?;
        if part.is_empty() {
            return Ok(data);
        }
        data.extend_from_slice(part);
    }
}

const REMOVED: &[u8] = b"removed";
const FLAGS: [&[u8]; 2] = [b"legacy_channel", b"system_in_data"];
const ROOTS: [&[u8]; 3] = [b"data", b"partitions", b"system"];
const MAX_REMOVED: u64 = 64 << 20;
const MAX_KEPT: u64 = 1 << 20;
