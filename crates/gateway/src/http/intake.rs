//! A request's body on its way in: unpacked, within limits of size and time, read whole or piece by piece. It does *not*
//! know what the pieces are.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_compression::tokio::bufread::{GzipDecoder, ZstdDecoder};
use async_compression::zstd::DParameter;
use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use bytes::{Buf as _, Bytes, BytesMut};
use hyper::body::Body as HttpBody;
use kernel::Code;
use tokio::io::{AsyncBufRead, AsyncRead, AsyncReadExt as _, ReadBuf};
use tokio::time::{Instant, timeout, timeout_at};

use super::HttpDoor;
use super::limits::{Held, Limit};
use super::problem::Problem;
use super::visit::Visit;

/// Bytes that are unpacked at once.
const UNPACK_BYTES: usize = 32 * 1024;
/// Largest window of zstd, as a power of two: what RFC 9659 allows over HTTP.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// How bodies may be packed.
pub(super) const ENCODINGS: &str = "gzip, zstd";

/// See the module.
pub(super) struct Intake {
    source: Source,
    media: Option<HeaderValue>,
    /// What `Content-Length` says, of a body that is not packed.
    announced: Option<u64>,
    door: Arc<HttpDoor>,
    visit: Option<Arc<Visit>>,
    held: Held,
}

enum Source {
    Plain(Body),
    Gzip(Box<GzipDecoder<Frames>>),
    Zstd(Box<ZstdDecoder<Frames>>),
}

impl FromRequest<Arc<HttpDoor>> for Intake {
    type Rejection = Problem;

    async fn from_request(request: Request, door: &Arc<HttpDoor>) -> Result<Intake, Problem> {
        let (mut parts, body) = request.into_parts();
        let visit = parts.extensions.remove();
        Intake::new(&parts.headers, body, door.clone(), visit)
    }
}

impl Intake {
    fn new(
        headers: &HeaderMap,
        body: Body,
        door: Arc<HttpDoor>,
        visit: Option<Arc<Visit>>,
    ) -> Result<Intake, Problem> {
        let packed = headers.get(CONTENT_ENCODING).map(|v| v.to_str().unwrap_or("?").trim());
        let source = match packed {
            None | Some("" | "identity") => Source::Plain(body),
            Some(name) if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") => {
                let mut decoder = GzipDecoder::new(Frames::new(body));
                decoder.multiple_members(true);
                Source::Gzip(Box::new(decoder))
            }
            Some(name) if name.eq_ignore_ascii_case("zstd") => {
                let window = [DParameter::window_log_max(ZSTD_WINDOW_LOG_MAX)];
                Source::Zstd(Box::new(ZstdDecoder::with_params(Frames::new(body), &window)))
            }
            Some(other) => {
                let detail = format!("the body is packed as `{other}`; this door unpacks {ENCODINGS}");
                return Err(Problem::of_http(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
            }
        };
        let length = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
        let announced = length.filter(|_| matches!(source, Source::Plain(_)));
        let held = Held::new(&door.limits);
        Ok(Intake { source, media: headers.get(CONTENT_TYPE).cloned(), announced, door, visit, held })
    }

    /// Refuses a body that says it is something else than `types`; one that does not say what it is may be anything.
    pub(super) fn check_type(&self, types: &[&str]) -> Result<(), Problem> {
        let Some(shown) = &self.media else { return Ok(()) };
        let shown = shown.to_str().unwrap_or("?");
        let bare = shown.split(';').next().unwrap_or_default().trim();
        if types.iter().any(|t| bare.eq_ignore_ascii_case(t)) {
            return Ok(());
        }
        let detail = format!("the body is `{shown}`; send `Content-Type: {}`", types.first().unwrap_or(&""));
        Err(Problem::of_http(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail))
    }

    /// Largest body that is a document, in bytes.
    pub(super) fn document_bytes_max(&self) -> usize {
        self.door.document_bytes_max
    }

    /// The next piece; `None`: it is over.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        let silence = self.door.times.body;
        match timeout(silence, self.source.next()).await {
            Ok(Ok(piece)) => Ok(piece),
            Ok(Err(e)) => {
                // Its client may have taken it back.
                self.visit.iter().for_each(|visit| visit.abandon());
                Err(Problem::new(Code::InvalidRequest, format!("the body cannot be read: {}", root(&e))))
            }
            Err(_) => {
                self.door.limits.count(Limit::BodyTime);
                let detail = format!("nothing came of the body for {} ms", silence.as_millis());
                Err(Problem::of_http(StatusCode::REQUEST_TIMEOUT, detail))
            }
        }
    }

