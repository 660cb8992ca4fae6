//! The official Rust client, unmodified, on our NATS door.

use async_nats::{Client, ConnectOptions, Event, HeaderMap, RequestErrorKind, ServerAddr};
use tokio::sync::mpsc;
use tokio::time::timeout;

use rustix::process::Signal;

use crate::lines::PATIENCE;
use crate::server::Server;

/// The next message of a subscription.
async fn next(subscriber: &mut async_nats::Subscriber) -> async_nats::Message {
    use std::future::poll_fn;
    use std::pin::Pin;
    let mut pinned = Pin::new(subscriber);
    let next = poll_fn(|cx| stream::poll_next(pinned.as_mut(), cx));
    timeout(PATIENCE, next).await.expect("in time").expect("a message")
}

mod stream {
    //! `Stream::poll_next` by its path, without the whole of `futures`.
    pub(crate) use futures_core::Stream;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    pub(crate) fn poll_next<S: Stream>(stream: Pin<&mut S>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        stream.poll_next(cx)
    }
}

async fn connect(server: &Server) -> Client {
    async_nats::connect(server.nats()).await.unwrap()
}

/// A round trip, after which everything that this client sent is in force: its `flush` only empties its own buffer.
async fn settle(client: &Client) {
    let error = client.request("nobody.listens.here", "".into()).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::NoResponders);
}

/// Options that report events as text.
fn watched() -> (ConnectOptions, mpsc::UnboundedReceiver<String>) {
    let (tell, events) = mpsc::unbounded_channel();
    let options = ConnectOptions::new().event_callback(move |event: Event| {
        let tell = tell.clone();
        async move {
            let _ = tell.send(event.to_string());
        }
    });
    (options, events)
}

async fn event(events: &mut mpsc::UnboundedReceiver<String>, part: &str) {
    let seen = timeout(PATIENCE, async {
        while let Some(event) = events.recv().await {
            if event.to_lowercase().contains(part) {
                return;
            }
        }
    });
    seen.await.unwrap_or_else(|_| panic!("no event with {part:?}"));
}

#[tokio::test]
async fn publish_subscribe_with_wildcards_and_headers() {
    let server = Server::start();
    let (a, b) = (connect(&server).await, connect(&server).await);
    let mut news = a.subscribe("news.*").await.unwrap();
    let mut all = a.subscribe("*.*").await.unwrap();
    settle(&a).await;
    let mut headers = HeaderMap::new();
    headers.append("Tag", "one");
    headers.append("Tag", "two");
    b.publish_with_headers("news.sport", headers, "goal".into()).await.unwrap();
    for subscriber in [&mut news, &mut all] {
        let m = next(subscriber).await;
        assert_eq!((m.subject.as_str(), &m.payload[..]), ("news.sport", &b"goal"[..]));
        let tags: Vec<String> = m.headers.unwrap().get_all("Tag").map(|v| v.to_string()).collect();
        assert_eq!(tags, ["one", "two"]);
    }
}

#[tokio::test]
async fn payloads_of_every_size_arrive_whole() {
    let server = Server::start();
    let client = connect(&server).await;
    let mut all = client.subscribe("size.>").await.unwrap();
    for size in [0, 1, 4095, 4096, 65_535, 65_536, 300_000, 1_048_576] {
        let payload: Vec<u8> = (0..size).map(|n: usize| (n * 7 % 251) as u8).collect();
        client.publish(format!("size.{size}"), payload.clone().into()).await.unwrap();
        client.flush().await.unwrap();
        let m = next(&mut all).await;
        assert!(m.payload == payload, "{size} bytes arrive as they were sent");
    }
}

#[tokio::test]
async fn a_queue_group_gets_each_message_once() {
    let server = Server::start();
    let (publisher, a, b) = (connect(&server).await, connect(&server).await, connect(&server).await);
    let mut workers = Vec::new();
    for client in [&a, &b] {
        workers.push((
            client.queue_subscribe("work", "crew".into()).await.unwrap(),
            client.subscribe("end").await.unwrap(),
        ));
        settle(client).await;
    }
    const MESSAGES: usize = 1000;
    for n in 0..MESSAGES {
        publisher.publish("work", n.to_string().into()).await.unwrap();
    }
    publisher.publish("end", "".into()).await.unwrap();
    publisher.flush().await.unwrap();
    let mut seen = Vec::new();
    for (mut work, mut end) in workers {
        next(&mut end).await;
        // Everything for this client came before the end of its connection's stream; unsubscribing closes it.
        work.unsubscribe().await.unwrap();
        let before = seen.len();
        while let Some(m) =
            timeout(PATIENCE, std::future::poll_fn(|cx| stream::poll_next(std::pin::Pin::new(&mut work), cx)))
                .await
                .unwrap()
        {
            seen.push(std::str::from_utf8(&m.payload).unwrap().parse::<usize>().unwrap());
        }
        assert!(seen.len() > before + MESSAGES / 4, "each has a fair part");
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..MESSAGES).collect::<Vec<_>>());
}

#[tokio::test]
async fn requests_are_answered_and_a_request_to_nobody_fails_at_once() {
    let server = Server::start();
    let (service, client) = (connect(&server).await, connect(&server).await);
    let mut asked = service.subscribe("twice").await.unwrap();
    settle(&service).await;
    let answering = tokio::spawn(async move {
        for _ in 0..100 {
            let m = next(&mut asked).await;
            let answer = m.payload.repeat(2);
            service.publish(m.reply.unwrap(), answer.into()).await.unwrap();
        }
        service.flush().await.unwrap();
    });
    for n in 0..100 {
        let answer = client.request("twice", n.to_string().into()).await.unwrap();
        assert_eq!(answer.payload, n.to_string().repeat(2));
    }
    answering.await.unwrap();
    let error = client.request("nobody", "".into()).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::NoResponders);
}

