//! Ends a publishing process before and within each of its steps, for the tests of what readers find then.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

thread_local! {
    /// How many steps are left until the process ends.
    static LEFT: Cell<Option<usize>> = const { Cell::new(None) };
    static SEEN: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Ends the process if it is its turn, as a kill would: nothing is cleared away.
pub(crate) fn step(what: &str, path: &Path) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = format!("{what} {name}");
    match LEFT.get() {
        Some(0) => {
            // Past the capture of the test harness.
            drop(std::io::stderr().write_all(name.as_bytes()));
            std::process::exit(KILLED);
        }
        Some(left) => LEFT.set(Some(left - 1)),
        None => SEEN.with_borrow_mut(|seen| seen.push(name)),
    }
}

/// Whether the process ends at the next step.
pub(crate) fn is_next() -> bool {
    LEFT.get() == Some(0)
}

/// The steps of this work, in order.
pub(crate) fn steps_of(work: impl FnOnce()) -> Vec<String> {
    SEEN.take();
    work();
    SEEN.take()
}

/// In a process that [`killed_at_every_step`] started: its directory. From here on it is ended at its step.
pub(crate) fn doomed() -> Option<PathBuf> {
    let root = env::var_os(ROOT)?;
    let stop = env::var(STOP).expect("set").parse().expect("a number");
    LEFT.set(Some(stop));
    Some(root.into())
}

/// A process that was ended at a step, or came to its end.
pub(crate) struct Ended {
    /// The step at which it was ended; none behind the last one.
    pub(crate) step: Option<String>,
    root: tempfile::TempDir,
}

impl Ended {
    /// What it worked in.
    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }
}

/// Runs this test in processes of their own, each in a copy of `start`, and ends each at a step, one step later each
/// time, until one comes to its end. The steps.
pub(crate) fn killed_at_every_step(
    start: &Path,
    test: &str,
    mut look: impl FnMut(&Ended),
) -> BTreeSet<String> {
    let mut steps = BTreeSet::new();
    for stop in 0.. {
        let root = tempfile::tempdir().expect("a directory");
        copy(start, root.path());
        let output = Command::new(env::current_exe().expect("this test"))
            .args(["--exact", test, "--quiet"])
            .env(ROOT, root.path())
            .env(STOP, stop.to_string())
            .output()
            .expect("started");
        let step = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() {
            look(&Ended { step: None, root });
            break;
        }
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(
            output.status.code(),
            Some(KILLED),
            "step {stop}, {step}: {said}"
        );
        steps.insert(step.clone());
        look(&Ended {
            step: Some(step),
            root,
        });
    }
    steps
}

/// A name in a folder that unfinished work has left.
pub(crate) fn leftover(folder: &Path) -> Option<String> {
    let mut names = all_names(folder).into_iter();
    names.find(|name| name.contains("partial") || name.ends_with(".new"))
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.file_type().expect("known").is_dir() {
            fs::create_dir(&to).expect("made");
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), &to).expect("copied");
        }
    }
}

fn all_names(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        names.push(entry.file_name().to_string_lossy().into_owned());
        if entry.file_type().expect("known").is_dir() {
            names.extend(all_names(&entry.path()));
        }
    }
    names
}

const KILLED: i32 = 77;
const ROOT: &str = "IMAGESTORE_PUBLISH_CRASH_ROOT";
const STOP: &str = "IMAGESTORE_PUBLISH_CRASH_STEP";
