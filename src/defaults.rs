//! The remotes there are before anybody configures any. No other file of the library holds the URL
//! of a server.

use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use imagestore_core::{RemoteName, Result};

use crate::config::{Config, RemoteSettings, TrustSetting, config_file};

/// The default configuration.
///
/// | remote | what it is | what must be in the configuration directory |
/// |---|---|---|
/// | `local` | the LXD or Incus daemon of this machine, if its socket is there | |
/// | `images` | the registry of linuxcontainers.org | `keys/registry.asc` |
/// | `linuxcontainers` | the lxc-images server of linuxcontainers.org | `keys/E7FB….asc`: the key with this fingerprint, and no other, is believed |
///
/// `local` is the default remote where it exists, otherwise `images`.
///
/// # Errors
/// [`ErrorKind::InvalidConfig`](crate::ErrorKind::InvalidConfig) if there is no home directory.
pub fn config() -> Result<Config> {
    let base = config_file()?
        .parent()
        .map(Path::to_owned)
        .unwrap_or_default();
    let mut config = Config::new(base)
        .with_remote(
            name("images"),
            RemoteSettings::new("https+registry://registry.linuxcontainers.org")
                .with_trusted_keys(["keys/registry.asc"]),
        )
        .with_remote(
            name("linuxcontainers"),
            RemoteSettings::new("https+lxc-images://images.linuxcontainers.org")
                .with_trusted_keys(["E7FB0CAEC8173D669066514CBAEFF88C22F6E216"]),
        )
        .with_default(name("images"));
    if let Some(socket) = local_socket() {
        let url = format!("unix+lxd://{}", socket.display());
        config = config
            .with_remote(
                name("local"),
                RemoteSettings::new(url).with_trust(TrustSetting::Channel),
            )
            .with_default(name("local"));
    }
    Ok(config)
}

/// The socket of the daemon of this machine, looked for where both projects look.
fn local_socket() -> Option<PathBuf> {
    let named = [
        ("INCUS_SOCKET", ""),
        ("INCUS_DIR", "unix.socket"),
        ("LXD_SOCKET", ""),
        ("LXD_DIR", "unix.socket"),
    ];
    let from_environment = named.into_iter().filter_map(|(variable, file)| {
        let value = std::env::var_os(variable).filter(|value| !value.is_empty())?;
        Some(if file.is_empty() {
            PathBuf::from(value)
        } else {
            PathBuf::from(value).join(file)
        })
    });
    from_environment
        .chain(SOCKETS.iter().map(PathBuf::from))
        .find(|path| is_socket(path))
}

fn is_socket(path: &Path) -> bool {
    path.is_absolute()
        && path
            .metadata()
            .is_ok_and(|metadata| metadata.file_type().is_socket())
}

fn name(text: &str) -> RemoteName {
    text.parse()
        .expect("a constant that parses, held by the test of the defaults")
}

const SOCKETS: &[&str] = &[
    "/run/incus/unix.socket",
    "/var/lib/incus/unix.socket",
    "/var/snap/lxd/common/lxd/unix.socket",
    "/var/lib/lxd/unix.socket",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_remotes_and_pins_their_keys() {
        let config = config().expect("a home directory");
        assert_eq!(
            config
                .remotes()
                .get(&name("images"))
                .map(|it| it.url.as_str()),
            Some("https+registry://registry.linuxcontainers.org")
        );
        assert_eq!(
            config
                .remotes()
                .get(&name("linuxcontainers"))
                .map(|it| it.trusted_keys.join(",")),
            Some("E7FB0CAEC8173D669066514CBAEFF88C22F6E216".to_owned())
        );
        assert_eq!(
            config.remotes().contains_key(&name("local")),
            local_socket().is_some()
        );
    }
}
