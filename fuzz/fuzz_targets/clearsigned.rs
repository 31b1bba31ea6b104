//! A good clear-signed document with bytes changed, taken out and put in.

#![no_main]

mod changes;

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use imagestore_verify::{Keyring, Policy, Unverified, Verifier};
use libfuzzer_sys::fuzz_target;

const KEY: &[u8] = include_bytes!("../seeds/p256/key");
const DOCUMENT: &[u8] = include_bytes!("../seeds/text.asc");
/// What was signed: no space at the end of a line, and no end behind the last.
const TEXT: &[u8] = b"First line\r\n- dashed\r\nFrom here\r\n\r\n--two\r\nlast";
const NOW: u64 = 1_720_000_000;

fuzz_target!(|input: &[u8]| {
    let mut parts = [DOCUMENT.to_vec()];
    changes::apply(input, &mut parts);
    let [document] = parts;
    let opened = open(document);
    if input.len() < 4 {
        assert!(opened.is_some(), "the seed is good");
    }
    if let Some(text) = opened {
        assert_eq!(text, TEXT, "another text was opened");
    }
});

fn open(document: Vec<u8>) -> Option<Vec<u8>> {
    let keyring = Keyring::from_bytes(KEY).expect("the seed is a key");
    let now = UNIX_EPOCH + Duration::from_secs(NOW);
    let verifier = Verifier::new(keyring, Policy::default().with_at(now));
    let document = Unverified::new(Bytes::from(document));
    let text = verifier.check_clear_signed(document).ok()?;
    Some(text.to_vec())
}
