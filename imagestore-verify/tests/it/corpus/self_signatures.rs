//! V24 to V26: what the key says about itself.

use super::{
    Case, Keys,
    certificates::{at_signing, signed},
};
use crate::forge::{
    DAY, MD5, SHA1, SHA224, Sig, USER_ID, certificate, certification, now, packet, plain,
};

pub(super) fn self_signatures(keys: &Keys) -> Vec<Case> {
    let key = &keys.rsa;
    let ago = |days: u32| now() - days * DAY;
    let by = |at: u32, flags: u8| Sig::new(0x13, key, at).with(true, 27, [flags]);
    let with = |name: &str, rule, expected, signatures: &[Sig]| {
        signed(name, rule, expected, key, certificate(key, signatures))
    };
    let expires = |signature: Sig, days_ago: u32| {
        signature.with_seconds(9, now() - days_ago * DAY - key.created)
    };
    let half_day_ago = certification(key).with_seconds(9, now() - DAY / 2 - key.created);
    let certify_only = by(ago(400), 0x01);
    let note = [&[0x80, 0, 0, 0, 0, 1, 0, 1][..], b"ab"].concat();
    let direct = |signature: Sig| {
        let certified = certification(key).on_user_id(key, key, USER_ID);
        let direct = signature.on_key(key, key);
        [
            key.packet(),
            direct,
            packet(13, USER_ID.as_bytes()),
            certified,
        ]
        .concat()
    };
    let mut cases = vec![
        with(
            "types 0x10 to 0x13 bind alike",
            "V24",
            "accept",
            &[Sig::new(0x10, key, ago(300)).with(true, 27, [0x03])],
        ),
        with("no self-signature", "V24", "bad key", &[]),
        with(
            "self-signature that does not verify",
            "V24",
            "bad key",
            &[{
                let mut wrong = certification(key);
                wrong.flip_value = true;
                wrong
            }],
        ),
        with(
            "self-signature of another type",
            "V24",
            "bad key",
            &[Sig::new(0x00, key, ago(300)).with(true, 27, [0x03])],
        ),
        with(
            "self-signature without a time",
            "V10",
            "bad key",
            &[certification(key).without(2)],
        ),
        with(
            "self-signature with a critical unknown",
            "V14",
            "bad key",
            &[certification(key).with(true, 100, b"x")],
        ),
        with(
            "self-signature with a critical notation",
            "V14",
            "bad key",
            &[certification(key).with(true, 20, &note)],
        ),
        with(
            "self-signature by MD5",
            "V17",
            "bad key",
            &[certification(key).hash(MD5)],
        ),
        with(
            "self-signature by SHA1",
            "V30",
            "bad key",
            &[certification(key).hash(SHA1)],
        ),
        with(
            "self-signature by SHA224",
            "V17",
            "bad key",
            &[certification(key).hash(SHA224)],
        ),
        with(
            "self-signature expired",
            "V24",
            "bad key",
            &[certification(key).with_seconds(3, 30 * DAY)],
        ),
        with(
            "self-signature from the future",
            "V24",
            "bad key",
            &[by(now() + 9 * DAY, 0x03)],
        ),
        with(
            "expired yesterday, signed two days before",
            "V25",
            "bad key",
            &[expires(certification(key), 1)],
        ),
        with(
            "expired after the signature",
            "V25",
            "bad key",
            std::slice::from_ref(&half_day_ago),
        ),
        with(
            "expired after the signature, allowed",
            "V25",
            "accept",
            &[half_day_ago],
        )
        .under(at_signing()),
        with(
            "expired before the signature, allowed after",
            "V25",
            "bad key",
            &[expires(certification(key), 5)],
        )
        .under(at_signing()),
        with(
            "expires in a month",
            "V25",
            "accept",
            &[certification(key).with_seconds(9, now() + 30 * DAY - key.created)],
        ),
        with(
            "expiry of zero",
            "V25",
            "accept",
            &[certification(key).with_seconds(9, 0)],
        ),
        with(
            "expiry in the unhashed area",
            "V13",
            "accept",
            &[certification(key).with_unhashed(false, 9, 60_u32.to_be_bytes())],
        ),
        with(
            "newest says expired",
            "V24",
            "bad key",
            &[certification(key), expires(by(ago(300), 0x03), 5)],
        ),
        with(
            "newest says alive",
            "V24",
            "accept",
            &[expires(certification(key), 5), by(ago(300), 0x03)],
        ),
        with(
            "newest is younger than the signature",
            "V24",
            "accept",
            &[expires(certification(key), 5), by(now() - 60, 0x03)],
        ),
        with(
            "certify only",
            "V26",
            "bad key",
            std::slice::from_ref(&certify_only),
        ),
        with(
            "newest says certify only",
            "V24",
            "bad key",
            &[certification(key), by(ago(300), 0x01)],
        ),
        with(
            "newest says sign",
            "V24",
            "accept",
            &[certify_only, by(ago(300), 0x03)],
        ),
        with(
            "no flags",
            "V26",
            "accept",
            &[certification(key).without(27)],
        ),
        with(
            "empty flags",
            "V26",
            "bad key",
            &[certification(key).without(27).with(false, 27, [])],
        ),
        with(
            "flags unhashed only",
            "V13",
            "accept",
            &[certification(key)
                .without(27)
                .with_unhashed(false, 27, [0x01])],
        ),
        signed(
            "direct key signature only",
            "V24",
            "accept",
            key,
            [
                key.packet(),
                Sig::new(0x1f, key, ago(300))
                    .with(true, 27, [0x03])
                    .on_key(key, key),
            ]
            .concat(),
        ),
        signed(
            "direct key signature says expired",
            "V24",
            "bad key",
            key,
            direct(expires(Sig::new(0x1f, key, ago(300)), 5)),
        ),
        signed(
            "direct key signature without flags",
            "V24",
            "accept",
            key,
            direct(Sig::new(0x1f, key, ago(300))),
        ),
        signed(
            "direct key signature does not hide an expiry",
            "V24",
            "bad key",
            key,
            {
                let expired = expires(certification(key), 5).on_user_id(key, key, USER_ID);
                let direct = Sig::new(0x1f, key, ago(200)).on_key(key, key);
                [
                    key.packet(),
                    direct,
                    packet(13, USER_ID.as_bytes()),
                    expired,
                ]
                .concat()
            },
        ),
        signed(
            "certified by a stranger only",
            "V24",
            "bad key",
            key,
            [
                key.packet(),
                packet(13, USER_ID.as_bytes()),
                Sig::new(0x13, &keys.other, ago(300)).on_user_id(&keys.other, key, USER_ID),
            ]
            .concat(),
        ),
        signed(
            "certified by a stranger as well",
            "V24",
            "accept",
            key,
            [
                plain(key),
                Sig::new(0x13, &keys.other, ago(300)).on_user_id(&keys.other, key, USER_ID),
            ]
            .concat(),
        ),
        signed(
            "a user attribute beside",
            "V24",
            "accept",
            key,
            [plain(key), packet(17, &[2, 1, 0])].concat(),
        ),
    ];
    let six = &keys.v6;
    let user_id_only = Sig::new(0x13, six, six.created).with(true, 27, [0x03]);
    cases.push(signed(
        "version 6 without direct key signature",
        "V24",
        "bad key",
        six,
        certificate(six, &[user_id_only]),
    ));
    cases.push(signed(
        "version 6 without flags",
        "V26",
        "bad key",
        six,
        [
            six.packet(),
            Sig::new(0x1f, six, six.created).on_key(six, six),
        ]
        .concat(),
    ));
    cases.push(signed(
        "version 6 expired",
        "V25",
        "bad key",
        six,
        [
            six.packet(),
            expires(Sig::new(0x1f, six, six.created).with(true, 27, [0x03]), 5).on_key(six, six),
        ]
        .concat(),
    ));
    cases
}
