//! Keyrings: joined, narrowed, blacklisted, listed.

use std::error::Error;

use bytes::Bytes;
use imagestore_verify::{
    DetachedSignature, Fingerprint, Keyring, Policy, Unverified, Verifier, VerifyError,
};

use crate::forge::{self, DAY, Key, Kind, Sig, armor, back, binding, now, plain, with_subkey};

type Outcome = Result<(), Box<dyn Error>>;

fn key() -> Key {
    Key::new(Kind::Ed25519Legacy, now() - 400 * DAY)
}

fn fingerprint(key: &Key) -> Fingerprint {
    let digits: String = key
        .fingerprint()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    digits.parse().expect("a fingerprint")
}

/// The refusal of a good signature by the key, with its cause.
fn refusal(keyring: &Keyring, key: &Key) -> Result<Option<String>, VerifyError> {
    let asc = armor(&Sig::document(key).over(key, b"data"));
    let signature = DetachedSignature::parse(&Unverified::new(asc.into()))?;
    let verifier = Verifier::new(keyring.clone(), Policy::default());
    let data = Unverified::new(Bytes::from("data"));
    Ok(verifier
        .check(data, &signature)
        .err()
        .map(|error| match error.source() {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        }))
}

#[test]
fn a_union_believes_the_keys_of_both() -> Outcome {
    let (one, other) = (key(), key());
    let left = Keyring::from_bytes(&plain(&one))?;
    let right = Keyring::from_bytes(&plain(&other))?;
    let both = left.union(&right)?;
    assert_eq!(
        both.fingerprints(),
        [fingerprint(&one), fingerprint(&other)]
    );
    assert_eq!(refusal(&both, &one)?, None);
    assert_eq!(refusal(&both, &other)?, None);
    Ok(())
}

#[test]
fn another_copy_may_only_add_revocations() -> Outcome {
    let key = key();
    let expired = forge::certification(&key).with_seconds(9, 90 * DAY);
    let own = Keyring::from_bytes(&forge::certificate(&key, &[expired]))?;
    let longer = forge::certification(&key)
        .without(2)
        .with_seconds(2, now() - 60);
    let theirs = Keyring::from_bytes(&forge::certificate(&key, &[longer]))?;
    let joined = refusal(&own.union(&theirs)?, &key)?.unwrap_or_default();
    assert!(joined.contains("the key expired at"), "{joined}");

    let revocation = Sig::new(0x20, &key, now() - 60)
        .with(false, 29, [2])
        .on_key(&key, &key);
    let own = Keyring::from_bytes(&plain(&key))?;
    assert_eq!(refusal(&own, &key)?, None);
    let revoked = Keyring::from_bytes(&[plain(&key), revocation].concat())?;
    let joined = refusal(&own.union(&revoked)?, &key)?.unwrap_or_default();
    assert!(joined.contains("the key was compromised"), "{joined}");
    Ok(())
}

#[test]
fn keys_that_are_trusted_alike_are_merged() -> Outcome {
    let key = key();
    let expired = forge::certification(&key).with_seconds(9, 90 * DAY);
    let old = Keyring::from_bytes(&forge::certificate(&key, &[expired]))?;
    let renewed = forge::certification(&key)
        .without(2)
        .with_seconds(2, now() - 60);
    let renewed = Keyring::from_bytes(&forge::certificate(&key, &[renewed]))?;
    for merged in [old.merge(&renewed)?, renewed.merge(&old)?] {
        assert_eq!(refusal(&merged, &key)?, None);
    }
    // One alone is a copy from elsewhere, which may only take away.
    let joined = refusal(&old.union(&renewed)?, &key)?.unwrap_or_default();
    assert!(joined.contains("the key expired at"), "{joined}");
    Ok(())
}

#[test]
fn a_pin_in_either_keyring_is_a_pin() -> Outcome {
    // A key without any self-signature, which only a pinned fingerprint can stand for.
    let key = key();
    let named = fingerprint(&key);
    let bare = Keyring::from_bytes(&key.packet())?;
    let pinned = bare.clone().pinned(&named)?;
    let refused = refusal(&bare, &key)?.unwrap_or_default();
    assert!(refused.contains("no valid self-signature"), "{refused}");
    assert_eq!(refusal(&bare.union(&pinned)?, &key)?, None);
    assert_eq!(refusal(&pinned.union(&bare)?, &key)?, None);
    Ok(())
}

