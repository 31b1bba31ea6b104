//! Certificates: a primary key, its user ids and subkeys, and the signatures on them, unjudged.

use std::{
    collections::{HashMap, HashSet},
    sync::OnceLock,
};

use crate::{
    bindings::Bindings,
    error::VerifyError,
    fingerprint::Fingerprint,
    key_packet::KeyPacket,
    packet::{Packets, tag},
    reason::Reason,
    signature_packet::SignaturePacket,
};

#[derive(Debug)]
pub(crate) struct Certificate {
    pub(crate) primary: KeyPacket,
    /// Direct key signatures and revocations of the primary key.
    pub(crate) direct: Vec<SignaturePacket>,
    pub(crate) user_ids: Vec<UserId>,
    pub(crate) subkeys: Vec<Subkey>,
    /// What of all that holds, computed when first asked for.
    pub(crate) bindings: OnceLock<Bindings>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UserId {
    pub(crate) tag: u8,
    pub(crate) body: Vec<u8>,
    pub(crate) signatures: Vec<SignaturePacket>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subkey {
    pub(crate) key: KeyPacket,
    pub(crate) signatures: Vec<SignaturePacket>,
}

pub(crate) mod kind {
    pub(crate) const DOCUMENT: u8 = 0x00;
    pub(crate) const TEXT: u8 = 0x01;
    pub(crate) const SUBKEY_BINDING: u8 = 0x18;
    pub(crate) const PRIMARY_BINDING: u8 = 0x19;
    pub(crate) const DIRECT_KEY: u8 = 0x1f;
    pub(crate) const KEY_REVOCATION: u8 = 0x20;
    pub(crate) const SUBKEY_REVOCATION: u8 = 0x28;
    pub(crate) const CERTIFICATION_REVOCATION: u8 = 0x30;

    pub(crate) fn is_certification(kind: u8) -> bool {
        matches!(kind, 0x10..=0x13)
    }
}

impl Certificate {
    fn new(primary: KeyPacket) -> Self {
        Self {
            primary,
            direct: Vec::new(),
            user_ids: Vec::new(),
            subkeys: Vec::new(),
            bindings: OnceLock::new(),
        }
    }

    pub(crate) fn fingerprint(&self) -> &Fingerprint {
        &self.primary.fingerprint
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &KeyPacket> {
        std::iter::once(&self.primary).chain(self.subkeys.iter().map(|subkey| &subkey.key))
    }

    /// Takes over everything another copy of the same certificate has. What stands in one of them
    /// twice, a user id or a subkey, becomes one as well: a revocation of the second is one of both.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.bindings = OnceLock::new();
        add(&mut self.direct, &other.direct);
        let mut known: HashMap<_, _> = self
            .user_ids
            .iter()
            .enumerate()
            .map(|(at, ours)| ((ours.tag, ours.body.clone()), at))
            .collect();
        for theirs in &other.user_ids {
            let at = *known
                .entry((theirs.tag, theirs.body.clone()))
                .or_insert(self.user_ids.len());
            if at == self.user_ids.len() {
                self.user_ids.push(UserId {
                    signatures: Vec::new(),
                    ..theirs.clone()
                });
            }
            add(&mut self.user_ids[at].signatures, &theirs.signatures);
        }
        let mut known: HashMap<_, _> = self
            .subkeys
            .iter()
            .enumerate()
            .map(|(at, ours)| (ours.key.body.clone(), at))
            .collect();
        for theirs in &other.subkeys {
            let at = *known
                .entry(theirs.key.body.clone())
                .or_insert(self.subkeys.len());
            if at == self.subkeys.len() {
                self.subkeys.push(Subkey {
                    signatures: Vec::new(),
                    ..theirs.clone()
                });
            }
            add(&mut self.subkeys[at].signatures, &theirs.signatures);
        }
    }

    /// V22: after copies were merged.
    pub(crate) fn check_size(&self) -> Result<(), VerifyError> {
        check_size(self.size())
    }

    /// About how many bytes its packets have.
    fn size(&self) -> usize {
        let signatures = |all: &[SignaturePacket]| all.iter().map(SignaturePacket::size).sum();
        let direct: usize = signatures(&self.direct);
        let user_ids = self.user_ids.iter();
        let user_ids = user_ids.map(|it| HEADER + it.body.len() + signatures(&it.signatures));
        let subkeys = self.subkeys.iter();
        let subkeys = subkeys.map(|it| HEADER + it.key.body.len() + signatures(&it.signatures));
        HEADER + self.primary.body.len() + direct + user_ids.sum::<usize>() + subkeys.sum::<usize>()
    }

    /// V23: takes over nothing but revocations; a copy from elsewhere may only take away.
    pub(crate) fn add_revocations(&mut self, other: &Self) {
        self.bindings = OnceLock::new();
        add(&mut self.direct, &only(&other.direct, kind::KEY_REVOCATION));
        for ours in &mut self.user_ids {
            let theirs = other.user_ids.iter();
            for theirs in theirs.filter(|theirs| ours.tag == theirs.tag && ours.body == theirs.body)
            {
                let revocations = only(&theirs.signatures, kind::CERTIFICATION_REVOCATION);
                add(&mut ours.signatures, &revocations);
            }
        }
        for ours in &mut self.subkeys {
            let theirs = other.subkeys.iter();
            for theirs in theirs.filter(|theirs| ours.key.body == theirs.key.body) {
                add(
                    &mut ours.signatures,
                    &only(&theirs.signatures, kind::SUBKEY_REVOCATION),
                );
            }
        }
    }
}

impl Clone for Certificate {
    fn clone(&self) -> Self {
        Self {
            primary: self.primary.clone(),
            direct: self.direct.clone(),
            user_ids: self.user_ids.clone(),
            subkeys: self.subkeys.clone(),
            bindings: OnceLock::new(),
        }
    }
}

/// By what was received; what follows from it may or may not have been computed.
impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.primary == other.primary
            && self.direct == other.direct
            && self.user_ids == other.user_ids
            && self.subkeys == other.subkeys
    }
}

