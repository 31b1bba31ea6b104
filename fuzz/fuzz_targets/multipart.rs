//! A multipart body, however it is cut into chunks.

#![no_main]

use std::fs::File;
use std::io::{Read, Seek};

use bytes::Bytes;
use imagestore_verify::{FormPart, MultipartSpool, Sha256, StreamingCheck, Unverified};
use libfuzzer_sys::fuzz_target;

const TYPE: &str = "multipart/form-data; boundary=b0";

// The first byte is the length of the chunks.
fuzz_target!(|input: &[u8]| {
    let Some((length, body)) = input.split_first() else {
        return;
    };
    let whole = take_apart(body, body.len().max(1));
    let in_pieces = take_apart(body, usize::from(*length).max(1));
    assert_eq!(whole, in_pieces, "chunks change what comes out");
});

/// What is in the files, and how the body ended; nothing where it is refused, which may be before or behind bytes
/// that were written.
fn take_apart(body: &[u8], length: usize) -> Result<(Vec<Vec<u8>>, String), ()> {
    let files: Vec<File> = (0..2)
        .map(|_| tempfile::tempfile().expect("a file"))
        .collect();
    let parts = files
        .iter()
        .zip(["metadata", "rootfs"])
        .map(|(file, name)| {
            let file = file.try_clone().expect("a handle");
            FormPart::new(file).with_name(Some(name.to_owned()))
        });
    let check = StreamingCheck::new().with_digest(Sha256::of(b"nothing has this digest"));
    let mut spool = MultipartSpool::new(parts.collect(), TYPE, check).expect("a boundary");
    for chunk in body.chunks(length) {
        let chunk = Unverified::new(Bytes::copy_from_slice(chunk));
        spool.write(&chunk).map_err(drop)?;
    }
    let end = spool
        .finish()
        .expect_err("the digest is another")
        .to_string();
    let contents = files.into_iter().map(|mut file| {
        let mut content = Vec::new();
        file.rewind().expect("a file");
        file.read_to_end(&mut content).expect("a file");
        content
    });
    Ok((contents.collect(), end))
}
