//! Clients of the HTTP door that are slow, large, lying or strange: each gets a code or is left, memory stays bounded, and
//! nobody else is disturbed.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustix::net::{self, AddressFamily, SocketType};
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::json;

use crate::http::Web;
use crate::lines::PATIENCE;
use crate::server::Server;

/// A connection to the door, for bytes.
fn raw(server: &Server) -> TcpStream {
    let socket = TcpStream::connect(server.http().trim_start_matches("http://")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// Everything until the door closes.
fn rest(mut socket: &TcpStream) -> String {
    let (mut all, mut bytes) = (Vec::new(), [0; 65536]);
    loop {
        match socket.read(&mut bytes) {
            Ok(0) => break,
            Ok(n) => all.extend_from_slice(&bytes[..n]),
            Err(e) if e.kind() == ErrorKind::ConnectionReset => break,
            Err(e) => panic!("not closed: {e}"),
        }
    }
    String::from_utf8_lossy(&all).into_owned()
}

impl Server {
    /// A number among the metrics.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let (_, text) = self.get("/metrics");
        let line = text.lines().find(|l| l.strip_prefix(name).is_some_and(|l| l.starts_with(' ')));
        line.unwrap_or_else(|| panic!("no {name}")).rsplit_once(' ').unwrap().1.parse().unwrap()
    }

    /// How often a limit was met.
    pub(crate) fn limited(&self, limit: &str) -> f64 {
        self.metric(&format!("neuroplex_http_limited_total{{limit=\"{limit}\"}}"))
    }
}

/// The door still serves.
fn serves(web: &Web) {
    web.post("/v1/publish/bystander", &[], b"x").ok(202);
}

#[test]
fn who_says_nothing_or_only_a_little_is_left() {
    let server = Server::with("[http]\nheader_timeout_ms = 200\n", &[]);
    for said in ["", "P", "GET /healthz HT", "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: "] {
        let mut socket = raw(&server);
        socket.write_all(said.as_bytes()).unwrap();
        let answer = rest(&socket);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{said:?}: {answer}");
    }
    assert!(server.limited("header_timeout_ms") >= 2.0);
    serves(&server.web());
}

#[test]
fn a_body_that_stops_half_way_or_drips_is_answered_with_a_code() {
    let server = Server::with("[http]\nbody_timeout_ms = 300\nrequest_timeout_ms = 600\n", &[]);
    let head = "POST /v1/publish/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n";
    let mut stops = raw(&server);
    stops.write_all(format!("{head}half").as_bytes()).unwrap();
    let answer = rest(&stops);
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("nothing came of the body"), "{answer}");
    let mut drips = raw(&server);
    drips.write_all(head.as_bytes()).unwrap();
    let writer = drips.try_clone().unwrap();
    let dripping = std::thread::spawn(move || {
        for _ in 0..90 {
            std::thread::sleep(Duration::from_millis(50));
            if (&writer).write_all(b"x").is_err() {
                break;
            }
        }
    });
    let answer = rest(&drips);
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("did not come within"), "{answer}");
    dripping.join().unwrap();
    assert_eq!((server.limited("body_timeout_ms"), server.limited("request_timeout_ms")), (1.0, 1.0));
    let mut leaves = raw(&server);
    leaves.write_all(format!("{head}half").as_bytes()).unwrap();
    drop(leaves);
    serves(&server.web());
}

#[test]
fn heads_that_are_too_large_and_connections_that_are_too_many_are_refused() {
    let server = Server::with("[http]\nheader_bytes_max = 8192\nconnections_max = 4\n", &[]);
    let web = server.web();
    let large = "x".repeat(9000);
    web.post("/v1/publish/a", &[("X-A", &large), ("X-B", "y")], b"").problem(431, 4001);
    let larger = "x".repeat(100_000);
    let answer = web.try_ask("GET", "/healthz", &[("X-A", &larger)], b"");
    assert!(answer.is_err() || answer.is_ok_and(|a| a.status == 431));
    let many: Vec<String> = (0..300).map(|n| format!("X-{n}")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|name| (&**name, "x")).collect();
    let answer = web.try_ask("GET", "/healthz", &many, b"");
    assert!(answer.is_err() || answer.is_ok_and(|a| a.status == 431));
    assert_eq!(server.limited("header_bytes_max"), 1.0);
    let mut kept: Vec<TcpStream> = Vec::new();
    server.until("no more connections", |server| {
        let socket = raw(server);
        (&socket).write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let is_closed = !matches!((&socket).read(&mut [0; 64]), Ok(n) if n > 0);
        kept.push(socket);
        is_closed
    });
    assert!(kept.len() <= 5);
    kept.clear();
    server.until("room again", |server| server.web().try_ask("GET", "/healthz", &[], b"").is_ok());
    assert!(server.limited("connections_max") >= 1.0);
}