#[test]
fn a_union_is_as_narrow_as_the_wider_of_the_two() -> Outcome {
    let (primary, sub) = (key(), key());
    let bound = binding(&primary, &sub, Some(&back(&sub)));
    let whole = Keyring::from_bytes(&with_subkey(&primary, &sub, &bound))?;
    let one = whole.only(&fingerprint(&sub))?;
    let refused = refusal(&one.union(&one)?, &primary)?.unwrap_or_default();
    assert!(
        refused.ends_with(&format!("narrowed to {}", fingerprint(&sub))),
        "{refused}"
    );
    for wider in [one.union(&whole)?, whole.union(&one)?] {
        // What is left against it is its own word: it only certifies.
        let refused = refusal(&wider, &primary)?.unwrap_or_default();
        assert!(refused.contains("key flags"), "{refused}");
        assert_eq!(refusal(&wider, &sub)?, None);
    }
    // Narrowed once, it cannot be widened by narrowing it again.
    let other = key();
    let both = [
        with_subkey(&primary, &sub, &bound),
        other.subkey_packet(),
        binding(&primary, &other, Some(&back(&other))).on_subkey(&primary, &primary, &other),
    ];
    let both = Keyring::from_bytes(&both.concat())?;
    let first = both.only(&fingerprint(&sub))?;
    let error = first.only(&fingerprint(&other)).expect_err("not this one");
    assert!(matches!(error, VerifyError::MissingKey { .. }), "{error}");
    let second = both.only(&fingerprint(&other))?;
    let joined = first.union(&second)?;
    assert_eq!(refusal(&joined, &sub)?, None);
    assert_eq!(refusal(&joined, &other)?, None);
    Ok(())
}

#[test]
fn a_union_has_no_more_certificates_than_a_file_may_have() -> Outcome {
    let many = |count: usize| -> Result<Keyring, VerifyError> {
        let keys: Vec<u8> = (0..count).flat_map(|_| key().packet()).collect();
        Keyring::from_bytes(&keys)
    };
    let (forty, others) = (many(40)?, many(25)?);
    assert_eq!(forty.union(&forty)?.fingerprints().len(), 40);
    let error = forty.union(&others).expect_err("65 certificates");
    assert!(
        matches!(
            error,
            VerifyError::TooMany {
                limit: 64,
                found: 65,
                ..
            }
        ),
        "{error}"
    );
    Ok(())
}

#[test]
fn a_keyring_is_narrowed_to_one_certificate_or_one_subkey() -> Outcome {
    let (primary, sub, other) = (key(), key(), key());
    let bound = binding(&primary, &sub, Some(&back(&sub)));
    let bytes = [with_subkey(&primary, &sub, &bound), plain(&other)].concat();
    let keyring = Keyring::from_bytes(&bytes)?;

    let narrowed = keyring.only(&fingerprint(&primary))?;
    assert_eq!(narrowed.fingerprints(), [fingerprint(&primary)]);
    assert_eq!(refusal(&narrowed, &sub)?, None);
    let unknown = refusal(&narrowed, &other)?;
    let expected = format!(
        "signed by {}, which is not in the keyring",
        fingerprint(&other)
    );
    assert_eq!(unknown, Some(expected));

    let narrowed = keyring.only(&fingerprint(&sub))?;
    assert_eq!(refusal(&narrowed, &sub)?, None);
    let other_key = refusal(&narrowed, &primary)?;
    let expected = format!(
        "key {} cannot be used: the keyring is narrowed to {}",
        fingerprint(&primary),
        fingerprint(&sub)
    );
    assert_eq!(other_key, Some(expected));

    let stranger = key();
    let error = keyring
        .only(&fingerprint(&stranger))
        .expect_err("not in the keyring");
    assert!(matches!(error, VerifyError::MissingKey { .. }), "{error}");
    assert!(
        keyring.pinned(&fingerprint(&sub)).is_err(),
        "a subkey cannot be pinned"
    );
    Ok(())
}

