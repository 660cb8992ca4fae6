//! The official Rust client's JetStream, key-value and object-store interfaces, unmodified, on our durable streams; and
//! what a kill leaves behind.

use std::collections::BTreeSet;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::stream::{Config, RetentionPolicy};
use async_nats::jetstream::{self, AckKind, Context, kv, object_store};
use futures_core::Stream;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use crate::lines::PATIENCE;
use crate::server::Server;

/// The next item of a stream of the client.
async fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    let mut pinned = std::pin::Pin::new(stream);
    timeout(PATIENCE, std::future::poll_fn(|cx| pinned.as_mut().poll_next(cx))).await.expect("in time")
}

async fn context(server: &Server) -> Context {
    jetstream::new(async_nats::connect(server.nats()).await.unwrap())
}

fn config(name: &str, subjects: &[&str]) -> Config {
    Config {
        name: name.into(),
        subjects: subjects.iter().map(|s| (*s).to_owned()).collect(),
        ..Config::default()
    }
}

async fn publish(context: &Context, subject: &str, payload: &str) -> u64 {
    let ack = context.publish(subject.to_owned(), payload.to_owned().into()).await.unwrap();
    ack.await.unwrap().sequence
}

fn explicit(name: &str) -> pull::Config {
    pull::Config {
        durable_name: Some(name.into()),
        ack_policy: AckPolicy::Explicit,
        ack_wait: Duration::from_secs(2),
        ..pull::Config::default()
    }
}

async fn fetch(consumer: &PullConsumer, count: usize) -> Vec<jetstream::Message> {
    let mut batch = consumer.fetch().max_messages(count).messages().await.unwrap();
    let mut messages = Vec::new();
    while let Some(message) = next(&mut batch).await {
        messages.push(message.unwrap());
    }
    messages
}

#[tokio::test]
async fn an_acknowledged_message_survives_kill_nine() {
    let server = Server::start();
    let js = context(&server).await;
    js.create_stream(config("ORDERS", &["orders.>"])).await.unwrap();
    for i in 1..=100 {
        assert_eq!(publish(&js, &format!("orders.{}", i % 3), &format!("order {i}")).await, i);
    }
    let server = server.killed_and_started_again();
    let js = context(&server).await;
    let mut stream = js.get_stream("ORDERS").await.unwrap();
    assert_eq!(stream.info().await.unwrap().state.messages, 100);
    for i in 1..=100 {
        let message = stream.get_raw_message(i).await.unwrap();
        assert_eq!(message.payload, format!("order {i}"));
        assert_eq!(message.subject.as_str(), format!("orders.{}", i % 3));
    }
    assert_eq!(publish(&js, "orders.0", "next").await, 101);
}

#[tokio::test]
async fn what_was_acknowledged_with_confirmation_never_comes_back_after_a_kill() {
    let server = Server::start();
    let js = context(&server).await;
    let stream = js.create_stream(config("JOBS", &["jobs"])).await.unwrap();
    for i in 0..20 {
        publish(&js, "jobs", &i.to_string()).await;
    }
    let consumer = stream.create_consumer(explicit("workers")).await.unwrap();
    let taken = fetch(&consumer, 12).await;
    for message in &taken[..10] {
        message.double_ack().await.unwrap();
    }
    let server = server.killed_and_started_again();
    let js = context(&server).await;
    let stream = js.get_stream("JOBS").await.unwrap();
    let consumer: PullConsumer = stream.get_consumer("workers").await.unwrap();
    let mut left = BTreeSet::new();
    while left.len() < 10 {
        for message in fetch(&consumer, 20 - 10 - left.len()).await {
            message.double_ack().await.unwrap();
            left.insert(String::from_utf8(message.payload.to_vec()).unwrap());
        }
    }
    let expected: BTreeSet<String> = (10..20).map(|i| i.to_string()).collect();
    assert_eq!(left, expected);
}

