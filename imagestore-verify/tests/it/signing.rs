//! Signatures made here, read by others.

use std::{
    error::Error,
    fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use imagestore_verify::{
    DetachedSignature, Keyring, Policy, Unverified, Verifier,
    signing::{SigningError, SigningKey},
};

use crate::tools::has;

type Outcome = Result<(), Box<dyn Error>>;

fn yesterday() -> SystemTime {
    SystemTime::now() - Duration::from_secs(86_400)
}

fn gpg(home: &Path, arguments: &[&str]) -> Result<Vec<u8>, Box<dyn Error>> {
    let output = Command::new("gpg")
        .arg("--homedir")
        .arg(home)
        .args(["--batch", "--yes", "--quiet", "--pinentry-mode", "loopback"])
        .args(arguments)
        .current_dir(home)
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "gpg {arguments:?}: {said}");
    Ok(output.stdout)
}

fn home() -> Result<tempfile::TempDir, Box<dyn Error>> {
    let home = tempfile::Builder::new().prefix("gpg").tempdir()?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700))?;
    }
    Ok(home)
}

fn end(home: &Path) {
    drop(
        Command::new("gpgconf")
            .arg("--homedir")
            .arg(home)
            .args(["--kill", "all"])
            .status(),
    );
}

#[test]
fn gnupg_gpgv_and_sqv_accept_our_signatures() -> Outcome {
    for key in [
        SigningKey::generate_ed25519("Ed <ed@example.invalid>", yesterday()),
        SigningKey::generate_rsa4096("Rsa <rsa@example.invalid>", yesterday()),
    ] {
        let home = home()?;
        let path = |name: &str| home.path().join(name);
        fs::write(path("data"), "data")?;
        fs::write(
            path("data.asc"),
            key.sign_detached(b"data", SystemTime::now()),
        )?;
        fs::write(path("key.asc"), key.certificate())?;
        if has("gpg") {
            gpg(home.path(), &["--import", "key.asc"])?;
            gpg(home.path(), &["--verify", "data.asc", "data"])?;
            fs::write(path("key.gpg"), gpg(home.path(), &["--export"])?)?;
            end(home.path());
        }
        if has("gpgv") && path("key.gpg").exists() {
            let status = Command::new("gpgv")
                .arg("--homedir")
                .arg(home.path())
                .arg("--keyring")
                .args([path("key.gpg"), path("data.asc"), path("data")])
                .status()?;
            assert!(status.success(), "gpgv refuses");
        }
        if has("sqv") {
            let status = Command::new("sqv")
                .arg("--keyring")
                .args([path("key.asc"), path("data.asc"), path("data")])
                .status()?;
            assert!(status.success(), "sqv refuses");
        }
    }
    Ok(())
}

#[test]
fn keys_of_gnupg_sign_here_with_their_passphrase_and_their_subkey() -> Outcome {
    if !has("gpg") {
        return Ok(());
    }
    let home = home()?;
    let phrase = ["--passphrase", "correct horse"];
    let quick = [
        "--quick-generate-key",
        "Pub <pub@example.invalid>",
        "rsa2048",
        "cert",
        "never",
    ];
    gpg(home.path(), &[&phrase[..], &quick].concat())?;
    let listed = gpg(home.path(), &["--with-colons", "--list-keys"])?;
    let listed = String::from_utf8(listed)?;
    let line = listed
        .lines()
        .find(|line| line.starts_with("fpr:"))
        .ok_or("a fingerprint")?;
    let fingerprint = line.split(':').nth(9).ok_or("a fingerprint")?;
    let add = ["--quick-add-key", fingerprint, "ed25519", "sign", "never"];
    gpg(home.path(), &[&phrase[..], &add].concat())?;
    let secret = gpg(
        home.path(),
        &[&phrase[..], &["--export-secret-keys"]].concat(),
    )?;
    end(home.path());

    let error = SigningKey::from_bytes(&secret, None).expect_err("it is locked");
    assert!(matches!(error, SigningError::Locked(_)), "{error}");
    let error = SigningKey::from_bytes(&secret, Some("wrong")).expect_err("another passphrase");
    assert!(matches!(error, SigningError::WrongPassphrase(_)), "{error}");
    let key = SigningKey::from_bytes(&secret, Some("correct horse"))?;
    assert_eq!(key.fingerprint().to_string(), fingerprint);

    let asc = key.sign_file(&b"data"[..], SystemTime::now() + Duration::from_secs(2))?;
    let signature = DetachedSignature::parse(&Unverified::new(Bytes::from(asc)))?;
    let keyring = Keyring::from_bytes(key.certificate().as_bytes())?;
    let checked = Verifier::new(keyring, Policy::default())
        .check(Unverified::new(Bytes::from("data")), &signature)?;
    let shown = checked.proofs()[0].to_string();
    assert!(shown.contains("(subkey "), "{shown}");
    Ok(())
}

