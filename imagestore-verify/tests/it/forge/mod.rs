//! Keys, certificates and signatures made packet by packet, wrong ones included.

mod armor;
pub(crate) mod brainpool;

use std::time::{SystemTime, UNIX_EPOCH};

use pgp::{
    composed::KeyType,
    crypto::{ecc_curve::ECCCurve, hash::HashAlgorithm},
    packet::{PubKeyInner, PublicKey, SecretKey},
    ser::Serialize as _,
    types::{KeyVersion, Password, SignatureBytes, SigningKey as _, Timestamp},
};
use rand::rngs::OsRng;

#[allow(unused_imports, reason = "the other test binary uses one of them")]
pub(crate) use self::armor::{armor, armor_as, base64};

pub(crate) const DAY: u32 = 86_400;
pub(crate) const MD5: u8 = 1;
pub(crate) const SHA1: u8 = 2;
pub(crate) const RIPEMD160: u8 = 3;
pub(crate) const SHA256: u8 = 8;
pub(crate) const SHA384: u8 = 9;
pub(crate) const SHA512: u8 = 10;
pub(crate) const SHA224: u8 = 11;
pub(crate) const SHA3_256: u8 = 12;
pub(crate) const SHA3_512: u8 = 14;

/// The clock of the run: the oracles know no other.
pub(crate) fn now() -> u32 {
    static NOW: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    *NOW.get_or_init(|| {
        let elapsed = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("after 1970");
        u32::try_from(elapsed.as_secs()).expect("before 2106")
    })
}

pub(crate) struct Key {
    secret: SecretKey,
    pub(crate) version: u8,
    pub(crate) algorithm: u8,
    pub(crate) created: u32,
    pub(crate) body: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ed25519,
    Ed25519Legacy,
    Ed448,
    P256,
    P384,
    P521,
    Rsa(u32),
    Secp256k1,
}

impl Key {
    pub(crate) fn new(kind: Kind, created: u32) -> Self {
        Self::of_version(4, kind, created)
    }

    pub(crate) fn of_version(version: u8, kind: Kind, created: u32) -> Self {
        let (kind, algorithm) = match kind {
            Kind::Ed25519 => (KeyType::Ed25519, 27),
            Kind::Ed25519Legacy => (KeyType::Ed25519Legacy, 22),
            Kind::Ed448 => (KeyType::Ed448, 28),
            Kind::P256 => (KeyType::ECDSA(ECCCurve::P256), 19),
            Kind::P384 => (KeyType::ECDSA(ECCCurve::P384), 19),
            Kind::P521 => (KeyType::ECDSA(ECCCurve::P521), 19),
            Kind::Rsa(bits) => (KeyType::Rsa(bits), 1),
            Kind::Secp256k1 => (KeyType::ECDSA(ECCCurve::Secp256k1), 19),
        };
        let (public, secret) = kind.generate(OsRng).expect("a key");
        let pgp_version = if version == 6 {
            KeyVersion::V6
        } else {
            KeyVersion::V4
        };
        let at = Timestamp::from_secs(created);
        let inner = PubKeyInner::new(pgp_version, algorithm.into(), at, None, public);
        let public = PublicKey::from_inner(inner.expect("a key")).expect("a key");
        let body = public.to_bytes().expect("a key can be written");
        let secret = SecretKey::new(public, secret).expect("a key");
        Self {
            secret,
            version,
            algorithm,
            created,
            body,
        }
    }

    pub(crate) fn packet(&self) -> Vec<u8> {
        packet(6, &self.body)
    }

    pub(crate) fn subkey_packet(&self) -> Vec<u8> {
        packet(14, &self.body)
    }

    pub(crate) fn fingerprint(&self) -> Vec<u8> {
        let hash = if self.version == 6 { SHA256 } else { SHA1 };
        digest(hash, &self.hashed())
    }

    pub(crate) fn key_id(&self) -> Vec<u8> {
        let fingerprint = self.fingerprint();
        if self.version == 6 {
            fingerprint[..8].to_vec()
        } else {
            fingerprint[12..].to_vec()
        }
    }

    pub(crate) fn hashed(&self) -> Vec<u8> {
        let length = u32::try_from(self.body.len()).expect("small").to_be_bytes();
        let head = if self.version == 6 {
            [&[0x9b][..], &length]
        } else {
            [&[0x99][..], &length[2..]]
        };
        [head.concat(), self.body.clone()].concat()
    }

