//! Streams on a server that answers from a script: what is asked, and what the client makes of odd answers.

use std::time::Duration;

use client::jetstream::{Context, Fetch, OrderedOptions, PublishOptions, Pull};
use client::{Client, Code, Error};

use crate::script::{Peer, Script, soon};

/// A question to the API: where its answer goes, and what was asked.
struct Asked {
    line: String,
    reply: String,
    body: String,
}

async fn connected() -> (Context, Peer) {
    let script = Script::listen().await;
    let (options, _events) = script.options();
    let (client, peer) = tokio::join!(Client::connect(options), script.welcome());
    (Context::new(client.unwrap()), peer)
}

/// Reads until something is published whose subject has this word.
async fn asked(peer: &mut Peer, word: &str) -> Asked {
    peer.until(word).await;
    let line = peer.until("\r\n").await;
    let body = peer.until("\r\n").await;
    let mut words = line.split_ascii_whitespace().rev();
    let reply = words.nth(1).unwrap_or_default().to_owned();
    Asked { reply, line, body: body.trim_end().into() }
}

async fn answer(peer: &mut Peer, asked: &Asked, json: &str) {
    peer.say(&format!("MSG {} 1 {}\r\n{json}\r\n", asked.reply, json.len())).await;
}

async fn deliver(peer: &mut Peer, sid: u64, seq: u64, consumer_seq: u64, pending: u64) {
    peer.say(&format!("MSG orders.a {sid} $JS.ACK.S.c.1.{seq}.{consumer_seq}.1700.{pending} 2\r\nhi\r\n"))
        .await;
}

async fn status(peer: &mut Peer, inbox: &str, sid: u64, text: &str) {
    let block = format!("NATS/1.0 {text}\r\n\r\n");
    peer.say(&format!("HMSG {inbox} {sid} {0} {0}\r\n{block}\r\n", block.len())).await;
}

