use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::AsFd;

use imagestore_verify::Verified;

use crate::apply::{Plan, place};
use crate::decode::Feed;
use crate::error::UnpackError;
use crate::members::{Member, MemberLimits};
use crate::place::{MemberPath, Placer};
use crate::tar::{Entry, Kind, Walk};
use crate::unpacked::Unpacked;
use crate::unpacker::Unpacker;

/// What came out of a unified image: one archive with `metadata.yaml`, `rootfs/` and `templates/`.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct UnpackedUnified {
    /// The root file system.
    pub rootfs: Unpacked,
    /// `metadata.yaml` and the files in `templates/`, in memory and in the order of the archive.
    pub metadata: Vec<Member>,
}

impl Unpacker {
    /// Unpacks a unified image of LXD or Incus in one reading: what is below `rootfs` to a new
    /// directory `name` in `parent`, what is said about it into memory. On any error the directory
    /// is gone again. A [subtree](Self::with_subtree) does not count here.
    ///
    /// The host reads what lies beside the root, so there may be regular files and directories
    /// only; `backup.yaml` and `exec-output` are the host's own names and refused. The file system
    /// may come before what is said about it, or after it.
    ///
    /// # Errors
    ///
    /// [`UnpackErrorKind`](crate::UnpackErrorKind) lists them; `Unsupported` for the image of a
    /// virtual machine, whose disk is no tree.
    pub fn unpack_unified(
        &self,
        archive: &Verified<File>,
        parent: impl AsFd,
        name: impl AsRef<OsStr>,
    ) -> Result<UnpackedUnified, UnpackError> {
        let rootfs = MemberPath::parse(ROOTFS, self.limits())?;
        self.fill_new(parent.as_fd(), name.as_ref(), |directory| {
            self.fill_with(archive, directory, rootfs, apply)
        })
    }
}

fn apply(
    feed: &mut Feed<'_>,
    mut placer: Placer<'_>,
    plan: &Plan<'_>,
) -> Result<UnpackedUnified, UnpackError> {
    let mut walk = Walk::new(feed, plan.limits);
    let mut beside = Beside::default();
    let mut has_root = false;
    while let Some(entry) = walk.next()? {
        let about = |error: UnpackError| error.about(&entry.name).at(entry.offset);
        let path = MemberPath::parse(&entry.name, plan.limits).map_err(about)?;
        if path.is_root() || path.below(&plan.subtree).is_some() {
            has_root |= !path.is_root();
            place(&mut walk, &mut placer, plan, &entry).map_err(about)?;
        } else {
            beside.take(&path, &entry, &mut walk).map_err(about)?;
        }
    }
    if !has_root {
        return Err(UnpackError::malformed("the image has no `rootfs`"));
    }
    if !beside.members.iter().any(|member| member.name == METADATA) {
        return Err(UnpackError::malformed("the image has no `metadata.yaml`"));
    }
    let rootfs = placer.finish()?;
    feed.report();
    Ok(UnpackedUnified {
        rootfs,
        metadata: beside.members,
    })
}

/// What lies beside the root file system.
#[derive(Default)]
struct Beside {
    members: Vec<Member>,
    names: HashSet<MemberPath>,
    bytes: u64,
    limits: MemberLimits,
}

impl Beside {
    fn take(
        &mut self,
        path: &MemberPath,
        entry: &Entry,
        walk: &mut Walk<'_, '_>,
    ) -> Result<(), UnpackError> {
        let first = path.bytes().split(|byte| *byte == b'/').next();
        let is_directory = matches!(entry.kind, Kind::Directory);
        match first.unwrap_or_default() {
            METADATA if path.is_top() && !is_directory => {}
            TEMPLATES if path.is_top() == is_directory => {}
            DISK => {
                return Err(UnpackError::unsupported(
                    "the image is of a virtual machine: its root is a disk",
                ));
            }
            _ => {
                return Err(UnpackError::refused(
                    "an image holds no such thing beside its root",
                ));
            }
        }
        if is_directory {
            return Ok(());
        }
        let Kind::File { sparse: None } = entry.kind else {
            return Err(UnpackError::refused("metadata may hold regular files only"));
        };
        if !self.names.insert(path.clone()) {
            return Err(UnpackError::malformed("the name comes twice"));
        }
        let size = walk.left();
        self.bytes = self.bytes.saturating_add(size);
        if size > self.limits.member_bytes
            || self.bytes > self.limits.bytes
            || self.names.len() as u64 > self.limits.members
        {
            return Err(UnpackError::too_large(format!(
                "a file of {size} bytes, {} in all, is over the limits for metadata: {} bytes each, {} in all",
                self.bytes, self.limits.member_bytes, self.limits.bytes
            )));
        }
        let mut data = Vec::new();
        loop {
            let part = walk.data()?;
            if part.is_empty() {
                break;
            }
            data.extend_from_slice(part);
        }
        self.members.push(Member {
            name: path.bytes().to_vec(),
            data,
        });
        Ok(())
    }
}

const DISK: &[u8] = b"rootfs.img";
const METADATA: &[u8] = b"metadata.yaml";
const ROOTFS: &[u8] = b"rootfs";
const TEMPLATES: &[u8] = b"templates";
