use crate::error::UnpackError;

/// Who owns what is unpacked.
///
/// # Defaults
///
/// `Recorded` for root, `Caller` for everybody else.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Owners {
    /// The caller. Set-user-id and set-group-id bits are taken away: they would give out the
    /// caller's rights.
    Caller,
    /// The recorded numbers, moved into a container's range of ids; one outside every range is
    /// refused.
    Mapped(Vec<IdRange>),
    /// The numbers recorded in the archive. User and group names are ignored.
    Recorded,
}

/// A run of ids inside a container, and what they are outside.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct IdRange {
    kind: IdKind,
    inside: u32,
    outside: u32,
    count: u32,
}

/// Whether a range is for users, for groups, or for both.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum IdKind {
    /// Users and groups.
    Both,
    /// Groups only.
    Group,
    /// Users only.
    User,
}

/// What happens to device nodes.
///
/// Character device 0:0, which overlay file systems read as "deleted", is always refused; FIFOs
/// are always made.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Devices {
    /// Make the ones every container has below `dev/` (null, zero, full, random, urandom, tty,
    /// console, ptmx, the terminals, tun, fuse); skip and count the others. Needs root.
    Create,
    /// Refuse an archive that has one.
    Refuse,
    /// Leave them out and count them.
    #[default]
    Skip,
}

/// Which extended attributes are kept; the others are left out and counted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Xattrs {
    /// None.
    Drop,
    /// `user.*`, and for root `security.capability`.
    #[default]
    Keep,
    /// Those of `Keep`, and POSIX access control lists.
    KeepWithAcls,
}

/// What an archive may hold.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Profile {
    /// Metadata that is read on the host: regular files and directories, each once, owned by the
    /// caller, with plain permissions and no attributes. Links and special files are refused, and
    /// so are names that container managers read as their own.
    Flat,
    /// A root file system.
    #[default]
    Rootfs,
}

/// How safe the outcome is when the call returns.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Durability {
    /// As safe as any file just written: a power cut may lose it.
    #[default]
    Cached,
    /// The file system is synced before the target appears.
    Synced,
}

impl IdRange {
    /// `count` ids from `inside` are the ids from `outside`, for users and groups.
    ///
    /// # Errors
    ///
    /// `InvalidTarget` if the range is empty or runs past the last id.
    pub fn new(kind: IdKind, inside: u32, outside: u32, count: u32) -> Result<Self, UnpackError> {
        let fits = |start: u32| start.checked_add(count).is_some();
        if count == 0 || !fits(inside) || !fits(outside) {
            return Err(UnpackError::target(format!(
                "an id range of {count} from {inside} to {outside} is empty or runs past {}",
                u32::MAX - 1
            )));
        }
        Ok(Self {
            kind,
            inside,
            outside,
            count,
        })
    }

    fn map(&self, kind: IdKind, id: u32) -> Option<u32> {
        if self.kind != IdKind::Both && self.kind != kind {
            return None;
        }
        let place = id.checked_sub(self.inside)?;
        (place < self.count).then(|| self.outside + place)
    }
}

/// A user and a group to give a file to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Owners {
    /// Whom to give a member to; `None` leaves it with the caller.
    pub(crate) fn of(&self, uid: u32, gid: u32) -> Result<Option<Owner>, UnpackError> {
        match self {
            Self::Caller => Ok(None),
            Self::Recorded => Ok(Some(Owner { uid, gid })),
            Self::Mapped(_) => {
                let owner = Owner {
                    uid: self
                        .map(IdKind::User, uid)
                        .ok_or_else(|| unmapped("uid", uid))?,
                    gid: self
                        .map(IdKind::Group, gid)
                        .ok_or_else(|| unmapped("gid", gid))?,
                };
                Ok(Some(owner))
            }
        }
    }

    /// What `id` is outside.
    pub(crate) fn map(&self, kind: IdKind, id: u32) -> Option<u32> {
        match self {
            Self::Caller => None,
            Self::Mapped(ranges) => ranges.iter().find_map(|range| range.map(kind, id)),
            Self::Recorded => Some(id),
        }
    }
}

fn unmapped(what: &str, id: u32) -> UnpackError {
    UnpackError::refused(format!("the {what} {id} is in no range of the id map"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::UnpackErrorKind;

    #[test]
    fn maps_ids_of_each_kind_by_their_range() {
        let owners = Owners::Mapped(vec![
            IdRange::new(IdKind::User, 0, 100_000, 1000).expect("a range"),
            IdRange::new(IdKind::Group, 0, 200_000, 10).expect("a range"),
        ]);
        let owner = owners
            .of(999, 9)
            .expect("both mapped")
            .expect("not the caller");
        assert_eq!(
            owner,
            Owner {
                uid: 100_999,
                gid: 200_009
            }
        );
        let error = owners.of(999, 10).expect_err("the group is not mapped");
        assert_eq!(error.kind(), UnpackErrorKind::Unsafe);
        assert_eq!(error.to_string(), "the gid 10 is in no range of the id map");
    }

    #[test]
    fn refuses_ranges_past_the_last_id() {
        assert!(IdRange::new(IdKind::Both, 0, u32::MAX - 1, 2).is_err());
        assert!(IdRange::new(IdKind::Both, 0, 100_000, 0).is_err());
    }
}
