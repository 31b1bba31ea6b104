use std::collections::BTreeMap;

use imagestore_core::{
    BaseUrl, Entry, EntryKind, Error, ErrorKind, Place, RemoteName, RemoteUrl, Result, printable,
};
use imagestore_verify::Fingerprint;

use crate::wire::{Text, WireServer, short};

/// The version of this program in the sense of `min_client_ver` and `max_client_ver`.
pub const CLIENT_VERSION: u64 = 1;

/// A server a registry refers to: one entry of `servers`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    name: String,
    url: Option<String>,
    descriptions: BTreeMap<String, String>,
    arguments: BTreeMap<String, String>,
    mirrors: Vec<String>,
    trusted_keys: Vec<String>,
    trusted_certs: Vec<String>,
    revoked_keys: Vec<String>,
    min_client_ver: u64,
    max_client_ver: u64,
}

impl Server {
    pub(crate) fn from_wire(wire: WireServer) -> Self {
        Self {
            name: wire.name.0,
            url: wire.url.map(|Text(url)| url),
            descriptions: wire.descriptions,
            arguments: wire.arguments,
            mirrors: wire.mirrors,
            trusted_keys: wire.trusted_keys,
            trusted_certs: wire.trusted_certs,
            revoked_keys: wire.revoked_keys,
            min_client_ver: wire.min_client_ver,
            max_client_ver: wire.max_client_ver,
        }
    }

    /// What a user types for it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its description in a locale such as `fr_CH.UTF-8`: for language and country, else for the
    /// language, else the general one.
    #[must_use]
    pub fn describe(&self, locale: Option<&str>) -> Option<&str> {
        let locale = locale
            .unwrap_or_default()
            .split(['.', '@'])
            .next()
            .unwrap_or_default();
        let locale = locale.replace('-', "_");
        let language = locale.split('_').next().unwrap_or_default();
        [
            format!("description.{locale}"),
            format!("description.{language}"),
            "description".into(),
        ]
        .iter()
        .find_map(|key| self.descriptions.get(key).filter(|text| !text.is_empty()))
        .map(String::as_str)
    }

    /// Values for its protocol.
    #[must_use]
    pub fn arguments(&self) -> &BTreeMap<String, String> {
        &self.arguments
    }

    /// Where on the registry the keys are that may sign there.
    #[must_use]
    pub fn trusted_keys(&self) -> &[String] {
        &self.trusted_keys
    }

    /// Where on the registry the certificates are that it may show.
    #[must_use]
    pub fn trusted_certs(&self) -> &[String] {
        &self.trusted_certs
    }

    /// Its URL, if it can be used.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if it is for other versions of this program,
    /// [`ErrorKind::Malformed`] if its URL is none, [`ErrorKind::Unsafe`] if that is a socket of
    /// this machine, [`ErrorKind::Untrusted`] if there is nobody to believe.
    pub fn check(&self) -> Result<RemoteUrl> {
        self.check_version()?;
        let Some(text) = &self.url else {
            return Err(self.refuse(ErrorKind::Malformed, "has no url"));
        };
        let url: RemoteUrl = text.parse().map_err(|cause: Error| {
            self.refuse(ErrorKind::Malformed, "has a url that is none")
                .with_source(cause)
        })?;
        if let Place::Socket(_) = url.place() {
            return Err(self.refuse(ErrorKind::Unsafe, "is a socket of this machine"));
        }
        if self.trusted_keys.is_empty() && !is_trusted_by_channel(&url) {
            return Err(self
                .refuse(ErrorKind::Untrusted, "has no trusted_keys")
                .with_remedy(format!(
                    "ask the registry to name the keys that sign on {url}"
                )));
        }
        Ok(url)
    }

