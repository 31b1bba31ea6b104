use std::fmt;
use std::sync::Arc;

use imagestore_verify::Sha256;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, DigitallySignedStruct, Error as TlsError, OtherError, SignatureScheme,
};
use thiserror::Error;

/// Judges the certificate a server shows.
///
/// A pin is the identity of the server and nothing else counts: no authority, no name and no date. So
/// certificates that are self-signed, made for another name or expired are believed if they are pinned, as those of LXD
/// hosts are, and nothing but a pinned one is. That the server holds the key is checked in both cases.
#[derive(Debug)]
pub(crate) struct Judge {
    pub(crate) belief: Belief,
    pub(crate) algorithms: WebPkiSupportedAlgorithms,
}

/// Which certificates are believed.
#[derive(Debug)]
pub(crate) enum Belief {
    /// These.
    Pinned(Vec<Sha256>),
    /// Those an authority vouches for.
    Vouched(Arc<WebPkiServerVerifier>),
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let seen = Sha256::of(leaf);
        match &self.belief {
            Belief::Pinned(pins) if pins.contains(&seen) => Ok(ServerCertVerified::assertion()),
            Belief::Pinned(pins) => Err(disbelieve(seen, Why::Unpinned(pins.clone()))),
            Belief::Vouched(authorities) => authorities
                .verify_server_cert(leaf, intermediates, name, ocsp, now)
                .map_err(|error| disbelieve(seen, Why::Unvouched(reason(&error)))),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(message, leaf, signature, &self.algorithms)
            .map_err(|error| disbelieve(Sha256::of(leaf), Why::KeyAbsent(reason(&error))))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(message, leaf, signature, &self.algorithms)
            .map_err(|error| disbelieve(Sha256::of(leaf), Why::KeyAbsent(reason(&error))))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// A certificate that was seen and not believed.
#[derive(Debug, Error)]
#[error("certificate sha256:{seen} {why}")]
pub(crate) struct Disbelieved {
    pub(crate) seen: Sha256,
    pub(crate) why: Why,
}

/// Why a certificate is not believed.
#[derive(Debug)]
pub(crate) enum Why {
    /// The server does not prove that it holds the key.
    KeyAbsent(String),
    /// It is none of these.
    Unpinned(Vec<Sha256>),
    /// No authority vouches for it.
    Unvouched(String),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyAbsent(reason) => {
                write!(f, "is shown without proof that its key is there: {reason}")
            }
            Self::Unpinned(pins) => {
                f.write_str("is not pinned; pinned: ")?;
                for (index, pin) in pins.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}sha256:{pin}")?;
                }
                if pins.is_empty() {
                    f.write_str("none")?;
                }
                Ok(())
            }
            Self::Unvouched(reason) => f.write_str(reason),
        }
    }
}

fn disbelieve(seen: Sha256, why: Why) -> TlsError {
    let disbelieved = Arc::new(Disbelieved { seen, why });
    TlsError::InvalidCertificate(CertificateError::Other(OtherError(disbelieved)))
}

fn reason(error: &TlsError) -> String {
    let TlsError::InvalidCertificate(error) = error else {
        return lower_first(&error.to_string());
    };
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "is not valid yet".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "is for another name".to_owned()
        }
        CertificateError::UnknownIssuer => "is signed by no known authority".to_owned(),
        CertificateError::BadSignature => "is not signed by the authority it names".to_owned(),
        CertificateError::Other(OtherError(error)) => {
            format!("is not acceptable ({})", lower_first(&error.to_string()))
        }
        other => format!("is not acceptable ({})", lower_first(&format!("{other:?}"))),
    }
}

pub(crate) fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), text.chars().nth(1)) {
        // Abbreviations keep their capitals.
        (Some(first), second) if !second.is_some_and(char::is_uppercase) => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => text.to_owned(),
    }
}
