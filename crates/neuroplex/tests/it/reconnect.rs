//! What a client does when its connection breaks: it comes back, and brings its subscriptions along.

use std::time::Duration;

use client::{Client, Code, Error, Event, Options};

use crate::client::{heard, until};
use crate::command::{Running, run};
use crate::proxy::Proxy;
use crate::server::Server;

fn quick(options: Options) -> Options {
    options.reconnect_delay(Duration::from_millis(1), Duration::from_millis(20))
}

#[tokio::test]
async fn subscriptions_and_what_was_published_meanwhile_survive_the_death_of_the_server() {
    let first = Server::start();
    let proxy = Proxy::to(first.address()).await;
    let (options, mut events) = heard(&proxy.url());
    let client = Client::connect(quick(options)).await.unwrap();
    let mut messages = client.subscribe("a.>", Some("q")).unwrap();
    let mut limited = client.subscribe("b", None).unwrap();
    limited.unsubscribe_after(2);
    client.publish(("b", "1")).await.unwrap();
    assert_eq!(limited.next().await.unwrap().payload, "1");

    proxy.cut();
    drop(first);
    until(&mut events, |e| matches!(e, Event::Disconnected(_))).await;
    assert!(!client.is_connected());
    for n in 0..100 {
        client.publish(("a.away", n.to_string())).await.unwrap();
    }
    let mut new = client.subscribe("c", None).unwrap();
    let second = Server::start();
    proxy.lead_to(second.address());
    until(&mut events, |e| matches!(e, Event::Reconnected(_))).await;

    for n in 0..100 {
        assert_eq!(messages.next().await.unwrap().payload, n.to_string());
    }
    for payload in ["2", "3"] {
        client.publish(("b", payload)).await.unwrap();
        client.publish(("c", payload)).await.unwrap();
    }
    assert_eq!(limited.next().await.unwrap().payload, "2");
    assert_eq!(limited.next().await, None);
    assert_eq!(new.next().await.unwrap().payload, "2");
    let nobody = client.request(("nobody", ""), Duration::from_secs(30)).await.unwrap_err();
    assert_eq!(nobody.code(), Code::NoResponders, "answers find their way on the new connection");
}

#[tokio::test]
async fn the_next_server_of_the_list_takes_over() {
    let (first, second) = (Server::start(), Server::start());
    let (options, mut events) = heard(&format!("{},{}", first.nats(), second.nats()));
    let client = Client::connect(quick(options)).await.unwrap();
    let mut messages = client.subscribe("a", None).unwrap();
    assert_eq!(client.server().to_string(), first.nats());
    drop(first);
    until(&mut events, |e| matches!(e, Event::Reconnected(_))).await;
    assert_eq!(client.server().to_string(), second.nats());
    client.publish(("a", "x")).await.unwrap();
    assert!(messages.next().await.is_some());
}

#[tokio::test]
async fn what_gathers_while_away_is_bounded() {
    let server = Server::start();
    let proxy = Proxy::to(server.address()).await;
    let (options, mut events) = heard(&proxy.url());
    let client = Client::connect(quick(options).reconnect_buffer_bytes(1000)).await.unwrap();
    proxy.cut();
    until(&mut events, |e| matches!(e, Event::Disconnected(_))).await;
    let mut taken = 0;
    let refused = loop {
        match client.publish(("a", [b'x'; 100])).await {
            Ok(()) => taken += 1,
            Err(e) => break e,
        }
    };
    assert_eq!(refused.code(), Code::Backpressure);
    assert!((5..10).contains(&taken), "{taken} of 100 bytes were taken");
}

#[tokio::test]
async fn a_client_that_may_not_come_back_tells_everybody_why() {
    let server = Server::start();
    let client = Client::connect(Options::new(server.nats()).reconnects_max(0)).await.unwrap();
    let mut messages = client.subscribe("a", None).unwrap();
    let mut asked = client.subscribe("deaf", None).unwrap();
    let asks = client.clone();
    let request = tokio::spawn(async move { asks.request(("deaf", ""), Duration::from_secs(300)).await });
    asked.next().await.unwrap();
    drop(server);
    assert_eq!(messages.next().await, None);
    assert!(matches!(messages.error(), Some(Error::Disconnected(_))), "{:?}", messages.error());
    assert_eq!(request.await.unwrap().unwrap_err().code(), Code::ConnectionError);
    assert_eq!(client.publish(("a", "")).await.unwrap_err().code(), Code::ConnectionError);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_that_listens_comes_back_and_says_so() {
    let first = Server::start();
    let proxy = Proxy::to(first.address()).await;
    let sub = Running::listening(&proxy.url(), &["sub", "a", "--max", "1"]);
    drop(first);
    proxy.cut();
    sub.err.until("trying to come back");
    let second = Server::start();
    proxy.lead_to(second.address());
    sub.err.until("again");
    // What is published before the new subscription is there is nobody's: ask until it was heard.
    while run(second.nats(), &["request", "a", "x", "--timeout-ms", "50"]).code == Some(60) {}
    assert_eq!(sub.out.next(), "a x");
    assert_eq!(sub.ended().0, Some(0));
}

#[tokio::test]
async fn nobody_to_connect_to_is_an_error_at_once() {
    let e = Client::connect("nats://127.0.0.1:1").await.unwrap_err();
    assert_eq!(
        (e.code(), e.to_string().as_str()),
        (Code::ConnectionError, "cannot connect to nats://127.0.0.1:1: connection refused",)
    );
}
