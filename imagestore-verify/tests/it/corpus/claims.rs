//! V13 to V16: what a signature says about itself.

use super::{Case, DATA, Keys, case};
use crate::forge::{DAY, Key, SHA512, Sig, armor, now, packet, plain};

pub(super) fn subpackets(keys: &Keys) -> Vec<Case> {
    let key = &keys.ed;
    let base = || Sig::document(key);
    let with = |name: String, rule, expected, signature: Sig| {
        case(
            format!("subpacket: {name}"),
            rule,
            expected,
            key,
            &signature.over(key, DATA),
        )
    };
    let mut cases = Vec::new();
    for id in [1, 8, 10, 13, 18, 34, 36, 37, 38, 40, 60, 100, 110, 127] {
        let name = format!("unknown {id}, critical");
        cases.push(with(name, "V14", "malformed", base().with(true, id, b"x")));
    }
    for id in [60, 100, 110] {
        let name = format!("unknown {id}, not critical");
        cases.push(with(name, "V14", "accept", base().with(false, id, b"x")));
    }
    let notation = |name: &str, value: &str| {
        let mut body = vec![0x80, 0, 0, 0, 0, name.len() as u8, 0, value.len() as u8];
        body.extend(name.bytes().chain(value.bytes()));
        body
    };
    let note = notation("a@example.invalid", "x");
    let recipient = [vec![4], keys.other.fingerprint()].concat();
    let revoker = [vec![0x80, 22], keys.other.fingerprint()].concat();
    let target = [vec![0, SHA512], vec![0; 64]].concat();
    let plain_cases: Vec<(&str, &str, &str, Sig)> = vec![
        (
            "notation, critical",
            "V14",
            "malformed",
            base().with(true, 20, &note),
        ),
        (
            "notation, not critical",
            "V14",
            "accept",
            base().with(false, 20, &note),
        ),
        (
            "unknown, critical, unhashed",
            "V13",
            "accept",
            base().with_unhashed(true, 100, b"x"),
        ),
        (
            "notation, critical, unhashed",
            "V13",
            "accept",
            base().with_unhashed(true, 20, &note),
        ),
        (
            "intended recipient",
            "V16",
            "malformed",
            base().with(false, 35, &recipient),
        ),
        (
            "intended recipient, critical",
            "V16",
            "malformed",
            base().with(true, 35, &recipient),
        ),
        (
            "intended recipient, unhashed",
            "V13",
            "accept",
            base().with_unhashed(false, 35, &recipient),
        ),
        (
            "revocation key, critical",
            "V14",
            "malformed",
            base().with(true, 12, &revoker),
        ),
        (
            "revocation key, not critical",
            "V14",
            "accept",
            base().with(false, 12, &revoker),
        ),
        (
            "not exportable, critical",
            "V14",
            "malformed",
            base().with(true, 4, [0]),
        ),
        (
            "not exportable, not critical",
            "V14",
            "accept",
            base().with(false, 4, [0]),
        ),
        (
            "trust, critical",
            "V14",
            "malformed",
            base().with(true, 5, [1, 60]),
        ),
        (
            "regular expression, critical",
            "V14",
            "malformed",
            base().with(true, 6, b"x\0"),
        ),
        (
            "signature target, critical",
            "V14",
            "malformed",
            base().with(true, 31, &target),
        ),
        (
            "creation time, critical",
            "V14",
            "accept",
            base().without(2).with(true, 2, (now() - DAY).to_be_bytes()),
        ),
        (
            "signer's user id",
            "V14",
            "accept",
            base().with(false, 28, b"tester@example.invalid"),
        ),
        (
            "key flags, critical",
            "V14",
            "accept",
            base().with(true, 27, [0x02]),
        ),
        (
            "policy url, critical",
            "V14",
            "accept",
            base().with(true, 26, b"https://example.invalid/"),
        ),
        (
            "64 notations",
            "V14",
            "accept",
            (0..64).fold(base(), |made, _| made.with(false, 20, &note)),
        ),
        (
            "a time of three bytes",
            "V10",
            "malformed",
            base().without(2).with(false, 2, [1, 2, 3]),
        ),
        (
            "an expiry of three bytes",
            "V12",
            "malformed",
            base().with(false, 3, [1, 2, 3]),
        ),
    ];
    for (name, rule, expected, signature) in plain_cases {
        cases.push(with(name.to_owned(), rule, expected, signature));
    }
    let mut overrun = base().body(key, DATA);
    // The first subpacket then claims more than the area has.
    overrun[6] = 190;
    cases.push(case(
        "subpacket: longer than its area",
        "V5",
        "malformed",
        key,
        &packet(2, &overrun),
    ));
    // The library of one oracle died on this: a subpacket without even a type.
    let mut empty = base();
    empty.unhashed = Vec::new();
    let mut empty = empty.body(key, DATA);
    let unhashed = 6 + usize::from(u16::from_be_bytes([empty[4], empty[5]]));
    empty.splice(unhashed..unhashed + 2, [0, 1, 0]);
    cases.push(case(
        "subpacket: without a type",
        "V5",
        "malformed",
        key,
        &packet(2, &empty),
    ));
    let inner = Sig::new(0x19, key, now() - DAY);
    let nested = inner
        .clone()
        .with(false, 32, inner.body(key, DATA))
        .body(key, DATA);
    let signature = base().with_unhashed(false, 32, nested);
    cases.push(with(
        "an embedded signature in an embedded one".into(),
        "V5",
        "malformed",
        signature,
    ));
    cases
}

