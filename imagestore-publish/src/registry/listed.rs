use std::collections::BTreeMap;
use std::time::Duration;

use crate::error::PublishError;

/// What a registry says: which remotes there are, whose keys count there, and short names for images.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Registry {
    /// The remotes, in the order in which readers list them.
    pub remotes: Vec<ListedRemote>,
    /// Short names, which may hold slashes.
    pub aliases: BTreeMap<String, ListedAlias>,
    /// How long after its publication it may be used. Needs [`Fields::Proposed`].
    pub lifetime: Option<Duration>,
}

impl Registry {
    /// A registry that lists nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One more remote.
    #[must_use]
    pub fn with_remote(mut self, remote: ListedRemote) -> Self {
        self.remotes.push(remote);
        self
    }

    /// A short name for images.
    #[must_use]
    pub fn with_alias(mut self, name: impl Into<String>, alias: ListedAlias) -> Self {
        self.aliases.insert(name.into(), alias);
        self
    }

    /// How long after its publication it may be used.
    #[must_use]
    pub fn with_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// Whether readers can make use of all of it.
    pub(super) fn check(&self, fields: Fields) -> Result<(), PublishError> {
        for (n, remote) in self.remotes.iter().enumerate() {
            remote.check(fields)?;
            if self.remotes[..n]
                .iter()
                .any(|other| other.name == remote.name)
            {
                return Err(PublishError::field(
                    "a remote",
                    "is listed twice",
                    &remote.name,
                ));
            }
        }
        for (name, alias) in &self.aliases {
            let plain = name.split('/').all(|part| !matches!(part, "" | "." | ".."));
            if !plain || !name.chars().all(is_plain) || name.contains('\\') {
                return Err(PublishError::field("an alias", "is no name", name));
            }
            if !self
                .remotes
                .iter()
                .any(|remote| remote.name == alias.remote)
            {
                return Err(PublishError::field(
                    "an alias",
                    "leads to a remote that is not listed",
                    &alias.remote,
                ));
            }
            if alias.distribution.is_empty() || alias.release.is_empty() {
                return Err(PublishError::field(
                    "an alias",
                    "leads to no distribution or release",
                    name,
                ));
            }
        }
        if fields == Fields::Original && self.lifetime.is_some() {
            return Err(PublishError::field(
                "a lifetime",
                NEEDS_PROPOSED,
                "expires_at",
            ));
        }
        Ok(())
    }
}

/// A remote a registry lists.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ListedRemote {
    /// What the user types.
    pub name: String,
    /// Where it is: `https+lxc-images://images.example`.
    pub url: String,
    /// A sentence for people, by language (`fr`, `fr_CH`); the empty language is for everybody else.
    pub descriptions: BTreeMap<String, String>,
    /// The public keys that may sign there, armored or binary, one key each.
    pub keys: Vec<Vec<u8>>,
    /// The TLS certificates of the remote, as DER, if it is not to be believed by the system's roots.
    pub certificates: Vec<Vec<u8>>,
    /// Values for its protocol.
    pub arguments: BTreeMap<String, String>,
    /// The lowest version of a reader that can speak to it; 0 for any.
    pub min_client: u64,
    /// The highest version of a reader that can speak to it; 0 for any.
    pub max_client: u64,
    /// Further URLs with the same files. Needs [`Fields::Proposed`].
    pub mirrors: Vec<String>,
    /// Full fingerprints of keys that must not be believed any more. Needs [`Fields::Proposed`].
    pub revoked_keys: Vec<String>,
}

