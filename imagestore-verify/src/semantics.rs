//! Every judgement about signatures and keys, in the order of cost. POLICY.md is its table.

use crate::{
    bindings::{Binding, Bindings, FLAG_SIGN, Revocation},
    certificate::kind,
    clock::from_seconds,
    error::VerifyError,
    fingerprint::Fingerprint,
    hash::HashAlgorithm,
    key_packet::{KeyPacket, Material},
    keyring::Anchor,
    policy::Moment,
    reason::Reason,
    signature_packet::{Issuer, SignaturePacket},
    subpacket::id,
    warning::Warning,
};

/// What a signature says about itself, before any key is looked at (V9, V10, V12, V14 to V16).
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) issuer: Issuer,
    pub(crate) created: u64,
    pub(crate) expires: Option<u64>,
}

pub(crate) fn read_claim(
    signature: &SignaturePacket,
    moment: &Moment,
) -> Result<Claim, VerifyError> {
    claim(signature, moment).map_err(|reason| VerifyError::Malformed {
        what: "signature",
        reason,
    })
}

fn claim(signature: &SignaturePacket, moment: &Moment) -> Result<Claim, Reason> {
    match signature.kind {
        kind::DOCUMENT => {}
        kind::TEXT if moment.text => {}
        found => return Err(Reason::Type { found }),
    }
    let created = signature.created()?;
    if signature.has_hashed(id::INTENDED_RECIPIENT) {
        return Err(Reason::StraySubpacket {
            name: "intended recipient",
        });
    }
    for subpacket in signature.critical() {
        let name = match subpacket.id {
            id::NOTATION => return Err(Reason::CriticalNotation),
            id::EXPORTABLE => "exportable",
            id::REGEX => "regular expression",
            id::REVOCATION_KEY => "revocation key",
            id::SIGNATURE_TARGET => "signature target",
            id::TRUST => "trust",
            id if !id::is_known(id) => return Err(Reason::CriticalSubpacket { id }),
            _ => continue,
        };
        return Err(Reason::StraySubpacket { name });
    }
    let issuer = signature.issuer()?;
    let expires = signature.expires_after().map(|after| created + after);
    Ok(Claim {
        issuer,
        created,
        expires,
    })
}

/// The digest, the key and the times, all without arithmetic on keys (V8, V11, V12, V17 to V19).
pub(crate) fn judge_claim(
    signature: &SignaturePacket,
    claim: &Claim,
    key: &KeyPacket,
    moment: &Moment,
) -> Result<HashAlgorithm, VerifyError> {
    let malformed = |reason| VerifyError::Malformed {
        what: "signature",
        reason,
    };
    let weak = |reason| VerifyError::WeakAlgorithm {
        key: key.fingerprint,
        reason,
    };
    if signature.version != key.version {
        let (found, key) = (signature.version, Some(key.version));
        return Err(malformed(Reason::Version { found, key }));
    }
    if !same_algorithm(signature.key_algorithm, key.algorithm) {
        let (found, key) = (signature.key_algorithm, key.algorithm);
        return Err(malformed(Reason::OtherAlgorithm { found, key }));
    }
    let hash = signature.hash().map_err(weak)?;
    let accepted = hash.is_strong()
        || moment.sha224
            && hash == HashAlgorithm::Sha224
            && matches!(key.material, Material::Rsa { .. });
    if signature.version == 6 && hash.salt_length() != Some(signature.salt.len()) {
        let wrong = "its salt has not the length its digest asks for";
        return Err(malformed(Reason::BrokenSignature { wrong }));
    }
    key.check_strength().map_err(|reason| VerifyError::BadKey {
        key: key.fingerprint,
        reason,
    })?;
    key.check_digest(hash).map_err(weak)?;
    if !accepted {
        return Err(weak(Reason::Digest { name: hash.name() }));
    }
    judge_times(claim, key, moment)?;
    Ok(hash)
}

