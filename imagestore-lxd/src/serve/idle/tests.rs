use std::future::poll_fn;

use tokio::time::Instant;

use super::*;

#[tokio::test]
async fn every_way_to_send_is_bounded() {
    for way in Way::ALL {
        let started = Instant::now();
        let mut stream = Impatient::new(Peer::default(), SHORT);
        let error = way.go(&mut stream).await.expect_err("nobody takes it");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{way:?}");
        assert!(started.elapsed() >= SHORT, "{way:?}");
        // The peer has had its time: the next attempt ends without any more of it.
        let again = poll_fn(|context| Poll::Ready(way.poll(&mut stream, context)));
        assert!(again.await.is_ready(), "{way:?}");
    }
}

#[tokio::test]
async fn who_takes_a_little_each_time_is_waited_for() {
    let pace = SHORT / 2;
    for way in Way::ALL {
        let mut stream = Impatient::new(Peer::taking_every(pace), SHORT);
        let started = Instant::now();
        for round in 0..4 {
            let taken = way.go(&mut stream).await;
            assert!(taken.is_ok(), "{way:?} {round}");
        }
        assert!(started.elapsed() >= 2 * SHORT, "{way:?}");
    }
}

#[tokio::test]
async fn a_flush_that_moves_nothing_is_no_progress() {
    let mut stream = Impatient::new(Peer::default(), SHORT);
    stream.stream.flushes = true;
    let error = poll_fn(|context| {
        let written = Way::Write.poll(&mut stream, context);
        assert!(Way::Flush.poll(&mut stream, context).is_ready());
        // As a request that comes in meanwhile does.
        context.waker().wake_by_ref();
        written
    });
    let error = error.await.expect_err("nobody takes it");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}

#[tokio::test]
async fn who_sends_nothing_is_not_hurried() {
    let mut stream = Impatient::new(Peer::default(), Duration::ZERO);
    let mut room = [0; 8];
    let read = poll_fn(|context| {
        let mut room = ReadBuf::new(&mut room);
        Poll::Ready(Pin::new(&mut stream).poll_read(context, &mut room))
    });
    assert!(read.await.is_pending());
    assert!(stream.is_write_vectored());
}

#[derive(Clone, Copy, Debug)]
enum Way {
    Flush,
    Shutdown,
    Vectored,
    Write,
}

impl Way {
    const ALL: [Self; 4] = [Self::Flush, Self::Shutdown, Self::Vectored, Self::Write];

    fn poll(self, stream: &mut Impatient<Peer>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = Pin::new(stream);
        match self {
            Self::Flush => stream.poll_flush(context),
            Self::Shutdown => stream.poll_shutdown(context),
            Self::Vectored => {
                let slices = [IoSlice::new(b"a"), IoSlice::new(b"b")];
                stream
                    .poll_write_vectored(context, &slices)
                    .map_ok(|count| assert_eq!(count, 2))
            }
            Self::Write => stream
                .poll_write(context, b"a")
                .map_ok(|count| assert_eq!(count, 1)),
        }
    }

    async fn go(self, stream: &mut Impatient<Peer>) -> io::Result<()> {
        poll_fn(|context| self.poll(stream, context)).await
    }
}

/// Takes something after each pace; without one, never.
#[derive(Default)]
struct Peer {
    pace: Option<Duration>,
    next: Option<Pin<Box<Sleep>>>,
    flushes: bool,
}

impl Peer {
    fn taking_every(pace: Duration) -> Self {
        Self {
            pace: Some(pace),
            ..Self::default()
        }
    }

    fn take<T>(&mut self, context: &mut Context<'_>, taken: T) -> Poll<io::Result<T>> {
        let Some(pace) = self.pace else {
            return Poll::Pending;
        };
        let next = self.next.get_or_insert_with(|| Box::pin(sleep(pace)));
        ready!(next.as_mut().poll(context));
        self.next = None;
        Poll::Ready(Ok(taken))
    }
}

impl AsyncRead for Peer {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Peer {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.take(context, bytes.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.take(context, slices.iter().map(|slice| slice.len()).sum())
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.flushes {
            return Poll::Ready(Ok(()));
        }
        self.take(context, ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.take(context, ())
    }
}

const SHORT: Duration = Duration::from_millis(40);
