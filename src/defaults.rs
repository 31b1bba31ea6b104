//! The remotes there are before anybody configures any. No other file of the library holds the URL
//! of a server.

use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use imagestore_core::{Place, RemoteName, RemoteUrl, Result};
use imagestore_lxd::Family;

use crate::config::{Config, RemoteSettings, TrustSetting, config_file};

/// The default configuration.
///
/// | remote | what it is | what must be in the configuration directory |
/// |---|---|---|
/// | `local` | the LXD or Incus daemon of this machine, if its socket is there | |
/// | `images` | the registry of linuxcontainers.org | `keys/registry.asc` |
/// | `linuxcontainers` | the lxc-images server of linuxcontainers.org | `keys/E7FB….asc`: the key with this fingerprint, and no other, is believed |
/// | `ubports` | the system-image server of UBports | `keys/572E….asc`: its archive-master, pinned in the same way |
/// | `lxc`, `lxd`, `ubuntu-cloud` | the simplestreams servers of Incus, LXD and Ubuntu, believed by TLS with the system's roots | |
/// | `ubuntu` | the system-image server of Canonical | `keys/153F….asc`: its archive-master, pinned in the same way |
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
        .with_remote(
            name("ubports"),
            RemoteSettings::new("https+system-image://system-image.ubports.com")
                .with_trusted_keys(["572EA5B6572AF4CEDE4526051A30C7D6585E9E81"]),
        )
        .with_remote(
            name("ubuntu"),
            RemoteSettings::new("https+system-image://system-image.ubuntu.com")
                .with_trusted_keys(["153F1C9EF1395FBF00352E8D0BFB847F3F272F5B"]),
        )
        .with_remote(
            name("lxc"),
            simplestreams("https+simplestreams://images.linuxcontainers.org"),
        )
        .with_remote(
            name("lxd"),
            simplestreams("https+simplestreams://images.lxd.canonical.com"),
        )
        .with_remote(
            name("ubuntu-cloud"),
            simplestreams("https+simplestreams://cloud-images.ubuntu.com/releases"),
        )
        .with_default(name("images"));
    if let Some(url) = local_host() {
        let settings = RemoteSettings::new(url.to_string()).with_trust(TrustSetting::Channel);
        config = config
            .with_remote(name("local"), settings)
            .with_default(name("local"));
    }
    Ok(config)
}

/// Where the daemon of this machine is, if it is there now.
fn local_host() -> Option<RemoteUrl> {
    let found = [Family::Incus, Family::Lxd]
        .into_iter()
        .filter_map(|family| family.local().ok());
    found
        .into_iter()
        .find(|url| matches!(url.place(), Place::Socket(path) if is_socket(path)))
}

fn is_socket(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|metadata| metadata.file_type().is_socket())
}

/// Image servers of today sign nothing that clients check: TLS and digests are all there is.
fn simplestreams(url: &str) -> RemoteSettings {
    RemoteSettings::new(url).with_trust(TrustSetting::Channel)
}

fn name(text: &str) -> RemoteName {
    text.parse()
        .expect("a constant that parses, held by the test of the defaults")
}

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
            local_host().is_some()
        );
    }
}
