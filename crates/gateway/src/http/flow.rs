//! An answer on its way out, made piece by piece, each when the client has taken the one before. It does *not* know what
//! the pieces are.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame};

enum State<S, Fut> {
    Idle(S),
    Busy(Pin<Box<Fut>>),
    Over,
}

/// An answer whose next piece `step` makes out of the state that the last one left; `None` ends it.
pub(super) struct Flow<S, F, Fut> {
    state: State<S, Fut>,
    step: F,
}

impl<S, F, Fut> Flow<S, F, Fut>
where
    S: Send + Unpin + 'static,
    F: FnMut(S) -> Fut + Send + Unpin + 'static,
    Fut: Future<Output = Option<(Bytes, S)>> + Send + 'static,
{
    /// The body of an answer.
    pub(super) fn body(state: S, step: F) -> Body {
        Body::new(Flow { state: State::Idle(state), step })
    }
}

impl<S, F, Fut> HttpBody for Flow<S, F, Fut>
where
    S: Unpin,
    F: FnMut(S) -> Fut + Unpin,
    Fut: Future<Output = Option<(Bytes, S)>>,
{
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        loop {
            match std::mem::replace(&mut this.state, State::Over) {
                State::Over => return Poll::Ready(None),
                State::Idle(state) => this.state = State::Busy(Box::pin((this.step)(state))),
                State::Busy(mut future) => match future.as_mut().poll(cx) {
                    Poll::Pending => {
                        this.state = State::Busy(future);
                        return Poll::Pending;
                    }
                    Poll::Ready(None) => return Poll::Ready(None),
                    Poll::Ready(Some((piece, state))) => {
                        this.state = State::Idle(state);
                        return Poll::Ready(Some(Ok(Frame::data(piece))));
                    }
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_flow_makes_a_piece_when_it_is_asked_for_one() {
        let body = Flow::body(0u8, |n| async move { (n < 3).then(|| (Bytes::from(vec![n]), n + 1)) });
        let all = axum::body::to_bytes(body, 10).await.unwrap();
        assert_eq!(all, vec![0, 1, 2]);
    }
}
