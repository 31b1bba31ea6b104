use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;
use std::thread;

use liblzma::read::XzDecoder;
use liblzma::stream::{CONCATENATED, Check, MtStreamBuilder, Stream};
use liblzma::write::XzEncoder;

use crate::error::{At, PublishError};

/// Compresses what is written to it as `xz -6 --threads=0` does: in blocks of 24 MiB with their sizes in front, so that
/// readers can decode them side by side. The number of threads does not change the output.
pub(crate) fn encoder<W: Write>(to: W) -> io::Result<XzEncoder<W>> {
    let threads = thread::available_parallelism().map_or(1, |count| count.get().min(MAX_THREADS));
    let stream = MtStreamBuilder::new()
        .threads(threads as u32)
        .block_size(BLOCK_BYTES)
        .preset(6)
        .check(Check::Crc64)
        .encoder()?;
    Ok(XzEncoder::new_stream(to, stream))
}

/// What an xz file holds.
pub(crate) fn decoder(path: &Path) -> Result<impl Read + use<>, PublishError> {
    let file = File::open(path).at("open", path)?;
    let stream = Stream::new_stream_decoder(MEMORY_BYTES, CONCATENATED).at("decode", path)?;
    Ok(XzDecoder::new_stream(
        BufReader::with_capacity(1 << 20, file),
        stream,
    ))
}

/// Decodes a whole `.tar.xz`, so that one that is cut or damaged is found before it is signed.
pub(crate) fn check_tarball(path: &Path) -> Result<(), PublishError> {
    let archive = |source| PublishError::Archive {
        path: path.to_owned(),
        source,
    };
    let mut decoder = decoder(path)?;
    let mut first = [0; 512];
    decoder.read_exact(&mut first).map_err(archive)?;
    if tar::Header::from_byte_slice(&first).cksum().ok() != Some(checksum(&first)) {
        return Err(archive(io::Error::new(
            io::ErrorKind::InvalidData,
            "begins with no tar header",
        )));
    }
    io::copy(&mut decoder, &mut io::sink()).map_err(archive)?;
    Ok(())
}

/// The sum over a tar header, its own field counted as blanks.
fn checksum(header: &[u8; 512]) -> u32 {
    let counted = |(n, byte): (usize, &u8)| {
        if (148..156).contains(&n) {
            32
        } else {
            u32::from(*byte)
        }
    };
    header.iter().enumerate().map(counted).sum()
}

const BLOCK_BYTES: u64 = 24 << 20;
/// Each thread of the encoder takes some 150 MiB.
const MAX_THREADS: usize = 8;
/// `xz -9` needs 65 MiB to decode.
const MEMORY_BYTES: u64 = 128 << 20;
