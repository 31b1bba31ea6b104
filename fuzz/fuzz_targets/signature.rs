//! The packets inside the armor.

#![no_main]

use bytes::Bytes;
use imagestore_verify::{DetachedSignature, Framing, Keyring, Policy, Unverified, Verifier};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|packets: &[u8]| {
    if packets.first().is_none_or(|first| first & 0x80 == 0) || packets.len() > 40_000 {
        return;
    }
    let parse = |asc: &[u8]| {
        let asc = Unverified::new(Bytes::copy_from_slice(asc));
        DetachedSignature::parse_framed(&asc, Framing::default().with_binary())
    };
    let bare = parse(packets);
    let armored = parse(&armor(packets));
    assert_eq!(bare.is_ok(), armored.is_ok(), "armor changes the verdict");
    // Random packets are signed by nobody.
    if let Ok(signature) = bare {
        let keyring = Keyring::from_bytes(include_bytes!("../seeds/key.asc"));
        let verifier = Verifier::new(keyring.expect("the seed is a key"), Policy::default());
        let data = Unverified::new(Bytes::from_static(b"data nobody has signed"));
        assert!(verifier.check(data, &signature).is_err(), "forged");
    }
});

fn armor(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = b"-----BEGIN PGP SIGNATURE-----\n\n".to_vec();
    for line in bytes.chunks(48) {
        for group in line.chunks(3) {
            let bits = group
                .iter()
                .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
            let bits = bits << (8 * (3 - group.len()));
            for index in 0..4 {
                let digit = DIGITS[(bits >> (18 - 6 * index) & 63) as usize];
                text.push(if index <= group.len() { digit } else { b'=' });
            }
        }
        text.push(b'\n');
    }
    text.extend(b"-----END PGP SIGNATURE-----\n");
    text
}
