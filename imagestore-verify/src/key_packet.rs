//! One public key packet: its numbers are looked at before any arithmetic is done with them.

use std::fmt;

use crate::{
    backend, brainpool::Brainpool, fingerprint::Fingerprint, hash::HashAlgorithm, mpi,
    reason::Reason,
};

#[derive(Clone)]
pub(crate) struct KeyPacket {
    pub(crate) version: u8,
    pub(crate) created: u64,
    pub(crate) algorithm: u8,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) material: Material,
    /// As received; hashed into every self-signature.
    pub(crate) body: Vec<u8>,
}

/// The rest of it follows from the packet as received.
impl PartialEq for KeyPacket {
    fn eq(&self, other: &Self) -> bool {
        self.body == other.body
    }
}

impl Eq for KeyPacket {}

/// What the key is made of, as far as judging needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Material {
    Brainpool(Brainpool),
    Ecdsa { curve: &'static str, field: usize },
    Ed25519,
    Ed25519Legacy,
    Ed448,
    Rsa { bits: usize },
    Refused { name: &'static str },
    Wrong { wrong: &'static str },
}

pub(crate) mod algorithm {
    pub(crate) const RSA: u8 = 1;
    pub(crate) const RSA_ENCRYPT: u8 = 2;
    pub(crate) const RSA_SIGN: u8 = 3;
    pub(crate) const ELGAMAL: u8 = 16;
    pub(crate) const DSA: u8 = 17;
    pub(crate) const ECDH: u8 = 18;
    pub(crate) const ECDSA: u8 = 19;
    pub(crate) const ELGAMAL_SIGN: u8 = 20;
    pub(crate) const EDDSA_LEGACY: u8 = 22;
    pub(crate) const X25519: u8 = 25;
    pub(crate) const X448: u8 = 26;
    pub(crate) const ED25519: u8 = 27;
    pub(crate) const ED448: u8 = 28;
}

impl KeyPacket {
    /// `None` for versions that have no fingerprint this crate believes (2, 3 and 5), and for
    /// packets that are cut off.
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        let [version, a, b, c, d, algorithm, ..] = body else {
            return None;
        };
        let material = material(body)?;
        Some(Self {
            version: *version,
            created: u64::from(u32::from_be_bytes([*a, *b, *c, *d])),
            algorithm: *algorithm,
            fingerprint: fingerprint(*version, body)?,
            material: look_at(*algorithm, material, *version)
                .unwrap_or_else(|wrong| Material::Wrong { wrong }),
            body: body.to_vec(),
        })
    }

    /// What goes into the digest of a signature over this key.
    pub(crate) fn prefix(version: u8, body: &[u8]) -> Vec<u8> {
        // Bodies are at most 256 KiB; one of version 4 longer than 64 KiB has no fingerprint.
        let length = (body.len() as u32).to_be_bytes();
        match version {
            6 => [&[0x9b][..], &length].concat(),
            _ => [&[0x99][..], &length[2..]].concat(),
        }
    }

    /// Whether signatures of this algorithm may be its own. RSA has two numbers in the registry, one
    /// of them for signing only.
    pub(crate) fn is_of_algorithm(&self, id: u8) -> bool {
        let rsa = [algorithm::RSA, algorithm::RSA_SIGN];
        id == self.algorithm || rsa.contains(&id) && rsa.contains(&self.algorithm)
    }

    /// V19: an algorithm that signs, of a size that is neither too weak nor a burden.
    pub(crate) fn check_strength(&self) -> Result<(), Reason> {
        match self.material {
            Material::Rsa { bits } if !(RSA_LEAST..=RSA_MOST).contains(&bits) => {
                Err(Reason::KeySize {
                    found: bits,
                    least: RSA_LEAST,
                    most: RSA_MOST,
                })
            }
            Material::Refused { name } => Err(Reason::KeyAlgorithm { name }),
            Material::Wrong { wrong } => Err(Reason::KeyMaterial { wrong }),
            _ => Ok(()),
        }
    }

    /// V18: a digest at least as long as the key is strong.
    pub(crate) fn check_digest(&self, hash: HashAlgorithm) -> Result<(), Reason> {
        let needed = match self.material {
            Material::Brainpool(curve) => curve.field(),
            Material::Ecdsa { field: 521, .. } | Material::Ed448 => 512,
            Material::Ecdsa { field, .. } => field,
            Material::Ed25519 | Material::Ed25519Legacy => 256,
            Material::Rsa { .. } | Material::Refused { .. } | Material::Wrong { .. } => 0,
        };
        let found = hash.bits();
        if found < needed {
            return Err(Reason::ShortDigest {
                name: hash.name(),
                found,
                needed,
            });
        }
        Ok(())
    }

    /// The point of a key on a curve that is named by its object identifier.
    pub(crate) fn point(&self) -> Option<&[u8]> {
        let (_, point) = oid(material(&self.body)?).ok()?;
        let (point, _) = mpi::split(point, 1, self.version).ok()?;
        point.first().copied()
    }

    pub(crate) fn algorithm_name(&self) -> String {
        match self.material {
            Material::Brainpool(curve) => format!("ECDSA {}", curve.name()),
            Material::Ecdsa { curve, .. } => format!("ECDSA {curve}"),
            Material::Ed25519 | Material::Ed25519Legacy => "Ed25519".to_owned(),
            Material::Ed448 => "Ed448".to_owned(),
            Material::Rsa { bits } => format!("RSA-{bits}"),
            Material::Refused { name } => name.to_owned(),
            Material::Wrong { .. } => "unreadable".to_owned(),
        }
    }
}

impl fmt::Debug for KeyPacket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "KeyPacket({})", self.fingerprint)
    }
}