fn judge_times(claim: &Claim, key: &KeyPacket, moment: &Moment) -> Result<(), VerifyError> {
    let (signed, clock) = (from_seconds(claim.created), from_seconds(moment.now));
    let latest = moment.now + moment.skew;
    if key.created > latest {
        // No attacker can make a trusted key younger: the clock is wrong.
        return Err(VerifyError::WrongClock {
            clock,
            floor: from_seconds(key.created),
        });
    }
    if claim.created > latest {
        return Err(moment.in_the_future(key.fingerprint, claim.created));
    }
    let reason = if claim.created < key.created {
        Reason::SignedBeforeKey {
            signed,
            created: from_seconds(key.created),
        }
    } else if let Some(expired) = claim.expires.filter(|expires| *expires <= moment.now) {
        Reason::SignatureExpired {
            expired: from_seconds(expired),
            clock,
        }
    } else {
        return Ok(());
    };
    Err(VerifyError::NotAlive {
        key: key.fingerprint,
        signed_at: signed,
        reason,
    })
}

/// Whether the key may sign data, at the time of the signature and today (V22 to V30).
pub(crate) fn judge_key(
    anchor: &Anchor,
    key: &Fingerprint,
    signed: u64,
    moment: &Moment,
) -> Result<Vec<Warning>, VerifyError> {
    let mut warnings = Vec::new();
    may_sign(anchor, key, signed, moment, &mut warnings)
        .map_err(|reason| VerifyError::BadKey { key: *key, reason })?;
    Ok(warnings)
}

/// Whether the key may sign data that is signed at `signed`.
pub(crate) fn may_sign_at(
    anchor: &Anchor,
    key: &Fingerprint,
    signed: u64,
    moment: &Moment,
) -> Result<(), Reason> {
    may_sign(anchor, key, signed, moment, &mut Vec::new())
}

/// When the primary key expires, by the self-signatures in force.
pub(crate) fn expiry(anchor: &Anchor, moment: &Moment) -> Option<u64> {
    let certificate = &anchor.certificate;
    let bindings = certificate
        .bindings
        .get_or_init(|| Bindings::of(certificate));
    let when = When {
        signed: moment.now,
        moment,
    };
    let rules = self_signatures(anchor, bindings, &when, &mut Vec::new()).unwrap_or_default();
    let expires = rules.iter().filter_map(|rule| rule.key_expires);
    expires
        .min()
        .map(|after| certificate.primary.created + after)
}

fn may_sign(
    anchor: &Anchor,
    key: &Fingerprint,
    signed: u64,
    moment: &Moment,
    warnings: &mut Vec<Warning>,
) -> Result<(), Reason> {
    let certificate = &anchor.certificate;
    let primary = &certificate.primary;
    if anchor.is_blacklisted() || anchor.blacklisted.contains(key) {
        return Err(Reason::Blacklisted);
    }
    if let Some(only) = anchor.only.filter(|only| only != key) {
        return Err(Reason::Narrowed { only });
    }
    primary.check_strength()?;
    let bindings = certificate
        .bindings
        .get_or_init(|| Bindings::of(certificate));
    if let Some(refused) = &bindings.refused {
        return Err(refused.clone());
    }
    let when = When { signed, moment };
    when.judge_revocations(primary, &bindings.revocations, warnings)?;
    let rules = self_signatures(anchor, bindings, &when, warnings)?;
    for rule in &rules {
        when.judge_expiry(primary, rule, warnings)?;
    }
    let mut subkeys = certificate.subkeys.iter().zip(&bindings.subkeys);
    if *key == primary.fingerprint {
        return primary_may_sign(primary, &rules, bindings, &when);
    }
    let Some((subkey, bound)) = subkeys.find(|(subkey, _)| subkey.key.fingerprint == *key) else {
        return Err(Reason::Unbound);
    };
    when.judge_revocations(&subkey.key, &bound.revocations, warnings)?;
    let binding = when
        .newest(&bound.bindings, &subkey.key)
        .ok_or(Reason::Unbound)?;
    when.judge_expiry(&subkey.key, binding, warnings)?;
    if binding.flags.is_none_or(|flags| flags & FLAG_SIGN == 0) {
        return Err(Reason::KeyFlags);
    }
    let mut confirmed = binding.confirmed.iter();
    if !confirmed.any(|said| when.is_in_force(said.created, said.expires)) {
        return Err(Reason::NoBackSignature);
    }
    if binding.created > signed {
        let bound = from_seconds(binding.created);
        warnings.push(Warning::BindYounger { key: *key, bound });
    }
    Ok(())
}

