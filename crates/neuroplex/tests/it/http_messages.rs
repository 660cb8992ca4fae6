//! Messages through the HTTP door: published, asked, listened to.

use rustix::process::Signal;
use serde_json::json;

use crate::command::{Running, run};
use crate::http::Web;
use crate::server::Server;

impl Web {
    /// Posts bytes with headers.
    pub(crate) fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> crate::http::Answer {
        self.try_ask("POST", path, headers, body).unwrap()
    }
}

#[test]
fn what_is_published_arrives_with_its_headers_and_its_identity() {
    let server = Server::start();
    let web = server.web();
    let sub = Running::listening(server.nats(), &["sub", "events.>", "--max", "2", "--json"]);
    let headers = [("Np-Header-Color", "blue"), ("Np-Priority", "high"), ("Nats-Msg-Id", "m1")];
    let answer = web.post("/v1/publish/events.hello", &headers, br#"{"hi":1}"#).ok(202);
    assert_eq!(answer, json!({"id": "m1"}));
    let line: serde_json::Value = serde_json::from_str(&sub.out.next()).unwrap();
    assert_eq!(
        (&line["id"], &line["priority"], &line["headers"], &line["payload"]),
        (&json!("m1"), &json!("high"), &json!({"Color": "blue"}), &json!({"hi": 1}))
    );
    let made = web.post("/v1/publish/events.x", &[], b"\xff").ok(202);
    let line: serde_json::Value = serde_json::from_str(&sub.out.next()).unwrap();
    assert_eq!((&line["id"], &line["payloadBase64"]), (&made["id"], &json!("/w==")));
    assert_eq!(made["id"].as_str().unwrap().as_bytes()[14], b'7', "a version 7 identity");
}

#[test]
fn who_waits_is_told_where_a_message_is_kept_and_that_nobody_keeps_it() {
    let server = Server::start();
    let web = server.web();
    web.ask("PUT", "/v1/streams/S", r#"{"subjects":["s.>"]}"#).ok(201);
    let id = [("Nats-Msg-Id", "m1")];
    let stored = web.post("/v1/publish/s.a?ack=disk", &id, b"x").ok(200);
    assert_eq!(stored, json!({"id": "m1", "stream": "S", "seq": 1, "duplicate": false}));
    let stored = web.post("/v1/publish/s.a?ack=mem", &id, b"x").ok(200);
    assert_eq!((&stored["seq"], &stored["duplicate"]), (&json!(1), &json!(true)));
    web.post("/v1/publish/t?ack=disk", &[], b"x").problem(404, 6002);
    let _sub = Running::listening(server.nats(), &["sub", "t"]);
    web.post("/v1/publish/t?ack=disk", &[], b"x").problem(404, 6002);
    web.post("/v1/publish/t", &[("Np-Guarantee", "at-least-once")], b"x").problem(404, 6002);
    // A service of the node hears it, and keeps nothing.
    web.post("/v1/publish/$JS.API.INFO?ack=disk", &[], b"").problem(404, 6002);
    web.post("/v1/publish/t", &[], b"x").ok(202);
}

#[test]
fn without_options_a_message_is_stored_where_a_stream_captures_it_and_goes_its_way_elsewhere() {
    let server = Server::start();
    let web = server.web();
    web.ask("PUT", "/v1/streams/S", r#"{"subjects":["s.>"],"max_msg_size":1000}"#).ok(201);
    web.ask("PUT", "/v1/streams/SILENT", r#"{"subjects":["silent"],"no_ack":true}"#).ok(201);
    let id = [("Nats-Msg-Id", "m1")];
    for is_again in [false, true] {
        let stored = web.post("/v1/publish/s.a", &id, b"x").ok(200);
        assert_eq!(stored, json!({"id": "m1", "stream": "S", "seq": 1, "duplicate": is_again}));
    }
    assert_eq!(web.post("/v1/publish/s.a", &[], &[b'x'; 1000]).status, 413, "a refusal is told");
    web.post("/v1/publish/elsewhere", &[], b"x").ok(202);
    web.post("/v1/publish/s.a", &[("Np-Guarantee", "at-most-once")], b"x").ok(202);
    web.post("/v1/publish/silent", &[], b"x").ok(202);
    let problem = web.post("/v1/publish/silent?ack=mem", &[], b"x").problem(404, 6002);
    assert!(problem["detail"].as_str().unwrap().contains("no_ack"), "{problem}");
    web.ask("PUT", "/v1/streams/SILENT", r#"{"subjects":["silent"]}"#).ok(200);
    web.post("/v1/publish/silent", &[], b"x").ok(200);
    let both = r#"{"destination":["s.a","elsewhere"],"payload":"x"}"#;
    let sent = web.ask("POST", "/v1/messages", both).ok(200);
    assert_eq!((&sent["sent"][0]["stream"], &sent["sent"][1]["stream"]), (&json!("S"), &json!(null)));
    web.ask("DELETE", "/v1/streams/S", "").ok(200);
    web.post("/v1/publish/s.a", &[], b"x").ok(202);
}

#[test]
fn who_listens_hears_once_what_a_full_stream_refuses_unless_the_sender_asks_for_more() {
    let server = Server::start();
    let web = server.web();
    web.ask("PUT", "/v1/streams/S", r#"{"subjects":["s"],"max_msgs":1,"discard":"new"}"#).ok(201);
    web.post("/v1/publish/s", &[], b"first").ok(200);
    let mut events = web.events("/v1/subscribe?subject=s", &[]);
    assert_eq!(web.post("/v1/publish/s", &[], b"refused").status, 503);
    let twice = r#"{"subject":"s","payload":"twice","deliveryOptions":{"retry":{"maxAttempts":2,"baseDelayMs":1,"maxDelayMs":1}}}"#;
    assert_eq!(web.ask("POST", "/v1/messages", twice).status, 503);
    web.post("/v1/publish/s", &[("Np-Guarantee", "at-most-once")], b"last").ok(202);
    let heard: Vec<_> = (0..4).map(|_| events.next().unwrap().data["payload"].clone()).collect();
    assert_eq!(heard, ["refused", "twice", "twice", "last"]);
}

#[test]
fn a_message_is_as_safe_as_it_asks_to_be_or_is_told_why_not() {
    let server = Server::start();
    let web = server.web();
    let config = |storage, level: &str| json!({"subjects": [level], "storage": storage, "metadata": {"np.ack": level}});
    for (storage, level) in [("memory", "mem"), ("file", "os"), ("file", "disk")] {
        web.ask("PUT", &format!("/v1/streams/{level}"), &config(storage, level).to_string()).ok(201);
        for asked in ["mem", "os", "disk"] {
            let ways = [
                web.post(&format!("/v1/publish/{level}?ack={asked}"), &[], b"x"),
                web.post(&format!("/v1/publish/{level}"), &[("Np-Ack", asked)], b"x"),
            ];
            for answer in ways {
                match (storage, asked) {
                    ("memory", "os" | "disk") => _ = answer.problem(400, 4001),
                    _ => _ = answer.ok(200),
                }
            }
        }
    }
    for (subject, persistent, status) in [("mem", true, 400), ("mem", false, 200), ("disk", true, 200)] {
        let message = json!({"subject": subject, "deliveryOptions": {"persistent": persistent}});
        assert_eq!(web.ask("POST", "/v1/messages", &message.to_string()).status, status, "{message}");
    }
    let stored = web.ask("GET", "/v1/streams/os/messages?follow=false&subject=os", "");
    assert!(stored.body.contains(r#""Np-Ack":"disk""#), "{}", stored.body);
}

#[test]
fn a_question_is_answered_or_is_told_why_not() {
    let server = Server::start();
    let web = server.web();
    web.post("/v1/request/nobody", &[], b"?").problem(503, 6001);
    let _service = Running::listening(server.nats(), &["reply", "up.*", "--exec", "tr a-z A-Z"]);
    for _ in 0..3 {
        let answer = web.post("/v1/request/up.x?timeout_ms=20000", &[], b"hello");
        assert_eq!((answer.status, answer.body.trim()), (200, "HELLO"));
        assert_eq!(answer.headers["content-type"], "application/octet-stream");
    }
    let _deaf = Running::listening(server.nats(), &["sub", "deaf"]);
    web.post("/v1/request/deaf?timeout_ms=50", &[], b"?").problem(504, 1002);
    web.post("/v1/request/deaf?timeout_ms=0", &[], b"?").problem(400, 4001);
}

#[test]
fn a_message_with_options_is_delivered_as_they_say() {
    let server = Server::start();
    let web = server.web();
    web.ask("PUT", "/v1/streams/S", r#"{"subjects":["s.>"]}"#).ok(201);
    let sub = Running::listening(server.nats(), &["sub", "t", "--max", "1", "--json"]);
    let plain =
        web.ask("POST", "/v1/messages", r#"{"subject":"t","type":"event","payload":{"n":1}}"#).ok(202);
    assert_eq!(plain["sent"], json!([{"subject": "t"}]));
    let line: serde_json::Value = serde_json::from_str(&sub.out.next()).unwrap();
    assert_eq!((&line["id"], &line["type"]), (&plain["id"], &json!("event")));
    let exactly = r#"{"id":"m1","destination":["s.a","s.b"],"payload":"x","deliveryOptions":{"guarantee":"exactly-once"}}"#;
    let sent = web.ask("POST", "/v1/messages", exactly).ok(200);
    let at = |n: usize| (sent["sent"][n]["subject"].clone(), sent["sent"][n]["seq"].clone());
    assert_eq!((at(0), at(1)), ((json!("s.a"), json!(1)), (json!("s.b"), json!(1))));
    let partly = r#"{"destination":["s.a","t"],"deliveryOptions":{"guarantee":"at-least-once"}}"#;
    let sent = web.ask("POST", "/v1/messages", partly).ok(200);
    assert_eq!((&sent["sent"][0]["seq"], &sent["sent"][1]["error"]["code"]), (&json!(2), &json!(6002)));
    let nowhere = r#"{"subject":"t","deliveryOptions":{"persistent":true}}"#;
    web.ask("POST", "/v1/messages", nowhere).problem(404, 6002);
    for bad in ["", "{}", "[]", r#"{"subject":"a","ttl":"x"}"#] {
        web.ask("POST", "/v1/messages", bad).problem(400, 4001);
    }
    web.ask("POST", "/v1/messages", r#"{"subject":"a b"}"#).problem(400, 4003);
}

#[test]
fn what_must_be_kept_is_refused_on_every_route_where_no_stream_captures_it() {
    let server = Server::start();
    let web = server.web();
    web.ask("PUT", "/v1/streams/S", r#"{"subjects":["s"]}"#).ok(201);
    let mut listener = web.events("/v1/subscribe?subject=loose", &[]);
    for header in [("Np-Delay", "1h"), ("np-guarantee", "at-least-once"), ("Np-Ack", "mem")] {
        web.post("/v1/publish/loose", &[header], b"x").problem(404, 6002);
        web.post("/v1/request/loose", &[header], b"x").problem(404, 6002);
        for name in [header.0.to_owned(), header.0.to_lowercase(), header.0.to_uppercase()] {
            let message = json!({"subject": "loose", "headers": {name: header.1}});
            web.ask("POST", "/v1/messages", &message.to_string()).problem(404, 6002);
        }
        web.post("/v1/publish/s", &[header], b"x").ok(200);
    }
    // No time is no delay, on this door as on the others.
    web.post("/v1/publish/loose", &[("Np-Delay", "0")], b"now").ok(202);
    assert_eq!(listener.next().unwrap().data["payload"], "now", "and nothing of what was refused");
    let late = json!({"subject": "s", "headers": {"np-delay": "9000h"}});
    web.ask("POST", "/v1/messages", &late.to_string()).problem(400, 4001);
}

#[test]
fn a_message_that_must_be_stored_has_no_other_reply_and_one_that_need_not_keeps_its_own() {
    let server = Server::start();
    let web = server.web();
    web.ask("PUT", "/v1/streams/S", r#"{"subjects":["s"]}"#).ok(201);
    let must = r#"{"subject":"s","replyTo":"r","deliveryOptions":{"guarantee":"at-least-once"}}"#;
    let problem = web.ask("POST", "/v1/messages", must).problem(400, 4001);
    assert!(problem["detail"].as_str().unwrap().contains("replyTo"), "{problem}");
    let mut replies = web.events("/v1/subscribe?subject=r", &[]);
    web.ask("POST", "/v1/messages", r#"{"subject":"s","replyTo":"r"}"#).ok(202);
    assert_eq!(replies.next().unwrap().data["payload"]["seq"], 1, "the stream answers where it was told");
}

#[test]
fn a_message_goes_to_all_its_subjects_at_once_and_a_node_that_stops_waits_for_none() {
    let server = Server::start();
    let web = server.web();
    let full = r#"{"subjects":["full"],"max_msgs":1,"discard":"new"}"#;
    web.ask("PUT", "/v1/streams/FULL", full).ok(201);
    web.post("/v1/publish/full", &[], b"x").ok(200);
    web.ask("PUT", "/v1/streams/S", r#"{"subjects":["s"]}"#).ok(201);
    let message = json!({"destination": ["full", "s"], "deliveryOptions":
        {"guarantee": "at-least-once", "timeout": 300_000, "retry": {"maxAttempts": 9, "baseDelayMs": 200_000, "maxDelayMs": 200_000}}});
    let waits = std::thread::spawn({
        let web = server.web();
        move || web.ask("POST", "/v1/messages", &message.to_string())
    });
    let stored = |_: &Server| web.ask("GET", "/v1/streams/S", "").ok(200)["state"]["messages"] == 1;
    server.until("the second subject has it while the first is tried again", stored);
    server.signal(Signal::INT);
    let sent = waits.join().unwrap().ok(200);
    assert_eq!(sent["sent"][0]["error"]["code"], 1003);
    assert_eq!((&sent["sent"][1]["stream"], &sent["sent"][1]["seq"]), (&json!("S"), &json!(1)));
    assert!(server.ended().success());
}

#[test]
fn a_wrong_request_is_told_what_is_wrong_with_it() {
    let server = Server::start();
    let web = server.web();
    let problem = web.post("/v1/publish/a?akc=disk", &[], b"").problem(400, 4001);
    assert!(problem["detail"].as_str().unwrap().contains("did you mean `ack`?"), "{problem}");
    web.post("/v1/publish/a?ack=never", &[], b"").problem(400, 4001);
    web.post("/v1/publish/a?ack=disk&ack=mem", &[], b"").problem(400, 4001);
    web.ask("GET", "/healthz?x=1", "").problem(400, 4001);
    for subject in ["a..b", "a.*", "%3E", "a%20b", "%00", "a%0D%0Ab", "."] {
        web.post(&format!("/v1/publish/{subject}"), &[], b"").problem(400, 4003);
    }
    web.post("/v1/publish/%FF%FE", &[], b"").problem(400, 4001);
    web.post("/v1/publish/a/b", &[], b"").problem(404, 4001);
    web.post("/v1/publish/a%2Fb", &[], b"").ok(202);
    web.ask("GET", "/v1/streams/a%2Fb", "").problem(400, 4001);
    web.ask("GET", "/v1/publish/a", "").problem(405, 4001);
    web.post("/v1/publish/a", &[("Np-Priorty", "high")], b"").problem(400, 4001);
    web.post("/v1/publish/a", &[("Origin", "https://evil.example")], b"").problem(403, 2002);
    run(server.nats(), &["pub", "a", "x"]);
}

#[test]
fn messages_come_as_events_to_all_who_read_and_to_one_of_a_group() {
    let server = Server::start();
    let web = server.web();
    let mut all: Vec<_> = (0..3).map(|_| web.events("/v1/subscribe?subject=news.*", &[])).collect();
    let mut group: Vec<_> =
        (0..2).map(|_| web.events("/v1/subscribe?subject=news.%3E&queue=q", &[])).collect();
    for n in 0..10 {
        web.post("/v1/publish/news.a", &[("Np-Header-Color", "blue")], n.to_string().as_bytes()).ok(202);
    }
    for events in &mut all {
        for n in 0..10 {
            let event = events.next().unwrap();
            assert_eq!((&*event.kind, &event.data["payload"]), ("message", &json!(n.to_string())));
            assert_eq!(event.data["headers"], json!({"Color": "blue"}));
        }
    }
    let shown = web.ask("GET", "/v1/subscriptions", "").ok(200);
    assert_eq!((&shown["total"], &shown["items"][0]["subject"]), (&json!(5), &json!("news.*")));
    assert_eq!(shown["items"][3]["queue"], "q");
    let shown = web.ask("GET", "/v1/subscriptions?offset=4&limit=9", "").ok(200);
    assert_eq!(shown["items"].as_array().unwrap().len(), 1);
    let shown = web.ask("GET", "/v1/connections?limit=2", "").ok(200);
    assert_eq!((&shown["total"], &shown["items"][0]["protocol"]), (&json!(5), &json!("sse")));
    web.ask("GET", "/v1/connections?limit=0", "").problem(400, 4001);
    assert_eq!(web.ask("GET", "/v1/nodes", "").ok(200)["items"][0]["state"], "ready");
    web.ask("GET", "/v1/subscribe", "").problem(400, 4001);
    web.ask("GET", "/v1/subscribe?subject=a..b", "").problem(400, 4003);
    server.signal(rustix::process::Signal::TERM);
    for events in all.iter_mut() {
        let end = events.next().unwrap();
        assert_eq!((&*end.kind, &end.data["code"]), ("end", &json!(1003)));
        assert!(events.next().is_none());
    }
    for events in &mut group {
        while let Some(event) = events.next() {
            assert!(event.kind == "message" || event.data["code"] == 1003);
        }
    }
    assert!(server.ended().success());
}

#[test]
fn the_door_describes_itself() {
    let server = Server::start();
    let web = server.web();
    let document = web.ask("GET", "/openapi.json", "").ok(200);
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"]["/v1/subscribe"]["get"]["x-endless"] == true);
    let page = web.ask("GET", "/docs", "");
    assert_eq!((page.status, &*page.headers["x-content-type-options"]), (200, "nosniff"));
    assert!(page.headers["content-security-policy"].starts_with("default-src 'none'"));
    for path in ["/docs/page.js", "/docs/page.css"] {
        assert!(page.body.contains(path));
        assert_eq!(web.ask("GET", path, "").status, 200);
    }
}
