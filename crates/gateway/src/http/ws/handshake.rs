//! The handshake of WebSocket (RFC 6455, section 4): a request of HTTP/1.1 that becomes a connection. No extension and no
//! subprotocol is agreed on. Who the client is, and whether its page may, is *not* asked here.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{
    CONNECTION, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Version};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::upgrade::downcast;
use kernel::Code;
use sha1::{Digest as _, Sha1};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::http::problem::Problem;
use crate::http::stall::Stall;
use crate::http::visit::Visit;
use crate::link::{Io, Upgraded};

/// What is added to a client's key.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// How long the answer may take to be written.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Answers the handshake; `begin` gets the connection when the answer is written.
pub(super) fn accept(
    mut request: Request,
    begin: impl FnOnce(Upgraded) + Send + 'static,
) -> Result<Response, Problem> {
    let key = match check(request.version(), request.headers()) {
        Ok(key) => key,
        Err(Wrong::Request(detail)) => return Err(Problem::of_http(StatusCode::BAD_REQUEST, detail)),
        Err(Wrong::Upgrade(detail)) => {
            let mut response = Problem::of_http(StatusCode::UPGRADE_REQUIRED, detail).into_response();
            response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
            response.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            return Ok(response);
        }
    };
    let visit = request.extensions().get::<Arc<Visit>>().cloned();
    let visit = visit.ok_or_else(|| Problem::new(Code::InternalError, "the request came from nowhere"))?;
    let upgrading = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(Ok(upgraded)) = timeout(TIMEOUT, upgrading).await else { return };
        begin(socket(upgraded, &visit));
    });
    let accept = HeaderValue::try_from(answer(&key))
        .map_err(|_| Problem::new(Code::InternalError, "the answer to the handshake cannot be written"))?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    Ok(response)
}

/// The connection under HTTP: where it is a socket in the clear, everybody may write to it.
fn socket(upgraded: hyper::upgrade::Upgraded, visit: &Visit) -> Upgraded {
    let (address, is_tls) = (visit.address, visit.is_tls);
    match downcast::<TokioIo<Stall<TcpStream>>>(upgraded) {
        Ok(parts) => {
            let io = Io::Socket(parts.io.into_inner().into_inner());
            Upgraded { address, is_tls, io, early: parts.read_buf }
        }
        Err(other) => {
            let io = Io::Stream(Box::new(TokioIo::new(other)));
            Upgraded { address, is_tls, io, early: Bytes::new() }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Wrong {
    Request(String),
    /// It is no handshake that is known here.
    Upgrade(String),
}

/// The client's key, if it is a handshake.
fn check(version: Version, headers: &HeaderMap) -> Result<HeaderValue, Wrong> {
    let has_word = |name: HeaderName, word: &str| {
        let values = headers.get_all(name).into_iter().filter_map(|v| v.to_str().ok());
        values.flat_map(|v| v.split(',')).any(|w| w.trim().eq_ignore_ascii_case(word))
    };
    let is_upgrade = has_word(CONNECTION, "upgrade") && has_word(UPGRADE, "websocket");
    if version != Version::HTTP_11 || !is_upgrade {
        return Err(Wrong::Upgrade("here is a WebSocket: connect with ws:// over HTTP/1.1".into()));
    }
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|v| v != "13") {
        return Err(Wrong::Upgrade("only version 13 of WebSocket is spoken".into()));
    }
    let mut keys = headers.get_all(SEC_WEBSOCKET_KEY).iter();
    let key = keys.next().filter(|key| BASE64.decode(key).is_ok_and(|k| k.len() == 16));
    match (key, keys.next()) {
        (Some(key), None) => Ok(key.clone()),
        _ => Err(Wrong::Request("Sec-WebSocket-Key: 16 bytes in base64, once".into())),
    }
}

/// What proves that the handshake was understood.
fn answer(key: &HeaderValue) -> String {
    let hash = Sha1::new().chain_update(key.as_bytes()).chain_update(GUID).finalize();
    BASE64.encode(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 4] = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    fn headers(but: (&'static str, &str)) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in GOOD {
            headers.insert(name, value.parse().unwrap());
        }
        match but.1 {
            "" => _ = headers.remove(but.0),
            value => _ = headers.insert(but.0, value.parse().unwrap()),
        }
        headers
    }

    #[test]
    fn a_handshake_is_answered_as_the_protocol_says() {
        let key = check(Version::HTTP_11, &headers(("x", "y"))).unwrap();
        assert_eq!(answer(&key), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "the example of RFC 6455");
    }

    #[test]
    fn what_is_no_handshake_is_told_what_is_missing() {
        for but in
            [("connection", "close"), ("upgrade", ""), ("upgrade", "h2c"), ("sec-websocket-version", "8")]
        {
            assert!(matches!(check(Version::HTTP_11, &headers(but)), Err(Wrong::Upgrade(_))), "{but:?}");
        }
        assert!(matches!(check(Version::HTTP_10, &headers(("x", "y"))), Err(Wrong::Upgrade(_))));
        for key in ["", "short", "dGhlIHNhbXBsZSBub25jZQ", "!!!!"] {
            let wrong = check(Version::HTTP_11, &headers(("sec-websocket-key", key)));
            assert!(matches!(wrong, Err(Wrong::Request(_))), "{key:?}");
        }
        let mut twice = headers(("x", "y"));
        twice.append("sec-websocket-key", GOOD[3].1.parse().unwrap());
        assert!(matches!(check(Version::HTTP_11, &twice), Err(Wrong::Request(_))));
    }
}
