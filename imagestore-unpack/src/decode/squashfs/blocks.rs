use std::panic;
use std::thread;

use super::super::pipe::Decoding;
use super::super::xz_backend::XzBackend;
use super::image::Image;
use crate::error::UnpackError;

/// How the blocks of a file system are packed.
#[derive(Clone, Copy)]
pub(super) enum Compression {
    Gzip,
    Xz {
        backend: XzBackend,
        memory: u64,
    },
    #[cfg(feature = "zstd")]
    Zstd,
}

impl Compression {
    pub(super) fn of(id: u16, decoding: Decoding<'_>) -> Result<Self, UnpackError> {
        let name = match id {
            1 => return Ok(Self::Gzip),
            4 => {
                return Ok(Self::Xz {
                    backend: decoding.xz,
                    memory: decoding.limits.decoder_memory,
                });
            }
            #[cfg(feature = "zstd")]
            6 => return Ok(Self::Zstd),
            2 => "lzma",
            3 => "lzo",
            5 => "lz4",
            #[cfg(not(feature = "zstd"))]
            6 => "zstd, which this build leaves out",
            other => {
                return Err(UnpackError::malformed(format!(
                    "the file system is packed in the unknown way {other}"
                )));
            }
        };
        Err(UnpackError::unsupported(format!(
            "the file system is packed with {name}; gzip, xz and zstd can be unpacked"
        )))
    }

    /// What a block of at most `most` bytes was before it was packed.
    pub(super) fn open(self, packed: &[u8], most: usize) -> Result<Vec<u8>, UnpackError> {
        match self {
            Self::Gzip => gzip(packed, most),
            Self::Xz { backend, memory } => xz(backend, memory, packed, most),
            #[cfg(feature = "zstd")]
            Self::Zstd => zstd::bulk::decompress(packed, most).map_err(|_| damaged()),
        }
    }
}

/// A data block where it lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    pub(super) start: u64,
    /// As the file system writes it: the length, and a bit for those that are not packed.
    pub(super) size: u32,
    /// How many bytes it was before.
    pub(super) length: u32,
}

impl Block {
    pub(super) fn packed_length(self) -> u32 {
        self.size & !NOT_PACKED
    }

    fn check(self, image: &Image<'_>) -> Result<(), UnpackError> {
        let limit = image.block_size;
        if self.size & !(NOT_PACKED | LENGTH) != 0 || self.packed_length() > limit {
            return Err(UnpackError::malformed(format!(
                "a block says that it has {:#x} bytes, over the {limit} of this file system",
                self.size
            )));
        }
        Ok(())
    }

    /// Its bytes before they were packed, of which there are at most a block.
    pub(super) fn open(self, image: &Image<'_>) -> Result<Vec<u8>, UnpackError> {
        self.check(image)?;
        let mut packed = vec![0; self.packed_length() as usize];
        image.read(self.start, &mut packed)?;
        if self.size & NOT_PACKED != 0 {
            return Ok(packed);
        }
        image.compression.open(&packed, image.block_size as usize)
    }

    /// Its bytes, which must be as many as it should have; a block of no bytes is a hole.
    fn open_whole(self, image: &Image<'_>) -> Result<Vec<u8>, UnpackError> {
        if self.size == 0 {
            return Ok(vec![0; self.length as usize]);
        }
        let bytes = self.open(image)?;
        if bytes.len() != self.length as usize {
            return Err(UnpackError::malformed(format!(
                "a block has {} bytes in the place of {}",
                bytes.len(),
                self.length
            )));
        }
        Ok(bytes)
    }
}

/// The bytes of all these blocks, in order, with as many threads as are allowed.
pub(super) fn open_all(image: &Image<'_>, blocks: &[Block]) -> Result<Vec<Vec<u8>>, UnpackError> {
    for block in blocks {
        image.count(block.packed_length() as usize);
    }
    let threads = image.decoding.threads.get().min(blocks.len());
    if threads < 2 {
        return blocks.iter().map(|block| block.open_whole(image)).collect();
    }
    let share = blocks.len().div_ceil(threads);
    let opened = thread::scope(|scope| {
        let open = |part: &'_ [Block]| -> Result<Vec<_>, _> {
            part.iter().map(|block| block.open_whole(image)).collect()
        };
        let workers: Vec<_> = blocks
            .chunks(share)
            .skip(1)
            .map(|part| scope.spawn(move || open(part)))
            .collect();
        let mut opened = vec![open(&blocks[..share])];
        for worker in workers {
            match worker.join() {
                Ok(part) => opened.push(part),
                Err(panicked) => panic::resume_unwind(panicked),
            }
        }
        opened
    });
    let mut all = Vec::with_capacity(blocks.len());
    for part in opened {
        all.extend(part?);
    }
    Ok(all)
}

fn gzip(packed: &[u8], most: usize) -> Result<Vec<u8>, UnpackError> {
    let mut bytes = Vec::with_capacity(most);
    let mut decoder = flate2::Decompress::new(true);
    match decoder.decompress_vec(packed, &mut bytes, flate2::FlushDecompress::Finish) {
        Ok(flate2::Status::StreamEnd) => Ok(bytes),
        _ => Err(damaged()),
    }
}

fn xz(backend: XzBackend, memory: u64, packed: &[u8], most: usize) -> Result<Vec<u8>, UnpackError> {
    match backend {
        #[cfg(feature = "liblzma")]
        XzBackend::Liblzma => {
            use liblzma::stream::{Action, Status, Stream};
            let mut bytes = Vec::with_capacity(most);
            let mut decoder = Stream::new_stream_decoder(memory, 0).map_err(|_| damaged())?;
            match decoder.process_vec(packed, &mut bytes, Action::Finish) {
                Ok(Status::StreamEnd) => Ok(bytes),
                _ => Err(damaged()),
            }
        }
        #[cfg(feature = "pure-rust")]
        XzBackend::LzmaRust2 => {
            use std::io::Read;
            let memory = u32::try_from(memory >> 10).unwrap_or(u32::MAX);
            let reader = lzma_rust2::XzReader::new_mem_limit(packed, false, memory);
            let mut bytes = Vec::with_capacity(most);
            let mut reader = reader.take(most as u64 + 1);
            reader.read_to_end(&mut bytes).map_err(|_| damaged())?;
            if bytes.len() > most {
                return Err(damaged());
            }
            Ok(bytes)
        }
        _ => {
            let _ = (memory, packed, most);
            Err(UnpackError::unsupported(
                "the file system is packed with xz; build with the feature `liblzma` or `pure-rust` to unpack it",
            ))
        }
    }
}

fn damaged() -> UnpackError {
    UnpackError::malformed("a block of the file system is damaged")
}

const NOT_PACKED: u32 = 1 << 24;
const LENGTH: u32 = NOT_PACKED - 1;
