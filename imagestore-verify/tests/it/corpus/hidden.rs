//! V26, V28, V30: what a certificate says against itself counts wherever it stands.

use super::{Case, Keys, certificates::signed};
use crate::forge::{
    DAY, Key, Kind, SHA1, Sig, USER_ID, back, binding, certificate, certification, now, packet,
    plain, with_subkey,
};

pub(super) fn hidden(keys: &Keys) -> Vec<Case> {
    let mut cases = revocations(keys);
    cases.extend(weak());
    cases.extend(lapsed());
    cases
}

/// Revocations that stand where they are easily missed.
fn revocations(keys: &Keys) -> Vec<Case> {
    let (key, sub) = (&keys.rsa, &keys.ed);
    let half_day = now() - DAY / 2;
    let revoke = || Sig::new(0x20, key, half_day).with(false, 29, [2]);
    let bound = with_subkey(key, sub, &binding(key, sub, Some(&back(sub))));
    let revoked_sub = Sig::new(0x28, key, half_day).on_subkey(key, key, sub);
    let user_id = packet(13, USER_ID.as_bytes());
    let revoked_user_id = Sig::new(0x30, key, half_day).on_user_id(key, key, USER_ID);
    let fake = |sig: Sig| sig.with_unhashed(false, 16, [7; 8]);
    let mut number_three = revoke();
    number_three.algorithm = Some(3);
    let nameless = revoke().without(16).without(33);
    // A key of version 3 has no fingerprint that is believed, and is read over.
    let unread = packet(6, &[3, 0, 0, 0, 1, 0, 0, 1, 0, 8, 0x80, 0, 8, 0x80]);
    let six = &keys.v6;
    let direct_revoked = Sig::new(0x30, six, half_day).on_key(six, six);
    let with = |name: &str, key: &Key, parts: &[Vec<u8>]| {
        let name = format!("hidden, {name}");
        signed(&name, "V28", "bad key", key, parts.concat())
    };
    vec![
        with(
            "subkey there twice, the second revoked",
            sub,
            &[bound.clone(), sub.subkey_packet(), revoked_sub.clone()],
        ),
        with(
            "user id there twice, the second revoked",
            key,
            &[plain(key), user_id, revoked_user_id],
        ),
        with(
            "revocation after a key that is not read",
            key,
            &[plain(key), unread, revoke().on_key(key, key)],
        ),
        with(
            "revocation that names nobody",
            key,
            &[plain(key), nameless.on_key(key, key)],
        ),
        with(
            "revocation that names two",
            key,
            &[plain(key), fake(revoke()).on_key(key, key)],
        ),
        with(
            "subkey revocation that names two",
            sub,
            &[
                bound,
                fake(Sig::new(0x28, key, half_day)).on_subkey(key, key, sub),
            ],
        ),
        with(
            "revocation by RSA sign only",
            key,
            &[plain(key), number_three.on_key(key, key)],
        ),
        with(
            "direct key signature revoked",
            six,
            &[plain(six), direct_revoked],
        ),
    ]
}

/// V30: self-signatures by SHA-1.
fn weak() -> Vec<Case> {
    let made = 1_262_304_000;
    let key = Key::new(Kind::Rsa(2_048), made);
    let old = |kind: u8, at: u32| Sig::new(kind, &key, at).hash(SHA1);
    let certify = old(0x13, made).with(false, 27, [0x01]);
    let expiring = old(0x13, made + DAY)
        .with(false, 27, [0x03])
        .with_seconds(9, 900 * DAY);
    let later = 1_609_459_200;
    let sub = Key::new(Kind::Ed25519Legacy, made);
    let silent = Sig::new(0x13, &key, made + 9 * DAY);
    let bound = binding(&key, &sub, Some(&back(&sub))).hash(SHA1);
    let before = |first: Sig, rest: Vec<u8>| {
        let rest = rest[key.packet().len()..].to_vec();
        [key.packet(), first.on_key(&key, &key), rest].concat()
    };
    let with = |name: &str, rule, expected, bytes: Vec<u8>| {
        let name = format!("weak, {name}");
        signed(&name, rule, expected, &key, bytes)
    };
    vec![
        with(
            "pinned, a newer one of another kind says nothing",
            "V30",
            "bad key",
            before(
                old(0x1f, made + 700 * DAY),
                certificate(&key, std::slice::from_ref(&certify)),
            ),
        )
        .pinned(),
        with(
            "an older strong one of another kind",
            "V30",
            "bad key",
            before(
                Sig::new(0x1f, &key, made + 2_000 * DAY),
                certificate(&key, &[expiring]),
            ),
        ),
        with(
            "pinned, of 2021",
            "V30",
            "bad key",
            certificate(&key, &[old(0x13, later).with(false, 27, [0x03])]),
        )
        .pinned(),
        with(
            "pinned, a strong one beside one of 2021",
            "V30",
            "accept",
            certificate(
                &key,
                &[
                    old(0x13, later).with(false, 27, [0x03]),
                    certification(&key).without(2).with_seconds(2, later + DAY),
                ],
            ),
        )
        .pinned(),
        with(
            "pinned, a subkey bound by SHA1 signs in its place",
            "V26",
            "bad key",
            [
                certificate(&key, &[silent]),
                sub.subkey_packet(),
                bound.on_subkey(&key, &key, &sub),
            ]
            .concat(),
        )
        .pinned(),
    ]
}

/// V30: of a pinned key, self-signatures that count no more.
fn lapsed() -> Vec<Case> {
    let made = now() - 400 * DAY;
    let key = Key::new(Kind::Ed25519Legacy, made);
    let certify = || Sig::new(0x13, &key, made).with(true, 27, [0x01]);
    let over = certify().with_seconds(3, 30 * DAY);
    let unknown = certify().with(true, 99, [1]);
    let revoked = [
        certificate(&key, &[certify()]),
        Sig::new(0x30, &key, now() - DAY).on_user_id(&key, &key, USER_ID),
    ];
    let may_sign = certification(&key).with_seconds(3, 30 * DAY);
    let with = |name: &str, expected, bytes: Vec<u8>| {
        let name = format!("lapsed, pinned, {name}");
        signed(&name, "V30", expected, &key, bytes).pinned()
    };
    vec![
        with("may not sign", "bad key", certificate(&key, &[over])),
        with("not understood", "bad key", certificate(&key, &[unknown])),
        with("user id revoked", "bad key", revoked.concat()),
        with("may sign", "accept", certificate(&key, &[may_sign])),
    ]
}
