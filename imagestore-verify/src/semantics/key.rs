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
        when.warn_of_lapse(&primary.fingerprint, rule.expires, warnings);
    }
    let mut subkeys = certificate.subkeys.iter().zip(&bindings.subkeys);
    if *key == primary.fingerprint {
        return primary_may_sign(primary, &rules, bindings);
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
    let Some(confirmed) = confirmed.find(|said| when.is_in_force(said.created, said.expires))
    else {
        return Err(Reason::NoBackSignature);
    };
    let lapses = binding.expires.into_iter().chain(confirmed.expires).min();
    when.warn_of_lapse(key, lapses, warnings);
    if binding.created > signed {
        let bound = from_seconds(binding.created);
        warnings.push(Warning::BindYounger { key: *key, bound });
    }
    Ok(())
}

/// The self-signatures that speak for the primary key, and those that only restrict it: the newest
/// of each kind (V24, V30).
fn self_signatures<'a>(
    anchor: &Anchor,
    bindings: &'a Bindings,
    when: &When<'_>,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<&'a Binding>, Reason> {
    let primary = &anchor.certificate.primary;
    let (granting, restricting) = (&bindings.granting, &bindings.restricting);
    let kinds = [
        (&granting.direct, &restricting.direct),
        (&granting.certified, &restricting.certified),
    ];
    let mut rules = Vec::new();
    for (granting, restricting) in kinds {
        let granted = when.newest(granting, primary);
        let since = granted.map_or(0, |granted| granted.created);
        // A weak digest grants nothing, so what it signs may as well be forged: it can only
        // restrict, and only where no newer strong one speaks.
        let weak = restricting.iter().filter(|binding| !binding.strong);
        let newer = when
            .newest(weak, primary)
            .filter(|weak| weak.created > since);
        rules.extend(granted);
        rules.extend(newer);
    }
    if primary.version == 6 && when.newest(&granting.direct, primary).is_none() {
        return Err(Reason::NoDirectKeySignature);
    }
    if rules.iter().any(|rule| rule.strong) {
        return Ok(rules);
    }
    if !anchor.pinned {
        return Err(match rules.is_empty() {
            true => Reason::NoSelfSignature,
            false => Reason::LegacySelfSignature,
        });
    }
    if let Some(young) = rules.iter().find(|rule| rule.created >= LEGACY_END) {
        let made = from_seconds(young.created);
        return Err(Reason::YoungLegacySelfSignature { made });
    }
    // The pinned fingerprint stands for the key, so nobody else's word is needed. Its own still
    // counts against it, also where it lapsed or was taken back.
    let key = primary.fingerprint;
    if rules.is_empty() {
        warnings.push(Warning::NoSelfSignature { key });
        rules.extend(when.latest(granting.all().chain(restricting.all()), primary));
    } else {
        warnings.push(Warning::LegacySelfSignature { key });
    }
    Ok(rules)
}

fn primary_may_sign(
    primary: &KeyPacket,
    rules: &[&Binding],
    bindings: &Bindings,
) -> Result<(), Reason> {
    let flags: Vec<u8> = rules.iter().filter_map(|rule| rule.flags).collect();
    if !flags.is_empty() {
        let allowed = flags.iter().all(|flags| flags & FLAG_SIGN != 0);
        return allowed.then_some(()).ok_or(Reason::KeyFlags);
    }
    // V26: old keys say nothing about their use; then a signing subkey says the primary does not.
    let mut subkeys = bindings.subkeys.iter();
    if primary.version == 6 || subkeys.any(|subkey| subkey.meant_to_sign) {
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
    fn newest<'b>(
        &self,
        bindings: impl IntoIterator<Item = &'b Binding>,
        key: &KeyPacket,
    ) -> Option<&'b Binding> {
        let bindings = bindings.into_iter();
        self.latest(
            bindings.filter(|binding| self.is_in_force(binding.created, binding.expires)),
            key,
        )
    }

    /// The most recent one, in force or not.
    fn latest<'b>(
        &self,
        bindings: impl Iterator<Item = &'b Binding>,
        key: &KeyPacket,
    ) -> Option<&'b Binding> {
        let own = bindings.filter(|binding| binding.created >= key.created);
        own.max_by_key(|binding| {
            let lasts = binding.key_expires.unwrap_or(u64::MAX);
            (binding.created, std::cmp::Reverse(lasts))
        })
    }

    /// V31: what has to be renewed within a year for the key to stay usable.
    fn warn_of_lapse(&self, key: &Fingerprint, expires: Option<u64>, warnings: &mut Vec<Warning>) {
        if let Some(expires) = expires.filter(|expires| *expires <= self.moment.now + YEAR) {
            let (key, expires) = (*key, from_seconds(expires));
            warnings.push(Warning::ExpireSelfSignature { key, expires });
        }
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

// The first second of 2020: SHA-1 chosen-prefix collisions were shown in January 2020.
const LEGACY_END: u64 = 1_577_836_800;
