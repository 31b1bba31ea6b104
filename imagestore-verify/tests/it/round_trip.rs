use std::{
    error::Error,
    io::{Read as _, Seek as _, Write as _},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use imagestore_verify::{
    DetachedSignature, Keyring, Policy, Proof, Sha256, Spool, StreamingCheck, Unverified, Verifier,
    VerifyError, signing::SigningKey,
};

const DAY: Duration = Duration::from_secs(86_400);

fn made() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

fn unverified(bytes: impl AsRef<[u8]>) -> Unverified<Bytes> {
    Unverified::new(Bytes::copy_from_slice(bytes.as_ref()))
}

fn parsed(asc: &str) -> Result<DetachedSignature, VerifyError> {
    DetachedSignature::parse(&unverified(asc))
}

fn verifier(key: &SigningKey) -> Result<Verifier, VerifyError> {
    let keyring = Keyring::from_bytes(key.certificate().as_bytes())?;
    Ok(Verifier::new(
        keyring,
        Policy::default().with_at(made() + 2 * DAY),
    ))
}

#[test]
fn opens_what_its_own_key_has_signed_and_says_by_whom() -> Result<(), Box<dyn Error>> {
    let key = SigningKey::generate_ed25519("tester", made());
    let asc = key.sign_detached(b"data", made() + DAY);
    let checked = verifier(&key)?.check(unverified("data"), &parsed(&asc)?)?;
    assert_eq!(*checked, Bytes::from("data"));
    let [Proof::Signature(proof)] = checked.proofs() else {
        panic!("one signature, not {:?}", checked.proofs());
    };
    assert_eq!(*proof.signer(), key.fingerprint());
    assert_eq!(*proof.signed_by(), key.fingerprint());
    assert_eq!(proof.signed_at(), made() + DAY);
    assert_eq!(proof.hash(), "SHA512");
    assert_eq!(proof.warnings(), []);
    assert_eq!(
        checked.proofs()[0].to_string(),
        format!(
            "signed by {} at 2023-11-15T22:13:20Z with SHA512",
            key.fingerprint()
        )
    );
    Ok(())
}

#[test]
fn refuses_other_data_and_other_keys() -> Result<(), Box<dyn Error>> {
    let (key, stranger) = (
        SigningKey::generate_ed25519("tester", made()),
        SigningKey::generate_ed25519("stranger", made()),
    );
    let asc = parsed(&key.sign_detached(b"data", made() + DAY))?;
    let error = verifier(&key)?
        .check(unverified("date"), &asc)
        .expect_err("other data");
    assert_eq!(
        error.to_string(),
        format!(
            "the data does not match the signature by {} of 2023-11-15T22:13:20Z",
            key.fingerprint()
        )
    );
    let error = verifier(&stranger)?
        .check(unverified("data"), &asc)
        .expect_err("other key");
    assert_eq!(
        error.to_string(),
        format!(
            "signed by {}, which is not in the keyring",
            key.fingerprint()
        )
    );
    Ok(())
}

#[test]
fn secret_keys_can_be_written_and_read_again() -> Result<(), Box<dyn Error>> {
    let key = SigningKey::generate_ed25519("tester", made());
    let again = SigningKey::from_bytes(key.secret().as_bytes(), None)?;
    assert_eq!(again.fingerprint(), key.fingerprint());
    let asc = again.sign_file(&b"data"[..], made() + DAY)?;
    verifier(&key)?.check(unverified("data"), &parsed(&asc)?)?;
    Ok(())
}

#[test]
fn a_spool_checks_digest_and_signature_in_one_pass() -> Result<(), Box<dyn Error>> {
    let key = SigningKey::generate_ed25519("tester", made());
    let asc = parsed(&key.sign_detached(b"one two", made() + DAY))?;
    let check = StreamingCheck::new()
        .with_digest(Sha256::of(b"one two"))
        .with_signature(verifier(&key)?, asc);
    let mut spool = Spool::new(tempfile::tempfile()?, check.clone());
    spool.write(&unverified("one "))?;
    assert_eq!(spool.len(), 4);
    spool.next_file(tempfile::tempfile()?);
    assert_eq!(spool.len(), 0);
    spool.write(&unverified("two"))?;
    let files = spool.finish()?;
    assert_eq!(files.proofs().len(), 2);
    let mut texts = Vec::new();
    for mut file in files.into_inner() {
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        texts.push(text);
    }
    assert_eq!(texts, ["one ", "two"]);

    let mut half = tempfile::tempfile()?;
    half.write_all(b"one ")?;
    half.rewind()?;
    let mut spool = Spool::resume(half, check)?;
    assert_eq!(spool.len(), 4);
    spool.write(&unverified("twi"))?;
    let error = spool.finish().expect_err("the last byte is wrong");
    assert!(
        matches!(error, VerifyError::DigestMismatch { .. }),
        "{error}"
    );
    Ok(())
}
