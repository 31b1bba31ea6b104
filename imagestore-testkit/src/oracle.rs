//! Runs the tools whose verdict counts, such as `gpgv` and GNU `tar`.
//!
//! ```
//! use imagestore_testkit::oracle::Tool;
//!
//! let Some(tar) = Tool::find("tar") else { return };
//! assert!(tar.command().args(["--version"]).run().success());
//! ```

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A tool that is installed.
#[derive(Clone, Debug)]
pub struct Tool {
    path: PathBuf,
}

impl Tool {
    /// The tool of this name on `PATH` or in the places of the system's own tools, or the file at this absolute path.
    ///
    /// If it is missing, that is said on standard error, past the capture of the test harness.
    ///
    /// # Panics
    /// If it is missing and `IMAGESTORE_REQUIRE_TOOLS=1` is set, as where every tool is known to be installed.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
        folders.extend(["/usr/bin", "/bin", "/usr/sbin", "/sbin"].map(PathBuf::from));
        // An absolute name replaces the folder it is joined to.
        let found = folders
            .iter()
            .map(|folder| folder.join(name))
            .find(|path| path.is_file());
        if found.is_none() {
            missing(name);
        }
        found.map(|path| Self { path })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A run of it that is not started yet, in English, with nothing on standard input, for at most a minute.
    #[must_use]
    pub fn command(&self) -> Run {
        let mut command = Command::new(&self.path);
        command.env("LC_ALL", "C").env("TZ", "UTC");
        Run {
            name: self.path.clone(),
            command,
            input: Vec::new(),
            patience: Duration::from_secs(60),
        }
    }
}

/// Says on standard error that something a test compares with is missing, and that the test is not run.
///
/// # Panics
/// If `IMAGESTORE_REQUIRE_TOOLS=1` is set.
pub fn missing(what: &str) {
    assert!(
        std::env::var_os("IMAGESTORE_REQUIRE_TOOLS").is_none(),
        "{}",
        not_tested(what)
    );
    absent(what);
}

/// Data that is beside the project and no part of it, below `$IMAGESTORE_SHARED` or beside the
/// workspace. Where it is not, that is said on standard error.
#[must_use]
pub fn shared(path: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let shared = std::env::var_os("IMAGESTORE_SHARED").map_or_else(beside, PathBuf::from);
    let found = shared.join(path);
    if found.exists() {
        return Some(found);
    }
    let missing = if shared.exists() { found } else { shared };
    absent(&missing.display().to_string());
    None
}

/// Says on standard error, once, that data a test would use is not at hand. Unlike a tool it cannot be
/// installed, so it is never required.
pub fn absent(what: &str) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    if said.insert(what.to_owned()) {
        // Written to the stream itself: `eprintln!` is swallowed in tests that pass.
        drop(writeln!(std::io::stderr(), "{}", not_tested(what)));
    }
}

fn not_tested(what: &str) -> String {
    format!("NOT TESTED: `{what}` is missing here, what needs it is left out")
}

/// One run of a tool.
#[derive(Debug)]
pub struct Run {
    name: PathBuf,
    command: Command,
    input: Vec<u8>,
    patience: Duration,
}

impl Run {
    /// More arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command.args(args);
        self
    }

    /// A variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.command.env(name, value.into());
        self
    }

    /// The directory it runs in.
    #[must_use]
    pub fn folder(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// What it reads on standard input.
    #[must_use]
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// How long it may take.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// If it cannot be started, or takes longer than it may: then it is killed.
    #[must_use]
    pub fn run(mut self) -> Outcome {
        let name = self.name.display().to_string();
        let started = self
            .command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child =
            started.unwrap_or_else(|error| panic!("`{name}` cannot be started: {error}"));
        let mut stdin = child.stdin.take().expect("piped above");
        let input = std::mem::take(&mut self.input);
        // One that does not read its input to the end is fine.
        let writer = thread::spawn(move || drop(stdin.write_all(&input)));
        let stdout = collect(child.stdout.take().expect("piped above"));
        let stderr = collect(child.stderr.take().expect("piped above"));
        let deadline = Instant::now() + self.patience;
        let status = loop {
            match child.try_wait().expect("a child of this process") {
                Some(status) => break status,
                None if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
                None => {
                    child.kill().expect("a child of this process");
                    drop(child.wait());
                    panic!("`{name}` did not end within {:?}", self.patience);
                }
            }
        };
        writer.join().expect("does not panic");
        Outcome {
            status,
            stdout: stdout.join().expect("does not panic"),
            stderr: stderr.join().expect("does not panic"),
        }
    }
}

/// What a run left.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote.
    pub stdout: Vec<u8>,
    /// What it complained about.
    pub stderr: Vec<u8>,
}

impl Outcome {
    /// Whether its exit status is 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.status.success()
    }

    /// What it wrote, as text.
    #[must_use]
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// What it complained about, as text.
    #[must_use]
    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// What it wrote, if it ended well.
    ///
    /// # Panics
    /// With its complaints, if it did not.
    #[must_use]
    pub fn expect_success(self) -> String {
        assert!(
            self.success(),
            "ended with {}\n{}\n{}",
            self.status,
            self.stdout_text(),
            self.stderr_text()
        );
        self.stdout_text()
    }
}

fn collect(mut from: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before the stream broke is still worth showing.
        drop(from.read_to_end(&mut bytes));
        bytes
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_the_tool_its_input_and_reads_its_output() {
        let Some(cat) = Tool::find("cat") else { return };
        let large = vec![b'x'; 1 << 20];
        assert_eq!(cat.command().input(large.clone()).run().stdout, large);
    }

    #[test]
    fn does_not_find_what_is_not_there() {
        if std::env::var_os("IMAGESTORE_REQUIRE_TOOLS").is_none() {
            assert!(Tool::find("no-such-tool-anywhere").is_none());
        }
    }

    #[test]
    #[should_panic(expected = "did not end within")]
    fn ends_a_tool_that_does_not_end() {
        let Some(sleep) = Tool::find("sleep") else {
            panic!("did not end within: no `sleep`")
        };
        drop(
            sleep
                .command()
                .args(["60"])
                .patience(Duration::from_millis(20))
                .run(),
        );
    }
}
