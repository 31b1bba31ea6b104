use serde_json::json;

use super::{tarball, text};
use crate::error::PublishError;

/// What the keys of a published keyring may sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyringRole {
    /// Image-master keyrings.
    ArchiveMaster,
    /// Nothing any more.
    Blacklist,
    /// The index and files of a device.
    DeviceSigning,
    /// Image-signing keyrings and the blacklist.
    ImageMaster,
    /// Channels, indexes, files and device-signing keyrings.
    ImageSigning,
}

impl KeyringRole {
    /// Its name in `keyring.json`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ArchiveMaster => "archive-master",
            Self::Blacklist => "blacklist",
            Self::DeviceSigning => "device-signing",
            Self::ImageMaster => "image-master",
            Self::ImageSigning => "image-signing",
        }
    }
}

/// A keyring to be published.
///
/// # Defaults
/// No keys, no expiry, for any device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleKeyring {
    role: KeyringRole,
    certificates: Vec<String>,
    expiry: Option<u64>,
    model: Option<String>,
}

impl RoleKeyring {
    /// An empty keyring, which only a blacklist may be.
    #[must_use]
    pub fn new(role: KeyringRole) -> Self {
        Self {
            role,
            certificates: Vec::new(),
            expiry: None,
            model: None,
        }
    }

    /// With one more armored public key.
    #[must_use]
    pub fn with_key(mut self, certificate: impl Into<String>) -> Self {
        self.certificates.push(certificate.into());
        self
    }

    /// Until this time, in seconds since 1970.
    #[must_use]
    pub fn with_expiry(mut self, seconds: u64) -> Self {
        self.expiry = Some(seconds);
        self
    }

    /// For this device only.
    #[must_use]
    pub fn with_model(mut self, device: impl Into<String>) -> Self {
        self.model = Some(device.into());
        self
    }

    /// The role.
    #[must_use]
    pub fn role(&self) -> KeyringRole {
        self.role
    }

    /// The tarball: exactly `keyring.json` and `keyring.gpg`.
    pub(super) fn tarball(&self, seconds: u64) -> Result<Vec<u8>, PublishError> {
        let mut object = json!({"type": self.role.name()});
        if let Some(expiry) = self.expiry {
            object["expiry"] = json!(expiry);
        }
        if let Some(model) = &self.model {
            object["model"] = json!(model);
        }
        let mut keys = Vec::new();
        for certificate in &self.certificates {
            keys.extend(dearmored(certificate)?);
        }
        let members = [
            tarball::Plain::new("keyring.json", text::json(&object)),
            tarball::Plain::new("keyring.gpg", keys),
        ];
        tarball::plain(&members, seconds)
    }
}

/// The packets in an armored public key.
fn dearmored(certificate: &str) -> Result<Vec<u8>, PublishError> {
    let broken = || PublishError::Key {
        what: "an armored public key".to_owned(),
        source: None,
    };
    let body = certificate
        .split_once("-----BEGIN PGP PUBLIC KEY BLOCK-----")
        .and_then(|(_, rest)| rest.split_once("-----END"))
        .map(|(body, _)| body)
        .ok_or_else(broken)?;
    let (mut out, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    let lines = body.trim_start_matches(['\r', '\n', ' ']).lines();
    // Headers have a colon, the checksum begins with `=`.
    let lines = lines.filter(|line| !line.contains(':') && !line.starts_with('='));
    for byte in lines.flat_map(str::bytes) {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' | b'\r' | b' ' => continue,
            _ => return Err(broken()),
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    Ok(out)
}
