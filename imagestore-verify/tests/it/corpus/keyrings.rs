//! V22 and V23: the file the keys come in.

use super::{Case, Keys, certificates::signed};
use crate::forge::{USER_ID, armor_as, certification, packet, plain};

pub(super) fn shapes(keys: &Keys) -> Vec<Case> {
    let key = &keys.ed;
    let with = |name: &str, rule, expected, bytes: Vec<u8>| {
        signed(&format!("keyring, {name}"), rule, expected, key, bytes)
    };
    let armored = |bytes: &[u8]| armor_as("PUBLIC KEY BLOCK", "", bytes);
    let blocks = [armored(&plain(&keys.other)), armored(&plain(key))].concat();
    let trusted = [
        key.packet(),
        packet(12, &[0, 60]),
        packet(13, USER_ID.as_bytes()),
        packet(12, &[0, 0]),
        certification(key).on_user_id(key, key, USER_ID),
        packet(12, &[1, 2, 3]),
    ]
    .concat();
    let mut secret = plain(key);
    // Type 5 instead of 6: a secret key packet.
    secret[0] = 0xc5;
    let mut old = key.body.clone();
    old[0] = 3;
    let old = [packet(6, &old), packet(13, b"old"), plain(key)].concat();
    let keybox = [&[0, 0, 0, 32, 1, 1, 0, 2][..], b"KBXf", &[0; 64]].concat();
    let many = [plain(key), plain(key)].concat();
    vec![
        with("armored", "V22", "accept", armored(&plain(key))),
        with("two armored blocks", "V22", "accept", blocks),
        with(
            "text around the armor",
            "V22",
            "accept",
            [&b"pub rsa4096\n\n"[..], &armored(&plain(key)), b"bye\n"].concat(),
        ),
        with("trust packets", "V22", "accept", trusted),
        with("the same certificate twice", "V23", "accept", many),
        with("a version 3 key before", "V8", "accept", old),
        with(
            "a marker and padding",
            "V22",
            "accept",
            [packet(10, b"PGP"), plain(key), packet(21, &[0; 7])].concat(),
        ),
        with("a secret key", "V22", "malformed", secret),
        with(
            "an armored secret key",
            "V22",
            "malformed",
            armor_as("PRIVATE KEY BLOCK", "", &plain(key)),
        ),
        with("a keybox", "V22", "malformed", keybox),
        with("empty", "V22", "empty keyring", Vec::new()),
        with(
            "a literal packet inside",
            "V22",
            "malformed",
            [plain(key), packet(11, b"b\0\0\0\0\0x")].concat(),
        ),
        with("cut off", "V22", "malformed", plain(key)[..60].to_vec()),
        with(
            "a signature first",
            "V22",
            "malformed",
            [certification(key).on_user_id(key, key, USER_ID), plain(key)].concat(),
        ),
        with(
            "more than 256 KiB in one certificate",
            "V22",
            "too many",
            [plain(key), vec![packet(13, &[b'x'; 200_000]); 2].concat()].concat(),
        ),
    ]
}
