use std::sync::Arc;

use async_trait::async_trait;
use imagestore_core::{
    Body, Change, Cleartext, Error, ErrorKind, Get, Purpose, RemoteConfig, Result, Resume,
    TlsTrust, Transport,
};
use imagestore_verify::{Channel, Sha256};
use reqwest::header::LOCATION;
use reqwest::tls::TlsInfo;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use url::Url;

use crate::addresses::{Class, Reach};
use crate::answer::{Answer, Asked, Outcome};
use crate::call::Call;
use crate::client::Pools;
use crate::errors::{Stage, Way, authority, shown};
use crate::options::{Authorities, HttpOptions};
use crate::ranges::text;
use crate::redirect::{Bound, Redirect, is_redirect};
use crate::retry::{Failure, Tries};
use crate::socket;

/// Brings bytes over https, http and unix sockets.
///
/// Connections are kept and reused, apart for each set of rules they were made by. Cloning is cheap and shares them.
///
/// # Defaults
/// Those of [`HttpOptions`].
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// use imagestore_http::{HttpOptions, HttpTransport, Proxy};
///
/// let mut options = HttpOptions::default();
/// options.idle = Duration::from_secs(10);
/// options.proxy = Proxy::FromEnvironment;
/// let transport = HttpTransport::new(options);
/// ```
#[derive(Clone, Debug)]
pub struct HttpTransport {
    pools: Arc<Pools>,
}

impl HttpTransport {
    /// A transport with these options. Nothing is opened or read yet.
    #[must_use]
    pub fn new(options: HttpOptions) -> Self {
        Self {
            pools: Arc::new(Pools::new(options)),
        }
    }

    fn options(&self) -> &HttpOptions {
        self.pools.options()
    }

    /// Asks until there is a body, no more tries, or no hope.
    async fn ask(&self, request: Get<'_>, deadline: Option<Instant>) -> Result<Body> {
        let mut tries = Tries::new(self.options());
        let mut resume = request.resume.filter(|resume| resume.offset > 0);
        let mut wrong_part = None;
        loop {
            let asked = Asked {
                resume,
                if_changed: request.known.is_some(),
                wrong_part: wrong_part.as_deref(),
            };
            let hops = Hops::new(request.remote, request.url, tries.done() + 1, deadline);
            let outcome = match self.follow(&request, resume, hops).await {
                Ok(answer) => answer.outcome(asked, self.options()).await,
                Err(failure) => Err(failure),
            };
            match outcome {
                Ok(Outcome::Body(body)) => return Ok(*body),
                // Once: without a range there is no part that could be wrong.
                Ok(Outcome::WrongPart(reason)) => (resume, wrong_part) = (None, Some(reason)),
                Err(failure) => match tries.next(failure.again) {
                    Some(pause) => sleep(pause).await,
                    None => return Err(failure.error),
                },
            }
        }
    }

    /// Asks, and asks on where it is sent, until there is an answer that does not redirect.
    async fn follow(
        &self,
        request: &Get<'_>,
        resume: Option<&Resume>,
        mut hops: Hops,
    ) -> Result<Answer, Failure> {
        loop {
            let call = Call::get(request, resume);
            let response = self.hop(request.remote, call, &mut hops).await?;
            if !is_redirect(response.status().as_u16()) {
                let channel = self.channel(request.remote, &hops, &response);
                return Ok(Answer {
                    response,
                    channel,
                    deadline: hops.deadline,
                    way: hops.way,
                });
            }
            let class = hops.class(&response);
            let target = Redirect {
                from: hops.way.url(),
                class,
                location: text(response.headers(), LOCATION),
                asked: &hops.way.asked,
                most: self.options().most_redirects(),
                bound: bound(request.remote),
            }
            .target()?;
            hops.go(target, class);
        }
    }

    /// Asks once, and goes nowhere else.
    async fn change(&self, request: Change<'_>, deadline: Instant) -> Result<Body> {
        let mut hops = Hops::new(request.remote, request.url, 1, Some(deadline));
        let call = Call::change(request);
        let response = self.hop(request.remote, call, &mut hops).await;
        let response = response.map_err(|failure| failure.error)?;
        if is_redirect(response.status().as_u16()) {
            let message = "sends on what changes something, which is not followed";
            return Err(hops.way.error(ErrorKind::Network, message));
        }
        let channel = self.channel(request.remote, &hops, &response);
        let answer = Answer {
            response,
            channel,
            deadline: hops.deadline,
            way: hops.way,
        };
        answer.of_change(self.options()).await
    }

    /// One request and the head of its answer.
    async fn hop(
        &self,
        remote: &RemoteConfig,
        call: Call,
        hops: &mut Hops,
    ) -> Result<reqwest::Response, Failure> {
        let options = self.options();
        let answer = async {
            if let Some(path) = remote.socket() {
                return socket::ask(path, &hops.way, call, options).await;
            }
            let url = hops.way.url().clone();
            hops.way.proxy = self.pools.proxy(&url);
            let pool = self.pools.pool(remote, &url, hops.reach).await?;
            pool.request(call.method, url)
                .headers(call.headers)
                .body(call.body)
                .send()
                .await
                .map_err(|error| {
                    let connecting = error.is_connect();
                    let stage = if connecting {
                        Stage::Connection
                    } else {
                        Stage::Answer
                    };
                    hops.way.unanswered(stage, &error)
                })
        };
        match timeout(options.connect + options.first_byte, answer).await {
            Ok(answer) => answer,
            Err(_) => {
                let message = format!("gave no answer within {:?}", options.first_byte);
                Err(hops.way.error(ErrorKind::Network, message).into())
            }
        }
    }

