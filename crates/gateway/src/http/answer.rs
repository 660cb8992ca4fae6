//! The body of an answer as it leaves: counted for as long as the node holds it. Over HTTP/2, where a client can refuse one
//! answer (its window is closed) and take others, it leaves in pieces, and an answer of which none is taken for too long
//! is dropped, which resets its stream. Over HTTP/1 the socket is watched instead (`stall`). It does *not* know what is
//! answered.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use atomic_waker::AtomicWaker;
use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use hyper::rt::Executor;
use tokio::time::sleep;

use super::hold::Hold;
use super::limits::{Limit, Limits};

/// Answers below this are not counted: what each request costs beside them is more.
const SMALL_BYTES: usize = 1024;
/// Bytes of a piece: what a frame of HTTP/2 carries, unless the client wants larger ones.
const PIECE_BYTES: usize = 16 * 1024;

tokio::task_local! {
    static TAKING: Arc<Taking>;
}

/// How far the client is with one answer, in pieces.
#[derive(Default)]
struct Taking {
    given: AtomicU64,
    taken: AtomicU64,
    task: AtomicWaker,
}

impl Taking {
    /// Whether the client has still to take what it was given.
    fn is_behind(&self) -> bool {
        self.taken.load(Relaxed) < self.given.load(Relaxed)
    }

    fn give(self: &Arc<Taking>, data: Bytes) -> Bytes {
        self.given.fetch_add(1, Relaxed);
        Bytes::from_owner(Piece { data, taking: self.clone() })
    }

    fn poll_taken(&self, cx: &Context<'_>) -> Poll<()> {
        self.task.register(cx.waker());
        if self.is_behind() { Poll::Pending } else { Poll::Ready(()) }
    }

    /// Waits until the client has taken nothing for `limit`, at most for twice as long. It is polled whenever the answer was.
    async fn stalled(&self, limit: Duration) {
        loop {
            // Only by the answer's own doing it is given more.
            poll_fn(|_| if self.is_behind() { Poll::Ready(()) } else { Poll::Pending }).await;
            let before = self.taken.load(Relaxed);
            sleep(limit).await;
            if self.is_behind() && self.taken.load(Relaxed) == before {
                return;
            }
        }
    }
}

/// A piece on its way, dropped when it is written to the socket.
struct Piece {
    data: Bytes,
    taking: Arc<Taking>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.taking.taken.fetch_add(1, Relaxed);
        self.taking.task.wake();
    }
}

/// See the module.
pub(super) struct Answer {
    body: Body,
    hold: Arc<Hold>,
    taking: Option<Arc<Taking>>,
    /// What has come of the body and was not given yet.
    rest: Bytes,
    given_bytes: usize,
}

impl Answer {
    /// The body as it leaves, asked for in the task that answers.
    pub(super) fn body(body: Body, hold: &Arc<Hold>) -> Body {
        let taking = TAKING.try_with(Arc::clone).ok();
        let is_small = body.size_hint().upper().is_some_and(|bytes| bytes < SMALL_BYTES as u64);
        if is_small && taking.is_none() {
            return body;
        }
        Body::new(Answer { body, hold: hold.clone(), taking, rest: Bytes::new(), given_bytes: 0 })
    }

    fn piece(&mut self) -> Bytes {
        let Some(taking) = &self.taking else { return std::mem::take(&mut self.rest) };
        let piece = self.rest.split_to(self.rest.len().min(PIECE_BYTES));
        self.given_bytes = self.given_bytes.saturating_add(piece.len());
        taking.give(piece)
    }

    /// The end of a long answer is told when the rest of it is gone: till then its stream can be reset.
    fn may_end(&self) -> bool {
        self.given_bytes < SMALL_BYTES || self.taking.as_ref().is_none_or(|taking| !taking.is_behind())
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        loop {
            if !this.rest.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(this.piece()))));
            }
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if data.len() < SMALL_BYTES => this.rest = data,
                    Ok(data) => this.rest = this.hold.count(data),
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                Some(Err(e)) => return Poll::Ready(Some(Err(e))),
                None => {
                    return match &this.taking {
                        Some(taking) if !this.may_end() => taking.poll_taken(cx).map(|()| None),
                        _ => Poll::Ready(None),
                    };
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream() && self.may_end()
    }

    fn size_hint(&self) -> SizeHint {
        let (inner, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + rest);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

/// Runs the answers of a connection that speaks HTTP/2, each for as long as its client takes it.
#[derive(Clone)]
pub(super) struct Patience {
    pub(super) limit: Duration,
    pub(super) limits: Arc<Limits>,
}

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for Patience {
    fn execute(&self, answering: F) {
        let Patience { limit, limits } = self.clone();
        tokio::spawn(async move {
            let taking = Arc::<Taking>::default();
            let answering = pin!(TAKING.scope(taking.clone(), answering));
            let stalled = pin!(taking.stalled(limit));
            tokio::select! {
                biased;
                _ = answering => {}
                () = stalled => limits.count(Limit::WriteTime),
            }
        });
    }
}
