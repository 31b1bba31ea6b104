use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;
use imagestore_verify::{Channel, Unverified};
use url::Url;

use crate::change::Change;
use crate::error::{Error, ErrorKind, Result};
use crate::remote::RemoteConfig;

/// Brings bytes from a remote, unverified.
///
/// # Contract
/// - TLS follows [`RemoteConfig::tls`]; pins are exclusive. A certificate that is not believed is
///   [`ErrorKind::Untrusted`] and names what was seen and what was wanted.
/// - Redirects are few, never lead from https to http, and carry no credentials to another host.
/// - Bytes are handed on as sent, without content decoding.
/// - A transport may always answer as if [`Get::known`] were not there.
/// - Status 404 and 410 are [`ErrorKind::NotFound`], 401 and 403 [`ErrorKind::Refused`]; every other
///   failure to answer is [`ErrorKind::Network`]. "Not there" must be told from "could not ask": a
///   missing `.asc` is an answer.
/// - A body that ends before its announced length is [`ErrorKind::Network`], from [`Body::chunk`].
/// - The query of a URL may hold a secret: errors name URLs without it.
/// - What a remote says beside a status that is no success may be kept in [`Error::answer`].
#[async_trait]
pub trait Transport: fmt::Debug + Send + Sync {
    /// The answer to one request, from the first byte of its body on.
    async fn get(&self, request: Get<'_>) -> Result<Body>;

    /// The answer to a request that changes something.
    ///
    /// # Contract
    /// It is sent once: it is not tried again, whatever becomes of it, follows no redirect and is
    /// answered by no cache. Who it is sent to is found out by the rules of [`Transport::get`]. An
    /// answer is the size of a document; statuses 200 and 202 have one. A transport that changes
    /// nothing need not have this method.
    async fn send(&self, request: Change<'_>) -> Result<Body> {
        Err(Error::new(
            ErrorKind::Unsupported,
            "the transport only reads, and this changes something",
        )
        .with_subject(format_args!("remote `{}`", request.remote.name())))
    }
}

/// One request.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Get<'a> {
    /// Whose certificates, socket and rules apply.
    pub remote: &'a RemoteConfig,
    /// What to ask for: below the remote or one of its mirrors.
    pub url: &'a Url,
    /// What the answer is for.
    pub purpose: Purpose,
    /// Whether caches on the way may answer.
    pub caches: Caches,
    /// Where to go on, if a part is here already.
    pub resume: Option<&'a Resume>,
    /// What is here already; if the remote still has the same, [`Body::is_not_modified`] says so
    /// and nothing is sent.
    pub known: Option<&'a Validators>,
}

impl<'a> Get<'a> {
    /// A request for a document: small, and worth revalidating instead of fetching.
    #[must_use]
    pub fn document(remote: &'a RemoteConfig, url: &'a Url) -> Self {
        Self {
            remote,
            url,
            purpose: Purpose::Document,
            caches: Caches::Ask,
            resume: None,
            known: None,
        }
    }

    /// A request for a file: large, streamed, kept elsewhere.
    #[must_use]
    pub fn file(remote: &'a RemoteConfig, url: &'a Url) -> Self {
        Self {
            purpose: Purpose::File,
            ..Self::document(remote, url)
        }
    }

    /// The same request for another URL.
    #[must_use]
    pub fn with_url<'b>(self, url: &'b Url) -> Get<'b>
    where
        'a: 'b,
    {
        Get { url, ..self }
    }

    /// Whether caches on the way may answer.
    #[must_use]
    pub fn with_caches(mut self, caches: Caches) -> Self {
        self.caches = caches;
        self
    }

    /// Go on behind what is here already. The answer says in [`Body::offset`] where it begins.
    #[must_use]
    pub fn with_resume(mut self, resume: Option<&'a Resume>) -> Self {
        self.resume = resume;
        self
    }

    /// Ask only whether what is here already still holds. For transports that keep what they were
    /// sent.
    #[must_use]
    pub fn with_known(mut self, known: Option<&'a Validators>) -> Self {
        self.known = known;
        self
    }
}

/// What an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A small text that may be kept as raw bytes and revalidated.
    Document,
    /// An image file.
    File,
}

/// Whether caches, here and on the way, may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caches {
    /// They may, if they ask the remote whether their copy still holds.
    Ask,
    /// The remote itself must answer, anew: index and signature were out of step.
    Bypass,
}

/// What is here of a file that is being fetched again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resume {
    /// How many bytes are here.
    pub offset: u64,
    /// By what the remote can tell whether it still has the same file.
    pub validators: Validators,
}

/// By what a remote tells versions of a file apart, as it sent them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    /// The `ETag` field.
    pub etag: Option<String>,
    /// The `Last-Modified` field.
    pub last_modified: Option<String>,
}

