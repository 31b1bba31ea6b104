use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use imagestore_core::{Error, ErrorKind, Result};
use imagestore_verify::Sha256;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::answers::answer;
use super::idle::Impatient;
use super::shelf::Shelf;

/// Where a [`Shelf`] can be reached.
///
/// # Defaults
/// 256 places, and a patience of 30 seconds.
pub struct Door {
    shelf: Shelf,
    kind: Kind,
    places: NonZeroU16,
    patience: Duration,
}

enum Kind {
    Https {
        listener: TcpListener,
        acceptor: TlsAcceptor,
        certificate: Sha256,
    },
    Socket(UnixListener),
}

impl Door {
    /// Opens it for https at this address, with a PEM certificate and its key. Port 0 is any that
    /// is free.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] if certificate and key are none or do not fit,
    /// [`ErrorKind::Network`] if nobody can listen there.
    pub async fn https(
        shelf: Shelf,
        address: SocketAddr,
        certificate_pem: &[u8],
        key_pem: &[u8],
    ) -> Result<Self> {
        let invalid = |what: &str| Error::new(ErrorKind::InvalidConfig, what);
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate_pem)
            .collect::<Result<_, _>>()
            .map_err(|_| invalid("not a PEM certificate"))?;
        let leaf = chain
            .first()
            .ok_or_else(|| invalid("not a PEM certificate"))?;
        let certificate = Sha256::of(leaf);
        // The parser's own message could quote the key.
        let key =
            PrivateKeyDer::from_pem_slice(key_pem).map_err(|_| invalid("not a PEM private key"))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|cause| invalid("TLS cannot be set up").with_source(cause))?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|cause| invalid("the certificate does not fit its key").with_source(cause))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let listener = TcpListener::bind(address)
            .await
            .map_err(|cause| taken(address, cause))?;
        Ok(Self::new(
            shelf,
            Kind::Https {
                listener,
                acceptor: TlsAcceptor::from(Arc::new(config)),
                certificate,
            },
        ))
    }

    /// Opens it on a new unix socket. Who may connect is for the mode of its directory to say.
    ///
    /// # Errors
    /// [`ErrorKind::Network`] if the socket cannot be made.
    pub fn socket(shelf: Shelf, path: &Path) -> Result<Self> {
        let listener = UnixListener::bind(path).map_err(|cause| taken(path.display(), cause))?;
        Ok(Self::new(shelf, Kind::Socket(listener)))
    }

    fn new(shelf: Shelf, kind: Kind) -> Self {
        Self {
            shelf,
            kind,
            places: PLACES,
            patience: PATIENCE,
        }
    }

    /// How many connections it has at once. Whoever comes when all places are taken is neither
    /// refused nor greeted: the system keeps them waiting until a place is free.
    #[must_use]
    pub fn with_places(mut self, places: NonZeroU16) -> Self {
        self.places = places;
        self
    }

    /// How long a place is kept for somebody who does nothing: does not finish the TLS handshake
    /// or the head of a request, asks nothing more, or takes nothing of what is sent. A day at
    /// most.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        // It is added to the time of day, which has an end.
        self.patience = patience.min(DAY);
        self
    }

    /// Where it is, as `lxc remote add` takes it; nothing for a socket.
    #[must_use]
    pub fn url(&self) -> Option<String> {
        match &self.kind {
            Kind::Https { listener, .. } => {
                let address = listener.local_addr().ok()?;
                Some(format!("https://{address}"))
            }
            Kind::Socket(_) => None,
        }
    }

    /// SHA-256 of its certificate, for whoever pins it; nothing for a socket.
    #[must_use]
    pub fn certificate(&self) -> Option<Sha256> {
        match &self.kind {
            Kind::Https { certificate, .. } => Some(*certificate),
            Kind::Socket(_) => None,
        }
    }

    /// Answers whoever comes. It has no end: dropping the future closes the door and all
    /// connections.
    pub async fn run(self) {
        let places = Arc::new(Semaphore::new(self.places.get().into()));
        let patience = self.patience;
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            let shelf = self.shelf.clone();
            match &self.kind {
                Kind::Https {
                    listener, acceptor, ..
                } => {
                    let Ok((stream, _)) = listener.accept().await else {
                        // Out of descriptors, perhaps: soon there are some again.
                        sleep(PAUSE).await;
                        continue;
                    };
                    // Below TLS, where it shows what the other side takes.
                    let stream = Impatient::new(stream, patience);
                    let shaking = timeout(patience, acceptor.accept(stream));
                    connections.spawn(async move {
                        if let Ok(Ok(stream)) = shaking.await {
                            converse(shelf, stream, patience).await;
                        }
                        drop(place);
                    });
                }
                Kind::Socket(listener) => {
                    let Ok((stream, _)) = listener.accept().await else {
                        sleep(PAUSE).await;
                        continue;
                    };
                    let stream = Impatient::new(stream, patience);
                    connections.spawn(async move {
                        converse(shelf, stream, patience).await;
                        drop(place);
                    });
                }
            }
        }
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door")
            .field("url", &self.url())
            .finish_non_exhaustive()
    }
}

/// One connection, to its end. The other side may go at any time.
async fn converse<S>(shelf: Shelf, stream: S, patience: Duration)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let response = answer(&shelf, &request);
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .max_header_size(HEAD_BYTES)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    drop(connection.await);
}

fn taken(place: impl fmt::Display, cause: io::Error) -> Error {
    Error::new(ErrorKind::Network, "nobody can listen there")
        .with_subject(place)
        .with_source(cause)
}

const DAY: Duration = Duration::from_secs(86_400);
const HEAD_BYTES: usize = 64 << 10;
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);
const PLACES: NonZeroU16 = NonZeroU16::new(256).expect("not zero");
