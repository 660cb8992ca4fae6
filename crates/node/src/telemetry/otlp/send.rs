//! Requests to a collector, one at a time, over HTTP with protobuf or over gRPC. The connection is kept as long as it
//! works. It does *not* know what the bytes mean, and sends nothing again that was answered.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue, TE, USER_AGENT};
use hyper::{HeaderMap, Request, Response, StatusCode, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::telemetry::options::Protocol;

/// Most of an answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Traces,
    Logs,
    Metrics,
}

impl Signal {
    pub(super) const ALL: [Signal; 3] = [Signal::Traces, Signal::Logs, Signal::Metrics];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Signal::Traces => "traces",
            Signal::Logs => "logs",
            Signal::Metrics => "metrics",
        }
    }

    fn service(self) -> &'static str {
        match self {
            Signal::Traces => "trace.v1.TraceService",
            Signal::Logs => "logs.v1.LogsService",
            Signal::Metrics => "metrics.v1.MetricsService",
        }
    }
}

/// How something was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Nobody answered.
    Unanswered,
    /// It may be taken later.
    Passing,
    /// It will not be taken, and another may be.
    Lasting,
    /// Nothing of its signal will be taken.
    Unknown,
}

impl Refusal {
    /// Whether it may help to send it again.
    pub(super) fn is_passing(self) -> bool {
        matches!(self, Refusal::Unanswered | Refusal::Passing)
    }

    fn of_http(status: StatusCode) -> Refusal {
        match status.as_u16() {
            429 | 502 | 503 | 504 => Refusal::Passing,
            404 | 405 | 501 => Refusal::Unknown,
            _ => Refusal::Lasting,
        }
    }

    fn of_grpc(code: &str) -> Refusal {
        match code {
            // Cancelled, deadline, exhausted, aborted, out of range, unavailable, data loss.
            "1" | "4" | "8" | "10" | "11" | "14" | "15" => Refusal::Passing,
            // Unimplemented.
            "12" => Refusal::Unknown,
            _ => Refusal::Lasting,
        }
    }
}

/// Why something was not taken.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) why: String,
    pub(super) refusal: Refusal,
}

fn unanswered(why: impl ToString) -> Failure {
    Failure { why: why.to_string(), refusal: Refusal::Unanswered }
}

/// Where a collector is, and how it is spoken to.
pub(super) struct Collector {
    endpoint: Uri,
    protocol: Protocol,
    headers: Vec<(HeaderName, HeaderValue)>,
    timeout: Duration,
    /// For `https`.
    tls: Option<Arc<ClientConfig>>,
    /// What the last request left.
    kept: Option<Kept>,
}

/// A connection that may be used.
enum Kept {
    Http(http1::SendRequest<Full<Bytes>>),
    Grpc(http2::SendRequest<Full<Bytes>>),
}

