use std::sync::Arc;
use std::time::Duration;

use imagestore_core::{
    Context, Document, Error, ErrorKind, Event, ImagePath, ImageSource, Listing, Lookup, Parsed,
    Protocol, Referral, RemoteConfig, Result, TlsTrust, Trust, architecture, async_trait,
};
use imagestore_verify::{Keyring, Sha256, Verified};

use crate::find::Found;
use crate::index::Index;
use crate::trust::{fetch_certificate, fetch_key};

/// Makes [`Registry`] sources.
///
/// # Defaults
/// Descriptions in no particular language.
#[derive(Clone, Debug, Default)]
pub struct RegistryProtocol {
    locale: Option<String>,
}

impl RegistryProtocol {
    /// The protocol `registry`.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Descriptions for this locale, such as `fr_CH.UTF-8`, where the registry has them.
    #[must_use]
    pub fn with_locale(mut self, locale: Option<String>) -> Self {
        self.locale = locale;
        self
    }
}

impl Protocol for RegistryProtocol {
    fn name(&self) -> &'static str {
        "registry"
    }

    fn source(&self, remote: RemoteConfig, context: &Context) -> Result<Arc<dyn ImageSource>> {
        let registry = Registry::new(remote, context.clone())?.with_locale(self.locale.clone());
        Ok(Arc::new(registry))
    }
}

/// A registry: answers with referrals only.
#[derive(Clone, Debug)]
pub struct Registry {
    remote: RemoteConfig,
    context: Context,
    locale: Option<String>,
}

