//! Which signatures on a certificate hold, by arithmetic alone: no clock is looked at here, so it
//! is computed once.

use std::cell::Cell;

use crate::{
    backend,
    certificate::{Certificate, Subkey, UserId, kind},
    hash::HashAlgorithm,
    key_packet::KeyPacket,
    packet::tag,
    reason::Reason,
    signature_packet::SignaturePacket,
    subpacket::id,
};

#[derive(Debug, Default)]
pub(crate) struct Bindings {
    /// Direct key signatures, by a strong digest.
    pub(crate) direct: Vec<Binding>,
    /// Self-signatures on user ids that are not revoked, by a strong digest.
    pub(crate) certified: Vec<Binding>,
    /// V30: the same by SHA-1, from 2019 or before. They may restrict.
    pub(crate) legacy: Vec<Binding>,
    pub(crate) revocations: Vec<Revocation>,
    /// User ids with a strong self-signature and no revocation.
    pub(crate) user_ids: Vec<String>,
    /// In the order of the certificate.
    pub(crate) subkeys: Vec<SubkeyBindings>,
    /// Why nothing in this certificate can be used, whatever the time.
    pub(crate) refused: Option<Reason>,
}

#[derive(Debug, Default)]
pub(crate) struct SubkeyBindings {
    pub(crate) bindings: Vec<Binding>,
    pub(crate) revocations: Vec<Revocation>,
}

/// What a self-signature says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Binding {
    pub(crate) created: u64,
    pub(crate) expires: Option<u64>,
    pub(crate) key_expires: Option<u64>,
    pub(crate) flags: Option<u8>,
    /// Back-signatures inside it: when made and when they expire.
    pub(crate) confirmed: Vec<Confirmation>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Confirmation {
    pub(crate) created: u64,
    pub(crate) expires: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Revocation {
    pub(crate) created: u64,
    /// A soft revocation says the key was good until then.
    pub(crate) soft: bool,
    pub(crate) why: &'static str,
}

impl Bindings {
    pub(crate) fn of(certificate: &Certificate) -> Self {
        let judge = Judge {
            primary: &certificate.primary,
            left: Cell::new(MAX_CHECKS),
        };
        let mut bindings = Self::default();
        judge.direct(&certificate.direct, &mut bindings);
        for user_id in &certificate.user_ids {
            judge.user_id(user_id, &mut bindings);
        }
        for subkey in &certificate.subkeys {
            bindings.subkeys.push(judge.subkey(subkey));
        }
        if judge.left.get() == 0 {
            // Giving up in the middle could miss a revocation: nothing of it is believed.
            bindings.refused = Some(Reason::CertificateTooBusy { limit: MAX_CHECKS });
        }
        bindings
    }
}

struct Judge<'a> {
    primary: &'a KeyPacket,
    left: Cell<usize>,
}

