//! A good signature, its data and its key, with bytes changed, taken out and put in.

#![no_main]

mod changes;
mod covered;
mod second_opinion;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use imagestore_verify::{DetachedSignature, Framing, Keyring, Policy, Proof, Unverified, Verifier};
use libfuzzer_sys::fuzz_target;

struct Vector {
    key: &'static [u8],
    signature: &'static [u8],
}

macro_rules! vector {
    ($name:literal) => {
        Vector {
            key: include_bytes!(concat!("../seeds/", $name, "/key")),
            signature: include_bytes!(concat!("../seeds/", $name, "/signature")),
        }
    };
}

const VECTORS: [Vector; 4] = [
    vector!("ed25519"),
    vector!("rsa-subkey"),
    vector!("p256"),
    vector!("v6-ed25519"),
];
const DATA: &[u8] = include_bytes!("../seeds/data");
const SIGNED_AT: u64 = 1_718_452_800;
const NOW: u64 = 1_720_000_000;

// The first byte chooses the vector, every four bytes after it are one change.
fuzz_target!(|input: &[u8]| {
    let Some((choice, input)) = input.split_first() else {
        return;
    };
    let vector = &VECTORS[usize::from(*choice) % VECTORS.len()];
    let mut parts = [
        vector.key.to_vec(),
        vector.signature.to_vec(),
        DATA.to_vec(),
    ];
    changes::apply(input, &mut parts);
    let [key, signature, data] = parts;
    let Some(proof) = verify(&key, &signature, &data) else {
        return;
    };
    assert_eq!(data, DATA, "other data was opened");
    let original = Keyring::from_bytes(vector.key)
        .expect("the seed is a key")
        .fingerprints()[0];
    assert_eq!(*proof.signer(), original, "another signer");
    assert_eq!(proof.hash(), "SHA512");
    assert_eq!(proof.signed_at(), after_epoch(SIGNED_AT), "another time");
    let at = after_epoch(NOW);
    if second_opinion::verify(&key, &signature, &data, at).is_ok() {
        return;
    }
    // Sequoia may refuse for the form of a part that no signature covers, which has no meaning here. So the
    // key must not mean more than before, and the signature has to be good without that part.
    assert_no_more(&key, vector.key);
    let covered = covered::with_uncovered_of(&signature, vector.signature).unwrap_or(signature);
    if let Err(refusal) = second_opinion::verify(vector.key, &covered, &data, at) {
        let refusal = format!("{refusal:#}");
        let is_deliberate = DIFFERENCES.iter().any(|(part, _)| refusal.contains(part));
        assert!(
            is_deliberate,
            "accepted here, refused by Sequoia: {refusal}"
        );
    }
});

/// What Sequoia refuses and this crate accepts, and why.
const DIFFERENCES: &[(&str, &str)] = &[(
    "leading bit is not set",
    "signers of the past wrote numbers of version 4 with leading zeros",
)];

/// What is believed about a changed key is what was believed before; a user id may be lost.
fn assert_no_more(changed: &[u8], original: &[u8]) {
    let read = |key| {
        Keyring::from_bytes(key)
            .expect("it has been read before")
            .certificates()
    };
    let [original] = &read(original)[..] else {
        panic!("a seed has one key");
    };
    let changed = read(changed);
    let of_original = changed
        .iter()
        .find(|one| one.fingerprint == original.fingerprint);
    let of_original = of_original.expect("it has verified");
    assert_eq!(of_original.created, original.created);
    assert_eq!(of_original.expires, original.expires);
    for user_id in &of_original.user_ids {
        assert!(
            original.user_ids.contains(user_id),
            "{user_id} is not certified"
        );
    }
}

fn verify(key: &[u8], signature: &[u8], data: &[u8]) -> Option<imagestore_verify::SignatureProof> {
    let keyring = Keyring::from_bytes(key).ok()?;
    let asc = Unverified::new(Bytes::copy_from_slice(signature));
    let framing = Framing::default().with_binary();
    let signature = DetachedSignature::parse_framed(&asc, framing).ok()?;
    let verifier = Verifier::new(keyring, Policy::default().with_at(after_epoch(NOW)));
    let data = Unverified::new(Bytes::copy_from_slice(data));
    let opened = verifier.check(data, &signature).ok()?;
    let [Proof::Signature(proof)] = opened.proofs() else {
        panic!("one signature was given");
    };
    Some(proof.clone())
}

fn after_epoch(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}
