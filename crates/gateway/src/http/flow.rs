//! Bodies on their way: an answer that is made piece by piece, each when the client has taken the one before, and a
//! request's body, read whole within a limit or piece by piece. It does *not* know what the pieces are.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use bytes::{Bytes, BytesMut};
use hyper::body::{Body as HttpBody, Frame};
use kernel::Code;
use tokio::time::timeout;

use super::problem::Problem;

/// Largest body that is read whole, in bytes.
pub(super) const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Longest silence in the middle of a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

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

/// The next piece of a request's body; `None`: it is over.
pub(super) async fn next_piece(body: &mut Body) -> Result<Option<Bytes>, Problem> {
    loop {
        let frame = std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx));
        match timeout(BODY_TIMEOUT, frame).await {
            Err(_) => {
                let detail = format!("nothing came of the body for {} s", BODY_TIMEOUT.as_secs());
                return Err(Problem::of_http(StatusCode::REQUEST_TIMEOUT, detail));
            }
            Ok(None) => return Ok(None),
            Ok(Some(Err(e))) => {
                return Err(Problem::new(Code::InvalidRequest, format!("the body cannot be read: {e}")));
            }
            Ok(Some(Ok(frame))) => {
                if let Ok(piece) = frame.into_data() {
                    return Ok(Some(piece));
                }
            }
        }
    }
}

/// The whole body.
pub(super) async fn whole(mut body: Body) -> Result<Bytes, Problem> {
    let mut all = BytesMut::new();
    while let Some(piece) = next_piece(&mut body).await? {
        if all.len() + piece.len() > BODY_BYTES_MAX {
            drain(body).await;
            let detail = format!("the body is larger than {BODY_BYTES_MAX} bytes");
            return Err(Problem::new(Code::PayloadTooLarge, detail));
        }
        all.extend_from_slice(&piece);
    }
    Ok(all.freeze())
}

/// Takes a little more of a body that nobody wants, so that its sender comes to read the answer.
pub(super) async fn drain(mut body: Body) {
    const BYTES_MAX: usize = 16 * 1024 * 1024;
    const PATIENCE: Duration = Duration::from_secs(2);
    let mut left = BYTES_MAX;
    let reading = async {
        while let Ok(Some(piece)) = next_piece(&mut body).await
            && piece.len() <= left
        {
            left -= piece.len();
        }
    };
    let _ = timeout(PATIENCE, reading).await;
}

/// Refuses a body that says it is something else than `types`; one that does not say what it is may be anything.
pub(super) fn check_type(headers: &HeaderMap, types: &[&str]) -> Result<(), Problem> {
    let Some(shown) = headers.get(CONTENT_TYPE) else { return Ok(()) };
    let shown = shown.to_str().unwrap_or("?");
    let bare = shown.split(';').next().unwrap_or_default().trim();
    if types.iter().any(|t| bare.eq_ignore_ascii_case(t)) {
        return Ok(());
    }
    let detail = format!("the body is `{shown}`; send `Content-Type: {}`", types.first().unwrap_or(&""));
    Err(Problem::of_http(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_flow_makes_a_piece_when_it_is_asked_for_one() {
        let mut body = Flow::body(0u8, |n| async move { (n < 3).then(|| (Bytes::from(vec![n]), n + 1)) });
        for n in 0..3 {
            assert_eq!(next_piece(&mut body).await.unwrap().unwrap(), vec![n]);
        }
        assert!(next_piece(&mut body).await.unwrap().is_none());
        assert!(next_piece(&mut body).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_body_is_read_whole_within_its_limit() {
        let large = vec![b' '; BODY_BYTES_MAX + 1];
        assert_eq!(whole(Body::from("ab")).await.unwrap(), "ab");
        assert_eq!(whole(Body::from(large)).await.unwrap_err().code(), Code::PayloadTooLarge);
    }

    #[test]
    fn a_body_of_another_type_is_refused() {
        let mut headers = HeaderMap::new();
        assert!(check_type(&headers, &["application/json"]).is_ok());
        headers.insert(CONTENT_TYPE, "Application/JSON; charset=utf-8".parse().unwrap());
        assert!(check_type(&headers, &["application/json"]).is_ok());
        assert!(check_type(&headers, &["application/x-ndjson"]).is_err());
    }
}