impl Eq for Certificate {}

/// Reads public keys, one after the other; several copies of one certificate become one.
pub(crate) fn parse(bytes: &[u8]) -> Result<Vec<Certificate>, VerifyError> {
    let mut reader = Reader::default();
    for packet in Packets::new(bytes, MAX_CERTIFICATE) {
        let packet = packet.map_err(malformed)?;
        reader.size += HEADER + packet.body.len();
        match packet.tag {
            tag::PUBLIC_KEY => {
                reader.finish()?;
                reader.size = HEADER + packet.body.len();
                reader.at = match KeyPacket::parse(packet.body) {
                    Some(key) => {
                        reader.current = Some(Certificate::new(key));
                        At::Primary
                    }
                    None => At::Skipped,
                };
            }
            tag::SECRET_KEY | tag::SECRET_SUBKEY => return Err(malformed(Reason::SecretKey)),
            tag::PUBLIC_SUBKEY if reader.at != At::Start => reader.subkey(packet.body),
            tag::USER_ID | tag::USER_ATTRIBUTE if reader.at != At::Start => {
                reader.user_id(packet.tag, packet.body);
            }
            tag::SIGNATURE if reader.at != At::Start => reader.signature(packet.body),
            tag::TRUST | tag::MARKER | tag::PADDING | tag::FIRST_NON_CRITICAL.. => {}
            tag => return Err(malformed(Reason::StrayPacket { at: packet.at, tag })),
        }
        check_size(reader.size)?;
        if reader.revocations.len() > MAX_REVOCATIONS {
            return Err(VerifyError::TooMany {
                what: "revocations of keys in one keyring",
                limit: MAX_REVOCATIONS,
                found: reader.revocations.len(),
            });
        }
    }
    reader.finish()?;
    Ok(reader.hand_out_revocations())
}

#[derive(Default)]
struct Reader {
    found: Vec<Certificate>,
    current: Option<Certificate>,
    at: At,
    size: usize,
    /// Revocations of primary keys, which GnuPG writes as files of their own and people append.
    revocations: Vec<SignaturePacket>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    Primary,
    Skipped,
    #[default]
    Start,
    Subkey,
    UserId,
}

