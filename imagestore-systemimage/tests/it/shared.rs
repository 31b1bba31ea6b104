//! Where the vectors are: those made for this project here, those of real servers beside it.

use std::fs;
use std::path::PathBuf;

use imagestore_testkit::oracle;

/// A file below `tests/data`.
pub(crate) fn data(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(path)
}

/// A file below the shared vectors of system-image, if they are at hand.
pub(crate) fn vector(path: &str) -> Option<PathBuf> {
    oracle::shared(&format!("vectors/system-image/{path}"))
}

pub(crate) fn read(path: &PathBuf) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
