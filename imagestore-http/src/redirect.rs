use imagestore_core::{Error, ErrorKind, Result, printable};
use url::Url;

use crate::addresses::Class;
use crate::errors::shown;

/// An answer that sends the request elsewhere, and what it has to respect.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Redirect<'a> {
    /// Where the answer came from.
    pub(crate) from: &'a Url,
    /// Who is there.
    pub(crate) class: Class,
    /// The `Location` field, if it is text.
    pub(crate) location: Option<&'a str>,
    /// All URLs asked so far, the configured one first and `from` last.
    pub(crate) asked: &'a [Url],
    /// How many redirects are allowed.
    pub(crate) most: usize,
    /// What binds the request to its place.
    pub(crate) bound: Bound,
}

/// What binds a request to the place it was configured for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// Pinned certificates: to the host.
    Host,
    /// Nothing; without TLS it may stay without.
    Open,
    /// A socket: to the socket.
    Socket,
    /// Nothing but that the way is encrypted or stays on this machine.
    Private,
}

impl Redirect<'_> {
    /// Where to ask next.
    pub(crate) fn target(&self) -> Result<Url> {
        let Some(location) = self.location else {
            return Err(self.refuse("without saying where to"));
        };
        let Ok(mut target) = self.from.join(location) else {
            let told: String = location.chars().take(LONGEST_SHOWN).collect();
            return Err(self.refuse(&format!("to `{}`, which is not a URL", printable(&told))));
        };
        target.set_fragment(None);
        match self.fault(&target) {
            None => Ok(target),
            Some(fault) => Err(self.refuse(&format!("to {}, {fault}", shown(&target)))),
        }
    }

    fn fault(&self, target: &Url) -> Option<String> {
        if target.scheme() != "https" && target.scheme() != "http" {
            return Some("which is neither http nor https".to_owned());
        }
        if !target.username().is_empty() || target.password().is_some() {
            return Some("which holds a user name or password".to_owned());
        }
        if target.as_str().len() > LONGEST_URL {
            return Some(format!("which is longer than {LONGEST_URL} bytes"));
        }
        if self.from.scheme() == "https" && target.scheme() == "http" {
            return Some("from https to http".to_owned());
        }
        let class = Class::of_host(target);
        let moved = self.from.origin() != target.origin();
        match self.bound {
            Bound::Socket if moved => return Some("away from the socket of the remote".to_owned()),
            Bound::Host if self.from.host() != target.host() => {
                return Some("but the pinned certificates are those of another host".to_owned());
            }
            Bound::Private if target.scheme() == "http" && class != Some(Class::Loopback) => {
                return Some("which would be asked over http without TLS".to_owned());
            }
            _ => {}
        }
        if let Some(class) = class
            && moved
            && !self.class.may_lead_to(class)
        {
            return Some(format!("from a {} to a {class} address", self.class));
        }
        if self.asked.contains(target) {
            return Some("where it was before".to_owned());
        }
        if self.asked.len() > self.most {
            return Some(format!(
                "after {} redirects, at most {0} are followed",
                self.most
            ));
        }
        None
    }

    fn refuse(&self, how: &str) -> Error {
        Error::new(ErrorKind::Network, format!("redirects {how}")).with_subject(shown(self.from))
    }
}

/// Whether an answer with this status names another place to ask.
pub(crate) fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

