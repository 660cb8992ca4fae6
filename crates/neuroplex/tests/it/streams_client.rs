//! The Rust client's streams, keys and objects against a node: what the commands do not reach.

use std::time::Duration;

use client::jetstream::api::{AckPolicy, DeliverPolicy, StorageType};
use client::jetstream::kv::{Bucket, BucketConfig, Operation, WatchOptions};
use client::jetstream::object::{Meta, Store, StoreConfig};
use client::jetstream::{
    Consumer, ConsumerConfig, Context, Fetch, OrderedOptions, PublishOptions, Pull, Purge, Stream,
    StreamConfig, Time,
};
use client::{Client, Code, Error};

use crate::server::Server;

const SECOND_NS: i64 = 1_000_000_000;

async fn streams(server: &Server) -> Context {
    Context::new(Client::connect(server.nats()).await.unwrap())
}

/// The stream `S` of everything on `s.>`, in memory.
async fn stream(context: &Context) -> Stream {
    let config = StreamConfig {
        name: "S".into(),
        subjects: vec!["s.>".into()],
        storage: StorageType::Memory,
        allow_direct: true,
        ..StreamConfig::default()
    };
    context.create_stream(&config).await.unwrap();
    context.stream("S").unwrap()
}

/// Publishes `0`, `1` and so on, to `s.0`, `s.1`, `s.2`, `s.0` and so on.
async fn fill(context: &Context, messages: u64) {
    let mut pipeline = context.pipeline(64);
    for n in 0..messages {
        let message = (format!("s.{}", n % 3), n.to_string());
        pipeline.publish(message, &PublishOptions::default()).await.unwrap();
    }
    let last = pipeline.finish().await.unwrap().unwrap();
    assert_eq!(last.seq, messages);
}

async fn consumer(stream: &Stream, config: ConsumerConfig) -> Consumer {
    let info = stream.create_consumer(&config).await.unwrap();
    stream.consumer(&info.name).unwrap()
}

fn durable(name: &str) -> ConsumerConfig {
    ConsumerConfig::durable(name)
}

#[tokio::test]
async fn what_a_publisher_expects_of_the_stream_is_checked() {
    let server = Server::start();
    let context = streams(&server).await;
    stream(&context).await;
    let expect = |options: PublishOptions| {
        let context = context.clone();
        async move { context.publish_with(("s.a", "x"), &options).await }
    };
    let none = PublishOptions::default;
    let first = expect(none().expect_stream("S").expect_last_sequence(0).id("one")).await.unwrap();
    assert_eq!((first.seq, first.stream.as_str(), first.duplicate), (1, "S", false));
    assert!(expect(none().id("one")).await.unwrap().duplicate);
    assert_eq!(expect(none().expect_last_id("one")).await.unwrap().seq, 2);
    assert_eq!(expect(none().expect_last_subject_sequence(2)).await.unwrap().seq, 3);
    for wrong in [
        none().expect_stream("T"),
        none().expect_last_sequence(1),
        none().expect_last_subject_sequence(1),
        none().expect_last_id("two"),
    ] {
        let code = if wrong == none().expect_stream("T") { Code::InvalidRequest } else { Code::Conflict };
        assert_eq!(expect(wrong.clone()).await.unwrap_err().code(), code, "{wrong:?}");
    }
    let nobody = context.publish(("t.a", "x")).await;
    assert_eq!(nobody, Err(Error::NoStream { subject: "t.a".into() }));
}

