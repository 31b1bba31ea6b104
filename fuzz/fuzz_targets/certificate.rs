//! Public keys, binary or armored, one or many.

#![no_main]

use imagestore_verify::Keyring;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(keyring) = Keyring::from_bytes(bytes) else {
        return;
    };
    let fingerprints = keyring.fingerprints();
    assert!(!fingerprints.is_empty(), "a keyring is never empty");
    let listed = keyring.certificates();
    assert_eq!(listed.len(), fingerprints.len());
    for certificate in &listed {
        assert!(!certificate.to_string().contains('\n'), "a line of its own");
    }
    for fingerprint in &fingerprints {
        let only = keyring.only(fingerprint).expect("it is in there");
        assert!(only.fingerprints().contains(fingerprint));
    }
    if bytes.first().is_some_and(|first| first & 0x80 != 0) && bytes.len() < 100_000 {
        if let Ok(twice) = Keyring::from_bytes(&[bytes, bytes].concat()) {
            assert_eq!(twice.fingerprints(), fingerprints, "copies are merged");
        }
    }
    let joined = keyring.union(&keyring).expect("no certificate comes in addition");
    assert_eq!(joined.fingerprints(), fingerprints);
});
