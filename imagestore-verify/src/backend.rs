//! The only file that knows the OpenPGP library: digests, public-key arithmetic, key making.
//!
//! No judgement is made here. What is parsed and hashed elsewhere comes in as bytes, and a yes or
//! a no goes out.

use std::borrow::Cow;

use pgp::{
    crypto::hash::HashAlgorithm as PgpHash,
    packet::{PacketHeader, PublicKey as PgpKey},
    types::{Mpi, SignatureBytes, Tag, VerifyingKey as _},
};

use crate::{
    brainpool::{Brainpool, Numbers},
    hash::HashAlgorithm,
    key_packet::{KeyPacket, Material, algorithm},
    mpi,
    signature_packet::SignaturePacket,
};

/// The digest of all parts, by any algorithm, weak ones included: fingerprints and revocations
/// need them. `None` when SHA-1 input carries the marks of a collision attack.
pub(crate) fn digest(hash: HashAlgorithm, parts: &[&[u8]]) -> Option<Vec<u8>> {
    pgp_hash(hash).digest(&parts.concat()).ok()
}

/// Whether `digest` is what `signature` was made over by `key`. Strength and time are judged
/// before.
pub(crate) fn verify(
    key: &KeyPacket,
    signature: &SignaturePacket,
    hash: HashAlgorithm,
    digest: &[u8],
) -> bool {
    if let Material::Brainpool(curve) = key.material {
        return verify_brainpool(curve, key, signature, digest).unwrap_or(false);
    }
    let Some(value) = value(signature) else {
        return false;
    };
    let Ok(length) = u32::try_from(key.body.len()) else {
        return false;
    };
    // The library looks at the name of the digest to judge its strength, which is done elsewhere:
    // a revocation counts whatever its digest. Only RSA puts the name into the arithmetic.
    let name = match key.material {
        Material::Rsa { .. } => pgp_hash(hash),
        _ => PgpHash::Sha512,
    };
    let digest = match key.material {
        Material::Ecdsa { field, .. } => widened(field, digest),
        _ => Cow::Borrowed(digest),
    };
    let header = PacketHeader::new_fixed(Tag::PublicKey, length);
    PgpKey::try_from_reader(header, key.body.as_slice())
        .is_ok_and(|key| key.verify(name, &digest, &value).is_ok())
}

fn verify_brainpool(
    curve: Brainpool,
    key: &KeyPacket,
    signature: &SignaturePacket,
    digest: &[u8],
) -> Option<bool> {
    let (numbers, _) = mpi::split(&signature.value, 2, signature.version).ok()?;
    let (r, s) = (numbers[0], numbers[1]);
    let digest = widened(curve.field(), digest);
    Some(curve.verify(key.point()?, Numbers { r, s }, &digest))
}

/// ECDSA reads a digest as a number, which zeros in front do not change; the libraries insist on
/// half the length of the field.
fn widened(field: usize, digest: &[u8]) -> Cow<'_, [u8]> {
    match field.div_ceil(16).checked_sub(digest.len()) {
        None | Some(0) => Cow::Borrowed(digest),
        Some(missing) => Cow::Owned([&vec![0; missing][..], digest].concat()),
    }
}

fn value(signature: &SignaturePacket) -> Option<SignatureBytes> {
    let count = match signature.key_algorithm {
        algorithm::ED25519 | algorithm::ED448 => {
            return Some(SignatureBytes::Native(signature.value.clone().into()));
        }
        algorithm::RSA | algorithm::RSA_SIGN => 1,
        _ => 2,
    };
    let (numbers, _) = mpi::split(&signature.value, count, signature.version).ok()?;
    let numbers = numbers.into_iter().map(Mpi::from_slice);
    Some(SignatureBytes::Mpis(numbers.collect()))
}