#[tokio::test]
async fn a_subscription_with_a_maximum_ends_after_it() {
    let server = Server::start();
    let client = connect(&server).await;
    let mut few = client.subscribe("few").await.unwrap();
    few.unsubscribe_after(3).await.unwrap();
    settle(&client).await;
    for n in 0..10 {
        client.publish("few", n.to_string().into()).await.unwrap();
    }
    for n in 0..3 {
        assert_eq!(next(&mut few).await.payload, n.to_string());
    }
    server.until("only the inbox for answers is left", |s| s.varz("subscriptions") == 1);
}

#[tokio::test]
async fn a_client_that_wants_no_echo_does_not_hear_itself() {
    let server = Server::start();
    let quiet = ConnectOptions::new().no_echo().connect(server.nats()).await.unwrap();
    let other = connect(&server).await;
    let mut heard = quiet.subscribe("talk").await.unwrap();
    settle(&quiet).await;
    for _ in 0..3 {
        quiet.publish("talk", "own".into()).await.unwrap();
    }
    quiet.flush().await.unwrap();
    other.publish("talk", "other".into()).await.unwrap();
    assert_eq!(next(&mut heard).await.payload, "other");
}

const USERS: &str = r#"
[[auth.users]]
user = "planner"
password = "secret"
publish_allow = ["tasks.>", "_INBOX.>", "nobody.>"]
subscribe_allow = ["tasks.>", "_INBOX.>"]
subscribe_deny = ["tasks.hidden"]
[[auth.users]]
token = "t0ken"
"#;

#[tokio::test]
async fn credentials_are_asked_and_permissions_are_kept() {
    let server = Server::with(USERS, &[]);
    let user =
        |name: &str, password: &str| ConnectOptions::with_user_and_password(name.into(), password.into());
    assert!(async_nats::connect(server.nats()).await.is_err(), "no credentials");
    assert!(user("planner", "wrong").connect(server.nats()).await.is_err());
    let all = ConnectOptions::with_token("t0ken".into()).connect(server.nats()).await.unwrap();
    let (options, mut events) = watched();
    let planner =
        options.user_and_password("planner".into(), "secret".into()).connect(server.nats()).await.unwrap();
    planner.publish("forbidden", "".into()).await.unwrap();
    event(&mut events, "permissions violation for publish to \"forbidden\"").await;
    let _kept = planner.subscribe("forbidden").await.unwrap();
    event(&mut events, "permissions violation for subscription to \"forbidden\"").await;
    let mut tasks = planner.subscribe("tasks.*").await.unwrap();
    settle(&planner).await;
    all.publish("tasks.hidden", "no".into()).await.unwrap();
    all.publish("tasks.shown", "yes".into()).await.unwrap();
    assert_eq!(next(&mut tasks).await.payload, "yes");
}

#[tokio::test]
async fn tls_with_our_own_authority() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    for first in [false, true] {
        let server = Server::with(
            &format!("[nats]\ntls_cert_file = {cert:?}\ntls_key_file = {key:?}\ntls_first = {first}\n"),
            &[],
        );
        let port = server.address().rsplit_once(':').unwrap().1;
        let address: ServerAddr = format!("tls://localhost:{port}").parse().unwrap();
        let mut options = ConnectOptions::new().require_tls(true).add_root_certificates(cert.clone());
        if first {
            options = options.tls_first();
        }
        let client = options.connect(address).await.unwrap();
        let mut all = client.subscribe("safe").await.unwrap();
        let payload = vec![7u8; 900_000];
        for _ in 0..20 {
            client.publish("safe", payload.clone().into()).await.unwrap();
        }
        for _ in 0..20 {
            assert_eq!(next(&mut all).await.payload.len(), payload.len());
        }
    }
}

#[tokio::test]
async fn clients_are_told_before_a_node_stops_and_what_waits_for_them_arrives() {
    let server = Server::with("lame_duck_ms = 1000\n", &[]);
    let (options, mut events) = watched();
    let client = options.connect(server.nats()).await.unwrap();
    let mut all = client.subscribe("last").await.unwrap();
    settle(&client).await;
    for n in 0..1000 {
        client.publish("last", n.to_string().into()).await.unwrap();
    }
    client.flush().await.unwrap();
    server.signal(Signal::TERM);
    event(&mut events, "lame").await;
    for n in 0..1000 {
        assert_eq!(next(&mut all).await.payload, n.to_string());
    }
    assert!(server.ended().success());
}

#[tokio::test]
async fn clients_of_a_node_that_comes_back_come_back_too() {
    let server = Server::start();
    let port = server.address().to_owned();
    let (options, mut events) = watched();
    let client = options.connect(server.nats()).await.unwrap();
    let mut all = client.subscribe("again").await.unwrap();
    settle(&client).await;
    event(&mut events, "connected").await;
    server.signal(Signal::INT);
    assert!(server.ended().success());
    event(&mut events, "disconnected").await;
    let mut again = crate::command::neuroplex(&[]);
    let folder = tempfile::tempdir().unwrap();
    again.args(["up", "--nats", &port, "--http", "off", "--data"]).arg(folder.path());
    let mut again = again.stdout(std::process::Stdio::null()).spawn().unwrap();
    event(&mut events, "connected").await;
    client.publish("again", "hello".into()).await.unwrap();
    let heard = next(&mut all).await;
    again.kill().unwrap();
    again.wait().unwrap();
    assert_eq!(heard.payload, "hello");
}
