//! What a hub knows of its clients, and what it does when they make it hold too much.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc;
use std::sync::{Arc, Weak};
use std::time::Duration;

use auth::{Accounts, options::Options};
use fabric::{Holder, Hub, Limits, Session};
use kernel::{
    Client, ClientInfo, ClientStats, Code, ConnectionId, Drain, Full, Listener, Msg, Now, Put, Spare,
    SubjectPattern, TenantId,
};

fn hub() -> Arc<Hub> {
    let limits = Limits {
        connections_max: 100,
        subscriptions_max: 100,
        outbox_bytes_max: 1 << 20,
        outboxes_bytes_max: 1600,
        interest_bytes_max: 1 << 20,
    };
    Arc::new(Hub::new(Accounts::new(&Options::default()).unwrap(), limits, 1))
}

/// A client that looks around when it is asked for its numbers.
struct Curious {
    id: ConnectionId,
    hub: Weak<Hub>,
    held_bytes: AtomicUsize,
}

impl Curious {
    fn enter(hub: &Arc<Hub>, held_bytes: usize) -> Arc<Curious> {
        hub.budget().add(held_bytes);
        let id = hub.clients.next_id();
        let client =
            Arc::new(Curious { id, hub: Arc::downgrade(hub), held_bytes: AtomicUsize::new(held_bytes) });
        hub.clients.enter(client.clone()).unwrap();
        client
    }
}

impl Client for Curious {
    fn id(&self) -> ConnectionId {
        self.id
    }
    fn info(&self) -> ClientInfo {
        ClientInfo::default()
    }
    fn stats(&self) -> ClientStats {
        let here = self.hub.upgrade().unwrap().clients.len();
        ClientStats { subscriptions: here as u64, ..ClientStats::default() }
    }
    fn held_bytes(&self) -> usize {
        self.held_bytes.load(Relaxed)
    }
    fn cut(&self, why: Code) {
        assert_eq!(why, Code::SlowConsumer);
        self.hub.upgrade().unwrap().budget().sub(self.held_bytes.swap(0, Relaxed));
    }
    fn warn(&self) {}
    fn tick(&self, _: Now) {}
}

#[test]
fn clients_come_and_go_while_others_are_asked_for_their_numbers() {
    let hub = hub();
    let clients = [Curious::enter(&hub, 0), Curious::enter(&hub, 0)];
    let (done, is_done) = mpsc::channel();
    std::thread::spawn(move || done.send(hub.clients.stats().subscriptions));
    assert_eq!(is_done.recv_timeout(Duration::from_secs(10)), Ok(4));
    drop(clients);
}

/// Somebody who holds bytes and gives them back later.
struct Late {
    held: (usize, usize),
    is_cut: AtomicBool,
}

impl Holder for Late {
    fn held_bytes(&self) -> (usize, usize) {
        self.held
    }
    fn tick(&self) {}
    fn cut(&self) {
        self.is_cut.store(true, Relaxed);
    }
}

#[test]
fn as_many_of_the_fullest_are_cut_as_it_takes_and_who_is_stuck_before_who_is_not() {
    let hub = hub();
    let clients: Vec<_> = [300, 250, 20, 10].map(|bytes| Curious::enter(&hub, bytes)).into();
    let late = |held: (usize, usize)| {
        hub.budget().add(held.0);
        Arc::new(Late { held, is_cut: AtomicBool::new(false) })
    };
    let (stuck, moving) = (late((400, 400)), late((480, 0)));
    let (_first, _second) = (hub.holders.enter(stuck.clone()), hub.holders.enter(moving.clone()));
    hub.keep_budget();
    assert!(clients.iter().all(|c| c.held_bytes() > 0) && !stuck.is_cut.load(Relaxed), "there is room");
    hub.budget().add(500);
    hub.keep_budget();
    assert!(stuck.is_cut.load(Relaxed) && !moving.is_cut.load(Relaxed));
    assert_eq!(clients.iter().map(|c| c.held_bytes()).collect::<Vec<_>>(), [0, 250, 20, 10]);
    // Nobody else is cut for what is on its way out.
    hub.budget().add(100);
    hub.keep_budget();
    assert!(clients[1].held_bytes() > 0);
    hub.budget().sub(400);
}

/// Hears and forgets.
struct Deaf;

impl Drain for Deaf {
    fn on_drain(&self, _: &std::task::Waker) -> bool {
        false
    }
}

impl Listener for Deaf {
    fn put(&self, _: &Msg<'_>, _: &mut Spare) -> Put {
        Put::Queued
    }
    fn full(&self) -> Full {
        Full::Drop
    }
    fn flush(&self, _: &mut Spare) {}
    fn connection(&self) -> Option<ConnectionId> {
        None
    }
}

#[test]
fn a_page_of_subscriptions_is_what_stands_there_wherever_it_begins() {
    let hub = hub();
    let mut session = Session::new(&hub, Arc::default());
    for n in 0..10 {
        let pattern = SubjectPattern::parse(format!("a.{n}").as_bytes()).unwrap();
        session.subscribe(&pattern, None, |_| Arc::new(Deaf)).unwrap();
    }
    let page = |offset, limit| {
        let (total, page) = hub.subscriptions_of(TenantId(0), offset, limit);
        (total, page.into_iter().map(|s| s.subject).collect::<Vec<_>>())
    };
    assert_eq!(page(3, 2), (10, vec!["a.3".to_owned(), "a.4".to_owned()]));
    assert_eq!(page(9, 100), (10, vec!["a.9".to_owned()]));
    assert_eq!(page(usize::MAX, usize::MAX), (10, vec![]));
}
