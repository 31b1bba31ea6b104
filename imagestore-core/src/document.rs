use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use imagestore_verify::{
    DetachedSignature, Framing, Keyring, Proof, Unverified, Verified, Verifier, trust_channel,
};
use url::Url;

use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::freshness::Mark;
use crate::progress::Event;
use crate::remote::{RemoteConfig, Trust};
use crate::transport::{Caches, Get};

/// A small document of a remote, to be fetched, checked, parsed and remembered, in this order.
///
/// Every index of every protocol comes this way. Where the remote is trusted by signatures, the
/// detached signature lies beside the document under its name with `.asc` appended, and must be
/// there.
#[derive(Clone, Debug)]
pub struct Document<'a> {
    context: &'a Context,
    remote: &'a RemoteConfig,
    url: Url,
    signature: Signature,
    common_memory: Option<&'a str>,
    keys: Option<&'a Keyring>,
    limit: u64,
    lifetime: Lifetime,
    noteworthy_age: Duration,
    caches: Caches,
}

impl<'a> Document<'a> {
    /// The document at `path` below the remote: an [index](Lifetime::Index), of at most
    /// [`Limits::index_bytes`](crate::Limits::index_bytes).
    ///
    /// # Errors
    /// [`ErrorKind::Unsafe`] if the path could name another server.
    pub fn new(context: &'a Context, remote: &'a RemoteConfig, path: &str) -> Result<Self> {
        Ok(Self {
            context,
            remote,
            url: remote.url().document(path)?,
            signature: Signature::Beside,
            common_memory: None,
            keys: None,
            limit: context.limits().index_bytes,
            lifetime: Lifetime::Index,
            noteworthy_age: NOTEWORTHY_AGE,
            caches: Caches::Ask,
        })
    }

