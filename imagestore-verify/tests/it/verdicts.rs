//! What a proof tells, and how refusals read.

use std::{
    error::Error,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use imagestore_verify::{
    DetachedSignature, Keyring, Policy, Proof, Unverified, Verified, Verifier, VerifyError,
};

use crate::forge::{self, DAY, Key, Kind, Sig, armor, back, binding, plain, with_subkey};

type Outcome = Result<(), Box<dyn Error>>;

fn time(seconds: u32) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds.into())
}

fn key() -> Key {
    Key::new(Kind::Ed25519Legacy, 1_700_000_000)
}

fn check(keyring: &[u8], packets: &[u8], policy: Policy) -> Result<Verified<Bytes>, VerifyError> {
    let signature = DetachedSignature::parse(&Unverified::new(armor(packets).into()))?;
    let verifier = Verifier::new(Keyring::from_bytes(keyring)?, policy);
    verifier.check(Unverified::new(Bytes::from("data")), &signature)
}

fn warnings(checked: &Verified<Bytes>) -> Vec<String> {
    match checked.proofs() {
        [Proof::Signature(proof), ..] => proof.warnings().iter().map(ToString::to_string).collect(),
        other => panic!("a signature, not {other:?}"),
    }
}

#[test]
fn a_subkey_is_named_beside_its_primary_key() -> Outcome {
    let (primary, sub) = (key(), key());
    let bound = binding(&primary, &sub, Some(&back(&sub)));
    let packets = Sig::new(0x00, &sub, 1_700_000_100).over(&sub, b"data");
    let policy = Policy::default().with_at(time(1_700_000_200));
    let checked = check(&with_subkey(&primary, &sub, &bound), &packets, policy)?;
    let hex = |key: &Key| -> String {
        key.fingerprint()
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect()
    };
    assert_eq!(
        checked.proofs()[0].to_string(),
        format!(
            "signed by {} (subkey {}) at 2023-11-14T22:15:00Z with SHA512",
            hex(&primary),
            hex(&sub)
        )
    );
    Ok(())
}

#[test]
fn what_would_fail_later_or_elsewhere_is_a_warning() -> Outcome {
    let key = key();
    let expiring = forge::certification(&key).with_seconds(9, 30 * DAY);
    let certificate = forge::certificate(&key, &[expiring]);
    let signed = Sig::new(0x00, &key, key.created + 60)
        .without(33)
        .with_seconds(3, 9 * DAY);
    let bad = Sig::new(0x00, &key, key.created + 60).over(&key, b"other");
    let packets = [bad, signed.over(&key, b"data")].concat();
    let at = time(key.created);
    let found = warnings(&check(
        &certificate,
        &packets,
        Policy::default().with_at(at),
    )?);
    let hex: String = key
        .fingerprint()
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    assert_eq!(
        found,
        [
            format!("key {hex} expires at 2023-12-14T22:13:20Z"),
            "signed at 2023-11-14T22:14:20Z, which the clock (2023-11-14T22:13:20Z) has not reached"
                .to_owned(),
            "the signature expires at 2023-11-23T22:14:20Z".to_owned(),
            "the signature names its issuer by a key id only".to_owned(),
            format!(
                "another signature was refused: the data does not match the signature by {hex} of \
                 2023-11-14T22:14:20Z: the data has another digest than was signed"
            ),
        ]
    );
    Ok(())
}

#[test]
fn rsa_2048_is_doubted_from_2029_on() -> Outcome {
    let key = Key::new(Kind::Rsa(2_048), 1_700_000_000);
    let packets = Sig::new(0x00, &key, key.created + 60).over(&key, b"data");
    let until = Policy::default().with_at(time(1_861_919_999));
    assert_eq!(warnings(&check(&plain(&key), &packets, until)?), [""; 0]);
    let from = Policy::default().with_at(time(1_861_920_000));
    let found = warnings(&check(&plain(&key), &packets, from)?);
    assert_eq!(found.len(), 1);
    assert!(
        found[0].ends_with("has 2048 bits, too few from 2030 on"),
        "{found:?}"
    );
    Ok(())
}