/// The body of an answer, arriving.
pub struct Body {
    chunks: Pin<Box<dyn Stream<Item = Result<Unverified<Bytes>>> + Send>>,
    url: Url,
    offset: u64,
    length: Option<u64>,
    validators: Validators,
    content_type: Option<String>,
    channel: Option<Channel>,
    not_modified: bool,
}

impl Body {
    /// A body that came from this URL, after redirects.
    #[must_use]
    pub fn new(url: Url, chunks: impl Stream<Item = Result<Bytes>> + Send + 'static) -> Self {
        Self::relayed(url, Marked(Box::pin(chunks)))
    }

    /// A body that came through another transport.
    #[must_use]
    pub fn relayed(
        url: Url,
        chunks: impl Stream<Item = Result<Unverified<Bytes>>> + Send + 'static,
    ) -> Self {
        Self {
            chunks: Box::pin(chunks),
            url,
            offset: 0,
            length: None,
            validators: Validators::default(),
            content_type: None,
            channel: None,
            not_modified: false,
        }
    }

    /// The URL by which it is known, where it was asked for by one that is not to be shown.
    #[must_use]
    pub fn with_url(mut self, url: Url) -> Self {
        self.url = url;
        self
    }

    /// The place in the whole at which the body begins: 0, or the offset of [`Resume`].
    #[must_use]
    pub fn with_offset(mut self, offset: u64) -> Self {
        self.offset = offset;
        self
    }

    /// How many bytes this body announces, from its offset on.
    #[must_use]
    pub fn with_length(mut self, length: Option<u64>) -> Self {
        self.length = length;
        self
    }

    /// By what the remote tells versions apart.
    #[must_use]
    pub fn with_validators(mut self, validators: Validators) -> Self {
        self.validators = validators;
        self
    }

    /// The media type as sent.
    #[must_use]
    pub fn with_content_type(mut self, content_type: Option<String>) -> Self {
        self.content_type = content_type;
        self
    }

    /// What authenticated the channel it came by.
    #[must_use]
    pub fn with_channel(mut self, channel: Option<Channel>) -> Self {
        self.channel = channel;
        self
    }

    /// An answer without bytes: what the caller [knows](Get::known) still holds.
    #[must_use]
    pub fn with_not_modified(mut self) -> Self {
        self.not_modified = true;
        self
    }

    /// Where it came from, after redirects.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The place in the whole at which it begins.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// How many bytes it announces.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// By what the remote tells versions apart.
    #[must_use]
    pub fn validators(&self) -> &Validators {
        &self.validators
    }

    /// The media type as sent.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// What authenticated the channel, if anything did.
    #[must_use]
    pub fn channel(&self) -> Option<&Channel> {
        self.channel.as_ref()
    }

    /// Whether what the caller [knows](Get::known) still holds, so that nothing was sent.
    #[must_use]
    pub fn is_not_modified(&self) -> bool {
        self.not_modified
    }

    /// The next bytes, or nothing at the end. Dropping the future loses none of them.
    ///
    /// # Errors
    /// [`ErrorKind::Network`] if the connection breaks or the body ends early.
    pub async fn chunk(&mut self) -> Result<Option<Unverified<Bytes>>> {
        poll_fn(|context| self.chunks.as_mut().poll_next(context))
            .await
            .transpose()
    }

    /// All of it, if it has at most `limit` bytes.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] if it has more, and those of [`Body::chunk`].
    pub async fn collect(mut self, limit: u64) -> Result<Unverified<Bytes>> {
        let too_large = |found: &str| {
            Error::new(
                ErrorKind::TooLarge,
                format!("has {found}, at most {limit} bytes are allowed"),
            )
            .with_subject(&self.url)
        };
        if let Some(length) = self.length.filter(|length| *length > limit) {
            return Err(too_large(&format!("{length} bytes")));
        }
        let mut chunks = Vec::new();
        let mut length = 0u64;
        while let Some(chunk) = poll_fn(|context| self.chunks.as_mut().poll_next(context)).await {
            let chunk = chunk?;
            length = length.saturating_add(chunk.len() as u64);
            if length > limit {
                return Err(too_large("more bytes"));
            }
            chunks.push(chunk);
        }
        Ok(Unverified::concat(chunks))
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("url", &self.url.as_str())
            .field("offset", &self.offset)
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

/// Bytes on their way in, which nobody has checked.
struct Marked<S>(Pin<Box<S>>);

impl<S: Stream<Item = Result<Bytes>>> Stream for Marked<S> {
    type Item = Result<Unverified<Bytes>>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let chunk = ready!(self.0.as_mut().poll_next(context));
        Poll::Ready(chunk.map(|chunk| chunk.map(Unverified::new)))
    }
}
