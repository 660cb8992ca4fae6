//! WebSocket through a client that others wrote (tokio-tungstenite): JSON frames at `/v1/ws`, the NATS protocol at
//! `/nats`, and hostile bytes at both.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::error::Error;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async, connect_async};

use crate::lines::PATIENCE;
use crate::secured::certificates;
use crate::server::Server;

/// A client of either door.
struct Client(WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>);

impl Client {
    async fn with(server: &Server, path: &str, headers: &[(&'static str, &str)]) -> Result<Client, Error> {
        let url = format!("{}{path}", server.http().replace("http://", "ws://"));
        let mut request = url.into_client_request()?;
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        connect_async(request).await.map(|(socket, _)| Client(socket))
    }

    async fn json(server: &Server) -> Client {
        Client::with(server, "/v1/ws", &[]).await.unwrap()
    }

    async fn send(&mut self, frame: Value) {
        self.0.send(Message::text(frame.to_string())).await.unwrap();
    }

    async fn next(&mut self) -> Message {
        timeout(PATIENCE, self.0.next()).await.expect("a message").expect("an open connection").unwrap()
    }

    /// The next frame of JSON.
    async fn frame(&mut self) -> Value {
        loop {
            match self.next().await {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// All frames before the answer to a ping that is sent now.
    async fn until_pong(&mut self) -> Vec<Value> {
        self.send(json!({"op": "ping", "sid": "until"})).await;
        let mut frames = Vec::new();
        loop {
            let frame = self.frame().await;
            if frame == json!({"op": "pong", "sid": "until"}) {
                return frames;
            }
            frames.push(frame);
        }
    }

    /// The code and reason with which the door ends, and how many messages came before.
    async fn end(&mut self) -> (u16, String, usize) {
        let mut messages = 0;
        loop {
            match timeout(PATIENCE, self.0.next()).await.expect("an end") {
                Some(Ok(Message::Close(Some(frame)))) => {
                    return (frame.code.into(), frame.reason.to_string(), messages);
                }
                Some(Ok(Message::Text(_) | Message::Binary(_))) => messages += 1,
                Some(Ok(_)) => {}
                other => panic!("no close frame: {other:?}"),
            }
        }
    }
}

/// A raw connection after its handshake.
fn raw(server: &Server, path: &str) -> TcpStream {
    let mut socket = TcpStream::connect(server.http().trim_start_matches("http://")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        socket,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    .unwrap();
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        socket.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    socket
}

/// A frame as a client sends it.
fn frame(first: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match content.len() {
        len @ 0..126 => out.push(0x80 | len as u8),
        len => {
            out.push(0x80 | 126);
            out.extend((len as u16).to_be_bytes());
        }
    }
    out.extend([0; 4]);
    out.extend(content);
    out
}

/// Everything until the door closes.
fn rest(socket: &mut TcpStream) -> Vec<u8> {
    let (mut all, mut bytes) = (Vec::new(), [0; 65536]);
    loop {
        match socket.read(&mut bytes) {
            Ok(0) => return all,
            Ok(n) => all.extend_from_slice(&bytes[..n]),
            Err(e) if e.kind() == ErrorKind::ConnectionReset => return all,
            Err(e) => panic!("not closed: {e}"),
        }
    }
}

#[tokio::test]
async fn json_frames_publish_subscribe_and_ask() {
    let server = Server::start();
    let (mut a, mut b) = (Client::json(&server).await, Client::json(&server).await);
    a.send(json!({"op": "sub", "sid": "news", "subject": "news.*", "ok": true})).await;
    assert_eq!(a.frame().await, json!({"op": "ok", "sid": "news"}));
    b.send(json!({
        "op": "pub", "sid": 1, "ok": true, "subject": "news.tea", "id": "m1", "headers": {"Color": "blue"},
        "payload": {"cups": 2},
    }))
    .await;
    assert_eq!(b.frame().await, json!({"op": "ok", "sid": 1}));
    assert_eq!(
        a.frame().await,
        json!({
            "op": "msg", "sid": "news", "subject": "news.tea", "id": "m1", "headers": {"Color": "blue"},
            "payload": {"cups": 2},
        })
    );
    b.send(json!({"op": "pub", "subject": "news.raw", "payloadBase64": "/w=="})).await;
    assert_eq!(a.frame().await["payloadBase64"], "/w==");
    // A question, its answer, and one that nobody hears.
    b.send(json!({"op": "request", "sid": "q", "subject": "news.ask", "payload": "?"})).await;
    let question = a.frame().await;
    a.send(json!({"op": "pub", "subject": question["replyTo"], "payload": "!"})).await;
    let answer = b.frame().await;
    assert_eq!(
        (&answer["op"], &answer["sid"], &answer["payload"]),
        (&json!("msg"), &json!("q"), &json!("!"))
    );
    b.send(json!({"op": "request", "sid": "q", "subject": "nobody", "payload": "?"})).await;
    let refused = b.frame().await;
    assert_eq!(
        (&refused["op"], &refused["code"], &refused["sid"]),
        (&json!("err"), &json!(6001), &json!("q"))
    );
    b.send(json!({"op": "request", "sid": 5, "subject": "news.ask", "timeoutMs": 1})).await;
    assert_eq!(b.frame().await["code"], 1002);
    assert_eq!(a.until_pong().await.len(), 1, "the question itself");
    a.send(json!({"op": "unsub", "sid": "news", "ok": true})).await;
    assert_eq!(a.frame().await["op"], "ok");
    b.send(json!({"op": "pub", "subject": "news.late", "payload": ""})).await;
    b.until_pong().await;
    assert_eq!(a.until_pong().await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_stream_acknowledges_what_asks_for_it() {
    let server = Server::start();
    server.web().ask("PUT", "/v1/streams/S", r#"{"subjects":["s.>"]}"#).ok(201);
    let mut client = Client::json(&server).await;
    for (number, duplicate) in [(1, false), (2, true)] {
        client.send(json!({"op": "pub", "sid": number, "subject": "s.a", "id": "one", "ack": true})).await;
        let ok = json!({"op": "ok", "sid": number, "stream": "S", "seq": 1, "duplicate": duplicate});
        assert_eq!(client.frame().await, ok);
    }
    client.send(json!({"op": "pub", "sid": 3, "subject": "elsewhere", "ack": true})).await;
    assert_eq!(client.frame().await["code"], 6002);
    let mut listener = Client::json(&server).await;
    listener.send(json!({"op": "sub", "sid": 1, "subject": "elsewhere"})).await;
    listener.until_pong().await;
    for (op, headers) in [
        ("pub", json!({"Np-Delay": "1h"})),
        ("pub", json!({"np-guarantee": "at-least-once"})),
        ("request", json!({"Np-Delay": "1h"})),
    ] {
        client.send(json!({"op": op, "sid": 4, "subject": "elsewhere", "headers": headers})).await;
        assert_eq!(client.frame().await["code"], 6002, "{op} {headers}");
    }
    client.send(json!({"op": "pub", "sid": 5, "subject": "elsewhere", "ack": true})).await;
    assert_eq!(client.frame().await["code"], 6002, "who listens is no stream");
    server.web().ask("PUT", "/v1/streams/SILENT", r#"{"subjects":["silent"],"no_ack":true}"#).ok(201);
    client.send(json!({"op": "pub", "sid": 6, "subject": "silent", "ack": true})).await;
    let silent = client.frame().await;
    assert_eq!(silent["code"], 6002);
    assert!(silent["detail"].as_str().unwrap().contains("no_ack"), "{silent}");
    assert_eq!(listener.until_pong().await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_subscription_ends_after_its_last_message() {
    let server = Server::start();
    let mut client = Client::json(&server).await;
    client.send(json!({"op": "sub", "sid": 1, "subject": "a"})).await;
    client.send(json!({"op": "unsub", "sid": 1, "max": 2})).await;
    for n in 0..4 {
        client.send(json!({"op": "pub", "subject": "a", "payload": n.to_string()})).await;
    }
    assert_eq!(client.until_pong().await.len(), 2);
    server.until("the subscription is gone", |s| s.varz("subscriptions") == 0);
}

#[tokio::test]
async fn what_is_wrong_in_a_frame_is_told_and_the_connection_goes_on() {
    let server = Server::start();
    let mut client = Client::json(&server).await;
    for (text, code, words) in [
        ("{", 4001, "not a frame"),
        ("[]", 4001, "not a frame"),
        (r#"{"op":"subs","sid":1,"subject":"a"}"#, 4001, "did you mean `sub`?"),
        (r#"{"op":"sub","sid":1,"subjct":"a"}"#, 4001, "did you mean `subject`?"),
        (r#"{"op":"sub","subject":"a"}"#, 4001, "needs a sid"),
        (r#"{"op":"sub","sid":1,"subject":"a..b"}"#, 4003, "no pattern"),
        (r#"{"op":"pub","subject":"a.*"}"#, 4003, "no subject"),
        (r#"{"op":"pub","subject":"a","payload":"x","payloadBase64":"eA=="}"#, 4001, "both"),
        (r#"{"op":"unsub","sid":9}"#, 4001, "no subscription"),
        (r#"{"op":"request","sid":1,"subject":"a","timeoutMs":0}"#, 4001, "timeoutMs"),
    ] {
        client.0.send(Message::text(text)).await.unwrap();
        let frame = client.frame().await;
        assert_eq!((&frame["op"], &frame["code"]), (&json!("err"), &json!(code)), "{text}: {frame}");
        assert!(frame["detail"].as_str().unwrap().contains(words), "{text}: {frame}");
    }
    client.0.send(Message::binary(vec![1])).await.unwrap();
    assert_eq!(client.frame().await["code"], 4001);
    let large = "x".repeat(1_100_000);
    client.send(json!({"op": "pub", "sid": 1, "subject": "a", "payload": large})).await;
    assert_eq!(client.frame().await["code"], 6007);
    assert!(client.until_pong().await.is_empty());
}

#[tokio::test]
async fn who_somebody_is_comes_with_the_handshake_or_in_the_first_frame() {
    let config = "[nats]\nauth_timeout_ms = 500\n[[auth.users]]\nuser = \"ann\"\npassword = \"p\"\n\
                  publish_allow = [\"open.>\"]\nsubscribe_allow = [\"open.>\"]\n[[auth.users]]\ntoken = \"t0k\"\n";
    let server = Server::with(config, &[]);
    let mut basic = Client::with(&server, "/v1/ws", &[("authorization", "Basic YW5uOnA=")]).await.unwrap();
    basic.send(json!({"op": "sub", "sid": 1, "subject": "closed"})).await;
    assert_eq!(basic.frame().await["code"], 2002);
    basic.send(json!({"op": "pub", "sid": 1, "subject": "closed"})).await;
    assert_eq!(basic.frame().await["code"], 2002);
    let mut first = Client::json(&server).await;
    first.send(json!({"op": "auth", "sid": 0, "token": "t0k"})).await;
    assert_eq!(first.frame().await, json!({"op": "ok", "sid": 0}));
    first.send(json!({"op": "sub", "sid": 1, "subject": "closed", "ok": true})).await;
    assert_eq!(first.frame().await["op"], "ok");
    match Client::with(&server, "/v1/ws", &[("authorization", "Bearer wrong")]).await {
        Err(Error::Http(answer)) => assert_eq!(answer.status(), 401),
        _ => panic!("a stranger came in"),
    }
    let mut wrong = Client::json(&server).await;
    wrong.send(json!({"op": "auth", "token": "wrong"})).await;
    assert_eq!(wrong.end().await, (1008, "2001 AUTH_FAILED".into(), 0));
    let mut early = Client::json(&server).await;
    early.send(json!({"op": "sub", "sid": 1, "subject": "a"})).await;
    assert_eq!(early.end().await.0, 1008);
    let mut silent = Client::json(&server).await;
    assert_eq!(silent.end().await, (1008, "2001 AUTH_FAILED".into(), 0));
    let mut nats = Client::with(&server, "/nats", &[]).await.unwrap();
    assert!(nats.next().await.into_data().starts_with(b"INFO {"));
    nats.0.send(Message::binary("CONNECT {\"auth_token\":\"no\"}\r\n")).await.unwrap();
    assert_eq!(nats.next().await.into_data(), "-ERR 'Authorization Violation'\r\n");
}

#[tokio::test]
async fn the_nats_protocol_runs_in_frames_however_they_are_cut() {
    let server = Server::start();
    let mut client = Client::with(&server, "/nats", &[]).await.unwrap();
    let info = client.next().await.into_data();
    assert!(info.starts_with(b"INFO {") && info.ends_with(b"\r\n"));
    let script = b"CONNECT {\"verbose\":false,\"headers\":true}\r\nSUB a.> 7\r\nPUB a.b r 5\r\nhello\r\n\
        HPUB a.c 12 14\r\nNATS/1.0\r\n\r\nhi\r\nPING\r\n";
    for byte in script {
        client.0.send(Message::binary(vec![*byte])).await.unwrap();
    }
    let mut heard = Vec::new();
    while !heard.ends_with(b"PONG\r\n") {
        heard.extend_from_slice(&client.next().await.into_data());
    }
    let expected = "MSG a.b 7 r 5\r\nhello\r\nHMSG a.c 7 12 14\r\nNATS/1.0\r\n\r\nhi\r\nPONG\r\n";
    assert_eq!(String::from_utf8(heard).unwrap(), expected);
    // A large message, both ways, in one frame and in text.
    let mut large = b"PUB a.large 1000000\r\n".to_vec();
    large.extend(vec![b'x'; 1_000_000]);
    large.extend_from_slice(b"\r\n");
    client.0.send(Message::binary(large)).await.unwrap();
    client.0.send(Message::text("PING\r\n")).await.unwrap();
    let mut heard = 0;
    loop {
        let data = client.next().await.into_data();
        if data.ends_with(b"PONG\r\n") {
            heard += data.len() - 6;
            break;
        }
        heard += data.len();
    }
    assert_eq!(heard, "MSG a.large 7 1000000\r\n".len() + 1_000_002);
    client.0.send(Message::Ping(Bytes::from_static(b"still there?"))).await.unwrap();
    assert_eq!(client.next().await, Message::Pong(Bytes::from_static(b"still there?")));
    client.0.close(None).await.unwrap();
    while let Some(Ok(message)) = client.0.next().await {
        assert!(message.is_close(), "{message:?}");
    }
    server.until("it is gone", |s| s.varz("connections") == 0);
}

#[tokio::test]
async fn clients_of_all_doors_hear_each_other() {
    let server = Server::start();
    let mut json = Client::json(&server).await;
    json.send(json!({"op": "sub", "sid": 1, "subject": "x.>", "ok": true})).await;
    json.frame().await;
    let mut nats = Client::with(&server, "/nats", &[]).await.unwrap();
    nats.next().await;
    nats.0.send(Message::binary("CONNECT {\"verbose\":false}\r\nSUB x.> 1\r\nPING\r\n")).await.unwrap();
    assert_eq!(nats.next().await.into_data(), "PONG\r\n");
    let tcp = async_nats::connect(server.nats()).await.unwrap();
    tcp.publish("x.y", "hello".into()).await.unwrap();
    tcp.flush().await.unwrap();
    assert_eq!(json.frame().await["payload"], "hello");
    assert_eq!(nats.next().await.into_data(), "MSG x.y 1 5\r\nhello\r\n");
    let connz: Value = serde_json::from_str(&server.web().ask("GET", "/connz", "").body).unwrap();
    assert_eq!(connz["num_connections"], 3, "{connz}");
}

#[tokio::test]
async fn a_page_of_a_stranger_gets_no_socket() {
    let server = Server::start();
    for path in ["/nats", "/v1/ws"] {
        match Client::with(&server, path, &[("origin", "https://evil.example")]).await {
            Err(Error::Http(answer)) => assert_eq!(answer.status(), 403, "{path}"),
            _ => panic!("a stranger's page came in at {path}"),
        }
        assert!(Client::with(&server, path, &[("origin", "http://localhost:3000")]).await.is_ok());
        let plain = server.web().ask("GET", path, "");
        plain.problem(426, 4001);
        assert_eq!(plain.headers["upgrade"], "websocket");
    }
}

#[test]
fn bytes_that_are_no_frames_end_the_connection_with_their_code() {
    let server = Server::start();
    let unmasked = [&[0x81, 2][..], b"{}"].concat();
    let huge = [0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    for (bytes, code) in [
        (unmasked, 1002u16),
        (frame(0xc1, b"{}"), 1002),
        (frame(0x83, b""), 1002),
        (frame(0x80, b"x"), 1002),
        (frame(0x89, &[0; 126]), 1002),
        (frame(0x81, b"\xff"), 1007),
        (huge.to_vec(), 1009),
    ] {
        let mut socket = raw(&server, "/v1/ws");
        socket.write_all(&bytes).unwrap();
        let said = rest(&mut socket);
        assert_eq!((said[0], &said[2..4]), (0x88, &code.to_be_bytes()[..]), "{bytes:x?}");
    }
    for bytes in [[&[0x82, 6][..], b"PING\r\n"].concat(), frame(0xa2, b"x")] {
        let mut socket = raw(&server, "/nats");
        socket.write_all(&bytes).unwrap();
        let said = rest(&mut socket);
        assert!(said.ends_with(&[0x88, 2, 0x03, 0xea]), "{said:x?}");
    }
    let mut lost = raw(&server, "/nats");
    lost.write_all(&frame(0x82, b"NONSENSE\r\n")).unwrap();
    let said = rest(&mut lost);
    let error = b"-ERR 'Unknown Protocol Operation'\r\n";
    assert!(said.windows(error.len()).any(|w| w == error) && said.ends_with(&[0x88, 2, 0x03, 0xe8]));
    server.until("all are gone", |s| s.varz("connections") == 0);
}

#[tokio::test]
async fn a_reader_that_stalls_is_cut_with_a_reason_and_the_others_go_on() {
    let server = Server::with("[nats]\noutbox_bytes_max = 4194304\n", &[]);
    let (mut json, mut nats) =
        (Client::json(&server).await, Client::with(&server, "/nats", &[]).await.unwrap());
    json.send(json!({"op": "sub", "sid": 1, "subject": "flood", "ok": true})).await;
    json.frame().await;
    nats.next().await;
    nats.0.send(Message::binary("CONNECT {\"verbose\":false}\r\nSUB flood 1\r\nPING\r\n")).await.unwrap();
    nats.next().await;
    let mut bystander = Client::json(&server).await;
    bystander.send(json!({"op": "sub", "sid": 1, "subject": "talk", "ok": true})).await;
    bystander.frame().await;
    let mut publisher = raw(&server, "/nats");
    let block = format!("PUB flood 10000\r\n{}\r\n", "x".repeat(10_000)).repeat(6);
    let block = frame(0x82, block.as_bytes());
    publisher.write_all(&frame(0x82, b"CONNECT {\"verbose\":false,\"pedantic\":false}\r\n")).unwrap();
    server.until("both are cut", |s| {
        for _ in 0..20 {
            publisher.write_all(&block).unwrap();
        }
        s.varz("slow_consumers") == 2
    });
    let (code, reason, messages) = json.end().await;
    assert_eq!((code, &*reason), (1008, "1005 SLOW_CONSUMER"));
    assert!(messages > 0, "whole messages, then the reason");
    let mut last = Bytes::new();
    while let Some(Ok(Message::Binary(data))) = nats.0.next().await {
        last = data;
    }
    assert!(last.ends_with(b"-ERR 'Slow Consumer'\r\n"), "{:?}", &last[last.len().saturating_sub(60)..]);
    bystander.send(json!({"op": "pub", "subject": "talk", "payload": "well"})).await;
    assert_eq!(bystander.frame().await["payload"], "well");
}

#[test]
fn floods_of_pings_and_of_bad_frames_cost_bounded_memory() {
    let server = Server::with("[nats]\noutbox_bytes_max = 4194304\n", &[]);
    let before = server.varz("mem");
    for (path, flood) in
        [("/v1/ws", frame(0x89, b"ping")), ("/v1/ws", frame(0x81, b"{")), ("/nats", frame(0x89, b"ping"))]
    {
        let mut socket = raw(&server, path);
        socket.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
        let block = flood.repeat(10_000);
        // It never reads: either it is cut, or nothing of what it sends is kept.
        for _ in 0..200 {
            if socket.write_all(&block).is_err() {
                break;
            }
        }
    }
    let grown = server.varz("mem").saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes");
}

#[tokio::test]
async fn a_storm_of_subscriptions_meets_its_limit() {
    let server = Server::with("[nats]\nsubscriptions_max = 1000\n", &[]);
    let mut client = Client::json(&server).await;
    for n in 0..1010 {
        client.send(json!({"op": "sub", "sid": n, "subject": format!("storm.{n}")})).await;
    }
    let refused = client.until_pong().await;
    assert_eq!(refused.len(), 10);
    assert!(refused.iter().all(|frame| frame["code"] == 4004), "{refused:?}");
    assert_eq!(server.varz("subscriptions"), 1000);
    drop(client);
    server.until("they are gone with their client", |s| s.varz("subscriptions") == 0);
}

#[tokio::test]
async fn a_node_that_stops_says_so_and_ends_with_its_code() {
    let server = Server::with("lame_duck_ms = 300\n", &[]);
    let (mut json, mut nats) =
        (Client::json(&server).await, Client::with(&server, "/nats", &[]).await.unwrap());
    json.until_pong().await;
    nats.next().await;
    nats.0.send(Message::binary("CONNECT {\"verbose\":false,\"protocol\":1}\r\nPING\r\n")).await.unwrap();
    nats.next().await;
    server.signal(rustix::process::Signal::TERM);
    assert_eq!(json.frame().await["code"], 1003);
    let info = nats.next().await.into_data();
    assert!(String::from_utf8_lossy(&info).contains("\"ldm\":true"), "{info:?}");
    assert_eq!(json.end().await.0, 1001);
    assert_eq!(nats.end().await.0, 1001);
    drop((json, nats));
    assert!(server.ended().success());
}

#[tokio::test]
async fn a_client_that_answers_no_ping_is_stale() {
    let server = Server::with("[nats]\nping_interval_ms = 1000\npings_max = 1\n", &[]);
    let mut socket = raw(&server, "/v1/ws");
    let said = rest(&mut socket);
    assert!(said.starts_with(&[0x89, 0]) && said.ends_with(b"1002 TIMEOUT"), "{said:x?}");
    // A library answers by itself, and stays.
    let mut alive = Client::json(&server).await;
    for _ in 0..3 {
        assert!(alive.next().await.is_ping());
    }
    assert!(alive.until_pong().await.is_empty());
}

#[tokio::test]
async fn both_protocols_run_over_tls() {
    let folder = certificates();
    let file = |name: &str| folder.path().join(name);
    let config =
        format!("[http]\ntls_cert_file = {:?}\ntls_key_file = {:?}\n", file("cert.pem"), file("key.pem"));
    let server = Server::within(TempDir::new().unwrap(), &config, &[]);
    let address = server.http().strip_prefix("https://").expect("an address with TLS");
    let trust = net::tls::client(net::tls::Trust::File(&file("ca.pem")), None).unwrap();
    let open = async |path: &str| {
        let socket = tokio::net::TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(trust.clone()).connect(name, socket).await.unwrap();
        client_async(format!("wss://{address}{path}"), stream).await.unwrap().0
    };
    let mut json = open("/v1/ws").await;
    let mut nats = open("/nats").await;
    let info = timeout(PATIENCE, nats.next()).await.unwrap().unwrap().unwrap();
    assert!(info.into_data().starts_with(b"INFO {"));
    json.send(Message::text(json!({"op": "sub", "sid": 1, "subject": "big", "ok": true}).to_string()))
        .await
        .unwrap();
    let ok = timeout(PATIENCE, json.next()).await.unwrap().unwrap().unwrap();
    assert!(ok.to_text().unwrap().contains(r#""op":"ok""#), "{ok}");
    let payload = "x".repeat(300_000);
    let publish = format!("CONNECT {{}}\r\nPUB big {}\r\n{payload}\r\n", payload.len());
    nats.send(Message::binary(publish)).await.unwrap();
    let heard = timeout(PATIENCE, json.next()).await.unwrap().unwrap().unwrap();
    let heard: Value = serde_json::from_str(heard.to_text().unwrap()).unwrap();
    assert_eq!((&heard["subject"], &heard["payload"]), (&json!("big"), &json!(payload)));
}
