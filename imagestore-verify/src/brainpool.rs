//! ECDSA over the brainpool curves (RFC 5639), for which the OpenPGP library has no arithmetic.

mod p512;
#[cfg(test)]
mod tests;

use ecdsa::{EcdsaCurve, Signature, VerifyingKey, signature::hazmat::PrehashVerifier as _};
use elliptic_curve::{
    AffinePoint, CurveArithmetic, FieldBytes, FieldBytesSize,
    sec1::{FromSec1Point, ModulusSize, ToSec1Point},
};

/// The curves that RFC 9580 §9.2 names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Brainpool {
    P256,
    P384,
    P512,
}

/// The numbers of a signature, without leading zeros.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbers<'a> {
    pub(crate) r: &'a [u8],
    pub(crate) s: &'a [u8],
}

impl Brainpool {
    pub(crate) fn from_oid(oid: &[u8]) -> Option<Self> {
        match oid {
            P256_OID => Some(Self::P256),
            P384_OID => Some(Self::P384),
            P512_OID => Some(Self::P512),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::P256 => "brainpoolP256r1",
            Self::P384 => "brainpoolP384r1",
            Self::P512 => "brainpoolP512r1",
        }
    }

    /// Bits of a number of the field.
    pub(crate) fn field(self) -> usize {
        match self {
            Self::P256 => 256,
            Self::P384 => 384,
            Self::P512 => 512,
        }
    }

    /// Whether the numbers are a signature over the digest by the key at this point, which is
    /// written as SEC 1 §2.3.3 says, uncompressed.
    pub(crate) fn verify(self, point: &[u8], numbers: Numbers<'_>, digest: &[u8]) -> bool {
        match self {
            Self::P256 => holds::<bp256::BrainpoolP256r1>(point, numbers, digest),
            Self::P384 => holds::<bp384::BrainpoolP384r1>(point, numbers, digest),
            Self::P512 => holds::<p512::BrainpoolP512r1>(point, numbers, digest),
        }
    }
}

fn holds<C>(point: &[u8], numbers: Numbers<'_>, digest: &[u8]) -> bool
where
    C: EcdsaCurve + CurveArithmetic,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
    let signature = padded::<C>(numbers.r)
        .zip(padded::<C>(numbers.s))
        .and_then(|(r, s)| Signature::<C>::from_scalars(r, s).ok());
    let key = VerifyingKey::<C>::from_sec1_bytes(point).ok();
    key.zip(signature)
        .is_some_and(|(key, signature)| key.verify_prehash(digest, &signature).is_ok())
}

/// `None` for a number longer than the field.
fn padded<C: EcdsaCurve>(number: &[u8]) -> Option<FieldBytes<C>> {
    let mut bytes = FieldBytes::<C>::default();
    let zeros = bytes.len().checked_sub(number.len())?;
    bytes[zeros..].copy_from_slice(number);
    Some(bytes)
}

const P256_OID: &[u8] = &[0x2b, 0x24, 0x03, 0x03, 0x02, 0x08, 0x01, 0x01, 0x07];
const P384_OID: &[u8] = &[0x2b, 0x24, 0x03, 0x03, 0x02, 0x08, 0x01, 0x01, 0x0b];
const P512_OID: &[u8] = &[0x2b, 0x24, 0x03, 0x03, 0x02, 0x08, 0x01, 0x01, 0x0d];
