//! What a node tells of itself: contexts in messages, metrics by route, and logs that hold no secret.

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::command::Running;
use crate::server::Server;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[test]
fn a_context_travels_from_a_request_into_its_message_and_back_without_a_collector() {
    let server = Server::start();
    let sub = Running::listening(server.nats(), &["sub", "events.>", "--max", "2", "--json"]);
    let headers = [("traceparent", PARENT), ("tracestate", "a=1"), ("X-Correlation-ID", "c1")];
    let answer = server.web().try_ask("POST", "/v1/publish/events.a", &headers, b"1").unwrap();
    assert_eq!((answer.status, &*answer.headers["traceparent"]), (202, PARENT));
    assert_eq!(answer.headers["x-trace-id"], PARENT[3..35]);
    assert_eq!(answer.headers["x-correlation-id"], "c1");
    let line: Value = serde_json::from_str(&sub.out.next()).unwrap();
    assert_eq!(
        (&line["headers"]["traceparent"], &line["headers"]["tracestate"]),
        (&PARENT.into(), &"a=1".into())
    );
    assert_eq!(line["correlationId"], "c1");
    // Without a collector nothing begins: a request without a context leaves no header.
    let answer = server.web().try_ask("POST", "/v1/publish/events.a", &[], b"2").unwrap();
    assert!(!answer.headers.contains_key("traceparent"), "{answer:?}");
    let line: Value = serde_json::from_str(&sub.out.next()).unwrap();
    assert_eq!(line["headers"]["traceparent"], Value::Null, "{line}");
}

#[test]
fn requests_are_counted_by_route_and_never_by_path() {
    let server = Server::start();
    let web = server.web();
    for n in 0..20 {
        web.ask("GET", &format!("/v1/streams/S{n}"), "");
        web.ask("GET", &format!("/nowhere/{n}"), "");
    }
    let text = web.ask("GET", "/metrics", "").body;
    let row = |start: &str| text.lines().find(|line| line.starts_with(start)).map(str::to_owned);
    let of_route = r#"http_requests_total{method="GET",path="/v1/streams/{stream}",status="404"} 20"#;
    assert_eq!(row(of_route).as_deref(), Some(of_route), "{text}");
    let of_none = r#"http_requests_total{method="GET",path="unmatched",status="404"} 20"#;
    assert_eq!(row(of_none).as_deref(), Some(of_none), "{text}");
    let took = r#"http_request_duration_seconds_count{method="GET",path="/v1/streams/{stream}"} 20"#;
    assert_eq!(row(took).as_deref(), Some(took), "{text}");
    assert!(!text.contains("S7") && !text.contains("nowhere"), "{text}");
}

#[test]
fn no_secret_is_logged_even_when_everything_is() {
    let folder = TempDir::new().unwrap();
    let logs = folder.path().join("logs");
    std::fs::create_dir(&logs).unwrap();
    let config = format!(
        "[log]\nlevel = \"trace\"\nformat = \"json\"\nfile = {:?}\n[[auth.users]]\nuser = \"ann\"\npassword = \
         \"open-sesame\"\n[[auth.users]]\ntoken = \"tok-geheim\"\n",
        logs.join("node.log")
    );
    let server = Server::within(folder, &config, &[]);
    let web = server.web();
    // ann:open-sesame, and ann:wrong-geheim
    for shown in [
        "Basic YW5uOm9wZW4tc2VzYW1l",
        "Basic YW5uOndyb25nLWdlaGVpbQ==",
        "Bearer tok-geheim",
        "Bearer bad-geheim",
    ] {
        let headers = [("Authorization", shown), ("X-Correlation-ID", "c1")];
        web.try_ask("POST", "/v1/publish/a", &headers, b"1").unwrap();
    }
    for user in ["ann:open-sesame", "ann:wrong-geheim"] {
        let url = server.nats().replace("://", &format!("://{user}@"));
        crate::command::run(&url, &["pub", "a", "1"]);
    }
    let data = server.data();
    server.signal(Signal::INT);
    let logs = data.parent().unwrap().join("logs");
    let mut text = String::new();
    // The end writes what waits; only then may it be read.
    let path = std::fs::read_dir(&logs).unwrap().next().unwrap().unwrap().path();
    let deadline = std::time::Instant::now() + crate::lines::PATIENCE;
    while !text.contains("answered") || !text.contains("wrong credentials") {
        text = std::fs::read_to_string(&path).unwrap();
        assert!(std::time::Instant::now() < deadline, "{text}");
        std::thread::yield_now();
    }
    for secret in ["open-sesame", "geheim", "YW5u", "Bearer ", "Basic "] {
        assert!(!text.contains(secret), "{secret}");
    }
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(
            line["time"].is_string() && line["level"].is_string() && line["target"].is_string(),
            "{line}"
        );
    }
    let of_request = text.lines().find(|line| line.contains("answered")).unwrap();
    let of_request: Value = serde_json::from_str(of_request).unwrap();
    assert_eq!(
        (&of_request["correlation_id"], &of_request["route"]),
        (&"c1".into(), &"/v1/publish/{subject}".into())
    );
}
