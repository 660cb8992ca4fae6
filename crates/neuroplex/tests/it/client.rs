//! The Rust client against a node.

use std::time::Duration;

use client::{Client, Code, Error, Event, Headers, Msg, Options, headers};
use rustix::process::Signal;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::server::Server;

const SOON: Duration = Duration::from_secs(30);

/// Options, and the events that the client tells.
pub(crate) fn heard(url: &str) -> (Options, UnboundedReceiver<Event>) {
    let (sender, events) = unbounded_channel();
    let options = Options::new(url).on_event(move |event| _ = sender.send(event));
    (options, events)
}

/// Reads events until one fits.
pub(crate) async fn until(events: &mut UnboundedReceiver<Event>, fits: impl Fn(&Event) -> bool) -> Event {
    let wait = async {
        loop {
            match events.recv().await {
                Some(event) if fits(&event) => return event,
                Some(_) => {}
                None => panic!("the client has gone"),
            }
        }
    };
    tokio::time::timeout(SOON, wait).await.expect("the event comes")
}

#[tokio::test]
async fn a_message_arrives_whole_and_in_order() {
    let server = Server::start();
    let client = Client::connect(server.nats()).await.unwrap();
    let mut messages = client.subscribe("a.*", None).unwrap();
    let block = headers::block([("Color", "blue")]).unwrap();
    let m =
        Msg { subject: b"a.b", reply: b"r", headers: &block, payload: b"\x00\xff", shared: None, from: None };
    client.publish(m).await.unwrap();
    let came = messages.next().await.unwrap();
    assert_eq!((&came.subject[..], &came.reply[..], &came.payload[..]), (m.subject, m.reply, m.payload));
    assert_eq!(Headers::new(&came.headers).first("color"), Some("blue"));
    for n in 0..10_000u32 {
        client.publish(("a.n", n.to_be_bytes())).await.unwrap();
    }
    for n in 0..10_000u32 {
        assert_eq!(messages.next().await.unwrap().payload[..], n.to_be_bytes());
    }
    assert_eq!(messages.dropped(), 0);
}

#[tokio::test]
async fn many_requests_at_once_get_their_own_answers() {
    let server = Server::start();
    let client = Client::connect(server.nats()).await.unwrap();
    let mut questions = client.subscribe("double", Some("q")).unwrap();
    let answers = client.clone();
    tokio::spawn(async move {
        while let Some(question) = questions.next().await {
            let n: u64 = std::str::from_utf8(&question.payload).unwrap().parse().unwrap();
            answers.publish((&question.reply, (2 * n).to_string())).await.unwrap();
        }
    });
    let mut asked = tokio::task::JoinSet::new();
    for n in 0..500u64 {
        let client = client.clone();
        asked.spawn(async move { (n, client.request(("double", n.to_string()), SOON).await.unwrap()) });
    }
    while let Some(answered) = asked.join_next().await {
        let (n, answer) = answered.unwrap();
        assert_eq!(answer.payload, (2 * n).to_string());
    }
}

#[tokio::test]
async fn a_request_that_nobody_hears_or_answers_says_which() {
    let server = Server::start();
    let client = Client::connect(server.nats()).await.unwrap();
    let nobody = client.request(("nobody", ""), SOON).await.unwrap_err();
    assert_eq!(
        (nobody.code(), nobody),
        (Code::NoResponders, Error::NoResponders { subject: "nobody".into() })
    );
    let _deaf = client.subscribe("deaf", None).unwrap();
    let late = client.request(("deaf", ""), Duration::from_millis(20)).await.unwrap_err();
    assert_eq!(late, Error::Timeout { subject: "deaf".into(), timeout_ms: 20 });
}

#[tokio::test]
async fn a_subscription_ends_after_its_limit_and_a_drained_one_after_what_had_come() {
    let server = Server::start();
    let client = Client::connect(server.nats()).await.unwrap();
    let mut three = client.subscribe("a", None).unwrap();
    three.unsubscribe_after(3);
    let mut all = client.subscribe("a", None).unwrap();
    for _ in 0..5 {
        client.publish(("a", "x")).await.unwrap();
    }
    all.drain();
    client.publish(("a", "too late")).await.unwrap();
    let mut counts = [0, 0];
    for (count, subscription) in counts.iter_mut().zip([&mut three, &mut all]) {
        while subscription.next().await.is_some() {
            *count += 1;
        }
        assert_eq!(subscription.error(), None);
    }
    assert_eq!(counts, [3, 5]);
}

