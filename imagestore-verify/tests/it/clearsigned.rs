//! Clear-signed documents, made here, by gpg, and spoiled.

use std::{
    error::Error,
    fs,
    process::{Command, Stdio},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use imagestore_verify::{
    Keyring, Policy, Proof, Unverified, Verifier, VerifyError, signing::SigningKey,
};

use crate::tools::has;

const TEXT: &str = "{\n  \"a\": \"-\",  \n-----BEGIN x\nFrom\n\n}\n";
const SIGNED: &str = "{\r\n  \"a\": \"-\",\r\n-----BEGIN x\r\nFrom\r\n\r\n}";

fn at(days: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000 + days * 86_400)
}

fn open(key: &SigningKey, document: &str) -> Result<Bytes, VerifyError> {
    let keyring = Keyring::from_bytes(key.certificate().as_bytes())?;
    let verifier = Verifier::new(keyring, Policy::default().with_at(at(2)));
    let document = Unverified::new(Bytes::copy_from_slice(document.as_bytes()));
    let checked = verifier.check_clear_signed(document)?;
    let [Proof::Signature(proof)] = checked.proofs() else {
        panic!("one signature, not {:?}", checked.proofs());
    };
    assert_eq!((proof.signed_at(), proof.warnings()), (at(1), &[][..]));
    Ok(checked.into_inner())
}

#[test]
fn opens_the_text_that_was_signed_and_nothing_else() -> Result<(), Box<dyn Error>> {
    let key = SigningKey::generate_ed25519("tester", at(0));
    let document = key.sign_clear(TEXT, at(1));
    assert_eq!(open(&key, &document)?, SIGNED);
    // Line ends and what is behind the words of a line are not signed, and do not come out.
    let spoiled = document.replace("From\n", "From \t \r\n");
    assert_eq!(open(&key, &spoiled)?, SIGNED);
    Ok(())
}

#[test]
fn refuses_text_that_was_not_signed_wherever_it_stands() -> Result<(), Box<dyn Error>> {
    let key = SigningKey::generate_ed25519("tester", at(0));
    let document = key.sign_clear(TEXT, at(1));
    let second = key.sign_clear("{}", at(1));
    for spoiled in [
        format!("{{}}\n{document}"),
        format!("\n{document}"),
        format!("{document}{{}}\n"),
        format!("{document}{second}"),
        document.replace("\n\n{\n", "\n{\n\n"),
        document.replace("Hash: SHA512\n", "Hash: SHA512\nComment: x\n"),
        document.replace("Hash: SHA512\n", ""),
        document.replace("- -----BEGIN x", "-----BEGIN x"),
        document.replace("- -----BEGIN x", "- - -----BEGIN x"),
        document.replace("From\n", "From\r\r\n"),
        document.replace("From\n", "From\u{b}\n"),
        document.replace("From", "from"),
        TEXT.to_owned(),
        String::new(),
    ] {
        assert_ne!(spoiled, document);
        // A missing Hash header changes nothing that is signed.
        if !spoiled.contains("Hash:") && spoiled.contains("SIGNED MESSAGE") {
            assert_eq!(open(&key, &spoiled)?, SIGNED);
            continue;
        }
        let error = open(&key, &spoiled).expect_err(&spoiled);
        let refused = matches!(
            error,
            VerifyError::Malformed { .. } | VerifyError::BadSignature { .. }
        );
        assert!(refused, "{spoiled}: {error}");
    }
    Ok(())
}

#[test]
fn refuses_the_signature_of_a_file_as_that_of_a_text() -> Result<(), Box<dyn Error>> {
    let key = SigningKey::generate_ed25519("tester", at(0));
    let asc = key.sign_detached(SIGNED.as_bytes(), at(1));
    let document = key.sign_clear(TEXT, at(1));
    let (text, _) = document
        .split_once("-----BEGIN PGP SIGNATURE")
        .ok_or("no signature")?;
    let error = open(&key, &format!("{text}{asc}")).expect_err("of a file");
    assert!(matches!(error, VerifyError::Malformed { .. }), "{error}");
    let stranger = SigningKey::generate_ed25519("stranger", at(0));
    let error = open(&stranger, &document).expect_err("of a stranger");
    assert!(matches!(error, VerifyError::MissingKey { .. }), "{error}");
    Ok(())
}

#[test]
fn gpg_reads_what_is_signed_here() -> Result<(), Box<dyn Error>> {
    if !has("gpgv") {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let key = SigningKey::generate_ed25519("tester", at(0));
    let (ring, document) = (
        folder.path().join("ring.gpg"),
        folder.path().join("a.sjson"),
    );
    let armored = key.certificate();
    let body: String = armored
        .lines()
        .skip_while(|line| !line.is_empty())
        .collect();
    let body = body.split("-----END").next().unwrap_or_default();
    // The checksum line is no part of the data.
    let body = body
        .rsplit_once('=')
        .map_or(body, |(data, sum)| if sum.len() == 4 { data } else { body });
    fs::write(&ring, from_base64(body))?;
    fs::write(&document, key.sign_clear(TEXT, at(1)))?;
    let status = Command::new("gpgv")
        .args([
            "--homedir".as_ref(),
            folder.path().as_os_str(),
            "--keyring".as_ref(),
        ])
        .arg(&ring)
        .arg(&document)
        .stderr(Stdio::null())
        .status()?;
    assert!(status.success(), "gpgv refuses it");
    Ok(())
}

fn from_base64(text: &str) -> Vec<u8> {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut count, mut bytes) = (0u32, 0, Vec::new());
    for value in text
        .bytes()
        .filter_map(|b| alphabet.iter().position(|a| *a == b))
    {
        bits = (bits << 6) | value as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}