const LONGEST_SHOWN: usize = 200;
const LONGEST_URL: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(from: &str, location: &str, bound: Bound) -> Result<Url, String> {
        let from: Url = from.parse().expect(from);
        Redirect {
            from: &from,
            class: Class::of_host(&from).unwrap_or(Class::Public),
            location: Some(location),
            asked: std::slice::from_ref(&from),
            most: 5,
            bound,
        }
        .target()
        .map_err(|error| {
            assert_eq!(error.kind(), ErrorKind::Network);
            error.to_string()
        })
    }

    #[test]
    fn follows_within_https_and_up_to_it() {
        let cases = [
            (
                "https://a.example/x/y",
                "../z",
                Bound::Private,
                "https://a.example/z",
            ),
            (
                "https://a.example/x",
                "https://b.example:444/y?k=v#f",
                Bound::Private,
                "https://b.example:444/y?k=v",
            ),
            (
                "https://a.example/x",
                "//b.example//y",
                Bound::Private,
                "https://b.example//y",
            ),
            (
                "http://127.0.0.1:1/x",
                "http://127.0.0.1:2/y",
                Bound::Private,
                "http://127.0.0.1:2/y",
            ),
            (
                "http://127.0.0.1:1/x",
                "https://b.example/y",
                Bound::Private,
                "https://b.example/y",
            ),
            (
                "http://a.example/x",
                "http://b.example/y",
                Bound::Open,
                "http://b.example/y",
            ),
            (
                "https://a.example/x",
                "https://a.example:444/y",
                Bound::Host,
                "https://a.example:444/y",
            ),
            (
                "http://localhost/1.0",
                "/1.0/x",
                Bound::Socket,
                "http://localhost/1.0/x",
            ),
        ];
        for (from, location, bound, target) in cases {
            assert_eq!(
                follow(from, location, bound).expect(location).as_str(),
                target
            );
        }
    }

    #[test]
    fn refuses_ways_out_and_says_which() {
        let public = "https://a.example/x";
        let cases = [
            (
                public,
                "http://a.example/x",
                Bound::Open,
                "from https to http",
            ),
            (
                public,
                "file:///etc/passwd",
                Bound::Private,
                "which is neither http nor https",
            ),
            (
                public,
                "unix:/run/x",
                Bound::Private,
                "which is neither http nor https",
            ),
            (
                public,
                "data:,x",
                Bound::Private,
                "which is neither http nor https",
            ),
            (
                public,
                "https://u:p@b.example/",
                Bound::Private,
                "which holds a user name or password",
            ),
            (
                public,
                "https://127.0.0.1/",
                Bound::Private,
                "from a public to a loopback address",
            ),
            (
                public,
                "https://localhost./",
                Bound::Private,
                "from a public to a loopback address",
            ),
            (
                public,
                "https://[::1]/",
                Bound::Private,
                "from a public to a loopback address",
            ),
            (
                public,
                "https://169.254.169.254/",
                Bound::Private,
                "from a public to a link-local address",
            ),
            (
                public,
                "https://[fd00::1]/",
                Bound::Private,
                "from a public to a private address",
            ),
            (
                public,
                "https://0.0.0.0/",
                Bound::Private,
                "from a public to a reserved address",
            ),
            (
                public,
                "https://2130706433/",
                Bound::Private,
                "from a public to a loopback address",
            ),
            (
                public,
                "https://0251.0376.0251.0376/",
                Bound::Private,
                "from a public to a link-local address",
            ),
            (
                "https://10.0.0.1/x",
                "https://127.0.0.1/",
                Bound::Private,
                "from a private to a loopback address",
            ),
            (
                "http://127.0.0.1/x",
                "http://b.example/",
                Bound::Private,
                "which would be asked over http without TLS",
            ),
            (
                public,
                "https://b.example/",
                Bound::Host,
                "but the pinned certificates are those of another host",
            ),
            (
                "http://localhost/1.0",
                "https://b.example/",
                Bound::Socket,
                "away from the socket of the remote",
            ),
            (public, "/x#again", Bound::Private, "where it was before"),
        ];
        for (from, location, bound, reason) in cases {
            let message = follow(from, location, bound).expect_err(location);
            assert!(message.contains(reason), "{message}");
            assert!(
                message.starts_with("redirects to ") && message.ends_with(from),
                "{message}"
            );
        }
        let message = follow(public, "https://\u{1b}[31m/", Bound::Private).expect_err("no URL");
        let wanted = "redirects to `https://\\u{1b}[31m/`, which is not a URL: https://a.example/x";
        assert_eq!(message, wanted);
    }
}
