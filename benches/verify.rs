//! What does verification cost beside hashing alone, and beside other verifiers?
//!
//! 450 MB, written once to a temporary file, signed by RSA-4096 and Ed25519 with SHA-512 here and
//! with SHA-256 by GnuPG. Ours are measured in this process, in chunks of 64 KiB as they come from
//! a download, which are written and hashed; beside them, in turn, the same chunks are written and
//! hashed without any check. What the check adds is told as a part of hashing alone. The others are
//! measured as commands, from start to end. All figures are processor time. `--smoke` or `--test`
//! uses 4 MB.

use std::{
    fs::{self, File},
    io::{Read, Write},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use imagestore_verify::{
    DetachedSignature, Keyring, Policy, Sha256, Spool, StreamingCheck, Unverified, Verifier,
    signing::SigningKey,
};
use sha2::Digest as _;
use tempfile::TempDir;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const CHUNK: usize = 64 * 1024;

fn main() -> Outcome<()> {
    let smoke = std::env::args().any(|argument| argument == "--smoke" || argument == "--test");
    let (size, runs) = if smoke {
        (4_000_000, 1)
    } else {
        (450_000_000, 5)
    };
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    let sum = write_data(&path("data"), size)?;
    println!(
        "{} MB, {runs} runs each, the least processor time",
        size / 1_000_000
    );

    let chunks = read_chunks(&path("data"))?;
    let sha256 = || drop(hash::<sha2::Sha256>(&chunks));
    let sha512 = || drop(hash::<sha2::Sha512>(&chunks));
    let alone256 = row("sha2 SHA-256, hashing alone", runs, None, &sha256);
    let alone512 = row("sha2 SHA-512, hashing alone", runs, None, &sha512);
    let write = || {
        let mut file = tempfile::tempfile_in(&folder).expect("a file");
        let written = chunks.iter().try_for_each(|chunk| file.write_all(chunk));
        written.expect("there is room");
    };
    let with256 = || {
        write();
        sha256();
    };
    let with512 = || {
        write();
        sha512();
    };
    let stream = |check: StreamingCheck| stream(&folder, &chunks, check);

    let yesterday = SystemTime::now() - Duration::from_secs(86_400);
    let rsa = if smoke {
        None
    } else {
        Some(SigningKey::generate_rsa4096("rsa", yesterday))
    };
    let ed25519 = Some(SigningKey::generate_ed25519("ed25519", yesterday));
    for (name, key) in [("RSA-4096", rsa), ("Ed25519", ed25519)] {
        let Some(key) = key else {
            continue;
        };
        let home = path(name);
        prepare(&home, &key, &path("data"))?;
        let baselines: [(&str, &dyn Fn(), Duration); 2] = [
            ("SHA512", &with512, alone512),
            ("SHA256", &with256, alone256),
        ];
        for (digest, run, alone) in baselines {
            let asc = home.join(digest);
            if !asc.exists() {
                println!("NOT MEASURED: {name} with {digest}: no gpg");
                continue;
            }
            let check = check(&key, &asc)?;
            let title = format!("ours, {name} with {digest}");
            let baseline = Baseline { run, alone };
            row(&title, runs, Some(baseline), &|| stream(check.clone()));
            commands(&title, runs, &home, &asc, &path("data"));
        }
    }
    let baseline = Baseline {
        run: &|| {
            with256();
            sha512();
        },
        alone: alone256 + alone512,
    };
    let both = check_both(&path("Ed25519"), sum)?;
    let title = "ours, Ed25519 with SHA512 and a SHA-256 digest";
    row(title, runs, Some(baseline), &|| stream(both.clone()));
    for (tool, arguments) in [
        ("sha256sum", vec![]),
        ("sha512sum", vec![]),
        ("openssl", vec!["dgst", "-sha256"]),
        ("openssl", vec!["dgst", "-sha512"]),
    ] {
        let mut command = vec![tool];
        command.extend(arguments);
        run_command(&command.join(" "), runs, &command, &[&path("data")]);
    }
    Ok(())
}

fn write_data(path: &Path, size: usize) -> Outcome<Sha256> {
    let mut file = File::create(path)?;
    let mut hasher = sha2::Sha256::new();
    // Noise that needs no seed: each block is the digest of the one before, repeated.
    let mut block = sha2::Sha512::digest(b"imagestore").to_vec();
    let mut left = size;
    while left > 0 {
        block = sha2::Sha512::digest(&block).to_vec();
        let filled = block.repeat(CHUNK / 64);
        let piece = &filled[..left.min(CHUNK)];
        file.write_all(piece)?;
        hasher.update(piece);
        left -= piece.len();
    }
    Ok(Sha256::from_bytes(hasher.finalize().into()))
}

fn read_chunks(path: &Path) -> Outcome<Vec<Bytes>> {
    let mut file = File::open(path)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let bytes = Bytes::from(bytes);
    Ok((0..bytes.len())
        .step_by(CHUNK)
        .map(|at| bytes.slice(at..bytes.len().min(at + CHUNK)))
        .collect())
}

fn hash<D: sha2::Digest>(chunks: &[Bytes]) -> Vec<u8> {
    let mut hasher = D::new();
    chunks.iter().for_each(|chunk| hasher.update(chunk));
    hasher.finalize().to_vec()
}

/// All that verification is: the chunks are written and hashed, and judged at the end.
fn stream(folder: &TempDir, chunks: &[Bytes], check: StreamingCheck) {
    let file = tempfile::tempfile_in(folder).expect("a file");
    let mut spool = Spool::new(file, check);
    for chunk in chunks {
        let chunk = Unverified::new(chunk.clone());
        spool.write(&chunk).expect("there is room");
    }
    spool.finish().expect("the signature is good");
}

/// What is run in turn with something, and how much of it is hashing.
#[derive(Clone, Copy)]
struct Baseline<'a> {
    run: &'a dyn Fn(),
    alone: Duration,
}

