//! The outcomes the specifications give for their own vectors, and the real archive keys.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use imagestore_verify::{
    DetachedSignature, Fingerprint, Framing, Keyring, Policy, Proof, Unverified, Verifier,
    VerifyError,
};

use crate::tools::vectors;

type Outcome = Result<(), Box<dyn Error>>;

fn unverified(path: &Path) -> Result<Unverified<Bytes>, Box<dyn Error>> {
    let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Unverified::new(bytes.into()))
}

fn keyring(path: &Path) -> Result<Keyring, Box<dyn Error>> {
    Ok(Keyring::from_bytes(&fs::read(path)?)?)
}

fn from_tarball(path: &Path) -> Result<Keyring, Box<dyn Error>> {
    let output = Command::new("tar")
        .arg("-xJOf")
        .arg(path)
        .arg("keyring.gpg")
        .output()?;
    assert!(
        output.status.success(),
        "tar: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(Keyring::from_bytes(&output.stdout)?)
}

fn at(seconds: u64) -> Policy {
    Policy::default().with_at(UNIX_EPOCH + Duration::from_secs(seconds))
}

/// A word for the outcome: `accept`, or the kind of the refusal.
fn outcome(result: Result<impl Sized, VerifyError>) -> &'static str {
    match result {
        Ok(_) => "accept",
        Err(VerifyError::BadKey { .. }) => "bad key",
        Err(VerifyError::BadSignature { .. }) => "bad signature",
        Err(VerifyError::Malformed { .. }) => "malformed",
        Err(VerifyError::MissingKey { .. }) => "missing key",
        Err(VerifyError::NotAlive { .. }) => "not alive",
        Err(VerifyError::WeakAlgorithm { .. }) => "weak",
        Err(other) => panic!("{other}"),
    }
}

fn check(
    keyring: &Keyring,
    policy: Policy,
    framing: Framing,
    data: &Path,
    asc: &Path,
) -> Result<&'static str, Box<dyn Error>> {
    let signature = DetachedSignature::parse_framed(&unverified(asc)?, framing);
    let verifier = Verifier::new(keyring.clone(), policy);
    let data = unverified(data)?;
    Ok(outcome(
        signature.and_then(|signature| verifier.check(data, &signature)),
    ))
}

#[test]
fn lxc_images_signatures_have_the_outcomes_of_the_specification() -> Outcome {
    let Some(vectors) = vectors() else {
        return Ok(());
    };
    let folder = vectors.join("lxc-images/synthetic");
    let strict = Framing::default();
    let several = strict.with_several_blocks();
    let cases = [
        ("key-trusted", "index-user.plain", "asc", strict, "accept"),
        (
            "key-untrusted",
            "index-user.plain",
            "asc",
            strict,
            "missing key",
        ),
        (
            "key-trusted-but-revoked",
            "index-user.plain",
            "asc",
            strict,
            "bad key",
        ),
        (
            "key-trusted",
            "index-user.plain",
            "clearsigned.asc",
            strict,
            "malformed",
        ),
        (
            "key-trusted",
            "index-user.plain",
            "inline-signed.asc",
            strict,
            "malformed",
        ),
        (
            "key-trusted",
            "index-user.plain",
            "not-a-signature.asc",
            strict,
            "malformed",
        ),
        (
            "key-trusted",
            "index-user.plain",
            "binary.gpg",
            strict,
            "malformed",
        ),
        (
            "key-trusted",
            "index-user.plain",
            "binary.gpg",
            strict.with_binary(),
            "accept",
        ),
        (
            "key-trusted",
            "index-user.plain",
            "two-armor-blocks.asc",
            strict,
            "malformed",
        ),
        (
            "key-trusted",
            "index-user.plain",
            "two-armor-blocks.asc",
            several,
            "accept",
        ),
        (
            "key-subkey",
            "index-user.plain",
            "by-subkey.asc",
            strict,
            "accept",
        ),
    ];
    for (key, data, signature, framing, expected) in cases {
        let keyring = keyring(&folder.join(format!("{key}.asc")))?;
        let asc = folder.join(format!("{data}.{signature}"));
        let found = check(
            &keyring,
            Policy::default(),
            framing,
            &folder.join(data),
            &asc,
        )?;
        assert_eq!(found, expected, "{signature} with {key}");
    }
    let keyring = keyring(&folder.join("key-trusted.asc"))?;
    let tampered = folder.join("index-user.plain.tampered");
    let asc = folder.join("index-user.plain.asc");
    let found = check(&keyring, Policy::default(), strict, &tampered, &asc)?;
    assert_eq!(found, "bad signature");
    Ok(())
}

#[test]
fn the_real_lxc_key_verifies_when_pinned_and_not_otherwise() -> Outcome {
    let Some(vectors) = vectors() else {
        return Ok(());
    };
    let folder = vectors.join("lxc-images/real");
    let fingerprint: Fingerprint = "E7FB0CAEC8173D669066514CBAEFF88C22F6E216".parse()?;
    let keyring = keyring(&folder.join(format!("keys/{fingerprint}.asc")))?;
    let data = folder.join("signatures/debian-trixie-arm64-20260829_05:24.SHA256SUMS");
    let asc = folder.join("signatures/debian-trixie-arm64-20260829_05:24.SHA256SUMS.asc");
    let signature = DetachedSignature::parse(&unverified(&asc)?)?;

    let bare = Verifier::new(keyring.clone(), Policy::default());
    let error = bare
        .check(unverified(&data)?, &signature)
        .expect_err("not pinned");
    assert_eq!(
        error.source().map(ToString::to_string).as_deref(),
        Some("the key is bound by SHA-1 only; pin it by its full fingerprint if you trust it")
    );

    let pinned = Verifier::new(keyring.pinned(&fingerprint)?, Policy::default());
    let checked = pinned.check(unverified(&data)?, &signature)?;
    let [Proof::Signature(proof)] = checked.proofs() else {
        panic!("one signature, not {:?}", checked.proofs());
    };
    assert_eq!(*proof.signer(), fingerprint);
    assert_eq!(proof.hash(), "SHA512");
    let warnings: Vec<_> = proof.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [format!(
            "key {fingerprint} is bound by SHA-1 only and believed because it is pinned"
        )]
    );
    Ok(())
}

