//! V4 to V7: several signatures in one file.

use imagestore_verify::Policy;

use super::{Case, DATA, Keys};
use crate::forge::{SHA1, Sig, armor, packet, plain};

pub(crate) fn cases(keys: &Keys) -> Vec<Case> {
    let key = &keys.ed;
    let good = Sig::document(key).over(key, DATA);
    let bad = Sig::document(key).over(key, b"other data");
    let stranger = Sig::document(&keys.other).over(&keys.other, DATA);
    let weak = Sig::document(&keys.rsa).hash(SHA1).over(&keys.rsa, DATA);
    let mut unknown = Sig::document(key).body(key, DATA);
    unknown[0] = 5;
    let unknown = packet(2, &unknown);
    let both = [plain(key), plain(&keys.rsa)].concat();
    let with = |name: &str, rule, expected, packets: &[&[u8]]| {
        let asc = armor(&packets.concat());
        Case::new(
            format!("several: {name}"),
            rule,
            expected,
            both.clone(),
            asc,
        )
    };
    let two = Policy::default().with_signers(2);
    let rsa = Sig::document(&keys.rsa).over(&keys.rsa, DATA);
    let many: Vec<&[u8]> = vec![&good; 16];
    let too_many: Vec<&[u8]> = vec![&good; 17];
    let mut bads: Vec<&[u8]> = vec![&bad; 4];
    bads.push(&good);
    vec![
        with(
            "a stranger first, good second",
            "V6",
            "accept",
            &[&stranger, &good],
        ),
        with(
            "good first, a stranger second",
            "V6",
            "accept",
            &[&good, &stranger],
        ),
        with(
            "bad first, good second, one key",
            "V6",
            "accept",
            &[&bad, &good],
        ),
        with("weak first, good second", "V6", "accept", &[&weak, &good]),
        with(
            "unknown version first, good second",
            "V6",
            "accept",
            &[&unknown, &good],
        ),
        with("unknown version only", "V6", "malformed", &[&unknown]),
        with(
            "cut-off signature first, good second",
            "V6",
            "accept",
            &[&packet(2, &[4, 0]), &good],
        ),
        with(
            "an empty signature packet, good second",
            "V6",
            "accept",
            &[&packet(2, &[]), &good],
        ),
        with("two good keys", "V6", "accept", &[&good, &rsa]),
        with(
            "two strangers",
            "V6",
            "missing key",
            &[&stranger, &stranger],
        ),
        with("two keys asked, two given", "V6", "accept", &[&good, &rsa]).under(two.clone()),
        with(
            "two keys asked, one twice",
            "V6",
            "threshold",
            &[&good, &good],
        )
        .under(two.clone()),
        with(
            "two keys asked, one good",
            "V6",
            "threshold",
            &[&good, &weak],
        )
        .under(two),
        with(
            "good after four bad by the same key",
            "V7",
            "bad signature",
            &bads,
        ),
        with("16 times the same", "V5", "accept", &many),
        with("17 times the same", "V5", "too many", &too_many),
    ]
}
