use std::sync::Arc;

use imagestore_core::freshness::Mark;
use imagestore_core::{
    Context, Error, ErrorKind, Event, ImageId, ImagePath, ImageSource, Listing, Lookup, Protocol,
    RemoteConfig, Result, Trust, async_trait,
};
use imagestore_unpack::{UnpackError, UnpackErrorKind};
use imagestore_verify::{Keyring, Verified};

use crate::avoided::Avoided;
use crate::chain::Chain;
use crate::channels::{Channels, Device};
use crate::command::{HandOver, HandedKeyring, command};
use crate::files::{check_place, layers};
use crate::found::{Found, Why, accepted, bounded, build_name, device, keyring, too_many_ways};
use crate::index::Index;
use crate::name::{Below, Name, Named, Wanted, versions};
use crate::phase::{phase, phase_channel};
use crate::plan::Plan;
use crate::request::{Filter, Request};
use crate::trust_memory::{TrustInMemory, TrustMemory};

/// Makes [`SystemImage`] sources.
///
/// # Defaults
/// Keyrings and blacklists are remembered as long as the protocol lives.
#[derive(Clone, Debug)]
pub struct SystemImageProtocol {
    trust: Arc<dyn TrustMemory>,
    avoided: Arc<Avoided>,
}

impl Default for SystemImageProtocol {
    fn default() -> Self {
        Self {
            trust: Arc::new(TrustInMemory::default()),
            avoided: Arc::default(),
        }
    }
}

impl SystemImageProtocol {
    /// The protocol `system-image`.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Where keyrings and blacklists are remembered.
    #[must_use]
    pub fn with_trust_memory(mut self, trust: Arc<dyn TrustMemory>) -> Self {
        self.trust = trust;
        self
    }

    /// Plans around the delta to which this file of an image belongs, because it could not be
    /// downloaded or applied. Returns whether another lookup may give another image.
    pub fn avoid(&self, image: &ImageId, file: &str) -> bool {
        self.avoided.avoid(image, file)
    }

    /// The source for a remote of this protocol. Asks nobody.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] if the remote has no keys or arguments that are not understood.
    pub fn system_image(&self, remote: RemoteConfig, context: &Context) -> Result<SystemImage> {
        let source = SystemImage::new(remote, context.clone(), Arc::clone(&self.trust))?;
        Ok(SystemImage {
            avoided: Arc::clone(&self.avoided),
            ..source
        })
    }
}

impl Protocol for SystemImageProtocol {
    fn name(&self) -> &'static str {
        "system-image"
    }

    fn source(&self, remote: RemoteConfig, context: &Context) -> Result<Arc<dyn ImageSource>> {
        Ok(Arc::new(self.system_image(remote, context)?))
    }
}

/// A system-image server.
#[derive(Clone, Debug)]
pub struct SystemImage {
    pub(crate) remote: RemoteConfig,
    pub(crate) context: Context,
    pub(crate) trust: Arc<dyn TrustMemory>,
    pub(crate) avoided: Arc<Avoided>,
}

impl SystemImage {
    /// The server at a remote, with a memory for its keyrings. Asks nobody.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] if the remote has no keys, which are those of archive-master:
    /// nobody may download them; or if an argument is not understood.
    pub fn new(
        remote: RemoteConfig,
        context: Context,
        trust: Arc<dyn TrustMemory>,
    ) -> Result<Self> {
        let source = Self {
            remote,
            context,
            trust,
            avoided: Arc::default(),
        };
        source.archive()?;
        source.filter()?;
        Ok(source)
    }

    /// The channels as they are now.
    ///
    /// # Errors
    /// Those of the transport, and [`ErrorKind::Untrusted`], [`ErrorKind::Expired`],
    /// [`ErrorKind::RolledBack`] or [`ErrorKind::Malformed`] if they are not to be believed.
    pub async fn channels(&self) -> Result<Verified<Channels>> {
        let mut chain = Chain::begin(self, self.archive()?).await?;
        let channels = chain.channels().await?;
        Ok(chain.vouched(channels))
    }

    /// What a recovery needs to install what a path names.
    ///
    /// # Errors
    /// Those of a lookup.
    pub async fn hand_over(&self, path: &ImagePath) -> Result<Verified<HandOver>> {
        let mut chain = Chain::begin(self, self.archive()?).await?;
        let found = self.found(&mut chain, path).await?;
        let keyrings: Vec<_> = chain
            .keyrings()
            .into_iter()
            .map(|(kind, file)| HandedKeyring {
                name: format!("{kind}.tar.xz"),
                tarball: file.tarball.clone(),
                asc: file.asc.clone(),
            })
            .collect();
        Ok(found.map(|found| HandOver {
            command: command(&keyrings, &found.layers, found.formats),
            keyrings,
            layers: found.layers,
        }))
    }

