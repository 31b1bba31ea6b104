//! V28: revoked keys and user ids.

use super::{
    Case, Keys,
    certificates::{at_signing, signed},
};
use crate::forge::{DAY, MD5, SHA1, Sig, USER_ID, certification, now, packet, plain};

pub(super) fn revocations(keys: &Keys) -> Vec<Case> {
    let key = &keys.rsa;
    let half_day = now() - DAY / 2;
    let revoke = |at: u32, reason: Option<u8>| {
        let revocation = Sig::new(0x20, key, at);
        match reason {
            Some(code) => revocation.with(false, 29, [code]),
            None => revocation,
        }
    };
    let with = |name: &str, expected, revocation: &Sig| {
        let certified = certification(key).on_user_id(key, key, USER_ID);
        let revoked = revocation.on_key(key, key);
        let bytes = [
            key.packet(),
            revoked,
            packet(13, USER_ID.as_bytes()),
            certified,
        ]
        .concat();
        signed(&format!("revoked, {name}"), "V28", expected, key, bytes)
    };
    let mut unreadable = revoke(half_day, Some(2));
    unreadable.flip_value = true;
    let before = now() - 9 * DAY;
    let user_id_revoked = [
        plain(key),
        Sig::new(0x30, key, half_day)
            .with(false, 29, [32])
            .on_user_id(key, key, USER_ID),
    ];
    let second = "Second <second@example.invalid>";
    let second_user_id = [
        packet(13, second.as_bytes()),
        certification(key).on_user_id(key, key, second),
    ];
    let stranger = Sig::new(0x20, &keys.other, half_day).on_key(&keys.other, key);
    vec![
        with("no reason", "bad key", &revoke(half_day, None)),
        with("reason 0", "bad key", &revoke(half_day, Some(0))),
        with(
            "superseded after signing",
            "bad key",
            &revoke(half_day, Some(1)),
        ),
        with(
            "superseded after signing, allowed",
            "accept",
            &revoke(half_day, Some(1)),
        )
        .under(at_signing()),
        with(
            "retired after signing, allowed",
            "accept",
            &revoke(half_day, Some(3)),
        )
        .under(at_signing()),
        with(
            "superseded before signing, allowed after",
            "bad key",
            &revoke(before, Some(1)),
        )
        .under(at_signing()),
        with(
            "compromised after signing",
            "bad key",
            &revoke(half_day, Some(2)),
        ),
        with(
            "compromised, alive at signing asked",
            "bad key",
            &revoke(half_day, Some(2)),
        )
        .under(at_signing()),
        with(
            "no reason, alive at signing asked",
            "bad key",
            &revoke(half_day, None),
        )
        .under(at_signing()),
        with(
            "an unknown reason, alive at signing asked",
            "bad key",
            &revoke(half_day, Some(77)),
        )
        .under(at_signing()),
        with(
            "soft and hard reasons, alive at signing asked",
            "bad key",
            &revoke(half_day, Some(1)).with(false, 29, [2]),
        )
        .under(at_signing()),
        with("by MD5", "bad key", &revoke(half_day, Some(2)).hash(MD5)),
        with("by SHA1", "bad key", &revoke(half_day, Some(2)).hash(SHA1)),
        with(
            "expired revocation",
            "bad key",
            &revoke(before, Some(2)).with_seconds(3, 60),
        ),
        with(
            "revocation without a time",
            "bad key",
            &revoke(before, Some(2)).without(2),
        ),
        with(
            "revocation with a critical notation",
            "bad key",
            &revoke(before, Some(2)).with(true, 100, b"x"),
        ),
        with("revocation that does not verify", "accept", &unreadable),
        signed(
            "revoked, by a stranger",
            "V28",
            "accept",
            key,
            [
                key.packet(),
                stranger,
                plain(key)[key.packet().len()..].to_vec(),
            ]
            .concat(),
        ),
        signed(
            "revoked, appended at the end",
            "V28",
            "bad key",
            key,
            [plain(key), revoke(half_day, Some(2)).on_key(key, key)].concat(),
        ),
        signed(
            "revoked, after the next certificate",
            "V28",
            "bad key",
            key,
            [
                plain(key),
                plain(&keys.other),
                revoke(half_day, Some(2)).on_key(key, key),
            ]
            .concat(),
        ),
        signed(
            "revoked, in the second copy only",
            "V23",
            "bad key",
            key,
            [
                plain(key),
                key.packet(),
                revoke(half_day, Some(2)).on_key(key, key),
            ]
            .concat(),
        ),
        signed(
            "the only user id revoked",
            "V28",
            "bad key",
            key,
            user_id_revoked.concat(),
        ),
        signed(
            "one of two user ids revoked",
            "V28",
            "accept",
            key,
            [user_id_revoked.concat(), second_user_id.concat()].concat(),
        ),
    ]
}
