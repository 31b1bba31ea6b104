use std::fmt;

use imagestore_verify::Sha256;
use serde::Serialize;
use url::Url;

use crate::index::ImageKind;
use crate::secret::Secret;

/// An image a host is to fetch from elsewhere: it asks there itself, and believes what it is told
/// to believe.
///
/// `Debug` does not show the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Pull {
    server: Url,
    protocol: PullProtocol,
    image: PulledImage,
    kind: Option<ImageKind>,
    certificate_pem: Option<String>,
    secret: Option<Secret>,
    aliases: Vec<String>,
    audience: Audience,
}

impl Pull {
    /// This image of the server at this URL, which the host must be able to reach.
    #[must_use]
    pub fn new(server: Url, protocol: PullProtocol, image: PulledImage) -> Self {
        Self {
            server,
            protocol,
            image,
            kind: None,
            certificate_pem: None,
            secret: None,
            aliases: Vec::new(),
            audience: Audience::Trusted,
        }
    }

    /// The certificate of the server, which the host believes beside those of authorities.
    #[must_use]
    pub fn with_certificate(mut self, pem: impl Into<String>) -> Self {
        self.certificate_pem = Some(pem.into());
        self
    }

    /// What opens the image there, if it is private. It lives for five seconds from its first use,
    /// so ask for it last.
    #[must_use]
    pub fn with_secret(mut self, secret: Secret) -> Self {
        self.secret = Some(secret);
        self
    }

    /// Whether a container or a virtual machine is meant, where the alias stands for both.
    #[must_use]
    pub fn with_kind(mut self, kind: ImageKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// One more name the image gets on the host.
    #[must_use]
    pub fn with_alias(mut self, name: impl Into<String>) -> Self {
        self.aliases.push(name.into());
        self
    }

    /// To whom the host shows the image.
    ///
    /// # Defaults
    /// [`Audience::Trusted`].
    #[must_use]
    pub fn with_audience(mut self, audience: Audience) -> Self {
        self.audience = audience;
        self
    }

    pub(crate) fn fingerprint(&self) -> Option<&Sha256> {
        match &self.image {
            PulledImage::Alias(_) => None,
            PulledImage::Fingerprint(fingerprint) => Some(fingerprint),
        }
    }

    pub(crate) fn json(&self) -> Vec<u8> {
        let (alias, fingerprint) = match &self.image {
            PulledImage::Alias(alias) => (Some(alias.as_str()), None),
            PulledImage::Fingerprint(fingerprint) => (None, Some(fingerprint.to_string())),
        };
        let names = self.aliases.iter();
        let wire = WirePull {
            source: WireSource {
                kind: "image",
                mode: "pull",
                // Hosts append a path to it.
                server: self.server.as_str().trim_end_matches('/'),
                protocol: match self.protocol {
                    PullProtocol::Incus => "incus",
                    PullProtocol::Lxd => "lxd",
                    PullProtocol::Simplestreams => "simplestreams",
                },
                certificate: self.certificate_pem.as_deref(),
                alias,
                fingerprint,
                image_type: self.kind.map(ImageKind::name),
                secret: self.secret.as_ref().map(Secret::reveal),
            },
            public: self.audience == Audience::Everybody,
            auto_update: false,
            aliases: names.map(|name| WireName { name }).collect(),
        };
        // Plain values and text always become JSON.
        serde_json::to_vec(&wire).unwrap_or_default()
    }
}

impl fmt::Debug for Pull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pull")
            .field("server", &self.server.as_str())
            .field("protocol", &self.protocol)
            .field("image", &self.image)
            .field("aliases", &self.aliases)
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}

/// What the server of a [`Pull`] speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PullProtocol {
    /// The API of hosts, under the name an Incus host has for it.
    Incus,
    /// The API of hosts, under the name a LXD host has for it.
    Lxd,
    /// Simplestreams: it is a tree of files.
    Simplestreams,
}

/// Which image of a server is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PulledImage {
    /// That of this name.
    Alias(String),
    /// That of this fingerprint.
    Fingerprint(Sha256),
}

/// To whom a host shows an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Audience {
    /// To everybody who asks.
    Everybody,
    /// To callers it trusts.
    #[default]
    Trusted,
}

/// An image a host has fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pulled {
    /// By what it is known there.
    pub fingerprint: Sha256,
    /// Its size in bytes, where the host says it.
    pub size: Option<u64>,
}

#[derive(Serialize)]
struct WirePull<'a> {
    source: WireSource<'a>,
    public: bool,
    auto_update: bool,
    aliases: Vec<WireName<'a>>,
}

#[derive(Serialize)]
struct WireSource<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    mode: &'static str,
    server: &'a str,
    protocol: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alias: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
}

#[derive(Serialize)]
struct WireName<'a> {
    name: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_as_hosts_are_asked() {
        let server: Url = "https://127.0.0.1:8443".parse().expect("a URL");
        let image = PulledImage::Alias("big".to_owned());
        let pull = Pull::new(server.clone(), PullProtocol::Lxd, image)
            .with_certificate("-----BEGIN")
            .with_alias("bigcopy");
        assert_eq!(
            String::from_utf8(pull.json()).expect("text"),
            r#"{"source":{"type":"image","mode":"pull","server":"https://127.0.0.1:8443","protocol":"lxd","certificate":"-----BEGIN","alias":"big"},"public":false,"auto_update":false,"aliases":[{"name":"bigcopy"}]}"#
        );
        let digits = "8720cab55f412b1a81a50f370d7fce901d1b3550b117183468604508253e9a73";
        let image = PulledImage::Fingerprint(digits.parse().expect("a digest"));
        let secret = Secret::new(&"5ec7e7".repeat(8)).expect("a secret");
        let pull = Pull::new(server, PullProtocol::Simplestreams, image)
            .with_secret(secret)
            .with_kind(ImageKind::VirtualMachine)
            .with_audience(Audience::Everybody);
        let json = String::from_utf8(pull.json()).expect("text");
        assert_eq!(
            json,
            format!(
                r#"{{"source":{{"type":"image","mode":"pull","server":"https://127.0.0.1:8443","protocol":"simplestreams","fingerprint":"{digits}","image_type":"virtual-machine","secret":"{}"}},"public":true,"auto_update":false,"aliases":[]}}"#,
                "5ec7e7".repeat(8)
            )
        );
        assert!(!format!("{pull:?}").contains("5ec7e7"));
    }
}