    async fn found(&self, chain: &mut Chain<'_>, path: &ImagePath) -> Result<Verified<Found>> {
        let channels = chain.channels().await?;
        let named = Named::new(&channels, self.base()).find(path)?;
        let index = self.index(chain, &channels, &named).await?;
        let accepted = accepted(&channels, &named)?;
        let device = device(&channels, &named)?.clone();
        let alias = channels
            .channel(&named.channel)
            .and_then(|channel| channel.alias.clone());
        let mut request = self.request(&index, &named, alias.as_deref())?;
        for (version, base) in self.avoided.steps(&self.remote.id(), &named.path) {
            let same = |build: &&crate::Build| (build.version, build.base()) == (version, base);
            if let Some(build) = index.builds().iter().find(same) {
                request = request.without(build);
            }
        }
        let bounded = bounded(&index, &named)?;
        let found = loop {
            let found = self.plan(&bounded, &request, &named, &device)?;
            let mut failed = None;
            for layer in &found.layers {
                if let Err(error) = self.check_signature(chain, layer).await {
                    failed = Some((layer.clone(), error));
                    break;
                }
            }
            let Some((layer, error)) = failed else {
                break found;
            };
            let delta = bounded
                .builds()
                .iter()
                .find(|build| build.version == layer.build && build.base() == layer.base)
                .filter(|build| !build.is_full());
            match (error.kind(), delta) {
                (ErrorKind::NotFound | ErrorKind::Untrusted, Some(delta)) => {
                    self.warn(&format!(
                        "{delta} cannot be used ({error}); planning around it"
                    ));
                    request = request.without(delta);
                }
                _ => return Err(error),
            }
        };
        self.remember(&index, &named)?;
        let vouched = chain.vouched(index.and(channels));
        Ok(vouched.map(|_| Found {
            accepted,
            name: named,
            ..found
        }))
    }

    async fn index(
        &self,
        chain: &mut Chain<'_>,
        channels: &Channels,
        named: &Name,
    ) -> Result<Verified<Index>> {
        let device = device(channels, named)?;
        if let Some(keyring) = keyring(channels, named)? {
            chain.device(keyring, &named.device).await?;
        }
        let index = chain.index(&device.index).await?;
        let index = index.filter(|index| !index.builds().is_empty());
        index.ok_or_else(|| {
            let Name {
                channel, device, ..
            } = named;
            Error::new(
                ErrorKind::NotFound,
                format!("nothing is published for device `{device}` in channel `{channel}`"),
            )
            .with_subject(self.remote.url())
        })
    }

    /// What is wanted, as a plan understands it.
    fn request(&self, index: &Index, named: &Name, alias: Option<&str>) -> Result<Request> {
        let request = match named.wanted {
            Wanted::From { base, .. } => Request::new(base),
            Wanted::Newest => Request::new(0).with_filter(self.filter()?),
            Wanted::Version(_) => Request::new(0),
        };
        let Some(machine_id) = self.remote.arguments().get("machine_id") else {
            return Ok(request);
        };
        let target = Plan::new(index, request.clone())
            .map_err(too_many_ways)?
            .target()
            .unwrap_or_default();
        let device = phase(phase_channel(alias, None), target, machine_id.trim());
        Ok(request.with_device_phase(device.into()))
    }

    /// The files that lead to what is wanted.
    fn plan(
        &self,
        index: &Index,
        request: &Request,
        named: &Name,
        device: &Device,
    ) -> Result<Found> {
        let plan = Plan::new(index, request.clone()).map_err(too_many_ways)?;
        let reached = plan.winner().last().map(|build| build.version);
        let wanted = match named.wanted {
            Wanted::From { to, .. } => to,
            Wanted::Newest => None,
            Wanted::Version(version) => Some(version),
        };
        let none = |message: String| {
            let error = Error::new(ErrorKind::NotFound, message);
            error.with_subject(format_args!("`{}`", named.path))
        };
        let missed = wanted.filter(|wanted| reached != Some(*wanted));
        match (reached, missed) {
            (None, _) => return Err(none(format!("no build can be installed: {}", Why(&plan)))),
            (Some(reached), Some(wanted)) => {
                return Err(none(format!(
                    "no way leads to build {wanted}; the nearest is {reached}"
                )));
            }
            (Some(_), None) => {}
        }
        check_place(&plan, &device.index)?;
        if plan.continues_after_reboot() {
            let stop = plan.reached().unwrap_or_default();
            self.warn(&format!(
                "build {stop} asks for a restart; fetch again after it"
            ));
        }
        Ok(Found {
            layers: layers(&plan)?,
            build: build_name(&plan),
            version: plan.reached().unwrap_or_default(),
            base: plan.winner().next().and_then(crate::Build::base),
            formats: plan.formats_system(),
            explanation: plan.to_string(),
            detail: plan
                .until_reboot()
                .last()
                .map(|build| build.version_detail.clone())
                .unwrap_or_default(),
            accepted: Vec::new(),
            name: named.clone(),
        })
    }

