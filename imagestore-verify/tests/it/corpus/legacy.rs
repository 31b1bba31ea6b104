//! V19 and V30: weak keys, and pinned keys of the SHA-1 era.

use imagestore_verify::Policy;

use super::{Case, DATA, certificates::signed};
use crate::forge::{
    DAY, Key, Kind, SHA1, SHA256, Sig, armor, back, binding, certificate, digest, mpi, now, packet,
    plain,
};

/// V30: pinned keys of the SHA-1 era.
pub(super) fn legacy() -> Vec<Case> {
    // 2014-01-01, the age of the real ones.
    let made = 1_388_534_400;
    let key = Key::new(Kind::Rsa(2_048), made);
    let old = |at: u32| Sig::new(0x13, &key, at).hash(SHA1).with(false, 27, [0x03]);
    let with = |name: &str, expected, signatures: &[Sig]| {
        signed(
            &format!("legacy, {name}"),
            "V30",
            expected,
            &key,
            certificate(&key, signatures),
        )
    };
    let expired = old(made).with_seconds(9, 90 * DAY);
    let certify = Sig::new(0x13, &key, made)
        .hash(SHA1)
        .with(false, 27, [0x01]);
    let sub = Key::new(Kind::Ed25519Legacy, made);
    let bound = binding(&key, &sub, Some(&back(&sub))).hash(SHA1);
    let subkey = [
        certificate(&key, &[old(made)]),
        sub.subkey_packet(),
        bound.on_subkey(&key, &key, &sub),
    ]
    .concat();
    let revoked = [
        certificate(&key, &[old(made)]),
        Sig::new(0x20, &key, made + DAY)
            .hash(SHA1)
            .on_key(&key, &key),
    ]
    .concat();
    let weak = armor(&Sig::document(&key).hash(SHA1).over(&key, DATA));
    let aged = armor(
        &Sig::new(0x00, &key, made + 400 * DAY)
            .hash(SHA1)
            .over(&key, DATA),
    );
    let archive = Policy::default().with_sha1_before_2020();
    let strong = Sig::new(0x13, &key, made + 900 * DAY).with(true, 27, [0x03]);
    vec![
        with("not pinned", "bad key", &[old(made)]),
        with("pinned", "accept", &[old(made)]).pinned(),
        with("pinned, expired", "bad key", std::slice::from_ref(&expired)).pinned(),
        with("pinned, may not sign", "bad key", &[certify]).pinned(),
        with(
            "pinned, newest says expired",
            "bad key",
            &[old(made), old(made + DAY).with_seconds(9, 90 * DAY)],
        )
        .pinned(),
        with("pinned, no self-signature", "accept", &[]).pinned(),
        with(
            "pinned, a newer strong one rules",
            "accept",
            &[expired, strong],
        )
        .pinned(),
        signed(
            "legacy, pinned, subkey bound by SHA1",
            "V30",
            "bad key",
            &sub,
            subkey,
        )
        .pinned(),
        signed(
            "legacy, pinned, revoked by SHA1",
            "V28",
            "bad key",
            &key,
            revoked,
        )
        .pinned(),
        Case::new(
            "certificate: legacy, pinned, SHA1 over the data",
            "V17",
            "weak",
            certificate(&key, &[old(made)]),
            weak.clone(),
        )
        .pinned(),
        Case::new(
            "certificate: legacy, pinned, SHA1 over the data of today, old allowed",
            "V17",
            "weak",
            certificate(&key, &[old(made)]),
            weak,
        )
        .under(archive.clone())
        .pinned(),
        Case::new(
            "certificate: legacy, pinned, SHA1 over the data of 2015, old allowed",
            "V17",
            "accept",
            certificate(&key, &[old(made)]),
            aged.clone(),
        )
        .under(archive.clone())
        .pinned(),
        // Made to have the digest of other data. Nobody can sign the one without the other, so it is
        // named for what it is whatever was signed.
        Case::new(
            "certificate: legacy, pinned, a collision of SHA1, old allowed",
            "V17",
            "weak",
            certificate(&key, &[old(made)]),
            aged.clone(),
        )
        .under(archive.clone())
        .over(include_bytes!("../../data/sha-mbles-1.bin"))
        .pinned(),
        Case::new(
            "certificate: legacy, not pinned, SHA1 over the data of 2015, old allowed",
            "V17",
            "weak",
            certificate(&key, &[old(made)]),
            aged,
        )
        .under(archive),
    ]
}

