//! The HTTP door in the versions that clients may speak, packed and not, with TLS and without.

use std::io::Write as _;
use std::sync::Arc;

use http::{Method, Request};
use net::tls::{Trust, client};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::command::Running;
use crate::secured::certificates;
use crate::server::Server;

type Sender = h2::client::SendRequest<&'static [u8]>;

/// A client of HTTP/2 on a connection.
async fn second(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Sender {
    let (sender, connection) = h2::client::Builder::new().handshake(io).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn plain(server: &Server) -> Sender {
    second(TcpStream::connect(server.http().trim_start_matches("http://")).await.unwrap()).await
}

fn request(method: Method, path: &str, scheme: &str) -> Request<()> {
    Request::builder().method(method).uri(format!("{scheme}://localhost{path}")).body(()).unwrap()
}

/// Status and body of the answer to a request.
async fn ask(sender: &Sender, request: Request<()>, body: &'static [u8]) -> (u16, Vec<u8>) {
    let mut sender = sender.clone().ready().await.unwrap();
    let (answer, mut sending) = sender.send_request(request, false).unwrap();
    sending.send_data(body, true).unwrap();
    let answer = answer.await.unwrap();
    let status = answer.status().as_u16();
    let (mut body, mut all) = (answer.into_body(), Vec::new());
    while let Some(piece) = body.data().await {
        let piece = piece.unwrap();
        body.flow_control().release_capacity(piece.len()).unwrap();
        all.extend_from_slice(&piece);
    }
    (status, all)
}

#[tokio::test]
async fn a_client_may_begin_with_http_2_and_ask_many_things_at_once() {
    let server = Server::start();
    let sender = plain(&server).await;
    let asked = (0..50).map(|n| {
        let request = request(Method::POST, &format!("/v1/publish/a.{n}"), "http");
        let sender = sender.clone();
        tokio::spawn(async move { ask(&sender, request, b"x").await.0 })
    });
    for answer in asked.collect::<Vec<_>>() {
        assert_eq!(answer.await.unwrap(), 202);
    }
    let (status, body) = ask(&sender, request(Method::GET, "/v1/nodes?x=1", "http"), b"").await;
    assert_eq!(status, 400, "{}", String::from_utf8_lossy(&body));
    let stranger = Request::builder().uri("http://evil.example/varz").body(()).unwrap();
    assert_eq!(ask(&sender, stranger, b"").await.0, 403);
    for _ in 0..1100 {
        assert_eq!(ask(&sender, request(Method::POST, "/v1/publish/a", "http"), b"x").await.0, 202);
    }
    assert_eq!(server.get("/healthz").0, 200, "the other version is spoken on the same port");
}

#[tokio::test]
async fn a_flood_of_requests_that_are_taken_back_ends_its_connection_only() {
    let server = Server::start();
    let bystander = plain(&server).await;
    let mut sender = plain(&server).await;
    let mut sent = 0u32;
    while sent < 200_000 {
        sender = match sender.ready().await {
            Ok(sender) => sender,
            Err(_) => break,
        };
        let Ok((_, mut stream)) = sender.send_request(request(Method::POST, "/v1/publish/a", "http"), false)
        else {
            break;
        };
        // So that it is on its way before it is taken back.
        tokio::task::yield_now().await;
        stream.send_reset(h2::Reason::CANCEL);
        tokio::task::yield_now().await;
        sent += 1;
    }
    assert!(sent < 200_000, "the flood was never ended");
    assert_eq!(ask(&bystander, request(Method::GET, "/healthz", "http"), b"").await.0, 200);
}

#[tokio::test]
async fn with_a_certificate_the_door_speaks_tls_and_the_client_chooses_the_version() {
    let folder = certificates();
    let file = |name: &str| folder.path().join(name);
    let config =
        format!("[http]\ntls_cert_file = {:?}\ntls_key_file = {:?}\n", file("cert.pem"), file("key.pem"));
    let server = Server::within(TempDir::new().unwrap(), &config, &[]);
    let address = server.http().strip_prefix("https://").expect("an address with TLS").to_owned();
    let config = client(Trust::File(&file("ca.pem")), None).unwrap();
    for protocol in [&b"h2"[..], b"http/1.1"] {
        let mut config = (*config).clone();
        config.alpn_protocols = vec![protocol.to_vec()];
        let name = ServerName::try_from("localhost").unwrap();
        let socket = TcpStream::connect(&address).await.unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol));
        if protocol == b"h2" {
            let sender = second(stream).await;
            assert_eq!(ask(&sender, request(Method::GET, "/readyz", "https"), b"").await.0, 200);
        }
    }
    let clear = TcpStream::connect(&address).await.unwrap();
    clear.try_write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    clear.readable().await.unwrap();
    let mut bytes = [0; 100];
    let read = clear.try_read(&mut bytes).unwrap_or(0);
    assert!(!bytes[..read].starts_with(b"HTTP"), "the door speaks TLS only");
}

#[test]
fn bodies_may_be_packed_both_ways_and_events_are_not() {
    let server = Server::start();
    let web = server.web();
    let sub = Running::listening(server.nats(), &["sub", "a", "--max", "2", "--json"]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(b"packed").unwrap();
    web.post("/v1/publish/a", &[("Content-Encoding", "gzip")], &gzip.finish().unwrap()).ok(202);
    let packed = zstd::encode_all(&b"packed too"[..], 1).unwrap();
    web.post("/v1/publish/a", &[("Content-Encoding", "zstd")], &packed).ok(202);
    assert!(sub.out.next().contains(r#""payload":"packed""#));
    assert!(sub.out.next().contains(r#""payload":"packed too""#));
    for encoding in ["gzip", "zstd"] {
        let (headers, body) = web.bytes("/openapi.json", &[("Accept-Encoding", encoding)]);
        assert_eq!(headers["content-encoding"], encoding);
        let plain = match encoding {
            "gzip" => std::io::read_to_string(flate2::read::GzDecoder::new(&body[..])).unwrap(),
            _ => String::from_utf8(zstd::decode_all(&body[..]).unwrap()).unwrap(),
        };
        assert_eq!(plain, web.ask("GET", "/openapi.json", "").body);
    }
    let mut events = web.events("/v1/subscribe?subject=b", &[("Accept-Encoding", "gzip, zstd")]);
    web.post("/v1/publish/b", &[], b"x").ok(202);
    assert_eq!(events.next().unwrap().data["payload"], "x");
}
