use std::{fmt, str::FromStr};

/// The full fingerprint of an OpenPGP key: 40 hexadecimal digits for version 4, 64 for version 6.
///
/// Key ids, short or long, are no fingerprints: they can be collided with, so they parse as an
/// error. `Display` is upper case without spaces; parsing takes any case, spaces and a `0x`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(Bytes);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Bytes {
    V4([u8; 20]),
    V6([u8; 32]),
}

impl Fingerprint {
    pub(crate) fn v4(bytes: [u8; 20]) -> Self {
        Self(Bytes::V4(bytes))
    }

    pub(crate) fn v6(bytes: [u8; 32]) -> Self {
        Self(Bytes::V6(bytes))
    }

    /// From the body of an issuer fingerprint subpacket: the version, then the bytes.
    pub(crate) fn from_subpacket(body: &[u8]) -> Option<Self> {
        match body.split_first()? {
            (4, bytes) => Some(Self::v4(bytes.try_into().ok()?)),
            (6, bytes) => Some(Self::v6(bytes.try_into().ok()?)),
            _ => None,
        }
    }

    /// The bytes: 20 or 32.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Bytes::V4(bytes) => bytes,
            Bytes::V6(bytes) => bytes,
        }
    }

    /// The version of the key it names: 4 or 6.
    #[must_use]
    pub fn version(&self) -> u8 {
        match self.0 {
            Bytes::V4(_) => 4,
            Bytes::V6(_) => 6,
        }
    }

    /// The key id: the low 64 bits in version 4, the high 64 bits in version 6.
    pub(crate) fn key_id(&self) -> KeyId {
        let mut id = [0; 8];
        match &self.0 {
            Bytes::V4(bytes) => id.copy_from_slice(&bytes[12..]),
            Bytes::V6(bytes) => id.copy_from_slice(&bytes[..8]),
        }
        KeyId(id)
    }
}

/// The 64-bit name of a key. It only ever narrows a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyId(pub(crate) [u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|byte| write!(formatter, "{byte:02X}"))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes()
            .iter()
            .try_for_each(|byte| write!(formatter, "{byte:02X}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Fingerprint({self})")
    }
}

impl FromStr for Fingerprint {
    type Err = ParseFingerprintError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bare = text.trim();
        let bare = bare
            .strip_prefix("0x")
            .or_else(|| bare.strip_prefix("0X"))
            .unwrap_or(bare);
        let mut digits = Vec::with_capacity(64);
        for character in bare.chars().filter(|character| *character != ' ') {
            let Some(digit) = character.to_digit(16) else {
                return Err(ParseFingerprintError::Character { character });
            };
            digits.push(u8::try_from(digit).unwrap_or(0));
        }
        let bytes: Vec<u8> = digits
            .chunks_exact(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect();
        let found = digits.len();
        match found {
            40 => bytes.try_into().map(Self::v4),
            64 => bytes.try_into().map(Self::v6),
            8 | 16 => return Err(ParseFingerprintError::KeyId { found }),
            _ => return Err(ParseFingerprintError::Length { found }),
        }
        .map_err(|_| ParseFingerprintError::Length { found })
    }
}

/// A text that is no full fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseFingerprintError {
    /// A character that is no hexadecimal digit.
    #[error("a fingerprint is made of hexadecimal digits, not {character:?}")]
    Character {
        /// The character.
        character: char,
    },
    /// A key id, which many keys can share.
    #[error("{found} digits are a key id, which can be forged; use the full fingerprint")]
    KeyId {
        /// Its number of digits.
        found: usize,
    },
    /// Neither 40 nor 64 digits.
    #[error("a fingerprint has 40 or 64 hexadecimal digits, not {found}")]
    Length {
        /// The number of digits.
        found: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    const LXC: &str = "E7FB0CAEC8173D669066514CBAEFF88C22F6E216";

    #[test]
    fn parses_what_people_write_and_prints_one_form() {
        let spaced = "E7FB 0CAE C817 3D66 9066  514C BAEF F88C 22F6 E216";
        for text in [LXC, &format!("0x{}", LXC.to_lowercase()), spaced] {
            let parsed: Fingerprint = text.parse().expect("a fingerprint");
            assert_eq!(parsed.to_string(), LXC);
            assert_eq!(parsed.version(), 4);
            assert_eq!(parsed.key_id().to_string(), "BAEFF88C22F6E216");
        }
        let six: Fingerprint = "AB".repeat(32).parse().expect("a fingerprint");
        assert_eq!(six.version(), 6);
    }

    #[test]
    fn refuses_key_ids() {
        let error = "0xBAEFF88C22F6E216"
            .parse::<Fingerprint>()
            .expect_err("a key id");
        assert_eq!(
            error.to_string(),
            "16 digits are a key id, which can be forged; use the full fingerprint"
        );
        assert!("".parse::<Fingerprint>().is_err());
        assert!("E7FB-".parse::<Fingerprint>().is_err());
    }
}