pub(super) fn strength() -> Vec<Case> {
    let small = Key::new(Kind::Rsa(1_024), now() - 400 * DAY);
    let mut cases = vec![signed(
        "strength, RSA-1024",
        "V19",
        "bad key",
        &small,
        plain(&small),
    )];
    // Numbers alone make these keys: no arithmetic may be done before they are refused.
    let asc = |algorithm: u8, fingerprint: &[u8]| {
        let value = match algorithm {
            1 => mpi(&[0xff; 256]),
            _ => [mpi(&[0xff; 32]), mpi(&[0xff; 32])].concat(),
        };
        let issuer = [&[22, 33, 4][..], fingerprint].concat();
        let time = [&[5, 2][..], &(now() - DAY).to_be_bytes()].concat();
        let area = [issuer, time].concat();
        let length = [0, area.len() as u8];
        let body = [
            &[4, 0, algorithm, SHA256][..],
            &length,
            &area,
            &[0, 0, 0, 0],
            &value,
        ]
        .concat();
        armor(&packet(2, &body))
    };
    let odd = |bits: usize| {
        let mut number = vec![0xff; bits / 8];
        number[bits / 8 - 1] = 0xfd;
        number
    };
    let numbers: [(&str, u8, Vec<u8>); 9] = [
        (
            "RSA-16384",
            1,
            [mpi(&odd(16_384)), mpi(&[1, 0, 1])].concat(),
        ),
        (
            "RSA with exponent 1",
            1,
            [mpi(&odd(2_048)), mpi(&[1])].concat(),
        ),
        (
            "RSA with an even exponent",
            1,
            [mpi(&odd(2_048)), mpi(&[1, 0, 0])].concat(),
        ),
        (
            "RSA with exponent 2^32+1",
            1,
            [mpi(&odd(2_048)), mpi(&[1, 0, 0, 0, 1])].concat(),
        ),
        (
            "RSA with a huge exponent",
            1,
            [mpi(&odd(2_048)), mpi(&odd(2_048))].concat(),
        ),
        (
            "RSA with an even modulus",
            1,
            [mpi(&[0xfe; 256]), mpi(&[1, 0, 1])].concat(),
        ),
        (
            "RSA with exponent 0",
            1,
            [mpi(&odd(2_048)), mpi(&[])].concat(),
        ),
        (
            "Ed25519 with a short point",
            22,
            [
                &[9, 0x2b, 6, 1, 4, 1, 0xda, 0x47, 0x0f, 1][..],
                &mpi(&[0x40; 20]),
            ]
            .concat(),
        ),
        (
            "ECDSA on a curve nobody knows",
            19,
            [&[2, 1, 1][..], &mpi(&[4; 65])].concat(),
        ),
    ];
    for (name, algorithm, material) in numbers {
        let mut key = Vec::from([4]);
        key.extend((now() - 400 * DAY).to_be_bytes());
        key.push(algorithm);
        key.extend(material);
        let hashed = [&[0x99][..], &(key.len() as u16).to_be_bytes(), &key].concat();
        let fingerprint = digest(SHA1, &hashed);
        let certificate = [packet(6, &key), packet(13, b"x")].concat();
        let asc = asc(algorithm, &fingerprint);
        let name = format!("certificate: strength, {name}");
        cases.push(Case::new(name, "V19", "bad key", certificate, asc));
    }
    cases
}
