use std::num::NonZeroUsize;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread;

use super::packed::Packed;
use super::sniff::{Packing, SNIFFED, sniff};
use super::xz_backend::XzBackend;
use super::{gzip, plain};
use crate::error::UnpackError;
use crate::limits::UnpackLimits;
use crate::progress::{UnpackProgress, Watch};

/// How to decode: what it may cost, and how to stop it.
#[derive(Clone, Copy)]
pub(crate) struct Decoding<'a> {
    pub(crate) limits: &'a UnpackLimits,
    pub(crate) budget: Budget,
    pub(crate) cancel: Option<&'a AtomicBool>,
    pub(crate) threads: NonZeroUsize,
    pub(crate) watch: Option<&'a Watch>,
    pub(crate) xz: XzBackend,
}

impl Decoding<'_> {
    fn check_canceled(&self) -> Result<(), UnpackError> {
        match self.cancel {
            Some(cancel) if cancel.load(Ordering::Relaxed) => Err(UnpackError::canceled()),
            _ => Ok(()),
        }
    }
}

/// How many bytes may come out, and what sets that bound.
#[derive(Clone, Copy)]
pub(crate) enum Budget {
    Limit(u64),
    /// The free space of the file system less the reserve.
    Room(u64),
}

/// Decodes `packed` in a thread while `walk` reads the outcome.
///
/// The outcome of `walk` counts; the decoder's own errors reach it through the feed.
pub(crate) fn with_feed<T>(
    packed: Packed<'_>,
    decoding: Decoding<'_>,
    walk: impl FnOnce(&mut Feed<'_>) -> Result<T, UnpackError>,
) -> Result<T, UnpackError> {
    let (chunks, received) = mpsc::sync_channel(CHUNKS);
    let (used, recycled) = mpsc::channel();
    let (taken, packed_total) = (packed.taken(), packed.length());
    thread::scope(|scope| {
        let decoder = thread::Builder::new()
            .name("unpack-decode".into())
            .spawn_scoped(scope, move || {
                let sink = Sink {
                    chunks,
                    recycled,
                    decoding,
                    taken: packed.taken(),
                    sent: 0,
                    filling: Vec::new(),
                    filled: 0,
                };
                sink.run(packed);
            })
            .map_err(|cause| UnpackError::storage("cannot start the decoder's thread", cause))?;
        let mut feed = Feed {
            received,
            used,
            chunk: Vec::new(),
            position: 0,
            offset: 0,
            ended: false,
            entries: 0,
            decoding,
            taken,
            packed_total,
        };
        let outcome = walk(&mut feed);
        // A walk that ended early leaves the decoder with nobody to send to, so it stops.
        drop(feed);
        if let Err(panicked) = decoder.join() {
            panic::resume_unwind(panicked);
        }
        outcome
    })
}

/// Where a decoder puts what it decodes.
pub(super) struct Sink<'a> {
    chunks: SyncSender<Message>,
    recycled: Receiver<Vec<u8>>,
    decoding: Decoding<'a>,
    taken: Arc<AtomicU64>,
    sent: u64,
    filling: Vec<u8>,
    filled: usize,
}

type Message = Result<Option<Vec<u8>>, UnpackError>;

impl<'a> Sink<'a> {
    fn run(mut self, packed: Packed<'_>) {
        let decoded = self.decode(packed).and_then(|()| self.flush());
        // Nobody listens when the walk ended early.
        let _ = self.chunks.send(decoded.map(|()| None));
    }

    fn decode(&mut self, packed: Packed<'_>) -> Result<(), UnpackError> {
        let mut start = [0; SNIFFED];
        let length = packed.peek(&mut start).map_err(unreadable)?;
        match sniff(&start[..length])? {
            Packing::Gzip => gzip::decode(packed, self),
            Packing::Plain => plain::decode(packed, self),
            Packing::Squashfs => super::squashfs::decode(packed, self),
            Packing::Xz => self.decoding.xz.decode(packed, self),
            #[cfg(feature = "zstd")]
            Packing::Zstd => super::zstd::decode(packed, self),
            #[cfg(not(feature = "zstd"))]
            Packing::Zstd => Err(UnpackError::unsupported(
                "the archive is packed with zstd; build with the feature `zstd` to unpack it",
            )),
        }
    }

