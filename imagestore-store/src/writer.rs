use bytes::Bytes;
use imagestore_core::{Error, ErrorKind, Result};
use imagestore_verify::Unverified;
use tokio::sync::mpsc::{Sender, channel};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::dir::Dir;
use crate::faults::reached;
use crate::sink::{Sink, disk};

/// Hashes and writes what arrives on a thread of its own, so that the network does not wait for
/// either.
pub(crate) struct Writer {
    chunks: Sender<Unverified<Bytes>>,
    thread: JoinHandle<Result<Sink>>,
}

impl Writer {
    /// A writer into this sink. It keeps `staging`, and so its lock, until all that was handed to
    /// it is written, also when the download is given up: nobody else may go on with a part that
    /// still grows.
    pub(crate) fn start(mut sink: Sink, staging: Dir) -> Self {
        let (chunks, mut arriving) = channel::<Unverified<Bytes>>(AHEAD);
        let thread = spawn_blocking(move || {
            while let Some(chunk) = arriving.blocking_recv() {
                reached("write", staging.path()).map_err(|cause| disk(cause, &staging))?;
                sink.write(&chunk, &staging)?;
            }
            Ok(sink)
        });
        Self { chunks, thread }
    }

    /// Hands over the next bytes. Gives `false` if the thread has ended; [`Writer::finish`] says
    /// why.
    pub(crate) async fn write(&self, chunk: Unverified<Bytes>) -> bool {
        self.chunks.send(chunk).await.is_ok()
    }

    /// Waits until all is written.
    pub(crate) async fn finish(self) -> Result<Sink> {
        drop(self.chunks);
        self.thread.await.map_err(|cause| {
            Error::new(ErrorKind::Canceled, "the work of the store was stopped").with_source(cause)
        })?
    }
}

const AHEAD: usize = 32;