    /// What vouches for an answer: the last server, and every one that referred to it.
    fn channel(
        &self,
        remote: &RemoteConfig,
        hops: &Hops,
        response: &reqwest::Response,
    ) -> Option<Channel> {
        if let Some(path) = remote.socket() {
            return Some(Channel::new(format!("unix socket {}", path.display())));
        }
        // Redirects never lead from https to http, so the first and the last speak for all.
        let first = hops.way.first();
        let url = hops.way.url();
        if first.scheme() != "https" || url.scheme() != "https" {
            return None;
        }
        let seen = Sha256::of(response.extensions().get::<TlsInfo>()?.peer_certificate()?);
        let host = authority(url);
        let mut what = match (remote.tls(), &self.options().authorities) {
            (TlsTrust::Pin(_), _) => format!("tls certificate sha256:{seen} pinned for {host}"),
            (TlsTrust::SystemRoots, Authorities::System) => {
                format!("tls certificate of {host} vouched for by system roots")
            }
            (TlsTrust::SystemRoots, Authorities::Only(_)) => {
                format!("tls certificate of {host} vouched for by chosen roots")
            }
        };
        if first.origin() != url.origin() {
            what += &format!(", redirected from {}", authority(first));
        }
        Some(Channel::new(what))
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn get(&self, request: Get<'_>) -> Result<Body> {
        check_place(request.remote, request.url)?;
        if request.purpose == Purpose::File {
            return self.ask(request, None).await;
        }
        let deadline = Instant::now() + self.options().document;
        match timeout_at(deadline, self.ask(request, Some(deadline))).await {
            Ok(answer) => answer,
            Err(_) => {
                let message = format!("gave no document within {:?}", self.options().document);
                Err(Error::new(ErrorKind::Network, message).with_subject(shown(request.url)))
            }
        }
    }

    async fn send(&self, request: Change<'_>) -> Result<Body> {
        check_place(request.remote, request.url)?;
        let deadline = Instant::now() + self.options().document;
        match timeout_at(deadline, self.change(request, deadline)).await {
            Ok(answer) => answer,
            Err(_) => {
                let message = format!("gave no answer within {:?}", self.options().document);
                Err(Error::new(ErrorKind::Network, message).with_subject(shown(request.url)))
            }
        }
    }
}

impl Default for HttpTransport {
    fn default() -> Self {
        Self::new(HttpOptions::default())
    }
}

/// A chain of redirects, as far as it got.
struct Hops {
    way: Way,
    reach: Reach,
    deadline: Option<Instant>,
}

impl Hops {
    fn new(remote: &RemoteConfig, url: &Url, tried: u32, deadline: Option<Instant>) -> Self {
        let socket = remote.socket().map(ToOwned::to_owned);
        let way = Way {
            asked: vec![url.clone()],
            proxy: None,
            socket,
            tried,
        };
        Self {
            way,
            reach: Reach::Any,
            deadline,
        }
    }

    /// Goes on to where somebody of this class leads.
    fn go(&mut self, target: Url, class: Class) {
        // A name that was reached at one address may stand for another the next time.
        if target.origin() != self.way.url().origin() {
            self.reach = Reach::From(class);
        }
        self.way.asked.push(target);
    }

    /// Who answered: by what the URL says, else by the address that was connected to.
    fn class(&self, response: &reqwest::Response) -> Class {
        let connected = response.remote_addr().filter(|_| self.way.proxy.is_none());
        Class::of_host(self.way.url())
            .or_else(|| connected.map(|address| Class::of(address.ip())))
            .unwrap_or(Class::Public)
    }
}

/// What a redirect must respect for the sake of this remote.
fn bound(remote: &RemoteConfig) -> Bound {
    match (remote.socket(), remote.tls(), remote.cleartext()) {
        (Some(_), _, _) => Bound::Socket,
        (None, TlsTrust::Pin(_), _) => Bound::Host,
        (None, TlsTrust::SystemRoots, Cleartext::Allow) => Bound::Open,
        (None, TlsTrust::SystemRoots, Cleartext::Refuse) => Bound::Private,
    }
}

/// Whether a URL may be asked on behalf of a remote, whoever made it.
fn check_place(remote: &RemoteConfig, url: &Url) -> Result<()> {
    let wrong = |kind, message: String| Err(Error::new(kind, message).with_subject(shown(url)));
    match url.scheme() {
        "https" => {}
        "http" if remote.socket().is_some() => {}
        "http" if Class::of_host(url) == Some(Class::Loopback) => {}
        "http" if remote.cleartext() == Cleartext::Allow => {}
        "http" => {
            let name = remote.name();
            let message = format!("remote `{name}` would be asked over http without TLS");
            return Err(Error::new(ErrorKind::InvalidConfig, message)
                .with_subject(shown(url))
                .with_remedy("use https, or set allow_http = true for this remote"));
        }
        other => return wrong(ErrorKind::Unsupported, format!("`{other}` is no transport")),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return wrong(
            ErrorKind::Unsafe,
            "a URL must not hold a user name or password".to_owned(),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_narrows_what_names_may_stand_for() {
        let url = |text: &str| text.parse::<Url>().expect(text);
        let way = Way {
            asked: vec![url("https://a.example/1")],
            proxy: None,
            socket: None,
            tried: 1,
        };
        let mut hops = Hops {
            way,
            reach: Reach::Any,
            deadline: None,
        };
        for (target, reach) in [
            ("https://a.example/2", Reach::Any),
            ("https://a.example:444/3", Reach::From(Class::Public)),
            ("https://a.example:444/4", Reach::From(Class::Public)),
        ] {
            hops.go(url(target), Class::Public);
            assert_eq!(hops.reach, reach, "{target}");
            assert_eq!(hops.way.url(), &url(target));
        }
    }
}
