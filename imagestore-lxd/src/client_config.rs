use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use imagestore_core::{ClientIdentity, Error, ErrorKind, RemoteUrl, Result, printable};
use imagestore_verify::Sha256;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::error::ParseError;
use crate::sockets::Family;
use crate::yaml::{Node, wrong};

/// What `lxc` or `incus` of one user knows: `config.yml`, `servercerts/` and the certificate by
/// which hosts know the user.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientConfig {
    /// The remote that is meant where none is named.
    pub default_remote: Option<String>,
    /// The remotes, by name.
    pub remotes: Vec<ClientRemote>,
    /// What is there and cannot be used here, one line for people each.
    pub skipped: Vec<String>,
    /// What hosts that know the user know.
    pub identity: Option<ClientIdentity>,
}

/// A remote of `lxc` or `incus`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientRemote {
    /// Its name.
    pub name: String,
    /// Where it is; nothing for the host of this machine, wherever [`Family::local`] finds it.
    pub url: Option<RemoteUrl>,
    /// What its argument `port` has to say: that a host is asked on 443, which a URL does not keep.
    pub port: Option<u16>,
    /// `lxd`, `incus` or `simplestreams`.
    pub protocol: String,
    /// Whether it is asked without a client certificate.
    pub public: bool,
    /// The certificate it is pinned to, if one was stored.
    pub pins: Vec<Sha256>,
    /// The project on it.
    pub project: Option<String>,
}

