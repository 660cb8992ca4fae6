//! What every door promises: publish, subscribe, queue groups, request, nobody listens, nobody keeps it, denied,
//! oversize, overloaded, slow reader, strangers kept out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use auth::Accounts;
use auth::options::{Options, User};
use fabric::{Hub, Limits};
use kernel::{Code, Message};

/// How long a promise may take to be kept before the suite calls it broken.
const PATIENCE: Duration = Duration::from_secs(20);
/// Largest message of the hub that the suite makes, in bytes; rows must configure their door with it.
pub const PAYLOAD_BYTES_MAX: usize = 64 * 1024;
/// Clients that the suite's hub has room for.
pub const CONNECTIONS_MAX: usize = 8;

/// Who connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// May do everything.
    Trusted,
    /// May publish to `open.>` and hear `open.>`, both without `open.secret.>`.
    Limited,
    /// Lives in another tenant.
    Elsewhere,
    /// Has wrong credentials.
    Stranger,
}

impl Who {
    /// The credentials that the suite's hub knows: user and password.
    pub fn credentials(self) -> (&'static str, &'static str) {
        match self {
            Who::Trusted => ("trusted", "t-secret"),
            Who::Limited => ("limited", "l-secret"),
            Who::Elsewhere => ("elsewhere", "e-secret"),
            Who::Stranger => ("trusted", "wrong"),
        }
    }
}

/// One client of the door. Everything blocks until the door has confirmed it, or the patience ends.
pub trait Agent {
    /// Publishes and waits until the door has read it. Errors with the code that the door's refusal means.
    fn publish(&mut self, message: &Message) -> Result<(), Code>;
    /// Subscribes and waits until it is in force.
    fn subscribe(&mut self, pattern: &str, queue: Option<&str>) -> Result<(), Code>;
    /// Ends the subscriptions to this pattern.
    fn unsubscribe(&mut self, pattern: &str);
    /// The next message; `None`: none came within `patience`. Errors when the door closed the connection.
    fn next(&mut self, patience: Duration) -> Result<Option<Message>, Code>;
    /// Publishes as fast as the connection takes it, without waiting for any confirmation.
    fn flood(&mut self, message: &Message, count: usize);
}

/// A door that is open and serves the hub it was given.
pub trait Door {
    /// Connects. Errors with the code that the door's refusal means.
    fn connect(&self, who: Who) -> Result<Box<dyn Agent>, Code>;
}

/// Panics unless the door keeps it.
type Promise = fn(&dyn Door, &Hub);

/// The hub that a row opens its door on.
pub fn hub() -> Arc<Hub> {
    let user = |who: Who, tenant: &str| {
        let (user, password) = who.credentials();
        User { user: user.into(), password: password.into(), tenant: tenant.into(), ..User::default() }
    };
    let open = vec!["open.>".to_owned()];
    let secret = vec!["open.secret.>".to_owned()];
    let limited = User {
        publish_allow: open.clone(),
        publish_deny: secret.clone(),
        subscribe_allow: open,
        subscribe_deny: secret,
        ..user(Who::Limited, "")
    };
    let users = vec![user(Who::Trusted, ""), limited, user(Who::Elsewhere, "other")];
    let accounts = Accounts::new(&Options { users }).expect("the suite's own accounts");
    let limits = Limits {
        connections_max: CONNECTIONS_MAX,
        subscriptions_max: 100,
        outbox_bytes_max: 1 << 20,
        outboxes_bytes_max: 256 << 20,
        interest_bytes_max: 16 << 20,
    };
    Arc::new(Hub::new(accounts, limits, 7))
}