impl ListedRemote {
    /// A remote of this name at this URL.
    #[must_use]
    pub fn new(name: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            url: url.into(),
            descriptions: BTreeMap::new(),
            keys: Vec::new(),
            certificates: Vec::new(),
            arguments: BTreeMap::new(),
            min_client: 0,
            max_client: 0,
            mirrors: Vec::new(),
            revoked_keys: Vec::new(),
        }
    }

    /// A sentence for people who read this language; the empty language is for everybody else.
    #[must_use]
    pub fn with_description(
        mut self,
        language: impl Into<String>,
        text: impl Into<String>,
    ) -> Self {
        self.descriptions.insert(language.into(), text.into());
        self
    }

    /// A public key that may sign there.
    #[must_use]
    pub fn with_key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.keys.push(key.into());
        self
    }

    /// A TLS certificate of the remote, as DER.
    #[must_use]
    pub fn with_certificate(mut self, der: impl Into<Vec<u8>>) -> Self {
        self.certificates.push(der.into());
        self
    }

    /// A value for its protocol.
    #[must_use]
    pub fn with_argument(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.arguments.insert(name.into(), value.into());
        self
    }

    /// A further URL with the same files.
    #[must_use]
    pub fn with_mirror(mut self, url: impl Into<String>) -> Self {
        self.mirrors.push(url.into());
        self
    }

    /// A key that must not be believed any more, by its full fingerprint.
    #[must_use]
    pub fn with_revoked_key(mut self, fingerprint: impl Into<String>) -> Self {
        self.revoked_keys.push(fingerprint.into());
        self
    }

    fn check(&self, fields: Fields) -> Result<(), PublishError> {
        let forbidden = |c: char| matches!(c, '/' | ':' | '\\') || !is_plain(c);
        if self.name.is_empty()
            || matches!(self.name.as_str(), "." | "..")
            || self.name.contains(forbidden)
        {
            return Err(PublishError::field(
                "a remote",
                "has no usable name",
                &self.name,
            ));
        }
        for url in [&self.url].into_iter().chain(&self.mirrors) {
            check_url(url)?;
        }
        for language in self.descriptions.keys() {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            if !language.bytes().all(plain) {
                return Err(PublishError::field(
                    "a language",
                    "is not of the form fr or fr_CH",
                    language,
                ));
            }
        }
        if self.max_client != 0 && self.min_client > self.max_client {
            return Err(PublishError::field(
                "a remote",
                "suits no version of a reader",
                &self.name,
            ));
        }
        // Readers refuse a remote of a signed protocol without keys, and would show an entry that leads nowhere.
        if self.keys.is_empty()
            && SIGNED_PROTOCOLS
                .iter()
                .any(|protocol| self.url.contains(protocol))
        {
            return Err(PublishError::field(
                "a remote",
                "has no key to sign its images",
                &self.name,
            ));
        }
        if fields == Fields::Original && !self.mirrors.is_empty() {
            return Err(PublishError::field("a mirror", NEEDS_PROPOSED, "mirrors"));
        }
        if fields == Fields::Original && !self.revoked_keys.is_empty() {
            return Err(PublishError::field(
                "a revoked key",
                NEEDS_PROPOSED,
                "revoked_keys",
            ));
        }
        Ok(())
    }
}

/// What a short name stands for. The architecture is the reader's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedAlias {
    /// The name of the remote.
    pub remote: String,
    /// The distribution.
    pub distribution: String,
    /// The release.
    pub release: String,
    /// The variant.
    pub variant: String,
}

impl ListedAlias {
    /// The default variant of a release on a remote.
    #[must_use]
    pub fn new(
        remote: impl Into<String>,
        distribution: impl Into<String>,
        release: impl Into<String>,
    ) -> Self {
        Self {
            remote: remote.into(),
            distribution: distribution.into(),
            release: release.into(),
            variant: "default".to_owned(),
        }
    }

    /// Another variant.
    #[must_use]
    pub fn with_variant(mut self, variant: impl Into<String>) -> Self {
        self.variant = variant.into();
        self
    }
}

/// Which fields an index has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fields {
    /// Those of the original specification.
    #[default]
    Original,
    /// Also `serial`, `expires_at`, `mirrors` and `revoked_keys`, which older readers ignore.
    Proposed,
}

/// What key files are called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyNames {
    /// The full fingerprint: nobody can make another key that goes by it.
    #[default]
    Fingerprint,
    /// `0x` and the last 16 digits, as in the original specification. Somebody with time can make another such key,
    /// so readers go by the signature of the registry over the file alone.
    LongId,
}

/// `<transport>+<protocol>://…` without anything that a reader would stumble over.
fn check_url(url: &str) -> Result<(), PublishError> {
    let wrong = || PublishError::field("a url", "is not of the form https+PROTOCOL://HOST", url);
    let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
    let (transport, protocol) = scheme.split_once('+').ok_or_else(wrong)?;
    let named = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._~:+-@=,/[]".contains(&byte);
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let fine = matches!(transport, "https" | "http")
        && !protocol.is_empty()
        && protocol.bytes().all(named)
        && !authority.is_empty()
        && !authority.contains('@')
        && rest.bytes().all(plain)
        && path
            .trim_end_matches('/')
            .split('/')
            .all(|part| !matches!(part, "." | ".."))
        && !path.contains("//");
    if fine { Ok(()) } else { Err(wrong()) }
}

fn is_plain(c: char) -> bool {
    !c.is_control() && !c.is_whitespace()
}

const NEEDS_PROPOSED: &str = "needs the proposed fields, which are not asked for";
const SIGNED_PROTOCOLS: &[&str] = &["+lxc-images://", "+system-image://", "+registry://"];
