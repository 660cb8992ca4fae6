//! How safe a message is when it counts, while a stream's level changes.

use kernel::journal::{Event, Recovered};
use kernel::{Code, Msg, Position};

use crate::plane::World;

/// A stream S of a level, and a journal whose syncs come when they are told to.
fn world(level: &str) -> World {
    let mut world = World::new(Recovered::default());
    world.journal.is_readable = true;
    world.level("CREATE", level);
    world.journal.is_slow = true;
    world.heard();
    world
}

impl World {
    fn level(&mut self, how: &str, level: &str) {
        let config = format!(r#"{{"name":"S","subjects":["s"],"metadata":{{"np.ack":"{level}"}}}}"#);
        self.say(&format!("$JS.API.STREAM.{how}.S"), "_INBOX.config", &config);
    }

    /// Publishes, and leaves the plane's turn to what comes next.
    pub(crate) fn put(&mut self, subject: &str, reply: &str, payload: &str) {
        let (subject, reply, payload) = (subject.as_bytes(), reply.as_bytes(), payload.as_bytes());
        let m = Msg { subject, reply, payload, ..Msg::default() };
        self.session.publish(&m, &mut self.woken).unwrap();
    }

    /// Publishes with a header.
    fn say_with(&mut self, (name, value): (&str, &str), reply: &str, payload: &str) {
        let headers = kernel::headers::block([(name, value)]).unwrap();
        let (reply, payload) = (reply.as_bytes(), payload.as_bytes());
        let m = Msg { subject: b"s", reply, headers: &headers, payload, ..Msg::default() };
        self.session.publish(&m, &mut self.woken).unwrap();
        self.turn();
    }

    fn at(&self) -> Position {
        Position(self.journal.entries.len() as u64)
    }

    fn synced(&mut self, to: Position) {
        self.journal.events.push(Event::Synced(to));
        self.turn();
    }

    /// The sequences acknowledged since the last time, and how many messages can be seen.
    fn seen(&mut self) -> (Vec<String>, String) {
        let number = |text: &str, name: &str| {
            let (_, rest) = text.split_once(name)?;
            rest.split([',', '}']).next().map(str::to_owned)
        };
        let acked = self.heard().iter().filter_map(|said| number(said, r#""seq":"#)).collect();
        self.say("$JS.API.STREAM.INFO.S", "_INBOX.info", "");
        (acked, number(&self.heard().concat(), r#""messages":"#).unwrap())
    }
}

fn numbers(acked: &[&str], messages: &str) -> (Vec<String>, String) {
    (acked.iter().map(|seq| (*seq).to_owned()).collect(), messages.to_owned())
}

#[test]
fn a_lower_level_shows_nothing_that_waits_for_the_higher_one() {
    for level in ["mem", "os"] {
        let mut world = world("disk");
        world.say("s", "_INBOX.1", "one");
        let first = world.at();
        world.level("UPDATE", level);
        let updated = world.at();
        world.say("s", "_INBOX.2", "two");
        world.journal.events.push(Event::Written(world.at()));
        world.turn();
        assert_eq!(world.seen(), numbers(&[], "0"), "one waits for the disk, and two comes behind it");
        world.synced(first);
        assert_eq!(world.seen(), numbers(&["1"], "1"));
        world.synced(updated);
        world.journal.events.push(Event::Written(world.at()));
        world.turn();
        assert_eq!(world.seen(), numbers(&["2"], "2"), "two need not wait for the disk");
        world.say("s", "_INBOX.3", "three");
        world.journal.events.push(Event::Written(world.at()));
        world.turn();
        assert_eq!(world.seen(), numbers(&["3"], "3"));
    }
}

#[test]
fn a_level_lowered_twice_shows_everything_in_order() {
    let mut world = world("disk");
    world.say("s", "_INBOX.1", "one");
    world.level("UPDATE", "os");
    let first = world.at();
    world.say("s", "_INBOX.2", "two");
    world.level("UPDATE", "mem");
    let second = world.at();
    world.say("s", "_INBOX.3", "three");
    world.synced(first);
    assert_eq!(world.seen(), numbers(&["1"], "1"));
    world.synced(second);
    assert_eq!(world.seen(), numbers(&["2", "3"], "3"));
}

#[test]
fn a_higher_level_counts_at_once_and_what_came_before_it_does_not_wait_for_it() {
    let mut world = world("mem");
    world.say("s", "_INBOX.1", "one");
    world.level("UPDATE", "disk");
    world.say("s", "_INBOX.2", "two");
    assert_eq!(world.seen(), numbers(&["1"], "1"));
    let last = world.at();
    world.synced(last);
    assert_eq!(world.seen(), numbers(&["2"], "2"));
}

#[test]
fn what_arrives_together_with_an_update_waits_for_the_level_that_it_came_under() {
    let mut world = world("mem");
    world.put("s", "_INBOX.1", "one");
    world.level("UPDATE", "disk");
    assert_eq!(world.seen(), numbers(&["1"], "1"));
    world.synced(world.at());
    world.put("s", "_INBOX.2", "two");
    world.level("UPDATE", "mem");
    assert_eq!(world.seen(), numbers(&[], "1"));
    world.synced(world.at());
    assert_eq!(world.seen(), numbers(&["2"], "2"));
}

#[test]
fn who_waits_behind_a_lowered_level_is_told_when_the_journal_fails() {
    let mut world = world("disk");
    world.level("UPDATE", "mem");
    world.say("s", "_INBOX.1", "one");
    assert!(world.heard().is_empty());
    world.journal.events.push(Event::Failed(Code::StoreFailed, "a test".into()));
    world.turn();
    assert_eq!(world.heard().iter().filter(|said| said.contains("error")).count(), 2);
}

#[test]
fn an_acknowledgement_of_a_delivery_is_not_confirmed_at_a_level_that_does_not_count_yet() {
    let mut world = world("disk");
    world.journal.is_slow = false;
    let create = r#"{"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit"}}"#;
    world.say("$JS.API.CONSUMER.DURABLE.CREATE.S.C", "_INBOX.2", create);
    world.say("s", "", "one");
    world.say("$JS.API.CONSUMER.MSG.NEXT.S.C", "_INBOX.3", "");
    assert!(world.heard().contains(&"one".to_owned()));
    world.journal.is_slow = true;
    world.level("UPDATE", "mem");
    world.say("$JS.ACK.S.C.1.1.1.1.0", "_INBOX.4", "+ACK");
    assert!(world.heard().is_empty(), "a crash now brings back the higher level, and the message");
    world.synced(world.at());
    assert!(world.heard().contains(&String::new()), "the confirmation has no content");
}

#[test]
fn a_message_that_asks_for_more_than_its_stream_is_shown_at_once_and_acknowledged_when_it_is_safe() {
    for header in [("Np-Ack", "disk"), ("Np-Persistent", "true")] {
        let mut world = world("mem");
        world.say_with(header, "_INBOX.1", "one");
        let first = world.at();
        world.say("s", "_INBOX.2", "two");
        assert_eq!(world.seen(), numbers(&["2"], "2"), "what asks for nothing does not wait for it");
        world.synced(first);
        assert_eq!(world.seen(), numbers(&["1"], "2"));
    }
}

#[test]
fn a_message_that_asks_for_less_than_its_stream_is_acknowledged_at_once_and_shown_when_it_is_safe() {
    for header in [("Np-Ack", "mem"), ("Np-Persistent", "false")] {
        let mut world = world("disk");
        world.say("s", "_INBOX.1", "one");
        world.say_with(header, "_INBOX.2", "two");
        assert_eq!(world.seen(), numbers(&["2"], "0"), "nobody sees what a crash may undo");
        world.synced(world.at());
        assert_eq!(world.seen(), numbers(&["1"], "2"));
    }
}

#[test]
fn a_copy_of_a_message_waits_for_what_it_asks_itself() {
    let mut world = world("mem");
    world.say_with(("Nats-Msg-Id", "m"), "_INBOX.1", "one");
    assert_eq!(world.seen(), numbers(&["1"], "1"));
    let headers = kernel::headers::block([("Nats-Msg-Id", "m"), ("Np-Ack", "disk")]).unwrap();
    let m = Msg { subject: b"s", reply: b"_INBOX.1", headers: &headers, ..Msg::default() };
    world.session.publish(&m, &mut world.woken).unwrap();
    world.turn();
    assert_eq!(world.seen(), numbers(&[], "1"));
    world.synced(world.at());
    assert_eq!(world.seen(), numbers(&["1"], "1"));
}

#[test]
fn a_level_that_is_none_or_that_the_stream_cannot_reach_is_refused() {
    let mut world = World::new(Recovered::default());
    world.say(
        "$JS.API.STREAM.CREATE.M",
        "_INBOX.config",
        r#"{"name":"M","subjects":["s"],"storage":"memory"}"#,
    );
    world.heard();
    for (header, why) in [
        (("Np-Ack", "quorum"), "Np-Ack must be mem, os or disk"),
        (("Np-Ack", "disk"), "nothing in it can be safer than mem"),
        (("Np-Persistent", "true"), "nothing in it can be safer than mem"),
    ] {
        world.say_with(header, "_INBOX.1", "one");
        let said = world.heard().concat();
        assert!(said.contains(why) && said.contains(r#""code":400"#), "{said}");
    }
    world.say_with(("Np-Ack", "mem"), "_INBOX.1", "one");
    assert!(world.heard().concat().contains(r#""seq":1"#), "what was refused took no place");
}
