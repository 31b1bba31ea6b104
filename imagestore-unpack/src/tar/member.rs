use super::entry::{Entry, Kind, Time};
use super::extension::Pending;
use super::header::{BLOCK, Format, Header};
use super::sparse::{MapReader, OldGnu, SparseMap};
use super::walk::{Walk, cut_short};
use crate::error::UnpackError;
use crate::escape::escape;

impl Walk<'_, '_> {
    pub(super) fn member(
        &mut self,
        block: &[u8; BLOCK],
        pending: Pending,
        offset: u64,
    ) -> Result<Entry, UnpackError> {
        let header = Header::open(block)?;
        let Pending {
            extended,
            long_name,
            long_link,
        } = pending;
        let mut extended = extended.unwrap_or_default();
        let real_size = extended.sparse.real_size()?;
        let name = extended.sparse.name.take().or(extended.path).or(long_name);
        let name = name.unwrap_or_else(|| header.name());
        let named = |error: UnpackError| error.about(&name);
        let claims = Claims {
            letter: header.kind(),
            header_size: header.size().map_err(named)?,
            given_size: extended.size,
            real_size,
            given_link: extended.link.or(long_link),
        };
        let kind = self.kind(block, &header, &name, claims).map_err(named)?;
        let modified = match extended.modified.or(self.global_modified) {
            Some(time) => time,
            None => Time {
                seconds: header.modified().map_err(named)?,
                nanoseconds: 0,
            },
        };
        let uid = owner(
            extended
                .uid
                .map_or_else(|| header.uid(), |id| Ok(id.into())),
            "uid",
        );
        let gid = owner(
            extended
                .gid
                .map_or_else(|| header.gid(), |id| Ok(id.into())),
            "gid",
        );
        Ok(Entry {
            kind,
            mode: header.mode().map_err(named)?,
            uid: uid.map_err(named)?,
            gid: gid.map_err(named)?,
            modified,
            xattrs: extended.xattrs,
            foreign_xattrs: extended.foreign_xattrs,
            offset,
            name,
        })
    }

    fn kind(
        &mut self,
        block: &[u8; BLOCK],
        header: &Header<'_>,
        name: &[u8],
        claims: Claims,
    ) -> Result<Kind, UnpackError> {
        let letter = claims.letter;
        if claims.given_link.is_some() && !matches!(letter, b'1' | b'2') {
            return Err(UnpackError::malformed(
                "a member that is not a link has a link target",
            ));
        }
        // Before ustar a directory was told by its name alone.
        let is_directory = letter == b'5' || letter == 0 && name.ends_with(b"/");
        if !is_directory && name.ends_with(b"/") {
            return Err(UnpackError::malformed(
                "a member that is no directory is named like one",
            ));
        }
        let kind = match letter {
            _ if is_directory => Kind::Directory,
            0 | b'0' | b'S' => return self.file(block, header, &claims),
            b'1' => Kind::HardLink(self.link(header, &claims)?),
            b'2' => Kind::Symlink(self.link(header, &claims)?),
            b'3' => Kind::Character(header.device()?),
            b'4' => Kind::Block(header.device()?),
            b'6' => Kind::Fifo,
            other => {
                return Err(UnpackError::malformed(format!(
                    "the member type `{}` is not known",
                    escape(&[other])
                )));
            }
        };
        claims.check_empty()?;
        Ok(kind)
    }

    fn link(&self, header: &Header<'_>, claims: &Claims) -> Result<Vec<u8>, UnpackError> {
        let link = claims
            .given_link
            .as_deref()
            .unwrap_or_else(|| header.link());
        if link.is_empty() {
            return Err(UnpackError::malformed("a link has no target"));
        }
        let limit = self.limits.path_bytes;
        if link.len() > limit {
            return Err(UnpackError::too_large(format!(
                "a link's target has {} bytes, over the limit of {limit}",
                link.len()
            )));
        }
        Ok(link.to_vec())
    }

