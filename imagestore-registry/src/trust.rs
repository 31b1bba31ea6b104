use imagestore_core::{
    Context, Document, Error, ErrorKind, Lifetime, Parsed, RemoteConfig, Result,
};
use imagestore_verify::{Fingerprint, Keyring, Sha256, Verified};

use crate::pem::certificates;
use crate::wire::short;

/// The key at `path` on the registry, checked with the keys of the registry.
///
/// The file may hold other keys; only the one it is named after counts.
pub(crate) async fn fetch_key(
    context: &Context,
    registry: &RemoteConfig,
    path: &str,
) -> Result<Verified<Keyring>> {
    let name = KeyName::of(path)?;
    document(context, registry, path)?
        .fetch(|bytes| {
            let subject = short(path);
            name.pick(bytes)
                .map(Parsed::new)
                .map_err(|error| error.with_subject(subject))
        })
        .await
        .map_err(|error| lacking(path, error))
}

/// The digest of the certificate at `path` on the registry, checked with the keys of the registry.
pub(crate) async fn fetch_certificate(
    context: &Context,
    registry: &RemoteConfig,
    path: &str,
) -> Result<Verified<Sha256>> {
    let Ok(wanted) = last_segment(path).parse::<Sha256>() else {
        return Err(Error::new(
            ErrorKind::Malformed,
            "the file of a certificate is not named after its sha256 digest",
        )
        .with_subject(short(path)));
    };
    document(context, registry, path)?
        .fetch(|bytes| {
            check_certificate(bytes, wanted)
                .map(Parsed::new)
                .map_err(|error| error.with_subject(short(path)))
        })
        .await
        .map_err(|error| lacking(path, error))
}

/// A server whose key is not there is no server that is not there.
fn lacking(path: &str, cause: Error) -> Error {
    if cause.kind() != ErrorKind::NotFound {
        return cause;
    }
    Error::new(
        ErrorKind::Untrusted,
        "the registry lacks a key or certificate it names",
    )
    .with_subject(short(path))
    .with_source(cause)
}

fn document<'a>(
    context: &'a Context,
    registry: &'a RemoteConfig,
    path: &str,
) -> Result<Document<'a>> {
    Ok(Document::new(context, registry, path)?
        .with_limit(context.limits().key_bytes)
        .with_lifetime(Lifetime::Fixed))
}

fn check_certificate(bytes: &[u8], wanted: Sha256) -> Result<Sha256> {
    let found = certificates(bytes).map_err(|why| {
        Error::new(
            ErrorKind::Malformed,
            format!("the file of a certificate is {why}"),
        )
    })?;
    let digests: Vec<_> = found.iter().map(|der| Sha256::of(der)).collect();
    if digests.contains(&wanted) {
        return Ok(wanted);
    }
    let digests: Vec<_> = digests.iter().map(ToString::to_string).collect();
    Err(Error::new(
        ErrorKind::Untrusted,
        format!(
            "the certificate has the sha256 digest {}, not {wanted}",
            digests.join(", ")
        ),
    ))
}

/// What the file of a key is named after.
#[derive(Debug, PartialEq, Eq)]
enum KeyName {
    /// All of the key.
    Fingerprint(Fingerprint),
    /// 16 digits of it, in upper case. The registry's signature over the file says that it is the
    /// right one.
    Id(String),
}

impl KeyName {
    fn of(path: &str) -> Result<Self> {
        let name = last_segment(path);
        let digits = name
            .strip_prefix("0x")
            .or_else(|| name.strip_prefix("0X"))
            .unwrap_or(name);
        let hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        match (hex, digits.len(), digits.parse()) {
            (true, 16, _) => Ok(Self::Id(digits.to_ascii_uppercase())),
            (true, 40 | 64, Ok(fingerprint)) => Ok(Self::Fingerprint(fingerprint)),
            _ => Err(Error::new(
                ErrorKind::Malformed,
                "the file of a key is not named after its fingerprint or key id",
            )
            .with_subject(short(path))),
        }
    }