fn check(key: &SigningKey, asc: &Path) -> Outcome<StreamingCheck> {
    let keyring = Keyring::from_bytes(key.certificate().as_bytes())?;
    let signature = DetachedSignature::parse(&Unverified::new(fs::read(asc)?.into()))?;
    Ok(StreamingCheck::new().with_signature(Verifier::new(keyring, Policy::default()), signature))
}

fn check_both(home: &Path, sum: Sha256) -> Outcome<StreamingCheck> {
    let keyring = Keyring::from_bytes(&fs::read(home.join("key.asc"))?)?;
    let asc = fs::read(home.join("SHA512"))?;
    let signature = DetachedSignature::parse(&Unverified::new(asc.into()))?;
    let verifier = Verifier::new(keyring, Policy::default());
    Ok(StreamingCheck::new()
        .with_signature(verifier, signature)
        .with_digest(sum))
}

/// The key and its signatures; those by SHA-256 are made by GnuPG.
fn prepare(home: &Path, key: &SigningKey, data: &Path) -> Outcome<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().mode(0o700).create(home)?;
    fs::write(home.join("key.asc"), key.certificate())?;
    fs::write(home.join("secret.asc"), key.secret())?;
    fs::write(
        home.join("SHA512"),
        key.sign_file(File::open(data)?, SystemTime::now())?,
    )?;
    let gpg = |arguments: &[&str]| {
        let mut command = Command::new("gpg");
        command
            .arg("--homedir")
            .arg(home)
            .args(["--batch", "--yes", "--quiet"]);
        command
            .args(arguments)
            .arg(data)
            .stderr(Stdio::null())
            .output()
            .is_ok()
    };
    let secret = home.join("secret.asc").display().to_string();
    let (ring, asc) = (home.join("key.gpg"), home.join("SHA256"));
    let (ring, asc) = (ring.display().to_string(), asc.display().to_string());
    gpg(&["--import", &secret]);
    let user_id = if home.ends_with("Ed25519") {
        "ed25519"
    } else {
        "rsa"
    };
    gpg(&[
        "--output",
        &ring,
        "--dearmor",
        &home.join("key.asc").display().to_string(),
    ]);
    let mut dearmor = Command::new("gpg");
    dearmor
        .args(["--batch", "--yes", "--output", &ring, "--dearmor"])
        .arg(home.join("key.asc"));
    drop(dearmor.output());
    let sign = [
        "--local-user",
        user_id,
        "--digest-algo",
        "SHA256",
        "--armor",
    ];
    gpg(&[&sign[..], &["--output", &asc, "--detach-sign"]].concat());
    drop(
        Command::new("gpgconf")
            .arg("--homedir")
            .arg(home)
            .args(["--kill", "all"])
            .output(),
    );
    Ok(())
}

fn commands(title: &str, runs: usize, home: &Path, asc: &Path, data: &Path) {
    let ring = home.join("key.gpg");
    let name = title.trim_start_matches("ours, ");
    let gpgv = ["gpgv", "--homedir", "/nonexistent", "--keyring"];
    run_command(&format!("gpgv, {name}"), runs, &gpgv, &[&ring, asc, data]);
    run_command(
        &format!("sqv, {name}"),
        runs,
        &["sqv", "--keyring"],
        &[&ring, asc, data],
    );
}

fn run_command(title: &str, runs: usize, command: &[&str], files: &[&Path]) {
    let made = || {
        let mut made = Command::new(command[0]);
        made.args(&command[1..])
            .args(files)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        made.status()
    };
    match made() {
        Ok(status) if status.success() => {
            row(title, runs, None, &|| drop(made()));
        }
        Ok(status) => println!("NOT MEASURED: {title}: {status}"),
        Err(error) => println!("NOT MEASURED: {title}: {error}"),
    }
}

/// Runs and prints; the least time. A baseline is run in turn with it, so that both see the same
/// machine.
fn row(title: &str, runs: usize, baseline: Option<Baseline<'_>>, run: &dyn Fn()) -> Duration {
    let (mut quickest, mut least) = (Duration::MAX, Duration::MAX);
    for _ in 0..runs {
        if let Some(baseline) = baseline {
            least = least.min(cost(baseline.run));
        }
        quickest = quickest.min(cost(run));
    }
    let more = baseline.map_or(String::new(), |baseline| {
        let (whole, least) = (quickest.as_secs_f64(), least.as_secs_f64());
        let part = (whole - least) / baseline.alone.as_secs_f64() * 100.0;
        format!(
            "written and hashed alone {least:.3} s; the check adds {part:+.1} % of hashing alone"
        )
    });
    println!("{title:52} {:8.3} s  {more}", quickest.as_secs_f64());
    quickest
}

/// Processor time, which a busy machine does not stretch as it does the time on the wall.
fn cost(run: &dyn Fn()) -> Duration {
    let (own, children) = (own_time(), children_time());
    run();
    let children = children_time() - children;
    if children.is_zero() {
        own_time() - own
    } else {
        children
    }
}

fn own_time() -> Duration {
    let counted = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = counted
        .split(' ')
        .next()
        .and_then(|first| first.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or_default())
}

/// User and system time of the commands that have ended, in hundredths of a second.
fn children_time() -> Duration {
    let counted = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = counted.rsplit(')').next().unwrap_or_default();
    let ticks = after.split_whitespace().skip(13).take(2);
    Duration::from_millis(
        ticks
            .filter_map(|count| count.parse::<u64>().ok())
            .sum::<u64>()
            * 10,
    )
}