impl ClientConfig {
    /// Where the user's configuration is.
    ///
    /// # Defaults
    /// | LXD | Incus |
    /// |---|---|
    /// | `$LXD_CONF` | `$INCUS_CONF` |
    /// | `~/snap/lxd/common/config`, if a configuration is there | `$XDG_CONFIG_HOME/incus`, if it is there (Incus 7) |
    /// | `~/.config/lxc` | `~/.config/incus` |
    #[must_use]
    pub fn directory(
        family: Family,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Option<PathBuf> {
        let set = |name: &str| environment(name).filter(|value| !value.is_empty());
        let home = || set("HOME").map(PathBuf::from);
        match family {
            Family::Incus => set("INCUS_CONF")
                .map(PathBuf::from)
                .or_else(|| {
                    // Before version 7 it was not looked at, and from then on what was below the
                    // home directory is moved there.
                    set("XDG_CONFIG_HOME")
                        .map(|settings| PathBuf::from(settings).join("incus"))
                        .filter(|directory| directory.is_absolute() && directory.is_dir())
                })
                .or_else(|| Some(home()?.join(".config/incus"))),
            Family::Lxd => set("LXD_CONF")
                .map(PathBuf::from)
                .or_else(|| {
                    let snap = home()?.join("snap/lxd/common/config");
                    snap.join(CONFIG).is_file().then_some(snap)
                })
                .or_else(|| Some(home()?.join(".config/lxc"))),
        }
    }

    /// Where the configuration for all users of this machine is: `$LXD_GLOBAL_CONF`, `/etc/lxd`;
    /// for Incus `$INCUS_GLOBAL_CONF`, `/etc/incus`.
    #[must_use]
    pub fn global_directory(
        family: Family,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> PathBuf {
        let (variable, usual) = match family {
            Family::Incus => ("INCUS_GLOBAL_CONF", "/etc/incus"),
            Family::Lxd => ("LXD_GLOBAL_CONF", "/etc/lxd"),
        };
        environment(variable)
            .filter(|value| !value.is_empty())
            .map_or_else(|| usual.into(), PathBuf::from)
    }

    /// Reads what is in the directory of a user. A file that is not there is empty.
    ///
    /// A remote with something wrong in it is left out, and so is one whose certificate in
    /// `servercerts/` cannot be used: without its pin it would be another remote.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] if `config.yml` has another form, [`ErrorKind::Storage`] if a
    /// file cannot be read.
    pub fn open(directory: &Path, family: Family) -> Result<Self> {
        Self::read(directory, None, family)
    }

    /// The same, with the remotes for all users of this machine, which are in another directory.
    /// Where both have a remote of one name the user's counts, even if it cannot be used.
    ///
    /// # Errors
    /// Those of [`ClientConfig::open`].
    pub fn open_with_global(directory: &Path, global: &Path, family: Family) -> Result<Self> {
        Self::read(directory, Some(global), family)
    }

    /// Reads a `config.yml` of any year since 2014.
    ///
    /// # Errors
    /// [`ParseError`] if it has another form.
    pub fn parse(bytes: &[u8], family: Family) -> Result<Self, ParseError> {
        Ok(Self::of(Entries::parse(bytes, family)?))
    }

    fn read(directory: &Path, global: Option<&Path>, family: Family) -> Result<Self> {
        let mut entries = Entries::read(directory, family)?;
        if let Some(global) = global {
            for (name, remote) in Entries::read(global, family)?.remotes {
                entries.remotes.entry(name).or_insert(remote);
            }
        }
        let certificate = read(&directory.join("client.crt"))?;
        let key = read(&directory.join("client.key"))?;
        let mut config = Self::of(entries);
        config.identity = certificate
            .zip(key)
            .map(|(certificate, key)| ClientIdentity::new(certificate, key));
        Ok(config)
    }

    fn of(entries: Entries) -> Self {
        let mut config = Self {
            default_remote: entries.default_remote,
            remotes: Vec::new(),
            skipped: Vec::new(),
            identity: None,
        };
        for (name, remote) in entries.remotes {
            match remote {
                Ok(remote) => config.remotes.push(remote),
                Err(reason) => {
                    let name = shown(&name, 80);
                    config.skipped.push(format!("remote `{name}` {reason}"));
                }
            }
        }
        config
    }
}

/// What one `config.yml` says.
struct Entries {
    default_remote: Option<String>,
    /// By name the remote, or why it cannot be used.
    remotes: BTreeMap<String, Result<ClientRemote, String>>,
}

impl Entries {
    fn parse(bytes: &[u8], family: Family) -> Result<Self, ParseError> {
        let node = Node::parse(bytes, MAX_BYTES)?;
        let default_remote = match node.get("default-remote") {
            Some(name) => Some(name.text("default-remote")?.to_owned()),
            None => None,
        };
        let remotes = node
            .get("remotes")
            .unwrap_or(&Node::Null)
            .pairs("remotes")?
            .iter()
            .map(|(name, remote)| (name.clone(), ClientRemote::parse(name, remote, family)));
        Ok(Self {
            default_remote: default_remote.filter(|name| !name.is_empty()),
            remotes: remotes.collect(),
        })
    }

    /// What a directory holds, with the certificates beside it.
    fn read(directory: &Path, family: Family) -> Result<Self> {
        let path = directory.join(CONFIG);
        let text = read(&path)?.unwrap_or_default();
        let mut entries = Self::parse(&text, family).map_err(|error| invalid(&path, &error))?;
        let stored = directory.join("servercerts");
        for entry in entries.remotes.values_mut() {
            if let Ok(remote) = entry
                && let Err(reason) = remote.pin(&stored)
            {
                *entry = Err(reason);
            }
        }
        Ok(entries)
    }
}

impl ClientRemote {
    /// The remote, or why it cannot be used.
    fn parse(name: &str, node: &Node, family: Family) -> Result<Self, String> {
        let unreadable = |error: ParseError| format!("has something wrong in it: {error}");
        let text = |key: &str| {
            node.get(key)
                .map_or(Ok(""), |value| value.text(key))
                .map_err(unreadable)
        };
        let protocol = match text("protocol")? {
            "" => family.name(),
            known @ ("lxd" | "incus" | "simplestreams") => known,
            other => {
                let other = shown(other, 40);
                return Err(format!(
                    "speaks `{other}`, which is no protocol for images here"
                ));
            }
        };
        let address = Address::parse(text("addr")?)?;
        let url = match address {
            Address::Here => None,
            Address::Https { rest, .. } => Some(format!("https+{protocol}://{rest}")),
            Address::Socket(path) => Some(format!("unix+{protocol}://{path}")),
        };
        let url: Option<RemoteUrl> = url
            .map(|url| url.parse())
            .transpose()
            .map_err(|error| format!("has an address that is none: {error}"))?;
        let is_host = protocol != "simplestreams";
        let port = (is_host && address.is_port_of_https()).then_some(443);
        let public = node
            .get("public")
            .map_or(Ok(false), |value| value.truth("public"))
            .map_err(unreadable)?;
        let project = text("project")?;
        Ok(Self {
            name: name.to_owned(),
            url,
            port,
            protocol: protocol.to_owned(),
            public: public || !is_host,
            pins: Vec::new(),
            project: (!project.is_empty()).then(|| project.to_owned()),
        })
    }

    /// Takes its certificate from those that are stored, if it has one.
    fn pin(&mut self, stored: &Path) -> Result<(), String> {
        if self.url.as_ref().and_then(RemoteUrl::base).is_none() {
            return Ok(());
        }
        // A name is a file name only if it is plain.
        if self.name.contains(['/', '\\', '\0']) || self.name.starts_with('.') {
            return Err("has a name that no certificate can be stored under".to_owned());
        }
        let path = stored.join(format!("{}.crt", self.name));
        let pin = read(&path).and_then(|pem| {
            pem.map(|pem| digest(&pem).map_err(|error| invalid(&path, &error)))
                .transpose()
        });
        self.pins = pin
            .map_err(|error| format!("has a certificate that cannot be used: {error}"))?
            .into_iter()
            .collect();
        Ok(())
    }
}

/// What stands under `addr`.
#[derive(Clone, Copy)]
enum Address<'a> {
    /// The host of this machine.
    Here,
    Https {
        rest: &'a str,
        /// Until 2015 an address was a host and a port.
        scheme: bool,
    },
    Socket(&'a str),
}

impl<'a> Address<'a> {
    fn parse(text: &'a str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return Ok(match path {
                "" => Self::Here,
                path => Self::Socket(path),
            });
        }
        match text.split_once("://") {
            Some(("https", rest)) => Ok(Self::Https { rest, scheme: true }),
            Some((scheme, _)) => Err(format!(
                "is reached by `{}`, which is not used here",
                shown(scheme, 40)
            )),
            None if text.is_empty() => Err("has no address".to_owned()),
            None => Ok(Self::Https {
                rest: text,
                scheme: false,
            }),
        }
    }

    /// Whether it means the port that https has where a URL names none.
    fn is_port_of_https(self) -> bool {
        let Self::Https { rest, scheme } = self else {
            return false;
        };
        let authority = rest.split('/').next().unwrap_or_default();
        match authority.rsplit_once(':') {
            Some((_, port)) if !port.ends_with(']') => {
                port.parse() == Ok(443) || (scheme && port.is_empty())
            }
            _ => scheme,
        }
    }
}

/// The pin of a stored certificate: the first of the file.
fn digest(pem: &[u8]) -> Result<Sha256, ParseError> {
    CertificateDer::from_pem_slice(pem)
        .map(|certificate| Sha256::of(&certificate))
        .map_err(|_| wrong("not a PEM certificate"))
}

/// The beginning of what somebody wrote, safe to show.
fn shown(text: &str, most: usize) -> String {
    printable(&text.chars().take(most).collect::<String>())
}

fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    let storage = |cause: io::Error| {
        Error::new(ErrorKind::Storage, "cannot read")
            .with_subject(path.display())
            .with_source(cause)
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(storage(cause)),
    };
    let mut bytes = Vec::new();
    file.take(MAX_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(storage)?;
    Ok(Some(bytes))
}

fn invalid(path: &Path, error: &ParseError) -> Error {
    Error::new(ErrorKind::InvalidConfig, error.to_string()).with_subject(path.display())
}

const CONFIG: &str = "config.yml";
const MAX_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests;