impl Reader {
    fn subkey(&mut self, body: &[u8]) {
        let Some(current) = &mut self.current else {
            return;
        };
        self.at = match KeyPacket::parse(body) {
            Some(key) => {
                current.subkeys.push(Subkey {
                    key,
                    signatures: Vec::new(),
                });
                At::Subkey
            }
            None => At::Skipped,
        };
    }

    fn user_id(&mut self, tag: u8, body: &[u8]) {
        let Some(current) = &mut self.current else {
            return;
        };
        let body = body.to_vec();
        current.user_ids.push(UserId {
            tag,
            body,
            signatures: Vec::new(),
        });
        self.at = At::UserId;
    }

    /// V6: a signature that cannot be read drops out alone.
    fn signature(&mut self, body: &[u8]) {
        let Ok(signature) = SignaturePacket::parse(body) else {
            return;
        };
        if signature.kind == kind::KEY_REVOCATION {
            self.revocations.push(signature.clone());
        }
        let Some(current) = &mut self.current else {
            return;
        };
        match (signature.kind, self.at) {
            (kind::KEY_REVOCATION | kind::DIRECT_KEY, _) => current.direct.push(signature),
            (kind::CERTIFICATION_REVOCATION, At::Primary) => current.direct.push(signature),
            (_, At::UserId) => {
                if let Some(user_id) = current.user_ids.last_mut() {
                    user_id.signatures.push(signature);
                }
            }
            (_, At::Subkey) => {
                if let Some(subkey) = current.subkeys.last_mut() {
                    subkey.signatures.push(signature);
                }
            }
            (_, At::Primary | At::Skipped | At::Start) => {}
        }
    }

    fn finish(&mut self) -> Result<(), VerifyError> {
        let Some(current) = self.current.take() else {
            return Ok(());
        };
        let same = self
            .found
            .iter_mut()
            .find(|known| known.primary.body == current.primary.body);
        match same {
            Some(known) => {
                known.merge(&current);
                known.check_size()?;
            }
            None => {
                let mut known = Certificate::new(current.primary.clone());
                known.merge(&current);
                self.found.push(known);
            }
        }
        let found = self.found.len();
        if found > MAX_CERTIFICATES {
            let what = "certificates in one keyring";
            return Err(VerifyError::TooMany {
                what,
                limit: MAX_CERTIFICATES,
                found,
            });
        }
        Ok(())
    }

    fn hand_out_revocations(mut self) -> Vec<Certificate> {
        for certificate in &mut self.found {
            let fingerprint = certificate.primary.fingerprint;
            let named = self.revocations.iter().filter(|revocation| {
                revocation
                    .issuer()
                    .is_ok_and(|issuer| issuer.names(&fingerprint))
            });
            for revocation in named {
                add(&mut certificate.direct, std::slice::from_ref(revocation));
            }
        }
        self.found
    }
}

fn add(ours: &mut Vec<SignaturePacket>, theirs: &[SignaturePacket]) {
    let mut known: HashSet<_> = ours.iter().collect();
    let further: Vec<_> = theirs
        .iter()
        .filter(|signature| known.insert(signature))
        .collect();
    let further: Vec<_> = further.into_iter().cloned().collect();
    ours.extend(further);
}

fn check_size(found: usize) -> Result<(), VerifyError> {
    if found > MAX_CERTIFICATE {
        let (what, limit) = ("bytes in one certificate", MAX_CERTIFICATE);
        return Err(VerifyError::TooMany { what, limit, found });
    }
    Ok(())
}

fn only(signatures: &[SignaturePacket], kind: u8) -> Vec<SignaturePacket> {
    signatures
        .iter()
        .filter(|signature| signature.kind == kind)
        .cloned()
        .collect()
}

fn malformed(reason: Reason) -> VerifyError {
    VerifyError::Malformed {
        what: "keyring",
        reason,
    }
}

// What a packet has at least beside its body.
const HEADER: usize = 2;
const MAX_REVOCATIONS: usize = 1_024;
pub(crate) const MAX_CERTIFICATES: usize = 64;
pub(crate) const MAX_CERTIFICATE: usize = 256 * 1024;
