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
    /// What speaks for the primary key: by a strong digest, understood, on nothing that is revoked.
    pub(crate) granting: SelfSignatures,
    /// V30: what else the primary key has said. It may be old, or forged as far as its digest can
    /// be, and only restricts.
    pub(crate) restricting: SelfSignatures,
    pub(crate) revocations: Vec<Revocation>,
    /// User ids with a strong self-signature and no revocation.
    pub(crate) user_ids: Vec<String>,
    /// In the order of the certificate.
    pub(crate) subkeys: Vec<SubkeyBindings>,
    /// Why nothing in this certificate can be used, whatever the time.
    pub(crate) refused: Option<Reason>,
}

/// Self-signatures of the primary key.
#[derive(Debug, Default)]
pub(crate) struct SelfSignatures {
    /// On the key alone.
    pub(crate) direct: Vec<Binding>,
    /// On user ids.
    pub(crate) certified: Vec<Binding>,
}

#[derive(Debug, Default)]
pub(crate) struct SubkeyBindings {
    pub(crate) bindings: Vec<Binding>,
    pub(crate) revocations: Vec<Revocation>,
    /// V26: the primary key has said of it, by whatever digest and whenever, that it signs.
    pub(crate) meant_to_sign: bool,
}

/// What a self-signature says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Binding {
    pub(crate) created: u64,
    pub(crate) expires: Option<u64>,
    pub(crate) key_expires: Option<u64>,
    pub(crate) flags: Option<u8>,
    pub(crate) strong: bool,
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
            exhausted: Cell::new(false),
        };
        let mut bindings = Self::default();
        judge.direct(&certificate.direct, &mut bindings);
        for user_id in &certificate.user_ids {
            judge.user_id(user_id, &mut bindings);
        }
        for subkey in &certificate.subkeys {
            bindings.subkeys.push(judge.subkey(subkey));
        }
        if judge.exhausted.get() {
            // Giving up in the middle could miss a revocation: nothing of it is believed.
            bindings.refused = Some(Reason::CertificateTooBusy { limit: MAX_CHECKS });
        }
        bindings
    }
}

impl Bindings {
    fn said(&mut self, grants: bool) -> &mut SelfSignatures {
        if grants {
            &mut self.granting
        } else {
            &mut self.restricting
        }
    }
}

impl SelfSignatures {
    /// All of both kinds.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Binding> {
        self.direct.iter().chain(&self.certified)
    }
}

struct Judge<'a> {
    primary: &'a KeyPacket,
    left: Cell<usize>,
    exhausted: Cell<bool>,
}

