use std::io::ErrorKind;
use std::io::Read;

use super::packed::Packed;
use super::pipe::{Sink, unreadable};
use crate::error::UnpackError;

/// Passes a tar archive that is not packed.
pub(super) fn decode(mut packed: Packed<'_>, sink: &mut Sink<'_>) -> Result<(), UnpackError> {
    loop {
        match packed.read(sink.room()) {
            Ok(0) => return Ok(()),
            Ok(count) => sink.advance(count)?,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(unreadable(e)),
        }
    }
}
