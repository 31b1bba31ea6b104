use std::path::Path;

use imagestore_core::{Error, ErrorKind, RemoteName, Result};
use imagestore_lxd::{ClientConfig, Family};

use crate::config::{Config, RemoteSettings, TrustSetting};

impl Config {
    /// The remotes that `lxc` or `incus` know, from the directory of their `config.yml` and
    /// `servercerts/`.
    ///
    /// They are believed as those programs believe them, by their certificate: what was pinned
    /// there is pinned here, and exclusively. What cannot be used here is left out; see
    /// [`ClientConfig::skipped`].
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] if the files cannot be read or are not what they should be.
    pub fn import(directory: &Path, family: Family) -> Result<Self> {
        let known = ClientConfig::open(directory, family)?;
        let mut config = Self::new(directory);
        for remote in known.remotes {
            let url = match (remote.url, family.local()) {
                (Some(url), _) | (None, Ok(url)) => url,
                (None, Err(_)) => continue,
            };
            let name: RemoteName = remote.name.parse()?;
            let mut settings = RemoteSettings::new(url.to_string())
                .with_trusted_certs(remote.pins.iter().map(|pin| format!("sha256:{pin}")))
                .with_trust(TrustSetting::Channel);
            if let Some(project) = remote.project {
                settings.arguments.insert("project".to_owned(), project);
            }
            if known.identity.is_some() && !remote.public && url.base().is_some() {
                settings.client_cert = Some("client.crt".into());
                settings.client_key = Some("client.key".into());
            }
            if known.default_remote.as_deref() == Some(name.as_str()) {
                config = config.with_default(name.clone());
            }
            config = config.with_remote(name, settings);
        }
        if config.remotes().is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                "there is no remote that can be used",
            )
            .with_subject(directory.display()));
        }
        Ok(config)
    }
}