    pub(super) fn decoding(&self) -> Decoding<'a> {
        self.decoding
    }

    /// Room for decoded bytes; never empty. Tell [`Sink::advance`] how many were put there.
    pub(super) fn room(&mut self) -> &mut [u8] {
        if self.filling.is_empty() {
            self.filling = self.recycled.try_recv().unwrap_or_default();
            self.filling.resize(CHUNK, 0);
        }
        &mut self.filling[self.filled..]
    }

    pub(super) fn advance(&mut self, count: usize) -> Result<(), UnpackError> {
        self.filled += count;
        if self.filled == self.filling.len() {
            self.flush()
        } else {
            self.check()
        }
    }

    /// Takes bytes a decoder has in a buffer of its own.
    #[cfg(feature = "lzma-rs")]
    pub(super) fn put(&mut self, mut bytes: &[u8]) -> Result<(), UnpackError> {
        while !bytes.is_empty() {
            let room = self.room();
            let count = room.len().min(bytes.len());
            room[..count].copy_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            self.advance(count)?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), UnpackError> {
        self.check()?;
        let mut chunk = std::mem::take(&mut self.filling);
        chunk.truncate(self.filled);
        self.sent += self.filled as u64;
        self.filled = 0;
        if chunk.is_empty() {
            return Ok(());
        }
        self.chunks
            .send(Ok(Some(chunk)))
            .map_err(|_| UnpackError::canceled())
    }

    fn check(&self) -> Result<(), UnpackError> {
        self.decoding.check_canceled()?;
        let bytes = self.sent + self.filled as u64;
        match self.decoding.budget {
            Budget::Limit(limit) if bytes > limit => {
                return Err(UnpackError::too_large(format!(
                    "the archive unpacks to more than the limit of {limit} bytes"
                )));
            }
            Budget::Room(room) if bytes > room => {
                return Err(UnpackError::storage(
                    format!("the archive unpacks to more than the {room} bytes that are free"),
                    rustix::io::Errno::NOSPC,
                ));
            }
            _ => {}
        }
        let limits = self.decoding.limits;
        let taken = self.taken.load(Ordering::Relaxed);
        if bytes > limits.ratio_from && bytes / limits.ratio.max(1) > taken {
            return Err(UnpackError::too_large(format!(
                "{taken} packed bytes unpack to {bytes}, over the limit of {} for each",
                limits.ratio
            )));
        }
        Ok(())
    }
}

/// The decoded bytes, in order.
pub(crate) struct Feed<'a> {
    received: Receiver<Message>,
    used: Sender<Vec<u8>>,
    chunk: Vec<u8>,
    position: usize,
    offset: u64,
    ended: bool,
    entries: u64,
    decoding: Decoding<'a>,
    taken: Arc<AtomicU64>,
    packed_total: u64,
}

impl Feed<'_> {
    /// Counts one more member, and gives their number.
    pub(crate) fn count_entry(&mut self) -> u64 {
        self.entries += 1;
        self.entries
    }

    /// Stops if the caller wants it.
    pub(crate) fn check_canceled(&self) -> Result<(), UnpackError> {
        self.decoding.check_canceled()
    }

    /// Tells the caller how far it is.
    pub(crate) fn report(&self) {
        if let Some(Watch(watch)) = self.decoding.watch {
            watch(UnpackProgress {
                packed: self.taken.load(Ordering::Relaxed),
                packed_total: self.packed_total,
                bytes: self.offset,
                entries: self.entries,
            });
        }
    }

    /// How many decoded bytes have been taken.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Takes up to `most` bytes; fewer when a chunk ends, none only at the end.
    pub(crate) fn take(&mut self, most: usize) -> Result<&[u8], UnpackError> {
        if self.position == self.chunk.len() {
            self.refill()?;
        }
        let start = self.position;
        let count = most.min(self.chunk.len() - start);
        self.position += count;
        self.offset += count as u64;
        Ok(&self.chunk[start..self.position])
    }

    /// Fills `into` and says how many bytes there were; fewer only at the end.
    pub(crate) fn fill(&mut self, into: &mut [u8]) -> Result<usize, UnpackError> {
        let mut filled = 0;
        while filled < into.len() {
            let part = self.take(into.len() - filled)?;
            if part.is_empty() {
                break;
            }
            into[filled..filled + part.len()].copy_from_slice(part);
            filled += part.len();
        }
        Ok(filled)
    }

    fn refill(&mut self) -> Result<(), UnpackError> {
        self.check_canceled()?;
        self.report();
        // The decoder may be gone; then nobody needs the buffer.
        let _ = self.used.send(std::mem::take(&mut self.chunk));
        self.position = 0;
        if self.ended {
            return Ok(());
        }
        match self.received.recv() {
            Ok(Ok(Some(chunk))) => self.chunk = chunk,
            Ok(Ok(None)) => self.ended = true,
            Ok(Err(error)) => return Err(error.of_packing()),
            // An end that was not announced is not an end.
            Err(_) => return Err(UnpackError::malformed("the decoder stopped before the end")),
        }
        Ok(())
    }
}

pub(super) fn unreadable(cause: std::io::Error) -> UnpackError {
    UnpackError::storage("cannot read the archive", cause)
}

const CHUNK: usize = 256 << 10;
const CHUNKS: usize = 8;
