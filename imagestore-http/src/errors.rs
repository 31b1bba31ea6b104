use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::PathBuf;

use imagestore_core::{Error, ErrorKind};
use url::Url;

use crate::addresses::OutOfReach;
use crate::pins::{Disbelieved, Why, lower_first};
use crate::retry::{Again, Failure};

/// The way a request took, for messages.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    /// All URLs asked, the configured one first.
    pub(crate) asked: Vec<Url>,
    /// The proxy on the way to the last one.
    pub(crate) proxy: Option<String>,
    /// The socket, if there is one.
    pub(crate) socket: Option<PathBuf>,
    /// Which try this is.
    pub(crate) tried: u32,
}

impl Way {
    /// Where it ended.
    pub(crate) fn url(&self) -> &Url {
        self.asked
            .last()
            .expect("begins with the configured URL, see `Hops::new`")
    }

    /// Where it began.
    pub(crate) fn first(&self) -> &Url {
        &self.asked[0]
    }

    /// An error about what was met at its end.
    pub(crate) fn error(&self, kind: ErrorKind, what: impl Into<String>) -> Error {
        let mut message = what.into();
        if self.tried > 1 {
            message += &format!(", at try {}", self.tried);
        }
        if let Some(proxy) = &self.proxy {
            message += &format!(", through the proxy {proxy}");
        }
        if self.asked.len() > 1 {
            message += &format!(", redirected from {}", shown(self.first()));
        }
        let error = Error::new(kind, message);
        match &self.socket {
            Some(path) => error.with_subject(format_args!(
                "{} on socket {}",
                shown(self.url()),
                path.display()
            )),
            None => error.with_subject(shown(self.url())),
        }
    }

    /// A request that did not get as far as an answer.
    pub(crate) fn unanswered(&self, stage: Stage, cause: &(dyn StdError + 'static)) -> Failure {
        if let Some(disbelieved) = find::<Disbelieved>(cause) {
            return self.disbelieved(disbelieved).into();
        }
        if let Some(out) = find::<OutOfReach>(cause) {
            let kind = ErrorKind::Network;
            return self
                .error(
                    kind,
                    format!("a redirect leads into a network apart: {out}"),
                )
                .into();
        }
        let tls = find::<rustls::Error>(cause).is_some();
        let parse = find::<hyper::Error>(cause).is_some_and(hyper::Error::is_parse);
        let timeout = find::<reqwest::Error>(cause).is_some_and(reqwest::Error::is_timeout);
        let what = match stage {
            _ if tls => "cannot agree on TLS",
            Stage::Answer if parse => "does not answer in HTTP",
            Stage::Connection if timeout => "takes too long to connect to",
            Stage::Connection => "cannot connect",
            Stage::Answer => "the connection broke before an answer came",
        };
        // Somebody who is silent once is left to the next mirror rather than asked again.
        let again = if tls || parse || timeout {
            Again::No
        } else {
            Again::Soon
        };
        Failure {
            error: caused(self.error(ErrorKind::Network, what), cause),
            again,
        }
    }

    fn disbelieved(&self, disbelieved: &Disbelieved) -> Error {
        let host = authority(self.url());
        let seen = disbelieved.seen;
        match &disbelieved.why {
            Why::KeyAbsent(_) => self.error(
                ErrorKind::Untrusted,
                format!("{host} does not hold the key of the certificate it shows, sha256:{seen}"),
            ),
            why @ Why::Unpinned(_) => self.error(
                ErrorKind::Untrusted,
                format!("the certificate of {host}, sha256:{seen}, {why}"),
            ),
            why @ Why::Unvouched(_) => self
                .error(
                    ErrorKind::Untrusted,
                    format!("the certificate of {host}, sha256:{seen}, {why}"),
                )
                .with_remedy("if it is known to be the right one, pin it"),
        }
    }
}

/// How far a request got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It was sent, or begun to be sent.
    Answer,
    /// There is no connection.
    Connection,
}

/// A URL for messages: a query may hold a secret or a signature.
pub(crate) fn shown(url: &Url) -> String {
    let mut plain = url.clone();
    // A URL that cannot have a user name holds none.
    let _ = plain.set_username("");
    let _ = plain.set_password(None);
    plain.set_fragment(None);
    if url.query().is_some() {
        plain.set_query(None);
        return format!("{plain}?…");
    }
    plain.into()
}

