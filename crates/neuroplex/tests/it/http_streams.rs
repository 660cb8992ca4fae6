//! Streams through the HTTP door, asked with plain bytes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::http::{Events, Web};
use crate::server::Server;

const S: &str = "/v1/streams/S";
const C: &str = "/v1/streams/S/consumers/c";

/// A node with a stream `S`.
fn with_stream(config: &str) -> (Server, Web) {
    let server = Server::start();
    let web = server.web();
    web.ask("PUT", S, config).ok(201);
    (server, web)
}

impl Web {
    /// Publishes messages; their sequences.
    fn put(&self, messages: &[Value]) -> Vec<u64> {
        let body: String = messages.iter().map(|m| format!("{m}\n")).collect();
        let acks = self.ask("POST", &format!("{S}/messages"), &body).ok(200);
        acks["acks"].as_array().unwrap().iter().map(|ack| ack["seq"].as_u64().unwrap()).collect()
    }

    /// Publishes `count` messages, numbered from `first` on.
    fn put_numbers(&self, first: u64, count: u64) -> Vec<u64> {
        let all: Vec<Value> =
            (first..first + count).map(|n| json!({"subject": "s.n", "payload": {"n": n}})).collect();
        self.put(&all)
    }

    fn pull(&self, query: &str) -> Vec<Value> {
        let answer = self.ask("POST", &format!("{C}/pull?{query}"), "").ok(200);
        answer["messages"].as_array().unwrap().clone()
    }

    fn consumers(&self) -> u64 {
        self.ask("GET", &format!("{S}/consumers"), "").ok(200)["total"].as_u64().unwrap()
    }
}

fn token(message: &Value) -> &str {
    message["ackToken"].as_str().unwrap()
}