#[tokio::test]
async fn messages_are_read_deleted_and_purged() {
    let server = Server::start();
    let context = streams(&server).await;
    let stream = stream(&context).await;
    fill(&context, 9).await;
    for direct in [false, true] {
        let (by_seq, last) = match direct {
            false => (stream.message(4).await, stream.last_message("s.1").await),
            true => (stream.direct_message(4).await, stream.direct_last_message("s.1").await),
        };
        let (by_seq, last) = (by_seq.unwrap(), last.unwrap());
        assert_eq!(
            (by_seq.seq, &by_seq.message.payload[..], &by_seq.message.subject[..]),
            (4, &b"3"[..], &b"s.0"[..])
        );
        assert!(by_seq.message.headers.is_empty() && by_seq.time > Time(0));
        assert_eq!((last.seq, &last.message.payload[..]), (8, &b"7"[..]));
    }
    stream.delete_message(4, false).await.unwrap();
    assert_eq!(stream.message(4).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(stream.direct_message(4).await.unwrap_err().code(), Code::NotFound);
    let subjects = stream.info_with_subjects("s.*").await.unwrap().state.subjects;
    assert_eq!(subjects.into_values().collect::<Vec<_>>(), [2, 3, 3]);
    let filter = Purge { filter: "s.0".into(), keep: 1, ..Purge::default() };
    assert_eq!(stream.purge(&filter).await.unwrap(), 1);
    assert_eq!(stream.purge(&Purge { seq: 6, ..Purge::default() }).await.unwrap(), 3);
    assert_eq!(stream.info().await.unwrap().state.messages, 4);
}

#[tokio::test]
async fn streams_are_listed_in_pages_and_updated() {
    let server = Server::start();
    let context = streams(&server).await;
    for n in 0..300 {
        let name = format!("S{n:03}");
        let subjects = vec![format!("p.{n}")];
        let config = StreamConfig { name, subjects, storage: StorageType::Memory, ..StreamConfig::default() };
        context.create_or_update_stream(&config).await.unwrap();
    }
    let names = context.stream_names(None).await.unwrap();
    assert_eq!((names.len(), names[299].as_str()), (300, "S299"));
    let all = context.streams(None).await.unwrap();
    assert!(all.iter().map(|s| &s.config.name).eq(&names));
    assert_eq!(context.stream_names(Some("p.17")).await.unwrap(), ["S017"]);
    let mut config = all[0].config.clone();
    config.max_msgs = 5;
    assert_eq!(context.create_or_update_stream(&config).await.unwrap().config.max_msgs, 5);
}

#[tokio::test]
async fn a_fetch_takes_no_more_than_it_says() {
    let server = Server::start();
    let context = streams(&server).await;
    let stream = stream(&context).await;
    fill(&context, 10).await;
    let consumer = consumer(&stream, durable("c")).await;
    let take = |fetch: Fetch| {
        let consumer = consumer.clone();
        async move {
            let all = consumer.fetch(fetch).await.unwrap().all().await.unwrap();
            for delivery in &all {
                delivery.ack_confirmed().await.unwrap();
            }
            all.len()
        }
    };
    assert_eq!(take(Fetch::new(3)).await, 3);
    assert_eq!(take(Fetch::new(2).no_wait()).await, 2);
    let few = take(Fetch::new(5).max_bytes(120)).await;
    assert!((1..5).contains(&few), "{few}");
    let beating = Fetch::new(9).expires(Duration::from_millis(500)).heartbeat(Duration::from_millis(200));
    assert_eq!(take(beating).await, 5 - few);
    assert_eq!(take(Fetch::new(1).no_wait()).await, 0);
    assert_eq!(consumer.info().await.unwrap().ack_floor.stream_seq, 10);
    let too_large = consumer.fetch(Fetch::new(1).max_bytes(1)).await.unwrap();
    context.publish(("s.a", "more than a byte")).await.unwrap();
    let refused = too_large.all().await.map(|all| all.len());
    assert!(matches!(&refused, Err(e) if e.code() == Code::PayloadTooLarge), "{refused:?}");
}

#[tokio::test]
async fn a_continuous_pull_gets_everything_once() {
    let server = Server::start();
    let context = streams(&server).await;
    let stream = stream(&context).await;
    let consumer = consumer(&stream, durable("c")).await;
    let mut messages = consumer.messages(Pull::default().batch(50)).unwrap();
    fill(&context, 2000).await;
    for n in 1..=2000 {
        let delivery = messages.next().await.unwrap().unwrap();
        assert_eq!(delivery.position().stream_seq, n);
        delivery.ack().await.unwrap();
    }
    context.client().flush().await.unwrap();
    let info = consumer.info().await.unwrap();
    assert_eq!((info.ack_floor.stream_seq, info.num_ack_pending, info.num_redelivered), (2000, 0, 0));
}

#[tokio::test]
async fn a_message_comes_again_until_it_is_done_or_given_up() {
    let server = Server::start();
    let context = streams(&server).await;
    let stream = stream(&context).await;
    fill(&context, 1).await;
    let consumer = consumer(&stream, ConsumerConfig { ack_wait: SECOND_NS / 5, ..durable("c") }).await;
    let mut messages = consumer.messages(Pull::default()).unwrap();
    let first = messages.next().await.unwrap().unwrap();
    // Longer than it may take, but with signs of life.
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        first.progress().await.unwrap();
    }
    first.nak(Some(Duration::from_millis(50))).await.unwrap();
    let second = messages.next().await.unwrap().unwrap();
    assert_eq!((second.position().stream_seq, second.position().delivered), (1, 2));
    second.term(Some("broken")).await.unwrap();
    context.client().flush().await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(600), messages.next()).await.is_err());
    assert_eq!(consumer.info().await.unwrap().num_ack_pending, 0);
}