#[test]
fn keys_made_here_can_be_protected_and_gnupg_opens_them() -> Outcome {
    for key in [
        SigningKey::generate_ed25519("Ed <ed@example.invalid>", yesterday()),
        SigningKey::generate_rsa4096("Rsa <rsa@example.invalid>", yesterday()),
    ] {
        let locked = key.secret_protected_by("correct horse")?;
        let error = SigningKey::from_bytes(locked.as_bytes(), None).expect_err("it is locked");
        assert!(matches!(error, SigningError::Locked(_)), "{error}");
        let error = SigningKey::from_bytes(locked.as_bytes(), Some("wrong")).expect_err("wrong");
        assert!(matches!(error, SigningError::WrongPassphrase(_)), "{error}");
        let again = SigningKey::from_bytes(locked.as_bytes(), Some("correct horse"))?;
        assert_eq!(again.fingerprint(), key.fingerprint());
        // Another passphrase takes the place of the first.
        let changed = again.secret_protected_by("battery staple")?;
        SigningKey::from_bytes(changed.as_bytes(), Some("correct horse")).expect_err("it is gone");
        SigningKey::from_bytes(changed.as_bytes(), Some("battery staple"))?;
        let error = key.secret_protected_by("").expect_err("no passphrase");
        assert!(matches!(error, SigningError::EmptyPassphrase), "{error}");

        if !has("gpg") {
            continue;
        }
        let home = home()?;
        fs::write(home.path().join("data"), "data")?;
        fs::write(home.path().join("key.asc"), locked)?;
        let phrase = ["--passphrase", "correct horse"];
        let run = |arguments: &[&str]| gpg(home.path(), &[&phrase[..], arguments].concat());
        run(&["--import", "key.asc"])?;
        run(&["--armor", "--detach-sign", "data"])?;
        let asc = fs::read(home.path().join("data.asc"))?;
        end(home.path());
        let signature = DetachedSignature::parse(&Unverified::new(Bytes::from(asc)))?;
        let keyring = Keyring::from_bytes(key.certificate().as_bytes())?;
        let data = Unverified::new(Bytes::from_static(b"data"));
        Verifier::new(keyring, Policy::default()).check(data, &signature)?;
    }
    Ok(())
}

#[test]
fn a_subkey_that_expired_gives_way_to_an_older_one() -> Outcome {
    if !has("gpg") {
        return Ok(());
    }
    let home = home()?;
    let unlocked = ["--passphrase", ""];
    let run = |arguments: &[&str]| gpg(home.path(), &[&unlocked[..], arguments].concat());
    run(&["--quick-generate-key", "two", "ed25519", "cert", "never"])?;
    let listed = String::from_utf8(run(&["--with-colons", "--list-keys", "two"])?)?;
    let primary = listed
        .lines()
        .find_map(|line| line.strip_prefix("fpr:::::::::")?.strip_suffix(':'))
        .ok_or("a fingerprint")?;
    run(&["--quick-add-key", primary, "ed25519", "sign", "never"])?;
    thread::sleep(Duration::from_millis(1_100));
    run(&["--quick-add-key", primary, "ed25519", "sign", "seconds=1"])?;
    thread::sleep(Duration::from_millis(2_100));
    let secret = run(&["--export-secret-keys", "two"])?;
    end(home.path());

    let key = SigningKey::from_bytes(&secret, None)?;
    let asc = key.sign_detached(b"data", SystemTime::now());
    let signature = DetachedSignature::parse(&Unverified::new(Bytes::from(asc)))?;
    let keyring = Keyring::from_bytes(key.certificate().as_bytes())?;
    let data = Unverified::new(Bytes::from_static(b"data"));
    Verifier::new(keyring, Policy::default()).check(data, &signature)?;
    Ok(())
}

#[test]
fn what_is_no_secret_key_is_refused() {
    let key = SigningKey::generate_ed25519("x", yesterday());
    for bytes in [
        b"".to_vec(),
        b"nonsense".to_vec(),
        key.certificate().into_bytes(),
    ] {
        let error = SigningKey::from_bytes(&bytes, None).expect_err("no secret key");
        assert_eq!(error.to_string(), "not an OpenPGP secret key");
    }
    assert_eq!(
        format!("{key:?}"),
        format!("SigningKey({})", key.fingerprint())
    );
}
