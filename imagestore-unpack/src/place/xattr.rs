use std::os::fd::BorrowedFd;

use rustix::fs::{XattrFlags, fsetxattr};
use rustix::io::Errno;

use super::Placer;
use crate::error::UnpackError;
use crate::escape::escape;
use crate::policy::{IdKind, Owners, Profile, Xattrs};
use crate::tar::{Entry, Xattr};

impl Placer<'_> {
    /// The attributes of a member that the policy keeps; the others are counted.
    pub(super) fn keep_xattrs(&mut self, entry: &Entry) -> Result<Vec<Xattr>, UnpackError> {
        self.tally.xattrs_dropped += entry.foreign_xattrs;
        let mut kept = Vec::new();
        for xattr in &entry.xattrs {
            match self.keep(xattr)? {
                Some(value) => kept.push(Xattr {
                    name: xattr.name.clone(),
                    value,
                }),
                None => self.tally.xattrs_dropped += 1,
            }
        }
        Ok(kept)
    }

    /// Counts the attributes of a member that cannot have any.
    pub(super) fn drop_xattrs(&mut self, entry: &Entry) {
        self.tally.xattrs_dropped += entry.foreign_xattrs + entry.xattrs.len() as u64;
    }

    pub(super) fn set_xattrs(
        &self,
        fd: BorrowedFd<'_>,
        xattrs: &[Xattr],
    ) -> Result<(), UnpackError> {
        for xattr in xattrs {
            fsetxattr(fd, xattr.name.as_slice(), &xattr.value, XattrFlags::empty())
                .map_err(|errno| cannot_set(xattr, errno))?;
        }
        Ok(())
    }

    fn keep(&self, xattr: &Xattr) -> Result<Option<Vec<u8>>, UnpackError> {
        if self.policy.profile == Profile::Flat || self.policy.xattrs == Xattrs::Drop {
            return Ok(None);
        }
        let keep = match xattr.name.as_slice() {
            name if name.starts_with(b"user.") => true,
            b"system.posix_acl_access" | b"system.posix_acl_default" => {
                // Their ids are not mapped.
                self.policy.xattrs == Xattrs::KeepWithAcls
                    && !matches!(self.policy.owners, Owners::Mapped(_))
            }
            b"security.capability" if self.policy.is_root => {
                return capability(&xattr.value, &self.policy.owners);
            }
            _ => false,
        };
        Ok(keep.then(|| xattr.value.clone()))
    }
}

/// The capabilities of a file, tied to the container's root where ids are mapped.
///
/// Left as they are, they would count on the host: whoever runs the file there would get them.
fn capability(value: &[u8], owners: &Owners) -> Result<Option<Vec<u8>>, UnpackError> {
    let broken = || {
        UnpackError::malformed(format!(
            "the attribute `security.capability` of {} bytes is not of a known version",
            value.len()
        ))
    };
    let magic: [u8; 4] = *value.first_chunk().ok_or_else(broken)?;
    let magic = u32::from_le_bytes(magic);
    let own_root = match (magic & VERSION, value.len()) {
        (VERSION_1, 12) | (VERSION_2, 20) => None,
        (VERSION_3, 24) => Some(u32::from_le_bytes([
            value[20], value[21], value[22], value[23],
        ])),
        _ => return Err(broken()),
    };
    match owners {
        Owners::Caller => Ok(None),
        Owners::Recorded => Ok(Some(value.to_vec())),
        Owners::Mapped(_) => {
            let Some(root) = owners.map(IdKind::User, own_root.unwrap_or(0)) else {
                return Ok(None);
            };
            if value.len() < 20 {
                return Ok(None);
            }
            let mut mapped = (magic & !VERSION | VERSION_3).to_le_bytes().to_vec();
            mapped.extend_from_slice(&value[4..20]);
            mapped.extend_from_slice(&root.to_le_bytes());
            Ok(Some(mapped))
        }
    }
}

fn cannot_set(xattr: &Xattr, errno: Errno) -> UnpackError {
    let name = escape(&xattr.name);
    match errno {
        Errno::OPNOTSUPP => UnpackError::unsupported(format!(
            "the file system does not hold the attribute `{name}`; unpack with Xattrs::Drop"
        ))
        .because(errno),
        Errno::PERM => {
            UnpackError::refused(format!("the caller may not set the attribute `{name}`"))
                .because(errno)
        }
        errno => UnpackError::storage(format!("cannot set the attribute `{name}`"), errno),
    }
}

const VERSION: u32 = 0xff00_0000;
const VERSION_1: u32 = 0x0100_0000;
const VERSION_2: u32 = 0x0200_0000;
const VERSION_3: u32 = 0x0300_0000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::IdRange;

    const PING: [u8; 20] = [
        1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];

    #[test]
    fn ties_capabilities_to_the_root_of_the_container() {
        let range = IdRange::new(IdKind::Both, 0, 100_000, 65_536).expect("a range");
        let mapped = capability(&PING, &Owners::Mapped(vec![range])).expect("known version");
        let mut expected = PING.to_vec();
        expected[3] = 3;
        expected.extend_from_slice(&100_000_u32.to_le_bytes());
        assert_eq!(mapped, Some(expected));
        assert_eq!(
            capability(&PING, &Owners::Recorded).expect("known"),
            Some(PING.to_vec())
        );
        assert_eq!(capability(&PING, &Owners::Caller).expect("known"), None);
        assert_eq!(
            capability(&PING, &Owners::Mapped(Vec::new())).expect("known"),
            None
        );
    }

    #[test]
    fn refuses_capabilities_of_unknown_versions() {
        for value in [&b""[..], &PING[..19], &[9; 20]] {
            let error = capability(value, &Owners::Recorded).expect_err("unknown version");
            assert_eq!(
                error.to_string(),
                format!(
                    "the attribute `security.capability` of {} bytes is not of a known version",
                    value.len()
                )
            );
        }
    }
}
