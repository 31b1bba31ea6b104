use liblzma::stream::{Action, Error, MtStreamBuilder, Status, Stream, TELL_UNSUPPORTED_CHECK};

use super::packed::Packed;
use super::pipe::Sink;
use super::xz_input::{After, XzInput};
use crate::error::UnpackError;

/// Decodes xz with liblzma: all streams, the padding between them, to the last byte.
///
/// The loop over streams is ours, because the parallel decoder stops after the first stream and
/// reports success whatever follows.
pub(super) fn decode(packed: Packed<'_>, sink: &mut Sink<'_>) -> Result<(), UnpackError> {
    let mut input = XzInput::new(packed);
    let parallel = sink.decoding().threads.get() > 1 && input.has_several_sized_blocks()?;
    loop {
        input.check_stream_header()?;
        let decoder = decoder(sink, parallel).map_err(|error| explain(error, sink))?;
        decode_stream(decoder, &mut input, sink)?;
        match input.skip_padding()? {
            After::End => return Ok(()),
            After::Stream => {}
        }
    }
}

fn decoder(sink: &Sink<'_>, parallel: bool) -> Result<Stream, Error> {
    let decoding = sink.decoding();
    let limits = decoding.limits;
    if !parallel {
        return Stream::new_stream_decoder(limits.decoder_memory, TELL_UNSUPPORTED_CHECK);
    }
    MtStreamBuilder::new()
        .threads(
            u32::try_from(decoding.threads.get())
                .unwrap_or(u32::MAX)
                .min(MOST_THREADS),
        )
        // Blocks that would not fit side by side are decoded one after the other.
        .memlimit_threading(limits.parallel_memory)
        .memlimit_stop(limits.decoder_memory)
        // Decoded data is handed over as it comes, so a canceled flag is seen soon.
        .timeout_ms(100)
        .decoder()
}

fn decode_stream(
    mut decoder: Stream,
    input: &mut XzInput<'_>,
    sink: &mut Sink<'_>,
) -> Result<(), UnpackError> {
    let mut stalls = 0;
    loop {
        input.ensure(1)?;
        let action = if input.ended() {
            Action::Finish
        } else {
            Action::Run
        };
        let before_in = decoder.total_in();
        let before_out = decoder.total_out();
        let outcome = decoder.process(input.bytes(), sink.room(), action);
        // Neither can exceed the buffers just given.
        input.take((decoder.total_in() - before_in) as usize);
        sink.advance((decoder.total_out() - before_out) as usize)?;
        match outcome {
            Ok(Status::StreamEnd) => return Ok(()),
            Ok(Status::MemNeeded) if input.bytes().is_empty() && input.ended() => {
                return Err(UnpackError::malformed("the xz data is cut short"));
            }
            Ok(Status::MemNeeded) if stalls == MOST_STALLS => {
                return Err(UnpackError::malformed("the xz data leads nowhere"));
            }
            Ok(Status::MemNeeded) => stalls += 1,
            Ok(_) => stalls = 0,
            Err(error) => return Err(explain(error, sink)),
        }
    }
}

fn explain(error: Error, sink: &Sink<'_>) -> UnpackError {
    let limits = sink.decoding().limits;
    match error {
        Error::Format => UnpackError::malformed("something that is not xz follows the xz data"),
        Error::Mem => UnpackError::storage(
            "no memory for the xz decoder",
            std::io::Error::from(std::io::ErrorKind::OutOfMemory),
        ),
        Error::MemLimit => UnpackError::too_large(format!(
            "the xz decoder needs more memory than the limit of {} bytes",
            limits.decoder_memory
        )),
        Error::Options => UnpackError::malformed("the xz data asks for options that are not known"),
        Error::UnsupportedCheck | Error::NoCheck => {
            UnpackError::malformed("the xz data uses an unknown check")
        }
        Error::Data | Error::Program => UnpackError::malformed("the xz data is damaged"),
    }
}

/// More threads than this only cost memory: the walk behind the decoder is one thread.
const MOST_THREADS: u32 = 16;
/// Rounds without progress before a decoder counts as stuck.
const MOST_STALLS: u32 = 64;
