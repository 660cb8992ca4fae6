//! What can go wrong afterwards.

use std::time::Duration;

use client::{Client, Code, Error, Event};

use crate::script::{INFO, Script, soon, until};

#[tokio::test]
async fn everything_comes_back_in_order_and_only_once() {
    let script = Script::listen().await;
    let (options, mut events) = script.options();
    let (client, mut peer) = tokio::join!(Client::connect(options), script.welcome());
    let client = client.unwrap();
    let _plain = client.subscribe("a", None).unwrap();
    let mut limited = client.subscribe("b", Some("q")).unwrap();
    limited.unsubscribe_after(5);
    let gone = client.subscribe("c", None).unwrap();
    drop(gone);
    client.publish(("x", "before")).await.unwrap();
    peer.until("PUB x 6\r\nbefore\r\n").await;
    peer.say("MSG b 3 2\r\nhi\r\n").await;
    assert_eq!(limited.next().await.unwrap().payload, "hi");
    drop(peer);
    until(&mut events, |e| matches!(e, Event::Disconnected(_))).await;
    client.publish(("x", "while away")).await.unwrap();

    let mut peer = script.accept().await;
    peer.say(INFO).await;
    peer.until("PING\r\n").await;
    peer.say("PONG\r\n").await;
    let said = peer.until("PUB x 10\r\nwhile away\r\n").await;
    let mut lines: Vec<&str> = said.lines().collect();
    lines[..5].sort_unstable();
    assert_eq!(lines, ["PING", "PING", "SUB a 2", "SUB b q 3", "UNSUB 3 4", "PUB x 10", "while away"]);
}

#[tokio::test]
async fn a_flush_that_was_under_way_fails_and_one_that_waits_is_answered_later() {
    let script = Script::listen().await;
    let (options, mut events) = script.options();
    let (client, mut peer) = tokio::join!(Client::connect(options), script.welcome());
    let client = client.unwrap();
    let flushing = tokio::spawn({
        let client = client.clone();
        async move { client.flush().await }
    });
    peer.until("PING\r\n").await;
    drop(peer);
    assert!(matches!(soon(flushing).await.unwrap(), Err(Error::Disconnected(_))));
    until(&mut events, |e| matches!(e, Event::Disconnected(_))).await;
    let again = async {
        let mut peer = script.welcome().await;
        peer.until("PING\r\n").await;
        peer.say("PONG\r\n").await;
        peer
    };
    let (flushed, _peer) = tokio::join!(client.flush(), again);
    assert_eq!(flushed, Ok(()));
}

#[tokio::test]
async fn what_the_server_said_last_is_the_reason() {
    let script = Script::listen().await;
    let (options, mut events) = script.options();
    let (client, mut peer) = tokio::join!(Client::connect(options), script.welcome());
    let _client = client.unwrap();
    peer.say("-ERR 'Slow Consumer'\r\n").await;
    drop(peer);
    let Event::Disconnected(why) = until(&mut events, |e| matches!(e, Event::Disconnected(_))).await else {
        unreachable!()
    };
    assert_eq!(why.code(), Code::SlowConsumer);
}

#[tokio::test]
async fn what_the_server_said_long_ago_is_not_the_reason() {
    let script = Script::listen().await;
    let (options, mut events) = script.options();
    let (client, mut peer) = tokio::join!(Client::connect(options), script.welcome());
    let client = client.unwrap();
    peer.say("-ERR 'Invalid Publish Subject'\r\n").await;
    until(&mut events, |e| matches!(e, Event::Refused(_))).await;
    let answer = async {
        peer.until("PING\r\n").await;
        peer.say("PONG\r\n").await;
    };
    assert_eq!(soon(async { tokio::join!(client.flush(), answer) }).await.0, Ok(()));
    drop(peer);
    let lost = until(&mut events, |e| matches!(e, Event::Disconnected(_))).await;
    assert!(matches!(&lost, Event::Disconnected(Error::Disconnected(_))), "{lost:?}");
}

