//! The configuration file `remotes.toml` and what it becomes.
//!
//! ```toml
//! default = "images"
//!
//! [remotes.images]
//! url = "https+registry://images.example"
//! trusted_keys = ["keys/registry.asc"]     # files beside this one, or full fingerprints of keys/<FINGERPRINT>.asc
//! trusted_certs = ["certs/registry.pem"]   # PEM files, or "sha256:<64 hex>" of the DER form; exclusive
//! # trust = "channel"                      # instead of keys: believe what comes over authenticated TLS
//! # mirrors = ["https://mirror.example/prefix"]
//! # arguments = { base = "ubuntu-core" }
//! # allow_http = true                      # let http+… leave this machine
//! # default_arch = "amd64"
//! # max_age_days = 14                      # refuse indexes signed longer ago
//! # client_cert = "client.crt"             # what to show to the remote, with client_key
//! # client_key = "client.key"
//! ```

mod import;
mod material;
mod places;
mod settings;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use imagestore_core::{Error, ErrorKind, RemoteConfig, RemoteName, Result};
use serde::{Deserialize, Serialize};

pub use crate::config::import::Imported;
pub use crate::config::places::{config_file, store_dir};
pub use crate::config::settings::{RemoteSettings, TrustSetting};

/// Which remotes there are, and which one is meant by a reference that names none.
///
/// Settings become a [`RemoteConfig`] only when a remote is used, so that one remote whose key file
/// is missing does not stand in the way of the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    base: PathBuf,
    default: Option<RemoteName>,
    remotes: BTreeMap<RemoteName, RemoteSettings>,
}

impl Config {
    /// No remotes; files named in settings are looked for below `base`.
    #[must_use]
    pub fn new(base: impl Into<PathBuf>) -> Self {
        Self {
            base: base.into(),
            ..Self::default()
        }
    }

    /// The configuration in this file.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] naming file and line if it cannot be read or has an unknown
    /// key.
    pub fn open(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).map_err(|error| {
            Error::new(ErrorKind::InvalidConfig, "the configuration cannot be read")
                .with_subject(file.display())
                .with_source(error)
        })?;
        let base = file.parent().unwrap_or(Path::new("")).to_owned();
        Self::parse(&text, base).map_err(|error| error.with_subject(file.display()))
    }

    /// The configuration in this text.
    ///
    /// # Errors
    /// As for [`Config::open`].
    pub fn parse(text: &str, base: impl Into<PathBuf>) -> Result<Self> {
        let document: Document = toml::from_str(text).map_err(|error| {
            Error::new(ErrorKind::InvalidConfig, "the configuration is not valid")
                .with_source(FlatError(error.to_string().trim_end().replace('\n', " ")))
        })?;
        let mut config = Self::new(base);
        for (name, settings) in document.remotes {
            config.remotes.insert(name.parse()?, settings);
        }
        if let Some(default) = document.default {
            let name: RemoteName = default.parse()?;
            if !config.remotes.contains_key(&name) {
                return Err(Error::new(
                    ErrorKind::InvalidConfig,
                    "the default remote is not configured",
                )
                .with_subject(format_args!("`{name}`")));
            }
            config.default = Some(name);
        }
        Ok(config)
    }

    /// The configuration as `remotes.toml`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] if a value cannot be written as TOML.
    pub fn to_toml(&self) -> Result<String> {
        let document = Document {
            default: self.default.as_ref().map(ToString::to_string),
            remotes: self
                .remotes
                .iter()
                .map(|(name, it)| (name.to_string(), it.clone()))
                .collect(),
        };
        toml::to_string(&document).map_err(|error| {
            Error::new(
                ErrorKind::InvalidConfig,
                "the configuration cannot be written",
            )
            .with_source(error)
        })
    }

    /// One more remote; a later one of the same name replaces an earlier one.
    #[must_use]
    pub fn with_remote(mut self, name: RemoteName, settings: RemoteSettings) -> Self {
        self.remotes.insert(name, settings);
        self
    }

    /// The remote meant by a reference that names none.
    #[must_use]
    pub fn with_default(mut self, name: RemoteName) -> Self {
        self.default = Some(name);
        self
    }

    /// The remote meant by a reference that names none.
    #[must_use]
    pub fn default_remote(&self) -> Option<&RemoteName> {
        self.default.as_ref()
    }

    /// The settings of all remotes, by name.
    #[must_use]
    pub fn remotes(&self) -> &BTreeMap<RemoteName, RemoteSettings> {
        &self.remotes
    }

    /// The remote of this name, with its keys and certificates read; nothing if there is none.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] if its settings are wrong or one of its files is missing.
    pub fn remote(&self, name: &RemoteName) -> Option<Result<RemoteConfig>> {
        let settings = self.remotes.get(name)?;
        Some(settings.to_remote(name.clone(), &self.base))
    }
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Document {
    default: Option<String>,
    #[serde(default)]
    remotes: BTreeMap<String, RemoteSettings>,
}

/// The parser's own message spans lines; a cause is one line.
#[derive(Debug)]
struct FlatError(String);

impl std::fmt::Display for FlatError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for FlatError {}

#[cfg(test)]
mod tests;