    fn file(
        &mut self,
        block: &[u8; BLOCK],
        header: &Header<'_>,
        claims: &Claims,
    ) -> Result<Kind, UnpackError> {
        let stored = claims.stored_size()?;
        if stored > self.limits.bytes {
            return Err(UnpackError::too_large(format!(
                "a file has {stored} bytes, over the limit of {}",
                self.limits.bytes
            )));
        }
        let sparse = match (claims.letter, claims.real_size) {
            (b'S', None) => Some(self.old_gnu_map(block, header.format()?, stored)?),
            (b'S', Some(_)) => {
                return Err(UnpackError::malformed(
                    "a file is sparse in two formats at once",
                ));
            }
            (_, Some(real_size)) => Some(self.pax_map(real_size, stored)?),
            (_, None) => {
                self.expect_data(stored, stored);
                None
            }
        };
        Ok(Kind::File { sparse })
    }

    fn old_gnu_map(
        &mut self,
        block: &[u8; BLOCK],
        format: Format,
        stored: u64,
    ) -> Result<SparseMap, UnpackError> {
        if format != Format::Gnu {
            return Err(UnpackError::malformed(
                "the member type `S` outside the GNU format",
            ));
        }
        let mut map = OldGnu::header(block)?;
        let mut read = 0;
        while map.continues {
            let mut more = [0; BLOCK];
            if self.feed.fill(&mut more)? < BLOCK {
                return Err(cut_short());
            }
            read += BLOCK as u64;
            self.check_extension(read)?;
            map.more(&more)?;
        }
        self.expect_data(stored, stored);
        SparseMap::new(map.real_size, map.segments, stored, self.limits)
    }

    fn pax_map(&mut self, real_size: u64, stored: u64) -> Result<SparseMap, UnpackError> {
        let mut map = MapReader::default();
        let mut read = 0;
        loop {
            let mut block = [0; BLOCK];
            if read + BLOCK as u64 > stored {
                return Err(UnpackError::malformed(
                    "the map of a sparse file does not end",
                ));
            }
            if self.feed.fill(&mut block)? < BLOCK {
                return Err(cut_short());
            }
            read += BLOCK as u64;
            self.check_extension(read)?;
            if map.block(&block)? {
                break;
            }
        }
        self.expect_data(stored - read, stored);
        SparseMap::new(real_size, map.segments(), stored - read, self.limits)
    }
}

/// What the headers of one member say about its content.
struct Claims {
    letter: u8,
    header_size: u64,
    given_size: Option<u64>,
    real_size: Option<u64>,
    given_link: Option<Vec<u8>>,
}

impl Claims {
    /// Some readers skip the claimed bytes, others read them as the next header.
    fn check_empty(&self) -> Result<(), UnpackError> {
        match (self.given_size, self.real_size, self.header_size) {
            (None, None, 0) => Ok(()),
            (given, real, header) => Err(UnpackError::malformed(format!(
                "a member without content claims {} bytes of it",
                given.or(real).unwrap_or(header)
            ))),
        }
    }

    /// The size in the PAX header counts only where the other header could not hold it.
    fn stored_size(&self) -> Result<u64, UnpackError> {
        let header = self.header_size;
        let Some(given) = self.given_size else {
            return Ok(header);
        };
        let cannot_hold = given > LARGEST_OCTAL && (header == 0 || header == LARGEST_OCTAL);
        if given == header || cannot_hold {
            return Ok(given);
        }
        Err(UnpackError::malformed(format!(
            "the PAX size is {given}, the header's size is {header}"
        )))
    }
}

fn owner(id: Result<i128, UnpackError>, what: &str) -> Result<u32, UnpackError> {
    let id = id?;
    match u32::try_from(id) {
        // The kernel takes this one for "leave as it is".
        Ok(u32::MAX) | Err(_) => Err(UnpackError::malformed(format!(
            "the {what} {id} is not between 0 and {}",
            u32::MAX - 1
        ))),
        Ok(id) => Ok(id),
    }
}

/// Eleven octal digits.
const LARGEST_OCTAL: u64 = 0o77_777_777_777;