impl Judge<'_> {
    fn direct(&self, signatures: &[SignaturePacket], bindings: &mut Bindings) {
        let primary = hashed(self.primary);
        let subject = [primary.as_slice()];
        for signature in signatures {
            match signature.kind {
                kind::KEY_REVOCATION => {
                    let held = self.holds(signature, self.primary, &subject);
                    bindings
                        .revocations
                        .extend(held.map(|_| revocation(signature)));
                }
                _ => self.self_signature(signature, &subject, bindings, Class::Direct),
            }
        }
    }

    fn user_id(&self, user_id: &UserId, bindings: &mut Bindings) {
        let primary = hashed(self.primary);
        let mark = if user_id.tag == tag::USER_ID {
            0xb4
        } else {
            0xd1
        };
        let length = (user_id.body.len() as u32).to_be_bytes();
        let head = [&[mark][..], &length].concat();
        let subject = [primary.as_slice(), &head, &user_id.body];
        let revoked = user_id.signatures.iter().any(|signature| {
            signature.kind == kind::CERTIFICATION_REVOCATION
                && self.holds(signature, self.primary, &subject).is_some()
        });
        if revoked {
            return;
        }
        let before = bindings.certified.len();
        for signature in &user_id.signatures {
            if kind::is_certification(signature.kind) {
                self.self_signature(signature, &subject, bindings, Class::Certified);
            }
        }
        if bindings.certified.len() > before && user_id.tag == tag::USER_ID {
            bindings.user_ids.push(shown(&user_id.body));
        }
    }

    fn self_signature(
        &self,
        signature: &SignaturePacket,
        subject: &[&[u8]],
        bindings: &mut Bindings,
        class: Class,
    ) {
        let Some(binding) = binding(signature) else {
            return;
        };
        match self.holds(signature, self.primary, subject) {
            Some(hash) if is_strong(hash, self.primary) => match class {
                Class::Certified => bindings.certified.push(binding),
                Class::Direct => bindings.direct.push(binding),
            },
            Some(HashAlgorithm::Sha1) if binding.created < LEGACY_END => {
                bindings.legacy.push(binding);
            }
            _ => {}
        }
    }

    fn subkey(&self, subkey: &Subkey) -> SubkeyBindings {
        let mut found = SubkeyBindings::default();
        let (primary, key) = (hashed(self.primary), hashed(&subkey.key));
        let subject = [primary.as_slice(), &key];
        for signature in &subkey.signatures {
            match signature.kind {
                kind::SUBKEY_REVOCATION => {
                    let held = self.holds(signature, self.primary, &subject);
                    found
                        .revocations
                        .extend(held.map(|_| revocation(signature)));
                }
                kind::SUBKEY_BINDING if subkey.key.version == self.primary.version => {
                    let Some(mut binding) = binding(signature) else {
                        continue;
                    };
                    let hash = self.holds(signature, self.primary, &subject);
                    if !hash.is_some_and(|hash| is_strong(hash, self.primary)) {
                        continue;
                    }
                    let signs = binding.flags.is_some_and(|flags| flags & FLAG_SIGN != 0);
                    if signs {
                        binding.confirmed = self.confirmations(signature, subkey, &subject);
                    }
                    found.bindings.push(binding);
                }
                _ => {}
            }
        }
        found
    }

    /// V27: the subkey's word that it belongs to this primary key, without which anyone could
    /// claim the signatures of a stranger.
    fn confirmations(
        &self,
        binding: &SignaturePacket,
        subkey: &Subkey,
        subject: &[&[u8]],
    ) -> Vec<Confirmation> {
        let mut found = Vec::new();
        for inner in binding
            .embedded()
            .filter(|inner| inner.kind == kind::PRIMARY_BINDING)
        {
            let Some(said) = self::binding(&inner) else {
                continue;
            };
            let hash = self.holds(&inner, &subkey.key, subject);
            if hash.is_some_and(|hash| is_strong(hash, &subkey.key)) {
                found.push(Confirmation {
                    created: said.created,
                    expires: said.expires,
                });
            }
        }
        found
    }

    /// The digest of a signature that was made by `key` over the subject.
    fn holds(
        &self,
        signature: &SignaturePacket,
        key: &KeyPacket,
        subject: &[&[u8]],
    ) -> Option<HashAlgorithm> {
        let hash = signature.hash().ok()?;
        // Certifications by strangers are ignored here, before any arithmetic. Back-signatures by
        // old software name nobody; the key they must be made by is known anyway.
        let named = match signature.issuer() {
            Ok(issuer) => issuer.names(&key.fingerprint),
            Err(Reason::NoIssuer) => true,
            Err(_) => false,
        };
        let fits = named
            && signature.version == key.version
            && signature.key_algorithm == key.algorithm
            && key.check_strength().is_ok()
            && (signature.version == 4 || hash.salt_length() == Some(signature.salt.len()));
        if !fits {
            return None;
        }
        let mut parts = vec![signature.salt.as_slice()];
        parts.extend(subject);
        parts.push(&signature.covered);
        let digest = backend::digest(hash, &parts)?;
        if !digest.starts_with(&signature.prefix) {
            return None;
        }
        let left = self.left.get();
        if left == 0 {
            return None;
        }
        self.left.set(left - 1);
        backend::verify(key, signature, hash, &digest).then_some(hash)
    }
}

enum Class {
    Certified,
    Direct,
}

/// What a self-signature says, unless V10 or V14 make it worthless.
fn binding(signature: &SignaturePacket) -> Option<Binding> {
    let unknown = |subpacket: &crate::subpacket::Subpacket| {
        subpacket.id == id::NOTATION || !id::is_known(subpacket.id)
    };
    if signature.critical().any(unknown) {
        return None;
    }
    let created = signature.created().ok()?;
    Some(Binding {
        created,
        expires: signature.expires_after().map(|after| created + after),
        key_expires: signature.key_expires_after(),
        flags: signature.key_flags(),
        confirmed: Vec::new(),
    })
}

/// V17, V18: for what a signature grants. What it takes away holds by any digest.
fn is_strong(hash: HashAlgorithm, key: &KeyPacket) -> bool {
    hash.is_strong() && key.check_digest(hash).is_ok()
}

fn revocation(signature: &SignaturePacket) -> Revocation {
    let mut reasons: Vec<u8> = signature.revocation_reasons().collect();
    reasons.sort_unstable();
    let soft = !reasons.is_empty() && reasons.iter().all(|reason| matches!(reason, 1 | 3));
    let why = match reasons.as_slice() {
        [] => "no reason given",
        [0, ..] => "no reason specified",
        [.., 2] => "the key was compromised",
        [1, ..] if soft => "the key was superseded",
        [3, ..] if soft => "the key was retired",
        _ => "a reason that is not known",
    };
    // A revocation without a usable time counts from the beginning.
    Revocation {
        created: signature.created().unwrap_or(0),
        soft,
        why,
    }
}

fn hashed(key: &KeyPacket) -> Vec<u8> {
    [
        KeyPacket::prefix(key.version, &key.body).as_slice(),
        &key.body,
    ]
    .concat()
}

/// A user id as text on one line: whoever wrote it must not steer the terminal.
fn shown(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let plain = |character: char| {
        if character.is_control() {
            '\u{fffd}'
        } else {
            character
        }
    };
    text.chars().map(plain).take(MAX_USER_ID).collect()
}

pub(crate) const FLAG_SIGN: u8 = 0x02;
// The first second of 2020: SHA-1 chosen-prefix collisions were shown in January 2020.
const LEGACY_END: u64 = 1_577_836_800;
const MAX_CHECKS: usize = 128;
const MAX_USER_ID: usize = 200;
