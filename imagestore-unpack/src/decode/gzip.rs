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
            Err(e) => return Err(broken("gzip", e)),
        }
    }
}

/// Tells damaged data from a file that cannot be read.
pub(super) fn broken(format: &str, cause: std::io::Error) -> UnpackError {
    if cause.raw_os_error().is_some() {
        return super::pipe::unreadable(cause);
    }
    match cause.kind() {
        ErrorKind::UnexpectedEof => {
            UnpackError::malformed(format!("the {format} data is cut short"))
        }
        ErrorKind::OutOfMemory => UnpackError::too_large(format!(
            "the {format} data needs more memory than the limit"
        )),
        _ => UnpackError::malformed(format!("the {format} data is damaged")),
    }
    .because(cause)
}
