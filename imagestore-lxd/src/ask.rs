use std::fmt;

use imagestore_core::{
    Body, Change, Context, Error, ErrorKind, Event, Framing, Get, RemoteConfig, Result,
};
use imagestore_verify::{Channel, Sha256, Unverified, Verified, trust_channel};
use url::Url;

use crate::error::ParseError;
use crate::operation::{OperationId, shown};
use crate::options::Options;
use crate::reply;
use crate::secrets::Opening;

/// Asks one host, and believes it by the channel its answers come by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) context: &'a Context,
    pub(crate) remote: &'a RemoteConfig,
    pub(crate) options: &'a Options,
}

impl Ask<'_> {
    /// The value at a URL of the API.
    pub(crate) async fn value<T>(
        &self,
        url: &Url,
        parse: impl FnOnce(&[u8]) -> Result<T, ParseError>,
    ) -> Result<Verified<T>> {
        self.opened_value(url, None, parse).await
    }

    /// The value at a URL of the API that takes something to be opened.
    pub(crate) async fn opened_value<T>(
        &self,
        url: &Url,
        opening: Option<&Opening>,
        parse: impl FnOnce(&[u8]) -> Result<T, ParseError>,
    ) -> Result<Verified<T>> {
        let body = self.body(Get::document(self.remote, url), opening).await?;
        self.parsed(url, body, parse).await
    }

    /// What the host says to a request that changes something. It is sent once.
    pub(crate) async fn change<T>(
        &self,
        change: Change<'_>,
        parse: impl FnOnce(&[u8]) -> Result<T, ParseError>,
    ) -> Result<Verified<T>> {
        self.context.tell(Event::Asked { url: change.url });
        let answer = self.context.transport().send(change).await;
        self.parsed(change.url, answer.map_err(with_hint)?, parse)
            .await
    }

    async fn body(&self, request: Get<'_>, opening: Option<&Opening>) -> Result<Body> {
        self.context.tell(Event::Asked { url: request.url });
        let transport = self.context.transport();
        let answer = match opening {
            Some(opening) => opening.ask(&**transport, request).await,
            None => transport.get(request).await,
        };
        answer.map_err(with_hint)
    }

    async fn parsed<T>(
        &self,
        url: &Url,
        body: Body,
        parse: impl FnOnce(&[u8]) -> Result<T, ParseError>,
    ) -> Result<Verified<T>> {
        let channel = self.channel(body.channel(), url)?;
        let bytes = body.collect(self.context.limits().index_bytes).await?;
        let value = trust_channel(bytes, &channel)
            .try_map(|bytes| parse(&bytes))
            .map_err(|error| Error::from(error).with_subject(url))?;
        self.context.tell(Event::Verified {
            what: url.as_str(),
            proofs: value.proofs(),
        });
        Ok(value)
    }

    /// How the files of an export lie in the answer: only its head is read.
    ///
    /// No other answer of a host tells a split image from a unified one.
    pub(crate) async fn framing(
        &self,
        url: &Url,
        opening: Option<&Opening>,
    ) -> Result<Verified<Framing>> {
        let body = self.body(Get::file(self.remote, url), opening).await?;
        let channel = self.channel(body.channel(), url)?;
        let kind = body.content_type().unwrap_or("application/octet-stream");
        let framing = match kind.split(';').next().unwrap_or_default().trim() {
            kind if kind.eq_ignore_ascii_case("multipart/form-data") => Framing::Multipart,
            kind if kind.eq_ignore_ascii_case("application/octet-stream") => Framing::Plain,
            other => {
                let other: String = other.chars().take(80).collect();
                return Err(Error::new(
                    ErrorKind::Malformed,
                    format!(
                        "an export is sent as `{}`, which is neither one file nor two",
                        imagestore_core::printable(&other)
                    ),
                )
                .with_subject(url));
            }
        };
        Ok(trust_channel(Unverified::new(framing), &channel))
    }

    /// The URL of an image.
    pub(crate) fn image(&self, fingerprint: &Sha256) -> Result<Url> {
        self.image_by(&fingerprint.to_string())
    }

    /// The URL of an image by the first digits of its fingerprint.
    pub(crate) fn image_by(&self, digits: &str) -> Result<Url> {
        let mut url = self
            .remote
            .url()
            .document(&format!("/1.0/images/{digits}"))?;
        self.add_project(&mut url);
        Ok(url)
    }

    /// The URL of the bytes of an image.
    pub(crate) fn export(&self, fingerprint: &Sha256) -> Result<Url> {
        let path = format!("/1.0/images/{fingerprint}/export");
        let mut url = self.remote.url().document(&path)?;
        self.add_project(&mut url);
        Ok(url)
    }

    /// The URL at which secrets of an image are made.
    pub(crate) fn secret(&self, fingerprint: &Sha256) -> Result<Url> {
        let path = format!("/1.0/images/{fingerprint}/secret");
        let mut url = self.remote.url().document(&path)?;
        self.add_project(&mut url);
        Ok(url)
    }

    /// The URL of an operation.
    pub(crate) fn operation(&self, id: &OperationId) -> Result<Url> {
        self.remote.url().document(&format!("/1.0/operations/{id}"))
    }

    /// The URL that answers when an operation has ended, or after so many seconds.
    pub(crate) fn wait(&self, id: &OperationId, seconds: u32) -> Result<Url> {
        let path = format!("/1.0/operations/{id}/wait");
        let mut url = self.remote.url().document(&path)?;
        url.query_pairs_mut()
            .append_pair("timeout", &seconds.to_string());
        Ok(url)
    }

    /// The URL of an alias, which is one segment there, whatever slashes it has.
    pub(crate) fn alias(&self, alias: &str) -> Result<Url> {
        let mut url = self.remote.url().document("/1.0/images/aliases")?;
        match url.path_segments_mut() {
            Ok(mut segments) => {
                segments.push(alias);
            }
            Err(()) => {
                return Err(Error::new(ErrorKind::InvalidConfig, "a host has a path")
                    .with_subject(self.remote.url()));
            }
        }
        self.add_project(&mut url);
        Ok(url)
    }

    /// The URL of all images, with what they are.
    pub(crate) fn images(&self) -> Result<Url> {
        let mut url = self.remote.url().document("/1.0/images")?;
        url.query_pairs_mut().append_pair("recursion", "1");
        self.add_project(&mut url);
        Ok(url)
    }

    /// The URL that takes new images.
    pub(crate) fn new_images(&self) -> Result<Url> {
        let mut url = self.remote.url().document("/1.0/images")?;
        self.add_project(&mut url);
        Ok(url)
    }

    fn add_project(&self, url: &mut Url) {
        if let Some(project) = &self.options.project {
            url.query_pairs_mut().append_pair("project", project);
        }
    }

    fn channel(&self, channel: Option<&Channel>, url: &Url) -> Result<Channel> {
        channel.cloned().ok_or_else(|| {
            Error::new(
                ErrorKind::Untrusted,
                "came over a channel that nothing vouches for",
            )
            .with_subject(url)
            .with_remedy("reach the host by its socket, or by https with its certificate pinned")
        })
    }
}

/// The error, with what the host says about it as its cause.
fn with_hint(error: Error) -> Error {
    let said = error.answer().and_then(|answer| {
        let bytes = trust_channel(answer.bytes.clone(), answer.channel.as_ref()?);
        reply::parse_error(&bytes)
    });
    match said {
        Some(text) => error.with_source(Said::new(&text)),
        None => error,
    }
}

/// What a host says went wrong, for people. Programs go by the kind of the error: the words differ
/// from host to host.
#[derive(Debug)]
pub(crate) struct Said(String);

impl Said {
    pub(crate) fn new(text: &str) -> Self {
        Self(shown(text, LONGEST_SAID))
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the host says: {}", self.0)
    }
}

impl std::error::Error for Said {}

const LONGEST_SAID: usize = 1_000;