#[test]
fn a_stream_is_put_told_listed_emptied_and_deleted() {
    let server = Server::start();
    let web = server.web();
    let made = web.ask("PUT", S, r#"{"subjects":["s.>"]}"#).ok(201);
    assert_eq!((&made["config"]["name"], &made["config"]["subjects"]), (&json!("S"), &json!(["s.>"])));
    web.ask("PUT", S, r#"{"subjects":["s.>"]}"#).ok(200);
    let changed = web.ask("PUT", S, r#"{"name":"S","subjects":["s.>"],"max_msgs":50}"#).ok(200);
    assert_eq!(changed["config"]["max_msgs"], 50);
    web.ask("PUT", "/v1/streams/A", r#"{"subjects":["a"]}"#).ok(201);
    let list = web.ask("GET", "/v1/streams?limit=1", "").ok(200);
    assert_eq!((&list["total"], &list["streams"][0]["config"]["name"]), (&json!(2), &json!("A")));
    let list = web.ask("GET", "/v1/streams?offset=1", "").ok(200);
    assert_eq!(list["streams"][0]["config"]["name"], "S");
    let list = web.ask("GET", "/v1/streams?subject=a", "").ok(200);
    assert_eq!(list["total"], 1);
    web.put_numbers(1, 10);
    assert_eq!(web.ask("POST", &format!("{S}/purge"), r#"{"keep":4}"#).ok(200)["purged"], 6);
    assert_eq!(web.ask("GET", S, "").ok(200)["state"]["messages"], 4);
    assert_eq!(web.ask("POST", &format!("{S}/purge"), "").ok(200)["purged"], 4);
    web.ask("DELETE", S, "").ok(200);
    web.ask("DELETE", S, "").problem(404, 6002);
}

#[test]
fn what_is_published_is_answered_line_by_line_and_comes_out_as_it_went_in() {
    let (_server, web) = with_stream(r#"{"subjects":["only"]}"#);
    let lines = [
        r#"{"id":"m1","headers":{"Color":"blue"},"payload":{"n":1.50}}"#,
        "",
        r#"{"id":"m1","payload":"again"}"#,
        r#"{"subject":"$JS.API.STREAM.DELETE.S"}"#,
        r#"{"subject":"only","payloadBase64":"//79"}"#,
        r#"{"subject":"only","replyTo":"x"}"#,
        r#"{"subject":"only","headers":{"Nats-Expected-Last-Sequence":"77"}}"#,
    ];
    let answer = web.ask("POST", &format!("{S}/messages"), &lines.join("\n")).ok(200);
    let acks = answer["acks"].as_array().unwrap();
    assert_eq!(acks.len(), 6, "{answer}");
    assert_eq!(acks[0], json!({"seq": 1, "duplicate": false}));
    assert_eq!(acks[1], json!({"seq": 1, "duplicate": true}));
    assert_eq!(acks[2]["error"]["code"], 4003);
    assert_eq!(acks[3], json!({"seq": 2, "duplicate": false}));
    assert_eq!(acks[4]["error"]["code"], 4001);
    assert_eq!(acks[5]["error"]["err_code"], 10071);
    let mut events = web.events(&format!("{S}/messages?follow=false"), &[]);
    let first = events.next().unwrap();
    assert_eq!((&*first.kind, first.id, &first.data["seq"]), ("message", Some(1), &json!(1)));
    assert!(first.data["time"].as_str().unwrap().ends_with('Z'));
    assert_eq!((&first.data["id"], &first.data["headers"]), (&json!("m1"), &json!({"Color": "blue"})));
    assert_eq!((&first.data["payload"], &first.data["subject"]), (&json!({"n": 1.5}), &json!("only")));
    assert_eq!(events.next().unwrap().data["payloadBase64"], "//79");
    assert_eq!(events.next().unwrap().kind, "end");
    assert!(events.next().is_none());
}

#[test]
fn many_lines_are_stored_in_their_order() {
    let (_server, web) = with_stream(r#"{"subjects":["s.>"]}"#);
    assert_eq!(web.put_numbers(1, 20_000), (1..=20_000).collect::<Vec<_>>());
    let mut events = web.events(&format!("{S}/messages?follow=false&start_seq=19000&batch=1000"), &[]);
    for n in 19_000..=20_000 {
        let event = events.next().unwrap();
        assert_eq!((event.id, &event.data["payload"]["n"]), (Some(n), &json!(n)));
    }
    assert_eq!(events.next().unwrap().kind, "end");
}

#[test]
fn a_malformed_line_ends_the_request_and_the_answer_says_what_was_stored() {
    let (_server, web) = with_stream(r#"{"subjects":["s"]}"#);
    let body = "{\"subject\":\"s\"}\n{\"payload\":1}\n{oops\n{\"subject\":\"s\"}\n";
    let problem = web.ask("POST", &format!("{S}/messages"), body).problem(400, 4001);
    assert_eq!(problem["line"], 3);
    assert_eq!(problem["acks"], json!([{"seq": 1, "duplicate": false}, {"seq": 2, "duplicate": false}]));
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.starts_with("line 3: ") && detail.contains("nothing after it was published"), "{detail}");
    assert_eq!(web.ask("GET", S, "").ok(200)["state"]["messages"], 2);
    web.ask("PUT", "/v1/streams/MUTE", r#"{"subjects":["m"],"no_ack":true}"#).ok(201);
    web.ask("POST", "/v1/streams/MUTE/messages", r#"{"payload":"x"}"#).problem(400, 4001);
    let refused = web.ask("POST", &format!("{S}/messages"), r#"{"subject":"t"}"#).problem(400, 4003);
    assert_eq!(refused["acks"][0]["error"]["code"], 4003);
}

#[test]
fn what_is_too_large_is_refused_before_it_is_held() {
    let server = Server::with("[nats]\npayload_bytes_max = 4096\n", &[]);
    let web = server.web();
    web.ask("PUT", S, r#"{"subjects":["s"]}"#).ok(201);
    let messages = format!("{S}/messages");
    let line = |bytes: usize| json!({"subject": "s", "payload": "x".repeat(bytes)}).to_string();
    let body = [line(10), line(5000), line(20)].join("\n");
    let acks = web.ask("POST", &messages, &body).ok(200);
    assert_eq!((&acks["acks"][1]["error"]["code"], &acks["acks"][2]["seq"]), (&json!(6007), &json!(2)));
    let problem = web.ask("POST", &messages, &[line(10), line(3_000_000)].join("\n")).problem(413, 6007);
    assert_eq!((&problem["line"], &problem["acks"][0]["seq"]), (&json!(2), &json!(3)));
    let config = format!("{{\"description\":\"{}\"}}", "x".repeat(2_200_000));
    web.ask("PUT", S, &config).problem(413, 6007);
}

#[test]
fn a_consumer_hands_out_messages_and_takes_acknowledgements() {
    let (_server, web) = with_stream(r#"{"subjects":["s.>"]}"#);
    web.put_numbers(1, 3);
    let made = web.ask("PUT", C, r#"{"filter_subject":"s.n"}"#).ok(201);
    assert_eq!(
        (&made["config"]["durable_name"], &made["config"]["ack_policy"]),
        (&json!("c"), &json!("explicit"))
    );
    web.ask("PUT", C, r#"{"filter_subject":"s.n","max_deliver":9}"#).ok(200);
    assert_eq!(web.ask("GET", C, "").ok(200)["config"]["max_deliver"], 9);
    assert_eq!(web.consumers(), 1);
    let taken = web.pull("batch=10");
    assert_eq!(taken.iter().map(|m| m["seq"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!((&taken[0]["deliveries"], &taken[0]["pending"]), (&json!(1), &json!(2)));
    let ack = |body: Value| web.ask("POST", &format!("{C}/ack"), &body.to_string());
    let done = ack(json!([{"token": token(&taken[0])}, {"token": token(&taken[1]), "kind": "nak"}])).ok(200);
    assert_eq!(done["results"][1]["ok"], true);
    let again = web.pull("batch=10");
    assert_eq!((again.len(), &again[0]["seq"], &again[0]["deliveries"]), (1, &json!(2), &json!(2)));
    // The first delivery of it is stale, the third message's is not.
    let stale = ack(json!([{"token": token(&taken[1])}, {"token": token(&taken[2]), "kind": "wpi"}]));
    let problem = stale.problem(409, 6004);
    assert_eq!(
        (&problem["results"][0]["error"]["code"], &problem["results"][1]["ok"]),
        (&json!(6004), &json!(true))
    );
    ack(
        json!([{"token": token(&again[0]), "kind": "term", "reason": "no use"}, {"token": token(&taken[2])}]),
    )
    .ok(200);
    assert_eq!(web.ask("GET", C, "").ok(200)["num_ack_pending"], 0);
    assert!(web.pull("expires_ms=0").is_empty());
    web.ask("DELETE", C, "").ok(200);
    web.ask("POST", &format!("{C}/pull"), "").problem(404, 6008);
    ack(json!([{"token": token(&taken[0])}])).problem(404, 6008);
}

#[test]
fn a_token_that_no_delivery_had_is_not_found() {
    use base64::Engine as _;
    let (_server, web) = with_stream(r#"{"subjects":["s"]}"#);
    web.ask("PUT", C, "").ok(201);
    let encode = |subject: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(subject);
    for subject in [
        "$JS.API.STREAM.DELETE.S",
        "$JS.ACK.S.other.1.1.1.1.0",
        "$JS.ACK.S.c.1.1.1.1.0",
        "$JS.ACK.S.c.1.9.900.1.0",
    ] {
        let body = json!([{"token": encode(subject)}]).to_string();
        let problem = web.ask("POST", &format!("{C}/ack"), &body).problem(404, 6008);
        assert_eq!(problem["results"][0]["ok"], false, "{subject}");
    }
    web.ask("GET", S, "").ok(200);
}

#[test]
fn a_pull_waits_for_a_first_message_and_is_withdrawn_when_its_client_goes() {
    let (server, web) = with_stream(r#"{"subjects":["s.>"]}"#);
    web.ask("PUT", C, "").ok(201);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| web.pull("batch=5&expires_ms=30000"));
        server.until("it waits", |_| web.ask("GET", C, "").ok(200)["num_waiting"] == 1);
        web.put_numbers(1, 1);
        assert_eq!(waiting.join().unwrap()[0]["seq"], 1);
    });
    let before = server.varz("subscriptions");
    let gone = web.ask_and_go("POST", &format!("{C}/pull?expires_ms=60000"));
    server.until("it waits", |_| web.ask("GET", C, "").ok(200)["num_waiting"] == 1);
    drop(gone);
    server.until("its inbox is gone", |s| s.varz("subscriptions") == before);
    web.put_numbers(2, 1);
    let taken = web.pull("batch=5");
    assert_eq!((taken.len(), &taken[0]["seq"], &taken[0]["deliveries"]), (1, &json!(2), &json!(1)));
}

#[test]
fn what_is_not_there_or_not_understood_is_a_problem() {
    let (_server, web) = with_stream(r#"{"subjects":["s.>"]}"#);
    let no = "/v1/streams/NO";
    for (method, path) in [
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/purge"),
        ("GET", "/messages"),
        ("POST", "/messages"),
        ("GET", "/consumers"),
        ("PUT", "/consumers/c"),
        ("GET", "/consumers/c"),
        ("DELETE", "/consumers/c"),
        ("POST", "/consumers/c/pull"),
    ] {
        web.ask(method, &format!("{no}{path}"), "").problem(404, 6002);
    }
    web.ask("GET", C, "").problem(404, 6008);
    web.ask("GET", "/v1/nothing", "").problem(404, 4001);
    let wrong = web.ask("PATCH", S, "");
    wrong.problem(405, 4001);
    assert!(wrong.headers["allow"].contains("PUT"), "{wrong:?}");
    let form = [("Content-Type", "text/plain")];
    web.try_ask("PUT", S, &form, b"{}").unwrap().problem(415, 4001);
    web.try_ask("POST", &format!("{S}/messages"), &form, b"{}").unwrap().problem(415, 4001);
    for (method, path, body) in [
        ("PUT", S, "{oops"),
        ("PUT", S, r#"{"bogus":1}"#),
        ("PUT", S, r#"{"name":"T"}"#),
        ("PUT", "/v1/streams/a.b", "{}"),
        ("GET", "/v1/streams/a%20b", ""),
        ("GET", "/v1/streams?limit=x", ""),
        ("PUT", C, r#"{"durable_name":"d"}"#),
        ("POST", "/v1/streams/S/consumers/c/pull?batch=0", ""),
        ("POST", "/v1/streams/S/consumers/c/ack", "{}"),
        ("GET", "/v1/streams/S/messages?start_seq=1&start_time=2025-01-01T00:00:00Z", ""),
        ("GET", "/v1/streams/S/messages?start_time=noon", ""),
        ("GET", "/v1/streams/S/messages?batch=0", ""),
    ] {
        let answer = web.ask(method, path, body);
        assert_eq!(
            (answer.status, &answer.json()["status"]),
            (400, &json!(400)),
            "{method} {path}: {answer:?}"
        );
    }
    web.try_ask("GET", S, &[("Host", "evil.example")], b"").unwrap().problem(403, 2002);
    web.ask("PUT", "/v1/streams/T", "\r").problem(400, 4001);
    web.ask("PUT", "/v1/streams/T", r#"{"subjects":["s.x"]}"#).problem(400, 4001);
}

#[test]
fn only_who_is_known_comes_in_and_does_what_it_may() {
    let config = "[[auth.users]]\nuser = \"ann\"\npassword = \"p:@ss\"\n\
        [[auth.users]]\ntoken = \"t0k\"\npublish_allow = [\"s.a\", \"$JS.API.STREAM.INFO.*\"]\n\
        [[auth.users]]\ntoken = \"deaf\"\nsubscribe_allow = [\"s.>\"]\n";
    let server = Server::with(config, &[]);
    let web = server.web();
    let ask = |who: &str, method: &str, path: &str, body: &str| {
        let headers = [("Authorization", who), ("Content-Type", "application/json")];
        web.try_ask(method, path, &headers[usize::from(who.is_empty())..], body.as_bytes()).unwrap()
    };
    let ann = "Basic YW5uOnA6QHNz";
    for nobody in ["", "Bearer no", "Basic YW5uOm5v", "Basic !"] {
        let refused = ask(nobody, "GET", "/v1/streams", "");
        refused.problem(401, 2001);
        assert!(refused.headers["www-authenticate"].contains("Basic"), "{refused:?}");
    }
    ask(ann, "PUT", S, r#"{"subjects":["s.>"]}"#).ok(201);
    let token = "Bearer t0k";
    ask(token, "GET", S, "").ok(200);
    ask(token, "PUT", S, r#"{"subjects":["s.>"]}"#).problem(403, 2002);
    ask(token, "DELETE", S, "").problem(403, 2002);
    ask(token, "GET", &format!("{S}/messages"), "").problem(403, 2002);
    let lines = "{\"subject\":\"s.b\"}\n{\"subject\":\"s.a\"}\n";
    let acks = ask(token, "POST", &format!("{S}/messages"), lines).ok(200);
    assert_eq!((&acks["acks"][0]["error"]["code"], &acks["acks"][1]["seq"]), (&json!(2002), &json!(1)));
    ask(token, "POST", &format!("{S}/messages"), "{\"subject\":\"s.b\"}\n").problem(403, 2002);
    let deaf = ask("Bearer deaf", "GET", S, "").problem(403, 2002);
    assert!(deaf["detail"].as_str().unwrap().contains("_INBOX"), "{deaf}");
}

#[test]
fn everything_that_was_acknowledged_is_there_after_a_kill() {
    let (server, web) = with_stream(r#"{"subjects":["s.>"]}"#);
    let stored = AtomicU64::new(0);
    let publish = || {
        let mut all = Vec::new();
        loop {
            let first = all.len() as u64 + 1;
            let body: String = (first..first + 50)
                .map(|n| format!("{}\n", json!({"subject": "s.n", "payload": n.to_string()})))
                .collect();
            let headers = [("Content-Type", "application/x-ndjson")];
            let answer = web.try_ask("POST", &format!("{S}/messages"), &headers, body.as_bytes());
            let Ok(answer) = answer else { return all };
            let acks = answer.ok(200);
            all.extend(acks["acks"].as_array().unwrap().iter().map(|ack| ack["seq"].as_u64().unwrap()));
            stored.store(all.len() as u64, Ordering::Relaxed);
        }
    };
    let acked = thread::scope(|scope| {
        let publishing = scope.spawn(publish);
        server.until("some are stored", |_| stored.load(Ordering::Relaxed) >= 1000);
        server.signal(Signal::KILL);
        publishing.join().unwrap()
    });
    let server = server.killed_and_started_again();
    let web = server.web();
    let mut events = web.events(&format!("{S}/messages?follow=false"), &[]);
    for (i, seq) in acked.iter().enumerate() {
        let event = events.next().unwrap();
        assert_eq!((event.id, &event.data["payload"]), (Some(*seq), &json!((i + 1).to_string())));
    }
}

/// Reads numbered messages until `last`, or `most` of them.
fn read_numbers(events: &mut Events, seen: &mut Vec<u64>, last: u64, most: usize) {
    for _ in 0..most {
        if seen.last() == Some(&last) {
            return;
        }
        let event = events.next().expect("more");
        assert_eq!((&*event.kind, event.id), ("message", event.data["seq"].as_u64()));
        assert_eq!(event.data["payload"]["n"].as_u64(), event.id);
        seen.push(event.id.unwrap());
    }
}

#[test]
fn events_follow_and_are_taken_up_again_without_loss_or_repetition() {
    const LAST: u64 = 3000;
    let (server, web) = with_stream(r#"{"subjects":["s.>"]}"#);
    let mut seen = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| (0..LAST / 50).for_each(|i| _ = web.put_numbers(50 * i + 1, 50)));
        while seen.last() != Some(&LAST) {
            let last = seen.last().map(u64::to_string);
            let headers: Vec<_> = last.iter().map(|last| ("Last-Event-ID", last.as_str())).collect();
            let mut events = web.events(&format!("{S}/messages?start_seq=1&batch=7"), &headers);
            read_numbers(&mut events, &mut seen, LAST, 271);
        }
    });
    assert_eq!(seen, (1..=LAST).collect::<Vec<_>>());
    server.until("nobody reads any more", |_| web.consumers() == 0);
    let server = server.killed_and_started_again();
    let web = server.web();
    let mut events = web.events(&format!("{S}/messages"), &[("Last-Event-ID", "2990")]);
    let mut rest = Vec::new();
    read_numbers(&mut events, &mut rest, LAST, 100);
    assert_eq!(rest, (2991..=LAST).collect::<Vec<_>>());
}

#[test]
fn events_go_on_when_what_they_are_read_with_is_taken_away() {
    let (server, web) = with_stream(r#"{"subjects":["s.>"]}"#);
    let mut events = web.events(&format!("{S}/messages"), &[]);
    for n in 1..=3 {
        web.put_numbers(n, 1);
        assert_eq!(events.next().unwrap().id, Some(n));
        let list = web.ask("GET", &format!("{S}/consumers"), "").ok(200);
        let name = list["consumers"][0]["name"].as_str().unwrap().to_owned();
        web.ask("DELETE", &format!("{S}/consumers/{name}"), "").ok(200);
        server.until("another one is there", |_| web.consumers() == 1);
    }
}

#[test]
fn a_message_larger_than_what_is_asked_for_at_once_comes_too() {
    let server = Server::with("[nats]\npayload_bytes_max = 16000000\n", &[]);
    let web = server.web();
    web.ask("PUT", S, r#"{"subjects":["s.>"]}"#).ok(201);
    let payload = "x".repeat(6_000_000);
    let (small, large) = (json!({"subject": "s.x"}), json!({"subject": "s.x", "payload": payload}));
    assert_eq!(web.put(&[small.clone(), large.clone(), large, small]), [1, 2, 3, 4]);
    let mut events = web.events(&format!("{S}/messages?follow=false"), &[]);
    let sizes: Vec<usize> =
        (0..4).map(|_| events.next().unwrap().data["payload"].as_str().unwrap().len()).collect();
    assert_eq!(sizes, [0, 6_000_000, 6_000_000, 0]);
    assert_eq!(events.next().unwrap().kind, "end");
    web.ask("PUT", C, "").ok(201);
    let mut taken = Vec::new();
    while taken.len() < 4 {
        taken.extend(web.pull("batch=10").iter().map(|m| m["seq"].as_u64().unwrap()));
    }
    assert_eq!(taken, [1, 2, 3, 4]);
}

#[test]
fn events_begin_at_a_time_and_hear_one_subject() {
    let (_server, web) = with_stream(r#"{"subjects":["s.>"]}"#);
    web.put(&[json!({"subject": "s.a"}), json!({"subject": "s.b"})]);
    let mut events = web.events(&format!("{S}/messages?follow=false&subject=s.b"), &[]);
    assert_eq!(events.next().unwrap().id, Some(2));
    assert_eq!(events.next().unwrap().kind, "end");
    let time = web.ask("GET", S, "").ok(200)["state"]["last_ts"].as_str().unwrap().to_owned();
    thread::sleep(Duration::from_millis(5));
    web.put(&[json!({"subject": "s.c"})]);
    let mut events = web.events(&format!("{S}/messages?start_time={time}&subject=s.c"), &[]);
    assert_eq!(events.next().unwrap().id, Some(3));
    let mut none = web.events(&format!("{S}/messages?follow=false&start_time=2100-01-01T00:00:00Z"), &[]);
    assert_eq!(none.next().unwrap().kind, "end");
}

#[test]
fn a_client_that_does_not_read_costs_little_and_misses_nothing() {
    let (_server, web) = with_stream(r#"{"subjects":["s.>"]}"#);
    let mut events = web.events(&format!("{S}/messages"), &[]);
    let payload = "x".repeat(100_000);
    for _ in 0..40 {
        web.put(&vec![json!({"subject": "s.x", "payload": payload}); 10]);
    }
    for seq in 1..=400 {
        assert_eq!(events.next().unwrap().id, Some(seq));
    }
}

#[test]
fn events_end_when_the_stream_is_deleted_and_when_the_node_stops() {
    let (server, web) = with_stream(r#"{"subjects":["s.>"]}"#);
    web.put_numbers(1, 1);
    let mut events = web.events(&format!("{S}/messages"), &[]);
    assert_eq!(events.next().unwrap().id, Some(1));
    web.ask("DELETE", S, "").ok(200);
    let end = events.next().unwrap();
    assert_eq!((&*end.kind, &end.data["code"]), ("end", &json!(6002)));
    assert!(events.next().is_none());
    web.ask("PUT", S, r#"{"subjects":["s.>"]}"#).ok(201);
    web.ask("PUT", C, "").ok(201);
    let mut events = web.events(&format!("{S}/messages"), &[]);
    thread::scope(|scope| {
        let pulling = scope.spawn(|| web.pull("expires_ms=60000"));
        server.until("it waits", |_| web.ask("GET", C, "").ok(200)["num_waiting"] == 1);
        server.signal(Signal::INT);
        assert!(pulling.join().unwrap().is_empty());
    });
    let end = events.next().unwrap();
    assert_eq!((&*end.kind, &end.data["code"]), ("end", &json!(1003)));
    assert!(events.next().is_none());
    let start = Instant::now();
    assert!(server.ended().success() && start.elapsed() < Duration::from_secs(5));
}
