//! The key that signed, and its certificate (V22 to V30).

use super::YEAR;
use crate::{
    bindings::{Binding, Bindings, FLAG_SIGN, Revocation},
    clock::from_seconds,
    error::VerifyError,
    fingerprint::Fingerprint,
    key_packet::KeyPacket,
    keyring::Anchor,
    policy::Moment,
    reason::Reason,
    warning::Warning,
};

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
    if !anchor.admits(key) {
        let only = anchor.only.clone();
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
