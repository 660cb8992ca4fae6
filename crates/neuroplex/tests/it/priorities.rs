//! Priorities and delays as the official Rust client sees them: what overtakes, what waits, what is refused, and what a
//! kill leaves behind.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::stream::Config;
use async_nats::jetstream::{self, Context};
use futures_core::Stream;
use tokio::time::timeout;

use crate::lines::PATIENCE;
use crate::server::Server;

async fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    let mut pinned = std::pin::Pin::new(stream);
    timeout(PATIENCE, std::future::poll_fn(|cx| pinned.as_mut().poll_next(cx))).await.expect("in time")
}

async fn context(server: &Server) -> Context {
    jetstream::new(async_nats::connect(server.nats()).await.unwrap())
}

async fn stream(js: &Context, name: &str, subject: &str) -> jetstream::stream::Stream {
    let subjects = vec![subject.to_owned()];
    js.create_stream(Config { name: name.into(), subjects, ..Config::default() }).await.unwrap()
}

fn explicit(name: &str) -> pull::Config {
    pull::Config {
        durable_name: Some(name.into()),
        ack_policy: AckPolicy::Explicit,
        ack_wait: Duration::from_secs(60),
        ..pull::Config::default()
    }
}

async fn publish(
    js: &Context,
    subject: &str,
    header: (&str, &str),
    payload: &str,
) -> Result<u64, jetstream::context::PublishError> {
    let mut headers = HeaderMap::new();
    headers.insert(header.0, header.1);
    let sent = js.publish_with_headers(subject.to_owned(), headers, payload.to_owned().into());
    Ok(sent.await.unwrap().await?.sequence)
}

/// Waits for so many messages, and acknowledges them.
async fn take(consumer: &PullConsumer, count: usize) -> Vec<String> {
    let mut batch = consumer.batch().max_messages(count).expires(PATIENCE).messages().await.unwrap();
    let mut payloads = Vec::new();
    while payloads.len() < count {
        let message = next(&mut batch).await.unwrap().unwrap();
        message.double_ack().await.unwrap();
        payloads.push(String::from_utf8(message.payload.to_vec()).unwrap());
    }
    payloads
}

fn wall_ms() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()
}

#[tokio::test]
async fn a_critical_message_overtakes_a_backlog_of_a_hundred_thousand_also_after_a_kill() {
    let server = Server::start();
    let js = context(&server).await;
    let stream = stream(&js, "WORK", "work").await;
    let consumer = stream.create_consumer(explicit("workers")).await.unwrap();
    let client = async_nats::connect(server.nats()).await.unwrap();
    for n in 0..100_000 {
        client.publish("work", n.to_string().into()).await.unwrap();
    }
    client.flush().await.unwrap();
    assert_eq!(take(&consumer, 2).await, ["0", "1"]);
    let seq = publish(&js, "work", ("Np-Priority", "critical"), "first").await.unwrap();
    assert_eq!(seq, 100_001);
    assert_eq!(take(&consumer, 2).await, ["first", "2"]);

    publish(&js, "work", ("Np-Priority", "2"), "second").await.unwrap();
    publish(&js, "work", ("Np-Priority", "low"), "last").await.unwrap();
    let server = server.killed_and_started_again();
    let js = context(&server).await;
    let stream = js.get_stream("WORK").await.unwrap();
    let mut consumer: PullConsumer = stream.get_consumer("workers").await.unwrap();
    assert_eq!(take(&consumer, 3).await, ["second", "3", "4"]);
    assert_eq!(consumer.info().await.unwrap().num_pending, 100_003 - 7);
    // Who reads in stored order sees no priorities.
    let stored = stream.get_raw_message(100_001).await.unwrap();
    assert_eq!(stored.payload, "first");
}

#[tokio::test]
async fn a_delayed_message_is_stored_at_once_and_comes_when_it_is_due_also_after_a_kill() {
    let server = Server::start();
    let js = context(&server).await;
    let stream = stream(&js, "LATER", "later").await;
    let consumer = stream.create_consumer(explicit("workers")).await.unwrap();
    let sent_ms = wall_ms();
    publish(&js, "later", ("Np-Delay", "2500"), "delayed").await.unwrap();
    publish(&js, "later", ("Np-Delay", "1h"), "much later").await.unwrap();
    publish(&js, "later", ("Np-Priority", "normal"), "now").await.unwrap();
    assert_eq!(take(&consumer, 1).await, ["now"]);
    assert_eq!(stream.get_raw_message(1).await.unwrap().payload, "delayed");
    let server = server.killed_and_started_again();
    let js = context(&server).await;
    let stream = js.get_stream("LATER").await.unwrap();
    let mut consumer: PullConsumer = stream.get_consumer("workers").await.unwrap();
    assert_eq!(take(&consumer, 1).await, ["delayed"]);
    assert!(wall_ms() >= sent_ms + 2_500, "not before its time");
    assert_eq!(consumer.info().await.unwrap().num_pending, 1);
}

#[tokio::test]
async fn what_must_be_kept_is_refused_where_no_stream_captures_it() {
    let server = Server::start();
    let js = context(&server).await;
    stream(&js, "KEPT", "kept").await;
    let client = async_nats::connect(server.nats()).await.unwrap();
    let mut heard = client.subscribe("loose").await.unwrap();
    client.flush().await.unwrap();
    for header in [("Np-Delay", "5s"), ("Np-Guarantee", "at-least-once"), ("Np-Guarantee", "exactly-once")] {
        let refused = publish(&js, "loose", header, "x").await.unwrap_err();
        assert!(refused.to_string().contains("stream not found"), "{refused}");
        publish(&js, "kept", header, "x").await.unwrap();
    }
    let mut headers = HeaderMap::new();
    headers.insert("Np-Guarantee", "at-least-once");
    let answer = client.request_with_headers("loose", headers.clone(), "x".into()).await.unwrap();
    assert_eq!(answer.headers.unwrap().get("Np-Code").unwrap().as_str(), "6002");
    headers.insert("Np-Guarantee", "at-most-once");
    client.publish_with_headers("loose", headers, "heard".into()).await.unwrap();
    assert_eq!(next(&mut heard).await.unwrap().payload, "heard", "and nothing of what was refused");

    for (header, value) in [("Np-Delay", "soon"), ("Np-Delay", "9000h")] {
        let refused = publish(&js, "kept", (header, value), "x").await.unwrap_err();
        assert!(refused.to_string().contains("Np-Delay"), "{refused}");
    }
}
