//! V9 to V12: types and times.

use std::time::Duration;

use imagestore_verify::Policy;

use super::{Case, DATA, Keys, case};
use crate::forge::{DAY, Key, Sig, now};

pub(super) fn types(keys: &Keys) -> Vec<Case> {
    let key = &keys.ed;
    let typed = |kind| Sig::new(kind, key, now() - DAY).over(key, DATA);
    let mut cases = Vec::new();
    let kinds = [
        0x01, 0x02, 0x03, 0x10, 0x11, 0x12, 0x13, 0x16, 0x18, 0x19, 0x1f, 0x20, 0x28, 0x30, 0x40,
        0x50, 0x60, 0xff,
    ];
    for kind in kinds {
        let name = format!("type: 0x{kind:02x}");
        cases.push(case(name, "V9", "malformed", key, &typed(kind)));
    }
    let text = b"first line\r\nsecond line\r\n";
    let signed = Sig::new(0x01, key, now() - DAY).over(key, text);
    let allowed = Policy::default().with_text_signatures();
    let with = |name: &str, expected, data: &[u8]| {
        let name = format!("type: text, {name}");
        case(name, "V9", expected, key, &signed)
            .under(allowed.clone())
            .over(data)
            .beside_a_digest()
    };
    let alone = case(
        "type: text, asked for alone",
        "V9",
        "malformed",
        key,
        &signed,
    );
    cases.push(alone.under(allowed.clone()).over(text));
    cases.push(with("allowed, CR LF", "accept", text));
    cases.push(with("allowed, LF", "accept", DATA));
    cases.push(with(
        "allowed, other text",
        "bad signature",
        b"first line\nsecond Line\n",
    ));
    // A standalone signature covers its own packet only; naive verifiers hash one byte of it.
    let standalone = Sig::new(0x02, key, now() - DAY).over(key, &DATA[..1]);
    cases.push(case(
        "type: standalone over the first byte",
        "V9",
        "malformed",
        key,
        &standalone,
    ));
    let crlf = Sig::document(key).over(key, DATA);
    cases.push(
        case(
            "type: binary over changed line ends",
            "V9",
            "bad signature",
            key,
            &crlf,
        )
        .over(text),
    );
    cases
}

pub(super) fn times(keys: &Keys) -> Vec<Case> {
    let key = &keys.ed;
    let at = |seconds: u32| Sig::new(0x00, key, seconds);
    let with = |name: &str, rule, expected, signature: Sig| {
        case(
            format!("time: {name}"),
            rule,
            expected,
            key,
            &signature.over(key, DATA),
        )
    };
    let time = |seconds: u32| seconds.to_be_bytes();
    let base = || Sig::document(key);
    let wide = Policy::default().with_skew(Duration::from_secs(24 * 3_600));
    let future = now() + 2 * DAY;
    let mut cases = vec![
        with(
            "signed when the key was made",
            "V11",
            "accept",
            at(key.created),
        ),
        with(
            "signed a second before the key",
            "V11",
            "not alive",
            at(key.created - 1),
        ),
        with("signed at 1970", "V11", "not alive", at(0)),
        with("signed in 10 minutes", "V11", "accept", at(now() + 600)),
        with("signed in 2 hours", "V11", "not alive", at(now() + 7_200)),
        with(
            "signed in 2 hours, wide skew",
            "V11",
            "accept",
            at(now() + 7_200),
        )
        .under(wide.clone()),
        with(
            "signed in 2 days, wide skew",
            "V11",
            "not alive",
            at(future),
        )
        .under(wide),
        with("signed in 2106", "V11", "not alive", at(u32::MAX)),
        with(
            "expired an hour ago",
            "V12",
            "not alive",
            base().with_seconds(3, DAY - 3_600),
        ),
        with(
            "expires tomorrow",
            "V12",
            "accept",
            base().with_seconds(3, 2 * DAY),
        ),
        with("expiry of zero", "V12", "accept", base().with_seconds(3, 0)),
        with(
            "expiry in the unhashed area",
            "V13",
            "accept",
            base().with_unhashed(false, 3, time(60)),
        ),
        with(
            "two expiries, one past",
            "V12",
            "not alive",
            base().with_seconds(3, 60).with_seconds(3, 9 * DAY),
        ),
        with("no creation time", "V10", "malformed", base().without(2)),
        with(
            "creation time unhashed only",
            "V10",
            "malformed",
            base().without(2).with_unhashed(false, 2, time(now() - DAY)),
        ),
        with(
            "two creation times",
            "V10",
            "malformed",
            base().with_seconds(2, now() - DAY),
        ),
        with(
            "future hashed, present unhashed",
            "V10",
            "not alive",
            at(future).with_unhashed(false, 2, time(now() - DAY)),
        ),
        with(
            "present hashed, past unhashed",
            "V13",
            "accept",
            base().with_unhashed(false, 2, time(now() - 9 * DAY)),
        ),
        with(
            "expired in 2106",
            "V12",
            "accept",
            base().with_seconds(3, u32::MAX),
        ),
    ];
    let young = Key::new(crate::forge::Kind::Ed25519Legacy, now() + 30 * DAY);
    let signature = Sig::new(0x00, &young, now() + 31 * DAY).over(&young, DATA);
    cases.push(case(
        "time: the key is made next month",
        "V11",
        "wrong clock",
        &young,
        &signature,
    ));
    cases
}