#[tokio::test]
async fn a_message_that_is_given_back_or_forgotten_is_delivered_again() {
    let server = Server::start();
    let js = context(&server).await;
    let stream = js.create_stream(config("T", &["t"])).await.unwrap();
    publish(&js, "t", "one").await;
    let consumer = stream.create_consumer(explicit("c")).await.unwrap();
    let first = fetch(&consumer, 1).await.remove(0);
    first.ack_with(AckKind::Nak(None)).await.unwrap();
    let mut messages = consumer.messages().await.unwrap();
    let second = next(&mut messages).await.unwrap().unwrap();
    assert_eq!(second.info().unwrap().delivered, 2);
    // Nobody answers: its lease ends.
    let third = next(&mut messages).await.unwrap().unwrap();
    assert_eq!(third.info().unwrap().delivered, 3);
    // The one before is no longer its holder's: the confirmation says so.
    let stale = second.double_ack().await;
    assert_eq!(third.info().unwrap().stream_sequence, 1);
    third.double_ack().await.unwrap();
    drop(stale);
    let mut stream = js.get_stream("T").await.unwrap();
    assert_eq!(stream.info().await.unwrap().state.messages, 1);
}

#[tokio::test]
async fn a_work_queue_is_empty_when_all_is_done() {
    let server = Server::start();
    let js = context(&server).await;
    let queue = Config { retention: RetentionPolicy::WorkQueue, ..config("WORK", &["work.*"]) };
    let mut stream = js.create_stream(queue).await.unwrap();
    for i in 0..50 {
        publish(&js, &format!("work.{i}"), "x").await;
    }
    let consumer = stream.create_consumer(explicit("w")).await.unwrap();
    for message in fetch(&consumer, 50).await {
        message.double_ack().await.unwrap();
    }
    assert_eq!(stream.info().await.unwrap().state.messages, 0);
    let server = server.stopped_and_started_again();
    let js = context(&server).await;
    let mut stream = js.get_stream("WORK").await.unwrap();
    let state = stream.info().await.unwrap().state.clone();
    assert_eq!((state.messages, state.last_sequence), (0, 50));
}

#[tokio::test]
async fn key_value_buckets_work_unmodified_and_survive() {
    let server = Server::start();
    let js = context(&server).await;
    let bucket = kv::Config { bucket: "profiles".into(), history: 5, ..kv::Config::default() };
    let store = js.create_key_value(bucket).await.unwrap();
    let mut watch = store.watch("agent.*").await.unwrap();
    let revision = store.put("agent.a", "1".into()).await.unwrap();
    assert_eq!(store.update("agent.a", "2".into(), revision).await.unwrap(), revision + 1);
    assert!(store.update("agent.a", "3".into(), revision).await.is_err(), "an old revision");
    assert!(store.create("agent.a", "4".into()).await.is_err(), "it is there");
    store.put("agent.b", "b".into()).await.unwrap();
    store.delete("agent.b").await.unwrap();
    let seen: Vec<_> = [next(&mut watch).await, next(&mut watch).await].into_iter().flatten().collect();
    assert_eq!(seen.into_iter().map(|e| e.unwrap().value).collect::<Vec<_>>(), ["1", "2"]);
    let server = server.killed_and_started_again();
    let js = context(&server).await;
    let store = js.get_key_value("profiles").await.unwrap();
    assert_eq!(store.get("agent.a").await.unwrap().unwrap(), "2");
    assert_eq!(store.get("agent.b").await.unwrap(), None);
    let mut history = store.history("agent.a").await.unwrap();
    assert_eq!(next(&mut history).await.unwrap().unwrap().value, "1");
    assert_eq!(next(&mut history).await.unwrap().unwrap().value, "2");
}

#[tokio::test]
async fn objects_work_unmodified() {
    let server = Server::start();
    let js = context(&server).await;
    let bucket = object_store::Config { bucket: "models".into(), ..object_store::Config::default() };
    let store = js.create_object_store(bucket).await.unwrap();
    let content: Vec<u8> = (0..3_000_000u32).map(|i| (i * 7 % 251) as u8).collect();
    store.put("weights", &mut &content[..]).await.unwrap();
    let mut object = store.get("weights").await.unwrap();
    let mut read = Vec::new();
    object.read_to_end(&mut read).await.unwrap();
    assert!(read == content, "{} bytes came back", read.len());
    store.delete("weights").await.unwrap();
    assert!(store.get("weights").await.is_err());
}
