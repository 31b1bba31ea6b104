//! A good signature, its data and its key, with bytes changed, taken out and put in.

#![no_main]

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use imagestore_verify::{DetachedSignature, Framing, Keyring, Policy, Proof, Unverified, Verifier};
use libfuzzer_sys::fuzz_target;

const KEY: &[u8] = include_bytes!("../seeds/key.gpg");
const SIGNATURE: &[u8] = include_bytes!("../seeds/data.sig");
const DATA: &[u8] = include_bytes!("../seeds/data");

fuzz_target!(|changes: &[u8]| {
    let mut parts = [KEY.to_vec(), SIGNATURE.to_vec(), DATA.to_vec()];
    for change in changes.chunks_exact(4) {
        let part = &mut parts[usize::from(change[0] % 3)];
        let at = usize::from(u16::from_be_bytes([change[1], change[2]])) % (part.len() + 1);
        match change[0] / 3 % 4 {
            0 | 1 if at < part.len() => part[at] ^= change[3],
            2 if at < part.len() => drop(part.remove(at)),
            _ => part.insert(at, change[3]),
        }
    }
    let [key, signature, data] = parts;
    let Ok(keyring) = Keyring::from_bytes(&key) else {
        return;
    };
    let asc = Unverified::new(Bytes::from(signature));
    let framing = Framing::default().with_binary();
    let Ok(signature) = DetachedSignature::parse_framed(&asc, framing) else {
        return;
    };
    let at = UNIX_EPOCH + Duration::from_secs(1_720_000_000);
    let verifier = Verifier::new(keyring, Policy::default().with_at(at));
    let Ok(opened) = verifier.check(Unverified::new(Bytes::from(data)), &signature) else {
        return;
    };
    assert_eq!(&opened[..], DATA, "other data was opened");
    let original = Keyring::from_bytes(KEY)
        .expect("the seed is a key")
        .fingerprints()[0];
    let [Proof::Signature(proof)] = opened.proofs() else {
        panic!("one signature was given");
    };
    assert_eq!(*proof.signer(), original, "another signer");
    assert_eq!(proof.hash(), "SHA512");
    let signed = proof
        .signed_at()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    assert_eq!(signed.as_secs(), 1_718_452_800, "another time");
});
