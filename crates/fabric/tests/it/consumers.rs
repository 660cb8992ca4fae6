//! Consumers as the plane keeps them: what is under way for one is not another's, and one with nothing to do costs nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kernel::journal::{Event, Recovered, Summary};
use kernel::{LogId, Position, SubjectPattern};

use crate::plane::{Ear, World, stream};

/// A stream S, and a journal that can be read.
fn world() -> World {
    let mut world = World::new(Recovered::default());
    world.journal.is_readable = true;
    world.say("$JS.API.STREAM.CREATE.S", "_INBOX.1", r#"{"name":"S","subjects":["s"]}"#);
    world.heard();
    world
}

impl World {
    fn create(&mut self, config: &str) {
        let create = format!(r#"{{"stream_name":"S","config":{{"durable_name":"C",{config}}}}}"#);
        self.say("$JS.API.CONSUMER.DURABLE.CREATE.S.C", "_INBOX.created", &create);
    }

    fn delete(&mut self) {
        self.say("$JS.API.CONSUMER.DELETE.S.C", "_INBOX.deleted", "");
    }
}

#[test]
fn what_was_read_for_a_consumer_is_not_delivered_by_the_next_of_its_name() {
    let mut world = world();
    world.say("s", "", "one");
    world.create(r#""ack_policy":"explicit""#);
    world.journal.reads = Some(Vec::new());
    world.say("$JS.API.CONSUMER.MSG.NEXT.S.C", "_INBOX.old", "");
    let old = world.journal.reads.take().unwrap();
    assert_eq!(old.len(), 1, "its message is being read");
    world.delete();
    world.create(r#""ack_policy":"explicit""#);
    world.journal.reads = Some(Vec::new());
    world.say("$JS.API.CONSUMER.MSG.NEXT.S.C", "_INBOX.new", "");
    let new = world.journal.reads.take().unwrap();
    world.heard();
    world.journal.events.extend(old);
    world.turn();
    assert!(world.heard().is_empty(), "the lease would be the new one's in all but name");
    world.journal.events.extend(new);
    world.turn();
    assert_eq!(world.heard(), ["one"]);
}

#[test]
fn what_a_consumer_reserved_is_not_reserved_for_the_next_of_its_name() {
    let mut world = world();
    world.say("s", "", "one");
    world.journal.is_slow = true;
    world.create(r#""ack_policy":"explicit""#);
    let first = Position(world.journal.entries.len() as u64);
    world.delete();
    world.create(r#""ack_policy":"explicit""#);
    world.say("$JS.API.CONSUMER.MSG.NEXT.S.C", "_INBOX.new", "");
    world.heard();
    world.journal.events.push(Event::Synced(first));
    world.turn();
    assert!(!world.heard().contains(&"one".to_owned()), "a crash now would give its sequence again");
    world.journal.events.push(Event::Synced(Position(world.journal.entries.len() as u64)));
    world.turn();
    assert!(world.heard().contains(&"one".to_owned()));
}

#[test]
fn nothing_wakes_the_plane_for_consumers_that_nobody_listens_to_or_asks() {
    let mut world = world();
    world.create(r#""deliver_subject":"to.me","idle_heartbeat":1000000000,"flow_control":true"#);
    for name in ["P", "Q"] {
        let create = format!(r#"{{"stream_name":"S","config":{{"durable_name":"{name}"}}}}"#);
        world.say(&format!("$JS.API.CONSUMER.DURABLE.CREATE.S.{name}"), "_INBOX.2", &create);
    }
    world.say("s", "", "one");
    world.now.mono_ns += 60_000_000_000;
    assert_eq!(world.turn(), None, "there is nothing to wait for");
}

#[test]
fn thousands_of_idle_consumers_take_no_turns() {
    let mut world = world();
    for n in 0..3200 {
        let config = match n < 200 {
            true => format!(r#","deliver_subject":"to.{n}","idle_heartbeat":100000000,"flow_control":true"#),
            false => r#","ack_policy":"explicit""#.to_owned(),
        };
        let create = format!(r#"{{"stream_name":"S","config":{{"durable_name":"C{n}"{config}}}}}"#);
        world.say(&format!("$JS.API.CONSUMER.DURABLE.CREATE.S.C{n}"), "", &create);
    }
    let before = world.journal.entries.len();
    assert!(before > 3200, "they are there");
    for _ in 0..10 {
        world.now.mono_ns += 60_000_000_000;
        assert_eq!(world.turn(), None, "no timer is set, nothing waits to be stepped");
    }
    assert_eq!(world.journal.entries.len(), before, "and nothing was");
}

#[test]
fn a_consumer_sends_as_soon_as_somebody_listens_and_ceases_when_nobody_does() {
    let mut world = world();
    let woken = Arc::new(AtomicUsize::new(0));
    let count = woken.clone();
    world.plane.inbox().on_arrival(move || _ = count.fetch_add(1, Ordering::Relaxed));
    world.create(r#""deliver_subject":"to.me","idle_heartbeat":1000000000,"flow_control":true"#);
    world.say("s", "", "one");
    world.turn();
    let before = woken.load(Ordering::Relaxed);
    for subject in [&b"elsewhere.a"[..], b"elsewhere.b", b"to.me"] {
        let pattern = SubjectPattern::parse(subject).unwrap();
        let (id, ear) = world.session.subscribe(&pattern, None, |_| Arc::<Ear>::default()).unwrap();
        world.now.mono_ns += 50_000_000;
        let due = world.turn();
        let is_heard = subject == b"to.me";
        assert_eq!(ear.take(), if is_heard { vec!["one"] } else { vec![] });
        assert_eq!(due.is_some(), is_heard, "signs of life are due");
        world.session.unsubscribe(&pattern, None, id);
        world.now.mono_ns += 50_000_000;
        world.turn();
    }
    assert_eq!(woken.load(Ordering::Relaxed) - before, 6, "each change wakes the plane");
    world.now.mono_ns += 60_000_000_000;
    world.turn();
    assert_eq!(world.turn(), None);
    world.delete();
    let pattern = SubjectPattern::parse(b"to.me").unwrap();
    let _ = world.session.subscribe(&pattern, None, |_| Arc::<Ear>::default()).unwrap();
    assert_eq!(woken.load(Ordering::Relaxed) - before, 6, "nobody watches any more");
}

#[test]
fn a_consumer_that_sends_elsewhere_hears_who_listens_there() {
    let mut world = world();
    world.create(r#""deliver_subject":"to.me""#);
    world.create(r#""deliver_subject":"to.him""#);
    world.say("s", "", "one");
    let pattern = SubjectPattern::parse(b"to.him").unwrap();
    let (_, ear) = world.session.subscribe(&pattern, None, |_| Arc::<Ear>::default()).unwrap();
    world.now.mono_ns += 50_000_000;
    world.turn();
    assert_eq!(ear.take(), ["one"]);
}

#[test]
fn a_request_that_waits_for_its_stream_is_counted_once() {
    let log = Summary { first: 1, last: 9, count: 9, bytes: 90, ..Summary::default() };
    let (states, logs) = (vec![stream("", "A", 5)], vec![(LogId(5), log)]);
    let mut world = World::new(Recovered { last: Position(20), states, logs, ..Recovered::default() });
    world.say("$JS.API.STREAM.INFO.A", "_INBOX.1", "");
    assert_eq!(world.heard().len(), 1);
    assert_eq!(world.plane.figures().api_requests_total.load(Ordering::Relaxed), 1);
}