impl Registry {
    /// The registry at a remote. Asks nobody.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] if the remote has no keys: a registry hands out keys, and its
    /// own signature is all that vouches for them.
    pub fn new(remote: RemoteConfig, context: Context) -> Result<Self> {
        if let Trust::Channel = remote.trust() {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                format!("remote `{}` is a registry without keys", remote.name()),
            )
            .with_subject(remote.url())
            .with_remedy("give it trusted_keys"));
        }
        Ok(Self {
            remote,
            context,
            locale: None,
        })
    }

    /// Descriptions for this locale, where the registry has them.
    #[must_use]
    pub fn with_locale(mut self, locale: Option<String>) -> Self {
        self.locale = locale;
        self
    }

    /// The index as it is now.
    ///
    /// # Errors
    /// [`ErrorKind::Untrusted`], [`ErrorKind::RolledBack`], [`ErrorKind::Expired`] or
    /// [`ErrorKind::Malformed`] if it is not to be believed, and those of the transport.
    pub async fn index(&self) -> Result<Verified<Index>> {
        let document = Document::new(&self.context, &self.remote, INDEX)?
            .with_limit(MAX_INDEX.min(self.context.limits().index_bytes))
            .with_noteworthy_age(NOTEWORTHY_AGE);
        document
            .fetch(|bytes| self.parse(bytes))
            .await
            .map_err(|error| match error.kind() {
                ErrorKind::NotFound => Error::new(ErrorKind::NotFound, "there is no registry")
                    .with_subject(self.remote.url())
                    .with_source(error),
                _ => error,
            })
    }

    fn parse(&self, bytes: &[u8]) -> Result<Parsed<Index>> {
        let url = self.remote.url().document(INDEX)?;
        let index = Index::parse(bytes).map_err(|cause| Error::from(cause).with_subject(&url))?;
        let warning = index.check_time(self.context.now_for(&self.remote));
        if let Some(warning) = warning.map_err(|error| error.with_subject(&url))? {
            self.context.tell(Event::Warning {
                text: &format!("{warning}: {url}"),
            });
        }
        let counters = [
            ("generated_at", index.generated_at()),
            ("serial", index.serial()),
        ];
        let mut parsed = Parsed::new(index);
        for (name, value) in counters {
            if let Some(value) = value {
                parsed = parsed.with_counter(name, value);
            }
        }
        Ok(parsed)
    }

    /// The referral to a server, with the keys and certificates the registry has for it.
    async fn refer(&self, found: Verified<Found>) -> Result<Verified<Referral>> {
        let url = found.server.check()?;
        let name = found.server.remote_name()?;
        let (mirrors, refused) = found.server.mirrors(&url);
        for text in &refused {
            self.context.tell(Event::Warning { text });
        }
        let keys = self.keys(&found).await?;
        let pins = self.pins(&found).await?;
        let with_trust = match keys {
            Some(keys) => found
                .and(keys)
                .map(|(found, keys)| (found, Trust::Signatures(keys))),
            None => found.map(|found| (found, Trust::Channel)),
        };
        let with_tls = match pins {
            Some(pins) => with_trust
                .and(pins)
                .map(|(rest, pins)| (rest, TlsTrust::Pin(pins))),
            None => with_trust.map(|rest| (rest, TlsTrust::SystemRoots)),
        };
        // Of this remote's own trust nothing is handed on.
        let architecture = self.remote.architecture().map(str::to_owned);
        Ok(with_tls.map(|((found, trust), tls)| Referral {
            remote: RemoteConfig::new(name, url, trust)
                .with_tls(tls)
                .with_mirrors(mirrors)
                .with_arguments(found.server.arguments().clone())
                .with_architecture(architecture),
            rest: found.rest,
        }))
    }

    async fn keys(&self, found: &Found) -> Result<Option<Verified<Keyring>>> {
        let revoked = found.server.revoked_keys()?;
        let mut all: Option<Verified<Keyring>> = None;
        for path in found.server.trusted_keys() {
            let key = fetch_key(&self.context, &self.remote, path).await?;
            all = Some(match all {
                Some(others) => others.and(key).try_map(|(others, key)| {
                    others.union(&key).map_err(|cause| {
                        let name = found.server.name();
                        Error::new(
                            ErrorKind::TooLarge,
                            format!("too many keys of server `{name}`"),
                        )
                        .with_source(cause)
                    })
                })?,
                None => key,
            });
        }
        let Some(all) = all else {
            return Ok(None);
        };
        let left = all.try_map(|keys| {
            keys.without(&revoked).map_err(|cause| {
                let name = found.server.name();
                Error::new(
                    ErrorKind::Untrusted,
                    format!("every key of server `{name}` is revoked"),
                )
                .with_source(cause)
            })
        })?;
        Ok(Some(left))
    }

    async fn pins(&self, found: &Found) -> Result<Option<Verified<Vec<Sha256>>>> {
        let mut all: Option<Verified<Vec<_>>> = None;
        for path in found.server.trusted_certs() {
            let pin = fetch_certificate(&self.context, &self.remote, path).await?;
            all = Some(match all {
                Some(others) => others.and(pin).map(|(mut others, pin)| {
                    others.push(pin);
                    others
                }),
                None => pin.map(|pin| vec![pin]),
            });
        }
        Ok(all)
    }
}

#[async_trait]
impl ImageSource for Registry {
    fn remote(&self) -> &RemoteConfig {
        &self.remote
    }

    async fn lookup(&self, path: &ImagePath) -> Result<Verified<Lookup>> {
        let architecture = self
            .remote
            .architecture()
            .unwrap_or_else(|| architecture::native());
        let found = self
            .index()
            .await?
            .try_map(|index| index.find(path, architecture))?;
        let referral = self.refer(found).await?;
        Ok(referral.map(|referral| Lookup::Referral(Box::new(referral))))
    }

    async fn list(&self, prefix: &ImagePath) -> Result<Verified<Listing>> {
        let index = self.index().await?;
        if index.is_folder(prefix) {
            let locale = self.locale.as_deref();
            return Ok(index.map(|index| Listing::of(index.entries(prefix, locale))));
        }
        let found = index.try_map(|index| index.find_prefix(prefix))?;
        let referral = self.refer(found).await?;
        Ok(referral.map(|referral| Listing::Referral(Box::new(referral))))
    }
}

// The specification's proposal: a list of servers changes seldom.
const NOTEWORTHY_AGE: Duration = Duration::from_secs(30 * 86_400);
const INDEX: &str = "/1.0/index.json";
const MAX_INDEX: u64 = 16 << 20;
