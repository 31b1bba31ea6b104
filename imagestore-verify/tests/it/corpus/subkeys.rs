//! V25 to V28: signing subkeys.

use super::{
    Case, Keys,
    certificates::{at_signing, signed},
};
use crate::forge::{
    DAY, Key, Kind, SHA1, Sig, back, binding, certificate, certification, now, plain, with_subkey,
};

pub(super) fn subkeys(keys: &Keys) -> Vec<Case> {
    let (primary, key) = (&keys.rsa, &keys.rsa_3072);
    let good = || back(key);
    let bound = |back: &Sig| binding(primary, key, Some(back));
    let with = |name: &str, rule, expected, binding: &Sig| {
        signed(
            &format!("subkey, {name}"),
            rule,
            expected,
            key,
            with_subkey(primary, key, binding),
        )
    };
    let subject = [primary.hashed(), key.hashed()].concat();
    let at = |days: u32| now() - days * DAY;
    let unhashed = binding(primary, key, None).with_unhashed(false, 32, good().body(key, &subject));
    let mut forged = good();
    forged.flip_value = true;
    let by_primary = binding(primary, key, None).with(
        false,
        32,
        Sig::new(0x19, primary, key.created).body(primary, &subject),
    );
    let no_flags = bound(&good()).without(27);
    let encrypt = bound(&good()).without(27).with(true, 27, [0x0c]);
    let revoked = |at: u32, reason: u8| {
        let revocation = Sig::new(0x28, primary, at).with(false, 29, [reason]);
        let base = with_subkey(primary, key, &bound(&good()));
        [base, revocation.on_subkey(primary, primary, key)].concat()
    };
    let newer = |newer: Sig| {
        let base = with_subkey(primary, key, &bound(&good()));
        [base, newer.on_subkey(primary, primary, key)].concat()
    };
    let rebound = |days: u32| {
        Sig::new(0x18, primary, at(days))
            .with(true, 27, [0x02])
            .with(false, 32, good().body(key, &subject))
    };
    let foreign = {
        let foreign = &keys.ed;
        let certify = Sig::new(0x13, primary, primary.created).with(true, 27, [0x01]);
        let bound = Sig::new(0x18, foreign, key.created).with(true, 27, [0x02]);
        let bound = bound.with(false, 32, good().body(key, &subject));
        let subject = bound.on_subkey(foreign, primary, key);
        [
            certificate(primary, &[certify]),
            key.subkey_packet(),
            subject,
        ]
        .concat()
    };
    let unbound = [
        certificate(primary, &[certification(primary)]),
        key.subkey_packet(),
    ]
    .concat();
    let primary_revoked = {
        let revocation = Sig::new(0x20, primary, now() - 60).with(false, 29, [2]);
        [
            with_subkey(primary, key, &bound(&good())),
            revocation.on_key(primary, primary),
        ]
        .concat()
    };
    let primary_expired = {
        let expired = Sig::new(0x13, primary, primary.created)
            .with(true, 27, [0x01])
            .with_seconds(9, at(5) - primary.created);
        let subkey = bound(&good()).on_subkey(primary, primary, key);
        [
            certificate(primary, &[expired]),
            key.subkey_packet(),
            subkey,
        ]
        .concat()
    };
    let silent_primary = {
        let silent = certification(primary).without(27);
        let subkey = bound(&good()).on_subkey(primary, primary, key);
        [certificate(primary, &[silent]), key.subkey_packet(), subkey].concat()
    };
    let mut cases = vec![
        with("bound and confirmed", "V27", "accept", &bound(&good())),
        with("back-signature unhashed", "V27", "accept", &unhashed),
        with(
            "no back-signature",
            "V27",
            "bad key",
            &binding(primary, key, None),
        ),
        with(
            "back-signature that does not verify",
            "V27",
            "bad key",
            &bound(&forged),
        ),
        with(
            "back-signature by SHA1",
            "V27",
            "bad key",
            &bound(&good().hash(SHA1)),
        ),
        with(
            "back-signature expired",
            "V27",
            "bad key",
            &bound(&good().with_seconds(3, DAY)),
        ),
        with(
            "back-signature without a time",
            "V27",
            "bad key",
            &bound(&good().without(2)),
        ),
        with(
            "back-signature by the primary key",
            "V27",
            "bad key",
            &by_primary,
        ),
        with(
            "back-signature of another type",
            "V27",
            "bad key",
            &bound(&Sig::new(0x18, key, key.created)),
        ),
        with(
            "binding by SHA1",
            "V30",
            "bad key",
            &bound(&good()).hash(SHA1),
        ),
        with(
            "binding expired",
            "V27",
            "bad key",
            &bound(&good()).with_seconds(3, 9 * DAY),
        ),
        with(
            "binding with a critical unknown",
            "V14",
            "bad key",
            &bound(&good()).with(true, 100, b"x"),
        ),
        with("no flags", "V26", "bad key", &no_flags),
        with("for encryption", "V26", "bad key", &encrypt),
        with(
            "key expired",
            "V25",
            "bad key",
            &bound(&good()).with_seconds(9, 9 * DAY),
        ),
        with(
            "key expires tomorrow",
            "V25",
            "accept",
            &bound(&good()).with_seconds(9, now() + DAY - key.created),
        ),
        signed(
            "subkey, bound by a foreign primary",
            "V27",
            "bad key",
            key,
            foreign,
        ),
        signed("subkey, not bound at all", "V27", "bad key", key, unbound),
        signed(
            "subkey, revoked as superseded",
            "V28",
            "bad key",
            key,
            revoked(now() - 60, 1),
        ),
        signed(
            "subkey, revoked as superseded after signing, allowed",
            "V28",
            "accept",
            key,
            revoked(now() - 60, 1),
        )
        .under(at_signing()),
        signed(
            "subkey, revoked as superseded before signing, allowed after",
            "V28",
            "bad key",
            key,
            revoked(at(9), 1),
        )
        .under(at_signing()),
        signed(
            "subkey, revoked as compromised",
            "V28",
            "bad key",
            key,
            revoked(now() - 60, 2),
        ),
        signed(
            "subkey, newest binding without back-signature",
            "V24",
            "bad key",
            key,
            newer(Sig::new(0x18, primary, at(90)).with(true, 27, [0x02])),
        ),
        signed(
            "subkey, newest binding for encryption",
            "V24",
            "bad key",
            key,
            newer(Sig::new(0x18, primary, at(90)).with(true, 27, [0x0c])),
        ),
        signed(
            "subkey, newest binding younger than the signature",
            "V27",
            "accept",
            key,
            newer(rebound(0)),
        ),
        signed(
            "subkey, revoked and bound again",
            "V28",
            "bad key",
            key,
            [
                revoked(at(9), 1),
                rebound(5).on_subkey(primary, primary, key),
            ]
            .concat(),
        ),
        signed(
            "subkey, primary key revoked",
            "V28",
            "bad key",
            key,
            primary_revoked,
        ),
        signed(
            "subkey, primary key expired",
            "V25",
            "bad key",
            key,
            primary_expired,
        ),
        signed(
            "subkey, primary key without flags does not sign",
            "V26",
            "bad key",
            primary,
            silent_primary.clone(),
        ),
        signed(
            "subkey, primary key without flags",
            "V26",
            "accept",
            key,
            silent_primary,
        ),
    ];
    let six = Key::of_version(6, Kind::Ed25519, now() - 400 * DAY);
    let six_primary = &keys.v6;
    let six_bound = binding(six_primary, &six, Some(&back(&six)));
    let bytes = |bound: &Sig| {
        let bound = bound.on_subkey(six_primary, six_primary, &six);
        [plain(six_primary), six.subkey_packet(), bound].concat()
    };
    cases.push(signed(
        "subkey, version 6",
        "V27",
        "accept",
        &six,
        bytes(&six_bound),
    ));
    let unconfirmed = bytes(&binding(six_primary, &six, None));
    cases.push(signed(
        "subkey, version 6, no back-signature",
        "V27",
        "bad key",
        &six,
        unconfirmed,
    ));
    let curve = &keys.p256;
    let bound = binding(primary, curve, Some(&back(curve)));
    let bytes = with_subkey(primary, curve, &bound);
    cases.push(signed(
        "subkey, of another algorithm",
        "V27",
        "accept",
        curve,
        bytes,
    ));
    let older = Key::new(Kind::Ed25519Legacy, primary.created - 30 * DAY);
    let bound = Sig::new(0x18, primary, primary.created).with(true, 27, [0x02]);
    let inner = [primary.hashed(), older.hashed()].concat();
    let bound = bound.with(false, 32, back(&older).body(&older, &inner));
    let bytes = with_subkey(primary, &older, &bound);
    cases.push(signed(
        "subkey, older than the primary key",
        "V27",
        "accept",
        &older,
        bytes,
    ));
    cases
}