fn pgp_hash(hash: HashAlgorithm) -> PgpHash {
    match hash {
        HashAlgorithm::Md5 => PgpHash::Md5,
        HashAlgorithm::Ripemd160 => PgpHash::Ripemd160,
        HashAlgorithm::Sha1 => PgpHash::Sha1,
        HashAlgorithm::Sha224 => PgpHash::Sha224,
        HashAlgorithm::Sha256 => PgpHash::Sha256,
        HashAlgorithm::Sha384 => PgpHash::Sha384,
        HashAlgorithm::Sha512 => PgpHash::Sha512,
        HashAlgorithm::Sha3_256 => PgpHash::Sha3_256,
        HashAlgorithm::Sha3_512 => PgpHash::Sha3_512,
    }
}

/// Secret keys and what is made with them.
#[cfg(feature = "signing")]
pub(crate) mod secret {
    use std::io::{self, Read};

    use pgp::{
        composed::{
            ArmorOptions, Deserializable as _, DetachedSignature, KeyType, SignedKeyDetails,
            SignedSecretKey,
        },
        crypto::hash::HashAlgorithm,
        packet::{
            KeyFlags, PubKeyInner, PublicKey, SecretKey, SignatureConfig, SignatureType, Subpacket,
            SubpacketData, UserId,
        },
        types::{KeyDetails as _, KeyVersion, Password, SignedUser, SigningKey, Tag, Timestamp},
    };
    use rand::{RngCore as _, rngs::OsRng};

    /// What went wrong, in the words of the library; never shown with key material.
    pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

    #[derive(Clone, Copy, Debug)]
    pub(crate) enum Kind {
        /// Version 4 with the legacy encoding, which GnuPG 2.2 reads.
        Ed25519,
        Rsa4096,
    }

    #[derive(Debug)]
    pub(crate) struct Secret {
        key: SignedSecretKey,
        password: Password,
        signer: Signer,
    }

    #[derive(Clone, Copy, Debug)]
    enum Signer {
        Primary,
        Subkey(usize),
    }

    impl Secret {
        pub(crate) fn generate(kind: Kind, user_id: &str, created: u32) -> Result<Self, Failure> {
            let created = Timestamp::from_secs(created);
            let (kind, algorithm) = match kind {
                Kind::Ed25519 => (KeyType::Ed25519Legacy, 22),
                Kind::Rsa4096 => (KeyType::Rsa(4_096), 1),
            };
            let (public, secret) = kind.generate(OsRng)?;
            let inner = PubKeyInner::new(KeyVersion::V4, algorithm.into(), created, None, public)?;
            let public = PublicKey::from_inner(inner)?;
            let primary = SecretKey::new(public.clone(), secret)?;
            let password = Password::empty();

            let mut flags = KeyFlags::default();
            flags.set_certify(true);
            flags.set_sign(true);
            let user_id = UserId::from_str(Default::default(), user_id)?;
            let mut config = config(&primary, SignatureType::CertPositive, created)?;
            config
                .hashed_subpackets
                .push(Subpacket::critical(SubpacketData::KeyFlags(flags))?);
            let signature =
                config.sign_certification(&primary, &public, &password, Tag::UserId, &user_id)?;
            let user = SignedUser::new(user_id, vec![signature]);
            let details = SignedKeyDetails::new(Vec::new(), Vec::new(), vec![user], Vec::new());
            let key = SignedSecretKey::new(primary, details, Vec::new(), Vec::new());
            Ok(Self {
                key,
                password,
                signer: Signer::Primary,
            })
        }

        pub(crate) fn parse(bytes: &[u8], password: Option<&str>) -> Result<Self, Failure> {
            let armored = bytes.first().is_some_and(|first| first & 0x80 == 0);
            let key = match armored {
                true => SignedSecretKey::from_armor_single(bytes)?.0,
                false => SignedSecretKey::from_bytes(bytes)?,
            };
            let password = password.map_or_else(Password::empty, Password::from);
            Ok(Self {
                key,
                password,
                signer: Signer::Primary,
            })
        }

