use std::{fmt, str::FromStr};

use bytes::Bytes;
use sha2::Digest as _;

use crate::{error::VerifyError, proof::Proof, unverified::Unverified, verified::Verified};

/// A SHA-256 digest. `Display` is 64 lower-case hexadecimal digits, parsing takes any case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256([u8; 32]);

impl Sha256 {
    /// The digest of data in memory.
    #[must_use]
    pub fn of(data: &[u8]) -> Self {
        Self(sha2::Sha256::digest(data).into())
    }

    /// A digest from its 32 bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Opens data whose SHA-256 is the expected one.
///
/// The digest must come from something that is verified itself, such as a signed index.
///
/// # Errors
///
/// [`VerifyError::DigestMismatch`] with both digests.
pub fn check_digest(
    data: Unverified<Bytes>,
    expected: &Sha256,
) -> Result<Verified<Bytes>, VerifyError> {
    let found = Sha256::of(data.peek());
    if found != *expected {
        let expected = *expected;
        return Err(VerifyError::DigestMismatch { expected, found });
    }
    Ok(Verified::proven(data.open(), vec![Proof::Digest(found)]))
}

impl fmt::Display for Sha256 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Sha256({self})")
    }
}

impl FromStr for Sha256 {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.as_bytes();
        let mut bytes = [0; 32];
        if digits.len() != 64 {
            return Err(ParseDigestError {
                length: digits.len(),
            });
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair.iter().try_fold(0, |value, digit| {
                let digit = char::from(*digit)
                    .to_digit(16)
                    .ok_or(ParseDigestError { length: 64 })?;
                Ok(value << 4 | u8::try_from(digit).unwrap_or(0))
            })?;
        }
        Ok(Self(bytes))
    }
}

/// A text that is no SHA-256 digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sha256 digest is 64 hexadecimal digits, not {length} characters of something else")]
pub struct ParseDigestError {
    length: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn parses_any_case_and_prints_lower() {
        let digest: Sha256 = EMPTY.to_uppercase().parse().expect("64 digits");
        assert_eq!(digest, Sha256::of(b""));
        assert_eq!(digest.to_string(), EMPTY);
        assert_eq!(Sha256::from_bytes(*digest.as_bytes()), digest);
    }

    #[test]
    fn refuses_other_texts() {
        for text in [
            "",
            &EMPTY[1..],
            &EMPTY.replace('e', "g"),
            &EMPTY.replace("e3", "+3"),
        ] {
            assert!(text.parse::<Sha256>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_wrong_digest_keeps_the_data_closed_and_names_both() {
        let data = Unverified::new(Bytes::from("data"));
        let expected = Sha256::of(b"other");
        let error = check_digest(data, &expected).expect_err("the digests differ");
        assert_eq!(
            error.to_string(),
            format!("digest is {}, expected {expected}", Sha256::of(b"data"))
        );
    }
}