#[test]
fn a_clock_that_was_reset_is_told_from_an_attack() -> Outcome {
    let key = key();
    let expiring = forge::certification(&key).with_seconds(9, 30 * DAY);
    let certificate = forge::certificate(&key, &[expiring]);
    let packets = Sig::new(0x00, &key, key.created + 60).over(&key, b"data");

    // 1970: the key is not made yet.
    let reset = Policy::default().with_at(UNIX_EPOCH);
    let error = check(&certificate, &packets, reset.clone()).expect_err("the clock is wrong");
    assert_eq!(
        error.to_string(),
        "the clock says 1970-01-01T00:00:00Z, which is before 2023-11-14T22:13:20Z; set the clock"
    );
    // A known time stands in for the clock, and is named.
    let floor = reset.clone().with_floor(time(key.created + DAY));
    let found = warnings(&check(&certificate, &packets, floor)?);
    assert!(
        found.contains(
            &"the clock says 1970-01-01T00:00:00Z, which is before 2023-11-15T22:13:20Z; set the clock"
                .to_owned()
        ),
        "{found:?}"
    );
    // It revives no expired key.
    let late = reset.clone().with_floor(time(key.created + 31 * DAY));
    let error = check(&certificate, &packets, late).expect_err("the key expired");
    assert!(matches!(error, VerifyError::BadKey { .. }), "{error}");
    // A signature after the known time: the clock cannot tell, so the clock is blamed.
    let future = Sig::new(0x00, &key, key.created + 9 * DAY).over(&key, b"data");
    let floor = reset.with_floor(time(key.created + DAY));
    let error = check(&certificate, &future, floor).expect_err("in the future");
    assert!(matches!(error, VerifyError::WrongClock { .. }), "{error}");
    // With a sound clock the signature is to blame.
    let sound = Policy::default().with_at(time(key.created + DAY));
    let error = check(&certificate, &future, sound).expect_err("in the future");
    assert!(matches!(error, VerifyError::NotAlive { .. }), "{error}");
    Ok(())
}

#[test]
fn no_line_of_an_error_repeats_another() {
    let (key, other) = (key(), key());
    let good = Sig::new(0x00, &key, key.created + 60);
    let at = |seconds: u32| Policy::default().with_at(time(key.created + seconds));
    let cases = [
        (plain(&key), good.over(&key, b"other"), at(DAY)),
        (plain(&other), good.over(&key, b"data"), at(DAY)),
        (
            plain(&key),
            Sig::new(0x10, &key, key.created).over(&key, b"data"),
            at(DAY),
        ),
        (
            plain(&key),
            good.clone().with_seconds(3, 60).over(&key, b"data"),
            at(DAY),
        ),
        (
            plain(&key),
            Sig::new(0x00, &key, key.created - 9).over(&key, b"data"),
            at(DAY),
        ),
        (
            plain(&key),
            Sig::new(0x00, &key, key.created + DAY).over(&key, b"data"),
            at(60),
        ),
        (key.packet(), good.over(&key, b"data"), at(DAY)),
        (
            plain(&key),
            good.clone().hash(forge::SHA1).over(&key, b"data"),
            at(DAY),
        ),
        (
            plain(&key),
            good.over(&key, b"data"),
            at(DAY).with_signers(2),
        ),
    ];
    for (keyring, packets, policy) in cases {
        let error = check(&keyring, &packets, policy).expect_err("each is refused");
        let mut lines = vec![error.to_string()];
        let mut cause = error.source();
        while let Some(next) = cause {
            lines.push(next.to_string());
            cause = next.source();
        }
        for line in &lines {
            assert!(!line.contains('\n') && !line.ends_with('.'), "{line}");
            let first = line.chars().next().unwrap_or('A');
            assert!(!first.is_uppercase() || line.starts_with("SHA"), "{line}");
            assert_eq!(
                lines
                    .iter()
                    .filter(|other| other.contains(line.as_str()))
                    .count(),
                1
            );
        }
    }
}