#[test]
fn the_real_system_image_roots_verify_when_pinned() -> Outcome {
    let Some(vectors) = vectors() else {
        return Ok(());
    };
    let real = vectors.join("system-image/real");
    let ubports = "572EA5B6572AF4CEDE4526051A30C7D6585E9E81";
    let canonical = "153F1C9EF1395FBF00352E8D0BFB847F3F272F5B";
    let cases = [
        ("ubports-keys/client-2017", ubports, true, "accept"),
        ("ubports-keys/client-2017", ubports, false, "bad key"),
        ("ubports-keys/recovery-2015", ubports, true, "weak"),
        ("canonical-2015-recovery", canonical, true, "weak"),
    ];
    let archive = Policy::default().with_sha1_before_2020();
    for (folder, fingerprint, pin, expected) in cases {
        let tarball = real.join(folder).join("archive-master.tar.xz");
        let asc = real.join(folder).join("archive-master.tar.xz.asc");
        let fingerprint: Fingerprint = fingerprint.parse()?;
        let mut keyring = from_tarball(&tarball)?.only(&fingerprint)?;
        if pin {
            keyring = keyring.pinned(&fingerprint)?;
        }
        let found = check(
            &keyring,
            Policy::default(),
            Framing::default(),
            &tarball,
            &asc,
        )?;
        assert_eq!(found, expected, "{folder}");
        if pin {
            let found = check(
                &keyring,
                archive.clone(),
                Framing::default(),
                &tarball,
                &asc,
            )?;
            assert_eq!(found, "accept", "{folder}, as an archive");
        }
    }
    Ok(())
}

#[test]
fn system_image_cases_have_the_outcomes_of_the_specification() -> Outcome {
    let Some(vectors) = vectors() else {
        return Ok(());
    };
    let folder = vectors.join("system-image");
    let cases = [
        ("sig-ok", "channels.json", "image-signing", "accept"),
        (
            "sig-by-spare",
            "channels.json",
            "image-signing",
            "missing key",
        ),
        ("sig-sha1", "channels.json", "image-signing", "weak"),
        (
            "sig-by-subkey",
            "channels.json",
            "image-signing-subkey",
            "accept",
        ),
        (
            "sig-inline-opaque",
            "channels.json",
            "image-signing",
            "malformed",
        ),
        (
            "sig-data-changed",
            "channels.json",
            "image-signing",
            "bad signature",
        ),
        ("sig-empty", "channels.json", "image-signing", "malformed"),
        ("kr-ok", "k.tar.xz", "image-master", "accept"),
        (
            "kr-signed-by-archive-master",
            "k.tar.xz",
            "image-master",
            "missing key",
        ),
    ];
    for (case, data, key, expected) in cases {
        let keyring = keyring(&folder.join(format!("golden/keys/{key}.pub.gpg")))?;
        let data = folder.join("cases").join(case).join(data);
        let asc = PathBuf::from(format!("{}.asc", data.display()));
        let found = check(&keyring, Policy::default(), Framing::default(), &data, &asc)?;
        assert_eq!(found, expected, "{case}");
    }
    Ok(())
}

#[test]
fn every_file_of_the_golden_system_image_tree_verifies() -> Outcome {
    let Some(vectors) = vectors() else {
        return Ok(());
    };
    let golden = vectors.join("system-image/golden");
    let mut keys = Vec::new();
    for key in [
        "archive-master",
        "image-master",
        "image-signing",
        "device-signing",
    ] {
        keys.extend(fs::read(golden.join(format!("keys/{key}.pub.gpg")))?);
    }
    let keyring = Keyring::from_bytes(&keys)?;
    assert_eq!(keyring.fingerprints().len(), 4);
    let mut folders = vec![golden.join("server")];
    let mut checked = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "asc") {
                let data = path.with_extension("");
                let found = check(
                    &keyring,
                    Policy::default(),
                    Framing::default(),
                    &data,
                    &path,
                )?;
                assert_eq!(found, "accept", "{}", path.display());
                checked += 1;
            }
        }
    }
    assert!(checked >= 10, "only {checked} signatures in the tree");
    Ok(())
}

#[test]
fn an_expired_key_is_refused_today_and_accepted_at_its_time() -> Outcome {
    let Some(vectors) = vectors() else {
        return Ok(());
    };
    let keys = vectors.join("system-image/golden/keys");
    let keyring = keyring(&keys.join("image-signing-expired.pub.gpg"))?;
    let listed = keyring.certificates();
    let unusable = listed[0].unusable.as_deref().unwrap_or_default();
    assert!(unusable.starts_with("the key expired at "), "{unusable}");
    let expires = listed[0].expires.ok_or("it expires")?;
    let seconds = expires.duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    let listed = keyring.certificates_under(&at(seconds - 60));
    assert_eq!(listed[0].unusable, None);
    Ok(())
}
