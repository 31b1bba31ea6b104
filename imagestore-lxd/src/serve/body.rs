use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::spawn_blocking;

use super::image::CHUNK;

/// What is sent: text in memory, and parts of files that are read while they are sent.
pub(super) struct Sent {
    chunks: Receiver<io::Result<Bytes>>,
    left: u64,
}

/// One piece of it.
pub(super) enum Piece {
    Bytes(Bytes),
    File {
        file: Arc<File>,
        offset: u64,
        length: u64,
    },
}

impl Piece {
    fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { length, .. } => *length,
        }
    }
}

impl Sent {
    /// These pieces, in order. Files are read on a thread of their own, no further ahead than the
    /// other side can take.
    pub(super) fn new(pieces: impl Into<VecDeque<Piece>>) -> Self {
        let pieces = pieces.into();
        let left = pieces.iter().map(Piece::length).sum();
        let (sender, chunks) = channel(AHEAD);
        let read = move || {
            for piece in pieces {
                let sent = match piece {
                    Piece::Bytes(bytes) => sender.blocking_send(Ok(bytes)).is_ok(),
                    Piece::File {
                        file,
                        mut offset,
                        length,
                    } => {
                        let end = offset + length;
                        let mut listened = true;
                        while listened && offset < end {
                            let chunk = read(&file, offset, end);
                            let count = chunk.as_ref().map_or(0, Bytes::len) as u64;
                            listened = sender.blocking_send(chunk).is_ok() && count > 0;
                            offset += count;
                        }
                        listened
                    }
                };
                if !sent {
                    return;
                }
            }
        };
        // It ends with its last piece or with whoever listens.
        drop(spawn_blocking(read));
        Self { chunks, left }
    }

    /// Text.
    pub(super) fn text(text: impl Into<Bytes>) -> Self {
        let bytes = text.into();
        let left = bytes.len() as u64;
        let (sender, chunks) = channel(1);
        // There is room for one.
        let _ = sender.try_send(Ok(bytes));
        Self { chunks, left }
    }
}

fn read(file: &File, offset: u64, end: u64) -> io::Result<Bytes> {
    let most = usize::try_from(end - offset)
        .unwrap_or(usize::MAX)
        .min(CHUNK);
    let mut chunk = vec![0; most];
    let count = file.read_at(&mut chunk, offset)?;
    if count == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    chunk.truncate(count);
    Ok(chunk.into())
}

impl Body for Sent {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.chunks.poll_recv(context).map(|chunk| {
            chunk.map(|chunk| {
                let chunk = chunk?;
                self.left = self.left.saturating_sub(chunk.len() as u64);
                Ok(Frame::data(chunk))
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

const AHEAD: usize = 4;
