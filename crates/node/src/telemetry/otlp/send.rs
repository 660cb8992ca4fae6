//! One request to a collector, over HTTP with protobuf or over gRPC. It does *not* know what the bytes mean, and tries
//! nothing twice.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue, TE, USER_AGENT};
use hyper::{Request, Response, Uri};
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

/// Why something was not taken.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) why: String,
    /// Whether it may be taken later.
    pub(super) is_passing: bool,
}

fn passing(why: impl ToString) -> Failure {
    Failure { why: why.to_string(), is_passing: true }
}

/// Where a collector is, and how it is spoken to.
pub(super) struct Collector {
    pub(super) endpoint: Uri,
    pub(super) protocol: Protocol,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) timeout: Duration,
    /// For `https`.
    pub(super) tls: Option<Arc<ClientConfig>>,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl Collector {
    /// Sends one request and waits for its answer.
    pub(super) async fn send(&self, signal: Signal, body: Vec<u8>) -> Result<(), Failure> {
        let sent = async {
            let stream = self.connect().await.map_err(passing)?;
            match self.protocol {
                Protocol::Http => self.send_http(stream, signal, body).await,
                Protocol::Grpc => self.send_grpc(stream, signal, body).await,
            }
        };
        match timeout(self.timeout, sent).await {
            Ok(done) => done,
            Err(_) => Err(passing(format!("no answer within {} ms", self.timeout.as_millis()))),
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

    async fn send_http(&self, stream: Box<dyn Stream>, signal: Signal, body: Vec<u8>) -> Result<(), Failure> {
        let path = format!("{}/v1/{}", self.endpoint.path().trim_end_matches('/'), signal.as_str());
        let uri: Uri = path.parse().map_err(passing)?;
        let mut request = self.request(uri, "application/x-protobuf", body);
        let host = self.endpoint.authority().map_or("", |authority| authority.as_str());
        request.headers_mut().insert(HOST, HeaderValue::from_str(host).map_err(passing)?);
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(passing)?;
        let answer = async {
            let response = sender.send_request(request).await.map_err(passing)?;
            let status = response.status();
            let (_, said) = read(response).await?;
            if status.is_success() {
                return Ok(());
            }
            let is_passing = matches!(status.as_u16(), 429 | 502 | 503 | 504);
            let said: String = String::from_utf8_lossy(&said).chars().take(200).collect();
            Err(Failure { why: format!("HTTP {status} {said}").trim_end().to_owned(), is_passing })
        };
        drive(connection, answer).await
    }

    async fn send_grpc(&self, stream: Box<dyn Stream>, signal: Signal, body: Vec<u8>) -> Result<(), Failure> {
        let (scheme, authority) = (self.endpoint.scheme_str().unwrap_or("http"), self.endpoint.authority());
        let authority = authority.map_or("", |authority| authority.as_str());
        let service = signal.service();
        let uri = format!("{scheme}://{authority}/opentelemetry.proto.collector.{service}/Export");
        let uri: Uri = uri.parse().map_err(passing)?;
        // A frame: not compressed, its length, itself.
        let length = u32::try_from(body.len()).map_err(passing)?;
        let framed = [&[0], &length.to_be_bytes()[..], &body].concat();
        let mut request = self.request(uri, "application/grpc", framed);
        request.headers_mut().insert(TE, HeaderValue::from_static("trailers"));
        let shaken = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
        let (mut sender, connection) = shaken.map_err(passing)?;
        let answer = async {
            let response = sender.send_request(request).await.map_err(passing)?;
            let (status, early) = (response.status(), response.headers().clone());
            let (trailers, _) = read(response).await?;
            let trailers = trailers.unwrap_or(early);
            let text = |name: &str| trailers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
            match text("grpc-status") {
                "0" => Ok(()),
                "" => Err(passing(format!("HTTP {status} without a gRPC status"))),
                code => Err(Failure {
                    why: format!("gRPC status {code} {}", text("grpc-message")).trim_end().to_owned(),
                    // Cancelled, deadline, exhausted, aborted, out of range, unavailable, data loss.
                    is_passing: matches!(code, "1" | "4" | "8" | "10" | "11" | "14" | "15"),
                }),
            }
        };
        drive(connection, answer).await
    }
}

/// Waits for an answer while its connection works.
async fn drive<T>(
    connection: impl Future<Output = Result<(), hyper::Error>>,
    answer: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let mut answer = std::pin::pin!(answer);
    tokio::select! {
        biased;
        done = answer.as_mut() => return done,
        ended = connection => ended.map_err(passing)?,
    }
    answer.await
}

/// The trailers and the body of an answer.
async fn read(response: Response<Incoming>) -> Result<(Option<hyper::HeaderMap>, Bytes), Failure> {
    let collected = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    let collected = collected.map_err(passing)?;
    Ok((collected.trailers().cloned(), collected.to_bytes()))
}
