use std::{fmt, time::SystemTime};

use crate::{
    clock::Utc, digest::Sha256, fingerprint::Fingerprint, unverified::Unverified,
    verified::Verified, warning::Warning,
};

/// Why a [`Verified`] value may be believed. `Display` is one line for people.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Proof {
    /// The channel it came through is trusted as a whole.
    Channel(Channel),
    /// Its SHA-256 digest was known before.
    Digest(Sha256),
    /// A key of the keyring signed it.
    Signature(SignatureProof),
    /// Somebody said so, see [`danger::vouch`](crate::danger::vouch).
    Vouched {
        /// What they gave as the reason.
        reason: String,
    },
}

/// A good signature: who, when, by which digest, and what to worry about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureProof {
    pub(crate) signer: Fingerprint,
    pub(crate) signed_by: Fingerprint,
    pub(crate) signed_at: SystemTime,
    pub(crate) hash: &'static str,
    pub(crate) warnings: Vec<Warning>,
}

impl SignatureProof {
    /// The fingerprint of the primary key, which names the certificate.
    #[must_use]
    pub fn signer(&self) -> &Fingerprint {
        &self.signer
    }

    /// The fingerprint of the key that signed: the primary key or one of its subkeys.
    #[must_use]
    pub fn signed_by(&self) -> &Fingerprint {
        &self.signed_by
    }

    /// When the signature was made, by the signer's word, which the signature covers.
    #[must_use]
    pub fn signed_at(&self) -> SystemTime {
        self.signed_at
    }

    /// The digest algorithm, such as `SHA512`.
    #[must_use]
    pub fn hash(&self) -> &str {
        self.hash
    }

    /// What was accepted and should not stay as it is.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}

/// A channel that is trusted as a whole: a pinned TLS certificate, the system's roots, a local
/// socket. Made by the transport that holds the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    what: String,
}

impl Channel {
    /// Names the channel, such as `tls certificate sha256:…` or `unix socket /…`.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into() }
    }

    /// The name of the channel.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }
}

/// Accepts data on the word of the channel it came through.
///
/// For remotes that are trusted by their channel alone, such as an LXD host whose certificate is
/// pinned. It says nothing about who made the data.
#[must_use]
pub fn trust_channel<T>(data: Unverified<T>, channel: &Channel) -> Verified<T> {
    Verified::proven(data.open(), vec![Proof::Channel(channel.clone())])
}

impl fmt::Display for Proof {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Channel(channel) => write!(formatter, "received through {}", channel.what),
            Self::Digest(digest) => write!(formatter, "sha256 {digest}"),
            Self::Signature(proof) => proof.fmt(formatter),
            Self::Vouched { reason } => write!(formatter, "vouched for: {reason}"),
        }
    }
}

impl fmt::Display for SignatureProof {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "signed by {}", self.signer)?;
        if self.signed_by != self.signer {
            write!(formatter, " (subkey {})", self.signed_by)?;
        }
        write!(formatter, " at {} with {}", Utc(self.signed_at), self.hash)
    }
}
