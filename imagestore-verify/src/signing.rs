//! Keys of one's own and detached signatures made with them, for whoever publishes.
//!
//! Private-key operations by RSA in the library below are not constant in time (the Marvin
//! attack, RUSTSEC-2023-0071): whoever can measure many signatures being made may learn the key.
//! Sign where nobody measures, or use Ed25519.

use std::{
    cmp::Reverse,
    fmt,
    io::{self, Read},
    time::SystemTime,
};

use crate::{
    backend::secret::{Failure, Kind, Secret},
    bindings::{Bindings, FLAG_SIGN},
    clock::seconds,
    error::VerifyError,
    fingerprint::Fingerprint,
    key_packet::KeyPacket,
    keyring::Keyring,
    policy::{Beside, Policy},
    semantics::may_sign_at,
};

/// A secret key that signs. `Debug` shows its fingerprint only.
pub struct SigningKey {
    secret: Secret,
    certificate: String,
    armored: String,
    fingerprint: Fingerprint,
}

impl SigningKey {
    /// Makes an Ed25519 key, in the encoding that GnuPG 2.2 reads.
    #[must_use]
    pub fn generate_ed25519(user_id: &str, created: SystemTime) -> Self {
        Self::generate(Kind::Ed25519, user_id, created)
    }

    /// Makes an RSA key of 4096 bits, which takes some seconds.
    #[must_use]
    pub fn generate_rsa4096(user_id: &str, created: SystemTime) -> Self {
        Self::generate(Kind::Rsa4096, user_id, created)
    }

    /// Reads a secret key, armored or binary, as `gpg --export-secret-keys` writes it.
    ///
    /// It signs with the newest subkey that may sign today and whose secret half is there, else with
    /// the primary key; where none may today, with one that once might.
    ///
    /// # Errors
    ///
    /// [`SigningError`] when it is no secret key, the passphrase does not open it, or no key in it
    /// may sign.
    pub fn from_bytes(bytes: &[u8], passphrase: Option<&str>) -> Result<Self, SigningError> {
        let mut secret = Secret::parse(bytes, passphrase).map_err(SigningError::NoSecretKey)?;
        let certificate = secret.public().map_err(SigningError::NoSecretKey)?;
        let keyring = Keyring::from_bytes(certificate.as_bytes())?;
        let mut refused = None;
        let mut candidates = signing_keys(&keyring).into_iter();
        // A trial now, so that a wrong passphrase is found here and signing cannot fail later. The
        // secret half of a key may be elsewhere, on a card: then an older one has to do.
        let usable = candidates.any(|candidate| {
            secret.select(candidate.as_bytes())
                && match secret.sign(io::empty(), 0) {
                    Ok(_) => true,
                    Err(cause) => {
                        refused.get_or_insert(cause);
                        false
                    }
                }
        });
        if !usable {
            return Err(match (refused, passphrase) {
                (Some(cause), Some(_)) => SigningError::WrongPassphrase(cause),
                (Some(cause), None) => SigningError::Locked(cause),
                (None, _) => SigningError::NoSigningKey,
            });
        }
        let armored = secret.secret().map_err(SigningError::NoSecretKey)?;
        let fingerprint = keyring.fingerprints()[0];
        Ok(Self {
            secret,
            certificate,
            armored,
            fingerprint,
        })
    }

    /// A detached, armored signature over data in memory, by SHA-512: the contents of an `.asc`.
    #[must_use]
    pub fn sign_detached(&self, data: &[u8], at: SystemTime) -> String {
        self.sign_file(data, at)
            .expect("an unlocked key signs what is in memory")
    }