    fn sign(&self, hash: u8, digest: &[u8]) -> Vec<u8> {
        // The library signs no short digests by these keys. The verdict falls before arithmetic,
        // so their signatures are over a padded one; GnuPG makes a genuine one in `gnupg`.
        let edwards = matches!(self.algorithm, 22 | 27 | 28) && digest.len() < 64;
        let mut digest = digest.to_vec();
        let genuine = self.algorithm != 28 && digest.len() >= 32;
        if edwards && !genuine {
            digest.resize(64, 0);
        }
        let named = if edwards && !genuine { SHA512 } else { hash };
        let made = self
            .secret
            .sign(&Password::empty(), HashAlgorithm::from(named), &digest);
        match made.expect("the digest can be signed") {
            SignatureBytes::Mpis(numbers) => numbers
                .iter()
                .flat_map(|number| mpi(number.as_ref()))
                .collect(),
            SignatureBytes::Native(bytes) => bytes.to_vec(),
        }
    }
}

/// A subpacket: whether it is critical, its type, its body.
#[derive(Clone)]
pub(crate) struct Sub(pub(crate) bool, pub(crate) u8, pub(crate) Vec<u8>);

/// A signature to be made.
#[derive(Clone)]
pub(crate) struct Sig {
    pub(crate) version: u8,
    pub(crate) kind: u8,
    pub(crate) hash: u8,
    pub(crate) algorithm: Option<u8>,
    pub(crate) hashed: Vec<Sub>,
    pub(crate) unhashed: Vec<Sub>,
    pub(crate) salt: Option<Vec<u8>>,
    pub(crate) flip_prefix: bool,
    pub(crate) flip_value: bool,
    pub(crate) tail: Vec<u8>,
}

impl Sig {
    /// An ordinary signature of this type, by SHA-512.
    pub(crate) fn new(kind: u8, key: &Key, at: u32) -> Self {
        let issuer = [vec![key.version], key.fingerprint()].concat();
        let unhashed = if key.version == 6 {
            vec![]
        } else {
            vec![Sub(false, 16, key.key_id())]
        };
        Self {
            version: key.version,
            kind,
            hash: SHA512,
            algorithm: None,
            hashed: vec![
                Sub(false, 33, issuer),
                Sub(false, 2, at.to_be_bytes().to_vec()),
            ],
            unhashed,
            salt: None,
            flip_prefix: false,
            flip_value: false,
            tail: Vec::new(),
        }
    }

    pub(crate) fn document(key: &Key) -> Self {
        Self::new(0x00, key, now() - DAY)
    }

    pub(crate) fn hash(mut self, hash: u8) -> Self {
        self.hash = hash;
        self
    }

    /// Adds a subpacket to the hashed area.
    pub(crate) fn with(mut self, critical: bool, id: u8, body: impl AsRef<[u8]>) -> Self {
        self.hashed.push(Sub(critical, id, body.as_ref().to_vec()));
        self
    }

    pub(crate) fn with_unhashed(mut self, critical: bool, id: u8, body: impl AsRef<[u8]>) -> Self {
        self.unhashed
            .push(Sub(critical, id, body.as_ref().to_vec()));
        self
    }

    /// Takes all subpackets of a type out of both areas.
    pub(crate) fn without(mut self, id: u8) -> Self {
        self.hashed.retain(|sub| sub.1 != id);
        self.unhashed.retain(|sub| sub.1 != id);
        self
    }

    pub(crate) fn with_seconds(self, id: u8, seconds: u32) -> Self {
        self.with(false, id, seconds.to_be_bytes())
    }

    /// The body of the packet, made over the subject.
    pub(crate) fn body(&self, key: &Key, subject: &[u8]) -> Vec<u8> {
        let (hashed, unhashed) = (area(&self.hashed), area(&self.unhashed));
        let length = |area: &[u8]| match self.version {
            6 => u32::try_from(area.len())
                .expect("small")
                .to_be_bytes()
                .to_vec(),
            _ => u16::try_from(area.len())
                .expect("small")
                .to_be_bytes()
                .to_vec(),
        };
        let algorithm = self.algorithm.unwrap_or(key.algorithm);
        let head = [self.version, self.kind, algorithm, self.hash];
        let covered = [&head[..], &length(&hashed), &hashed].concat();
        let salt = match (&self.salt, self.version, self.hash) {
            (Some(salt), ..) => salt.clone(),
            (None, 6, SHA384) => vec![7; 24],
            (None, 6, SHA512 | SHA3_512) => vec![7; 32],
            (None, 6, _) => vec![7; 16],
            _ => Vec::new(),
        };
        let total = u32::try_from(covered.len()).expect("small").to_be_bytes();
        let input = [&salt[..], subject, &covered, &[self.version, 0xff], &total].concat();
        let digest = digest(self.hash, &input);
        let mut prefix = [digest[0], digest[1]];
        prefix[1] ^= u8::from(self.flip_prefix);
        let mut value = key.sign(self.hash, &digest);
        if self.flip_value {
            let last = value.len() - 1;
            value[last] ^= 1;
        }
        let mut body = [&covered[..], &length(&unhashed), &unhashed, &prefix].concat();
        if self.version == 6 {
            body.push(u8::try_from(salt.len()).expect("small"));
            body.extend(&salt);
        }
        [body, value, self.tail.clone()].concat()
    }