/// The numbers of the key, in the encoding of the algorithm.
fn material(body: &[u8]) -> Option<&[u8]> {
    match body {
        [4, _, _, _, _, _, material @ ..] => Some(material),
        [6, _, _, _, _, _, a, b, c, d, material @ ..] => {
            let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
            (length == material.len()).then_some(material)
        }
        _ => None,
    }
}

fn fingerprint(version: u8, body: &[u8]) -> Option<Fingerprint> {
    if version == 4 && body.len() > usize::from(u16::MAX) {
        return None;
    }
    let prefix = KeyPacket::prefix(version, body);
    let hash = if version == 6 {
        HashAlgorithm::Sha256
    } else {
        HashAlgorithm::Sha1
    };
    let digest = backend::digest(hash, &[&prefix, body])?;
    match version {
        6 => Some(Fingerprint::v6(digest.try_into().ok()?)),
        _ => Some(Fingerprint::v4(digest.try_into().ok()?)),
    }
}

fn look_at(id: u8, material: &[u8], version: u8) -> Result<Material, &'static str> {
    use algorithm as is;
    match id {
        is::RSA | is::RSA_SIGN => rsa(material, version),
        is::ECDSA => curve(material, version),
        // RFC 9580 §5.5.2.3: version 6 has Ed25519 in its own encoding.
        is::EDDSA_LEGACY if version == 6 => Err("keys of version 6 are not of this algorithm"),
        is::EDDSA_LEGACY => match oid(material)? {
            (ED25519_OID, point) => match mpi::split(point, 1, version)? {
                (point, []) if point[0].len() == 33 && point[0][0] == 0x40 => {
                    Ok(Material::Ed25519Legacy)
                }
                _ => Err("its point is not an Ed25519 point"),
            },
            _ => Ok(Material::Refused {
                name: "EdDSA on another curve",
            }),
        },
        is::ED25519 if material.len() == 32 => Ok(Material::Ed25519),
        is::ED448 if material.len() == 57 => Ok(Material::Ed448),
        is::ED25519 | is::ED448 => Err("its point has the wrong length"),
        is::RSA_ENCRYPT => Ok(Material::Refused {
            name: "RSA for encryption",
        }),
        is::DSA => Ok(Material::Refused { name: "DSA" }),
        is::ELGAMAL | is::ELGAMAL_SIGN => Ok(Material::Refused { name: "ElGamal" }),
        is::ECDH => Ok(Material::Refused { name: "ECDH" }),
        is::X25519 => Ok(Material::Refused { name: "X25519" }),
        is::X448 => Ok(Material::Refused { name: "X448" }),
        _ => Ok(Material::Refused {
            name: "an unknown algorithm",
        }),
    }
}

fn rsa(material: &[u8], version: u8) -> Result<Material, &'static str> {
    let (numbers, rest) = mpi::split(material, 2, version)?;
    let (modulus, exponent) = (numbers[0], numbers[1]);
    if !rest.is_empty() {
        return Err("something follows its numbers");
    }
    if modulus.last().is_none_or(|last| last & 1 == 0) {
        return Err("its modulus is even");
    }
    // Below 3 it signs nothing, from 2³² on it is only slow, and even it cannot be inverted.
    let value = exponent
        .iter()
        .fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    if exponent.len() > 4 || value < 3 || value & 1 == 0 {
        return Err("its exponent is not an odd number from 3 to 2^32");
    }
    Ok(Material::Rsa {
        bits: mpi::bits(modulus),
    })
}

fn curve(material: &[u8], version: u8) -> Result<Material, &'static str> {
    let (oid, point) = oid(material)?;
    let found = match oid {
        P256_OID => Material::Ecdsa {
            curve: "P-256",
            field: 256,
        },
        P384_OID => Material::Ecdsa {
            curve: "P-384",
            field: 384,
        },
        P521_OID => Material::Ecdsa {
            curve: "P-521",
            field: 521,
        },
        oid => match Brainpool::from_oid(oid) {
            Some(curve) => Material::Brainpool(curve),
            None => {
                return Ok(Material::Refused {
                    name: "ECDSA on another curve than those of NIST and brainpool",
                });
            }
        },
    };
    let field = match found {
        Material::Brainpool(curve) => curve.field(),
        Material::Ecdsa { field, .. } => field,
        _ => return Ok(found),
    };
    // RFC 9580 §11.2.1: the uncompressed form and no other.
    match mpi::split(point, 1, version)? {
        (point, []) if point[0].len() == 1 + 2 * field.div_ceil(8) && point[0][0] == 0x04 => {
            Ok(found)
        }
        _ => Err("its point is not one of its curve"),
    }
}

fn oid(material: &[u8]) -> Result<(&[u8], &[u8]), &'static str> {
    let (length, rest) = material.split_first().ok_or("its curve is missing")?;
    rest.split_at_checked(usize::from(*length))
        .ok_or("its curve is cut off")
}

const ED25519_OID: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01];
const P256_OID: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384_OID: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const P521_OID: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];
const RSA_LEAST: usize = 2_048;
const RSA_MOST: usize = 8_192;
