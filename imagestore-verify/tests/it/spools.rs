//! Files that are written and hashed in one pass.

use std::{
    error::Error,
    fs::File,
    io::{Read as _, Seek as _, Write as _},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use imagestore_verify::{
    Channel, DetachedSignature, Keyring, Policy, Proof, Sha256, Spool, StreamingCheck, Unverified,
    Verifier, VerifyError, signing::SigningKey,
};

fn time(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn unverified(bytes: &[u8]) -> Unverified<Bytes> {
    Unverified::new(Bytes::copy_from_slice(bytes))
}

fn text(file: &mut File) -> Result<String, Box<dyn Error>> {
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(text)
}

fn signed(data: &[u8]) -> Result<StreamingCheck, VerifyError> {
    let key = SigningKey::generate_ed25519("tester", time(1_700_000_000));
    let asc = key.sign_detached(data, time(1_700_000_100));
    let keyring = Keyring::from_bytes(key.certificate().as_bytes())?;
    let verifier = Verifier::new(keyring, Policy::default().with_at(time(1_700_000_200)));
    let signature = DetachedSignature::parse(&unverified(asc.as_bytes()))?;
    Ok(StreamingCheck::new().with_signature(verifier, signature))
}

#[test]
fn a_download_goes_on_at_a_checkpoint() -> Result<(), Box<dyn Error>> {
    let check = signed(b"one two three")?.with_digest(Sha256::of(b"one two three"));
    let mut spool = Spool::new(tempfile::tempfile()?, check);
    spool.write(&unverified(b"one "))?;
    let checkpoint = spool.checkpoint();
    assert_eq!(checkpoint.len(), 4);
    spool.write(&unverified(b"twx"))?;
    spool.rewind(&checkpoint)?;
    assert_eq!(spool.len(), 4);
    spool.write(&unverified(b"two "))?;
    spool.write(&unverified(b"three"))?;
    let mut files = spool.finish()?.into_inner();
    assert_eq!(text(&mut files[0])?, "one two three");
    Ok(())
}

#[test]
fn a_checkpoint_of_another_spool_is_refused() -> Result<(), Box<dyn Error>> {
    let check = StreamingCheck::new().with_digest(Sha256::of(b"one"));
    let one = Spool::new(tempfile::tempfile()?, check.clone());
    let mut other = Spool::new(tempfile::tempfile()?, check);
    let error = other.rewind(&one.checkpoint()).expect_err("another spool");
    assert_eq!(
        error.to_string(),
        "the checkpoint is not of the bytes that are in this spool"
    );
    let first = other.checkpoint();
    other.next_file(tempfile::tempfile()?);
    assert!(other.rewind(&first).is_err(), "another file");
    Ok(())
}

#[test]
fn a_checkpoint_of_bytes_that_were_cut_off_is_refused() -> Result<(), Box<dyn Error>> {
    let mut spool = Spool::new(tempfile::tempfile()?, signed(b"good data")?);
    spool.write(&unverified(b"good "))?;
    let first = spool.checkpoint();
    spool.write(&unverified(b"data"))?;
    let second = spool.checkpoint();
    spool.rewind(&second)?;
    spool.rewind(&first)?;
    spool.write(&unverified(b"evil!"))?;
    let error = spool.rewind(&second).expect_err("its bytes are gone");
    assert_eq!(
        error.to_string(),
        "the checkpoint is not of the bytes that are in this spool"
    );
    spool.rewind(&first)?;
    spool.write(&unverified(b"data"))?;
    let third = spool.checkpoint();
    spool.write(&unverified(b"more"))?;
    spool.rewind(&third)?;
    let mut files = spool.finish()?.into_inner();
    assert_eq!(text(&mut files[0])?, "good data");
    Ok(())
}

#[test]
fn a_file_with_bytes_that_were_not_written_here_is_refused() -> Result<(), Box<dyn Error>> {
    let mut file = tempfile::tempfile()?;
    file.write_all(b"one and more")?;
    file.rewind()?;
    let check = StreamingCheck::new().with_digest(Sha256::of(b"one"));
    let mut spool = Spool::new(file, check);
    spool.write(&unverified(b"one"))?;
    let error = spool.finish().expect_err("a tail nobody has hashed");
    assert!(matches!(error, VerifyError::Io(_)), "{error}");
    assert_eq!(
        error.source().map(ToString::to_string).as_deref(),
        Some("3 bytes were written to a file that has 12")
    );
    Ok(())
}

#[test]
fn nothing_to_check_opens_nothing() -> Result<(), Box<dyn Error>> {
    let empty = StreamingCheck::new();
    assert!(empty.is_empty());
    let error = Spool::new(tempfile::tempfile()?, empty)
        .finish()
        .expect_err("no check");
    assert!(matches!(error, VerifyError::NothingToCheck), "{error}");
    let channel = StreamingCheck::new().with_channel(Channel::new("unix socket /run/x"));
    assert!(channel.is_empty());
    let error = Spool::new(tempfile::tempfile()?, channel.clone())
        .finish()
        .expect_err("no check");
    assert!(matches!(error, VerifyError::NothingToCheck), "{error}");
    let spool = Spool::new(tempfile::tempfile()?, channel.with_digest(Sha256::of(b"")));
    let proofs = spool.finish()?.proofs().to_vec();
    assert_eq!(
        proofs,
        [
            Proof::Digest(Sha256::of(b"")),
            Proof::Channel(Channel::new("unix socket /run/x"))
        ]
    );
    Ok(())
}

#[test]
fn all_checks_have_to_hold() -> Result<(), Box<dyn Error>> {
    for (digest, data, expected) in [
        (&b"good"[..], &b"good"[..], "accept"),
        (b"other", b"good", "digest"),
        (b"evil", b"evil", "signature"),
    ] {
        let check = signed(b"good")?.with_digest(Sha256::of(digest));
        let mut spool = Spool::new(tempfile::tempfile()?, check);
        spool.write(&unverified(data))?;
        let found = match spool.finish() {
            Ok(_) => "accept",
            Err(VerifyError::DigestMismatch { .. }) => "digest",
            Err(VerifyError::BadSignature { .. }) => "signature",
            Err(other) => return Err(other.into()),
        };
        assert_eq!(found, expected);
    }
    Ok(())
}

#[test]
fn a_hopeless_signature_is_refused_before_the_download() -> Result<(), Box<dyn Error>> {
    let check = signed(b"data")?;
    check.check_beforehand()?;
    let stranger = SigningKey::generate_ed25519("stranger", time(1_700_000_000));
    let asc = stranger.sign_detached(b"data", time(1_700_000_100));
    let key = SigningKey::generate_ed25519("tester", time(1_700_000_000));
    let keyring = Keyring::from_bytes(key.certificate().as_bytes())?;
    let signature = DetachedSignature::parse(&unverified(asc.as_bytes()))?;
    let hopeless = check.with_signature(Verifier::new(keyring, Policy::default()), signature);
    let error = hopeless
        .check_beforehand()
        .expect_err("nobody can sign that");
    assert!(matches!(error, VerifyError::MissingKey { .. }), "{error}");
    Ok(())
}

#[test]
fn a_kept_file_is_hashed_from_its_first_byte() -> Result<(), Box<dyn Error>> {
    let mut file = tempfile::tempfile()?;
    std::io::Write::write_all(&mut file, b"evil ")?;
    file.rewind()?;
    let check = StreamingCheck::new().with_digest(Sha256::of(b"good two"));
    let mut spool = Spool::resume(file, check)?;
    spool.write(&unverified(b"two"))?;
    let error = spool.finish().expect_err("the kept part was changed");
    assert!(
        matches!(error, VerifyError::DigestMismatch { .. }),
        "{error}"
    );
    Ok(())
}
