use imagestore_core::{Context, Error, ErrorKind, Event, Framing, Get, RemoteConfig, Result};
use imagestore_verify::{Channel, Sha256, Unverified, Verified, trust_channel};
use url::Url;

use crate::error::ParseError;
use crate::options::Options;

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
        self.context.tell(Event::Asked { url: &plain(url) });
        let transport = self.context.transport();
        let body = transport.get(Get::document(self.remote, url)).await?;
        let channel = self.channel(body.channel(), url)?;
        let bytes = body.collect(self.context.limits().index_bytes).await?;
        let value = trust_channel(bytes, &channel)
            .try_map(|bytes| parse(&bytes))
            .map_err(|error| Error::from(error).with_subject(plain(url)))?;
        self.context.tell(Event::Verified {
            what: plain(url).as_str(),
            proofs: value.proofs(),
        });
        Ok(value)
    }

    /// How the files of an export lie in the answer: only its head is read.
    ///
    /// No other answer of a host tells a split image from a unified one.
    pub(crate) async fn framing(&self, url: &Url) -> Result<Verified<Framing>> {
        self.context.tell(Event::Asked { url: &plain(url) });
        let transport = self.context.transport();
        let body = transport.get(Get::file(self.remote, url)).await?;
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
                .with_subject(plain(url)));
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
        self.add_query(&mut url, Secrecy::Show);
        Ok(url)
    }

    /// The URL of the bytes of an image.
    pub(crate) fn export(&self, fingerprint: &Sha256) -> Result<Url> {
        let path = format!("/1.0/images/{fingerprint}/export");
        let mut url = self.remote.url().document(&path)?;
        self.add_query(&mut url, Secrecy::Show);
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
        self.add_query(&mut url, Secrecy::Hide);
        Ok(url)
    }

    /// The URL of all images.
    pub(crate) fn images(&self) -> Result<Url> {
        let mut url = self.remote.url().document("/1.0/images")?;
        url.query_pairs_mut().append_pair("recursion", "1");
        self.add_query(&mut url, Secrecy::Hide);
        Ok(url)
    }

    fn add_query(&self, url: &mut Url, secrecy: Secrecy) {
        if let Some(project) = &self.options.project {
            url.query_pairs_mut().append_pair("project", project);
        }
        if let (Some(secret), Secrecy::Show) = (&self.options.secret, secrecy) {
            url.query_pairs_mut().append_pair("secret", secret.as_str());
        }
    }

    fn channel(&self, channel: Option<&Channel>, url: &Url) -> Result<Channel> {
        channel.cloned().ok_or_else(|| {
            Error::new(
                ErrorKind::Untrusted,
                "came over a channel that nothing vouches for",
            )
            .with_subject(plain(url))
            .with_remedy("reach the host by its socket, or by https with its certificate pinned")
        })
    }
}

/// Whether a request names the secret. Each that does brings its end nearer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Secrecy {
    Hide,
    Show,
}

/// A URL for messages, without a secret.
fn plain(url: &Url) -> Url {
    let mut plain = url.clone();
    if url.query_pairs().any(|(name, _)| name == "secret") {
        plain.set_query(Some("secret=…"));
    }
    plain
}
