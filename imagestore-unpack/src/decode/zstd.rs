use std::io::BufReader;
use std::io::ErrorKind;
use std::io::Read;

use zstd::stream::read::Decoder;

use super::gzip::broken;
use super::packed::Packed;
use super::pipe::Sink;
use crate::error::UnpackError;

/// Decodes zstd, all frames of it, with a window no larger than the memory limit.
pub(super) fn decode(packed: Packed<'_>, sink: &mut Sink<'_>) -> Result<(), UnpackError> {
    let window = sink
        .decoding()
        .limits
        .decoder_memory
        .max(1)
        .ilog2()
        .clamp(10, 31);
    let reader = BufReader::with_capacity(Decoder::<&[u8]>::recommended_output_size(), packed);
    let mut decoder = Decoder::with_buffer(reader).map_err(|e| broken("zstd", sink, e))?;
    decoder
        .window_log_max(window)
        .map_err(|e| broken("zstd", sink, e))?;
    loop {
        match decoder.read(sink.room()) {
            Ok(0) => return Ok(()),
            Ok(count) => sink.advance(count)?,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(broken("zstd", sink, e)),
        }
    }
}
