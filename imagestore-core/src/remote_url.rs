use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use url::Url;

use crate::base_url::BaseUrl;
use crate::error::{Error, ErrorKind, Result};

/// Where a remote is and how to speak to it: `<transport>+<protocol>://…`.
///
/// # Examples
/// ```
/// use imagestore_core::RemoteUrl;
///
/// let url: RemoteUrl = "https+lxc-images://images.example/mirror".parse()?;
/// assert_eq!(url.protocol(), "lxc-images");
/// assert_eq!(
///     url.document("/meta/1.0/index-user")?.as_str(),
///     "https://images.example/mirror/meta/1.0/index-user",
/// );
/// # Ok::<(), imagestore_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RemoteUrl {
    protocol: String,
    place: Place,
}

impl RemoteUrl {
    /// The protocol spoken there, such as `lxc-images`.
    #[must_use]
    pub fn protocol(&self) -> &str {
        &self.protocol
    }

    /// How the remote is reached.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The http(s) base, unless this is a socket.
    #[must_use]
    pub fn base(&self) -> Option<&BaseUrl> {
        match &self.place {
            Place::Base(base) => Some(base),
            Place::Socket(_) => None,
        }
    }

    /// The URL of a document of this remote. It cannot leave the server: see [`BaseUrl::document`].
    ///
    /// On a socket the host is `localhost`; the transport connects to the socket of the remote.
    ///
    /// # Errors
    /// [`ErrorKind::Unsafe`] if the path could name another server.
    pub fn document(&self, path: &str) -> Result<Url> {
        match &self.place {
            Place::Base(base) => base.document(path),
            Place::Socket(_) => socket_base().document(path),
        }
    }

    /// Whether nobody on the way can read or change what is sent.
    #[must_use]
    pub fn is_private(&self) -> bool {
        match &self.place {
            Place::Base(base) => base.is_encrypted() || base.is_loopback(),
            Place::Socket(_) => true,
        }
    }
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Base(base) => {
                let transport = if base.is_encrypted() { "https" } else { "http" };
                write!(
                    f,
                    "{transport}+{}://{}",
                    self.protocol,
                    base.behind_scheme()
                )
            }
            Place::Socket(path) => write!(f, "unix+{}://{}", self.protocol, path.display()),
        }
    }
}

impl FromStr for RemoteUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(invalid(text, "the URL of a remote has no `://`"));
        };
        // Only the scheme is split: a `+` further on belongs to a path.
        let Some((transport, protocol)) = scheme.split_once('+') else {
            return Err(
                invalid(text, "the URL of a remote does not name its protocol").with_remedy(
                    format!(
                        "write it as {}+PROTOCOL://…",
                        crate::error::printable(scheme)
                    ),
                ),
            );
        };
        let named = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if protocol.is_empty() || !protocol.bytes().all(named) {
            return Err(invalid(text, "the URL of a remote names no valid protocol"));
        }
        let place = match transport {
            "https" | "http" => Place::Base(format!("{transport}://{rest}").parse()?),
            "unix" => Place::Socket(socket(text, rest)?),
            _ => {
                return Err(
                    invalid(text, "the URL of a remote has an unknown transport")
                        .with_remedy("transports are https, http and unix"),
                );
            }
        };
        Ok(Self {
            protocol: protocol.to_owned(),
            place,
        })
    }
}

/// How a remote is reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Place {
    /// Over http or https below this base.
    Base(BaseUrl),
    /// Over a unix socket at this absolute path; a leading `@` means an abstract one.
    Socket(PathBuf),
}

fn socket(text: &str, rest: &str) -> Result<PathBuf> {
    let path = Path::new(rest);
    if !(path.is_absolute() || rest.starts_with('@')) || rest.chars().any(char::is_control) {
        return Err(invalid(text, "the URL of a socket needs an absolute path")
            .with_remedy("write it as unix+PROTOCOL:///path/to/socket"));
    }
    Ok(path.to_owned())
}

fn socket_base() -> BaseUrl {
    "http://localhost"
        .parse()
        .expect("a constant that parses, held by a test")
}

fn invalid(text: &str, message: &str) -> Error {
    let shown: String = text.chars().take(200).collect();
    Error::new(ErrorKind::InvalidConfig, message).with_subject(format_args!("`{shown}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printing_and_parsing_are_inverse() {
        for text in [
            "https+registry://registry.example",
            "https+lxc-images://m.example:8443/lxc-images",
            "http+system-image://127.0.0.1:8080",
            "unix+lxd:///var/lib/lxd/unix.socket",
            "unix+lxd://@lxd",
            "https+lxd://[::1]:8443",
        ] {
            assert_eq!(text.parse::<RemoteUrl>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn asks_sockets_under_a_local_name() {
        let url: RemoteUrl = "unix+lxd:///run/lxd.sock".parse().expect("valid");
        assert_eq!(
            url.document("/1.0").expect("valid").as_str(),
            "http://localhost/1.0"
        );
        assert!(url.is_private());
    }

    #[test]
    fn names_what_is_wrong() {
        let cases = [
            (
                "images.example",
                "the URL of a remote has no `://`: `images.example`",
            ),
            (
                "https://images.example",
                "the URL of a remote does not name its protocol: `https://images.example`; \
              write it as https+PROTOCOL://…",
            ),
            (
                "ftp+registry://x",
                "the URL of a remote has an unknown transport: `ftp+registry://x`; \
              transports are https, http and unix",
            ),
            (
                "https+://x",
                "the URL of a remote names no valid protocol: `https+://x`",
            ),
            (
                "unix+lxd://x/y",
                "the URL of a socket needs an absolute path: `unix+lxd://x/y`; \
              write it as unix+PROTOCOL:///path/to/socket",
            ),
            (
                "https+registry://u@x",
                "a URL must not hold a user name or password: `https://u@x`",
            ),
        ];
        for (text, message) in cases {
            assert_eq!(
                text.parse::<RemoteUrl>().expect_err(text).to_string(),
                message
            );
        }
    }
}
