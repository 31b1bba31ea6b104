//! The remotes there are before anybody configures any. No other file of the library holds the URL
//! of a server.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use imagestore_core::{RemoteName, RemoteUrl, Result};
use imagestore_lxd::Family;

use crate::config::{Config, RemoteSettings, TrustSetting, config_file};

/// The default configuration.
///
/// | remote | what it is | what must be in the configuration directory |
/// |---|---|---|
/// | `local` | the Incus or LXD daemon of this machine, if one listens and this user may talk to it: see [`Family::live`] | |
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
    Ok(at(base, local_host(&|name| env::var_os(name))))
}

/// The default configuration with its files below `base`.
fn at(base: PathBuf, local: Option<RemoteUrl>) -> Config {
    let config = Config::new(base)
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
        .with_remote(name("ubuntu-cloud"), ubuntu_cloud())
        .with_default(name("images"));
    match local {
        Some(url) => {
            let settings = RemoteSettings::new(url.to_string()).with_trust(TrustSetting::Channel);
            config
                .with_remote(name("local"), settings)
                .with_default(name("local"))
        }
        None => config,
    }
}

/// Where a daemon of this machine listens.
fn local_host(environment: &impl Fn(&str) -> Option<OsString>) -> Option<RemoteUrl> {
    [Family::Incus, Family::Lxd]
        .into_iter()
        .find_map(|family| family.live_with(environment))
}

/// Image servers of today sign nothing that clients check: TLS and digests are all there is.
fn simplestreams(url: &str) -> RemoteSettings {
    RemoteSettings::new(url).with_trust(TrustSetting::Channel)
}

/// `ubuntu-cloud:22.04` is enough to say where the alias is `ubuntu/22.04`.
fn ubuntu_cloud() -> RemoteSettings {
    let url = format!("{UBUNTU_CLOUD}/releases");
    let strip = alias_prefix(&url).unwrap_or_default().to_owned();
    let mut settings = simplestreams(&url);
    settings.arguments.insert("strip".to_owned(), strip);
    settings
}

/// What the aliases of a server begin with and need not be asked for with, as LXD's clients have it.
pub(crate) fn alias_prefix(url: &str) -> Option<&'static str> {
    let below = url.strip_prefix(UBUNTU_CLOUD)?;
    (below.is_empty() || below.starts_with('/')).then_some("ubuntu/")
}

fn name(text: &str) -> RemoteName {
    text.parse()
        .expect("a constant that parses, held by the test of the defaults")
}

const UBUNTU_CLOUD: &str = "https+simplestreams://cloud-images.ubuntu.com";

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;

    use imagestore_core::{TlsTrust, Trust};

    use super::*;

    #[test]
    fn names_the_remotes_and_pins_their_keys() {
        let config = at("/nowhere".into(), None);
        let remotes = config.remotes();
        for (remote, url, keys) in [
            (
                "images",
                "https+registry://registry.linuxcontainers.org",
                "keys/registry.asc",
            ),
            (
                "linuxcontainers",
                "https+lxc-images://images.linuxcontainers.org",
                "E7FB0CAEC8173D669066514CBAEFF88C22F6E216",
            ),
            (
                "ubports",
                "https+system-image://system-image.ubports.com",
                "572EA5B6572AF4CEDE4526051A30C7D6585E9E81",
            ),
            (
                "ubuntu",
                "https+system-image://system-image.ubuntu.com",
                "153F1C9EF1395FBF00352E8D0BFB847F3F272F5B",
            ),
        ] {
            let settings = &remotes[&name(remote)];
            assert_eq!(settings.url, url);
            assert_eq!(settings.trusted_keys, [keys]);
            assert_eq!(settings.trust, None);
        }
        assert_eq!(remotes.len(), 7);
        assert_eq!(config.default_remote(), Some(&name("images")));
    }

    #[test]
    fn believes_the_image_servers_of_today_by_their_channel() {
        let config = at("/nowhere".into(), None);
        for (remote, host, strip) in [
            ("lxc", "images.linuxcontainers.org", None),
            ("lxd", "images.lxd.canonical.com", None),
            ("ubuntu-cloud", "cloud-images.ubuntu.com", Some("ubuntu/")),
        ] {
            let remote = config.remote(&name(remote)).expect("configured");
            let remote = remote.expect("usable without a file");
            assert_eq!(remote.url().protocol(), "simplestreams");
            let base = remote.url().base().expect("over https");
            assert_eq!((base.authority(), base.is_encrypted()), (host, true));
            assert!(matches!(remote.trust(), Trust::Channel));
            assert_eq!(remote.tls(), &TlsTrust::SystemRoots);
            let found = remote.arguments().get("strip").map(String::as_str);
            assert_eq!(found, strip);
        }
    }

    #[test]
    fn a_daemon_that_listens_is_the_default() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = |name: &str| directory.path().join(name);
        let local = |incus: &str, lxd: &str| {
            let (incus, lxd) = (path(incus), path(lxd));
            local_host(&|name| match name {
                "INCUS_SOCKET" => Some(incus.clone().into()),
                "LXD_SOCKET" => Some(lxd.clone().into()),
                _ => None,
            })
        };
        let url = |protocol: &str, name: &str| {
            let url = format!("unix+{protocol}://{}", path(name).display());
            Some(url.parse::<RemoteUrl>().expect("a URL"))
        };
        let bind = |name: &str| UnixListener::bind(path(name)).expect("a socket");
        let _live = bind("live");
        let _forbidden = bind("forbidden");
        drop(bind("dead"));
        assert_eq!(local("live", "live"), url("incus", "live"));
        assert_eq!(local("dead", "live"), url("lxd", "live"));
        assert_eq!(local("dead", "missing"), None);
        set_permissions(path("forbidden"), Permissions::from_mode(0o400)).expect("set");
        if rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED: to root no socket is forbidden");
        } else {
            assert_eq!(local("forbidden", "live"), url("lxd", "live"));
            assert_eq!(local("dead", "forbidden"), None);
        }

        let config = at("/nowhere".into(), local("dead", "live"));
        assert_eq!(config.default_remote(), Some(&name("local")));
        let settings = &config.remotes()[&name("local")];
        assert_eq!(
            settings.url,
            format!("unix+lxd://{}", path("live").display())
        );
        assert_eq!(settings.trust, Some(TrustSetting::Channel));
        let config = at("/nowhere".into(), local("dead", "missing"));
        assert_eq!(config.default_remote(), Some(&name("images")));
        assert!(!config.remotes().contains_key(&name("local")));
    }
}
