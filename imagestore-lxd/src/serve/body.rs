use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::task::{JoinHandle, spawn_blocking};

use super::image::{CHUNK, Served};

/// What is sent: text in memory, and parts of files that are read while they are sent.
///
/// One chunk is read ahead, and no thread waits for the other side to take it.
pub(super) struct Sent {
    pieces: VecDeque<Piece>,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
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
    /// So much of a file, from there.
    pub(super) fn file(file: &Served, offset: u64, length: u64) -> Self {
        Self::File {
            file: Arc::clone(&file.file),
            offset,
            length,
        }
    }

    fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { length, .. } => *length,
        }
    }
}

impl Sent {
    /// These pieces, in order.
    pub(super) fn new(pieces: impl Into<VecDeque<Piece>>) -> Self {
        let pieces = pieces.into();
        Self {
            left: pieces.iter().map(Piece::length).sum(),
            pieces,
            reading: None,
        }
    }

    /// Text.
    pub(super) fn text(text: impl Into<Bytes>) -> Self {
        Self::new([Piece::Bytes(text.into())])
    }

    /// Begins to read the next chunk, if it comes from a file.
    fn read_on(&mut self) {
        let Some(Piece::File {
            file,
            offset,
            length,
        }) = self.pieces.front_mut()
        else {
            return;
        };
        let (from, source) = (*offset, Arc::clone(file));
        let count = usize::try_from(*length).unwrap_or(CHUNK).min(CHUNK);
        *offset += count as u64;
        *length -= count as u64;
        if *length == 0 {
            self.pieces.pop_front();
        }
        self.reading = Some(spawn_blocking(move || {
            let mut chunk = vec![0; count];
            source.read_exact_at(&mut chunk, from)?;
            Ok(chunk.into())
        }));
    }

    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if self.reading.is_none() {
            self.read_on();
        }
        let chunk = match &mut self.reading {
            Some(reading) => {
                let read = ready!(Pin::new(reading).poll(context));
                self.reading = None;
                read.map_err(io::Error::other).flatten()
            }
            None => match self.pieces.pop_front() {
                Some(Piece::Bytes(bytes)) => Ok(bytes),
                _ => return Poll::Ready(None),
            },
        };
        match &chunk {
            Ok(chunk) => {
                self.left = self.left.saturating_sub(chunk.len() as u64);
                self.read_on();
            }
            Err(_) => self.pieces.clear(),
        }
        Poll::Ready(Some(chunk))
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.poll_chunk(context)
            .map(|chunk| chunk.map(|chunk| chunk.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::Write;

    use super::*;

    #[tokio::test]
    async fn sends_its_pieces_in_order() {
        let size = CHUNK + 10;
        let noise: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
        let file = file(&noise);
        let piece = |offset, length| Piece::File {
            file: Arc::clone(&file),
            offset,
            length,
        };
        let text = |text: &'static str| Piece::Bytes(text.into());
        let sent = Sent::new([
            text("a"),
            piece(0, size as u64),
            piece(5, 3),
            text("b"),
            text("c"),
        ]);
        let (chunks, error) = collect(sent).await;
        let lengths: Vec<_> = chunks.iter().map(Bytes::len).collect();
        assert_eq!(lengths, [1, CHUNK, 10, 3, 1, 1]);
        assert_eq!(
            chunks.concat(),
            [b"a", &noise[..], &noise[5..8], b"bc"].concat()
        );
        assert_eq!(error, None);
        assert_eq!(collect(Sent::text("")).await.1, None);
    }

    #[tokio::test]
    async fn ends_where_a_file_has_become_shorter() {
        let sent = Sent::new([
            Piece::File {
                file: file(b"12345"),
                offset: 0,
                length: 6,
            },
            Piece::Bytes("never".into()),
        ]);
        let (chunks, error) = collect(sent).await;
        assert_eq!(
            (chunks.len(), error),
            (0, Some(io::ErrorKind::UnexpectedEof))
        );
    }

    fn file(bytes: &[u8]) -> Arc<File> {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes).expect("room");
        Arc::new(file)
    }

    /// All chunks, with the error in which they ended; what is still announced fits throughout.
    async fn collect(mut sent: Sent) -> (Vec<Bytes>, Option<io::ErrorKind>) {
        let mut chunks = Vec::new();
        loop {
            let left = sent.size_hint().exact().expect("a length");
            match poll_fn(|context| Pin::new(&mut sent).poll_frame(context)).await {
                Some(Ok(frame)) => {
                    let chunk = frame.into_data().expect("data");
                    let rest = sent.size_hint().exact();
                    assert_eq!(rest, Some(left - chunk.len() as u64));
                    chunks.push(chunk);
                }
                Some(Err(error)) => return (chunks, Some(error.kind())),
                None => {
                    assert!(sent.is_end_stream());
                    return (chunks, None);
                }
            }
        }
    }
}
