//! What these tests compare with. The test kit is not used here: it is built upon this crate.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Whether a tool is installed. Where it is not, that is said on standard error, and fails if
/// `IMAGESTORE_REQUIRE_TOOLS` is set.
pub(crate) fn has(tool: &str) -> bool {
    let run = Command::new(tool)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if run.is_ok_and(|status| status.success()) {
        return true;
    }
    let required = std::env::var_os("IMAGESTORE_REQUIRE_TOOLS").is_some();
    assert!(!required, "`{tool}` is not installed");
    absent(tool);
    false
}

/// The folder of the vectors that are beside the project and no part of it.
pub(crate) fn vectors() -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let shared = std::env::var_os("IMAGESTORE_SHARED").map_or_else(beside, PathBuf::from);
    let found = shared.join("vectors");
    if found.is_dir() {
        return Some(found);
    }
    absent(&found.display().to_string());
    None
}

fn absent(what: &str) {
    say(&format!(
        "NOT TESTED: `{what}` is missing here, what needs it is left out"
    ));
}

/// Says something past the capture of the test harness: `eprintln!` is swallowed in tests that
/// pass.
pub(crate) fn say(text: &str) {
    drop(writeln!(std::io::stderr(), "{text}"));
}
