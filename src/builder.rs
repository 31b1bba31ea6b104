use std::path::PathBuf;
use std::sync::Arc;

use imagestore_core::{Context, Limits, Progress, Protocol, Resolver, Result, Silent, Transport};
use imagestore_http::{CachedTransport, HttpOptions, HttpTransport, Mode};
use imagestore_lxcimages::LxcImagesProtocol;
use imagestore_lxd::LxdProtocol;
use imagestore_registry::RegistryProtocol;
use imagestore_simplestreams::SimplestreamsProtocol;
use imagestore_store::Store;
use imagestore_systemimage::{SystemImageProtocol, TrustDirectory};
use imagestore_verify::Policy;

use crate::config::{Config, config_file, store_dir};
use crate::defaults;
use crate::image_store::ImageStore;

/// What an [`ImageStore`] is made with.
///
/// # Defaults
/// The configuration in [`config_file`] or, without that file, the [default
/// remotes](crate::defaults); images kept in [`store_dir`]; online; all protocols of this crate;
/// default limits and signature policy; silence.
#[derive(Debug, Default)]
pub struct ImageStoreBuilder {
    config: Option<Config>,
    store: Option<PathBuf>,
    network: Network,
    http: HttpOptions,
    transport: Option<Arc<dyn Transport>>,
    protocols: Vec<Arc<dyn Protocol>>,
    limits: Limits,
    policy: Policy,
    progress: Option<Arc<dyn Progress>>,
}

impl ImageStoreBuilder {
    /// Which remotes there are.
    #[must_use]
    pub fn with_config(mut self, config: Config) -> Self {
        self.config = Some(config);
        self
    }

    /// The directory in which images are kept.
    #[must_use]
    pub fn with_store_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.store = Some(directory.into());
        self
    }

    /// Whether remotes may be asked.
    #[must_use]
    pub fn with_network(mut self, network: Network) -> Self {
        self.network = network;
        self
    }

    /// Time-outs, proxies and the like of the transport over http(s) and sockets.
    #[must_use]
    pub fn with_http(mut self, http: HttpOptions) -> Self {
        self.http = http;
        self
    }

    /// How remotes are asked, instead of over http(s) and sockets. Documents are kept all the same.
    #[must_use]
    pub fn with_transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// One more protocol, or another source for a known one.
    #[must_use]
    pub fn with_protocol(mut self, protocol: Arc<dyn Protocol>) -> Self {
        self.protocols.push(protocol);
        self
    }

    /// How much to accept.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How signatures are judged, and at what time.
    #[must_use]
    pub fn with_policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Whom to tell what happens.
    #[must_use]
    pub fn with_progress(mut self, progress: Arc<dyn Progress>) -> Self {
        self.progress = Some(progress);
        self
    }

    /// The image store. Opens the store; asks nobody.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`](crate::ErrorKind::InvalidConfig) if the configuration is not
    /// valid, [`ErrorKind::Storage`](crate::ErrorKind::Storage) if the store cannot be opened.
    pub fn build(self) -> Result<ImageStore> {
        let config = match self.config {
            Some(config) => config,
            None => configured()?,
        };
        let directory = match self.store {
            Some(directory) => directory,
            None => store_dir()?,
        };
        let store = Store::open(&directory)?;
        let transport = match self.transport {
            Some(transport) => transport,
            None => Arc::new(HttpTransport::new(self.http)),
        };
        let mode = match self.network {
            Network::Offline => Mode::Offline,
            Network::Online => Mode::Online,
        };
        let cached = CachedTransport::new(transport, directory.join("documents")).with_mode(mode);
        let context = Context::new(Arc::new(cached))
            .with_limits(self.limits)
            .with_memory(store.memory())
            .with_policy(self.policy)
            .with_progress(self.progress.unwrap_or_else(|| Arc::new(Silent)));
        let trust = Arc::new(TrustDirectory::new(directory.join("keyrings")));
        let system_image = SystemImageProtocol::new().with_trust_memory(trust);
        let mut resolver = Resolver::new(context)
            .with_protocol(Arc::new(RegistryProtocol::default()))
            .with_protocol(Arc::new(LxcImagesProtocol::default()))
            .with_protocol(Arc::new(LxdProtocol::lxd()))
            .with_protocol(Arc::new(LxdProtocol::incus()))
            .with_protocol(Arc::new(SimplestreamsProtocol::default()))
            .with_protocol(Arc::new(system_image.clone()));
        for protocol in self.protocols {
            resolver = resolver.with_protocol(protocol);
        }
        Ok(ImageStore::from_parts(
            config,
            resolver,
            store,
            system_image,
        ))
    }
}

/// Whether remotes may be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// Never: indexes and images that are here already, or an error. Everything is checked again.
    Offline,
    /// Yes.
    #[default]
    Online,
}

fn configured() -> Result<Config> {
    let file = config_file()?;
    match file.try_exists() {
        Ok(false) if std::env::var_os("IMAGESTORE_CONFIG").is_none() => defaults::config(),
        _ => Config::open(&file),
    }
}
