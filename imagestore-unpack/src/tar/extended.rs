use super::entry::{Time, Xattr};
use super::numbers;
use super::pax::{Record, records};
use super::sparse::PaxSparse;
use crate::error::UnpackError;
use crate::escape::escape;
use crate::limits::UnpackLimits;

/// What a PAX extension header says about the member after it.
#[derive(Debug, Default)]
pub(super) struct Extended {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) modified: Option<Time>,
    pub(super) xattrs: Vec<Xattr>,
    pub(super) foreign_xattrs: u64,
    pub(super) sparse: PaxSparse,
}

impl Extended {
    pub(super) fn parse(bytes: &[u8], limits: &UnpackLimits) -> Result<Self, UnpackError> {
        let mut all = records(bytes)?;
        let mut extended = Self::default();
        for record in &all {
            extended.take(record, limits)?;
        }
        // Readers differ in whether the first or the last of two records counts.
        all.sort_by(|one, other| one.key.cmp(other.key));
        if let Some(pair) = all.windows(2).find(|pair| pair[0].key == pair[1].key) {
            return Err(UnpackError::malformed(format!(
                "the PAX key `{}` comes twice",
                escape(pair[0].key)
            )));
        }
        extended.settle_xattrs(&all);
        Ok(extended)
    }

    /// What a global header may say: the time of the members that do not say their own.
    pub(super) fn parse_global(bytes: &[u8]) -> Result<Option<Time>, UnpackError> {
        let mut modified = None;
        for record in records(bytes)? {
            match record.key {
                b"comment" => {}
                b"mtime" if modified.is_none() => modified = Some(time(&record)?),
                key => {
                    return Err(UnpackError::malformed(format!(
                        "a global header sets `{}`; only comment and mtime may be global",
                        escape(key)
                    )));
                }
            }
        }
        Ok(modified)
    }

    fn take(&mut self, record: &Record<'_>, limits: &UnpackLimits) -> Result<(), UnpackError> {
        match record.key {
            b"path" => self.path = Some(text(record)?),
            b"linkpath" => self.link = Some(text(record)?),
            b"size" => self.size = Some(number(record)?),
            b"uid" => self.uid = Some(number(record)?),
            b"gid" => self.gid = Some(number(record)?),
            b"mtime" => self.modified = Some(time(record)?),
            b"atime" | b"ctime" | b"comment" | b"uname" | b"gname" => {}
            b"hdrcharset" | b"charset" => character_set(record)?,
            // They change what the member is; reading past them would be reading it wrong.
            b"SCHILY.realsize" | b"SCHILY.filetype" | b"SCHILY.offset" | b"GNU.dumpdir" => {
                return Err(unread(record));
            }
            key if key.starts_with(b"GNU.volume.") => return Err(unread(record)),
            key if key.starts_with(b"GNU.sparse.") => self.sparse.take(record)?,
            key if key.starts_with(b"SCHILY.xattr.") => self.take_xattr(record, limits)?,
            key if key.starts_with(b"SCHILY.acl.") || key.starts_with(b"RHT.security.") => {
                self.foreign_xattrs += 1;
            }
            // Keys of vendors begin with a capital and a dot; POSIX keeps the others for itself.
            key if key[0].is_ascii_uppercase() && key.contains(&b'.') => {}
            _ => return Err(unread(record)),
        }
        Ok(())
    }

    fn take_xattr(
        &mut self,
        record: &Record<'_>,
        limits: &UnpackLimits,
    ) -> Result<(), UnpackError> {
        let name = decode_name(&record.key[b"SCHILY.xattr.".len()..]);
        let shown = escape(&name);
        if !name.iter().skip(1).rev().skip(1).any(|byte| *byte == b'.') || name.contains(&0) {
            return Err(UnpackError::malformed(format!(
                "the extended attribute `{shown}` has no name space"
            )));
        }
        if name.len() > 255 {
            return Err(UnpackError::too_large(format!(
                "the extended attribute `{shown}` has a name of {} bytes, over the limit of 255",
                name.len()
            )));
        }
        if record.value.len() > limits.xattr_bytes {
            return Err(UnpackError::too_large(format!(
                "the extended attribute `{shown}` has {} bytes, over the limit of {}",
                record.value.len(),
                limits.xattr_bytes
            )));
        }
        if self.xattrs.len() == limits.xattrs {
            return Err(UnpackError::too_large(format!(
                "there are more extended attributes than the limit of {}",
                limits.xattrs
            )));
        }
        self.xattrs.push(Xattr {
            name,
            value: record.value.to_vec(),
        });
        Ok(())
    }

    /// Counts what libarchive wrote in its own form only; it writes both forms where it can.
    fn settle_xattrs(&mut self, all: &[Record<'_>]) {
        let foreign = all
            .iter()
            .filter(|record| record.key.starts_with(b"LIBARCHIVE.xattr."))
            .count();
        self.foreign_xattrs += foreign.saturating_sub(self.xattrs.len()) as u64;
    }
}

fn text(record: &Record<'_>) -> Result<Vec<u8>, UnpackError> {
    let key = escape(record.key);
    if record.value.contains(&0) {
        return Err(UnpackError::malformed(format!("the PAX {key} holds a NUL")));
    }
    if record.value.is_empty() {
        return Err(UnpackError::malformed(format!("the PAX {key} is empty")));
    }
    Ok(record.value.to_vec())
}

fn number(record: &Record<'_>) -> Result<u64, UnpackError> {
    numbers::decimal(record.value).ok_or_else(|| no_number(record))
}

fn time(record: &Record<'_>) -> Result<Time, UnpackError> {
    numbers::time(record.value).ok_or_else(|| no_number(record))
}

fn no_number(record: &Record<'_>) -> UnpackError {
    let key = escape(record.key);
    UnpackError::malformed(format!(
        "the PAX {key} is `{}`, not a number",
        escape(record.value)
    ))
}

fn character_set(record: &Record<'_>) -> Result<(), UnpackError> {
    match record.value {
        b"BINARY" | b"ISO-IR 10646 2000 UTF-8" => Ok(()),
        _ => Err(unread(record)),
    }
}

fn unread(record: &Record<'_>) -> UnpackError {
    UnpackError::unsupported(format!(
        "the PAX record `{}={}` changes the member in a way that is not supported",
        escape(record.key),
        escape(&record.value[..record.value.len().min(64)])
    ))
}

/// GNU tar writes `=` and `%` of an attribute's name as `%3D` and `%25`.
fn decode_name(key: &[u8]) -> Vec<u8> {
    let mut name = Vec::with_capacity(key.len());
    let mut rest = key;
    while let Some(first) = rest.first() {
        let (byte, length) = match rest.get(..3) {
            Some(b"%3D") => (b'=', 3),
            Some(b"%25") => (b'%', 3),
            _ => (*first, 1),
        };
        name.push(byte);
        rest = &rest[length..];
    }
    name
}