/// Runs the whole suite against doors made by `open`, a fresh one for each promise.
pub fn suite<D: Door>(open: impl Fn(Arc<Hub>) -> D) {
    let promises: [(&str, Promise); 12] = [
        ("a message reaches everybody who listens", reaches),
        ("wildcards hear what they say", wildcards),
        ("a queue group shares its messages", shares),
        ("a request is answered", request),
        ("what must be kept goes to nobody where no stream keeps it", kept),
        ("what ends is heard no more", unsubscribe),
        ("what is not permitted is refused", denied),
        ("what the node answers is heard by who asked alone", answers),
        ("tenants do not hear each other", tenants),
        ("an oversize message is refused and harms nobody", oversize),
        ("a full node turns the next one away", overloaded),
        ("a slow reader is cut and the others notice nothing", slow_reader),
    ];
    for (promise, keep) in promises {
        println!("{promise}");
        let hub = hub();
        keep(&open(hub.clone()), &hub);
    }
    println!("strangers stay outside");
    let refused = open(hub()).connect(Who::Stranger).err();
    assert_eq!(refused, Some(Code::AuthFailed));
}

fn message(subject: &str, payload: &[u8]) -> Message {
    Message { subject: subject.to_owned().into(), payload: payload.to_vec().into(), ..Message::default() }
}

fn agent(door: &dyn Door, who: Who) -> Box<dyn Agent> {
    door.connect(who).unwrap_or_else(|code| panic!("{who:?} was turned away: {code}"))
}

fn expect(agent: &mut dyn Agent, payload: &[u8]) -> Message {
    let got = agent.next(PATIENCE).expect("the connection is open").expect("a message comes");
    assert_eq!(got.payload, payload);
    got
}

/// Nothing came before a marker that was published after it.
fn expect_nothing_before(door: &dyn Door, listener: &mut dyn Agent) {
    listener.subscribe("open.marker", None).unwrap();
    agent(door, Who::Trusted).publish(&message("open.marker", b"marker")).unwrap();
    expect(listener, b"marker");
}

fn reaches(door: &dyn Door, _: &Hub) {
    let mut listeners: Vec<_> = (0..3).map(|_| agent(door, Who::Trusted)).collect();
    listeners.iter_mut().for_each(|l| l.subscribe("open.news", None).unwrap());
    let mut publisher = agent(door, Who::Trusted);
    let headers = kernel::headers::block([("Color", "blue"), ("Tag", "a"), ("Tag", "b")]).unwrap();
    for size in [0, 1, 5000, PAYLOAD_BYTES_MAX - 200] {
        let sent = Message {
            headers: headers.clone().into(),
            reply: "open.reply".into(),
            ..message("open.news", &vec![b'x'; size])
        };
        publisher.publish(&sent).unwrap();
        for listener in &mut listeners {
            let got = expect(&mut **listener, &sent.payload);
            assert_eq!((&got.subject, &got.reply), (&sent.subject, &sent.reply));
            let all = |m: &Message| -> Vec<(String, String)> {
                let headers = kernel::Headers::new(&m.headers);
                headers.iter().map(|h| (h.name.to_owned(), h.value.to_owned())).collect()
            };
            assert_eq!(all(&got), all(&sent));
        }
    }
}

fn wildcards(door: &dyn Door, _: &Hub) {
    let mut listener = agent(door, Who::Trusted);
    listener.subscribe("open.*.x", None).unwrap();
    listener.subscribe("open.deep.>", None).unwrap();
    let mut publisher = agent(door, Who::Trusted);
    for subject in ["open.a.x", "open.a.y", "open.deep", "open.deep.a.b", "open.a.b.x"] {
        publisher.publish(&message(subject, subject.as_bytes())).unwrap();
    }
    expect(&mut *listener, b"open.a.x");
    expect(&mut *listener, b"open.deep.a.b");
    expect_nothing_before(door, &mut *listener);
}

fn shares(door: &dyn Door, _: &Hub) {
    const MESSAGES: usize = 300;
    let mut members: Vec<_> = (0..3).map(|_| agent(door, Who::Trusted)).collect();
    for member in &mut members {
        member.subscribe("open.work", Some("workers")).unwrap();
        member.subscribe("open.end", None).unwrap();
    }
    let mut publisher = agent(door, Who::Trusted);
    for n in 0..MESSAGES {
        publisher.publish(&message("open.work", n.to_string().as_bytes())).unwrap();
    }
    publisher.publish(&message("open.end", b"end")).unwrap();
    let mut seen: Vec<usize> = Vec::new();
    for member in &mut members {
        let before = seen.len();
        loop {
            let got = member.next(PATIENCE).unwrap().expect("the end comes");
            if got.payload == b"end"[..] {
                break;
            }
            seen.push(std::str::from_utf8(&got.payload).unwrap().parse().unwrap());
        }
        assert!(seen.len() > before + MESSAGES / 10, "every member has a fair part");
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..MESSAGES).collect::<Vec<_>>(), "each message once");
}

