//! What gpgv and sqv say about the same cases, recorded beside our verdicts.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::Case;
use crate::tools::{has, say};

/// Compares the recorded verdicts with those of today; `UPDATE_VERDICTS=1` records them anew.
pub(crate) fn compare(cases: &[Case]) {
    // Some of the cases are made by gpg.
    if !["gpg", "gpgv", "sqv"]
        .map(has)
        .into_iter()
        .all(|there| there)
    {
        return;
    }
    let versions = format!("gpgv {}, sqv {}", version("gpgv"), version("sqv"));
    let folder = tempfile::tempdir().expect("a folder");
    let mut table = format!("# {versions}\n# rule\tours\tgpgv\tsqv\twhy we differ\tcase\n");
    for case in cases {
        let (gpgv, sqv) = verdicts(case, folder.path());
        let same = |verdict: &str| verdict.starts_with("accept") == (case.expected == "accept");
        let why = if same(&gpgv) && same(&sqv) {
            ""
        } else {
            reason(case)
        };
        let row = format!("{}\t{}\t{gpgv}\t{sqv}\t{why}", case.rule, case.expected);
        writeln!(table, "{row}\t{}", case.name).expect("a string grows");
    }
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/verdicts.tsv");
    if std::env::var_os("UPDATE_VERDICTS").is_some() {
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(&path, &table).expect("the table is written");
    }
    let recorded = fs::read_to_string(&path).unwrap_or_default();
    if !recorded.starts_with(&format!("# {versions}\n")) {
        let recorded = recorded.lines().next().unwrap_or_default();
        say(&format!(
            "NOT COMPARED: the verdicts of {versions} with those recorded (`{recorded}`)"
        ));
        return;
    }
    let (recorded, found) = (rows(&recorded), rows(&table));
    let differing: Vec<_> = found
        .iter()
        .filter(|(name, row)| recorded.get(*name) != Some(row))
        .map(|(name, row)| format!("{name}: {row} instead of {:?}", recorded.get(name)))
        .collect();
    assert!(
        differing.is_empty(),
        "run with UPDATE_VERDICTS=1:\n{}",
        differing.join("\n")
    );
    assert_eq!(
        found.len(),
        recorded.len(),
        "the table has rows without a case"
    );
}

/// Why our verdict is another one than that of gpgv or sqv: every difference is deliberate.
fn reason(case: &Case) -> &'static str {
    let named = NAMED.iter().find(|(part, _)| case.name.contains(part));
    let ruled = || RULES.iter().find(|(rule, _)| case.rule == *rule);
    let (_, why) = named.or_else(ruled).unwrap_or_else(|| {
        panic!(
            "{}: {} differs from the oracles and has no reason",
            case.rule, case.name
        )
    });
    why
}

const NAMED: &[(&str, &str)] = &[
    (
        "SHA3-",
        "a digest of RFC 9580; these versions of the tools are older",
    ),
    (
        "algorithm: Ed25519 with SHA",
        "a key of RFC 9580; these versions of the tools are older",
    ),
    (
        "algorithm: Ed448",
        "a key of RFC 9580; these versions of the tools are older",
    ),
    (
        "algorithm: version 6",
        "version 6 of RFC 9580; these versions of the tools are older",
    ),
    (
        "subkey, version 6",
        "version 6 of RFC 9580; these versions of the tools are older",
    ),
    (
        "packets: padding after",
        "a packet of RFC 9580; these versions of the tools are older",
    ),
    (
        "a wrong checksum",
        "RFC 9580 forbids to refuse for the CRC-24; gpgv does",
    ),
    (
        "a bit above its highest",
        "a number has no bits above the highest it announces; gpgv reads over them",
    ),
    (
        "gpg: key brainpool",
        "this sqv is built without these curves",
    ),
    ("wide skew", "the policy of the case allows more skew"),
    ("allowed", "the policy or the frame of the case allows it"),
    (
        "alive at signing asked",
        "the policy of the case asks for less, not for this",
    ),
];