#[tokio::test]
async fn a_paused_consumer_delivers_when_it_goes_on() {
    let server = Server::start();
    let context = streams(&server).await;
    let stream = stream(&context).await;
    fill(&context, 1).await;
    let consumer = consumer(&stream, durable("c")).await;
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    assert!(consumer.pause(Time(now + 3_600_000_000_000)).await.unwrap().paused);
    let paused = consumer.fetch(Fetch::new(1).expires(Duration::from_millis(200))).await.unwrap();
    assert_eq!(paused.all().await.unwrap().len(), 0);
    assert!(!consumer.pause(Time(0)).await.unwrap().paused);
    assert_eq!(consumer.fetch(Fetch::new(1)).await.unwrap().all().await.unwrap().len(), 1);
}

#[tokio::test]
async fn consumers_are_created_changed_listed_and_deleted() {
    let server = Server::start();
    let context = streams(&server).await;
    let stream = stream(&context).await;
    let made = stream.create_consumer(&ConsumerConfig { max_ack_pending: 5, ..durable("c") }).await.unwrap();
    let again = ConsumerConfig { max_ack_pending: 6, ..durable("c") };
    assert_eq!(stream.create_consumer(&again).await.unwrap_err().code(), Code::Conflict);
    let changed = ConsumerConfig { max_ack_pending: 6, ..made.config };
    assert_eq!(stream.update_consumer(&changed).await.unwrap().config.max_ack_pending, 6);
    assert_eq!(stream.update_consumer(&durable("d")).await.unwrap_err().code(), Code::NotFound);
    stream.create_or_update_consumer(&durable("d")).await.unwrap();
    assert_eq!(stream.consumer_names().await.unwrap(), ["c", "d"]);
    assert_eq!(stream.consumers().await.unwrap()[0].config.max_ack_pending, 6);
    stream.delete_consumer("c").await.unwrap();
    assert_eq!(stream.delete_consumer("c").await.unwrap_err().code(), Code::NotFound);
    let gone = stream.consumer("c").unwrap().fetch(Fetch::new(1)).await.unwrap().all().await;
    assert_eq!(gone.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn an_ordered_reader_begins_where_it_is_told() {
    let server = Server::start();
    let context = streams(&server).await;
    let stream = stream(&context).await;
    for n in 0..9 {
        context.publish((format!("s.{}", n % 3), n.to_string())).await.unwrap();
        // Messages of one millisecond have one time.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let read = |options: OrderedOptions| {
        let stream = stream.clone();
        async move {
            let mut ordered = stream.ordered(options).await.unwrap();
            let mut seen = Vec::new();
            while let Some(delivery) = ordered.next_waiting().await.unwrap() {
                seen.push(delivery.position().stream_seq);
            }
            ordered.close().await;
            seen
        }
    };
    let options = OrderedOptions::default;
    assert_eq!(read(options().pull(Pull::default().batch(2))).await, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(read(options().filter("s.0").filter("s.2")).await, [1, 3, 4, 6, 7, 9]);
    assert_eq!(read(options().last_of_each_subject()).await, [7, 8, 9]);
    assert_eq!(read(options().from_sequence(8)).await, [8, 9]);
    let fifth = stream.message(5).await.unwrap().time;
    assert_eq!(read(options().from_time(fifth)).await, [5, 6, 7, 8, 9]);
    assert!(read(options().only_new()).await.is_empty());
    assert!(stream.consumer_names().await.unwrap().is_empty(), "closed readers leave nothing behind");
    let mut new = stream.ordered(options().only_new().headers_only()).await.unwrap();
    context.publish(("s.0", "content")).await.unwrap();
    let delivery = new.next().await.unwrap().unwrap();
    assert_eq!((delivery.position().stream_seq, delivery.message.payload.len()), (10, 0));
    let info = &stream.consumers().await.unwrap()[0];
    assert_eq!((info.config.ack_policy, info.config.deliver_policy), (AckPolicy::None, DeliverPolicy::New));
}

#[tokio::test]
async fn a_key_is_written_by_one_of_many_who_saw_the_same_revision() {
    let server = Server::start();
    let context = streams(&server).await;
    let bucket = Bucket::create(&context, &BucketConfig::new("b").history(3)).await.unwrap();
    assert_eq!(bucket.create_key("k", "0", None).await.unwrap(), 1);
    let attempts = (0..8).map(|n| {
        let bucket = bucket.clone();
        tokio::spawn(async move { bucket.update("k", n.to_string(), 1).await })
    });
    let mut won = 0;
    for attempt in attempts.collect::<Vec<_>>() {
        match attempt.await.unwrap() {
            Ok(revision) => {
                assert_eq!(revision, 2);
                won += 1;
            }
            Err(e) => assert_eq!(e, Error::Revision { bucket: "b".into(), key: "k".into() }),
        }
    }
    assert_eq!(won, 1);
    assert!(bucket.delete("k", Some(1)).await.is_err());
    bucket.delete("k", Some(2)).await.unwrap();
    assert_eq!(bucket.get("k").await.unwrap(), None);
    assert_eq!(bucket.entry("k").await.unwrap().unwrap().operation, Operation::Delete);
    assert_eq!(bucket.create_key("k", "again", None).await.unwrap(), 4);
    let kept: Vec<u64> = bucket.history("k").await.unwrap().iter().map(|e| e.revision).collect();
    assert_eq!(kept, [2, 3, 4]);
    let info = bucket.info().await.unwrap();
    assert_eq!((info.bucket(), info.values(), info.history()), ("b", 3, 3));
    assert_eq!(Bucket::list(&context).await.unwrap()[0].bucket(), "b");
    Bucket::remove(&context, "b").await.unwrap();
    assert_eq!(Bucket::open(&context, "b").await.unwrap_err(), Error::Absent("bucket `b`".into()));
}

#[tokio::test]
async fn a_watch_knows_when_it_has_caught_up() {
    let server = Server::start();
    let context = streams(&server).await;
    let bucket = Bucket::create(&context, &BucketConfig::new("b")).await.unwrap();
    let empty = bucket.watch(">", WatchOptions::default()).await.unwrap();
    assert!(empty.is_caught_up());
    for n in 0..100 {
        bucket.put(&format!("k.{n}"), "v").await.unwrap();
    }
    let mut watch = bucket.watch("k.*", WatchOptions::default()).await.unwrap();
    let mut seen = 0;
    while !watch.is_caught_up() {
        watch.next().await.unwrap().unwrap();
        seen += 1;
    }
    assert_eq!(seen, 100);
    bucket.purge("k.5", None).await.unwrap();
    let entry = watch.next().await.unwrap().unwrap();
    assert_eq!((entry.key.as_str(), entry.operation, entry.revision), ("k.5", Operation::Purge, 101));
    assert_eq!(bucket.keys("k.*").await.unwrap().len(), 99);
}

#[tokio::test]
async fn an_object_that_lost_a_chunk_is_not_believed() {
    let server = Server::start();
    let context = streams(&server).await;
    let store = Store::create(&context, &StoreConfig::new("o")).await.unwrap();
    let meta = Meta { chunk_bytes: 1000, ..Meta::new("x") };
    let content = vec![7u8; 10_500];
    let mut told = Vec::new();
    let info = store.put(meta, &mut content.as_slice(), |bytes| told.push(bytes)).await.unwrap();
    assert_eq!((info.chunks, info.size), (11, 10_500));
    assert!(told.is_sorted() && told.last() == Some(&10_500));
    let mut sink = Vec::new();
    store.get("x", &mut sink, |_| {}).await.unwrap();
    assert!(sink == content);
    context.stream("OBJ_o").unwrap().delete_message(3, false).await.unwrap();
    let damaged = store.get("x", &mut Vec::new(), |_| {}).await;
    assert_eq!(damaged.unwrap_err(), Error::Damaged("x".into()));
    // All chunks but the entry: what is waited for must not be waited for without end.
    context
        .stream("OBJ_o")
        .unwrap()
        .purge(&Purge { filter: "$O.o.C.>".into(), ..Purge::default() })
        .await
        .unwrap();
    let gone = store.get("x", &mut Vec::new(), |_| {}).await;
    assert_eq!(gone.unwrap_err(), Error::Damaged("x".into()));
}