impl Kept {
    /// False: it is over.
    async fn is_ready(&mut self) -> bool {
        match self {
            Kept::Http(sender) => sender.ready().await.is_ok(),
            Kept::Grpc(sender) => sender.ready().await.is_ok(),
        }
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
        match self {
            Kept::Http(sender) => sender.send_request(request).await,
            Kept::Grpc(sender) => sender.send_request(request).await,
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl Collector {
    pub(super) fn new(
        endpoint: Uri,
        protocol: Protocol,
        headers: Vec<(HeaderName, HeaderValue)>,
        timeout: Duration,
        tls: Option<Arc<ClientConfig>>,
    ) -> Collector {
        Collector { endpoint, protocol, headers, timeout, tls, kept: None }
    }

    /// Its host, for people.
    pub(super) fn host(&self) -> &str {
        self.endpoint.host().unwrap_or_default()
    }

    /// Sends one request and waits for its answer.
    pub(super) async fn send(&mut self, signal: Signal, body: Vec<u8>) -> Result<(), Failure> {
        let most = self.timeout;
        match timeout(most, self.exchange(signal, body)).await {
            Ok(done) => done,
            // The connection went with the request.
            Err(_) => Err(unanswered(format!("no answer within {} ms", most.as_millis()))),
        }
    }

    async fn exchange(&mut self, signal: Signal, body: Vec<u8>) -> Result<(), Failure> {
        let request = match self.protocol {
            Protocol::Http => self.http_request(signal, body)?,
            Protocol::Grpc => self.grpc_request(signal, &body)?,
        };
        if let Some(mut kept) = self.kept.take()
            && kept.is_ready().await
            && let Ok(response) = kept.send(request.clone()).await
        {
            return self.answered(kept, response).await;
        }
        // Collectors close what was silent for a while, perhaps just now.
        let mut kept = self.shake().await?;
        let response = kept.send(request).await.map_err(unanswered)?;
        self.answered(kept, response).await
    }

    /// A connection that is ready for requests.
    async fn shake(&self) -> Result<Kept, Failure> {
        let stream = TokioIo::new(self.connect().await.map_err(unanswered)?);
        Ok(match self.protocol {
            Protocol::Http => {
                let (sender, connection) = http1::handshake(stream).await.map_err(unanswered)?;
                tokio::spawn(connection);
                Kept::Http(sender)
            }
            Protocol::Grpc => {
                let shaken = http2::handshake(TokioExecutor::new(), stream).await;
                let (sender, connection) = shaken.map_err(unanswered)?;
                tokio::spawn(connection);
                Kept::Grpc(sender)
            }
        })
    }

    /// Reads an answer, and keeps the connection if it came whole.
    async fn answered(&mut self, kept: Kept, response: Response<Incoming>) -> Result<(), Failure> {
        let (status, early) = (response.status(), response.headers().clone());
        let collected = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let collected = collected.map_err(unanswered)?;
        self.kept = Some(kept);
        match self.protocol {
            Protocol::Http => judge_http(status, &collected.to_bytes()),
            Protocol::Grpc => judge_grpc(status, collected.trailers().unwrap_or(&early)),
        }
    }

    async fn connect(&self) -> std::io::Result<Box<dyn Stream>> {
        let wrong = || std::io::Error::other("the endpoint has no host");
        let host = self.endpoint.host().ok_or_else(wrong)?.trim_matches(['[', ']']);
        let default = if self.tls.is_some() { 443 } else { 80 };
        let port = self.endpoint.port_u16().unwrap_or(default);
        let stream = TcpStream::connect((host, port)).await?;
        let Some(tls) = &self.tls else { return Ok(Box::new(stream)) };
        let name = ServerName::try_from(host.to_owned()).map_err(std::io::Error::other)?;
        Ok(Box::new(TlsConnector::from(tls.clone()).connect(name, stream).await?))
    }

    fn request(&self, uri: Uri, media: &'static str, body: Vec<u8>) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = hyper::Method::POST;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
        let agent = concat!("neuroplex/", env!("CARGO_PKG_VERSION"));
        headers.insert(USER_AGENT, HeaderValue::from_static(agent));
        for (name, value) in &self.headers {
            headers.insert(name.clone(), value.clone());
        }
        request
    }

    fn http_request(&self, signal: Signal, body: Vec<u8>) -> Result<Request<Full<Bytes>>, Failure> {
        let path = format!("{}/v1/{}", self.endpoint.path().trim_end_matches('/'), signal.as_str());
        let uri: Uri = path.parse().map_err(unanswered)?;
        let mut request = self.request(uri, "application/x-protobuf", body);
        let host = self.endpoint.authority().map_or("", |authority| authority.as_str());
        request.headers_mut().insert(HOST, HeaderValue::from_str(host).map_err(unanswered)?);
        Ok(request)
    }

    fn grpc_request(&self, signal: Signal, body: &[u8]) -> Result<Request<Full<Bytes>>, Failure> {
        let (scheme, authority) = (self.endpoint.scheme_str().unwrap_or("http"), self.endpoint.authority());
        let authority = authority.map_or("", |authority| authority.as_str());
        let service = signal.service();
        let uri = format!("{scheme}://{authority}/opentelemetry.proto.collector.{service}/Export");
        let uri: Uri = uri.parse().map_err(unanswered)?;
        // A frame: not compressed, its length, itself.
        let length = u32::try_from(body.len()).map_err(unanswered)?;
        let framed = [&[0], &length.to_be_bytes()[..], body].concat();
        let mut request = self.request(uri, "application/grpc", framed);
        request.headers_mut().insert(TE, HeaderValue::from_static("trailers"));
        Ok(request)
    }
}

fn judge_http(status: StatusCode, said: &[u8]) -> Result<(), Failure> {
    if status.is_success() {
        return Ok(());
    }
    let said: String = String::from_utf8_lossy(said).chars().take(200).collect();
    let why = format!("HTTP {status} {said}").trim_end().to_owned();
    Err(Failure { why, refusal: Refusal::of_http(status) })
}

fn judge_grpc(status: StatusCode, trailers: &HeaderMap) -> Result<(), Failure> {
    let text = |name: &str| trailers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    match text("grpc-status") {
        "0" => Ok(()),
        // Somebody in between answered, who does not speak it.
        "" => {
            let refusal = if status.is_success() { Refusal::Passing } else { Refusal::of_http(status) };
            Err(Failure { why: format!("HTTP {status} without a gRPC status"), refusal })
        }
        code => Err(Failure {
            why: format!("gRPC status {code} {}", text("grpc-message")).trim_end().to_owned(),
            refusal: Refusal::of_grpc(code),
        }),
    }
}
