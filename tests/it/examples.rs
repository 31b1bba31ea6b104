//! Every example runs, on this machine alone.

use std::process::Command;

use crate::surface::example;

#[test]
fn the_demonstration_shows_the_whole_way() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let output = Command::new(example("fetch"))
        .env("TMPDIR", directory.path())
        .env("HOME", directory.path())
        .output()
        .expect("run");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for line in [
        "https+registry://127.0.0.1",
        "https+lxc-images://127.0.0.1",
        "downloaded nothing",
        "refused",
    ] {
        assert!(text.contains(line), "no `{line}` in {text}");
    }
}

#[test]
fn a_protocol_of_ones_own_works_like_the_others() {
    let output = Command::new(example("custom_protocol"))
        .output()
        .expect("run");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(text.starts_with("image tiny\nrootfs has 1 files"), "{text}");
}