#[tokio::test]
async fn draining_a_client_loses_nothing_in_either_direction() {
    let server = Server::start();
    let (client, other) =
        (Client::connect(server.nats()).await.unwrap(), Client::connect(server.nats()).await.unwrap());
    let mut incoming = client.subscribe("in", None).unwrap();
    let mut outgoing = other.subscribe("out", None).unwrap();
    client.flush().await.unwrap();
    other.flush().await.unwrap();
    for _ in 0..1000 {
        other.publish(("in", "x")).await.unwrap();
        client.publish(("out", "x")).await.unwrap();
    }
    other.flush().await.unwrap();
    let reader = tokio::spawn(async move {
        let mut count = 0;
        while incoming.next().await.is_some() {
            count += 1;
        }
        count
    });
    client.drain().await.unwrap();
    assert_eq!(reader.await.unwrap(), 1000);
    for _ in 0..1000 {
        outgoing.next().await.unwrap();
    }
    assert_eq!(client.publish(("out", "x")).await, Err(Error::Closed));
    assert_eq!(client.subscribe("in", None).err(), Some(Error::Closed));
}

#[tokio::test]
async fn the_last_words_of_a_dropped_client_arrive() {
    let server = Server::start();
    let other = Client::connect(server.nats()).await.unwrap();
    let mut messages = other.subscribe("bye", None).unwrap();
    other.flush().await.unwrap();
    let client = Client::connect(server.nats()).await.unwrap();
    client.publish(("bye", "last words")).await.unwrap();
    drop(client);
    assert_eq!(messages.next().await.unwrap().payload, "last words");
}

#[tokio::test]
async fn a_reader_that_is_too_slow_is_told_and_others_are_not_bothered() {
    let server = Server::start();
    let (options, mut events) = heard(server.nats());
    let client = Client::connect(options.queue_limits(10, 1 << 20)).await.unwrap();
    let mut slow = client.subscribe("a", None).unwrap();
    for _ in 0..100 {
        client.publish(("a", "x")).await.unwrap();
    }
    client.flush().await.unwrap();
    assert_eq!(slow.dropped(), 90);
    until(&mut events, |e| matches!(e, Event::SlowConsumer { pattern } if pattern == "a")).await;
    let mut fast = client.subscribe("b", None).unwrap();
    client.publish(("b", "x")).await.unwrap();
    assert!(fast.next().await.is_some());
    for _ in 0..10 {
        assert!(slow.next().await.is_some());
    }
    client.publish(("a", "after")).await.unwrap();
    assert_eq!(slow.next().await.unwrap().payload, "after");
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_before_it_is_sent() {
    let server = Server::start();
    let client = Client::connect(server.nats()).await.unwrap();
    let large = client.publish(("a", vec![0; 2_000_000])).await.unwrap_err();
    assert_eq!(large.code(), Code::PayloadTooLarge);
    for subject in ["", "a b", "a\r\nPUB x 0", "a.*", "a..b"] {
        assert_eq!(
            client.publish((subject, "")).await.unwrap_err().code(),
            Code::SubjectInvalid,
            "{subject:?}"
        );
    }
    let m = Msg { subject: b"a", headers: b"nonsense", ..Msg::default() };
    assert_eq!(client.publish(m).await, Err(Error::Headers));
    assert!(client.subscribe("a b", None).is_err() && client.subscribe("a", Some("q q")).is_err());
    client.flush().await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_about_to_stop_says_so() {
    let server = Server::start();
    let (options, mut events) = heard(server.nats());
    let client = Client::connect(options.reconnects_max(0)).await.unwrap();
    client.flush().await.unwrap();
    server.signal(Signal::TERM);
    until(&mut events, |e| matches!(e, Event::LameDuck)).await;
    client.close().await.unwrap();
    assert_eq!(server.ended().code(), Some(0));
}