    /// Remembers the newest version of a channel and device, which may only rise.
    fn remember(&self, index: &Index, named: &Name) -> Result<()> {
        let Some(newest) = index.newest() else {
            return Ok(());
        };
        let mark = Mark::default()
            .with_counter("version", newest.into())
            .with_leap("version", MAX_LEAP);
        let product = format!("product:{}/{}", named.channel, named.device);
        self.context
            .memory()
            .advance(&self.remote.id(), &product, &mark)
            .map_err(|error| error.with_subject(format_args!("`{}`", named.path)))
    }

    fn archive(&self) -> Result<&Keyring> {
        match self.remote.trust() {
            Trust::Signatures(keys) => Ok(keys),
            Trust::Channel => Err(Error::new(
                ErrorKind::InvalidConfig,
                format!(
                    "remote `{}` is a system-image server without keys",
                    self.remote.name()
                ),
            )
            .with_subject(self.remote.url())
            .with_remedy("give it the archive-master key in trusted_keys")),
        }
    }

    /// The channel names that the remote shows begin with this.
    fn base(&self) -> Option<&str> {
        let base = self.remote.arguments().get("base")?.trim_matches('/');
        (!base.is_empty()).then_some(base)
    }

    fn filter(&self) -> Result<Option<Filter>> {
        match self.remote.arguments().get("filter").map(String::as_str) {
            None | Some("full") => Ok(Some(Filter::Full)),
            Some("any") => Ok(None),
            Some(other) => Err(Error::new(
                ErrorKind::InvalidConfig,
                format!("`{other}` is no filter for remote `{}`", self.remote.name()),
            )
            .with_remedy("use full or any")),
        }
    }

    pub(crate) fn warn(&self, text: &str) {
        self.context.tell(Event::Warning { text });
    }
}

#[async_trait]
impl ImageSource for SystemImage {
    fn remote(&self) -> &RemoteConfig {
        &self.remote
    }

    async fn lookup(&self, path: &ImagePath) -> Result<Verified<Lookup>> {
        let mut chain = Chain::begin(self, self.archive()?).await?;
        let found = self.found(&mut chain, path).await?;
        let keys = chain.file_keys()?;
        let image = found.try_map(|found| self.image(&found, &keys))?;
        Ok(image.map(|image| Lookup::Image(Box::new(image))))
    }

    async fn list(&self, prefix: &ImagePath) -> Result<Verified<Listing>> {
        let mut chain = Chain::begin(self, self.archive()?).await?;
        let channels = chain.channels().await?;
        let name = match Named::new(&channels, self.base()).below(prefix)? {
            Below::Entries(entries) => {
                let channels = chain.vouched(channels);
                return Ok(channels.map(|_| Listing::of(entries)));
            }
            Below::Versions(name) => name,
        };
        let index = self.index(&mut chain, &channels, &name).await?;
        let vouched = chain.vouched(index);
        Ok(vouched.map(|index| Listing::of(versions(&index))))
    }
}

/// The kind under which an error of an archive is known here.
pub(crate) fn unpack_kind(error: &UnpackError) -> ErrorKind {
    match error.kind() {
        UnpackErrorKind::Canceled => ErrorKind::Canceled,
        UnpackErrorKind::InvalidTarget => ErrorKind::InvalidConfig,
        UnpackErrorKind::Storage => ErrorKind::Storage,
        UnpackErrorKind::TooLarge => ErrorKind::TooLarge,
        UnpackErrorKind::Unsafe => ErrorKind::Unsafe,
        UnpackErrorKind::Unsupported => ErrorKind::Unsupported,
        _ => ErrorKind::Malformed,
    }
}

/// By how much the newest version of a channel may rise at once.
const MAX_LEAP: u64 = 10_000;