    /// Signed by these keys instead of those of the remote.
    #[must_use]
    pub fn with_keys(mut self, keys: &'a Keyring) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Signed in the document at `path` instead of the one with `.asc` appended.
    ///
    /// # Errors
    /// [`ErrorKind::Unsafe`] if the path could name another server.
    pub fn with_signature(mut self, path: &str) -> Result<Self> {
        let (url, framing) = (self.remote.url().document(path)?, Framing::default());
        self.signature = Signature::At { url, framing };
        Ok(self)
    }

    /// Signed in a document that may also be [framed](Framing) like this, such as a binary `.gpg`.
    #[must_use]
    pub fn with_framing(mut self, framing: Framing) -> Self {
        let url = match self.signature {
            Signature::At { url, .. } => url,
            Signature::Beside | Signature::Inside => signature_url(&self.url),
        };
        self.signature = Signature::At { url, framing };
        self
    }

    /// Clear-signed: text and signature in one document. See [`Verifier::check_clear_signed`] for
    /// what of it is parsed. It needs keys, also where the remote is trusted by its channel.
    #[must_use]
    pub fn with_signature_inside(mut self) -> Self {
        self.signature = Signature::Inside;
        self
    }

    /// Published in several forms, which are remembered together under this name, and each by its
    /// path: an old one in one form cannot follow a new one in another. Across forms the numbers
    /// that only rise are what counts, and the time of the signature with a slack of five minutes,
    /// because a publisher signs the forms of one document in turn.
    #[must_use]
    pub fn with_common_memory(mut self, name: &'a str) -> Self {
        self.common_memory = Some(name);
        self
    }

    /// Of at most this many bytes.
    #[must_use]
    pub fn with_limit(mut self, limit: u64) -> Self {
        self.limit = limit;
        self
    }

    /// Whether newer ones replace it.
    #[must_use]
    pub fn with_lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// From what age on an index is warned about, instead of seven days: image servers sign theirs
    /// anew every day, a registry may not.
    #[must_use]
    pub fn with_noteworthy_age(mut self, age: Duration) -> Self {
        self.noteworthy_age = age;
        self
    }

    /// Whether caches may answer for the remote. They must not when what it said last turned out to
    /// be out of date.
    #[must_use]
    pub fn with_caches(mut self, caches: Caches) -> Self {
        self.caches = caches;
        self
    }

    /// What the document says.
    ///
    /// `parse` sees the bytes only after they have been checked. An index is remembered as the
    /// newest only after it has been parsed, so that a document that is refused changes nothing.
    ///
    /// What is refused is asked for once more past all caches, here and on the way: servers do not
    /// replace a document and its signature in one step, and a copy may be stale or planted.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such document, [`ErrorKind::Untrusted`] if it does
    /// not verify or has no signature, [`ErrorKind::RolledBack`] or [`ErrorKind::Expired`] if it is
    /// old, and those of `parse`.
    pub async fn fetch<T>(self, parse: impl Fn(&[u8]) -> Result<Parsed<T>>) -> Result<Verified<T>> {
        match self.attempt(&parse, self.caches).await {
            Err(error) if is_refusal(&error) => self.attempt(&parse, Caches::Bypass).await,
            outcome => outcome,
        }
    }

    /// What the document says, or nothing if there is no such document.
    ///
    /// # Errors
    /// Those of [`Document::fetch`] but for [`ErrorKind::NotFound`]. A document without its
    /// signature is an error.
    pub async fn fetch_optional<T>(
        self,
        parse: impl Fn(&[u8]) -> Result<Parsed<T>>,
    ) -> Result<Option<Verified<T>>> {
        match self.fetch(parse).await {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn attempt<T>(
        &self,
        parse: &impl Fn(&[u8]) -> Result<Parsed<T>>,
        caches: Caches,
    ) -> Result<Verified<T>> {
        let bytes = match (self.keys, self.remote.trust()) {
            (Some(keys), _) | (None, Trust::Signatures(keys)) => {
                self.fetch_signed(keys, caches).await?
            }
            // The frame around the text is no text; without keys nobody may take it off.
            (None, Trust::Channel) if matches!(self.signature, Signature::Inside) => {
                let problem = "a clear-signed document needs keys";
                return Err(Error::new(ErrorKind::InvalidConfig, problem).with_subject(&self.url));
            }
            (None, Trust::Channel) => self.fetch_by_channel(caches).await?,
        };
        self.context.tell(Event::Verified {
            what: self.url.as_str(),
            proofs: bytes.proofs(),
        });
        self.check_age(bytes.proofs())?;
        let mut mark = Mark::of(&bytes, bytes.proofs());
        let parsed = bytes.try_map(|bytes| parse(&bytes))?;
        if self.lifetime == Lifetime::Index {
            mark.counters.clone_from(&parsed.counters);
            // Its own form first: what that refuses must not raise what holds for all forms.
            self.advance(self.url.path(), &mark)?;
            if let Some(name) = self.common_memory {
                self.advance(name, &mark.with_slack(FORMS_SLACK))?;
            }
        }
        Ok(parsed.map(|parsed| parsed.value))
    }

    fn advance(&self, name: &str, mark: &Mark) -> Result<()> {
        let memory = self.context.memory();
        memory
            .advance(&self.remote.id(), name, mark)
            .map_err(|error| error.with_subject(&self.url))
    }

    async fn fetch_signed(&self, keys: &Keyring, caches: Caches) -> Result<Verified<Bytes>> {
        let document = self.get(&self.url, self.limit, caches).await?;
        let verifier = Verifier::new(keys.clone(), self.context.policy_for(self.remote));
        let (place, framing) = match &self.signature {
            Signature::At { url, framing } => (url.clone(), *framing),
            Signature::Beside => (signature_url(&self.url), Framing::default()),
            Signature::Inside => {
                return verifier
                    .check_clear_signed(document)
                    .map_err(|cause| Error::untrusted(&self.url, cause));
            }
        };
        let limit = self.context.limits().signature_bytes;
        let asc = self
            .get(&place, limit, caches)
            .await
            .map_err(|error| unsigned(&self.url, error))?;
        let signature = DetachedSignature::parse_framed(&asc, framing)
            .map_err(|cause| Error::untrusted(&place, cause))?;
        verifier
            .check(document, &signature)
            .map_err(|cause| Error::untrusted(&self.url, cause))
    }

    async fn fetch_by_channel(&self, caches: Caches) -> Result<Verified<Bytes>> {
        self.context.tell(Event::Asked { url: &self.url });
        let request = Get::document(self.remote, &self.url).with_caches(caches);
        let body = self.context.transport().get(request).await?;
        let Some(channel) = body.channel().cloned() else {
            return Err(Error::new(
                ErrorKind::Untrusted,
                "came over a channel that nothing vouches for",
            )
            .with_subject(&self.url)
            .with_remedy("give the remote trusted_keys, or reach it over https or a socket"));
        };
        Ok(trust_channel(body.collect(self.limit).await?, &channel))
    }

    async fn get(&self, url: &Url, limit: u64, caches: Caches) -> Result<Unverified<Bytes>> {
        self.context.tell(Event::Asked { url });
        let request = Get::document(self.remote, url).with_caches(caches);
        self.context
            .transport()
            .get(request)
            .await?
            .collect(limit)
            .await
    }

    fn check_age(&self, proofs: &[Proof]) -> Result<()> {
        if self.lifetime != Lifetime::Index {
            return Ok(());
        }
        let Some(signed_at) = Mark::of(&[], proofs).signed_at else {
            return Ok(());
        };
        let age = self
            .context
            .now_for(self.remote)
            .duration_since(signed_at)
            .unwrap_or_default();
        match self.remote.max_age() {
            Some(highest) if age > highest => Err(Error::new(
                ErrorKind::Expired,
                format!(
                    "was signed {} days ago, at most {} are allowed",
                    days(age),
                    days(highest)
                ),
            )
            .with_subject(&self.url)),
            _ if age > self.noteworthy_age => {
                let text = format!("{} was signed {} days ago", self.url, days(age));
                self.context.tell(Event::Warning { text: &text });
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Where the signature of a document is.
#[derive(Clone, Debug)]
enum Signature {
    At {
        url: Url,
        framing: Framing,
    },
    /// Under its name with `.asc` appended.
    Beside,
    Inside,
}

/// Whether newer documents replace a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// It belongs to one build or key and stays as it is; nothing is remembered.
    Fixed,
    /// Newer ones replace it; older ones than the newest seen are refused.
    Index,
}

/// What a parser got out of a document.
#[derive(Clone, Debug)]
pub struct Parsed<T> {
    value: T,
    counters: BTreeMap<String, u64>,
}

impl<T> Parsed<T> {
    /// This value, from a document without numbers that only rise.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self {
            value,
            counters: BTreeMap::new(),
        }
    }

    /// A number in the document that must never fall.
    #[must_use]
    pub fn with_counter(mut self, name: impl Into<String>, value: u64) -> Self {
        self.counters.insert(name.into(), value);
        self
    }
}

/// The URL of the detached signature of a document or file: `.asc` appended.
#[must_use]
pub fn signature_url(url: &Url) -> Url {
    let mut asc = url.clone();
    asc.set_path(&format!("{}.asc", url.path()));
    asc
}

/// The error for something that has no signature, when asking for it ended like this.
#[must_use]
pub fn unsigned(subject: &Url, cause: Error) -> Error {
    if cause.kind() != ErrorKind::NotFound {
        return cause;
    }
    Error::new(ErrorKind::Untrusted, "is not signed")
        .with_subject(subject)
        .with_source(cause)
}

/// Whether the remote may have something better than this.
fn is_refusal(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Expired | ErrorKind::Malformed | ErrorKind::RolledBack | ErrorKind::Untrusted
    )
}

fn days(age: Duration) -> u64 {
    age.as_secs() / 86_400
}

const NOTEWORTHY_AGE: Duration = Duration::from_secs(7 * 86_400);
const FORMS_SLACK: Duration = Duration::from_secs(5 * 60);
