use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use hyper_util::client::proxy::matcher::Matcher;
use imagestore_core::{ClientIdentity, Error, ErrorKind, RemoteConfig, Result, TlsTrust};
use imagestore_verify::Sha256;
use reqwest::{Client, Proxy as ReqwestProxy, redirect::Policy};
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use sha2::{Digest, Sha256 as Hasher};
use url::Url;

use crate::addresses::{Reach, Resolver};
use crate::options::{Authorities, HttpOptions, Proxy};
use crate::pins::{Belief, Judge};

/// Connections, one pool for each set of rules by which they are made.
///
/// Nothing is shared between pools, TLS sessions included: a connection made under one remote's rules never serves
/// another's.
#[derive(Debug)]
pub(crate) struct Pools {
    options: HttpOptions,
    provider: Arc<CryptoProvider>,
    authorities: OnceLock<Arc<WebPkiServerVerifier>>,
    proxies: Option<Matcher>,
    pools: Mutex<HashMap<Rules, Client>>,
}

impl Pools {
    pub(crate) fn new(options: HttpOptions) -> Self {
        let proxies = match &options.proxy {
            Proxy::FromEnvironment => Some(Matcher::from_env()),
            Proxy::None => None,
            Proxy::Through(url) => Some(Matcher::builder().all(url.as_str()).build()),
        };
        Self {
            options,
            provider: Arc::new(ring::default_provider()),
            authorities: OnceLock::new(),
            proxies,
            pools: Mutex::default(),
        }
    }

    pub(crate) fn options(&self) -> &HttpOptions {
        &self.options
    }

    /// The proxy by which a request to this URL goes, without what it wants to be told in secret.
    pub(crate) fn proxy(&self, url: &Url) -> Option<String> {
        let proxy = self
            .proxies
            .as_ref()?
            .intercept(&url.as_str().parse().ok()?)?;
        let scheme = proxy.uri().scheme_str().unwrap_or("http");
        Some(format!(
            "{scheme}://{}",
            proxy.uri().authority()?.as_str().rsplit('@').next()?
        ))
    }

    /// The pool by which a URL is asked on behalf of a remote.
    pub(crate) async fn pool(
        &self,
        remote: &RemoteConfig,
        url: &Url,
        reach: Reach,
    ) -> Result<Client> {
        let encrypted = url.scheme() == "https";
        let pins = match remote.tls() {
            TlsTrust::Pin(pins) => Some(pins.clone()),
            TlsTrust::SystemRoots if encrypted => None,
            // Without TLS no authorities are needed, and there may be none.
            TlsTrust::SystemRoots => Some(Vec::new()),
        };
        let identity = remote
            .identity()
            .filter(|_| encrypted && is_own_place(remote, url));
        let rules = Rules {
            pins,
            identity: identity.map(digest),
            reach,
        };
        if let Some(pool) = self
            .pools
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&rules)
        {
            return Ok(pool.clone());
        }
        let belief = match &rules.pins {
            Some(pins) => Belief::Pinned(pins.clone()),
            None => Belief::Vouched(self.authorities().await?),
        };
        let pool =
            self.build(belief, identity, reach)
                .map_err(|error| match remote.identity() {
                    Some(_) => error.with_subject(format_args!("remote `{}`", remote.name())),
                    None => error,
                })?;
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if pools.len() >= MOST_POOLS {
            pools.clear();
        }
        Ok(pools.entry(rules).or_insert(pool).clone())
    }

    fn build(
        &self,
        belief: Belief,
        identity: Option<&ClientIdentity>,
        reach: Reach,
    ) -> Result<Client> {
        let algorithms = self.provider.signature_verification_algorithms;
        let config = ClientConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| invalid("TLS cannot be set up").with_source(error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Judge { belief, algorithms }));
        let mut config = match identity {
            None => config.with_no_client_auth(),
            Some(identity) => {
                let (chain, key) = parse_identity(identity)?;
                config.with_client_auth_cert(chain, key).map_err(|error| {
                    invalid("the client certificate does not fit its key").with_source(error)
                })?
            }
        };
        // One large body is faster over HTTP/1.1, and sockets speak nothing else.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let builder = Client::builder()
            .tls_backend_preconfigured(config)
            .tls_info(true)
            .http1_only()
            .redirect(Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .user_agent(USER_AGENT)
            .connect_timeout(self.options.connect)
            .pool_idle_timeout(POOL_IDLE)
            .dns_resolver(Arc::new(Resolver(reach)));
        let builder = match &self.options.proxy {
            Proxy::FromEnvironment => builder,
            Proxy::None => builder.no_proxy(),
            Proxy::Through(url) => builder.proxy(
                ReqwestProxy::all(url.as_str())
                    .map_err(|_| invalid("not the URL of a proxy").with_subject(url))?,
            ),
        };
        builder
            .build()
            .map_err(|error| invalid("HTTP cannot be set up").with_source(error))
    }

    async fn authorities(&self) -> Result<Arc<WebPkiServerVerifier>> {
        if let Some(authorities) = self.authorities.get() {
            return Ok(authorities.clone());
        }
        let certificates = match &self.options.authorities {
            Authorities::Only(pem) => parse_certificates(pem, "the authorities")?,
            // Reads some hundred files.
            Authorities::System => {
                tokio::task::spawn_blocking(rustls_native_certs::load_native_certs)
                    .await
                    .map(|found| found.certs)
                    .unwrap_or_default()
            }
        };
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates);
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), self.provider.clone())
                .build()
                .map_err(|_| {
                    invalid("there are no certificates of authorities on this system").with_remedy(
                        "install them (often: ca-certificates), or pin the remote's own",
                    )
                })?;
        Ok(self.authorities.get_or_init(|| verifier).clone())
    }
}

/// The name under which requests are made.
pub(crate) const USER_AGENT: &str = concat!("imagestore/", env!("CARGO_PKG_VERSION"));

/// By which rules connections are made.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Rules {
    pins: Option<Vec<Sha256>>,
    identity: Option<Sha256>,
    reach: Reach,
}

/// Whether a URL is at the remote itself, where its client certificate may be shown; a mirror is not.
fn is_own_place(remote: &RemoteConfig, url: &Url) -> bool {
    let own = remote.url().document("x").map(|own| own.origin());
    own.is_ok_and(|own| own == url.origin())
}

fn digest(identity: &ClientIdentity) -> Sha256 {
    let mut hasher = Hasher::new();
    hasher.update((identity.certificate_pem().len() as u64).to_be_bytes());
    hasher.update(identity.certificate_pem());
    hasher.update(identity.key_pem());
    Sha256::from_bytes(hasher.finalize().into())
}

fn parse_identity(
    identity: &ClientIdentity,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let chain = parse_certificates(identity.certificate_pem(), "the client certificate")?;
    // The parser's own message could quote the key.
    let key = PrivateKeyDer::from_pem_slice(identity.key_pem())
        .map_err(|_| invalid("the key of the client certificate is not a PEM private key"))?;
    Ok((chain, key))
}

fn parse_certificates(pem: &[u8], whose: &str) -> Result<Vec<CertificateDer<'static>>> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    certificates
        .ok()
        .filter(|certificates| !certificates.is_empty())
        .ok_or_else(|| invalid(&format!("{whose}: not a PEM certificate")))
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::InvalidConfig, message)
}

// Well below the time after which servers close idle connections.
const POOL_IDLE: Duration = Duration::from_secs(20);

// Registries may refer to many remotes; what is dropped is only connections.
const MOST_POOLS: usize = 64;
