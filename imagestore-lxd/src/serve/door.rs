use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::SocketAddr;
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
use super::shelf::Shelf;

/// Where a [`Shelf`] can be reached.
pub struct Door {
    shelf: Shelf,
    kind: Kind,
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
        Ok(Self {
            shelf,
            kind: Kind::Https {
                listener,
                acceptor: TlsAcceptor::from(Arc::new(config)),
                certificate,
            },
        })
    }

    /// Opens it on a new unix socket. Who may connect is for the mode of its directory to say.
    ///
    /// # Errors
    /// [`ErrorKind::Network`] if the socket cannot be made.
    pub fn socket(shelf: Shelf, path: &Path) -> Result<Self> {
        let listener = UnixListener::bind(path).map_err(|cause| taken(path.display(), cause))?;
        Ok(Self {
            shelf,
            kind: Kind::Socket(listener),
        })
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
        let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
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
                    let acceptor = acceptor.clone();
                    connections.spawn(async move {
                        if let Ok(Ok(stream)) = timeout(PATIENCE, acceptor.accept(stream)).await {
                            converse(shelf, stream).await;
                        }
                        drop(place);
                    });
                }
                Kind::Socket(listener) => {
                    let Ok((stream, _)) = listener.accept().await else {
                        sleep(PAUSE).await;
                        continue;
                    };
                    connections.spawn(async move {
                        converse(shelf, stream).await;
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
async fn converse(shelf: Shelf, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
    let service = service_fn(move |request| {
        let response = answer(&shelf, &request);
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    drop(connection.await);
}

fn taken(place: impl fmt::Display, cause: io::Error) -> Error {
    Error::new(ErrorKind::Network, "nobody can listen there")
        .with_subject(place)
        .with_source(cause)
}

const HEAD_BYTES: usize = 64 << 10;
const MOST_CONNECTIONS: usize = 256;
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);