    /// The whole body, of at most so many bytes.
    pub(super) async fn whole(&mut self, bytes_max: usize) -> Result<Bytes, Problem> {
        let read = match self.announced.is_some_and(|n| n > bytes_max as u64) {
            true => Err(self.too_large(bytes_max)),
            false => {
                let until = Instant::now() + self.door.times.request;
                timeout_at(until, self.gather(bytes_max)).await.unwrap_or_else(|_| {
                    self.door.limits.count(Limit::RequestTime);
                    let detail =
                        format!("the body did not come within {} ms", self.door.times.request.as_millis());
                    Err(Problem::of_http(StatusCode::REQUEST_TIMEOUT, detail))
                })
            }
        };
        if read.as_ref().is_err_and(|problem| problem.code() == Code::PayloadTooLarge) {
            self.drain().await;
        }
        read
    }

    async fn gather(&mut self, bytes_max: usize) -> Result<Bytes, Problem> {
        let Some(first) = self.next().await? else { return Ok(Bytes::new()) };
        self.keep(first.len(), first.len(), bytes_max)?;
        // Most bodies come in one piece.
        if self.source.is_over() {
            return Ok(first);
        }
        let mut all = BytesMut::from(&*first);
        while let Some(piece) = self.next().await? {
            self.keep(piece.len(), all.len() + piece.len(), bytes_max)?;
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }

    fn keep(&mut self, more: usize, all: usize, bytes_max: usize) -> Result<(), Problem> {
        match all > bytes_max {
            true => Err(self.too_large(bytes_max)),
            false => self.held.add(more),
        }
    }

    fn too_large(&self, bytes_max: usize) -> Problem {
        self.door.limits.count(Limit::BodyBytes);
        Problem::new(Code::PayloadTooLarge, format!("the body is larger than {bytes_max} bytes"))
    }

    /// Takes a little more of a body that nobody wants, so that its sender comes to read the answer.
    pub(super) async fn drain(&mut self) {
        const BYTES_MAX: usize = 16 * 1024 * 1024;
        const PATIENCE: Duration = Duration::from_secs(2);
        let Source::Plain(body) = &mut self.source else { return };
        let mut left = BYTES_MAX;
        let reading = async {
            while let Ok(Some(piece)) = next_of(body).await
                && piece.len() <= left
            {
                left -= piece.len();
            }
        };
        let _ = timeout(PATIENCE, reading).await;
    }
}

/// The cause of an error, without what hyper and axum say around it.
fn root(e: &io::Error) -> String {
    let mut cause: &dyn std::error::Error = e;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

impl Source {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        match self {
            Source::Plain(body) => next_of(body).await,
            Source::Gzip(decoder) => unpack(decoder).await,
            Source::Zstd(decoder) => unpack(decoder).await,
        }
    }

    fn is_over(&self) -> bool {
        matches!(self, Source::Plain(body) if body.is_end_stream())
    }
}

async fn next_of(body: &mut Body) -> io::Result<Option<Bytes>> {
    std::future::poll_fn(|cx| poll_data(body, cx)).await
}

fn poll_data(body: &mut Body, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
    loop {
        let Some(frame) = ready!(Pin::new(&mut *body).poll_frame(cx)) else { return Poll::Ready(Ok(None)) };
        match frame.map_err(io::Error::other)?.into_data() {
            Ok(data) if !data.is_empty() => return Poll::Ready(Ok(Some(data))),
            _ => {}
        }
    }
}

async fn unpack(decoder: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Bytes>> {
    let mut piece = BytesMut::with_capacity(UNPACK_BYTES);
    let read = decoder.read_buf(&mut piece).await?;
    Ok((read > 0).then(|| piece.freeze()))
}

/// A body as something to read.
struct Frames {
    body: Body,
    piece: Bytes,
}

impl Frames {
    fn new(body: Body) -> Frames {
        Frames { body, piece: Bytes::new() }
    }
}

impl AsyncBufRead for Frames {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        if this.piece.is_empty() {
            this.piece = ready!(poll_data(&mut this.body, cx))?.unwrap_or_default();
        }
        Poll::Ready(Ok(&this.piece))
    }

    fn consume(self: Pin<&mut Self>, bytes: usize) {
        self.get_mut().piece.advance(bytes);
    }
}

impl AsyncRead for Frames {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let piece = ready!(self.as_mut().poll_fill_buf(cx))?;
        let bytes = piece.len().min(into.remaining());
        into.put_slice(piece.get(..bytes).unwrap_or_default());
        self.consume(bytes);
        Poll::Ready(Ok(()))
    }
}
