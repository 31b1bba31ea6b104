use std::path::PathBuf;

use etcetera::base_strategy::{BaseStrategy, Xdg};
use imagestore_core::{Error, ErrorKind, Result};

/// Where `remotes.toml` is looked for when no file is named: `$IMAGESTORE_CONFIG`, else in the XDG
/// configuration directory below `imagestore`.
///
/// # Errors
/// [`ErrorKind::InvalidConfig`] if there is no home directory.
pub fn config_file() -> Result<PathBuf> {
    match std::env::var_os("IMAGESTORE_CONFIG") {
        Some(file) if !file.is_empty() => Ok(file.into()),
        _ => Ok(strategy()?
            .config_dir()
            .join("imagestore")
            .join("remotes.toml")),
    }
}

/// Where images are kept when no directory is named: `imagestore` in the XDG cache directory.
///
/// # Errors
/// [`ErrorKind::InvalidConfig`] if there is no home directory.
pub fn store_dir() -> Result<PathBuf> {
    Ok(strategy()?.cache_dir().join("imagestore"))
}

fn strategy() -> Result<Xdg> {
    Xdg::new().map_err(|error| {
        Error::new(
            ErrorKind::InvalidConfig,
            "there is no home directory to look in",
        )
        .with_remedy("set HOME, or name the directories")
        .with_source(error)
    })
}