#[tokio::test]
async fn a_fetch_ends_when_the_server_says_so_and_an_acknowledgement_goes_to_the_delivery() {
    let (context, mut peer) = connected().await;
    let consumer = context.stream("S").unwrap().consumer("c").unwrap();
    let mut batch = consumer.fetch(Fetch::new(5).expires(Duration::from_secs(30))).await.unwrap();
    let pull = asked(&mut peer, "MSG.NEXT.S.c ").await;
    assert_eq!(pull.body, r#"{"expires":30000000000,"batch":5}"#);
    deliver(&mut peer, 2, 7, 1, 3).await;
    status(&mut peer, &pull.reply, 2, "100 Idle Heartbeat").await;
    status(&mut peer, &pull.reply, 2, "408 Request Timeout").await;
    let delivery = soon(batch.next()).await.unwrap().unwrap();
    let at = delivery.position();
    assert_eq!((at.stream, at.consumer, at.stream_seq, at.pending), ("S", "c", 7, 3));
    assert!(soon(batch.next()).await.unwrap().is_none());
    delivery.nak(Some(Duration::from_secs(1))).await.unwrap();
    assert_eq!(asked(&mut peer, "PUB $JS.ACK.S.c.1.7.1.1700.3 ").await.body, r#"-NAK {"delay":1000000000}"#);
}

#[tokio::test]
async fn a_confirmed_acknowledgement_of_a_stale_delivery_says_so() {
    let (context, mut peer) = connected().await;
    let consumer = context.stream("S").unwrap().consumer("c").unwrap();
    let mut batch = consumer.fetch(Fetch::new(1)).await.unwrap();
    deliver(&mut peer, 2, 7, 1, 0).await;
    let delivery = soon(batch.next()).await.unwrap().unwrap();
    let server = async {
        let ack = asked(&mut peer, "PUB $JS.ACK.S.c.1.7.1.1700.0 ").await;
        assert_eq!(ack.body, "+ACK");
        answer(&mut peer, &ack, r#"{"error":{"code":409,"err_code":1,"description":"stale"}}"#).await;
    };
    let (acked, ()) = soon(async { tokio::join!(delivery.ack_confirmed(), server) }).await;
    assert_eq!(acked.unwrap_err().code(), Code::StaleLease);
}

#[tokio::test]
async fn a_pull_that_cannot_be_is_an_error_with_a_code() {
    let (context, mut peer) = connected().await;
    let consumer = context.stream("S").unwrap().consumer("c").unwrap();
    for (sid, text, code) in [
        (2, "409 Consumer Deleted", Code::NotFound),
        (3, "409 Exceeded MaxRequestBatch of 1", Code::InvalidRequest),
        (4, "503", Code::NotFound),
    ] {
        let mut batch = consumer.fetch(Fetch::new(2)).await.unwrap();
        let pull = asked(&mut peer, "MSG.NEXT.S.c ").await;
        status(&mut peer, &pull.reply, sid, text).await;
        assert_eq!(soon(batch.next()).await.unwrap_err().code(), code, "{text}");
    }
}

#[tokio::test]
async fn a_continuous_pull_asks_again_when_the_server_falls_silent() {
    let (context, mut peer) = connected().await;
    let consumer = context.stream("S").unwrap().consumer("c").unwrap();
    let pull = Pull::default().batch(2).heartbeat(Duration::from_millis(20));
    let mut messages = consumer.messages(pull).unwrap();
    let server = async {
        let first = asked(&mut peer, "MSG.NEXT.S.c ").await;
        assert!(first.body.contains(r#""batch":2"#) && first.body.contains(r#""idle_heartbeat":20000000"#));
        // Nothing is said, as if the connection that it came on were gone.
        let second = asked(&mut peer, "MSG.NEXT.S.c ").await;
        assert_eq!(second.body, first.body);
        deliver(&mut peer, 2, 1, 1, 0).await;
    };
    let (next, ()) = soon(async { tokio::join!(messages.next(), server) }).await;
    assert_eq!(next.unwrap().unwrap().position().stream_seq, 1);
}

#[tokio::test]
async fn whoever_takes_long_over_a_message_asks_once_for_the_next() {
    let (context, mut peer) = connected().await;
    let consumer = context.stream("S").unwrap().consumer("c").unwrap();
    let beat = Duration::from_millis(200);
    let mut messages = consumer.messages(Pull::default().batch(1).heartbeat(beat)).unwrap();
    for seq in 1..=2 {
        let server = async {
            asked(&mut peer, "MSG.NEXT.S.c ").await;
            tokio::time::sleep(beat / 4).await;
            deliver(&mut peer, 2, seq, seq, 0).await;
        };
        let (next, ()) = soon(async { tokio::join!(messages.next(), server) }).await;
        assert_eq!(next.unwrap().unwrap().position().stream_seq, seq);
        // At work for longer than a server may be silent.
        tokio::time::sleep(beat * 3).await;
    }
    context.client().publish(("end", "")).await.unwrap();
    assert!(!peer.until("PUB end ").await.contains("MSG.NEXT"), "nobody waits for a third");
}

#[tokio::test]
async fn an_ordered_reader_with_a_gap_begins_again_behind_what_it_has() {
    let (context, mut peer) = connected().await;
    let stream = context.stream("S").unwrap();
    let server = async {
        let first = asked(&mut peer, "CONSUMER.CREATE.S.").await;
        assert!(first.line.contains(".orders.> "), "a filter stands in the subject: {}", first.line);
        assert!(first.body.contains(r#""deliver_policy":"all""#), "{}", first.body);
        answer(&mut peer, &first, r#"{"name":"one","num_pending":2}"#).await;
        asked(&mut peer, "MSG.NEXT.S.one ").await;
        deliver(&mut peer, 2, 5, 1, 1).await;
        deliver(&mut peer, 2, 9, 3, 0).await;
        let again = asked(&mut peer, "CONSUMER.CREATE.S.").await;
        assert!(again.body.contains(r#""opt_start_seq":6"#), "{}", again.body);
        answer(&mut peer, &again, r#"{"name":"two","num_pending":2}"#).await;
        asked(&mut peer, "MSG.NEXT.S.two ").await;
        deliver(&mut peer, 3, 8, 1, 1).await;
        deliver(&mut peer, 3, 9, 2, 0).await;
    };
    let reader = async {
        let mut ordered = stream.ordered(OrderedOptions::default().filter("orders.>")).await.unwrap();
        let mut seen = Vec::new();
        while let Some(delivery) = ordered.next_waiting().await.unwrap() {
            seen.push(delivery.position().stream_seq);
        }
        seen
    };
    let (seen, ()) = soon(async { tokio::join!(reader, server) }).await;
    assert_eq!(seen, [5, 8, 9]);
}

#[tokio::test]
async fn what_is_removed_while_it_is_waited_for_is_not_waited_for_without_end() {
    let (context, mut peer) = connected().await;
    let stream = context.stream("S").unwrap();
    let server = async {
        let create = asked(&mut peer, "CONSUMER.CREATE.S.").await;
        answer(&mut peer, &create, r#"{"name":"one","num_pending":2}"#).await;
        asked(&mut peer, "MSG.NEXT.S.one ").await;
        deliver(&mut peer, 2, 5, 1, 1).await;
        let state = asked(&mut peer, "CONSUMER.INFO.S.one ").await;
        answer(&mut peer, &state, r#"{"name":"one","num_pending":0}"#).await;
    };
    let reader = async {
        let mut ordered = stream.ordered(OrderedOptions::default()).await.unwrap();
        let first = ordered.next_waiting().await.unwrap().unwrap();
        assert_eq!((first.position().stream_seq, ordered.waiting()), (5, 1));
        assert!(ordered.next_waiting().await.unwrap().is_none());
    };
    soon(async { tokio::join!(reader, server) }).await;
}

#[tokio::test]
async fn a_pipeline_gives_acknowledgements_in_order_and_is_bounded() {
    let (context, mut peer) = connected().await;
    let mut pipeline = context.pipeline(2);
    let options = PublishOptions::default();
    for body in ["1", "2"] {
        assert_eq!(pipeline.publish(("orders.a", body), &options).await.unwrap(), None);
    }
    let first = asked(&mut peer, "PUB orders.a ").await;
    let second = asked(&mut peer, "PUB orders.a ").await;
    assert_eq!((first.body.as_str(), second.body.as_str()), ("1", "2"));
    let third = async {
        let mut third = std::pin::pin!(pipeline.publish(("orders.a", "3"), &options));
        // The second one's comes first, and helps nobody.
        answer(&mut peer, &second, r#"{"error":{"code":503,"err_code":10077,"description":"full"}}"#).await;
        let early = tokio::time::timeout(Duration::from_millis(50), third.as_mut()).await;
        assert!(early.is_err(), "two are on their way");
        answer(&mut peer, &first, r#"{"stream":"S","seq":1}"#).await;
        third.await
    };
    assert_eq!(soon(third).await.unwrap().map(|ack| ack.seq), Some(1));
    assert_eq!(soon(pipeline.next_ack()).await.unwrap_err().code(), Code::Backpressure);
    let third = asked(&mut peer, "PUB orders.a ").await;
    answer(&mut peer, &third, r#"{"stream":"S","seq":2}"#).await;
    assert_eq!(soon(pipeline.finish()).await.unwrap().map(|ack| ack.seq), Some(2));
}

#[tokio::test]
async fn a_server_without_streams_says_so_and_a_subject_without_one_too() {
    let (context, mut peer) = connected().await;
    let server = async {
        for subject in ["$JS.API.STREAM.NAMES ", "PUB orders.a "] {
            let question = asked(&mut peer, subject).await;
            status(&mut peer, &question.reply, 1, "503").await;
        }
    };
    let asker = async {
        let names = context.stream_names(None).await;
        (names, context.publish(("orders.a", "x")).await)
    };
    let ((names, stored), ()) = soon(async { tokio::join!(asker, server) }).await;
    assert!(matches!(names, Err(Error::NoStreams { .. })), "{names:?}");
    assert_eq!(stored, Err(Error::NoStream { subject: "orders.a".into() }));
}
