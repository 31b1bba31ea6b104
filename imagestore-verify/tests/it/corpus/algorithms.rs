//! V5, V8, V17 to V20: digests, keys and numbers.

use imagestore_verify::Policy;

use super::{Case, DATA, Keys, case};
use crate::forge::{
    DAY, Key, MD5, RIPEMD160, SHA1, SHA3_256, SHA3_512, SHA224, SHA256, SHA384, SHA512, Sig, Sub,
    brainpool::{POINT, on_brainpool},
    now, packet,
};

pub(super) fn algorithms(keys: &Keys) -> Vec<Case> {
    let hashes = [
        ("MD5", MD5, 128),
        ("SHA1", SHA1, 160),
        ("RIPEMD160", RIPEMD160, 160),
        ("SHA224", SHA224, 224),
        ("SHA256", SHA256, 256),
        ("SHA384", SHA384, 384),
        ("SHA512", SHA512, 512),
        ("SHA3-256", SHA3_256, 256),
        ("SHA3-512", SHA3_512, 512),
    ];
    let signers: [(&str, &Key, usize, bool); 8] = [
        ("RSA-2048", &keys.rsa, 256, true),
        ("RSA-3072", &keys.rsa_3072, 256, true),
        ("Ed25519 legacy", &keys.ed, 256, true),
        ("Ed25519", &keys.ed_new, 256, true),
        ("Ed448", &keys.ed448, 512, true),
        ("P-256", &keys.p256, 256, true),
        ("P-384", &keys.p384, 384, false),
        ("P-521", &keys.p521, 512, false),
    ];
    let mut cases = Vec::new();
    for (signer, key, needed, all) in signers {
        for (name, hash, bits) in hashes {
            // The library that makes the cases does not sign these pairs at all.
            if (!all || key.algorithm == 19) && bits < needed {
                continue;
            }
            let rsa = key.algorithm == 1;
            if rsa && key.body.len() > 300 && bits != 512 {
                continue;
            }
            let expected = if bits >= needed { "accept" } else { "weak" };
            let rule = if bits < 256 { "V17" } else { "V18" };
            let packets = Sig::document(key).hash(hash).over(key, DATA);
            cases.push(case(
                format!("algorithm: {signer} with {name}"),
                rule,
                expected,
                key,
                &packets,
            ));
        }
    }
    let six = |hash| Sig::document(&keys.v6).hash(hash).over(&keys.v6, DATA);
    for (name, hash, _) in hashes.iter().filter(|(.., bits)| *bits >= 256) {
        let name = format!("algorithm: version 6 with {name}");
        cases.push(case(name, "V8", "accept", &keys.v6, &six(*hash)));
    }
    let sha224 = Sig::document(&keys.rsa).hash(SHA224).over(&keys.rsa, DATA);
    let allowed = Policy::default().with_sha224();
    cases.push(
        case(
            "algorithm: RSA with SHA224, allowed",
            "V17",
            "accept",
            &keys.rsa,
            &sha224,
        )
        .under(allowed.clone()),
    );
    let sha224 = Sig::document(&keys.ed).hash(SHA224).over(&keys.ed, DATA);
    cases.push(
        case(
            "algorithm: Ed25519 with SHA224, allowed",
            "V18",
            "weak",
            &keys.ed,
            &sha224,
        )
        .under(allowed),
    );
    let curve = Sig::document(&keys.secp256k1)
        .hash(SHA256)
        .over(&keys.secp256k1, DATA);
    cases.push(case(
        "algorithm: secp256k1",
        "V19",
        "bad key",
        &keys.secp256k1,
        &curve,
    ));
    let mut unknown = Sig::document(&keys.ed).body(&keys.ed, DATA);
    unknown[3] = 99;
    cases.push(case(
        "algorithm: an unknown digest",
        "V17",
        "weak",
        &keys.ed,
        &packet(2, &unknown),
    ));
    let rsa_sign_only = {
        let mut signature = Sig::document(&keys.rsa);
        signature.algorithm = Some(3);
        signature.over(&keys.rsa, DATA)
    };
    cases.push(case(
        "algorithm: RSA sign only by an RSA key",
        "V8",
        "accept",
        &keys.rsa,
        &rsa_sign_only,
    ));
    let mut other = Sig::document(&keys.ed);
    other.algorithm = Some(19);
    let other = other.over(&keys.ed, DATA);
    cases.push(case(
        "algorithm: another than the key has",
        "V8",
        "malformed",
        &keys.ed,
        &other,
    ));
    cases
}

/// V18 and V19 on a curve the library that makes the cases does not know.
pub(super) fn brainpool() -> Vec<Case> {
    let created = now() - 400 * DAY;
    let mut off = POINT.to_vec();
    off[128] ^= 1;
    let compressed = [&[0x02][..], &POINT[1..65]].concat();
    let hybrid = [&[0x06][..], &POINT[1..]].concat();
    let points = [
        ("signed on another", SHA512, POINT, "V19", "bad signature"),
        ("with SHA384", SHA384, POINT, "V18", "weak"),
        ("a point beside it", SHA512, &off, "V19", "bad signature"),
        ("a compressed point", SHA512, &compressed, "V19", "bad key"),
        ("a hybrid point", SHA512, &hybrid, "V19", "bad key"),
        ("no point", SHA512, &[], "V19", "bad key"),
    ];
    let cases = points.map(|(name, hash, point, rule, expected)| {
        let key = on_brainpool(created, point);
        let packets = Sig::document(&key).hash(hash).over(&key, DATA);
        let name = format!("brainpoolP512r1: {name}");
        case(name, rule, expected, &key, &packets)
    });
    cases.into()
}

