//! Services of the Rust client: bounded, shared, honest about failures; and what a killed node does to those who wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use bytes::Bytes;
use client::{Client, Code, Draft, Error, Event, Failure, Headers, Service};
use tokio::sync::Semaphore;

use crate::client::{heard, until};
use crate::proxy::Proxy;
use crate::server::Server;

const SOON: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_service_works_on_so_many_at_once_and_answers_all() {
    let server = Server::start();
    let client = Client::connect(server.nats()).await.unwrap();
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let gate = Arc::new(Semaphore::new(0));
    let (n, m, g) = (now.clone(), most.clone(), gate.clone());
    let serving = Service::new("slow").concurrent_max(3).start_json(&client, move |x: u32, _| {
        let (now, most, gate) = (n.clone(), m.clone(), g.clone());
        async move {
            most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
            gate.acquire().await.unwrap().forget();
            now.fetch_sub(1, SeqCst);
            Ok::<u32, Failure>(x + 1)
        }
    });
    let serving = serving.unwrap();
    let mut asked = tokio::task::JoinSet::new();
    for x in 0..20u32 {
        let client = client.clone();
        asked.spawn(async move { (x, client.request_json::<_, u32>("slow", &x, SOON).await.unwrap()) });
    }
    gate.add_permits(20);
    while let Some(answered) = asked.join_next().await {
        let (x, y) = answered.unwrap();
        assert_eq!(y, x + 1);
    }
    assert!((1..=3).contains(&most.load(SeqCst)), "{most:?} at once");
    assert_eq!(serving.stop().await, None);
    let gone = client.request_json::<_, u32>("slow", &1, SOON).await.unwrap_err();
    assert_eq!(gone.code(), Code::NoResponders);
}

#[tokio::test]
async fn a_service_that_fails_panics_or_is_misunderstood_says_so() {
    let server = Server::start();
    let client = Client::connect(server.nats()).await.unwrap();
    let _serving = Service::new("halve").start_json(&client, |x: u32, _| async move {
        match x {
            0 => panic!("nothing to halve"),
            x if x % 2 == 1 => Err(Failure::new(Code::Conflict, "an odd\nnumber")),
            x => Ok(x / 2),
        }
    });
    let ask = async |x: &str| client.request_json::<str, u32>("halve", x, SOON).await;
    let number = async |x: u32| client.request_json::<u32, u32>("halve", &x, SOON).await;
    assert_eq!(number(4).await.unwrap(), 2);
    let odd = number(3).await.unwrap_err();
    assert_eq!(odd, Error::Service { code: Code::Conflict, number: 6009, text: "an odd number".into() });
    assert_eq!(number(0).await.unwrap_err().code(), Code::InternalError);
    assert_eq!(ask("four").await.unwrap_err().code(), Code::InvalidRequest);
    assert_eq!(number(6).await.unwrap(), 3, "it goes on after all of that");
}

#[tokio::test]
async fn members_share_questions_and_answers_belong_to_them() {
    let server = Server::start();
    let client = Client::connect(server.nats()).await.unwrap();
    let member = |name: &'static str| {
        let service = Service::new("who").queue("q");
        service.start(&client, move |_| async move { Ok::<Bytes, Failure>(name.into()) }).unwrap()
    };
    let _members = [member("ada"), member("ben")];
    let mut by = std::collections::BTreeSet::new();
    for _ in 0..200 {
        let question = Draft::new("who").correlation_id("c1").traceparent("00-a-b-01");
        let answer = client.request(question, SOON).await.unwrap();
        let headers = Headers::new(&answer.headers);
        assert_eq!(
            (headers.first("Np-Correlation-Id"), headers.first("traceparent")),
            (Some("c1"), Some("00-a-b-01"))
        );
        by.insert(answer.payload);
    }
    assert_eq!(by.len(), 2, "both members answer some of 200 questions");
}

#[tokio::test]
async fn a_question_is_answered_although_the_node_was_killed_meanwhile() {
    let server = Server::start();
    let proxy = Proxy::to(server.address()).await;
    let quick = |options: client::Options| {
        options.reconnect_delay(Duration::from_millis(1), Duration::from_millis(20))
    };
    let (options, mut asks) = heard(&proxy.url());
    let asker = Client::connect(quick(options)).await.unwrap();
    let (options, mut answers) = heard(&proxy.url());
    let answerer = Client::connect(quick(options)).await.unwrap();
    let mut questions = answerer.subscribe("slow", None).unwrap();
    answerer.flush().await.unwrap();
    let client = asker.clone();
    let waiting = tokio::spawn(async move { client.request(("slow", "1"), SOON).await });
    let question = questions.next().await.unwrap();

    proxy.cut();
    let server = server.killed_and_started_again();
    for events in [&mut asks, &mut answers] {
        until(events, |e| matches!(e, Event::Disconnected(_))).await;
    }
    proxy.lead_to(server.address());
    for events in [&mut asks, &mut answers] {
        until(events, |e| matches!(e, Event::Reconnected(_))).await;
    }
    asker.flush().await.unwrap();
    answerer.publish((&question.reply, "one")).await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().payload, "one");
}

#[tokio::test]
async fn a_header_that_no_header_can_be_is_refused_before_anything_is_sent() {
    let server = Server::start();
    let client = Client::connect(server.nats()).await.unwrap();
    let mut all = client.subscribe(">", None).unwrap();
    let refused = client.publish(Draft::new("a").header("Color", "blue\r\nForged: yes")).await.unwrap_err();
    assert_eq!((refused.code(), refused), (Code::InvalidRequest, Error::Headers));
    client.publish(("b", "")).await.unwrap();
    assert_eq!(all.next().await.unwrap().subject, "b");
}
