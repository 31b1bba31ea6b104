use std::sync::Arc;

use crate::{
    armor::{self, Around},
    certificate::{self, Certificate, MAX_CERTIFICATES},
    error::VerifyError,
    fingerprint::Fingerprint,
    reason::Reason,
};

/// The keys whose signatures are believed. Never empty, cheap to clone.
///
/// Keys are meant and found by full fingerprint. A keyring belongs to one remote and one role:
/// a key in it is unknown to every other.
///
/// Two are equal if they hold the same packets in the same order and are restricted in the same
/// way: a copy of a key with a revocation more is another keyring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyring {
    pub(crate) anchors: Arc<[Anchor]>,
}

/// A certificate and how far it is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Anchor {
    pub(crate) certificate: Arc<Certificate>,
    /// V30: its primary fingerprint was named by whoever made the keyring.
    pub(crate) pinned: bool,
    /// Only these subkeys may sign; every key, if there is none.
    pub(crate) only: Vec<Fingerprint>,
    /// V29: these of its keys may not sign.
    pub(crate) blacklisted: Vec<Fingerprint>,
}

impl Keyring {
    /// Reads public keys: armored or binary, one or many, GnuPG public rings with trust packets
    /// included. Copies of one certificate become one.
    ///
    /// # Errors
    ///
    /// [`VerifyError::EmptyKeyring`] without a key that can be read, [`VerifyError::Malformed`]
    /// for anything but public keys, [`VerifyError::TooMany`] above 64 certificates, 256 KiB for
    /// one, or 16 MiB in all.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, VerifyError> {
        if bytes.len() > MAX_BYTES {
            let (what, found) = ("bytes in one keyring", bytes.len());
            return Err(VerifyError::TooMany {
                what,
                limit: MAX_BYTES,
                found,
            });
        }
        let malformed = |reason| VerifyError::Malformed {
            what: "keyring",
            reason,
        };
        // The first blob of a keybox is 32 bytes long and carries its magic after the header.
        if bytes.get(8..12) == Some(b"KBXf") {
            return Err(malformed(Reason::Keybox));
        }
        let armored = bytes.first().is_some_and(|first| first & 0x80 == 0);
        let certificates = if armored && armor::is_armored(bytes) {
            let around = Around {
                several_blocks: true,
                text: true,
            };
            let decoded = armor::decode(bytes, "PUBLIC KEY BLOCK", around);
            certificate::parse(&decoded.map_err(|reason| match reason {
                Reason::OtherArmor {
                    found: "PRIVATE KEY BLOCK",
                    ..
                } => malformed(Reason::SecretKey),
                reason => malformed(reason),
            })?)?
        } else {
            certificate::parse(bytes)?
        };
        Self::of(certificates.into_iter().map(Anchor::new).collect())
    }

    /// Narrows the keyring to one certificate, or to one subkey of it.
    ///
    /// # Errors
    ///
    /// [`VerifyError::MissingKey`] when no certificate has that fingerprint, or it is narrowed to
    /// other subkeys.
    pub fn only(&self, fingerprint: &Fingerprint) -> Result<Self, VerifyError> {
        let holds = |anchor: &&Anchor| {
            let mut keys = anchor.certificate.keys();
            keys.any(|key| key.fingerprint == *fingerprint)
                && (anchor.certificate.fingerprint() == fingerprint || anchor.admits(fingerprint))
        };
        let mut kept: Vec<_> = self.anchors.iter().filter(holds).cloned().collect();
        for anchor in &mut kept {
            if anchor.certificate.fingerprint() != fingerprint {
                anchor.only = vec![*fingerprint];
            }
        }
        if kept.is_empty() {
            return Err(VerifyError::MissingKey {
                issuer: fingerprint.to_string(),
            });
        }
        Self::of(kept)
    }

    /// Pins a certificate by the full fingerprint of its primary key (V30).
    ///
    /// The fingerprint then stands for the key itself, so a self-signature by SHA-1, or none,
    /// does no harm: it may restrict the key and never grants it anything. Signatures over data
    /// stay SHA-2 or SHA-3.
    ///
    /// # Errors
    ///
    /// [`VerifyError::MissingKey`] when it is not the primary key of any certificate here.
    pub fn pinned(self, fingerprint: &Fingerprint) -> Result<Self, VerifyError> {
        let mut anchors = self.anchors.to_vec();
        let pin = |anchor: &&mut Anchor| anchor.certificate.fingerprint() == fingerprint;
        match anchors.iter_mut().find(pin) {
            Some(anchor) => anchor.pinned = true,
            None => {
                return Err(VerifyError::MissingKey {
                    issuer: fingerprint.to_string(),
                });
            }
        }
        Self::of(anchors)
    }

    /// The certificates of both keyrings. Where both hold one, the copy in `self` rules, and the
    /// other can only add revocations to it (V23). A key that is blacklisted in one copy stays so;
    /// a fingerprint that is pinned in either is pinned, for whoever made that keyring named it;
    /// and a subkey that either is narrowed to may sign, or any if one of them is not narrowed.
    ///
    /// # Errors
    ///
    /// [`VerifyError::TooMany`] above 64 certificates.
    pub fn union(&self, other: &Self) -> Result<Self, VerifyError> {
        let mut anchors = self.anchors.to_vec();
        for theirs in other.anchors.iter() {
            let fingerprint = theirs.certificate.fingerprint();
            let mut ours = anchors.iter_mut();
            match ours.find(|ours| ours.certificate.fingerprint() == fingerprint) {
                Some(ours) => ours.absorb(theirs),
                None => anchors.push(theirs.clone()),
            }
        }
        Self::of(anchors)
    }

    /// The certificates of both keyrings, which are trusted alike: copies of one certificate are
    /// merged, as in one file.
    ///
    /// # Errors
    ///
    /// [`VerifyError::TooMany`] above 64 certificates, or 256 KiB for one.
    pub fn merge(&self, other: &Self) -> Result<Self, VerifyError> {
        let mut anchors = self.union(other)?.anchors.to_vec();
        for anchor in &mut anchors {
            let fingerprint = anchor.certificate.fingerprint();
            let mut theirs = other.anchors.iter();
            let Some(theirs) = theirs.find(|it| it.certificate.fingerprint() == fingerprint) else {
                continue;
            };
            let mut certificate = (*anchor.certificate).clone();
            certificate.merge(&theirs.certificate);
            certificate.check_size()?;
            anchor.certificate = Arc::new(certificate);
        }
        Self::of(anchors)
    }

    /// The keyring without these keys, primary or subkeys: a blacklist. A certificate whose
    /// primary key is listed stays known, so that its signatures are refused by name.
    ///
    /// # Errors
    ///
    /// [`VerifyError::EmptyKeyring`] when no certificate is left.
    pub fn without(&self, blacklist: &[Fingerprint]) -> Result<Self, VerifyError> {
        let mut anchors = self.anchors.to_vec();
        for anchor in &mut anchors {
            let keys = anchor.certificate.keys().map(|key| key.fingerprint);
            let listed: Vec<_> = keys.filter(|key| blacklist.contains(key)).collect();
            extend(&mut anchor.blacklisted, &listed);
        }
        if anchors.iter().all(Anchor::is_blacklisted) {
            return Err(VerifyError::EmptyKeyring);
        }
        Self::of(anchors)
    }

    /// The fingerprints of the primary keys, blacklisted ones left out.
    #[must_use]
    pub fn fingerprints(&self) -> Vec<Fingerprint> {
        let kept = self
            .anchors
            .iter()
            .filter(|anchor| !anchor.is_blacklisted());
        kept.map(|anchor| *anchor.certificate.fingerprint())
            .collect()
    }

    fn of(anchors: Vec<Anchor>) -> Result<Self, VerifyError> {
        if anchors.is_empty() {
            return Err(VerifyError::EmptyKeyring);
        }
        let found = anchors.len();
        if found > MAX_CERTIFICATES {
            let what = "certificates in one keyring";
            return Err(VerifyError::TooMany {
                what,
                limit: MAX_CERTIFICATES,
                found,
            });
        }
        Ok(Self {
            anchors: anchors.into(),
        })
    }
}