#[tokio::test]
async fn a_reader_of_a_refused_subscription_does_not_wait_for_ever() {
    for (text, code) in
        [("Invalid Subject", Code::SubjectInvalid), ("maximum subscriptions exceeded", Code::LimitExceeded)]
    {
        let script = Script::listen().await;
        let (options, _events) = script.options();
        let (client, mut peer) = tokio::join!(Client::connect(options), script.welcome());
        let client = client.unwrap();
        let mut good = client.subscribe("a", None).unwrap();
        let mut refused = client.subscribe("b", None).unwrap();
        let mut last = client.subscribe("c", None).unwrap();
        peer.until("SUB a 2\r\nPING\r\nSUB b 3\r\nPING\r\nSUB c 4\r\nPING\r\n").await;
        peer.say(&format!("PONG\r\n-ERR '{text}'\r\nPONG\r\nPONG\r\n")).await;
        peer.say("MSG a 2 0\r\n\r\nMSG c 4 0\r\n\r\n").await;
        assert_eq!(soon(refused.next()).await, None);
        assert_eq!(refused.error().map(Error::code), Some(code));
        assert!(soon(good.next()).await.is_some() && soon(last.next()).await.is_some());
        assert!(good.error().is_none() && last.error().is_none() && client.is_connected());
    }
}

#[tokio::test]
async fn a_server_that_falls_silent_is_left() {
    let script = Script::listen().await;
    let (options, mut events) = script.options();
    let options = options.ping_interval(Duration::from_millis(20));
    let (client, mut peer) = tokio::join!(Client::connect(options), script.welcome());
    let _client = client.unwrap();
    peer.until("PING\r\n").await;
    peer.say("PONG\r\n").await;
    peer.until("PING\r\nPING\r\n").await;
    until(&mut events, |e| matches!(e, Event::Disconnected(_))).await;
}

#[tokio::test]
async fn a_server_that_talks_nonsense_is_left_and_tried_again() {
    let script = Script::listen().await;
    let (options, mut events) = script.options();
    let (client, mut peer) = tokio::join!(Client::connect(options), script.welcome());
    let client = client.unwrap();
    peer.say("MSG a\r\n").await;
    until(&mut events, |e| matches!(e, Event::Disconnected(Error::Protocol(_)))).await;
    let _peer = script.welcome().await;
    until(&mut events, |e| matches!(e, Event::Reconnected(_))).await;
    assert!(client.is_connected());
}

#[tokio::test]
async fn refused_credentials_are_not_tried_for_ever() {
    let script = Script::listen().await;
    let (options, mut events) = script.options();
    let (client, peer) = tokio::join!(Client::connect(options), script.welcome());
    let client = client.unwrap();
    let mut messages = client.subscribe("a", None).unwrap();
    drop(peer);
    for _ in 0..2 {
        let mut peer = script.accept().await;
        peer.say(INFO).await;
        peer.until("PING\r\n").await;
        peer.say("-ERR 'Authorization Violation'\r\n").await;
    }
    until(&mut events, |e| matches!(e, Event::Closed(Some(_)))).await;
    assert_eq!(messages.next().await, None);
    assert_eq!(messages.error().map(Error::code), Some(Code::AuthFailed));
    assert_eq!(client.close().await, Ok(()), "it is closed already");
}

#[tokio::test]
async fn a_client_that_is_away_can_be_closed() {
    let script = Script::listen().await;
    let (options, mut events) = script.options();
    let (client, peer) = tokio::join!(Client::connect(options), script.welcome());
    let client = client.unwrap();
    drop((peer, script));
    until(&mut events, |e| matches!(e, Event::Disconnected(_))).await;
    assert_eq!(soon(client.close()).await, Ok(()));
    until(&mut events, |e| matches!(e, Event::Closed(None))).await;
}

#[tokio::test]
async fn a_server_that_reads_nothing_slows_publishers_down_and_cannot_hold_up_a_close() {
    let script = Script::listen().await;
    let (options, _events) = script.options();
    let options = options.write_buffer_bytes(1000).drain_timeout(Duration::from_millis(100));
    let (client, peer) = tokio::join!(Client::connect(options), script.welcome());
    let client = client.unwrap();
    // More than any system's buffers take.
    let publishing = async {
        for n in 0..100_000u32 {
            if let Err(e) = client.publish(("a", [b'x'; 1000])).await {
                return (n, e);
            }
        }
        panic!("100 MB were taken");
    };
    let ((published, ended), closed) = soon(async { tokio::join!(publishing, client.close()) }).await;
    assert_eq!((ended, closed.unwrap_err().code()), (Error::Closed, Code::Timeout));
    assert!(published > 0);
    drop(peer);
}
