//! The signature itself, its digest, the strength of its key, and its times (V8 to V19).

use super::YEAR;
use crate::{
    certificate::kind,
    clock::from_seconds,
    error::VerifyError,
    hash::HashAlgorithm,
    key_packet::{KeyPacket, Material},
    keyring::Anchor,
    policy::{Beside, Moment},
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
        kind::TEXT if moment.text && moment.beside == Beside::Digest => {}
        kind::TEXT if moment.text => return Err(Reason::TextAlone),
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
    anchor: &Anchor,
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
    if !key.is_of_algorithm(signature.key_algorithm) {
        let (found, key) = (signature.key_algorithm, key.algorithm);
        return Err(malformed(Reason::OtherAlgorithm { found, key }));
    }
    let hash = signature.hash().map_err(weak)?;
    let rsa = matches!(key.material, Material::Rsa { .. });
    let accepted = match hash {
        HashAlgorithm::Sha1 => moment.old_sha1 && rsa && anchor.pinned && claim.created < YEAR_2020,
        HashAlgorithm::Sha224 => moment.sha224 && rsa,
        hash => hash.is_strong(),
    };
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

// 2029-01-01: a year before RSA with 2048 bits is given up.
const RSA_2048_DOUBTED: u64 = 1_861_920_000;
// Before the first chosen-prefix collision was shown.
const YEAR_2020: u64 = 1_577_836_800;