pub(super) fn issuers(keys: &Keys) -> Vec<Case> {
    let key = &keys.ed;
    let base = || Sig::document(key);
    let fingerprint = |key: &Key| [vec![key.version], key.fingerprint()].concat();
    let with = |name: &str, rule, expected, signature: Sig| {
        case(
            format!("issuer: {name}"),
            rule,
            expected,
            key,
            &signature.over(key, DATA),
        )
    };
    let other = &keys.other;
    let mut cases = vec![
        with("fingerprint only", "V15", "accept", base().without(16)),
        with("key id only", "V15", "accept", base().without(33)),
        with(
            "fingerprint unhashed",
            "V15",
            "accept",
            base()
                .without(33)
                .with_unhashed(false, 33, fingerprint(key)),
        ),
        with(
            "key id hashed only",
            "V15",
            "accept",
            base().without(33).without(16).with(false, 16, key.key_id()),
        ),
        with("none", "V15", "malformed", base().without(33).without(16)),
        with(
            "fingerprint of another",
            "V15",
            "missing key",
            base()
                .without(33)
                .without(16)
                .with(false, 33, fingerprint(other)),
        ),
        with(
            "key id of another",
            "V15",
            "missing key",
            base()
                .without(33)
                .without(16)
                .with(false, 16, other.key_id()),
        ),
        with(
            "key id and fingerprint of two keys",
            "V15",
            "malformed",
            base().without(33).with(false, 33, fingerprint(other)),
        ),
        with(
            "fingerprint hashed, another unhashed",
            "V15",
            "malformed",
            base().with_unhashed(false, 33, fingerprint(other)),
        ),
        with(
            "fingerprint of version 6 on version 4",
            "V15",
            "malformed",
            base()
                .without(33)
                .with(false, 33, [vec![6], vec![1; 32]].concat()),
        ),
        with(
            "fingerprint cut off",
            "V15",
            "malformed",
            base().without(33).with(false, 33, &fingerprint(key)[..19]),
        ),
        with(
            "key id of seven bytes",
            "V15",
            "malformed",
            base().with(false, 16, [0; 7]),
        ),
    ];
    let stranger = base().over(other, DATA);
    cases.push(case(
        "issuer: a stranger in the name of the key",
        "V20",
        "bad signature",
        key,
        &stranger,
    ));
    let asc = armor(&base().over(key, DATA));
    cases.push(Case::new(
        "issuer: key of another keyring",
        "V22",
        "missing key",
        plain(other),
        asc,
    ));
    cases
}