    /// A detached, armored signature over all that can be read.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn sign_file(&self, data: impl Read, at: SystemTime) -> io::Result<String> {
        self.secret
            .sign(data, timestamp(at))
            .map_err(|cause| match cause.downcast() {
                Ok(error) => *error,
                Err(cause) => io::Error::other(cause),
            })
    }

    /// A clear-signed document of a text: the contents of a `.sjson`. Spaces and tabs at the ends of
    /// lines are not signed and left out.
    ///
    /// Such a signature covers text as text. Use a key of its own for it where the other key signs
    /// files, so that neither signature can be taken for the other.
    #[must_use]
    pub fn sign_clear(&self, text: &str, at: SystemTime) -> String {
        let text = text.strip_suffix('\n').unwrap_or(text);
        let lines = || {
            text.split('\n')
                .map(|line| line.trim_end_matches([' ', '\t', '\r']))
        };
        let signed = lines().collect::<Vec<_>>().join("\r\n");
        let asc = self.secret.sign_text(signed.as_bytes(), timestamp(at));
        let asc = asc.expect("an unlocked key signs what is in memory");
        let escaped = lines().map(|line| match line.starts_with('-') {
            true => format!("- {line}\n"),
            false => format!("{line}\n"),
        });
        let escaped: String = escaped.collect();
        format!("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n{escaped}{asc}")
    }

    /// The public key, armored.
    #[must_use]
    pub fn certificate(&self) -> String {
        self.certificate.clone()
    }

    /// The secret key, armored, protected as it was when it was read; one that was made here is
    /// not protected by a passphrase.
    #[must_use]
    pub fn secret(&self) -> String {
        self.armored.clone()
    }

    /// The secret key, armored, protected by this passphrase in the place of the one it had: as
    /// GnuPG 2.2 reads it, by AES-256 with a key derived in many rounds of SHA-256 (RFC 9580 §3.7).
    ///
    /// # Errors
    ///
    /// [`SigningError::EmptyPassphrase`] for one that protects nothing;
    /// [`SigningError::Unprotected`] where the secret half of a part of the key is not here.
    pub fn secret_protected_by(&self, passphrase: &str) -> Result<String, SigningError> {
        if passphrase.is_empty() {
            return Err(SigningError::EmptyPassphrase);
        }
        let protected = self.secret.protected(passphrase);
        protected.map_err(SigningError::Unprotected)
    }

    /// The fingerprint of the primary key.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    fn generate(kind: Kind, user_id: &str, created: SystemTime) -> Self {
        let made = Secret::generate(kind, user_id, timestamp(created));
        let secret = made.expect("random numbers make a key");
        let certificate = secret
            .public()
            .expect("a key that was just made can be written");
        let armored = secret
            .secret()
            .expect("a key that was just made can be written");
        let keyring = Keyring::from_bytes(certificate.as_bytes());
        let fingerprint = keyring.expect("it can be read again").fingerprints()[0];
        Self {
            secret,
            certificate,
            armored,
            fingerprint,
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SigningKey({})", self.fingerprint)
    }
}

/// Why a secret key cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SigningError {
    /// A key was to be protected by a passphrase without characters.
    #[error("an empty passphrase protects nothing")]
    EmptyPassphrase,
    /// The key is protected, and no passphrase was given.
    #[error("the secret key is locked; give its passphrase")]
    Locked(#[source] Failure),
    /// Not a secret key.
    #[error("not an OpenPGP secret key")]
    NoSecretKey(#[source] Failure),
    /// Neither the primary key nor a subkey may sign.
    #[error("no key in it may sign data")]
    NoSigningKey,
    /// The key cannot be given a passphrase.
    #[error("the key cannot be protected by a passphrase")]
    Unprotected(#[source] Failure),
    /// The public half is not one a verifier would accept.
    #[error("the public half of the key is not usable")]
    Unusable(#[from] VerifyError),
    /// The passphrase is another one.
    #[error("the passphrase does not open the secret key")]
    WrongPassphrase(#[source] Failure),
}

/// The keys that may sign, those first that may today; of them subkeys first, the newest first.
fn signing_keys(keyring: &Keyring) -> Vec<Fingerprint> {
    let anchor = &keyring.anchors[0];
    let certificate = &anchor.certificate;
    let bindings = certificate
        .bindings
        .get_or_init(|| Bindings::of(certificate));
    let subkeys = certificate.subkeys.iter().zip(&bindings.subkeys);
    let mut found: Vec<_> = subkeys
        .filter(|(_, bound)| bound.revocations.is_empty())
        .filter(|(_, bound)| {
            bound
                .bindings
                .iter()
                .any(|binding| !binding.confirmed.is_empty())
        })
        .map(|(subkey, _)| &subkey.key)
        .collect();
    found.sort_by_key(|key| Reverse(key.created));
    let said = bindings.granting.all().chain(bindings.restricting.all());
    let flags: Vec<_> = said.filter_map(|binding| binding.flags).collect();
    if flags.is_empty() || flags.iter().any(|flags| flags & FLAG_SIGN != 0) {
        found.push(&certificate.primary);
    }
    found.retain(|key| key.check_strength().is_ok());
    let moment = Policy::default().moment(Beside::Nothing);
    let today =
        |key: &&KeyPacket| may_sign_at(anchor, &key.fingerprint, moment.now, &moment).is_ok();
    found.sort_by_key(|key| !today(key));
    found.into_iter().map(|key| key.fingerprint).collect()
}

/// OpenPGP counts seconds in 32 bits; what does not fit is the nearest that does.
fn timestamp(time: SystemTime) -> u32 {
    u32::try_from(seconds(time).max(0)).unwrap_or(u32::MAX)
}
