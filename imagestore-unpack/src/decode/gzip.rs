use std::io::BufReader;
use std::io::ErrorKind;
use std::io::Read;

use flate2::bufread::MultiGzDecoder;

use super::packed::Packed;
use super::pipe::Sink;
use crate::error::UnpackError;

/// Decodes gzip, all members of it; the check value of each is compared.
pub(super) fn decode(packed: Packed<'_>, sink: &mut Sink<'_>) -> Result<(), UnpackError> {
    let mut decoder = MultiGzDecoder::new(BufReader::with_capacity(64 << 10, packed));
    loop {
        match decoder.read(sink.room()) {
            Ok(0) => return Ok(()),
            Ok(count) => sink.advance(count)?,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(broken("gzip", sink, e)),
        }
    }
}

/// Tells damaged data from a file that cannot be read, and from a decoder that would grow too large.
pub(super) fn broken(format: &str, sink: &Sink<'_>, cause: std::io::Error) -> UnpackError {
    if cause.raw_os_error().is_some() {
        return super::pipe::unreadable(cause);
    }
    // zstd says it in words only.
    let is_too_large = cause.kind() == ErrorKind::OutOfMemory
        || cause.to_string().contains("requires too much memory");
    let error = if is_too_large {
        let limit = sink.decoding().limits.decoder_memory;
        UnpackError::too_large(format!(
            "the {format} decoder needs more memory than the limit of {limit} bytes"
        ))
    } else if cause.kind() == ErrorKind::UnexpectedEof {
        UnpackError::malformed(format!("the {format} data is cut short"))
    } else {
        UnpackError::malformed(format!("the {format} data is damaged"))
    };
    error.because(cause)
}
