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
    /// Where the user's configuration is: `$LXD_CONF`, `~/snap/lxd/common/config` if it is there,
    /// `~/.config/lxc`; for Incus `$INCUS_CONF`, `~/.config/incus`.
    #[must_use]
    pub fn directory(
        family: Family,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Option<PathBuf> {
        let set = |name: &str| environment(name).filter(|value| !value.is_empty());
        let named = match family {
            Family::Incus => set("INCUS_CONF"),
            Family::Lxd => set("LXD_CONF"),
        };
        if let Some(named) = named {
            return Some(PathBuf::from(named));
        }
        let home = PathBuf::from(set("HOME")?);
        let snap = home.join("snap/lxd/common/config");
        if family == Family::Lxd && snap.join(CONFIG).is_file() {
            return Some(snap);
        }
        let settings = set("XDG_CONFIG_HOME").map_or_else(|| home.join(".config"), PathBuf::from);
        Some(settings.join(match family {
            Family::Incus => "incus",
            Family::Lxd => "lxc",
        }))
    }

    /// Reads what is in such a directory. A file that is not there is empty.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] if a file has another form, [`ErrorKind::Storage`] if it cannot
    /// be read.
    pub fn open(directory: &Path, family: Family) -> Result<Self> {
        let path = directory.join(CONFIG);
        let text = read(&path)?.unwrap_or_default();
        let mut config = Self::parse(&text, family).map_err(|error| invalid(&path, &error))?;
        for remote in &mut config.remotes {
            // A name is a file name only if it is plain.
            if remote.name.contains(['/', '\\', '\0']) || remote.name.starts_with('.') {
                continue;
            }
            let path = directory
                .join("servercerts")
                .join(format!("{}.crt", remote.name));
            if let Some(pem) = read(&path)? {
                remote.pins = vec![pin(&pem).map_err(|error| invalid(&path, &error))?];
            }
        }
        let certificate = read(&directory.join("client.crt"))?;
        let key = read(&directory.join("client.key"))?;
        config.identity = certificate
            .zip(key)
            .map(|(certificate, key)| ClientIdentity::new(certificate, key));
        Ok(config)
    }

    /// Reads a `config.yml` of any year since 2014.
    ///
    /// # Errors
    /// [`ParseError`] if it has another form.
    pub fn parse(bytes: &[u8], family: Family) -> Result<Self, ParseError> {
        let node = Node::parse(bytes, MAX_BYTES)?;
        let default_remote = match node.get("default-remote") {
            Some(name) => Some(name.text("default-remote")?.to_owned()),
            None => None,
        };
        let mut config = Self {
            default_remote: default_remote.filter(|name| !name.is_empty()),
            remotes: Vec::new(),
            skipped: Vec::new(),
            identity: None,
        };
        let none = Node::Null;
        let remotes: BTreeMap<_, _> = node
            .get("remotes")
            .unwrap_or(&none)
            .pairs("remotes")?
            .iter()
            .map(|(name, remote)| (name, remote))
            .collect();
        for (name, remote) in remotes {
            match ClientRemote::parse(name, remote, family)? {
                Ok(remote) => config.remotes.push(remote),
                Err(reason) => {
                    let shown: String = name.chars().take(80).collect();
                    config
                        .skipped
                        .push(format!("remote `{}` {reason}", printable(&shown)));
                }
            }
        }
        Ok(config)
    }
}

impl ClientRemote {
    /// The remote, or why it cannot be used.
    fn parse(name: &str, node: &Node, family: Family) -> Result<Result<Self, String>, ParseError> {
        let text = |key: &str| node.get(key).map_or(Ok(""), |value| value.text(key));
        let protocol = match text("protocol")? {
            "" => family.name(),
            known @ ("lxd" | "incus" | "simplestreams") => known,
            other => {
                let shown: String = other.chars().take(40).collect();
                let shown = printable(&shown);
                return Ok(Err(format!(
                    "speaks `{shown}`, which is no protocol for images here"
                )));
            }
        };
        let address = text("addr")?;
        let url = match (address.split_once("://"), protocol) {
            (Some(("unix", "")), _) => None,
            (None, _) if address == "unix:" => None,
            (Some(("unix", path)), _) => Some(format!("unix+{protocol}://{path}")),
            (Some(("https", rest)), _) => Some(format!("https+{protocol}://{rest}")),
            (Some((scheme, _)), _) => {
                let shown: String = scheme.chars().take(40).collect();
                return Ok(Err(format!(
                    "is reached by `{}`, which is not used here",
                    printable(&shown)
                )));
            }
            (None, _) if address.is_empty() => return Ok(Err("has no address".to_owned())),
            // Until 2015 an address was a host and a port.
            (None, _) => Some(format!("https+{protocol}://{address}")),
        };
        let url = match url.map(|url| url.parse()).transpose() {
            Ok(url) => url,
            Err(error) => return Ok(Err(format!("has an address that is none: {error}"))),
        };
        let public = node
            .get("public")
            .map_or(Ok(false), |value| value.truth("public"))?;
        let project = text("project")?;
        Ok(Ok(Self {
            name: name.to_owned(),
            url,
            protocol: protocol.to_owned(),
            public: public || protocol == "simplestreams",
            pins: Vec::new(),
            project: (!project.is_empty()).then(|| project.to_owned()),
        }))
    }
}

/// The pin of a stored certificate: the first of the file.
fn pin(pem: &[u8]) -> Result<Sha256, ParseError> {
    CertificateDer::from_pem_slice(pem)
        .map(|certificate| Sha256::of(&certificate))
        .map_err(|_| wrong("not a PEM certificate"))
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