fn request(door: &dyn Door, _: &Hub) {
    let (mut service, mut client) = (agent(door, Who::Trusted), agent(door, Who::Trusted));
    service.subscribe("open.service", None).unwrap();
    client.subscribe("_INBOX.client.*", None).unwrap();
    let ask = Message { reply: "_INBOX.client.1".into(), ..message("open.service", b"question") };
    client.publish(&ask).unwrap();
    let question = expect(&mut *service, b"question");
    service.publish(&Message { subject: question.reply, ..message("", b"answer") }).unwrap();
    expect(&mut *client, b"answer");
    let nobody = Message { reply: "_INBOX.client.2".into(), ..message("open.nobody", b"question") };
    let refused = client.publish(&nobody).err();
    if refused != Some(Code::NoResponders) {
        assert_eq!(refused, None);
        let told = client.next(PATIENCE).unwrap().expect("the door says that nobody listens");
        assert_eq!(kernel::Headers::new(&told.headers).status(), Some(503));
    }
}

fn kept(door: &dyn Door, _: &Hub) {
    let (mut listener, mut publisher) = (agent(door, Who::Trusted), agent(door, Who::Trusted));
    listener.subscribe("open.loose", None).unwrap();
    for header in [
        ("Np-Delay", "1h"),
        ("np-delay", "1h"),
        ("Np-Guarantee", "at-least-once"),
        ("NP-GUARANTEE", "exactly-once"),
        ("Np-Ack", "disk"),
        ("Np-Persistent", "true"),
    ] {
        let headers = kernel::headers::block([header]).unwrap().into();
        let refused = publisher.publish(&Message { headers, ..message("open.loose", b"kept") }).err();
        // Some protocols have no word for it where nobody waits for an answer.
        assert!(matches!(refused, None | Some(Code::StreamNotFound)), "{header:?}: {refused:?}");
    }
    for header in [("Np-Delay", "0"), ("Np-Guarantee", "at-most-once"), ("Np-Priority", "high")] {
        let headers = kernel::headers::block([header]).unwrap().into();
        publisher.publish(&Message { headers, ..message("open.loose", header.0.as_bytes()) }).unwrap();
        expect(&mut *listener, header.0.as_bytes());
    }
}

fn unsubscribe(door: &dyn Door, hub: &Hub) {
    let mut listener = agent(door, Who::Trusted);
    listener.subscribe("open.a", None).unwrap();
    listener.unsubscribe("open.a");
    agent(door, Who::Trusted).publish(&message("open.a", b"too late")).unwrap();
    expect_nothing_before(door, &mut *listener);
    drop(listener);
    let start = Instant::now();
    while hub.subscriptions() > 0 {
        assert!(start.elapsed() < PATIENCE, "a connection that is gone leaves no subscription");
        std::thread::yield_now();
    }
}

fn denied(door: &dyn Door, _: &Hub) {
    let mut limited = agent(door, Who::Limited);
    let mut listener = agent(door, Who::Trusted);
    listener.subscribe(">", None).unwrap();
    for subject in ["closed", "open.secret.plan", "$SYS.x", "$NP.x"] {
        assert_eq!(limited.publish(&message(subject, b"x")), Err(Code::PermissionDenied), "{subject}");
        // The verdict is remembered with the route; it must be the same then.
        assert_eq!(limited.publish(&message(subject, b"x")), Err(Code::PermissionDenied), "{subject}");
    }
    for pattern in ["closed", ">", "open.secret.>", "open.secret.plan"] {
        assert_eq!(limited.subscribe(pattern, None), Err(Code::PermissionDenied), "{pattern}");
    }
    limited.publish(&message("open.yes", b"yes")).unwrap();
    expect(&mut *listener, b"yes");
    // A pattern that reaches into what is denied is narrowed.
    limited.subscribe("open.>", None).unwrap();
    let mut trusted = agent(door, Who::Trusted);
    for _ in 0..3 {
        trusted.publish(&message("open.secret.plan", b"secret")).unwrap();
    }
    trusted.publish(&message("open.news", b"news")).unwrap();
    expect(&mut *limited, b"news");
}