        /// Signs with the key of this fingerprint from now on, if its secret half is here.
        pub(crate) fn select(&mut self, fingerprint: &[u8]) -> bool {
            let mut subkeys = self.key.secret_subkeys.iter();
            if self.key.primary_key.fingerprint().as_bytes() == fingerprint {
                self.signer = Signer::Primary;
                return true;
            }
            let found =
                subkeys.position(|subkey| subkey.key.fingerprint().as_bytes() == fingerprint);
            self.signer = found.map_or(self.signer, Signer::Subkey);
            found.is_some()
        }

        pub(crate) fn sign(&self, data: impl Read, at: u32) -> Result<String, Failure> {
            self.sign_as(SignatureType::Binary, data, at)
        }

        /// As a text, whose lines end in CR LF already.
        pub(crate) fn sign_text(&self, text: &[u8], at: u32) -> Result<String, Failure> {
            self.sign_as(SignatureType::Text, text, at)
        }

        fn sign_as(
            &self,
            kind: SignatureType,
            data: impl Read,
            at: u32,
        ) -> Result<String, Failure> {
            let signature = match self.signer {
                Signer::Primary => self.sign_by(&self.key.primary_key, kind, data, at)?,
                Signer::Subkey(index) => {
                    self.sign_by(&self.key.secret_subkeys[index].key, kind, data, at)?
                }
            };
            Ok(signature.to_armored_string(ArmorOptions::default())?)
        }

        pub(crate) fn public(&self) -> Result<String, Failure> {
            Ok(self
                .key
                .to_public_key()
                .to_armored_string(ArmorOptions::default())?)
        }

        pub(crate) fn secret(&self) -> Result<String, Failure> {
            Ok(self.key.to_armored_string(ArmorOptions::default())?)
        }

        /// The secret key, protected by this password in the place of its own.
        pub(crate) fn protected(&self, password: &str) -> Result<String, Failure> {
            let password = Password::from(password);
            let mut key = self.key.clone();
            key.primary_key.remove_password(&self.password)?;
            key.primary_key.set_password(OsRng, &password)?;
            for subkey in &mut key.secret_subkeys {
                subkey.key.remove_password(&self.password)?;
                subkey.key.set_password(OsRng, &password)?;
            }
            Ok(key.to_armored_string(ArmorOptions::default())?)
        }

        fn sign_by(
            &self,
            key: &impl SigningKey,
            kind: SignatureType,
            mut data: impl Read,
            at: u32,
        ) -> Result<DetachedSignature, Failure> {
            let config = config(key, kind, Timestamp::from_secs(at))?;
            let mut hasher = config.into_hasher()?;
            io::copy(&mut data, &mut hasher)?;
            Ok(DetachedSignature::new(hasher.sign(key, &self.password)?))
        }
    }

    /// A signature by SHA-512 that names its issuer and its time where it is covered.
    fn config(
        key: &impl SigningKey,
        kind: SignatureType,
        at: Timestamp,
    ) -> Result<SignatureConfig, Failure> {
        let mut config = match key.version() {
            KeyVersion::V6 => {
                let mut salt = vec![0; 32];
                OsRng.fill_bytes(&mut salt);
                let (algorithm, hash) = (key.algorithm(), HashAlgorithm::Sha512);
                SignatureConfig::v6_with_salt(kind, algorithm, hash, salt)
            }
            _ => SignatureConfig::v4(kind, key.algorithm(), HashAlgorithm::Sha512),
        };
        config.hashed_subpackets = vec![
            Subpacket::regular(SubpacketData::IssuerFingerprint(key.fingerprint()))?,
            Subpacket::critical(SubpacketData::SignatureCreationTime(at))?,
        ];
        if key.version() == KeyVersion::V4 {
            // GnuPG before 2.1 looks for the key id only.
            let key_id = SubpacketData::IssuerKeyId(key.legacy_key_id());
            config.unhashed_subpackets = vec![Subpacket::regular(key_id)?];
        }
        Ok(config)
    }
}
