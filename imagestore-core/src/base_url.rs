use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use url::{Host, Url};

use crate::error::{Error, ErrorKind, Result};

/// The place below which all documents and files of a remote or a mirror lie:
/// `https://host[:port][/prefix]`.
///
/// Paths from an index are appended to it, never resolved against it, so that an index cannot
/// choose another server and a mirror keeps its prefix.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BaseUrl {
    // Without a slash at the end; a URL without a path prints one all the same, so text is kept.
    text: String,
    url: Url,
}

impl BaseUrl {
    /// The URL of what lies at `path` below this place.
    ///
    /// One leading slash is dropped. Every segment consists of `A-Z a-z 0-9 . _ ~ : + - @ = ,`; one
    /// slash at the end is kept.
    ///
    /// # Errors
    /// [`ErrorKind::Unsafe`] if the path could name another server or leave the base: a scheme,
    /// `//`, an empty segment, `.` or `..`, percent-encoding, a query or a fragment, a backslash, a
    /// control character.
    pub fn document(&self, path: &str) -> Result<Url> {
        let inner = path.strip_prefix('/').unwrap_or(path);
        let inner = inner.strip_suffix('/').unwrap_or(inner);
        let fine = !inner.contains("://") && inner.split('/').all(is_segment);
        if !fine || path.len() > MAX_PATH_BYTES {
            return Err(leaves(path));
        }
        let joined = format!("{}/{}", self.text, path.strip_prefix('/').unwrap_or(path));
        // Nothing is left that parsing could normalise, so what was checked is what is asked for.
        Url::parse(&joined).map_err(|error| leaves(path).with_source(error))
    }

    /// Whether the server is this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self.url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address == Ipv6Addr::LOCALHOST,
            None => false,
        }
    }

    /// Whether what is sent and received is encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Host and port as they stand in the URL.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.url.authority()
    }

    /// The text behind the scheme and `://`.
    pub(crate) fn behind_scheme(&self) -> &str {
        self.text
            .split_once("://")
            .map_or(self.text.as_str(), |(_, rest)| rest)
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for BaseUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(invalid(text, "not a URL"));
        };
        if scheme != "https" && scheme != "http" {
            return Err(invalid(text, "not a http or https URL"));
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (authority, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err(invalid(text, "a URL must not hold a user name or password"));
        }
        let plain =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
        if authority.is_empty() || !authority.chars().all(plain) {
            return Err(invalid(text, "a URL has no valid host"));
        }
        if !prefix.is_empty() && !prefix.split('/').all(is_segment) {
            return Err(invalid(text, "a URL has a path that is not plain"));
        }
        let url = Url::parse(&format!("{scheme}://{rest}"))
            .map_err(|error| invalid(text, "not a URL").with_source(error))?;
        // `0x7f.1` and `2130706433` are IPv4 addresses to a URL parser and names to people.
        if let Some(Host::Ipv4(address)) = url.host()
            && authority
                .split(':')
                .next()
                .and_then(|host| host.parse::<Ipv4Addr>().ok())
                != Some(address)
        {
            return Err(invalid(text, "a URL has an address in an unusual form"));
        }
        let authority = url.authority();
        let text = if prefix.is_empty() {
            format!("{scheme}://{authority}")
        } else {
            format!("{scheme}://{authority}/{prefix}")
        };
        Ok(Self { text, url })
    }
}

fn is_segment(segment: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._~:+-@=,".contains(&b);
    !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(plain)
}

fn leaves(path: &str) -> Error {
    let shown: String = path.chars().take(200).collect();
    Error::new(
        ErrorKind::Unsafe,
        "a path from an index could leave its server",
    )
    .with_subject(format_args!("`{shown}`"))
}

fn invalid(text: &str, message: &str) -> Error {
    let shown: String = text.chars().take(200).collect();
    Error::new(ErrorKind::InvalidConfig, message).with_subject(format_args!("`{shown}`"))
}

const MAX_PATH_BYTES: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn base(text: &str) -> BaseUrl {
        text.parse().expect(text)
    }

    #[test]
    fn appends_below_the_prefix_of_a_mirror() {
        let cases = [
            (
                "https://images.example",
                "/images/a/b/",
                "https://images.example/images/a/b/",
            ),
            ("https://images.example/", "x", "https://images.example/x"),
            (
                "https://m.example/lxc-images",
                "/images/a/20150427_03:49/",
                "https://m.example/lxc-images/images/a/20150427_03:49/",
            ),
            (
                "https://[::1]:8443",
                "/1.0/index.json",
                "https://[::1]:8443/1.0/index.json",
            ),
        ];
        for (root, path, wanted) in cases {
            assert_eq!(base(root).document(path).expect(path).as_str(), wanted);
        }
    }

    #[test]
    fn refuses_paths_that_could_leave_the_server() {
        for path in [
            "//evil.example/x/",
            "https://evil.example/x/",
            "/images/../../etc/",
            "a/..",
            "./a",
            "a/%2e%2e/b",
            "a\\b",
            "a?b",
            "a#b",
            "a b",
            "a\rb",
            "",
            "/",
            "a//b",
            "ä",
            "\\\\evil\\x",
            "///evil",
            "a;b",
        ] {
            let error = base("https://images.example/p")
                .document(path)
                .expect_err(path);
            assert_eq!(error.kind(), ErrorKind::Unsafe, "{path:?}");
        }
    }

    #[test]
    fn refuses_bases_that_mislead() {
        for text in [
            "images.example",
            "ftp://images.example",
            "https://",
            "https://u:p@images.example",
            "https://good.example\\@evil",
            "https://good.example#@evil",
            "https://a.example/x?y",
            "https://a.example/../x",
            "https://a.ex\tample",
            "https://0x7f.1",
            "https://2130706433",
        ] {
            assert_eq!(
                text.parse::<BaseUrl>().expect_err(text).kind(),
                ErrorKind::InvalidConfig,
                "{text}"
            );
        }
    }

    #[test]
    fn knows_this_machine() {
        for (text, here) in [
            ("http://127.0.0.1:80", true),
            ("http://localhost", true),
            ("http://[::1]", true),
            ("http://images.example", false),
            ("http://128.0.0.1", false),
        ] {
            assert_eq!(base(text).is_loopback(), here, "{text}");
        }
    }
}
