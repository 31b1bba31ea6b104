//! The numbers of brainpoolP512r1 (RFC 5639 §3.7). The arithmetic is that of `primefield` and
//! `primeorder`, on which the crates of the smaller curves are built as well.

use elliptic_curve::{
    Curve, CurveArithmetic, PrimeCurve, PrimeCurveArithmetic,
    bigint::{Odd, U512},
    consts::U64,
    hazmat::FieldArithmetic,
    point::PointCompression,
};
use primeorder::{PrimeCurveParams, mul_backend, point_arithmetic};

use self::{field::FieldElement, scalar::Scalar};

// As public as the numbers below it, which macros make so.
#[allow(unreachable_pub)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct BrainpoolP512r1;

impl Curve for BrainpoolP512r1 {
    type FieldBytesSize = U64;
    type Uint = U512;

    const ORDER: Odd<U512> = Odd::<U512>::from_be_hex(ORDER);
}

impl PrimeCurve for BrainpoolP512r1 {}

impl PointCompression for BrainpoolP512r1 {
    const COMPRESS_POINTS: bool = false;
}

impl CurveArithmetic for BrainpoolP512r1 {
    type AffinePoint = primeorder::AffinePoint<Self>;
    type ProjectivePoint = primeorder::ProjectivePoint<Self>;
    type Scalar = Scalar;
}

impl FieldArithmetic for BrainpoolP512r1 {
    type FieldElement = FieldElement;
}

impl PrimeCurveArithmetic for BrainpoolP512r1 {
    type CurveGroup = primeorder::ProjectivePoint<Self>;
}

impl PrimeCurveParams for BrainpoolP512r1 {
    type PointArithmetic = point_arithmetic::EquationAIsGeneric;
    type Backend = mul_backend::VariableOnly;

    const EQUATION_A: FieldElement = FieldElement::from_hex_vartime(A);
    const EQUATION_B: FieldElement = FieldElement::from_hex_vartime(B);
    const GENERATOR: (FieldElement, FieldElement) = (
        FieldElement::from_hex_vartime(X),
        FieldElement::from_hex_vartime(Y),
    );
}

impl ecdsa::EcdsaCurve for BrainpoolP512r1 {
    const NORMALIZE_S: bool = false;
}

// What the macros write is for any use of a curve, and calls a method by its former name.
#[allow(deprecated, missing_docs, unreachable_pub)]
mod field {
    use elliptic_curve::{
        bigint::U512,
        ff::PrimeField,
        ops::BatchInvert,
        subtle::{Choice, ConstantTimeEq, CtOption},
    };

    primefield::monty_field_params! {
        name: Field,
        modulus: super::PRIME,
        uint: U512,
        byte_order: primefield::ByteOrder::BigEndian,
        // Of use for square roots, which points that are not compressed do not need.
        multiplicative_generator: 2,
        doc: "The field."
    }

    primefield::monty_field_element! {
        name: FieldElement,
        params: Field,
        uint: U512,
        doc: "A number of the field."
    }

    primefield::monty_field_arithmetic! {
        name: FieldElement,
        params: Field,
        uint: U512
    }

    impl BatchInvert for FieldElement {}
}

#[allow(deprecated, missing_docs, unreachable_pub)]
mod scalar {
    use elliptic_curve::{
        bigint::{Odd, U512},
        ff::PrimeField,
        scalar::{FromUintUnchecked, IsHigh},
        subtle::{Choice, ConstantTimeEq, ConstantTimeGreater, CtOption},
    };
    use primeorder::wnaf;

    use super::{BrainpoolP512r1, ORDER};

    primefield::monty_field_params! {
        name: Order,
        modulus: ORDER,
        uint: U512,
        byte_order: primefield::ByteOrder::BigEndian,
        multiplicative_generator: 7,
        doc: "The order of the curve."
    }

    primefield::monty_field_element! {
        name: Scalar,
        params: Order,
        uint: U512,
        doc: "A number below the order of the curve."
    }

    primefield::monty_field_arithmetic! {
        name: Scalar,
        params: Order,
        uint: U512
    }

    primefield::monty_field_reduce! {
        name: Scalar,
        params: Order,
        uint: U512,
    }

    elliptic_curve::scalar_impls!(BrainpoolP512r1, Scalar);
    wnaf::impl_wnaf_size_for_scalar!(Scalar);

    impl AsRef<Self> for Scalar {
        fn as_ref(&self) -> &Self {
            self
        }
    }

    impl FromUintUnchecked for Scalar {
        type Uint = U512;

        fn from_uint_unchecked(uint: U512) -> Self {
            Self::from_uint_unchecked(uint)
        }
    }

    impl IsHigh for Scalar {
        fn is_high(&self) -> Choice {
            const HALF: U512 = Odd::<U512>::from_be_hex(ORDER).as_ref().shr_vartime(1);
            self.to_canonical().ct_gt(&HALF)
        }
    }
}

const PRIME: &str = "aadd9db8dbe9c48b3fd4e6ae33c9fc07cb308db3b3c9d20ed6639cca70330871\
                     7d4d9b009bc66842aecda12ae6a380e62881ff2f2d82c68528aa6056583a48f3";
const ORDER: &str = "aadd9db8dbe9c48b3fd4e6ae33c9fc07cb308db3b3c9d20ed6639cca70330870\
                     553e5c414ca92619418661197fac10471db1d381085ddaddb58796829ca90069";
const A: &str = "7830a3318b603b89e2327145ac234cc594cbdd8d3df91610a83441caea9863bc\
                 2ded5d5aa8253aa10a2ef1c98b9ac8b57f1117a72bf2c7b9e7c1ac4d77fc94ca";
const B: &str = "3df91610a83441caea9863bc2ded5d5aa8253aa10a2ef1c98b9ac8b57f1117a7\
                 2bf2c7b9e7c1ac4d77fc94cadc083e67984050b75ebae5dd2809bd638016f723";
const X: &str = "81aee4bdd82ed9645a21322e9c4c6a9385ed9f70b5d916c1b43b62eef4d0098e\
                 ff3b1f78e2d0d48d50d1687b93b97d5f7c6d5047406a5e688b352209bcb9f822";
const Y: &str = "7dde385d566332ecc0eabfa9cf7822fdf209f70024a57b1aa000c55b881f8111\
                 b2dcde494a5f485e5bca4bd88a2763aed1ca2b2fa8f0540678cd1e0f3ad80892";