    /// The packet, made over a document.
    pub(crate) fn over(&self, key: &Key, data: &[u8]) -> Vec<u8> {
        packet(2, &self.body(key, data))
    }

    pub(crate) fn on_key(&self, signer: &Key, key: &Key) -> Vec<u8> {
        packet(2, &self.body(signer, &key.hashed()))
    }

    pub(crate) fn on_user_id(&self, signer: &Key, key: &Key, user_id: &str) -> Vec<u8> {
        let length = u32::try_from(user_id.len()).expect("small").to_be_bytes();
        let subject = [&key.hashed()[..], &[0xb4], &length, user_id.as_bytes()].concat();
        packet(2, &self.body(signer, &subject))
    }

    pub(crate) fn on_subkey(&self, signer: &Key, primary: &Key, subkey: &Key) -> Vec<u8> {
        packet(
            2,
            &self.body(signer, &[primary.hashed(), subkey.hashed()].concat()),
        )
    }
}

/// An ordinary self-signature on a user id: certify and sign.
pub(crate) fn certification(key: &Key) -> Sig {
    Sig::new(0x13, key, key.created).with(true, 27, [0x03])
}

pub(crate) const USER_ID: &str = "Tester <tester@example.invalid>";

/// A certificate with one user id and these self-signatures on it.
pub(crate) fn certificate(key: &Key, signatures: &[Sig]) -> Vec<u8> {
    let mut bytes = [key.packet(), packet(13, USER_ID.as_bytes())].concat();
    for signature in signatures {
        bytes.extend(signature.on_user_id(key, key, USER_ID));
    }
    bytes
}

/// An ordinary certificate; version 6 says it in a direct key signature.
pub(crate) fn plain(key: &Key) -> Vec<u8> {
    if key.version == 6 {
        let direct = Sig::new(0x1f, key, key.created).with(true, 27, [0x03]);
        return [key.packet(), direct.on_key(key, key)].concat();
    }
    certificate(key, &[certification(key)])
}

/// The ordinary binding of a signing subkey, with the back-signature given.
pub(crate) fn binding(primary: &Key, subkey: &Key, back: Option<&Sig>) -> Sig {
    let binding = Sig::new(0x18, primary, subkey.created).with(true, 27, [0x02]);
    match back {
        Some(back) => {
            let subject = [primary.hashed(), subkey.hashed()].concat();
            binding.with(false, 32, back.body(subkey, &subject))
        }
        None => binding,
    }
}

pub(crate) fn back(subkey: &Key) -> Sig {
    Sig::new(0x19, subkey, subkey.created)
}

/// A certificate whose primary key certifies only, and a subkey with this binding.
pub(crate) fn with_subkey(primary: &Key, subkey: &Key, binding: &Sig) -> Vec<u8> {
    let certify = Sig::new(0x13, primary, primary.created).with(true, 27, [0x01]);
    let bound = binding.on_subkey(primary, primary, subkey);
    [
        certificate(primary, &[certify]),
        subkey.subkey_packet(),
        bound,
    ]
    .concat()
}

pub(crate) fn packet(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("small").to_be_bytes();
    [&[0xc0 | tag, 0xff][..], &length, body].concat()
}

pub(crate) fn mpi(number: &[u8]) -> Vec<u8> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let number = &number[zeros..];
    let bits = number
        .first()
        .map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize);
    [
        &u16::try_from(bits).expect("small").to_be_bytes()[..],
        number,
    ]
    .concat()
}

pub(crate) fn digest(hash: u8, input: &[u8]) -> Vec<u8> {
    HashAlgorithm::from(hash)
        .digest(input)
        .expect("a known digest")
}

fn area(subs: &[Sub]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for Sub(critical, id, body) in subs {
        let length = body.len() + 1;
        match u8::try_from(length) {
            Ok(short) if short < 192 => bytes.push(short),
            _ => {
                bytes.push(0xff);
                bytes.extend(u32::try_from(length).expect("small").to_be_bytes());
            }
        }
        bytes.push(id | if *critical { 0x80 } else { 0 });
        bytes.extend(body);
    }
    bytes
}
