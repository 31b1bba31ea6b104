//! A place to unpack to, with a tree beside it that nothing may touch.

use std::collections::BTreeMap;
use std::fs;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use imagestore_testkit::oracle::Tool;
use imagestore_unpack::{UnpackError, UnpackErrorKind, Unpacked, Unpacker};
use imagestore_verify::{Sha256, Spool, StreamingCheck, Unverified, Verified, check_digest};
use tempfile::TempDir;

use crate::snapshot::{Node, snapshot};

pub(crate) struct Scene {
    directory: TempDir,
    canary: BTreeMap<PathBuf, Node>,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let canary = directory.path().join("canary");
        fs::create_dir_all(canary.join("below")).expect("a directory");
        fs::write(canary.join("victim"), "untouched").expect("a file");
        fs::write(canary.join("below/victim"), "untouched").expect("a file");
        let canary = snapshot(&canary);
        Self { directory, canary }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn target(&self) -> PathBuf {
        self.path("target")
    }

    /// The archive's way out: a link target or name that would reach the canary.
    pub(crate) fn victim(&self) -> String {
        self.path("canary/victim").display().to_string()
    }

    pub(crate) fn unpack(
        &self,
        unpacker: &Unpacker,
        archive: &[u8],
    ) -> Result<Unpacked, UnpackError> {
        let outcome = unpacker.unpack(&verified(archive), &self.target());
        self.assert_untouched();
        outcome
    }

    /// Unpacks with the defaults and gives the tree.
    pub(crate) fn tree(&self, archive: &[u8]) -> BTreeMap<PathBuf, Node> {
        if let Err(error) = self.unpack(&Unpacker::new(), archive) {
            panic!("{error} ({:?})", std::error::Error::source(&error));
        }
        snapshot(&self.target())
    }

    /// Asserts that nothing but the target and the canary is there, and the canary as it was.
    pub(crate) fn assert_untouched(&self) {
        assert_eq!(snapshot(&self.path("canary")), self.canary);
        for entry in fs::read_dir(self.directory.path()).expect("the scene") {
            let name = entry.expect("an entry").file_name();
            assert!(
                name == "canary" || name == "target",
                "{name:?} was left behind"
            );
        }
    }

    pub(crate) fn assert_refused_by(
        &self,
        unpacker: &Unpacker,
        archive: &[u8],
        kind: UnpackErrorKind,
        message: &str,
    ) {
        let error = self
            .unpack(unpacker, archive)
            .expect_err("it must be refused");
        assert_eq!((error.to_string().as_str(), error.kind()), (message, kind));
        assert!(!self.target().exists(), "the target was published");
    }
}

/// Asserts that an archive is refused, with this message, and leaves nothing.
#[track_caller]
pub(crate) fn assert_refused(archive: &[u8], kind: UnpackErrorKind, message: &str) {
    Scene::new().assert_refused_by(&Unpacker::new(), archive, kind, message);
}

pub(crate) fn verified(bytes: &[u8]) -> Verified<File> {
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(bytes).expect("room for it");
    verified_file(file, &Sha256::of(bytes))
}

pub(crate) fn verified_path(path: &Path) -> Verified<File> {
    verified(&fs::read(path).expect("the archive"))
}

fn verified_file(file: File, digest: &Sha256) -> Verified<File> {
    let spool = Spool::resume(file, StreamingCheck::new().with_digest(*digest)).expect("readable");
    spool
        .finish()
        .expect("the digest is its own")
        .map(|mut files| files.remove(0))
}

pub(crate) fn verified_bytes(bytes: &[u8]) -> Verified<Bytes> {
    let digest = Sha256::of(bytes);
    check_digest(Unverified::new(Bytes::copy_from_slice(bytes)), &digest).expect("its own digest")
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether a program is installed.
pub(crate) fn has(program: &str) -> bool {
    Tool::find(program).is_some()
}

/// What a filter program makes of bytes.
pub(crate) fn filter(program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|cause| panic!("these tests need {program}: {cause}"));
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("its end");
    writer
        .join()
        .expect("no panic")
        .expect("it reads its input");
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        output.status
    );
    output.stdout
}

pub(crate) fn xz(bytes: &[u8]) -> Vec<u8> {
    filter("xz", &["-c", "-T1"], bytes)
}

/// What this thread has cost so far; unlike the clock on the wall it does not count others' work.
pub(crate) fn cpu() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.cast_unsigned(), now.tv_nsec as u32)
}
