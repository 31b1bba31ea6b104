use std::fmt;

use imagestore_core::{Error, ErrorKind, Result};

/// A one-time word by which a host shows one private image to whoever knows it.
///
/// The host lets it live for about five seconds from the first request that names it, and asking
/// about the image is one. So look the image up and fetch it at once; a later attempt needs a new
/// secret, from [`Secrets`](crate::Secrets). There is no place for one in a configuration: it would
/// be dead before it is read.
///
/// It is added to requests as they are sent. `Debug` does not show it, and it is no part of images,
/// of kept URLs, of errors and of events. [`Secret::reveal`] gives it to a peer.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The secret of these letters and digits.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] if it is none; the message does not repeat it.
    pub fn new(text: &str) -> Result<Self> {
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !plain || !(16..=128).contains(&text.len()) {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                "not the secret of an image: 64 digits from 0-9 and a-f",
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// The letters and digits, for the peer that is to use it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").finish_non_exhaustive()
    }
}