#[test]
fn a_blacklist_names_primary_keys_and_subkeys() -> Outcome {
    let (primary, sub, other) = (key(), key(), key());
    let bound = binding(&primary, &sub, Some(&back(&sub)));
    let bytes = [with_subkey(&primary, &sub, &bound), plain(&other)].concat();
    let keyring = Keyring::from_bytes(&bytes)?;

    let without_sub = keyring.without(&[fingerprint(&sub)])?;
    let refused = refusal(&without_sub, &sub)?.unwrap_or_default();
    assert!(
        refused.ends_with("cannot be used: the key is on the blacklist"),
        "{refused}"
    );
    assert_eq!(refusal(&without_sub, &other)?, None);

    let without_primary = keyring.without(&[fingerprint(&primary)])?;
    assert_eq!(without_primary.fingerprints(), [fingerprint(&other)]);
    let refused = refusal(&without_primary, &sub)?.unwrap_or_default();
    assert!(
        refused.ends_with("cannot be used: the key is on the blacklist"),
        "{refused}"
    );

    let again = without_primary.union(&keyring)?;
    let refused = refusal(&again, &sub)?.unwrap_or_default();
    assert!(
        refused.ends_with("the key is on the blacklist"),
        "{refused}"
    );

    let all = [fingerprint(&primary), fingerprint(&other)];
    let error = keyring.without(&all).expect_err("no key is left");
    assert!(matches!(error, VerifyError::EmptyKeyring), "{error}");
    Ok(())
}

#[test]
fn certificates_are_listed_for_people() -> Outcome {
    let (good, silent) = (key(), key());
    let expiring = forge::certification(&good).with_seconds(9, now() + 30 * DAY - good.created);
    let bytes = [forge::certificate(&good, &[expiring]), silent.packet()].concat();
    let listed = Keyring::from_bytes(&bytes)?.certificates();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0].fingerprint, fingerprint(&good));
    assert_eq!(listed[0].algorithm, "Ed25519");
    assert_eq!(listed[0].user_ids, [forge::USER_ID]);
    assert_eq!(listed[0].unusable, None);
    let left = listed[0]
        .expires
        .ok_or("it expires")?
        .duration_since(listed[0].created)?;
    assert_eq!(left.as_secs(), u64::from(430 * DAY));
    assert_eq!(
        listed[1].unusable.as_deref(),
        Some("the key has no valid self-signature")
    );
    let line = listed[1].to_string();
    assert!(
        line.starts_with(&format!("{} Ed25519 created ", fingerprint(&silent))),
        "{line}"
    );
    assert!(
        line.ends_with(" unusable: the key has no valid self-signature"),
        "{line}"
    );
    Ok(())
}

#[test]
fn keyrings_have_limits() {
    let many: Vec<u8> = (0..65).flat_map(|_| key().packet()).collect();
    let error = Keyring::from_bytes(&many).expect_err("65 certificates");
    assert_eq!(
        error.to_string(),
        "certificates in one keyring: 65, more than 64"
    );
    let error = Keyring::from_bytes(&vec![0xc6; 17 * 1024 * 1024]).expect_err("17 MiB");
    assert!(matches!(error, VerifyError::TooMany { .. }), "{error}");
}

#[test]
fn keyrings_are_equal_only_if_they_believe_the_same() -> Outcome {
    let (one, other) = (key(), key());
    let own = Keyring::from_bytes(&plain(&one))?;
    let again = Keyring::from_bytes(&plain(&one))?;
    // What one of them has computed by now makes no difference.
    assert_eq!(refusal(&own, &one)?, None);
    assert_eq!(own, again);
    let revocation = Sig::new(0x20, &one, now() - 60)
        .with(false, 29, [2])
        .on_key(&one, &one);
    let revoked = Keyring::from_bytes(&[plain(&one), revocation].concat())?;
    assert_eq!(own.fingerprints(), revoked.fingerprints());
    assert_ne!(own, revoked);
    assert_ne!(own, own.clone().pinned(&fingerprint(&one))?);
    let both = own.union(&Keyring::from_bytes(&plain(&other))?)?;
    assert_ne!(own, both);
    assert_eq!(both.only(&fingerprint(&one))?, own);
    assert_ne!(both, both.without(&[fingerprint(&other)])?);
    Ok(())
}
