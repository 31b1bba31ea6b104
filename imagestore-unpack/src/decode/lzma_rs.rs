use std::io;
use std::io::{BufReader, Write};

use super::gzip::broken;
use super::packed::Packed;
use super::pipe::Sink;
use super::xz_blocks::largest_block;
use crate::error::UnpackError;

/// Decodes xz with `lzma-rs`.
///
/// It has no memory limit and keeps a whole block in memory, so the blocks are measured first.
pub(super) fn decode(packed: Packed<'_>, sink: &mut Sink<'_>) -> Result<(), UnpackError> {
    let limit = sink.decoding().limits.decoder_memory;
    let largest = largest_block(&packed)?;
    if largest > limit {
        return Err(UnpackError::too_large(format!(
            "an xz block of {largest} bytes is over the decoder's memory limit of {limit}; \
             lzma-rs keeps whole blocks in memory"
        )));
    }
    let mut output = Output {
        sink: &mut *sink,
        stopped: None,
    };
    let mut input = BufReader::with_capacity(64 << 10, packed);
    let decoded = ::lzma_rs::xz_decompress(&mut input, &mut output);
    if let Some(error) = output.stopped {
        return Err(error);
    }
    decoded.map_err(|error| match error {
        ::lzma_rs::error::Error::IoError(cause) => broken("xz", sink, cause),
        other => broken(
            "xz",
            sink,
            io::Error::new(io::ErrorKind::InvalidData, other.to_string()),
        ),
    })
}

struct Output<'a, 'd> {
    sink: &'a mut Sink<'d>,
    stopped: Option<UnpackError>,
}

impl Write for Output<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.sink.put(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(error) => {
                self.stopped = Some(error);
                Err(io::Error::other("stopped"))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
