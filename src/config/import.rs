use std::env;
use std::ffi::OsString;
use std::path::Path;

use imagestore_core::{Error, ErrorKind, RemoteName, Result};
use imagestore_lxd::{ClientConfig, ClientRemote, Family};

use crate::config::{Config, FlatError, RemoteSettings, TrustSetting};
use crate::defaults::alias_prefix;

/// What `lxc` or `incus` know, and what of it is not in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Imported {
    /// The remotes.
    pub config: Config,
    /// What was left out, and why: one line for people each.
    pub skipped: Vec<String>,
}

impl Config {
    /// The remotes that `lxc` or `incus` know, from the directory of their `config.yml` and
    /// `servercerts/`, and from the one for all users of this machine
    /// ([`ClientConfig::global_directory`]).
    ///
    /// They are believed as those programs believe them, by their certificate: what was pinned
    /// there is pinned here, and exclusively. A remote that cannot be used here is left out, and so
    /// is the host of this machine where there is none; [`Imported::skipped`] says so.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] if the files are not what they should be, or no remote is left;
    /// [`ErrorKind::Storage`] if they cannot be read.
    ///
    /// # Examples
    /// ```no_run
    /// use imagestore::Config;
    /// use imagestore::lxd::{ClientConfig, Family};
    ///
    /// let environment = |name: &str| std::env::var_os(name);
    /// if let Some(directory) = ClientConfig::directory(Family::Lxd, environment) {
    ///     let imported = Config::import(&directory, Family::Lxd)?;
    ///     for line in imported.skipped {
    ///         eprintln!("left out: {line}");
    ///     }
    ///     print!("{}", imported.config.to_toml()?);
    /// }
    /// # Ok::<(), imagestore::Error>(())
    /// ```
    pub fn import(directory: &Path, family: Family) -> Result<Imported> {
        Self::import_with(directory, family, |name| env::var_os(name))
    }

    /// The same, in an environment that is given.
    ///
    /// # Errors
    /// Those of [`Config::import`].
    pub fn import_with(
        directory: &Path,
        family: Family,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Imported> {
        let global = ClientConfig::global_directory(family, &environment);
        let known = ClientConfig::open_with_global(directory, &global, family)?;
        let mut config = Self::new(directory);
        let mut skipped = known.skipped;
        for remote in known.remotes {
            let name: RemoteName = match remote.name.parse() {
                Ok(name) => name,
                Err(error) => {
                    skipped.push(error.to_string());
                    continue;
                }
            };
            let is_known =
                !remote.public && remote.url.as_ref().is_some_and(|url| url.base().is_some());
            let mut settings = match settings(remote, family, &environment) {
                Ok(settings) => settings,
                Err(error) => {
                    skipped.push(format!("remote `{name}` cannot be reached: {error}"));
                    continue;
                }
            };
            if is_known && known.identity.is_some() {
                settings.client_cert = Some("client.crt".into());
                settings.client_key = Some("client.key".into());
            }
            if known.default_remote.as_deref() == Some(name.as_str()) {
                config = config.with_default(name.clone());
            }
            config = config.with_remote(name, settings);
        }
        if config.remotes().is_empty() {
            let none = Error::new(
                ErrorKind::InvalidConfig,
                "there is no remote that can be used",
            )
            .with_subject(directory.display());
            return Err(if skipped.is_empty() {
                none
            } else {
                none.with_source(FlatError(skipped.join("; ")))
            });
        }
        Ok(Imported { config, skipped })
    }
}

/// What a remote is here; an error if it is the host of this machine, and there is none.
fn settings(
    remote: ClientRemote,
    family: Family,
    environment: &impl Fn(&str) -> Option<OsString>,
) -> Result<RemoteSettings> {
    let url = match remote.url {
        Some(url) => url,
        None => family.local_with(environment)?,
    };
    let mut settings = RemoteSettings::new(url.to_string())
        .with_trusted_certs(remote.pins.iter().map(|pin| format!("sha256:{pin}")))
        .with_trust(TrustSetting::Channel);
    if let Some(project) = remote.project {
        settings.arguments.insert("project".to_owned(), project);
    }
    if let Some(prefix) = alias_prefix(&settings.url) {
        let strip = ("strip".to_owned(), prefix.to_owned());
        settings.arguments.extend([strip]);
    }
    if let Some(port) = remote.port {
        settings
            .arguments
            .insert("port".to_owned(), port.to_string());
    }
    Ok(settings)
}
