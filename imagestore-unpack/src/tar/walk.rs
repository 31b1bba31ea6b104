use super::entry::{Entry, Time};
use super::extended::Extended;
use super::extension::{Pending, mixed};
use super::header::{BLOCK, Header, is_zero};
use crate::decode::Feed;
use crate::error::UnpackError;
use crate::limits::UnpackLimits;

/// Goes through the members of an archive.
pub(crate) struct Walk<'a, 'f> {
    pub(super) feed: &'a mut Feed<'f>,
    pub(super) limits: &'a UnpackLimits,
    pub(super) global_modified: Option<Time>,
    data: u64,
    padding: u64,
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
        if let Err(error) = self.skip_data() {
            return Err(error.at(self.feed.offset()));
        }
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

    /// Sets how much content follows; the padding is that of all that was stored.
    pub(super) fn expect_data(&mut self, data: u64, stored: u64) {
        self.data = data;
        self.padding = (BLOCK as u64 - stored % BLOCK as u64) % BLOCK as u64;
    }

    pub(super) fn skip_data(&mut self) -> Result<(), UnpackError> {
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

#[allow(clippy::large_enum_variant)] // It lives for one call.
enum Step {
    Again,
    End,
    Member(Entry),
}

pub(super) fn cut_short() -> UnpackError {
    UnpackError::malformed("the archive is cut short")
}
