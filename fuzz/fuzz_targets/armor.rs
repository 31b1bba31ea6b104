//! The text of an `.asc`, as a stranger sends it.

#![no_main]

use bytes::Bytes;
use imagestore_verify::{DetachedSignature, Framing, Unverified};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let parses = |text: &[u8], framing| {
        let asc = Unverified::new(Bytes::copy_from_slice(text));
        DetachedSignature::parse_framed(&asc, framing).is_ok()
    };
    let strict = Framing::default();
    let accepted = parses(text, strict);
    let loosest = strict
        .with_text_around()
        .with_several_blocks()
        .with_binary();
    for loose in [
        strict.with_text_around(),
        strict.with_several_blocks(),
        loosest,
    ] {
        assert!(
            !accepted || parses(text, loose),
            "a looser frame accepts less"
        );
    }
    if accepted && text.len() < 60_000 {
        let blank = [b"\n \t\r\n", text, b"\n\n"].concat();
        assert!(parses(&blank, strict), "blank lines around matter");
        let above = [b"Hello\n", text].concat();
        assert!(!parses(&above, strict), "text above does not matter");
    }
});
