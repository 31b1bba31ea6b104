//! Certificates that are wrong in one way each.

use std::sync::Arc;

use imagestore_http::Authorities;
use imagestore_verify::Sha256;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, SupportedProtocolVersion};

/// An authority, or what one signed.
pub(crate) struct Signed {
    pub(crate) der: CertificateDer<'static>,
    key: KeyPair,
    params: CertificateParams,
}

/// Signs what it is given.
pub(crate) struct Authority(Signed);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "an authority");
        let key = KeyPair::generate().expect("a key");
        let der = params
            .self_signed(&key)
            .expect("a certificate")
            .der()
            .clone();
        Self(Signed { der, key, params })
    }

    pub(crate) fn leaf(&self, change: impl FnOnce(&mut CertificateParams)) -> Signed {
        self.0.sign(change)
    }

    pub(crate) fn only(&self) -> Authorities {
        let certificate = self
            .0
            .params
            .self_signed(&self.0.key)
            .expect("a certificate");
        Authorities::Only(certificate.pem().into_bytes())
    }
}

impl Signed {
    pub(crate) fn sign(&self, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("an address");
        params.distinguished_name.push(DnType::CommonName, "a leaf");
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let issuer = Issuer::from_params(&self.params, &self.key);
        let der = params
            .signed_by(&key, &issuer)
            .expect("a certificate")
            .der()
            .clone();
        Self { der, key, params }
    }

    pub(crate) fn sha256(&self) -> Sha256 {
        Sha256::of(&self.der)
    }

    pub(crate) fn key_der(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()))
    }

    pub(crate) fn config(&self, versions: &[&'static SupportedProtocolVersion]) -> ServerConfig {
        self.config_with(vec![self.der.clone()], self.key_der(), versions)
    }

    /// With any key, also one that does not belong to the certificate.
    pub(crate) fn config_with(
        &self,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ServerConfig {
        let provider = Arc::new(ring::default_provider());
        let key = provider.key_provider.load_private_key(key).expect("a key");
        ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .expect("the provider has them")
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Shown(Arc::new(CertifiedKey::new(chain, key)))))
    }
}

#[derive(Debug)]
struct Shown(Arc<CertifiedKey>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

/// DNS names and nothing else.
pub(crate) fn names(names: &[&str]) -> Vec<SanType> {
    let name = |name: &&str| SanType::DnsName((*name).try_into().expect("a name"));
    names.iter().map(name).collect()
}
