use super::entry::{Entry, Kind, Time};
use super::extended::Extended;
use super::header::{BLOCK, Format, Header, is_zero};
use super::sparse::{MapReader, OldGnu, SparseMap};
use crate::decode::Feed;
use crate::error::UnpackError;
use crate::limits::UnpackLimits;

/// Goes through the members of an archive.
pub(crate) struct Walk<'a, 'f> {
    feed: &'a mut Feed<'f>,
    limits: &'a UnpackLimits,
    global_modified: Option<Time>,
    data: u64,
    padding: u64,
}

/// The extension headers seen since the last member.
#[derive(Default)]
struct Pending {
    extended: Option<Extended>,
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
}

impl<'a, 'f> Walk<'a, 'f> {
    pub(crate) fn new(feed: &'a mut Feed<'f>, limits: &'a UnpackLimits) -> Self {
        Self {
            feed,
            limits,
            global_modified: None,
            data: 0,
            padding: 0,
        }
    }

    /// The next member; `None` only after an intact end of the archive and of its packing.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, UnpackError> {
        self.skip_data()?;
        let mut pending = Pending::default();
        loop {
            let offset = self.feed.offset();
            match self
                .step(&mut pending, offset)
                .map_err(|error| error.at(offset))?
            {
                Step::Again => {}
                Step::End => return Ok(None),
                Step::Member(entry) => return Ok(Some(entry)),
            }
        }
    }

    /// More of the member's stored bytes; empty when there are no more.
    pub(crate) fn data(&mut self) -> Result<&[u8], UnpackError> {
        self.data_up_to(u64::MAX)
    }

    /// The same, up to `most` bytes.
    pub(crate) fn data_up_to(&mut self, most: u64) -> Result<&[u8], UnpackError> {
        if self.data == 0 {
            return Ok(&[]);
        }
        let most = usize::try_from(self.data.min(most)).unwrap_or(usize::MAX);
        let part = self.feed.take(most)?;
        if part.is_empty() {
            return Err(cut_short());
        }
        self.data -= part.len() as u64;
        Ok(part)
    }

    /// Stored bytes of the member that are left.
    pub(crate) fn left(&self) -> u64 {
        self.data
    }

    fn step(&mut self, pending: &mut Pending, offset: u64) -> Result<Step, UnpackError> {
        let mut block = [0; BLOCK];
        match self.feed.fill(&mut block)? {
            BLOCK => {}
            0 => return Err(UnpackError::malformed("the archive has no end marker")),
            _ => return Err(cut_short()),
        }
        if is_zero(&block) {
            if !pending.is_empty() {
                return Err(UnpackError::malformed(
                    "an extension header has no member after it",
                ));
            }
            self.end()?;
            return Ok(Step::End);
        }
        let header = Header::open(&block)?;
        match header.kind() {
            b'x' => {
                if !pending.is_empty() {
                    return Err(mixed());
                }
                let bytes = self.extension(&header)?;
                pending.extended = Some(Extended::parse(&bytes, self.limits)?);
            }
            b'g' => {
                if !pending.is_empty() {
                    return Err(mixed());
                }
                let bytes = self.extension(&header)?;
                let modified = Extended::parse_global(&bytes)?;
                self.global_modified = modified.or(self.global_modified);
            }
            b'L' => {
                let bytes = self.long(
                    &header,
                    pending.extended.is_some(),
                    pending.long_name.is_some(),
                )?;
                pending.long_name = Some(bytes);
            }
            b'K' => {
                let bytes = self.long(
                    &header,
                    pending.extended.is_some(),
                    pending.long_link.is_some(),
                )?;
                pending.long_link = Some(bytes);
            }
            _ => {
                self.count()?;
                let pending = std::mem::take(pending);
                return self.member(&block, pending, offset).map(Step::Member);
            }
        }
        Ok(Step::Again)
    }

    fn member(
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
        let given_link = extended.link.is_some() || long_link.is_some();
        let link = extended
            .link
            .or(long_link)
            .unwrap_or_else(|| header.link().to_vec());
        let kind = self
            .kind(
                block,
                &header,
                &name,
                link,
                given_link,
                extended.size,
                real_size,
            )
            .map_err(named)?;
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

    #[allow(clippy::too_many_arguments)] // Each is one field of the member's headers.
    fn kind(
        &mut self,
        block: &[u8; BLOCK],
        header: &Header<'_>,
        name: &[u8],
        link: Vec<u8>,
        given_link: bool,
        given_size: Option<u64>,
        real_size: Option<u64>,
    ) -> Result<Kind, UnpackError> {
        let letter = header.kind();
        let size = header.size()?;
        let is_file = matches!(letter, 0 | b'0' | b'S');
        if !is_file && (size != 0 || given_size.is_some()) {
            // Some readers skip that many bytes, others read them as the next header.
            let size = given_size.unwrap_or(size);
            return Err(UnpackError::malformed(format!(
                "a member without content claims {size} bytes of it"
            )));
        }
        if real_size.is_some() && !matches!(letter, 0 | b'0') {
            return Err(UnpackError::malformed("only a regular file can be sparse"));
        }
        if given_link && !matches!(letter, b'1' | b'2') {
            return Err(UnpackError::malformed(
                "a member that is not a link has a link target",
            ));
        }
        match letter {
            0 if name.ends_with(b"/") => {
                // Before ustar a directory was told by its name alone.
                if size != 0 || given_size.is_some() || real_size.is_some() {
                    return Err(UnpackError::malformed("a directory has content"));
                }
                return Ok(Kind::Directory);
            }
            b'5' => return Ok(Kind::Directory),
            _ if name.ends_with(b"/") => {
                return Err(UnpackError::malformed(
                    "a member that is no directory is named like one",
                ));
            }
            b'1' | b'2' => {
                if link.is_empty() {
                    return Err(UnpackError::malformed("a link has no target"));
                }
                if link.len() > self.limits.path_bytes {
                    return Err(UnpackError::too_large(format!(
                        "a link's target has {} bytes, over the limit of {}",
                        link.len(),
                        self.limits.path_bytes
                    )));
                }
                return Ok(if letter == b'1' {
                    Kind::HardLink(link)
                } else {
                    Kind::Symlink(link)
                });
            }
            b'3' => return Ok(Kind::Character(header.device()?)),
            b'4' => return Ok(Kind::Block(header.device()?)),
            b'6' => return Ok(Kind::Fifo),
            _ if is_file => {}
            other => {
                return Err(UnpackError::malformed(format!(
                    "the member type `{}` is not known",
                    crate::escape::escape(&[other])
                )));
            }
        }
        let stored = stored_size(size, given_size)?;
        if stored > self.limits.bytes {
            return Err(UnpackError::too_large(format!(
                "a file has {stored} bytes, over the limit of {}",
                self.limits.bytes
            )));
        }
        let sparse = match (letter, real_size) {
            (b'S', _) => Some(self.old_gnu_map(block, header.format()?, stored)?),
            (_, Some(real_size)) => Some(self.pax_map(real_size, stored)?),
            _ => {
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

    /// Sets how much content follows; the padding is that of all that was stored.
    fn expect_data(&mut self, data: u64, stored: u64) {
        self.data = data;
        self.padding = (BLOCK as u64 - stored % BLOCK as u64) % BLOCK as u64;
    }

    fn skip_data(&mut self) -> Result<(), UnpackError> {
        while self.data > 0 {
            self.data()?;
        }
        while self.padding > 0 {
            // Less than a block.
            let part = self.feed.take(self.padding as usize)?;
            if part.is_empty() {
                return Err(cut_short());
            }
            self.padding -= part.len() as u64;
        }
        Ok(())
    }

    fn long(
        &mut self,
        header: &Header<'_>,
        after_pax: bool,
        repeated: bool,
    ) -> Result<Vec<u8>, UnpackError> {
        if after_pax || repeated {
            return Err(mixed());
        }
        if header.format()? != Format::Gnu {
            return Err(UnpackError::malformed(
                "a GNU long name outside the GNU format",
            ));
        }
        let mut bytes = self.extension(header)?;
        if bytes.last() == Some(&0) {
            bytes.pop();
        }
        if bytes.is_empty() || bytes.contains(&0) {
            return Err(UnpackError::malformed(
                "a GNU long name is empty or holds a NUL",
            ));
        }
        Ok(bytes)
    }

    fn extension(&mut self, header: &Header<'_>) -> Result<Vec<u8>, UnpackError> {
        let size = header.size()?;
        self.check_extension(size)?;
        // No more than the limit just checked.
        let mut bytes = vec![0; size as usize];
        if self.feed.fill(&mut bytes)? < bytes.len() {
            return Err(cut_short());
        }
        self.expect_data(0, size);
        self.skip_data()?;
        Ok(bytes)
    }

    fn check_extension(&self, size: u64) -> Result<(), UnpackError> {
        let limit = self.limits.extension_bytes;
        if size > limit {
            return Err(UnpackError::too_large(format!(
                "an extension header has {size} bytes, over the limit of {limit}"
            )));
        }
        Ok(())
    }

    fn count(&mut self) -> Result<(), UnpackError> {
        self.feed.check_canceled()?;
        if self.feed.count_entry() > self.limits.entries {
            return Err(UnpackError::too_large(format!(
                "the archive has more members than the limit of {}",
                self.limits.entries
            )));
        }
        Ok(())
    }

    /// Sees the second zero block, and nothing but zeros to the end of the packed data.
    fn end(&mut self) -> Result<(), UnpackError> {
        let mut block = [0; BLOCK];
        let length = self.feed.fill(&mut block)?;
        if length < BLOCK {
            return Err(UnpackError::malformed(
                "the archive ends after half of its end marker",
            ));
        }
        if !is_zero(&block) {
            return Err(UnpackError::malformed(
                "a zero block stands in the middle of the archive",
            ));
        }
        loop {
            let offset = self.feed.offset();
            let rest = self.feed.take(usize::MAX)?;
            if rest.is_empty() {
                break;
            }
            if let Some(place) = rest.iter().position(|byte| *byte != 0) {
                return Err(
                    UnpackError::malformed("there is data after the end of the archive")
                        .at(offset + place as u64),
                );
            }
        }
        if !self.feed.offset().is_multiple_of(BLOCK as u64) {
            return Err(cut_short());
        }
        Ok(())
    }
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.extended.is_none() && self.long_name.is_none() && self.long_link.is_none()
    }
}

#[allow(clippy::large_enum_variant)] // It lives for one call.
enum Step {
    Again,
    End,
    Member(Entry),
}

/// The size in the PAX header counts only where the other header could not hold it.
fn stored_size(header: u64, given: Option<u64>) -> Result<u64, UnpackError> {
    let Some(given) = given else {
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

fn mixed() -> UnpackError {
    UnpackError::malformed("extension headers are repeated or mixed")
}

fn cut_short() -> UnpackError {
    UnpackError::malformed("the archive is cut short")
}

/// Eleven octal digits.
const LARGEST_OCTAL: u64 = 0o77_777_777_777;
