//! Keys and signatures made by GnuPG.

use std::{fs, path::Path, process::Command, thread, time::Duration};

use imagestore_verify::Policy;
use tempfile::TempDir;

use super::{Case, DATA};
use crate::tools::has;

struct Home {
    folder: TempDir,
}

impl Home {
    fn new() -> Option<Self> {
        if !has("gpg") {
            return None;
        }
        let folder = tempfile::Builder::new()
            .prefix("gpg")
            .tempdir()
            .expect("a folder");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let private = fs::Permissions::from_mode(0o700);
            fs::set_permissions(folder.path(), private).expect("a private folder");
        }
        fs::write(folder.path().join("data"), DATA).expect("a file");
        Some(Self { folder })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn run(&self, arguments: &[&str]) -> Vec<u8> {
        let output = Command::new("gpg")
            .arg("--homedir")
            .arg(self.path())
            .args(["--batch", "--yes", "--quiet", "--pinentry-mode", "loopback"])
            .args(["--passphrase", "", "--trust-model", "always"])
            .args(arguments)
            .current_dir(self.path())
            .output()
            .expect("gpg runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "gpg {arguments:?}: {said}");
        output.stdout
    }

    fn generate(&self, user_id: &str, algorithm: &str, usage: &str) {
        self.run(&["--quick-generate-key", user_id, algorithm, usage, "never"]);
    }

    fn fingerprints(&self, user_id: &str) -> Vec<String> {
        let listed = self.run(&["--with-colons", "--list-keys", user_id]);
        let listed = String::from_utf8_lossy(&listed).into_owned();
        let lines = listed.lines().filter(|line| line.starts_with("fpr:"));
        lines
            .filter_map(|line| line.split(':').nth(9))
            .map(str::to_owned)
            .collect()
    }

    fn export(&self, user_id: &str) -> Vec<u8> {
        self.run(&["--export", user_id])
    }

    fn sign(&self, user_id: &str, extra: &[&str]) -> Vec<u8> {
        let mut arguments = vec!["--local-user", user_id, "--output", "-"];
        arguments.extend(extra);
        if !extra.iter().any(|argument| argument.contains("sign")) {
            arguments.extend(["--armor", "--detach-sign"]);
        }
        arguments.push("data");
        self.run(&arguments)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let gpgconf = Command::new("gpgconf")
            .arg("--homedir")
            .arg(self.path())
            .args(["--kill", "all"])
            .status();
        drop(gpgconf);
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let Some(home) = Home::new() else {
        return Vec::new();
    };
    let mut cases = Vec::new();
    let mut add = |name: &str, rule, expected, keyring: Vec<u8>, asc: Vec<u8>| {
        cases.push(Case::new(
            format!("gpg: {name}"),
            rule,
            expected,
            keyring,
            asc,
        ));
    };
    let keys = [
        ("rsa2048", "accept", "V19"),
        ("rsa3072", "accept", "V19"),
        ("rsa4096", "accept", "V19"),
        ("ed25519", "accept", "V19"),
        ("nistp256", "accept", "V19"),
        ("nistp384", "accept", "V19"),
        ("nistp521", "accept", "V19"),
        ("dsa2048", "bad key", "V19"),
        ("brainpoolP256r1", "accept", "V19"),
        ("brainpoolP384r1", "accept", "V19"),
        ("brainpoolP512r1", "accept", "V19"),
        ("secp256k1", "bad key", "V19"),
        ("rsa1024", "bad key", "V19"),
    ];
    for (algorithm, expected, rule) in keys {
        home.generate(algorithm, algorithm, "sign,cert");
        let asc = home.sign(algorithm, &[]);
        add(
            &format!("key {algorithm}"),
            rule,
            expected,
            home.export(algorithm),
            asc,
        );
    }
    let rsa = home.export("rsa2048");
    let digests = [
        ("SHA1", "weak", "V17"),
        ("RIPEMD160", "weak", "V17"),
        ("SHA224", "weak", "V17"),
        ("SHA256", "accept", "V17"),
        ("SHA384", "accept", "V17"),
        ("SHA512", "accept", "V17"),
    ];
    for (digest, expected, rule) in digests {
        let options = ["--digest-algo", digest, "--allow-weak-digest-algos"];
        let asc = home.sign("rsa2048", &options);
        add(
            &format!("digest {digest}"),
            rule,
            expected,
            rsa.clone(),
            asc,
        );
    }
    let asc = home.sign("ed25519", &["--digest-algo", "SHA224"]);
    add(
        "Ed25519 with SHA224",
        "V18",
        "weak",
        home.export("ed25519"),
        asc,
    );
    let forms: [(&str, &str, &str, &[&str]); 8] = [
        ("text mode", "V9", "malformed", &["--textmode"]),
        ("binary signature", "V3", "malformed", &["--detach-sign"]),
        ("inline-signed", "V3", "malformed", &["--armor", "--sign"]),
        ("clear-signed", "V3", "malformed", &["--clear-sign"]),
        (
            "with a comment",
            "V3",
            "accept",
            &["--comment", "x y", "--emit-version"],
        ),
        (
            "with a notation",
            "V14",
            "accept",
            &["--sig-notation", "a@example.invalid=x"],
        ),
        (
            "with a critical notation",
            "V14",
            "malformed",
            &["--sig-notation", "!a@example.invalid=x"],
        ),
        (
            "with an expiry",
            "V12",
            "accept",
            &["--default-sig-expire", "9d"],
        ),
    ];
    for (name, rule, expected, options) in forms {
        let asc = home.sign("rsa2048", options);
        add(name, rule, expected, rsa.clone(), asc);
    }
    let two = home.sign("rsa2048", &["--local-user", "ed25519"]);
    add(
        "two signers, both known",
        "V6",
        "accept",
        [rsa.clone(), home.export("ed25519")].concat(),
        two.clone(),
    );
    add("two signers, one known", "V6", "accept", rsa.clone(), two);
    add(
        "armored keyring",
        "V22",
        "accept",
        home.run(&["--armor", "--export", "rsa2048"]),
        home.sign("rsa2048", &[]),
    );
    let asc = home.sign("rsa2048", &[]);
    add(
        "minimal keyring",
        "V22",
        "accept",
        home.run(&["--export-options", "export-minimal", "--export", "rsa2048"]),
        asc,
    );

    home.generate("withsub", "rsa2048", "cert");
    let primary = home.fingerprints("withsub").remove(0);
    home.run(&["--quick-add-key", &primary, "ed25519", "sign", "never"]);
    let asc = home.sign("withsub", &[]);
    add(
        "signing subkey",
        "V27",
        "accept",
        home.export("withsub"),
        asc.clone(),
    );
    // The oracles judge by whether a binding is younger than the signature; times are in seconds.
    thread::sleep(Duration::from_millis(1_100));
    home.run(&["--quick-set-expire", &primary, "1y", "*"]);
    add(
        "signing subkey, renewed",
        "V27",
        "accept",
        home.export("withsub"),
        asc.clone(),
    );
    let minimal = ["--export-options", "export-minimal", "--export", "withsub"];
    add(
        "signing subkey, renewed, minimal",
        "V27",
        "accept",
        home.run(&minimal),
        asc.clone(),
    );
    home.run(&["--quick-set-expire", &primary, "seconds=1"]);
    thread::sleep(Duration::from_secs(2));
    add(
        "primary key expired",
        "V25",
        "bad key",
        home.export("withsub"),
        asc,
    );

    home.generate("revoked", "ed25519", "sign,cert");
    let asc = home.sign("revoked", &[]);
    let fingerprint = home.fingerprints("revoked").remove(0);
    let path = home
        .path()
        .join("openpgp-revocs.d")
        .join(format!("{fingerprint}.rev"));
    let guarded = fs::read_to_string(path).expect("gpg writes a revocation");
    let revocation = guarded.replace(":-----BEGIN", "-----BEGIN");
    let armored = home.run(&["--armor", "--export", "revoked"]);
    add(
        "revoked by the file appended",
        "V28",
        "bad key",
        [armored, revocation.clone().into_bytes()].concat(),
        asc.clone(),
    );
    fs::write(home.path().join("revocation"), revocation).expect("a file");
    home.run(&["--import", "revocation"]);
    add("revoked", "V28", "bad key", home.export("revoked"), asc);

    let asc = home.sign("ed25519", &["--faked-system-time", "20500101T000000"]);
    add(
        "signed in 2050",
        "V11",
        "not alive",
        home.export("ed25519"),
        asc,
    );
    let keybox = fs::read(home.path().join("pubring.kbx")).expect("gpg keeps a keybox");
    add(
        "its keybox",
        "V22",
        "malformed",
        keybox,
        home.sign("rsa2048", &[]),
    );
    let secret = home.run(&["--export-secret-keys", "rsa2048"]);
    add(
        "secret keyring",
        "V22",
        "malformed",
        secret,
        home.sign("rsa2048", &[]),
    );

    for curve in ["brainpoolP256r1", "brainpoolP384r1", "brainpoolP512r1"] {
        let name = format!("gpg: {curve}, other data");
        let (keyring, asc) = (home.export(curve), home.sign(curve, &[]));
        cases.push(Case::new(name, "V19", "bad signature", keyring, asc).over("other"));
    }

    let text = home.sign("rsa2048", &["--textmode"]);
    let allowed = Policy::default().with_text_signatures();
    let case = Case::new("gpg: text mode, allowed", "V9", "accept", rsa, text);
    cases.push(case.under(allowed).beside_a_digest());
    cases
}