/// The self-signatures that speak for the primary key: the newest of each kind (V24, V30).
fn self_signatures<'a>(
    anchor: &Anchor,
    bindings: &'a Bindings,
    when: &When<'_>,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<&'a Binding>, Reason> {
    let primary = &anchor.certificate.primary;
    let direct = when.newest(&bindings.direct, primary);
    let certified = when.newest(&bindings.certified, primary);
    if primary.version == 6 && direct.is_none() {
        return Err(Reason::NoDirectKeySignature);
    }
    let mut rules: Vec<_> = direct.into_iter().chain(certified).collect();
    let legacy = when.newest(&bindings.legacy, primary);
    if rules.is_empty() {
        if !anchor.pinned {
            return Err(match legacy {
                Some(_) => Reason::LegacySelfSignature,
                None => Reason::NoSelfSignature,
            });
        }
        warnings.push(Warning::LegacySelfSignature {
            key: primary.fingerprint,
        });
    }
    // A SHA-1 self-signature grants nothing, so it may as well be forged: it can only restrict,
    // and only where no newer strong one speaks.
    let newest = rules.iter().map(|rule| rule.created).max().unwrap_or(0);
    rules.extend(legacy.filter(|legacy| legacy.created > newest));
    Ok(rules)
}

fn primary_may_sign(
    primary: &KeyPacket,
    rules: &[&Binding],
    bindings: &Bindings,
    when: &When<'_>,
) -> Result<(), Reason> {
    let flags: Vec<u8> = rules.iter().filter_map(|rule| rule.flags).collect();
    if !flags.is_empty() {
        let allowed = flags.iter().all(|flags| flags & FLAG_SIGN != 0);
        return allowed.then_some(()).ok_or(Reason::KeyFlags);
    }
    // V26: old keys say nothing about their use; then a signing subkey says the primary does not.
    let signs = |binding: &Binding| {
        binding.flags.is_some_and(|flags| flags & FLAG_SIGN != 0)
            && when.is_in_force(binding.created, binding.expires)
    };
    let mut bound = bindings.subkeys.iter().flat_map(|subkey| &subkey.bindings);
    if primary.version == 6 || bound.any(signs) {
        return Err(Reason::KeyFlags);
    }
    Ok(())
}

/// The two times at which a key is looked at.
struct When<'a> {
    signed: u64,
    moment: &'a Moment,
}

