//! A delta between two files (VCDIFF), as index and digest let it pass.

#![no_main]

use std::io;

use imagestore_store::fuzzing::apply_delta;
use libfuzzer_sys::fuzz_target;

const BASE: &[u8] = include_bytes!("../seeds/base");

fuzz_target!(|delta: &[u8]| {
    let (made, done) = made_of(delta, MOST);
    assert!(made.len() as u64 <= MOST, "made {} bytes", made.len());
    // A lower limit changes how far it gets, not what comes out.
    let limit = made.len() as u64 / 2;
    let (part, cut) = made_of(delta, limit);
    assert!(part.len() as u64 <= limit);
    assert!(made.starts_with(&part), "the limit changes what is made");
    assert!(cut.is_err() || part.len() == made.len());
    if let Err(error) = done {
        // The base is read past its end where a delta says so. Other kinds are the disk's, and it is not to blame.
        let kinds = [io::ErrorKind::InvalidData, io::ErrorKind::UnexpectedEof];
        assert!(kinds.contains(&error.kind()), "{error:?}");
    }
});

fn made_of(delta: &[u8], limit: u64) -> (Vec<u8>, io::Result<()>) {
    let mut made = Vec::new();
    let done = apply_delta(delta, BASE, limit, |piece| {
        made.extend(piece);
        Ok(())
    });
    (made, done)
}

const MOST: u64 = 1 << 20;
