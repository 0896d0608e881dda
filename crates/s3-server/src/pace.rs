//! How slow a client may be: a body that hardly arrives is cut off, so that nobody keeps a connection,
//! and the server's memory for it, by sending next to nothing.
//!
//! It knows no S3. Heads have hyper's own time limit, answers that nobody takes that of the socket;
//! see [`super::run`].

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use s3s::{StdError, s3_error};
use tokio::time::{Instant, Sleep, sleep_until};

/// The least that a body must bring on average, in bytes a second.
const PACE: u64 = 1024;

/// A request's body that must keep its pace.
pub(super) struct Paced {
    inner: Incoming,
    since: Instant,
    patience: Duration,
    received: u64,
    too_late: Pin<Box<Sleep>>,
    ended: Ended,
}

/// Whether the body was taken to its end; shared with whoever answers.
#[derive(Clone, Default)]
pub(super) struct Ended(Arc<AtomicBool>);

impl Ended {
    /// Whether the next request on the connection begins behind what was read so far.
    pub(super) fn is_reached(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Paced {
    /// A body that may be silent for so long.
    pub(super) fn new(inner: Incoming, patience: Duration) -> Self {
        let since = Instant::now();
        let ended = Ended(Arc::new(AtomicBool::new(inner.is_end_stream())));
        Self {
            inner,
            since,
            patience,
            received: 0,
            too_late: Box::pin(sleep_until(since + patience)),
            ended,
        }
    }

    pub(super) fn ended(&self) -> Ended {
        self.ended.clone()
    }

    fn took(&mut self, frame: &Frame<Bytes>) {
        self.received += frame.data_ref().map_or(0, Bytes::len) as u64;
        let until = self.since + self.patience + Duration::from_secs(self.received / PACE);
        self.too_late.as_mut().reset(until);
    }
}

impl Body for Paced {
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        match polled {
            Poll::Pending => {
                ready!(self.too_late.as_mut().poll(cx));
                let slow = s3_error!(RequestTimeout, "the body arrives too slowly");
                Poll::Ready(Some(Err(slow.into())))
            }
            Poll::Ready(Some(Ok(frame))) => {
                self.took(&frame);
                if self.inner.is_end_stream() {
                    self.ended.0.store(true, Ordering::Release);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into()))),
            Poll::Ready(None) => {
                self.ended.0.store(true, Ordering::Release);
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