const RULES: &[(&str, &str)] = &[
    ("V2", "more than 64 KiB is never needed"),
    (
        "V3",
        "one armored block and nothing else; both tools skip text, gpgv reads other labels",
    ),
    (
        "V4",
        "the grammar of RFC 9580: unknown packets may be ignored, known ones may not stray",
    ),
    (
        "V5",
        "lengths are definite and small; numbers of version 4 may have leading zeros",
    ),
    (
        "V6",
        "one good signature is enough; gpgv refuses for any other beside it",
    ),
    ("V7", "four attempts for each key"),
    ("V8", "version 4 by version 4, version 6 by version 6"),
    ("V9", "a text signature lets line endings change"),
    (
        "V10",
        "the creation time is covered by the signature, exactly once",
    ),
    (
        "V11",
        "30 minutes of skew; gpgv accepts any date, sqv none ahead",
    ),
    (
        "V12",
        "signatures expire; a sum of times does not wrap around",
    ),
    ("V13", "what is not covered has no meaning, critical or not"),
    (
        "V14",
        "what is critical and unknown spoils the signature, and nothing else does",
    ),
    ("V15", "an issuer is named, once, and found by it"),
    (
        "V16",
        "an intended recipient has a meaning in encrypted messages only",
    ),
    ("V17", "SHA-2 and SHA-3 of 256 bits and more"),
    ("V18", "a digest as long as the key is strong"),
    (
        "V19",
        "no DSA, secp256k1, nor RSA below 2048 bits or with odd numbers",
    ),
    ("V20", "the first bytes of the digest have to match"),
    (
        "V22",
        "keyrings are public keys, armored or binary, and no more than is needed",
    ),
    ("V23", "a copy elsewhere may add revocations"),
    (
        "V24",
        "the newest self-signature in force decides, also when it is younger than the data",
    ),
    ("V25", "keys are alive today, not only when they signed"),
    (
        "V26",
        "old primary keys without flags sign, unless a subkey does; subkeys need the flag",
    ),
    (
        "V27",
        "a subkey is bound and confirms it; a renewed binding may be younger than the data",
    ),
    (
        "V28",
        "a revocation counts by any digest and for ever; soft ones end the key",
    ),
    (
        "V30",
        "a pinned fingerprint stands for the key; SHA-1 only restricts it",
    ),
];

fn rows(table: &str) -> BTreeMap<&str, String> {
    let lines = table.lines().filter(|line| !line.starts_with('#'));
    let split = lines.filter_map(|line| line.rsplit_once('\t'));
    split.map(|(row, name)| (name, row.to_owned())).collect()
}

fn verdicts(case: &Case, folder: &Path) -> (String, String) {
    let (keys, asc, data) = (
        folder.join("keys.gpg"),
        folder.join("asc"),
        folder.join("data"),
    );
    let keyring = dearmored(&case.keyring);
    fs::write(&keys, keyring).expect("a file");
    fs::write(&asc, &case.asc).expect("a file");
    fs::write(&data, &case.data).expect("a file");
    let gpgv = Command::new("gpgv")
        .arg("--homedir")
        .arg(folder)
        .args(["--status-fd", "1", "--keyring"])
        .args([&keys, &asc, &data])
        .output()
        .expect("gpgv runs");
    let said = String::from_utf8_lossy(&gpgv.stdout);
    let doubts = ["EXPKEYSIG", "REVKEYSIG", "EXPSIG"];
    let doubt = doubts
        .iter()
        .find(|doubt| said.contains(&format!("[GNUPG:] {doubt}")));
    let gpgv = match (gpgv.status.success(), doubt) {
        (true, Some(doubt)) => format!("accept {doubt}"),
        (true, None) => "accept".to_owned(),
        (false, _) => "refuse".to_owned(),
    };
    let sqv = Command::new("sqv")
        .arg("--keyring")
        .args([&keys, &asc, &data])
        .output();
    let sqv = if sqv.expect("sqv runs").status.success() {
        "accept"
    } else {
        "refuse"
    };
    (gpgv, sqv.to_owned())
}

/// gpgv reads binary keyrings only.
fn dearmored(keyring: &[u8]) -> Vec<u8> {
    if !keyring.starts_with(b"-----BEGIN PGP PUBLIC") {
        return keyring.to_vec();
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keys");
    fs::write(&path, keyring).expect("a file");
    let output = Command::new("gpg")
        .arg("--dearmor")
        .arg("--output")
        .arg("-")
        .arg(&path)
        .output();
    output.map(|output| output.stdout).unwrap_or_default()
}

fn version(tool: &str) -> String {
    let output = Command::new(tool).arg("--version").output();
    let output = output.expect("it was there a moment ago");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = if said.is_empty() {
        String::from_utf8_lossy(&output.stderr).into_owned()
    } else {
        said
    };
    let first = said.lines().next().unwrap_or_default().to_owned();
    first.split(' ').next_back().unwrap_or("unknown").to_owned()
}
