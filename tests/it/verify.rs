//! The example `verify` as a person and as a program use it, over signatures by real GnuPG.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use imagestore_testkit::oracle::Tool;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::surface::example;

#[test]
fn names_signer_time_and_digest_of_a_good_signature() {
    let Some(signed) = Signed::by_gnupg() else {
        return;
    };
    let output = signed.verify(&["--key", "key.asc", "data", "data.asc"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    for part in [signed.fingerprint.as_str(), "SHA512", "2024-06-15"] {
        assert!(text.contains(part), "no {part} in {text}");
    }

    let output = signed.verify(&["--json", "--key", "key.asc", "data", "data.asc"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let wanted = json!({
        "verified": true,
        "signatures": [{
            "signer": signed.fingerprint,
            "signed_by": signed.fingerprint,
            "signed_at": "2024-06-15T12:00:00Z",
            "hash": "SHA512",
            "warnings": [],
        }],
    });
    assert_eq!(object(&output), wanted);
}

#[test]
fn ends_in_5_with_the_cause_when_a_signature_is_refused() {
    let Some(signed) = Signed::by_gnupg() else {
        return;
    };
    let other = "0".repeat(40);
    let cases: [(&str, &[&str], &str, &str); 5] = [
        (
            "changed",
            &[],
            "data.asc",
            "the data has another digest than was signed",
        ),
        ("data", &[], "data", "signature"),
        ("data", &["--pin", &other], "data.asc", &other),
        (
            "data",
            &["--at", "2024-06-14T00:00:00Z"],
            "data.asc",
            "2024-06-15",
        ),
        (
            "data",
            &["--at", "2031-01-01T00:00:00Z"],
            "data.asc",
            "expired",
        ),
    ];
    for (data, options, asc, cause) in cases {
        let arguments = [&["--key", "key.asc"], options, &[data, asc]].concat();
        let output = signed.verify(&arguments);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(5), "{arguments:?}: {text}");
        assert!(text.starts_with("error: "), "{text}");
        assert!(
            text.contains(cause),
            "{arguments:?}: no `{cause}` in {text}"
        );

        let output = signed.verify(&[&["--json"], &arguments[..]].concat());
        assert_eq!(output.status.code(), Some(5));
        let refusal = object(&output);
        assert_eq!(refusal["verified"], false);
        assert!(refusal.to_string().contains(cause), "{refusal}");
    }
}

#[test]
fn tells_wrong_usage_from_a_file_that_cannot_be_read() {
    let directory = TempDir::new().expect("a directory");
    let run = |arguments: &[&str]| verify(directory.path(), arguments);
    for arguments in [
        &["data", "data.asc"][..],
        &["--key", "key.asc", "data"],
        &["--key", "key.asc", "--pin", "0123", "data", "data.asc"],
        &["--key", "key.asc", "--at", "today", "data", "data.asc"],
        &["--force", "--key", "key.asc", "data", "data.asc"],
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("usage: verify"));
    }
    let output = run(&["--key", "key.asc", "data", "data.asc"]);
    assert_eq!(output.status.code(), Some(6), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot read data.asc"));
}

#[test]
fn the_exit_status_tells_also_where_nobody_reads() {
    let Some(signed) = Signed::by_gnupg() else {
        return;
    };
    for (data, wanted) in [("data", 0), ("data.asc", 5)] {
        let full = || fs::File::create("/dev/full").expect("a device");
        let ended = Command::new(example("verify"))
            .current_dir(signed.directory.path())
            .args(["--json", "--key", "key.asc", data, "data.asc"])
            .stdout(full())
            .stderr(full())
            .status();
        assert_eq!(ended.expect("run").code(), Some(wanted), "{data}");
    }
}

/// Data, a signature and the key, in files.
struct Signed {
    directory: TempDir,
    fingerprint: String,
}

impl Signed {
    /// A key of 2024 that expires in 2030, and a signature of June 2024.
    fn by_gnupg() -> Option<Self> {
        Tool::find("gpg-agent")?;
        let gpg = Tool::find("gpg")?;
        let directory = TempDir::new().expect("a directory");
        let path = |name: &str| directory.path().join(name);
        let home = Home::new(path("gnupg"));
        let run = |arguments: &[&str]| {
            let outcome = gpg
                .command()
                .env("GNUPGHOME", &home.0)
                .folder(directory.path())
                .args(["--batch", "--quiet", "--passphrase", ""])
                .args(arguments)
                .run();
            outcome.expect_success()
        };
        fs::write(path("data"), "data\n").expect("written");
        fs::write(path("changed"), "other data\n").expect("written");
        let user = "Somebody <somebody@example.invalid>";
        let created = ["--faked-system-time", "20240101T000000!"];
        run(&[
            &created[..],
            &[
                "--quick-gen-key",
                user,
                "ed25519",
                "sign",
                "20300101T000000",
            ],
        ]
        .concat());
        let listing = run(&["--with-colons", "--list-keys"]);
        let fingerprint = listing
            .lines()
            .find_map(|line| line.strip_prefix("fpr:::::::::"))
            .expect("a fingerprint");
        run(&["--armor", "--output", "key.asc", "--export"]);
        let signed = ["--faked-system-time", "20240615T120000!"];
        run(&[
            &signed[..],
            &[
                "--digest-algo",
                "SHA512",
                "--armor",
                "--detach-sign",
                "data",
            ],
        ]
        .concat());
        Some(Self {
            fingerprint: fingerprint.trim_end_matches(':').to_owned(),
            directory,
        })
    }

    fn verify(&self, arguments: &[&str]) -> Output {
        verify(self.directory.path(), arguments)
    }
}

/// A home of GnuPG, whose agent ends with it.
struct Home(PathBuf);

impl Home {
    fn new(path: PathBuf) -> Self {
        use std::os::unix::fs::DirBuilderExt;
        let made = fs::DirBuilder::new().mode(0o700).create(&path);
        made.expect("a directory");
        Self(path)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let ended = Command::new("gpgconf")
            .env("GNUPGHOME", &self.0)
            .args(["--kill", "all"])
            .status();
        if let Err(error) = ended {
            eprintln!("cannot end the agent of GnuPG: {error}");
        }
    }
}

fn verify(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(example("verify"))
        .current_dir(directory)
        .args(arguments)
        .output()
        .expect("run")
}

fn object(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("one object")
}