    fn check_version(&self) -> Result<()> {
        let (min, max) = (self.min_client_ver, self.max_client_ver);
        // 0 means any. The bounds are inclusive: strict ones would leave nothing between 1 and 2.
        if min > CLIENT_VERSION {
            let message =
                format!("is for version {min} and later, this is version {CLIENT_VERSION}");
            return Err(self
                .refuse(ErrorKind::Unsupported, &message)
                .with_remedy("use a later imagestore"));
        }
        if max != 0 && max < CLIENT_VERSION {
            let message =
                format!("is for version {max} and earlier, this is version {CLIENT_VERSION}");
            return Err(self
                .refuse(ErrorKind::Unsupported, &message)
                .with_remedy("ask the registry for a later server"));
        }
        Ok(())
    }

    /// The keys that must never count.
    pub(crate) fn revoked_keys(&self) -> Result<Vec<Fingerprint>> {
        let parse = |text: &String| {
            text.parse::<Fingerprint>().map_err(|cause| {
                let message = format!(
                    "has `{}` in revoked_keys, which is no fingerprint",
                    short(text)
                );
                self.refuse(ErrorKind::Malformed, &message)
                    .with_source(cause)
            })
        };
        self.revoked_keys.iter().map(parse).collect()
    }

    /// The mirrors that can be used, and what is wrong with each of the others.
    pub(crate) fn mirrors(&self, url: &RemoteUrl) -> (Vec<BaseUrl>, Vec<String>) {
        let (mut usable, mut refused) = (Vec::new(), Vec::new());
        for text in &self.mirrors {
            match mirror(text, url) {
                Ok(base) => usable.push(base),
                Err(why) => {
                    let (name, text) = (&self.name, short(text));
                    refused.push(format!("a mirror of server `{name}` {why}: `{text}`"));
                }
            }
        }
        (usable, refused)
    }

    /// Its name in the form that names of remotes have.
    pub(crate) fn remote_name(&self) -> Result<RemoteName> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let mapped: String = self
            .name
            .chars()
            .map(|c| if plain(c) { c } else { '-' })
            .collect();
        let trimmed = mapped.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
        let name = if trimmed.is_empty() {
            "server"
        } else {
            trimmed
        };
        name.chars()
            .take(MAX_REMOTE_NAME)
            .collect::<String>()
            .parse()
    }

    /// Its line in a listing.
    pub(crate) fn entry(&self, locale: Option<&str>) -> Entry {
        let entry = Entry::new(&self.name, EntryKind::Remote)
            .with_description(self.describe(locale).map(printable))
            .with_property("url", short(self.url.as_deref().unwrap_or_default()));
        match self.check() {
            Ok(url) => entry.with_property("protocol", url.protocol()),
            Err(error) => entry.with_property("unusable", error.to_string()),
        }
    }

    fn refuse(&self, kind: ErrorKind, why: &str) -> Error {
        Error::new(kind, format!("server `{}` {why}", self.name))
    }
}

/// LXD hosts and simplestreams publish no signatures: who pins the certificate, or believes the
/// system's roots, believes them.
fn is_trusted_by_channel(url: &RemoteUrl) -> bool {
    matches!(url.protocol(), "lxd" | "simplestreams")
        && url.base().is_some_and(BaseUrl::is_encrypted)
}

fn mirror(text: &str, url: &RemoteUrl) -> Result<BaseUrl, &'static str> {
    let base = match text.parse::<RemoteUrl>() {
        Ok(mirror) if mirror.protocol() != url.protocol() => return Err("speaks another protocol"),
        Ok(mirror) => mirror.base().cloned(),
        Err(_) => text.parse::<BaseUrl>().ok(),
    };
    match base {
        None => Err("has a url that is none"),
        Some(base) if !base.is_encrypted() && url.base().is_some_and(BaseUrl::is_encrypted) => {
            Err("is without TLS, unlike the server")
        }
        Some(base) => Ok(base),
    }
}

const MAX_REMOTE_NAME: usize = 128;

#[cfg(test)]
mod tests;
