use std::io::BufReader;
use std::io::ErrorKind;
use std::io::Read;

use lzma_rust2::XzReader;

use super::gzip::broken;
use super::packed::Packed;
use super::pipe::Sink;
use crate::error::UnpackError;

/// Decodes xz with `lzma-rust2`, one block after the other.
///
/// Its parallel reader is not used: it never compares the check values of blocks.
pub(super) fn decode(packed: Packed<'_>, sink: &mut Sink<'_>) -> Result<(), UnpackError> {
    let memory = sink.decoding().limits.decoder_memory >> 10;
    let memory = u32::try_from(memory).unwrap_or(u32::MAX);
    let reader = BufReader::with_capacity(64 << 10, packed);
    let mut decoder = XzReader::new_mem_limit(reader, true, memory);
    loop {
        match decoder.read(sink.room()) {
            Ok(0) => return Ok(()),
            Ok(count) => sink.advance(count)?,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(broken("xz", sink, e)),
        }
    }
}
