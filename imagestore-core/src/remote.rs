use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use imagestore_verify::{Keyring, Sha256};
use url::Url;

use crate::base_url::BaseUrl;
use crate::error::{Error, ErrorKind, Result};
use crate::image_ref::RemoteName;
use crate::remote_url::{Place, RemoteUrl};

/// A configured place images come from: where it is, and whose word counts there.
///
/// # Defaults
/// System roots for TLS, no mirrors, no arguments, no cleartext, no highest age.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteConfig {
    name: RemoteName,
    url: RemoteUrl,
    trust: Trust,
    tls: TlsTrust,
    identity: Option<ClientIdentity>,
    cleartext: Cleartext,
    mirrors: Vec<BaseUrl>,
    arguments: BTreeMap<String, String>,
    architecture: Option<String>,
    max_age: Option<Duration>,
}

impl RemoteConfig {
    /// A remote of this name at this URL, believed on this ground.
    #[must_use]
    pub fn new(name: RemoteName, url: RemoteUrl, trust: Trust) -> Self {
        Self {
            name,
            url,
            trust,
            tls: TlsTrust::SystemRoots,
            identity: None,
            cleartext: Cleartext::Refuse,
            mirrors: Vec::new(),
            arguments: BTreeMap::new(),
            architecture: None,
            max_age: None,
        }
    }

    /// Which certificates to believe.
    #[must_use]
    pub fn with_tls(mut self, tls: TlsTrust) -> Self {
        self.tls = tls;
        self
    }

    /// The certificate to show to the remote.
    #[must_use]
    pub fn with_identity(mut self, identity: ClientIdentity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Whether http without TLS may leave this machine.
    #[must_use]
    pub fn with_cleartext(mut self, cleartext: Cleartext) -> Self {
        self.cleartext = cleartext;
        self
    }

    /// Further places that hold the same files.
    #[must_use]
    pub fn with_mirrors(mut self, mirrors: Vec<BaseUrl>) -> Self {
        self.mirrors = mirrors;
        self
    }

    /// Values for the protocol, such as `base` for system-image.
    #[must_use]
    pub fn with_arguments(mut self, arguments: BTreeMap<String, String>) -> Self {
        self.arguments = arguments;
        self
    }

    /// The architecture meant when a reference names none; otherwise that of this machine.
    #[must_use]
    pub fn with_architecture(mut self, architecture: Option<String>) -> Self {
        self.architecture = architecture;
        self
    }

    /// Refuse indexes older than this, by their signature or, where a tree is believed by its channel,
    /// by the date in them; without it they are only warned about.
    #[must_use]
    pub fn with_max_age(mut self, max_age: Option<Duration>) -> Self {
        self.max_age = max_age;
        self
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &RemoteName {
        &self.name
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &RemoteUrl {
        &self.url
    }

    /// Whose word counts.
    #[must_use]
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Which certificates to believe.
    #[must_use]
    pub fn tls(&self) -> &TlsTrust {
        &self.tls
    }

    /// The certificate to show to the remote, if there is one.
    #[must_use]
    pub fn identity(&self) -> Option<&ClientIdentity> {
        self.identity.as_ref()
    }

    /// Whether http without TLS may leave this machine.
    #[must_use]
    pub fn cleartext(&self) -> Cleartext {
        self.cleartext
    }

    /// Further places that hold the same files.
    #[must_use]
    pub fn mirrors(&self) -> &[BaseUrl] {
        &self.mirrors
    }

    /// Values for the protocol.
    #[must_use]
    pub fn arguments(&self) -> &BTreeMap<String, String> {
        &self.arguments
    }

    /// The architecture meant when a reference names none, as configured.
    #[must_use]
    pub fn architecture(&self) -> Option<&str> {
        self.architecture.as_deref()
    }

    /// The highest age of an index.
    #[must_use]
    pub fn max_age(&self) -> Option<Duration> {
        self.max_age
    }

    /// What tells this remote from others wherever something is remembered or kept: its URL.
    ///
    /// The name does not count: it is the user's, and a registry chooses its own.
    #[must_use]
    pub fn id(&self) -> String {
        self.url.to_string()
    }

    /// The URL of a file of this remote, first here and then on each mirror.
    ///
    /// # Errors
    /// [`ErrorKind::Unsafe`] if the path could name another server.
    pub fn locations(&self, path: &str) -> Result<Vec<Url>> {
        let mut urls = vec![self.url.document(path)?];
        for mirror in &self.mirrors {
            urls.push(mirror.document(path)?);
        }
        Ok(urls)
    }

    /// The socket to connect to, if the remote is reached by one.
    #[must_use]
    pub fn socket(&self) -> Option<&Path> {
        match self.url.place() {
            Place::Socket(path) => Some(path),
            Place::Base(_) => None,
        }
    }

    /// Whether this remote may be asked at all.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] if it, or a mirror, would be asked over http across a network
    /// without [`Cleartext::Allow`], or if nothing but an open channel would vouch for it.
    pub fn check_reachable(&self) -> Result<()> {
        if let (Trust::Channel, Place::Base(base)) = (&self.trust, self.url.place())
            && !base.is_encrypted()
        {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                format!(
                    "remote `{}` has neither keys nor an authenticated channel",
                    self.name
                ),
            )
            .with_subject(&self.url)
            .with_remedy("give it trusted_keys, or an https URL"));
        }
        let open = match self.url.base() {
            Some(base) if !self.url.is_private() => Some(base),
            _ => self
                .mirrors
                .iter()
                .find(|m| !m.is_encrypted() && !m.is_loopback()),
        };
        match (open, self.cleartext) {
            (Some(base), Cleartext::Refuse) => Err(Error::new(
                ErrorKind::InvalidConfig,
                format!(
                    "remote `{}` would be asked over http without TLS",
                    self.name
                ),
            )
            .with_subject(base)
            .with_remedy("use https, or set allow_http = true for this remote")),
            _ => Ok(()),
        }
    }
}

/// Whose word counts for what a remote publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Nothing is signed: believe what comes over the authenticated channel (pinned TLS, TLS with
    /// system roots, or a local socket). Every proof says so.
    Channel,
    /// Believe what is signed by one of these keys.
    Signatures(Keyring),
}

/// Which certificates are believed for TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsTrust {
    /// Only a leaf certificate with one of these SHA-256 digests of its DER form. No authority can
    /// stand in.
    Pin(Vec<Sha256>),
    /// What the system's roots vouch for.
    SystemRoots,
}

/// A certificate and its private key, as PEM, that a remote may ask for. `Debug` does not show the
/// key.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientIdentity {
    certificate_pem: Vec<u8>,
    key_pem: Vec<u8>,
}

impl ClientIdentity {
    /// The identity of this PEM certificate chain and PEM private key.
    #[must_use]
    pub fn new(certificate_pem: Vec<u8>, key_pem: Vec<u8>) -> Self {
        Self {
            certificate_pem,
            key_pem,
        }
    }

    /// The certificate chain.
    #[must_use]
    pub fn certificate_pem(&self) -> &[u8] {
        &self.certificate_pem
    }

    /// The private key.
    #[must_use]
    pub fn key_pem(&self) -> &[u8] {
        &self.key_pem
    }
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientIdentity").finish_non_exhaustive()
    }
}

/// Whether requests may travel without TLS beyond this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cleartext {
    /// Yes: signatures are still checked, but anybody on the way sees and can withhold what is
    /// asked.
    Allow,
    /// Only to this machine.
    Refuse,
}
