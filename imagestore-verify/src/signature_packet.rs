//! One signature packet, read byte for byte; what its subpackets say, and no judgement.

use crate::{
    fingerprint::{Fingerprint, KeyId},
    hash::HashAlgorithm,
    key_packet::algorithm,
    mpi,
    reason::Reason,
    subpacket::{self, Subpacket, id},
};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SignaturePacket {
    pub(crate) version: u8,
    pub(crate) kind: u8,
    pub(crate) key_algorithm: u8,
    pub(crate) hash_id: u8,
    pub(crate) salt: Vec<u8>,
    /// What the digest must begin with.
    pub(crate) prefix: [u8; 2],
    /// What is hashed after the data: the covered part of the packet, as it was received, and the
    /// trailer. The packet is never serialised again, so there is nothing to differ.
    pub(crate) covered: Vec<u8>,
    /// The numbers of the signature, in the encoding of the algorithm.
    pub(crate) value: Vec<u8>,
    hashed: Vec<Subpacket>,
    unhashed: Vec<Subpacket>,
}

/// Who a signature says made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Issuer {
    Fingerprint(Fingerprint),
    KeyId(KeyId),
}

impl SignaturePacket {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Reason> {
        let packet = Self::parse_alone(body)?;
        if packet.embedded().any(|inner| inner.holds_signatures()) {
            return Err(broken("an embedded signature holds another one"));
        }
        Ok(packet)
    }

    /// The same, without looking at what is embedded.
    fn parse_alone(body: &[u8]) -> Result<Self, Reason> {
        if body.len() > MAX_PACKET {
            return Err(broken("it is longer than 8 KiB"));
        }
        let mut reader = Reader(body);
        let [version] = reader.array()?;
        let octets = match version {
            4 => 2,
            6 => 4,
            found => return Err(Reason::Version { found, key: None }),
        };
        let [kind, key_algorithm, hash_id] = reader.array()?;
        let length = reader.number(octets)?;
        let hashed = reader.take(length)?;
        let covered = &body[..4 + octets + hashed.len()];
        let length = reader.number(octets)?;
        let unhashed = reader.take(length)?;
        let prefix = reader.array()?;
        let salt = match version {
            6 => {
                let [length] = reader.array()?;
                reader.take(usize::from(length))?
            }
            _ => &[],
        };
        let value = reader.0;
        check_value(version, key_algorithm, value)?;
        let mut trailed = covered.to_vec();
        trailed.extend([version, 0xff]);
        // Below 8 KiB by the cap on the packet.
        trailed.extend((covered.len() as u32).to_be_bytes());
        let packet = Self {
            version,
            kind,
            key_algorithm,
            hash_id,
            salt: salt.to_vec(),
            prefix,
            covered: trailed,
            value: value.to_vec(),
            hashed: subpacket::split(hashed).map_err(broken)?,
            unhashed: subpacket::split(unhashed).map_err(broken)?,
        };
        packet.check_bodies()?;
        Ok(packet)
    }

    /// About how many bytes the packet has.
    pub(crate) fn size(&self) -> usize {
        let bodies = self.unhashed.iter().map(|subpacket| subpacket.body.len());
        self.covered.len() + self.salt.len() + self.value.len() + bodies.sum::<usize>()
    }

    pub(crate) fn hash(&self) -> Result<HashAlgorithm, Reason> {
        HashAlgorithm::from_id(self.hash_id).ok_or(Reason::UnknownDigest { id: self.hash_id })
    }

    /// V10: the creation time in the hashed area, exactly once.
    pub(crate) fn created(&self) -> Result<u64, Reason> {
        let mut times = self.hashed(id::CREATION_TIME).map(number);
        match (times.next(), times.count()) {
            (Some(created), 0) => Ok(created),
            (first, more) => {
                let found = usize::from(first.is_some()) + more;
                Err(Reason::CreationTimes { found })
            }
        }
    }

    /// Seconds after its creation at which the signature expires; the earliest, if it says so
    /// more than once.
    pub(crate) fn expires_after(&self) -> Option<u64> {
        self.hashed(id::EXPIRATION_TIME)
            .map(number)
            .filter(|after| *after > 0)
            .min()
    }

    /// Seconds after the creation of the key at which the key expires.
    pub(crate) fn key_expires_after(&self) -> Option<u64> {
        self.hashed(id::KEY_EXPIRATION_TIME)
            .map(number)
            .filter(|after| *after > 0)
            .min()
    }

    /// What the key may do; what all of several flags allow.
    pub(crate) fn key_flags(&self) -> Option<u8> {
        let flags = self
            .hashed(id::KEY_FLAGS)
            .map(|body| body.first().copied().unwrap_or(0));
        flags.reduce(|one, other| one & other)
    }

    /// The codes of all reasons given for a revocation.
    pub(crate) fn revocation_reasons(&self) -> impl Iterator<Item = u8> {
        self.hashed(id::REVOCATION_REASON)
            .map(|body| body.first().copied().unwrap_or(0))
    }

    /// Signatures inside this one. They prove themselves, so the unhashed area will do (V13).
    pub(crate) fn embedded(&self) -> impl Iterator<Item = Self> {
        let all = self.hashed.iter().chain(&self.unhashed);
        let bodies = all.filter(|subpacket| subpacket.id == id::EMBEDDED_SIGNATURE);
        bodies.filter_map(|subpacket| Self::parse_alone(&subpacket.body).ok())
    }

