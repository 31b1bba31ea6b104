//! Verifies a detached OpenPGP signature over a file of any size.
//!
//! ```text
//! cargo run --example verify -- --key KEYS.asc DATA DATA.asc
//! ```
//!
//! Exit status: 0 when the signature is good, 5 when it is refused, 2 for wrong usage, 6 when a
//! file cannot be read.

use std::{
    error::Error,
    fmt::Display,
    fs::File,
    io::{Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use imagestore_verify::{
    DetachedSignature, Fingerprint, Keyring, Policy, Proof, SignatureProof, Spool, StreamingCheck,
    Unverified, Utc, Verifier, VerifyError,
};
use lexopt::Arg;
use serde_json::{Value, json};

const USAGE: &str = "\
usage: verify --key FILE [--key FILE...] [--pin FINGERPRINT] [--at RFC3339] [--json] DATA ASC

  --key FILE         public keys, armored or binary
  --pin FINGERPRINT  believe this key only, also when it is bound by SHA-1 alone
  --at RFC3339       judge at this time, such as 2026-08-29T10:40:00Z
  --json             print one object";

#[derive(Default)]
struct Task {
    keys: Vec<PathBuf>,
    pins: Vec<Fingerprint>,
    policy: Policy,
    json: bool,
    files: Vec<PathBuf>,
}

enum Failure {
    Disk(PathBuf, std::io::Error),
    Refused(VerifyError),
}

fn main() -> ExitCode {
    let task = match parse() {
        Ok(Some(task)) => task,
        Ok(None) => {
            out(USAGE);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            say(format_args!("error: {error}\n{USAGE}"));
            return ExitCode::from(2);
        }
    };
    match verify(&task) {
        Ok(proofs) => {
            report(&task, &proofs);
            ExitCode::SUCCESS
        }
        Err(failure) => {
            let (lines, status) = failure.lines();
            complain(&task, &lines);
            ExitCode::from(status)
        }
    }
}

/// `None` when help was asked for.
fn parse() -> Result<Option<Task>, Box<dyn Error>> {
    let mut task = Task::default();
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("key") => task.keys.push(parser.value()?.into()),
            Arg::Long("pin") => task.pins.push(text(parser.value()?)?.parse()?),
            Arg::Long("at") => task.policy.at = Some(text(parser.value()?)?.parse::<Utc>()?.0),
            Arg::Long("json") => task.json = true,
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            Arg::Value(file) => task.files.push(file.into()),
            other => return Err(other.unexpected().into()),
        }
    }
    match (task.keys.is_empty(), task.files.len()) {
        (true, _) => Err("no key; give --key FILE".into()),
        (_, 2) => Ok(Some(task)),
        (_, given) => Err(format!("two files are needed, DATA and ASC, not {given}").into()),
    }
}

fn text(value: std::ffi::OsString) -> Result<String, Box<dyn Error>> {
    value
        .into_string()
        .map_err(|value| format!("`{}` is not text", value.display()).into())
}

fn verify(task: &Task) -> Result<Vec<Proof>, Failure> {
    let asc = Unverified::new(read(&task.files[1])?.into());
    let signature = DetachedSignature::parse(&asc)?;
    let verifier = Verifier::new(keyring(task)?, task.policy.clone());
    let check = StreamingCheck::new().with_signature(verifier, signature);
    // A signature nobody could have made is refused before gigabytes are read.
    check.check_beforehand()?;
    let data = &task.files[0];
    let disk = |error| Failure::Disk(data.clone(), error);
    let file = File::open(data).map_err(disk)?;
    let spool = Spool::resume(file, check).map_err(disk)?;
    Ok(spool.finish()?.proofs().to_vec())
}

fn keyring(task: &Task) -> Result<Keyring, Failure> {
    let mut all: Option<Keyring> = None;
    for path in &task.keys {
        let keys = Keyring::from_bytes(&read(path)?)?;
        all = Some(match all {
            Some(all) => all.merge(&keys)?,
            None => keys,
        });
    }
    let all = all.ok_or(VerifyError::EmptyKeyring)?;
    let mut pinned: Option<Keyring> = None;
    for pin in &task.pins {
        let one = all.only(pin)?;
        // A pin may name a subkey, which is bound by SHA-2 or not at all.
        let one = one.clone().pinned(pin).unwrap_or(one);
        pinned = Some(match pinned {
            Some(pinned) => pinned.union(&one)?,
            None => one,
        });
    }
    Ok(pinned.unwrap_or(all))
}

/// Keys and signatures are small: what is larger than any of them may be is not read to its end.
fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes))
        .map_err(|error| Failure::Disk(path.to_owned(), error))?;
    Ok(bytes)
}

// More than a keyring may have.
const MAX_BYTES: u64 = 32 << 20;

fn report(task: &Task, proofs: &[Proof]) {
    let signed: Vec<&SignatureProof> = proofs
        .iter()
        .filter_map(|proof| match proof {
            Proof::Signature(signed) => Some(signed),
            _ => None,
        })
        .collect();
    if task.json {
        let signatures: Vec<Value> = signed.into_iter().map(object).collect();
        return out(json!({"verified": true, "signatures": signatures}));
    }
    for signed in signed {
        out(signed);
        for warning in signed.warnings() {
            out(format_args!("warning: {warning}"));
        }
    }
}

fn complain(task: &Task, lines: &[String]) {
    let (error, causes) = (&lines[0], &lines[1..]);
    if task.json {
        let refusal = json!({"verified": false, "error": error, "causes": causes});
        return out(refusal);
    }
    say(format_args!("error: {error}"));
    for cause in causes {
        say(format_args!("caused by: {cause}"));
    }
}

/// Whoever went away without reading, such as `head`, still gets the exit status.
fn out(line: impl Display) {
    drop(writeln!(std::io::stdout().lock(), "{line}"));
}

fn say(line: impl Display) {
    drop(writeln!(std::io::stderr().lock(), "{line}"));
}

fn object(signed: &SignatureProof) -> Value {
    let warnings: Vec<String> = signed.warnings().iter().map(ToString::to_string).collect();
    json!({
        "signer": signed.signer().to_string(),
        "signed_by": signed.signed_by().to_string(),
        "signed_at": Utc(signed.signed_at()).to_string(),
        "hash": signed.hash(),
        "warnings": warnings,
    })
}

impl Failure {
    /// The error and its causes, and the exit status.
    fn lines(&self) -> (Vec<String>, u8) {
        let error: &dyn Error = match self {
            Self::Disk(path, error) => {
                let first = format!("cannot read {}", path.display());
                return (vec![first, error.to_string()], 6);
            }
            Self::Refused(error) => error,
        };
        let causes = std::iter::successors(error.source(), |cause| (*cause).source());
        let mut lines = vec![error.to_string()];
        lines.extend(causes.map(ToString::to_string));
        let disk = matches!(self, Self::Refused(VerifyError::Io(_)));
        (lines, if disk { 6 } else { 5 })
    }
}

impl From<VerifyError> for Failure {
    fn from(error: VerifyError) -> Self {
        Self::Refused(error)
    }
}
