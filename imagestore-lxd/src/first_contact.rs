use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use imagestore_core::{Error, ErrorKind, Place, RemoteConfig, Result};
use imagestore_verify::Sha256;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error as TlsError, SignatureScheme};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::Host;

use crate::options::prepare;

/// The certificate a host shows, believed by nobody yet.
///
/// Show the [fingerprint](SeenCertificate::fingerprint) to a person who can compare it with what
/// the host's own `lxc info` says; only then pin it.
#[derive(Clone, PartialEq, Eq)]
pub struct SeenCertificate {
    der: Vec<u8>,
}

impl SeenCertificate {
    /// SHA-256 of the certificate, as hosts and their programs show it.
    #[must_use]
    pub fn fingerprint(&self) -> Sha256 {
        Sha256::of(&self.der)
    }

    /// The certificate in its DER form.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }
}

impl fmt::Debug for SeenCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SeenCertificate({})", self.fingerprint())
    }
}

/// Asks a host for its certificate, without believing it, and without asking it anything else.
///
/// That the host holds the key is checked; who it is is for a person to say. The answer is worth
/// nothing until it has been compared: somebody on the way can show a certificate of their own.
/// Of the remote only its URL and its argument `port` matter, not what it is believed by.
///
/// # Errors
/// [`ErrorKind::Network`] if there is no TLS to be had, [`ErrorKind::InvalidConfig`] if the remote
/// is not reached over https, or has keys.
pub async fn first_contact(remote: &RemoteConfig) -> Result<SeenCertificate> {
    let remote = prepare(remote.clone())?;
    let encrypted = match remote.url().place() {
        Place::Base(base) if base.is_encrypted() => remote.url().document("/1.0")?,
        _ => {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                "only a host reached over https has a certificate",
            )
            .with_subject(remote.url()));
        }
    };
    let unreachable = |what: &str| Error::new(ErrorKind::Network, what).with_subject(remote.url());
    let port = encrypted.port_or_known_default().unwrap_or(443);
    let (name, address) = match encrypted.host() {
        Some(Host::Domain(name)) => (
            ServerName::try_from(name.to_owned())
                .map_err(|cause| unreachable("the host has no name").with_source(cause))?,
            name.to_owned(),
        ),
        Some(Host::Ipv4(ip)) => (ServerName::from(std::net::IpAddr::V4(ip)), ip.to_string()),
        Some(Host::Ipv6(ip)) => (ServerName::from(std::net::IpAddr::V6(ip)), ip.to_string()),
        None => return Err(unreachable("the host has no name")),
    };
    let connect = async {
        let stream = TcpStream::connect((address.as_str(), port))
            .await
            .map_err(|cause| unreachable("cannot connect").with_source(cause))?;
        TlsConnector::from(Arc::new(config()?))
            .connect(name, stream)
            .await
            .map_err(|cause| unreachable("cannot agree on TLS").with_source(cause))
    };
    let stream = timeout(PATIENCE, connect)
        .await
        .map_err(|_| unreachable("takes too long to connect to"))??;
    let (_, connection) = stream.get_ref();
    let leaf = connection
        .peer_certificates()
        .and_then(<[_]>::first)
        .ok_or_else(|| unreachable("shows no certificate"))?;
    Ok(SeenCertificate { der: leaf.to_vec() })
}

fn config() -> Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|cause| {
            Error::new(ErrorKind::InvalidConfig, "TLS cannot be set up").with_source(cause)
        })?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Onlooker { algorithms }))
        .with_no_client_auth())
}

/// Takes any certificate whose key the other side holds. Nothing is sent over such a connection.
#[derive(Debug)]
struct Onlooker {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Onlooker {
    fn verify_server_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(message, leaf, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(message, leaf, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

const PATIENCE: Duration = Duration::from_secs(10);