#[test]
fn what_unpacks_to_too_much_is_refused_before_it_is_held() {
    let server = Server::start();
    let web = server.web();
    let zeros = vec![0u8; 256 << 20];
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&zeros).unwrap();
    let bombs = [("gzip", gzip.finish().unwrap()), ("zstd", zstd::encode_all(&zeros[..], 1).unwrap())];
    drop(zeros);
    let before = server.metric("process_resident_memory_bytes");
    for (encoding, bomb) in &bombs {
        for path in ["/v1/publish/a", "/v1/messages", "/v1/request/a"] {
            web.post(path, &[("Content-Encoding", encoding)], bomb).problem(413, 6007);
        }
        web.post("/v1/publish/a", &[("Content-Encoding", encoding)], b"not packed").problem(400, 4001);
        web.post("/v1/publish/a", &[("Content-Encoding", encoding)], &bomb[..bomb.len() / 2]);
    }
    web.post("/v1/publish/a", &[("Content-Encoding", "br")], b"x").problem(415, 4001);
    let grown = server.metric("process_resident_memory_bytes") - before;
    assert!(grown < 64e6, "{grown} bytes more");
    assert_eq!(server.metric("neuroplex_http_bodies_bytes"), 0.0);
    serves(&web);
}

#[test]
fn what_is_nested_without_end_is_refused_or_passed_on_as_it_is() {
    let server = Server::start();
    let web = server.web();
    let deep = "[".repeat(500_000);
    web.ask("POST", "/v1/messages", &deep).problem(400, 4001);
    web.ask("POST", "/v1/messages", &format!("{{\"subject\":\"a\",\"payload\":{deep}")).problem(400, 4001);
    web.ask("PUT", "/v1/streams/S", &format!("{{\"metadata\":{deep}")).problem(400, 4001);
    web.ask("POST", "/v1/streams/S/consumers/C/ack", &deep).problem(400, 4001);
    let mut events = web.events("/v1/subscribe?subject=deep", &[]);
    let closed = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let answer = web.ask("POST", "/v1/messages", &format!("{{\"subject\":\"deep\",\"payload\":{closed}}}"));
    assert_eq!(answer.status, 202, "{answer:?}");
    web.post("/v1/publish/deep", &[], b"after").ok(202);
    assert_eq!(events.next_raw().matches('[').count(), 100_000);
    assert_eq!(events.next().unwrap().data["payload"], "after");
}

#[test]
fn readers_that_stop_reading_are_ended_and_others_read_on() {
    let server = Server::with("[http]\noutbox_bytes_max = 65536\nwrite_timeout_ms = 500\n", &[]);
    let web = server.web();
    let mut good = web.events("/v1/subscribe?subject=news", &[]);
    let stalled: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut socket = raw(&server);
            socket.write_all(b"GET /v1/subscribe?subject=news HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
            socket
        })
        .collect();
    server.until("everybody listens", |server| server.varz("connections") == 21);
    let payload = "x".repeat(60_000);
    server.until("those who stopped are left", |server| {
        server.web().post("/v1/publish/news", &[], payload.as_bytes()).ok(202);
        let event = good.next().unwrap();
        assert_eq!((&*event.kind, &event.data["payload"]), ("message", &json!(payload)));
        server.varz("connections") == 1
    });
    web.post("/v1/publish/news", &[], b"last").ok(202);
    assert_eq!(good.next().unwrap().data["payload"], "last");
    assert!(server.varz("slow_consumers") >= 20);
    let ended = rest(&stalled[0]);
    assert!(ended.contains("event: message"), "it was served before");
    assert_eq!(server.varz("outbox_buffer_bytes"), 0);
}