impl When<'_> {
    /// When a key has to be alive at the latest.
    fn last(&self) -> u64 {
        if self.moment.alive_today {
            self.moment.now
        } else {
            self.signed
        }
    }

    fn is_in_force(&self, created: u64, expires: Option<u64>) -> bool {
        created <= self.moment.now + self.moment.skew
            && expires.is_none_or(|expires| expires > self.last())
    }

    /// V24: the most recent one that is in force; of two of one second, the one that expires
    /// first.
    fn newest<'b>(&self, bindings: &'b [Binding], key: &KeyPacket) -> Option<&'b Binding> {
        let in_force = bindings.iter().filter(|binding| {
            binding.created >= key.created && self.is_in_force(binding.created, binding.expires)
        });
        in_force.max_by_key(|binding| {
            let lasts = binding.key_expires.unwrap_or(u64::MAX);
            (binding.created, std::cmp::Reverse(lasts))
        })
    }

    fn judge_expiry(
        &self,
        key: &KeyPacket,
        binding: &Binding,
        warnings: &mut Vec<Warning>,
    ) -> Result<(), Reason> {
        let Some(after) = binding.key_expires else {
            return Ok(());
        };
        let expires = key.created + after;
        let expired = from_seconds(expires);
        if expires <= self.signed {
            return Err(Reason::KeyExpired {
                expired,
                at: from_seconds(self.signed),
            });
        }
        let now = self.moment.now;
        if expires <= now {
            let reason = Reason::KeyExpired {
                expired,
                at: from_seconds(now),
            };
            return self.outlived(key, reason, warnings);
        }
        if expires <= now + YEAR {
            warnings.push(Warning::ExpireKey {
                key: key.fingerprint,
                expires: expired,
            });
        }
        Ok(())
    }

    /// V28: a hard revocation is for all time; a soft one ends the key at its time.
    fn judge_revocations(
        &self,
        key: &KeyPacket,
        revocations: &[Revocation],
        warnings: &mut Vec<Warning>,
    ) -> Result<(), Reason> {
        let mut sorted: Vec<_> = revocations.iter().collect();
        sorted.sort_by_key(|revocation| (revocation.soft, revocation.created));
        let Some(first) = sorted.first() else {
            return Ok(());
        };
        let revoked = from_seconds(first.created);
        let reason = Reason::KeyRevoked {
            revoked,
            why: first.why,
        };
        if !first.soft || first.created <= self.signed {
            return Err(reason);
        }
        self.outlived(key, reason, warnings)
    }

    /// A key that was alive when it signed and is not today.
    fn outlived(
        &self,
        key: &KeyPacket,
        reason: Reason,
        warnings: &mut Vec<Warning>,
    ) -> Result<(), Reason> {
        if self.moment.alive_today {
            return Err(reason);
        }
        let (key, reason) = (key.fingerprint, reason.to_string());
        warnings.push(Warning::OutlivedKey { key, reason });
        Ok(())
    }
}

/// What is accepted and should not stay as it is, apart from the certificate (V31).
pub(crate) fn warn(
    signature: &SignaturePacket,
    claim: &Claim,
    key: &KeyPacket,
    hash: HashAlgorithm,
    moment: &Moment,
) -> Vec<Warning> {
    let mut warnings: Vec<_> = moment.clock_behind.clone().into_iter().collect();
    if claim.created > moment.now {
        let (signed, clock) = (from_seconds(claim.created), from_seconds(moment.now));
        warnings.push(Warning::SignedAhead { signed, clock });
    }
    if let Some(expires) = claim
        .expires
        .filter(|expires| *expires <= moment.now + YEAR)
    {
        warnings.push(Warning::ExpireSignature {
            expires: from_seconds(expires),
        });
    }
    if matches!(claim.issuer, Issuer::KeyId(_)) {
        warnings.push(Warning::NameKeyIdOnly);
    }
    if signature.kind == kind::TEXT {
        warnings.push(Warning::Text);
    }
    if !hash.is_strong() {
        warnings.push(Warning::WeakDigest { hash: hash.name() });
    }
    match key.material {
        Material::Rsa { bits } if bits < 3_072 && moment.now >= RSA_2048_DOUBTED => {
            warnings.push(Warning::WeakKey {
                key: key.fingerprint,
                bits,
            });
        }
        _ => {}
    }
    warnings
}

/// RSA has two numbers in the registry, one of them for signing only.
fn same_algorithm(signature: u8, key: u8) -> bool {
    signature == key || matches!((signature, key), (1, 3) | (3, 1))
}

const YEAR: u64 = 365 * 24 * 60 * 60;
// 2029-01-01: a year before RSA with 2048 bits is given up.
const RSA_2048_DOUBTED: u64 = 1_861_920_000;
