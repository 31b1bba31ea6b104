use super::extended::Extended;
use super::header::{Format, Header};
use super::walk::{Walk, cut_short};
use crate::error::UnpackError;

/// The extension headers seen since the last member.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) extended: Option<Extended>,
    pub(super) long_name: Option<Vec<u8>>,
    pub(super) long_link: Option<Vec<u8>>,
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.extended.is_none() && self.long_name.is_none() && self.long_link.is_none()
    }
}

impl Walk<'_, '_> {
    pub(super) fn long(
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

    pub(super) fn extension(&mut self, header: &Header<'_>) -> Result<Vec<u8>, UnpackError> {
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

    pub(super) fn check_extension(&self, size: u64) -> Result<(), UnpackError> {
        let limit = self.limits.extension_bytes;
        if size > limit {
            return Err(UnpackError::too_large(format!(
                "an extension header has {size} bytes, over the limit of {limit}"
            )));
        }
        Ok(())
    }
}

pub(super) fn mixed() -> UnpackError {
    UnpackError::malformed("extension headers are repeated or mixed")
}
