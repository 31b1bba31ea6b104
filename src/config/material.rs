//! Keys and certificates that settings name.

use std::path::Path;

use imagestore_core::{Error, ErrorKind, Result};
use imagestore_verify::{Fingerprint, Keyring, Sha256};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// All keys of these entries together; nothing if there is no entry.
pub(crate) fn keyring(entries: &[String], base: &Path) -> Result<Option<Keyring>> {
    let mut all: Option<Keyring> = None;
    for entry in entries {
        let keys = match entry.parse::<Fingerprint>() {
            Ok(fingerprint) => pinned_key(&fingerprint, base)?,
            Err(_) => key_file(&base.join(entry))?,
        };
        all = Some(match all {
            Some(others) => others.merge(&keys).map_err(|error| {
                Error::new(ErrorKind::InvalidConfig, "more keys than a remote may have")
                    .with_subject(format_args!("`{entry}`"))
                    .with_source(error)
            })?,
            None => keys,
        });
    }
    Ok(all)
}

/// The digests of all certificates these entries name.
pub(crate) fn pins(entries: &[String], base: &Path) -> Result<Vec<Sha256>> {
    let mut pins = Vec::new();
    for entry in entries {
        if let Some(digest) = entry.strip_prefix("sha256:") {
            let digest = digest.parse().map_err(|error| {
                Error::new(ErrorKind::InvalidConfig, "not the digest of a certificate")
                    .with_subject(format_args!("`{entry}`"))
                    .with_remedy("write it as sha256: and 64 hex digits")
                    .with_source(error)
            })?;
            pins.push(digest);
            continue;
        }
        let file = base.join(entry);
        let before = pins.len();
        for certificate in CertificateDer::pem_slice_iter(&read(&file)?) {
            let certificate = certificate.map_err(|error| {
                Error::new(ErrorKind::InvalidConfig, "not a PEM certificate")
                    .with_subject(file.display())
                    .with_source(error)
            })?;
            pins.push(Sha256::of(&certificate));
        }
        if pins.len() == before {
            return Err(
                Error::new(ErrorKind::InvalidConfig, "holds no PEM certificate")
                    .with_subject(file.display()),
            );
        }
    }
    Ok(pins)
}

/// The bytes of a small local file.
pub(crate) fn read(file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).map_err(|error| {
        Error::new(
            ErrorKind::InvalidConfig,
            "a file that the configuration names cannot be read",
        )
        .with_subject(file.display())
        .with_source(error)
    })
}

fn key_file(file: &Path) -> Result<Keyring> {
    Keyring::from_bytes(&read(file)?).map_err(|error| {
        Error::new(ErrorKind::InvalidConfig, "not a file of trusted keys")
            .with_subject(file.display())
            .with_source(error)
    })
}

/// A key given by its fingerprint is looked for under that name, and pinned: what the file holds
/// besides is ignored.
fn pinned_key(fingerprint: &Fingerprint, base: &Path) -> Result<Keyring> {
    let file = base.join("keys").join(format!("{fingerprint}.asc"));
    let bytes = std::fs::read(&file).map_err(|error| {
        Error::new(
            ErrorKind::InvalidConfig,
            format!("the key {fingerprint} is not here"),
        )
        .with_remedy(format!("put it into {}", file.display()))
        .with_source(error)
    })?;
    Keyring::from_bytes(&bytes)
        .and_then(|keys| keys.only(fingerprint))
        .and_then(|keys| keys.pinned(fingerprint))
        .map_err(|error| {
            Error::new(
                ErrorKind::InvalidConfig,
                format!("the key {fingerprint} is not in its file"),
            )
            .with_subject(file.display())
            .with_source(error)
        })
}