pub(super) fn values(keys: &Keys) -> Vec<Case> {
    let (key, rsa, six) = (&keys.ed, &keys.rsa, &keys.v6);
    let base = || Sig::document(key);
    let with = |name: &str, rule, expected, signature: Sig| {
        case(
            format!("value: {name}"),
            rule,
            expected,
            key,
            &signature.over(key, DATA),
        )
    };
    let changed = |change: fn(&mut Sig)| {
        let mut signature = base();
        change(&mut signature);
        signature
    };
    let mut cases = vec![
        with(
            "another prefix of the digest",
            "V20",
            "bad signature",
            changed(|signature| signature.flip_prefix = true),
        ),
        with(
            "one bit of the numbers",
            "V20",
            "bad signature",
            changed(|signature| signature.flip_value = true),
        ),
        with(
            "something after the numbers",
            "V5",
            "malformed",
            changed(|signature| signature.tail = vec![0]),
        ),
        with(
            "a third number",
            "V5",
            "malformed",
            changed(|signature| signature.tail = vec![0, 8, 0xff]),
        ),
        with(
            "version 3",
            "V8",
            "malformed",
            changed(|signature| signature.version = 3),
        ),
        with(
            "version 5",
            "V8",
            "malformed",
            changed(|signature| signature.version = 5),
        ),
    ];
    for (name, data) in [
        ("one byte more", &b"first line\nsecond line\n\n"[..]),
        ("nothing", b""),
    ] {
        let packets = base().over(key, DATA);
        cases.push(
            case(
                format!("value: over {name}"),
                "V20",
                "bad signature",
                key,
                &packets,
            )
            .over(data),
        );
    }
    let nothing = base().over(key, b"");
    cases.push(case("value: over an empty file", "V20", "accept", key, &nothing).over(b""));
    let mut body = base().body(key, DATA);
    let numbers = body.len() - 68;
    let huge = [&body[..numbers], &[0xff, 0xff], &body[numbers + 2..]].concat();
    cases.push(case(
        "value: a number of 65535 bits",
        "V5",
        "malformed",
        key,
        &packet(2, &huge),
    ));
    let cut = &body[..numbers + 10];
    cases.push(case(
        "value: numbers cut off",
        "V5",
        "malformed",
        key,
        &packet(2, cut),
    ));
    // Covered by the digest, so one bit there is another signature.
    body[1] = 0x00;
    body[10] ^= 1;
    cases.push(case(
        "value: one bit of the covered area",
        "V20",
        "missing key",
        key,
        &packet(2, &body),
    ));

    // RSA numbers may be written with leading zeros (gnupg of old) or come out short.
    let body = Sig::document(rsa).body(rsa, DATA);
    let number = body.len() - 256;
    let padded = [
        &body[..number - 2],
        &2_056_u16.to_be_bytes(),
        &[0],
        &body[number..],
    ]
    .concat();
    let name = "value: an RSA number with leading zeros";
    cases.push(case(name, "V5", "accept", rsa, &packet(2, &padded)));
    let announced = u16::from_be_bytes([body[number - 2], body[number - 1]]) - 1;
    let above = [
        &body[..number - 2],
        &announced.to_be_bytes(),
        &body[number..],
    ]
    .concat();
    let name = "value: an RSA number with a bit above its highest";
    cases.push(case(name, "V5", "malformed", rsa, &packet(2, &above)));
    for attempt in 0..2_000_u32 {
        let signature = Sig::document(rsa).with_seconds(20 + 80, attempt);
        let body = signature.body(rsa, DATA);
        let length = usize::from(u16::from_be_bytes([
            body[body.len() - 257],
            body[body.len() - 256],
        ]));
        if length <= 2_040 && body[body.len() - 257..].len() == 257 {
            let name = "value: an RSA number shorter than the modulus";
            cases.push(case(name, "V5", "accept", rsa, &packet(2, &body)));
            break;
        }
    }

    let mut salted = Sig::document(six);
    salted.salt = Some(vec![7; 31]);
    let name = "value: version 6 with a short salt";
    cases.push(case(name, "V20", "malformed", six, &salted.over(six, DATA)));
    salted.salt = Some(Vec::new());
    let name = "value: version 6 without salt";
    cases.push(case(name, "V20", "malformed", six, &salted.over(six, DATA)));
    let mut prefixed = Sig::document(six);
    prefixed.flip_prefix = true;
    let name = "value: version 6 with another prefix";
    cases.push(case(
        name,
        "V20",
        "bad signature",
        six,
        &prefixed.over(six, DATA),
    ));
    let mut crossed = Sig::document(six);
    crossed.version = 4;
    crossed.hashed[0] = Sub(false, 16, six.key_id());
    let name = "value: version 4 by a version 6 key";
    cases.push(case(name, "V8", "malformed", six, &crossed.over(six, DATA)));
    let mut crossed = Sig::document(&keys.ed_new);
    crossed.version = 6;
    crossed.hashed[0] = Sub(false, 16, keys.ed_new.key_id());
    let name = "value: version 6 by a version 4 key";
    cases.push(case(
        name,
        "V8",
        "malformed",
        &keys.ed_new,
        &crossed.over(&keys.ed_new, DATA),
    ));
    cases
}
