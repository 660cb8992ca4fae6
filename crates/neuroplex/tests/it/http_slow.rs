//! Clients of the HTTP door that do not take what they asked for: what the node holds for them is bounded, they are left in
//! the end, and nobody else is disturbed.

use http::{Method, Request};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::server::Server;

/// Makes a stream `S` of so many messages of so many bytes.
fn fill(server: &Server, count: usize, payload_bytes: usize) {
    let web = server.web();
    assert_eq!(web.ask("PUT", "/v1/streams/S", r#"{"subjects":["s"]}"#).status, 201);
    let payload = vec![b'x'; payload_bytes];
    for _ in 0..count {
        web.post("/v1/publish/s?ack=disk", &[], &payload).ok(200);
    }
}

/// A client of HTTP/1.1 that sends a request and takes no more of the answer than its system does by itself.
async fn stalled(server: &Server, path: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let address = server.http().trim_start_matches("http://").parse().unwrap();
    let mut socket = socket.connect(address).await.unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();
    // The answer has begun.
    socket.read_exact(&mut [0; 15]).await.unwrap();
    socket
}

#[tokio::test]
async fn an_answer_that_a_client_of_http_2_does_not_take_is_ended_and_its_others_go_on() {
    let server = Server::with("[http]\nwrite_timeout_ms = 300\n", &[]);
    fill(&server, 8, 500_000);
    let socket = TcpStream::connect(server.http().trim_start_matches("http://")).await.unwrap();
    let mut builder = h2::client::Builder::new();
    let (sender, connection) =
        builder.initial_connection_window_size(64 << 20).handshake::<_, &'static [u8]>(socket).await.unwrap();
    let connection = tokio::spawn(connection);
    let ask = |path: &str| {
        let request = Request::builder().method(Method::GET).uri(format!("http://localhost{path}"));
        let request = request.body(()).unwrap();
        let sender = sender.clone();
        async move { sender.ready().await.unwrap().send_request(request, true).unwrap().0.await.unwrap() }
    };
    // A stream that is followed, and a document that is whole in memory: each larger than a window.
    for path in ["/v1/streams/S/messages", "/openapi.json"] {
        let mut answer = ask(path).await.into_body();
        let mut bytes = 0;
        let error = loop {
            match answer.data().await {
                // Without saying so, so that the window stays closed.
                Some(Ok(piece)) => bytes += piece.len(),
                Some(Err(error)) => break error,
                None => panic!("{path} ended after {bytes} bytes"),
            }
        };
        assert_eq!((bytes, error.reason()), (65_535, Some(h2::Reason::CANCEL)), "{path}");
        let mut answer = ask("/openapi.json").await.into_body();
        while let Some(piece) = answer.data().await {
            let piece = piece.unwrap();
            answer.flow_control().release_capacity(piece.len()).unwrap();
        }
    }
    assert_eq!(server.limited("write_timeout_ms"), 2.0);
    server.until("nothing is held", |server| server.varz("outbox_buffer_bytes") == 0);
    assert!(!connection.is_finished());
}

#[tokio::test]
async fn followers_that_stop_reading_are_cut_when_the_nodes_budget_is_used_up() {
    let budget = 16 << 20;
    let server = Server::with(&format!("outboxes_bytes_max = {budget}\n"), &[]);
    fill(&server, 60, 100_000);
    let mut all = Vec::new();
    for _ in 0..60 {
        all.push(stalled(&server, "/v1/streams/S/messages").await);
    }
    let mut most = 0;
    server.until("some are cut", |server| {
        most = most.max(server.varz("outbox_buffer_bytes"));
        server.varz("slow_consumers") > 0
    });
    server.until("the budget is kept", |server| server.varz("outbox_buffer_bytes") <= budget);
    assert!(most < budget + (4 << 20), "{most}");
    // Who does not read is told from who reads by the second look at them, half a second apart.
    let uptime_ms =
        || server.web().ask("GET", "/v1/nodes", "").json()["items"][0]["uptime_ms"].as_u64().unwrap();
    let before = uptime_ms();
    server.until("it was looked twice", |_| uptime_ms() > before + 1000);
    let mut good = server.web().events("/v1/streams/S/messages?follow=false", &[]);
    let events = std::iter::from_fn(|| good.next()).filter(|event| event.kind == "message").count();
    assert_eq!(events, 60);
    drop(all);
    server.until("nothing is held", |server| server.varz("outbox_buffer_bytes") == 0);
}
