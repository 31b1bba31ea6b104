use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use imagestore_core::{
    BaseUrl, Cleartext, ClientIdentity, Error, ErrorKind, RemoteConfig, RemoteName, RemoteUrl,
    Result, TlsTrust, Trust,
};
use serde::{Deserialize, Serialize};

use crate::config::material;

/// What the configuration says about one remote. Nothing is read or checked until it becomes a
/// [`RemoteConfig`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RemoteSettings {
    /// `<transport>+<protocol>://…`.
    pub url: String,
    /// Files of keys, or full fingerprints of keys in `keys/<FINGERPRINT>.asc`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trusted_keys: Vec<String>,
    /// Files of PEM certificates, or `sha256:<64 hex>` of a certificate's DER form. Exclusive: no
    /// authority can stand in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trusted_certs: Vec<String>,
    /// On what ground the remote is believed if it has no keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<TrustSetting>,
    /// Further places with the same files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<String>,
    /// Values for the protocol.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub arguments: BTreeMap<String, String>,
    /// Let requests without TLS leave this machine.
    #[serde(default, skip_serializing_if = "is_false")]
    pub allow_http: bool,
    /// The architecture meant when a reference names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_arch: Option<String>,
    /// Refuse indexes signed more than this many days ago.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age_days: Option<u32>,
    /// The PEM file of a certificate to show to the remote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_cert: Option<PathBuf>,
    /// The PEM file of its private key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_key: Option<PathBuf>,
}

/// On what ground a remote without keys is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TrustSetting {
    /// What comes over the authenticated channel is believed: whoever holds the server decides what
    /// an image is.
    Channel,
    /// Signatures by `trusted_keys`; this is what is meant when nothing is said.
    Signatures,
}

impl RemoteSettings {
    /// Settings for a remote at this URL, with nothing to believe in yet.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            ..Self::default()
        }
    }

    /// Files of keys, or full fingerprints of keys in `keys/<FINGERPRINT>.asc`.
    #[must_use]
    pub fn with_trusted_keys<S: Into<String>>(mut self, keys: impl IntoIterator<Item = S>) -> Self {
        self.trusted_keys = keys.into_iter().map(Into::into).collect();
        self
    }

    /// Files of PEM certificates, or `sha256:<64 hex>`.
    #[must_use]
    pub fn with_trusted_certs<S: Into<String>>(
        mut self,
        certs: impl IntoIterator<Item = S>,
    ) -> Self {
        self.trusted_certs = certs.into_iter().map(Into::into).collect();
        self
    }

    /// On what ground it is believed if it has no keys.
    #[must_use]
    pub fn with_trust(mut self, trust: TrustSetting) -> Self {
        self.trust = Some(trust);
        self
    }

    /// The remote of this name, its files looked for below `base`.
    pub(crate) fn to_remote(&self, name: RemoteName, base: &Path) -> Result<RemoteConfig> {
        let about = |error: Error| in_remote(&name, error);
        let url: RemoteUrl = self.url.parse().map_err(about)?;
        let trust = self.trust(&url, base).map_err(about)?;
        let tls = match material::pins(&self.trusted_certs, base).map_err(about)? {
            pins if pins.is_empty() => TlsTrust::SystemRoots,
            pins => TlsTrust::Pin(pins),
        };
        let mirrors = self
            .mirrors
            .iter()
            .map(|text| mirror(text))
            .collect::<Result<_>>()
            .map_err(about)?;
        let cleartext = if self.allow_http {
            Cleartext::Allow
        } else {
            Cleartext::Refuse
        };
        let days = |days: u32| Duration::from_secs(u64::from(days) * 86_400);
        let arguments = self.arguments_for(&url);
        let mut remote = RemoteConfig::new(name.clone(), url, trust)
            .with_tls(tls)
            .with_cleartext(cleartext)
            .with_mirrors(mirrors)
            .with_arguments(arguments)
            .with_architecture(self.default_arch.clone())
            .with_max_age(self.max_age_days.map(days));
        if let Some(identity) = self.identity(base).map_err(about)? {
            remote = remote.with_identity(identity);
        }
        remote.check_reachable()?;
        Ok(remote)
    }

    /// The arguments, and for a host the port if the URL names 443: a [`RemoteUrl`] does not keep
    /// it, and a host is asked on another one unless it is told.
    fn arguments_for(&self, url: &RemoteUrl) -> BTreeMap<String, String> {
        let mut arguments = self.arguments.clone();
        let (transport, rest) = self.url.split_once("://").unwrap_or_default();
        let authority = rest.split('/').next().unwrap_or_default();
        if matches!(url.protocol(), "incus" | "lxd")
            && transport.starts_with("https+")
            && authority.ends_with(":443")
        {
            arguments.insert("port".to_owned(), "443".to_owned());
        }
        arguments
    }

    fn trust(&self, url: &RemoteUrl, base: &Path) -> Result<Trust> {
        if let Some(keys) = material::keyring(&self.trusted_keys, base)? {
            if self.trust == Some(TrustSetting::Channel) {
                return Err(Error::new(
                    ErrorKind::InvalidConfig,
                    "trusted_keys and trust = \"channel\" exclude each other",
                ));
            }
            return Ok(Trust::Signatures(keys));
        }
        // A LXD host signs nothing: its socket or its certificate is all there is. A pinned
        // certificate says the same of a simplestreams server.
        let by_channel = self.trust == Some(TrustSetting::Channel)
            || matches!(url.protocol(), "incus" | "lxd")
            || (url.protocol() == "simplestreams" && !self.trusted_certs.is_empty());
        if by_channel {
            return Ok(Trust::Channel);
        }
        Err(Error::new(
            ErrorKind::InvalidConfig,
            "there is nothing to believe it by",
        )
        .with_remedy("give it trusted_keys, or set trust = \"channel\" if nothing there is signed"))
    }

    fn identity(&self, base: &Path) -> Result<Option<ClientIdentity>> {
        match (&self.client_cert, &self.client_key) {
            (Some(certificate), Some(key)) => Ok(Some(ClientIdentity::new(
                material::read(&base.join(certificate))?,
                material::read(&base.join(key))?,
            ))),
            (None, None) => Ok(None),
            _ => Err(Error::new(
                ErrorKind::InvalidConfig,
                "client_cert and client_key belong together",
            )),
        }
    }
}

/// A mirror is written as a plain URL, or as the remote it mirrors is.
fn mirror(text: &str) -> Result<BaseUrl> {
    let scheme = text.split("://").next().unwrap_or_default();
    if scheme.contains('+') {
        let url: RemoteUrl = text.parse()?;
        return url.base().cloned().ok_or_else(|| {
            Error::new(ErrorKind::InvalidConfig, "a mirror is no socket").with_subject(text)
        });
    }
    text.parse()
}

fn in_remote(name: &RemoteName, cause: Error) -> Error {
    Error::new(cause.kind(), "a remote is not configured properly")
        .with_subject(format_args!("`{name}`"))
        .with_source(cause)
}

// Serde wants a function for a field that is left out when it says nothing.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature serde asks for"
)]
fn is_false(value: &bool) -> bool {
    !*value
}