    fn holds_signatures(&self) -> bool {
        let mut all = self.hashed.iter().chain(&self.unhashed);
        all.any(|subpacket| subpacket.id == id::EMBEDDED_SIGNATURE)
    }

    pub(crate) fn has_hashed(&self, id: u8) -> bool {
        self.hashed(id).next().is_some()
    }

    pub(crate) fn critical(&self) -> impl Iterator<Item = &Subpacket> {
        self.hashed.iter().filter(|subpacket| subpacket.critical)
    }

    /// V15: one issuer, by its fingerprint if it is given.
    pub(crate) fn issuer(&self) -> Result<Issuer, Reason> {
        let mut issuer: Option<Issuer> = None;
        let all = || self.hashed.iter().chain(&self.unhashed);
        let fingerprints = all().filter(|subpacket| subpacket.id == id::ISSUER_FINGERPRINT);
        for subpacket in fingerprints {
            let named = Fingerprint::from_subpacket(&subpacket.body)
                .filter(|named| named.version() == self.version)
                .ok_or(broken(
                    "its issuer fingerprint has the version or length of another",
                ))?;
            issuer = Some(merge(issuer, Issuer::Fingerprint(named))?);
        }
        for subpacket in all().filter(|subpacket| subpacket.id == id::ISSUER_KEY_ID) {
            let named = subpacket.body.as_slice().try_into();
            let named = named.map_err(|_| broken("its issuer key id has not 8 bytes"))?;
            issuer = Some(merge(issuer, Issuer::KeyId(KeyId(named)))?);
        }
        issuer.ok_or(Reason::NoIssuer)
    }

    fn hashed(&self, id: u8) -> impl Iterator<Item = &[u8]> {
        let found = self
            .hashed
            .iter()
            .filter(move |subpacket| subpacket.id == id);
        found.map(|subpacket| subpacket.body.as_slice())
    }

    fn check_bodies(&self) -> Result<(), Reason> {
        for subpacket in &self.hashed {
            let times = [
                id::CREATION_TIME,
                id::EXPIRATION_TIME,
                id::KEY_EXPIRATION_TIME,
            ];
            if times.contains(&subpacket.id) && subpacket.body.len() != 4 {
                return Err(broken("a time in it has not 4 bytes"));
            }
        }
        Ok(())
    }
}

impl Issuer {
    pub(crate) fn names(&self, key: &Fingerprint) -> bool {
        match self {
            Self::Fingerprint(fingerprint) => fingerprint == key,
            Self::KeyId(key_id) => *key_id == key.key_id(),
        }
    }
}

impl std::fmt::Display for Issuer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fingerprint(fingerprint) => fingerprint.fmt(formatter),
            Self::KeyId(key_id) => write!(formatter, "key id {key_id}"),
        }
    }
}

fn merge(known: Option<Issuer>, named: Issuer) -> Result<Issuer, Reason> {
    let Some(known) = known else {
        return Ok(named);
    };
    let fits = match (known, named) {
        (Issuer::Fingerprint(fingerprint), named) => named.names(&fingerprint),
        (Issuer::KeyId(known), Issuer::KeyId(named)) => known == named,
        (Issuer::KeyId(known), Issuer::Fingerprint(named)) => known == named.key_id(),
    };
    if fits {
        return Ok(known);
    }
    let (one, other) = (known.to_string(), named.to_string());
    Err(Reason::TwoIssuers { one, other })
}

/// V5: as many numbers as the algorithm has, and nothing after them.
fn check_value(version: u8, key_algorithm: u8, value: &[u8]) -> Result<(), Reason> {
    let count = match key_algorithm {
        algorithm::RSA | algorithm::RSA_SIGN => 1,
        algorithm::DSA | algorithm::ECDSA | algorithm::EDDSA_LEGACY => 2,
        algorithm::ED25519 if value.len() == 64 => return Ok(()),
        algorithm::ED448 if value.len() == 114 => return Ok(()),
        algorithm::ED25519 | algorithm::ED448 => {
            return Err(broken("its value has not the length of its algorithm"));
        }
        _ => return Err(broken("it is made by an algorithm that does not sign")),
    };
    let numbers = mpi::split(value, count, version).map_err(broken)?;
    match numbers.1 {
        [] => Ok(()),
        _ => Err(broken("something follows its numbers")),
    }
}

fn number(body: &[u8]) -> u64 {
    body.iter()
        .fold(0, |value, byte| value << 8 | u64::from(*byte))
}

fn broken(wrong: &'static str) -> Reason {
    Reason::BrokenSignature { wrong }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Reason> {
        let (head, tail) = self
            .0
            .split_at_checked(length)
            .ok_or(broken("it is cut off"))?;
        self.0 = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Reason> {
        let bytes = self.take(N)?;
        bytes.try_into().map_err(|_| broken("it is cut off"))
    }

    fn number(&mut self, octets: usize) -> Result<usize, Reason> {
        let bytes = self.take(octets)?;
        Ok(bytes
            .iter()
            .fold(0, |value, byte| value << 8 | usize::from(*byte)))
    }
}

const MAX_PACKET: usize = 8 * 1024;