impl Judge<'_> {
    fn direct(&self, signatures: &[SignaturePacket], bindings: &mut Bindings) {
        let primary = hashed(self.primary);
        let subject = [primary.as_slice()];
        let of_kind = |kind| signatures.iter().filter(move |it| it.kind == kind);
        for signature in of_kind(kind::KEY_REVOCATION) {
            if self.is_revoked_by(signature, &subject) {
                bindings.revocations.push(revocation(signature));
            }
        }
        // A revocation of direct key signatures has the form of one of a user id.
        let revoked = of_kind(kind::CERTIFICATION_REVOCATION)
            .any(|signature| self.is_revoked_by(signature, &subject));
        for signature in of_kind(kind::DIRECT_KEY) {
            if let Some((binding, grants)) = self.self_signature(signature, &subject) {
                let said = bindings.said(grants && !revoked);
                said.direct.push(binding);
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
                && self.is_revoked_by(signature, &subject)
        });
        let mut believed = false;
        for signature in &user_id.signatures {
            if !kind::is_certification(signature.kind) {
                continue;
            }
            if let Some((binding, grants)) = self.self_signature(signature, &subject) {
                let grants = grants && !revoked;
                believed |= grants;
                bindings.said(grants).certified.push(binding);
            }
        }
        if believed && user_id.tag == tag::USER_ID {
            bindings.user_ids.push(shown(&user_id.body));
        }
    }

    /// What a self-signature says, and whether it may grant that.
    fn self_signature(
        &self,
        signature: &SignaturePacket,
        subject: &[&[u8]],
    ) -> Option<(Binding, bool)> {
        let mut binding = said(signature)?;
        let hash = self.holds(signature, self.primary, subject)?;
        binding.strong = is_strong(hash, self.primary);
        let grants = binding.strong && is_understood(signature);
        Some((binding, grants))
    }

    fn subkey(&self, subkey: &Subkey) -> SubkeyBindings {
        let mut found = SubkeyBindings::default();
        let (primary, key) = (hashed(self.primary), hashed(&subkey.key));
        let subject = [primary.as_slice(), &key];
        for signature in &subkey.signatures {
            match signature.kind {
                kind::SUBKEY_REVOCATION if self.is_revoked_by(signature, &subject) => {
                    found.revocations.push(revocation(signature));
                }
                kind::SUBKEY_BINDING => {
                    let Some((mut binding, grants)) = self.self_signature(signature, &subject)
                    else {
                        continue;
                    };
                    let signs = binding.flags.is_some_and(|flags| flags & FLAG_SIGN != 0);
                    found.meant_to_sign |= signs;
                    if !grants || subkey.key.version != self.primary.version {
                        continue;
                    }
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
            let Some(said) = said(&inner).filter(|_| is_understood(&inner)) else {
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

    /// Whether the primary key takes something back. What names somebody else beside it, in a part
    /// that nothing covers, is looked at all the same: it must not hide.
    fn is_revoked_by(&self, signature: &SignaturePacket, subject: &[&[u8]]) -> bool {
        let named = signature
            .issuer()
            .map_or(true, |issuer| issuer.names(&self.primary.fingerprint));
        named && self.is_by(signature, self.primary, subject).is_some()
    }

    /// The digest of a signature that was made by `key` over the subject and names it.
    fn holds(
        &self,
        signature: &SignaturePacket,
        key: &KeyPacket,
        subject: &[&[u8]],
    ) -> Option<HashAlgorithm> {
        // Certifications by strangers are ignored here, before any arithmetic. Back-signatures by
        // old software name nobody; the key they must be made by is known anyway.
        let named = match signature.issuer() {
            Ok(issuer) => issuer.names(&key.fingerprint),
            Err(Reason::NoIssuer) => true,
            Err(_) => false,
        };
        named.then(|| self.is_by(signature, key, subject))?
    }

    fn is_by(
        &self,
        signature: &SignaturePacket,
        key: &KeyPacket,
        subject: &[&[u8]],
    ) -> Option<HashAlgorithm> {
        let hash = signature.hash().ok()?;
        let fits = signature.version == key.version
            && key.is_of_algorithm(signature.key_algorithm)
            && key.check_strength().is_ok()
            && (signature.version == 4 || hash.salt_length() == Some(signature.salt.len()));
        if !fits {
            return None;
        }
        // Counted before hashing: a subject may be as large as a certificate.
        let Some(left) = self.left.get().checked_sub(1) else {
            self.exhausted.set(true);
            return None;
        };
        self.left.set(left);
        let mut parts = vec![signature.salt.as_slice()];
        parts.extend(subject);
        parts.push(&signature.covered);
        let digest = backend::digest(hash, &parts)?;
        if !digest.starts_with(&signature.prefix) {
            return None;
        }
        backend::verify(key, signature, hash, &digest).then_some(hash)
    }
}

/// V14: nothing in it is critical and unknown.
fn is_understood(signature: &SignaturePacket) -> bool {
    let unknown = |subpacket: &crate::subpacket::Subpacket| {
        subpacket.id == id::NOTATION || !id::is_known(subpacket.id)
    };
    !signature.critical().any(unknown)
}

/// What a self-signature says, unless it does not say when (V10).
fn said(signature: &SignaturePacket) -> Option<Binding> {
    let created = signature.created().ok()?;
    Some(Binding {
        created,
        expires: signature.expires_after().map(|after| created + after),
        key_expires: signature.key_expires_after(),
        flags: signature.key_flags(),
        strong: false,
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
        if character.is_control() || is_invisible(character) {
            '\u{fffd}'
        } else {
            character
        }
    };
    text.chars().map(plain).take(MAX_USER_ID).collect()
}

/// Characters that change the lines and the direction of what a person sees around them.
fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

pub(crate) const FLAG_SIGN: u8 = 0x02;
const MAX_CHECKS: usize = 128;
const MAX_USER_ID: usize = 200;