fn answers(door: &dyn Door, _: &Hub) {
    let (mut limited, mut admin) = (agent(door, Who::Limited), agent(door, Who::Trusted));
    admin.subscribe("closed.admin", None).unwrap();
    admin.subscribe("$SYS.>", None).unwrap();
    for reply in ["closed.admin", "$SYS.x"] {
        let ask = Message { reply: reply.into(), ..message("open.nobody", b"question") };
        let refused = limited.publish(&ask).err();
        assert!(matches!(refused, None | Some(Code::NoResponders)), "{refused:?}");
    }
    expect_nothing_before(door, &mut *admin);
}

fn tenants(door: &dyn Door, _: &Hub) {
    let (mut here, mut there) = (agent(door, Who::Trusted), agent(door, Who::Elsewhere));
    here.subscribe("open.>", None).unwrap();
    there.subscribe("open.>", None).unwrap();
    agent(door, Who::Elsewhere).publish(&message("open.x", b"there")).unwrap();
    expect(&mut *there, b"there");
    agent(door, Who::Trusted).publish(&message("open.x", b"here")).unwrap();
    expect(&mut *here, b"here");
}

fn oversize(door: &dyn Door, _: &Hub) {
    let mut listener = agent(door, Who::Trusted);
    listener.subscribe("open.>", None).unwrap();
    let mut publisher = agent(door, Who::Trusted);
    let refused = publisher.publish(&message("open.big", &vec![b'x'; PAYLOAD_BYTES_MAX + 1]));
    assert_eq!(refused, Err(Code::PayloadTooLarge));
    agent(door, Who::Trusted).publish(&message("open.small", b"small")).unwrap();
    expect(&mut *listener, b"small");
}

fn overloaded(door: &dyn Door, hub: &Hub) {
    let inside: Vec<_> = (0..CONNECTIONS_MAX).map(|_| agent(door, Who::Trusted)).collect();
    assert!(matches!(door.connect(Who::Trusted).err(), Some(Code::LimitExceeded | Code::ServiceUnavailable)));
    drop(inside);
    let start = Instant::now();
    while !hub.clients.is_empty() {
        assert!(start.elapsed() < PATIENCE, "those who left make room");
        std::thread::yield_now();
    }
    agent(door, Who::Trusted);
}

fn slow_reader(door: &dyn Door, hub: &Hub) {
    let mut slow = agent(door, Who::Trusted);
    slow.subscribe("open.flood", None).unwrap();
    let mut healthy = agent(door, Who::Trusted);
    healthy.subscribe("open.news", None).unwrap();
    let mut publisher = agent(door, Who::Trusted);
    let big = message("open.flood", &[b'x'; 16 * 1024]);
    let start = Instant::now();
    let mut news = 0u32;
    // The kernel's own buffers take some megabytes before anything waits in an outbox.
    while hub.clients.slow() == 0 {
        publisher.flood(&big, 100);
        publisher.publish(&message("open.news", news.to_string().as_bytes())).unwrap();
        expect(&mut *healthy, news.to_string().as_bytes());
        news += 1;
        assert!(start.elapsed() < 3 * PATIENCE, "the slow reader is cut");
    }
    let mut cut = false;
    while start.elapsed() < 3 * PATIENCE && !cut {
        cut = match slow.next(PATIENCE) {
            Ok(Some(_)) => false,
            Ok(None) => break,
            Err(code) => matches!(code, Code::SlowConsumer | Code::ConnectionError),
        };
    }
    assert!(cut, "its connection was closed");
    publisher.publish(&message("open.news", b"after")).unwrap();
    expect(&mut *healthy, b"after");
}
