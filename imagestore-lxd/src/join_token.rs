use imagestore_core::printable;
use imagestore_verify::Sha256;
use serde::Deserialize;

use crate::error::ParseError;
use crate::index::fingerprint;
use crate::reply::List;

/// What a host hands out to somebody it invites: where it is and, which makes it worth reading,
/// the digest of its certificate.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct JoinToken {
    /// SHA-256 of the certificate: a pin.
    pub fingerprint: Sha256,
    /// Where the host is: `192.0.2.1:8443`.
    pub addresses: Vec<String>,
}

impl JoinToken {
    /// Reads a token, which is JSON in base64. Its secret is not kept.
    ///
    /// # Errors
    /// [`ParseError`] if it is none.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let json = decode(text.trim()).ok_or_else(|| ParseError::Document {
            what: "not a join token: not base64".to_owned(),
        })?;
        let wire: Wire = serde_json::from_slice(&json).map_err(|error| ParseError::Document {
            what: format!("not a join token: {}", printable(&error.to_string())),
        })?;
        Ok(Self {
            fingerprint: fingerprint(&wire.fingerprint)?,
            addresses: wire.addresses.0,
        })
    }
}

impl std::fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JoinToken")
            .field("fingerprint", &self.fingerprint.to_string())
            .field("addresses", &self.addresses)
            .finish()
    }
}

#[derive(Deserialize)]
struct Wire {
    fingerprint: String,
    #[serde(default)]
    addresses: List<String, 100>,
}

/// Base64 of RFC 4648, section 4, with its padding.
fn decode(text: &str) -> Option<Vec<u8>> {
    if text.len() > MAX_TOKEN || !text.len().is_multiple_of(4) {
        return None;
    }
    let bare = text.trim_end_matches('=');
    if text.len() - bare.len() > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0u32, 0);
    for byte in bare.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    Some(bytes)
}

const MAX_TOKEN: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    // {"client_name":"x","fingerprint":"bf27…947b","addresses":["127.0.0.1:8443"],"secret":"s"}
    const TOKEN: &str = "eyJjbGllbnRfbmFtZSI6IngiLCJmaW5nZXJwcmludCI6ImJmMjdkNDI5MjdmYTRjZjMzY2E2NDczM2Y0YjdiNTNiOTAxNzAz\
        Yjg2OGQyZjcwZDYxNjEwOTJkNDFkMzk0N2IiLCJhZGRyZXNzZXMiOlsiMTI3LjAuMC4xOjg0NDMiXSwic2VjcmV0IjoicyJ9";

    #[test]
    fn gives_the_pin_of_the_host() {
        let token = JoinToken::parse(TOKEN).expect("a token");
        assert_eq!(
            token.fingerprint.to_string(),
            "bf27d42927fa4cf33ca64733f4b7b53b901703b868d2f70d6161092d41d3947b"
        );
        assert_eq!(token.addresses, ["127.0.0.1:8443"]);
        assert!(!format!("{token:?}").contains("secret"));
    }

    #[test]
    fn refuses_what_is_no_token() {
        for text in ["", "====", "not base64!", "e30=", "bnVsbA==", &TOKEN[4..]] {
            assert!(JoinToken::parse(text).is_err(), "{text}");
        }
    }
}