    fn fits(&self, key: &Fingerprint) -> bool {
        match self {
            Self::Fingerprint(fingerprint) => fingerprint == key,
            // The key id is the end of a fingerprint of version 4 and the beginning of one of
            // version 6.
            Self::Id(id) if key.version() == 4 => key.to_string().ends_with(id),
            Self::Id(id) => key.to_string().starts_with(id),
        }
    }

    fn pick(&self, bytes: &[u8]) -> Result<Keyring> {
        let unusable = |cause| {
            Error::new(
                ErrorKind::Untrusted,
                "the file of a key holds no usable key",
            )
            .with_source(cause)
        };
        let keyring = Keyring::from_bytes(bytes).map_err(unusable)?;
        let fingerprints = keyring.fingerprints();
        let mut fitting = fingerprints.iter().filter(|key| self.fits(key));
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => {
                let only = keyring.only(key).map_err(unusable)?;
                match self {
                    Self::Fingerprint(_) => only.pinned(key).map_err(unusable),
                    Self::Id(_) => Ok(only),
                }
            }
            (None, _) => {
                let found: Vec<_> = fingerprints
                    .iter()
                    .take(MAX_SHOWN)
                    .map(ToString::to_string)
                    .collect();
                Err(Error::new(
                    ErrorKind::Untrusted,
                    format!(
                        "the file of a key holds {}, not the key it is named after",
                        found.join(", ")
                    ),
                ))
            }
            (Some(one), Some(other)) => Err(Error::new(
                ErrorKind::Untrusted,
                format!("the file of a key holds two keys of its name, {one} and {other}"),
            )
            .with_remedy("ask the registry to name the key by its full fingerprint")),
        }
    }
}

fn last_segment(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

const MAX_SHOWN: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    const LXC: &str = "E7FB0CAEC8173D669066514CBAEFF88C22F6E216";

    #[test]
    fn names_of_key_files_fit_the_end_or_all_of_a_fingerprint() {
        let key: Fingerprint = LXC.parse().expect("a fingerprint");
        for path in [
            "/keys/0xBAEFF88C22F6E216".to_owned(),
            "keys/baeff88c22f6e216".to_owned(),
            format!("/keys/{LXC}"),
            format!("/keys/0x{}", LXC.to_lowercase()),
        ] {
            assert!(KeyName::of(&path).expect(&path).fits(&key), "{path}");
        }
        let other = KeyName::of("/keys/0x0BFB847F3F272F5B").expect("a key id");
        assert!(!other.fits(&key));
        // The first 16 digits are no key id of version 4.
        assert!(
            !KeyName::of("/keys/E7FB0CAEC8173D66")
                .expect("16 digits")
                .fits(&key)
        );
    }

    #[test]
    fn refuses_names_that_name_no_key() {
        for path in [
            "/keys/",
            "/keys/22F6E216",
            "/keys/lxc",
            "/keys/0x0xBAEFF88C22F6E2",
            "/keys/+BAEFF88C22F6E21",
        ] {
            let error = KeyName::of(path).expect_err(path);
            assert_eq!(error.kind(), ErrorKind::Malformed, "{path}");
            assert_eq!(
                error.to_string(),
                format!("the file of a key is not named after its fingerprint or key id: {path}")
            );
        }
    }

    #[test]
    fn a_certificate_must_have_the_digest_it_is_named_after() {
        let der = b"\x30\x82\x00\xff";
        let right = Sha256::of(der);
        assert_eq!(check_certificate(der, right).expect("fits"), right);
        let wrong = Sha256::of(b"other");
        let error = check_certificate(der, wrong).expect_err("another");
        assert_eq!(error.kind(), ErrorKind::Untrusted);
        assert_eq!(
            error.to_string(),
            format!("the certificate has the sha256 digest {right}, not {wrong}")
        );
    }
}
