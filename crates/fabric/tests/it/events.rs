//! What the plane tells everybody who watches: only what is safe.

use std::sync::Arc;

use kernel::journal::{Event, Recovered};
use kernel::{Code, Position, SubjectPattern};

use crate::plane::{Ear, World};

/// A world with somebody who hears every event of some kind.
fn watched(pattern: &str) -> (World, Arc<Ear>) {
    let mut world = World::new(Recovered::default());
    world.journal.is_readable = true;
    let pattern = SubjectPattern::parse(pattern.as_bytes()).unwrap();
    let (_, ear) = world.session.subscribe(&pattern, None, |_| Arc::<Ear>::default()).unwrap();
    (world, ear)
}

impl World {
    fn sync(&mut self) {
        self.journal.events.push(Event::Synced(Position(self.journal.entries.len() as u64)));
        self.turn();
    }
}

const STREAM: &str = r#"{"name":"S","subjects":["s"]}"#;
const CONSUMER: &str =
    r#"{"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit","max_deliver":1}}"#;

#[test]
fn streams_and_consumers_are_told_of_when_they_are_safe() {
    let (mut world, ear) = watched("$JS.EVENT.ADVISORY.*.*.>");
    world.journal.is_slow = true;
    for (subject, body, kind) in [
        ("$JS.API.STREAM.CREATE.S", STREAM, "stream_action"),
        ("$JS.API.CONSUMER.DURABLE.CREATE.S.C", CONSUMER, "consumer_action"),
        ("$JS.API.CONSUMER.DELETE.S.C", "", "consumer_action"),
        ("$JS.API.STREAM.DELETE.S", "", "stream_action"),
    ] {
        world.say(subject, "_INBOX.1", body);
        assert!(ear.take().is_empty(), "{subject}: a crash now undoes it");
        world.sync();
        let told = ear.take();
        assert_eq!(told.len(), 1, "{subject}: {told:?}");
        assert!(told[0].contains(kind), "{told:?}");
    }
}

#[test]
fn a_message_that_was_given_up_is_told_of_when_that_is_safe() {
    let (mut world, ear) = watched("$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>");
    world.say("$JS.API.STREAM.CREATE.S", "_INBOX.1", STREAM);
    world.say("$JS.API.CONSUMER.DURABLE.CREATE.S.C", "_INBOX.2", CONSUMER);
    world.say("s", "", "one");
    world.say("$JS.API.CONSUMER.MSG.NEXT.S.C", "_INBOX.3", "");
    world.journal.is_slow = true;
    world.say("$JS.ACK.S.C.1.1.1.1.0", "_INBOX.4", "+TERM");
    assert!(ear.take().is_empty());
    world.sync();
    assert_eq!(ear.take().len(), 1);
}

#[test]
fn what_was_asked_is_told_of_with_the_answer_that_was_given() {
    let (mut world, ear) = watched("$JS.EVENT.ADVISORY.API");
    world.journal.is_slow = true;
    world.say("$JS.API.STREAM.CREATE.S", "_INBOX.1", STREAM);
    assert!(ear.take().is_empty(), "nobody was answered yet");
    world.sync();
    let told = ear.take().concat();
    assert!(told.contains("did_create") && told.contains("STREAM.CREATE.S"), "{told}");
    world.say("$JS.API.STREAM.DELETE.S", "_INBOX.1", "");
    world.journal.events.push(Event::Failed(Code::StoreFailed, "a test".into()));
    world.turn();
    let told = ear.take();
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("the journal has failed"), "{told:?}");
}

#[test]
fn what_will_never_be_safe_is_not_told_of() {
    let (mut world, ear) = watched("$JS.EVENT.ADVISORY.STREAM.>");
    world.journal.is_slow = true;
    world.say("$JS.API.STREAM.CREATE.S", "_INBOX.1", STREAM);
    world.journal.events.push(Event::Failed(Code::StoreFailed, "a test".into()));
    world.turn();
    assert!(ear.take().is_empty());
}