/// Host and port as people write them.
pub(crate) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The error with the lines of the cause that say something new beneath it.
pub(crate) fn caused(error: Error, cause: &(dyn StdError + 'static)) -> Error {
    let mut lines: Vec<String> = Vec::new();
    let above = error.to_string();
    for cause in chain(cause) {
        // These two wrap whatever happened and name the URL once more.
        if cause.is::<reqwest::Error>() || cause.is::<hyper_util::client::legacy::Error>() {
            continue;
        }
        let line = lower_first(&imagestore_core::printable(&cause.to_string()));
        if line.is_empty() || above.contains(&line) || lines.iter().any(|seen| seen.contains(&line))
        {
            continue;
        }
        lines.retain(|seen| !line.contains(seen.as_str()));
        lines.push(line);
    }
    let lowest = lines.into_iter().rev().fold(None, |below, line| {
        Some(Cause {
            line,
            below: below.map(Box::new),
        })
    });
    match lowest {
        Some(cause) => error.with_source(cause),
        None => error,
    }
}

/// One line of a cause.
#[derive(Debug)]
struct Cause {
    line: String,
    below: Option<Box<Cause>>,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

impl StdError for Cause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.below.as_deref().map(|below| below as _)
    }
}

fn find<'a, T: StdError + 'static>(cause: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    chain(cause).find_map(|cause| cause.downcast_ref())
}

/// The cause, its cause, and so on, looking into I/O errors and TLS errors, whose `source` skips what they hold.
fn chain<'a>(
    cause: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(cause), |cause: &&'a (dyn StdError + 'static)| {
        let cause: &'a (dyn StdError + 'static) = *cause;
        if let Some(error) = cause.downcast_ref::<io::Error>()
            && let Some(inner) = error.get_ref()
        {
            return Some(inner);
        }
        if let Some(rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other))) =
            cause.downcast_ref()
        {
            return Some(&*other.0);
        }
        cause.source()
    })
    .take(LONGEST_CHAIN)
}

const LONGEST_CHAIN: usize = 16;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::addresses::{Class, Reach, Resolver};

    fn way(asked: &[&str]) -> Way {
        let asked = asked.iter().map(|url| url.parse().expect(url)).collect();
        Way {
            asked,
            proxy: None,
            socket: None,
            tried: 1,
        }
    }

    #[tokio::test]
    async fn a_redirect_to_a_name_of_a_private_address_is_told_as_such() {
        // As a name server would have it that points a public name at this machine.
        let resolver = Arc::new(Resolver(Reach::From(Class::Public)));
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(no_tls())
            .no_proxy()
            .dns_resolver(resolver)
            .build()
            .expect("plain options");
        let url = "http://evil.localhost:1/x";
        let cause = client.get(url).send().await.expect_err("out of reach");
        let failure = way(&["http://a.example/f", url]).unanswered(Stage::Connection, &cause);
        assert_eq!(failure.again, Again::No);
        assert_eq!(failure.error.kind(), ErrorKind::Network);
        assert_eq!(
            failure.error.to_string(),
            "a redirect leads into a network apart: evil.localhost stands for the loopback address \
             127.0.0.1, redirected from http://a.example/f: http://evil.localhost:1/x"
        );
    }

    #[test]
    fn says_every_thing_once_and_in_small_letters() {
        let below = Cause {
            line: "Connection refused".to_owned(),
            below: None,
        };
        let again = Cause {
            line: "tcp: connection refused".to_owned(),
            below: Some(below.into()),
        };
        let top = Cause {
            line: "cannot connect".to_owned(),
            below: Some(again.into()),
        };
        let error = caused(
            way(&["https://a.example/f"]).error(ErrorKind::Network, "cannot connect"),
            &top,
        );
        let lines: Vec<String> = error
            .source()
            .into_iter()
            .flat_map(chain)
            .map(ToString::to_string)
            .collect();
        assert_eq!(lines, ["tcp: connection refused"]);
        assert_eq!(error.to_string(), "cannot connect: https://a.example/f");
    }

    #[test]
    fn shows_no_secrets_of_a_url() {
        let url = "https://u:p@a.example:444/x?secret=1#f"
            .parse()
            .expect("a URL");
        assert_eq!(shown(&url), "https://a.example:444/x?…");
        assert_eq!(authority(&url), "a.example:444");
    }

    fn no_tls() -> rustls::ClientConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has them")
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth()
    }
}
