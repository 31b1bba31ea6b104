//! Rules about the sources themselves.

use std::{error::Error, fs, path::Path};

#[test]
fn one_file_names_the_openpgp_library_and_none_vouches() -> Result<(), Box<dyn Error>> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path)?;
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            read += 1;
            assert!(
                name == "backend.rs" || !text.contains("pgp::"),
                "{name} names the library"
            );
            let called = text.lines().any(|line| {
                line.contains("danger::vouch(") && !line.trim_start().starts_with("//")
            });
            assert!(!called, "{name} vouches");
        }
    }
    assert!(read > 20, "only {read} files");
    Ok(())
}

#[test]
fn every_rule_of_the_policy_has_a_row() {
    let policy = include_str!("../../POLICY.md");
    for rule in 1..=34 {
        let row = format!("| V{rule} |");
        assert_eq!(policy.matches(&row).count(), 1, "{row}");
    }
}
