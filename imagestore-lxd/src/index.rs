use std::collections::BTreeMap;
use std::time::SystemTime;

use imagestore_core::printable;
use imagestore_verify::Sha256;
use serde::Deserialize;

use crate::error::ParseError;
use crate::reply::{self, List, Object, Strings};
use crate::time;

/// What `/1.0/images?recursion=1` says: the images a host shows to this caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    images: Vec<HostImage>,
}

impl Index {
    /// Reads the answer of a host.
    ///
    /// # Errors
    /// [`ParseError`] if it has another form, or more than `limit` images.
    pub fn parse(bytes: &[u8], limit: usize) -> Result<Self, ParseError> {
        let wire: List<Object<WireImage>, MOST_IMAGES> = reply::parse(bytes)?;
        if wire.0.len() > limit {
            return Err(ParseError::TooMany {
                what: "images",
                limit,
            });
        }
        let images = wire
            .0
            .into_iter()
            .map(|image| HostImage::of(image.0))
            .collect::<Result<_, _>>()?;
        Ok(Self { images })
    }

    /// The images in the order of the answer.
    #[must_use]
    pub fn images(&self) -> &[HostImage] {
        &self.images
    }
}

/// One image as a host describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostImage {
    /// SHA-256 of its file, or of the metadata file followed by the root file.
    pub fingerprint: Sha256,
    /// Bytes of all its files together.
    pub size: u64,
    /// The architecture, under the name the host uses: `x86_64`.
    pub architecture: String,
    /// Container or virtual machine.
    pub kind: ImageKind,
    /// Whether everybody may fetch it.
    pub public: bool,
    /// Its names, in the order of the answer.
    pub aliases: Vec<String>,
    /// When it was made, by the word of its author.
    pub created_at: Option<SystemTime>,
    /// When it should no longer be used.
    pub expires_at: Option<SystemTime>,
    /// When the host got it.
    pub uploaded_at: Option<SystemTime>,
    /// What its author says about it: `os`, `release`, `description`, …
    pub properties: BTreeMap<String, String>,
}

impl HostImage {
    /// Reads the answer to `/1.0/images/<fingerprint>`.
    ///
    /// # Errors
    /// [`ParseError`] if it has another form.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        Self::of(reply::parse::<Object<_>>(bytes)?.0)
    }

    fn of(wire: WireImage) -> Result<Self, ParseError> {
        let fingerprint = fingerprint(&wire.fingerprint)?;
        if wire.size == 0 {
            return Err(ParseError::SizeZero {
                fingerprint: wire.fingerprint,
            });
        }
        Ok(Self {
            fingerprint,
            size: wire.size,
            architecture: wire.architecture,
            kind: ImageKind::parse(wire.kind.as_deref())?,
            public: wire.public,
            aliases: wire
                .aliases
                .0
                .into_iter()
                .map(|alias| alias.0.name)
                .collect(),
            created_at: wire.created_at.as_deref().and_then(time::parse),
            expires_at: wire.expires_at.as_deref().and_then(time::parse),
            uploaded_at: wire.uploaded_at.as_deref().and_then(time::parse),
            properties: wire.properties.0,
        })
    }
}

/// What an image is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ImageKind {
    /// A container: a tree of files. Hosts that know nothing else do not say.
    #[default]
    Container,
    /// A virtual machine: a disk.
    VirtualMachine,
}

impl ImageKind {
    /// The name hosts use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::VirtualMachine => "virtual-machine",
        }
    }

    /// The name of the part of an export that holds the root.
    #[cfg(feature = "serve")]
    pub(crate) fn part(self) -> &'static str {
        match self {
            Self::Container => "rootfs",
            Self::VirtualMachine => "rootfs.img",
        }
    }

    fn parse(text: Option<&str>) -> Result<Self, ParseError> {
        match text {
            None | Some("" | "container") => Ok(Self::Container),
            Some("virtual-machine") => Ok(Self::VirtualMachine),
            Some(other) => {
                let other: String = other.chars().take(40).collect();
                Err(ParseError::Json {
                    what: format!("an image of type `{}`", printable(&other)),
                })
            }
        }
    }
}

/// Another name for an image, as a host gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostAlias {
    /// The image meant.
    pub target: Sha256,
    /// Container or virtual machine.
    pub kind: ImageKind,
}

impl HostAlias {
    /// Reads the answer to `/1.0/images/aliases/<name>`.
    ///
    /// # Errors
    /// [`ParseError`] if it has another form.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let Object::<WireAlias>(wire) = reply::parse(bytes)?;
        Ok(Self {
            target: fingerprint(&wire.target)?,
            kind: ImageKind::parse(wire.kind.as_deref())?,
        })
    }
}

/// What `/1.0` says about a host.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Host {
    /// Whether it knows this caller; otherwise it shows public images only.
    pub trusted: bool,
    /// `lxd` or `incus`, to callers it trusts.
    pub server: Option<String>,
    /// Its version, to callers it trusts.
    pub version: Option<String>,
    /// The architectures it runs, under the names it uses.
    pub architectures: Vec<String>,
    /// What it can do beyond the first version of the API.
    pub api_extensions: Vec<String>,
}

impl Host {
    /// Reads the answer to `/1.0`.
    ///
    /// # Errors
    /// [`ParseError`] if it has another form.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let Object::<WireHost>(wire) = reply::parse(bytes)?;
        let environment = wire.environment.unwrap_or_default().0;
        Ok(Self {
            trusted: wire.auth == "trusted",
            server: environment.server,
            version: environment.server_version,
            architectures: environment.architectures.0,
            api_extensions: wire.api_extensions.0,
        })
    }
}

/// A fingerprint as hosts write it, all of it: what is shorter checks less, and what is longer or
/// holds anything else is meant for those who make file names of it.
pub(crate) fn fingerprint(text: &str) -> Result<Sha256, ParseError> {
    let lower = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.parse()
        .ok()
        .filter(|_| text.bytes().all(lower))
        .ok_or_else(|| {
            let shown: String = text.chars().take(80).collect();
            ParseError::Fingerprint {
                found: printable(&shown),
            }
        })
}

#[derive(Deserialize)]
struct WireImage {
    fingerprint: String,
    size: u64,
    #[serde(default)]
    architecture: String,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    public: bool,
    #[serde(default)]
    aliases: List<Object<WireName>, 10_000>,
    #[serde(default)]
    created_at: Option<String>,
    #[serde(default)]
    expires_at: Option<String>,
    #[serde(default)]
    uploaded_at: Option<String>,
    #[serde(default)]
    properties: Strings,
}

#[derive(Deserialize)]
struct WireName {
    name: String,
}

#[derive(Deserialize)]
struct WireAlias {
    target: String,
    #[serde(default, rename = "type")]
    kind: Option<String>,
}

#[derive(Deserialize)]
struct WireHost {
    #[serde(default)]
    auth: String,
    #[serde(default)]
    api_extensions: List<String, 10_000>,
    #[serde(default)]
    environment: Option<Object<WireEnvironment>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireEnvironment {
    server: Option<String>,
    server_version: Option<String>,
    architectures: List<String, 100>,
}

// The caller's own limit comes behind it; this one holds while parsing.
const MOST_IMAGES: usize = 1_000_000;

#[cfg(test)]
mod tests;
