use std::collections::BTreeMap;
use std::time::Duration;

use imagestore_verify::{Fingerprint, Keyring, Sha256};
use serde::{Deserialize, Serialize};

use super::listed::{Fields, KeyNames, ListedRemote, Registry};
use crate::error::PublishError;
use crate::tree::Publication;

/// `index.json`, and the key and certificate files it names.
#[derive(Debug)]
pub(super) struct Documents {
    pub(super) index: Vec<u8>,
    /// By path: `keys/…`, `certs/…`.
    pub(super) files: BTreeMap<String, Vec<u8>>,
}

impl Documents {
    /// What a registry publishes, at this time.
    pub(super) fn new(
        registry: &Registry,
        fields: Fields,
        names: KeyNames,
        publication: Publication,
    ) -> Result<Self, PublishError> {
        registry.check(fields)?;
        let proposed = fields == Fields::Proposed;
        let mut files = BTreeMap::new();
        let mut servers = Vec::new();
        for remote in &registry.remotes {
            servers.push(Server::new(remote, names, proposed, &mut files)?);
        }
        let arguments = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let aliases = registry.aliases.iter().map(|(name, alias)| {
            let arguments = BTreeMap::from([
                arguments("distribution", &alias.distribution),
                arguments("release", &alias.release),
                arguments("variant", &alias.variant),
            ]);
            (
                name.clone(),
                Alias {
                    server: alias.remote.clone(),
                    arguments,
                },
            )
        });
        let generated_at = publication.seconds();
        let expiry = |lifetime: Duration| generated_at.saturating_add(lifetime.as_secs());
        let index = Index {
            version: 1,
            generated_at,
            serial: proposed.then_some(publication.serial),
            expires_at: registry.lifetime.map(expiry),
            servers,
            aliases: aliases.collect(),
        };
        let mut text =
            serde_json::to_vec_pretty(&index).expect("strings, numbers and maps of strings");
        text.push(b'\n');
        Ok(Self { index: text, files })
    }
}

/// What an index that is there already says, as far as a publisher needs it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Earlier {
    pub(super) serial: u64,
    pub(super) generated_at: u64,
    servers: Vec<EarlierServer>,
}

impl Earlier {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// The files it names, as paths below the root.
    pub(super) fn files(&self) -> impl Iterator<Item = &str> {
        let paths = self
            .servers
            .iter()
            .flat_map(|server| server.trusted_keys.iter().chain(&server.trusted_certs));
        paths.map(|path| path.trim_start_matches('/'))
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct EarlierServer {
    trusted_keys: Vec<String>,
    trusted_certs: Vec<String>,
}

#[derive(Serialize)]
struct Index {
    version: u64,
    generated_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    serial: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
    servers: Vec<Server>,
    aliases: BTreeMap<String, Alias>,
}

#[derive(Serialize)]
struct Server {
    name: String,
    #[serde(flatten)]
    descriptions: BTreeMap<String, String>,
    url: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mirrors: Vec<String>,
    arguments: BTreeMap<String, String>,
    trusted_keys: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    revoked_keys: Vec<String>,
    trusted_certs: Vec<String>,
    min_client_ver: u64,
    max_client_ver: u64,
}

impl Server {
    fn new(
        remote: &ListedRemote,
        names: KeyNames,
        proposed: bool,
        files: &mut BTreeMap<String, Vec<u8>>,
    ) -> Result<Self, PublishError> {
        let mut place = |path: String, bytes: &[u8]| {
            files.insert(path.clone(), bytes.to_vec());
            format!("/{path}")
        };
        let mut trusted_keys = Vec::new();
        for key in &remote.keys {
            let fingerprint = the_key(key, &remote.name)?;
            trusted_keys.push(place(
                format!("keys/{}", key_name(&fingerprint, names)),
                key,
            ));
        }
        let certificates = remote.certificates.iter().map(|der| {
            let name = Sha256::of(der).to_string().to_ascii_uppercase();
            place(format!("certs/{name}"), pem(der).as_bytes())
        });
        let described = remote.descriptions.iter().map(|(language, text)| {
            let key = if language.is_empty() {
                "description".to_owned()
            } else {
                format!("description.{language}")
            };
            (key, text.clone())
        });
        let mut revoked_keys = Vec::new();
        for text in &remote.revoked_keys {
            let fingerprint: Result<Fingerprint, _> = text.parse();
            let wrong = |_| PublishError::field("a revoked key", "is no full fingerprint", text);
            revoked_keys.push(fingerprint.map_err(wrong)?.to_string());
        }
        Ok(Self {
            name: remote.name.clone(),
            trusted_certs: certificates.collect(),
            descriptions: described.collect(),
            url: remote.url.clone(),
            mirrors: if proposed {
                remote.mirrors.clone()
            } else {
                Vec::new()
            },
            arguments: remote.arguments.clone(),
            trusted_keys,
            revoked_keys,
            min_client_ver: remote.min_client,
            max_client_ver: remote.max_client,
        })
    }
}

#[derive(Serialize)]
struct Alias {
    server: String,
    arguments: BTreeMap<String, String>,
}

fn the_key(key: &[u8], remote: &str) -> Result<Fingerprint, PublishError> {
    let what = format!("of the remote `{remote}`");
    let secret = String::from_utf8_lossy(key).contains("PRIVATE KEY");
    match Keyring::from_bytes(key) {
        Ok(keyring) if !secret => match keyring.fingerprints()[..] {
            [fingerprint] => Ok(fingerprint),
            _ => Err(PublishError::Key { what, source: None }),
        },
        Ok(_) => Err(PublishError::Key { what, source: None }),
        Err(error) => Err(PublishError::Key {
            what,
            source: Some(Box::new(error)),
        }),
    }
}

fn key_name(fingerprint: &Fingerprint, names: KeyNames) -> String {
    let text = fingerprint.to_string();
    match (names, fingerprint.version()) {
        (KeyNames::Fingerprint, _) => text,
        // The id of a v6 key is at the front of its fingerprint (RFC 9580, 5.5.4.3).
        (KeyNames::LongId, 6) => format!("0x{}", &text[..16]),
        (KeyNames::LongId, _) => format!("0x{}", &text[text.len() - 16..]),
    }
}

fn pem(der: &[u8]) -> String {
    let mut out = "-----BEGIN CERTIFICATE-----\n".to_owned();
    for line in der.chunks(48) {
        for group in line.chunks(3) {
            let bits = group
                .iter()
                .fold(0u32, |bits, byte| bits << 8 | u32::from(*byte))
                << (8 * (3 - group.len()));
            for place in 0..4 {
                let digit = (bits >> (18 - 6 * place) & 63) as usize;
                out.push(if place <= group.len() {
                    char::from(BASE64[digit])
                } else {
                    '='
                });
            }
        }
        out.push('\n');
    }
    out + "-----END CERTIFICATE-----\n"
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_pem_that_tools_write() {
        for (der, text) in [
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
        ] {
            let wanted =
                format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
            assert_eq!(pem(der.as_bytes()), wanted);
        }
        let lines: Vec<usize> = pem(&[7; 100]).lines().map(str::len).collect();
        assert_eq!(lines, [27, 64, 64, 8, 25]);
    }
}