#[test]
fn a_reader_that_comes_back_in_time_is_told_that_it_was_too_slow() {
    let server = Server::with("[http]\noutbox_bytes_max = 65536\n", &[]);
    let mut events = server.web().events("/v1/subscribe?subject=news", &[]);
    let payload = "x".repeat(60_000);
    server.until("it is too slow", |server| {
        server.web().post("/v1/publish/news", &[], payload.as_bytes()).ok(202);
        server.varz("slow_consumers") == 1
    });
    let end = std::iter::from_fn(|| events.next()).find(|event| event.kind == "end").unwrap();
    assert_eq!((&end.data["code"], &end.data["name"]), (&json!(1005), &json!("SLOW_CONSUMER")));
    assert!(events.next().is_none());
    assert_eq!(server.limited("outbox_bytes_max"), 1.0);
}

/// How many readers there are at once in a crowd. A node serves a quarter of the files that its system allows it, so that
/// 10,000 would need 40,000 files.
const CROWD: usize = 2000;
/// Memory that an idle reader may cost in a build without optimisation, in bytes.
const IDLE_READER_BYTES_MAX: u64 = 48 * 1024;

/// So many readers of `news`, each with a receive buffer of so many bytes.
fn crowd(server: &Server, count: usize, buffer_bytes: usize) -> Vec<TcpStream> {
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    setrlimit(Resource::Nofile, files).unwrap();
    let address: SocketAddr = server.http().trim_start_matches("http://").parse().unwrap();
    let before = server.varz("connections");
    let reader = |_| {
        let socket = net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        // Before it is connected: afterwards the window is open already.
        net::sockopt::set_socket_recv_buffer_size(&socket, buffer_bytes).unwrap();
        net::connect(&socket, &address).unwrap();
        let mut socket = TcpStream::from(socket);
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.write_all(b"GET /v1/subscribe?subject=news HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        socket
    };
    let all: Vec<TcpStream> = (0..count).map(reader).collect();
    server.until("all listen", |server| server.varz("connections") == before + count as u64);
    all
}

#[test]
fn thousands_of_idle_readers_are_cheap_and_each_hears() {
    let server = Server::start();
    // What is made once is there before it is counted.
    drop(crowd(&server, 50, 1 << 16));
    server.until("they have left", |server| server.varz("connections") == 0);
    let before = server.varz("mem");
    let mut all = crowd(&server, CROWD, 1 << 16);
    let each = server.varz("mem").saturating_sub(before) / CROWD as u64;
    assert!(each < IDLE_READER_BYTES_MAX, "{each} bytes for each reader");
    server.web().post("/v1/publish/news", &[], b"heard").ok(202);
    for socket in &mut all {
        let (mut text, mut bytes) = (Vec::new(), [0; 4096]);
        while !text.windows(5).any(|w| w == b"heard") {
            let n = socket.read(&mut bytes).unwrap();
            assert!(n > 0, "closed after {}", String::from_utf8_lossy(&text));
            text.extend_from_slice(&bytes[..n]);
        }
    }
    drop(all);
    server.until("they have left", |server| server.varz("connections") == 0);
    assert_eq!(server.varz("subscriptions"), 0);
}

#[test]
fn thousands_of_readers_that_stop_reading_disturb_nobody() {
    let server = Server::with("[http]\noutbox_bytes_max = 65536\nwrite_timeout_ms = 2000\n", &[]);
    let mut good = server.web().events("/v1/subscribe?subject=news", &[]);
    let mut other = server.web().events("/v1/subscribe?subject=other", &[]);
    let before = server.varz("mem");
    let all = crowd(&server, CROWD, 2048);
    let payload = "x".repeat(20_000);
    let mut most = 0;
    server.until("all who stopped are left", |server| {
        server.web().post("/v1/publish/news", &[], payload.as_bytes()).ok(202);
        assert_eq!(good.next().unwrap().data["payload"], *payload);
        server.web().post("/v1/publish/other", &[], b"x").ok(202);
        assert_eq!(other.next().unwrap().data["payload"], "x");
        most = most.max(server.varz("mem"));
        server.varz("connections") == 2
    });
    let (each, most) = (65536 + IDLE_READER_BYTES_MAX, most.saturating_sub(before));
    assert!(most < CROWD as u64 * each, "{most} bytes for {CROWD} readers");
    // Each was left for what waited for it, or because it took nothing for so long.
    let left = server.varz("slow_consumers") as f64 + server.limited("write_timeout_ms");
    assert!(left >= CROWD as f64, "{left}");
    assert_eq!(server.varz("outbox_buffer_bytes"), 0);
    drop(all);
    serves(&server.web());
}