impl Anchor {
    fn new(certificate: Certificate) -> Self {
        Self {
            certificate: Arc::new(certificate),
            pinned: false,
            only: Vec::new(),
            blacklisted: Vec::new(),
        }
    }

    pub(crate) fn is_blacklisted(&self) -> bool {
        self.blacklisted.contains(self.certificate.fingerprint())
    }

    /// Whether it is narrowed to this key, or to none.
    pub(crate) fn admits(&self, key: &Fingerprint) -> bool {
        self.only.is_empty() || self.only.contains(key)
    }

    fn absorb(&mut self, other: &Self) {
        let mut certificate = (*self.certificate).clone();
        certificate.add_revocations(&other.certificate);
        self.certificate = Arc::new(certificate);
        self.pinned |= other.pinned;
        if other.only.is_empty() {
            self.only.clear();
        } else if !self.only.is_empty() {
            extend(&mut self.only, &other.only);
        }
        extend(&mut self.blacklisted, &other.blacklisted);
    }
}

fn extend(ours: &mut Vec<Fingerprint>, theirs: &[Fingerprint]) {
    for fingerprint in theirs {
        if !ours.contains(fingerprint) {
            ours.push(*fingerprint);
        }
    }
}

const MAX_BYTES: usize = 16 * 1024 * 1024;
