//! Streams that nobody uses leave memory, and nobody can tell.

use std::sync::atomic::Ordering::Relaxed;

use kernel::journal::{Event, Recovered};
use kernel::{Entry, Msg, Position};

use crate::plane::World;

const MINUTE_NS: u64 = 60_000_000_000;

impl World {
    fn pass(&mut self, minutes: u64) {
        for _ in 0..minutes {
            self.now.mono_ns += MINUTE_NS;
            self.now.wall_ms += MINUTE_NS / 1_000_000;
            self.turn();
        }
    }

    /// Streams that came into memory, and that left it.
    fn moves(&self) -> (u64, u64) {
        let figures = self.plane.figures();
        (figures.streams_loaded_total.load(Relaxed), figures.streams_unloaded_total.load(Relaxed))
    }

    fn ask(&mut self, subject: &str, payload: &str) -> String {
        self.say(subject, "_INBOX.1", payload);
        self.heard().concat()
    }

    fn publish(&mut self, headers: &str, payload: &str) -> String {
        let m = Msg {
            subject: b"s",
            reply: b"_INBOX.2",
            headers: headers.as_bytes(),
            payload: payload.as_bytes(),
            ..Msg::default()
        };
        let _ = self.session.publish(&m, &mut self.woken);
        self.turn();
        self.heard().concat()
    }
}

fn with(config: &str) -> World {
    let mut world = World::new(Recovered::default());
    world.journal.is_readable = true;
    let made = world.ask("$JS.API.STREAM.CREATE.S", &format!(r#"{{"name":"S","subjects":["s"],{config}}}"#));
    assert!(made.contains(r#""did_create":true"#), "{made}");
    world
}

fn used() -> World {
    let mut world = with(r#""allow_direct":true"#);
    for n in 1..=3 {
        let headers = format!("NATS/1.0\r\nNp-Producer: p\r\nNp-Epoch: 1\r\nNp-Sequence: {n}\r\n\r\n");
        assert_eq!(world.publish(&headers, "m"), format!(r#"{{"stream":"S","seq":{n}}}"#));
    }
    world
}

#[test]
fn a_stream_that_nobody_uses_leaves_memory_and_comes_back_as_it_was() {
    let mut world = used();
    let before = world.ask("$JS.API.STREAM.INFO.S", "");
    world.pass(25);
    assert_eq!(world.moves(), (1, 1));
    assert_eq!(world.plane.turn(world.now, &mut world.journal), None, "nothing wakes it");
    let told = world.ask("$JS.API.STREAM.INFO.S", "");
    let state = |info: &str| info.split_once(r#""state":"#).unwrap().1.split('}').next().unwrap().to_owned();
    assert_eq!(state(&told), state(&before));
    assert_eq!(world.moves(), (2, 1));
    world.pass(25);
    let third = "NATS/1.0\r\nNp-Producer: p\r\nNp-Epoch: 1\r\nNp-Sequence: 3\r\n\r\n";
    assert_eq!(world.publish(third, "m"), r#"{"stream":"S","seq":3,"duplicate": true}"#);
    assert_eq!(world.publish("", "m"), r#"{"stream":"S","seq":4}"#);
    assert_eq!(world.moves(), (3, 2));
}

#[test]
fn a_stream_that_is_used_stays() {
    let mut world = used();
    for _ in 0..10 {
        world.pass(9);
        world.ask("$JS.API.DIRECT.GET.S", r#"{"seq":1}"#);
    }
    assert_eq!(world.moves(), (1, 0));
}

#[test]
fn a_stream_whose_consumers_hold_leases_stays() {
    let mut world = used();
    let consumer = r#"{"stream_name":"S","config":{"durable_name":"c","ack_policy":"explicit"}}"#;
    let made = world.ask("$JS.API.CONSUMER.CREATE.S.c", consumer);
    assert!(made.contains(r#""name":"c""#), "{made}");
    world.pass(60);
    assert_eq!(world.moves(), (1, 0));
    world.ask("$JS.API.CONSUMER.DELETE.S.c", "");
    world.pass(25);
    assert_eq!(world.moves(), (1, 1));
}

#[test]
fn a_stream_with_something_that_is_not_safe_yet_stays_until_it_is() {
    let mut world = used();
    world.journal.is_slow = true;
    assert_eq!(world.publish("", "m"), "");
    world.pass(60);
    assert_eq!(world.moves(), (1, 0));
    world.journal.is_slow = false;
    world.journal.events.push(Event::Synced(Position(world.journal.entries.len() as u64)));
    world.turn();
    assert_eq!(world.heard().concat(), r#"{"stream":"S","seq":4}"#);
    world.pass(25);
    assert_eq!(world.moves(), (1, 1));
}

#[test]
fn a_stream_stays_while_it_knows_an_id_whose_message_is_gone() {
    let mut world = with(r#""duplicate_window":3600000000000"#);
    let again = "NATS/1.0\r\nNats-Msg-Id: again\r\n\r\n";
    assert_eq!(world.publish(again, "m"), r#"{"stream":"S","seq":1}"#);
    assert_eq!(world.publish("", "m"), r#"{"stream":"S","seq":2}"#);
    world.ask("$JS.API.STREAM.MSG.DELETE.S", r#"{"seq":1}"#);
    world.pass(50);
    assert_eq!(world.moves(), (1, 0), "within the window");
    assert_eq!(world.publish(again, "m"), r#"{"stream":"S","seq":1,"duplicate": true}"#);
    world.pass(40);
    assert_eq!(world.moves(), (1, 1), "the id has left it");
    assert_eq!(world.publish(again, "m"), r#"{"stream":"S","seq":3}"#);
    assert_eq!(world.publish(again, "m"), r#"{"stream":"S","seq":3,"duplicate": true}"#);
    assert_eq!(world.moves(), (2, 1));
}

#[test]
fn what_is_known_of_producers_is_safe_before_their_messages_can_be_removed_again() {
    let mut world = used();
    world.pass(25);
    assert_eq!(world.moves(), (1, 1));
    for seq in 1..=2 {
        world.ask("$JS.API.STREAM.MSG.DELETE.S", &format!(r#"{{"seq":{seq}}}"#));
    }
    let place = |is_it: fn(&Entry) -> bool| world.journal.entries.iter().position(is_it);
    let kept = place(|entry| matches!(entry, Entry::State(key, Some(_)) if key.starts_with(b"producers")));
    let removed = place(|entry| matches!(entry, Entry::Remove(_, gone) if !gone.is_empty()));
    assert!(kept.is_some() && kept < removed, "{kept:?} {removed:?}");
}

#[test]
fn a_stream_that_cannot_be_read_when_it_comes_back_is_tried_again() {
    let mut world = used();
    world.pass(25);
    world.journal.is_unreadable = true;
    let third = "NATS/1.0\r\nNp-Producer: p\r\nNp-Epoch: 1\r\nNp-Sequence: 3\r\n\r\n";
    let refused = world.publish(third, "m");
    assert!(refused.contains("cannot be read now"), "{refused}");
    world.pass(60);
    assert_eq!(world.moves(), (1, 1));
    world.journal.is_unreadable = false;
    world.pass(1);
    assert_eq!(world.publish(third, "m"), r#"{"stream":"S","seq":3,"duplicate": true}"#);
    assert_eq!(world.moves(), (2, 1));
    world.pass(25);
    assert_eq!(world.moves(), (2, 2));
}

#[test]
fn a_delay_goes_on_while_its_stream_is_not_in_memory() {
    let mut world = with(r#""allow_direct":true"#);
    world.publish("NATS/1.0\r\nNp-Delay: 1800s\r\n\r\n", "half an hour");
    world.publish("NATS/1.0\r\nNp-Delay: 7200s\r\n\r\n", "two hours");
    world.pass(60);
    assert_eq!(world.moves(), (1, 1), "what is due for nobody wakes nothing");
    let config = r#"{"durable_name":"c","ack_policy":"explicit","ack_wait":36000000000000}"#;
    world.ask("$JS.API.CONSUMER.CREATE.S.c", &format!(r#"{{"stream_name":"S","config":{config}}}"#));
    world.say("$JS.API.CONSUMER.MSG.NEXT.S.c", "_INBOX.3", r#"{"batch":2}"#);
    assert_eq!(world.heard(), ["half an hour"]);
    world.pass(58);
    assert!(world.heard().iter().all(|said| said != "two hours"), "it is kept back still");
    world.pass(3);
    assert!(world.heard().iter().any(|said| said == "two hours"));
}

#[test]
fn messages_end_by_age_while_their_stream_is_not_in_memory() {
    let mut world = with(r#""max_age":3600000000000"#);
    world.publish("", "m");
    world.pass(50);
    assert_eq!(world.moves(), (1, 1));
    world.pass(11);
    assert_eq!(world.moves(), (2, 1), "it comes back for it");
    let is_gone = |entry: &Entry| matches!(entry, Entry::Remove(_, gone) if !gone.is_empty());
    assert!(world.journal.entries.iter().any(is_gone));
}

#[test]
fn a_stream_whose_messages_have_all_ended_leaves_memory_and_goes_on_where_it_was() {
    let mut world = with(r#""max_age":600000000000,"duplicate_window":600000000000"#);
    world.publish("", "m");
    assert_eq!(world.publish("", "m"), r#"{"stream":"S","seq":2}"#);
    world.pass(40);
    assert_eq!(world.moves(), (1, 1));
    let told = world.ask("$JS.API.STREAM.INFO.S", "");
    assert!(told.contains(r#""messages":0"#) && told.contains(r#""first_seq":3"#), "{told}");
    assert!(told.contains(r#""last_seq":2"#), "{told}");
    assert_eq!(world.publish("", "m"), r#"{"stream":"S","seq":3}"#);
}

#[test]
fn a_stream_stays_while_only_memory_knows_the_id_of_its_last_message() {
    let mut world = with(r#""duplicate_window":1000000000"#);
    world.publish("NATS/1.0\r\nNats-Msg-Id: one\r\n\r\n", "m");
    world.ask("$JS.API.STREAM.MSG.DELETE.S", r#"{"seq":1}"#);
    world.pass(60);
    assert_eq!(world.moves(), (1, 0));
    let behind = "NATS/1.0\r\nNats-Expected-Last-Msg-Id: one\r\n\r\n";
    assert_eq!(world.publish(behind, "m"), r#"{"stream":"S","seq":2}"#);
    world.pass(25);
    assert_eq!(world.moves(), (1, 1));
}

#[test]
fn a_stream_stays_while_a_message_has_a_life_of_its_own() {
    let mut world = with(r#""allow_msg_ttl":true"#);
    world.publish("", "m");
    world.publish("NATS/1.0\r\nNats-TTL: 3600s\r\n\r\n", "an hour");
    world.pass(50);
    assert_eq!(world.moves(), (1, 0));
    world.pass(40);
    assert_eq!(world.moves(), (1, 1));
    let told = world.ask("$JS.API.STREAM.INFO.S", "");
    assert!(told.contains(r#""messages":1"#) && told.contains(r#""last_seq":2"#), "{told}");
}

#[test]
fn a_stream_whose_messages_end_one_after_the_other_stays_for_it() {
    let mut world = with(r#""max_age":3600000000000"#);
    for _ in 0..40 {
        world.publish("", "m");
        world.pass(1);
    }
    world.pass(10);
    assert_eq!(world.moves(), (1, 0), "the first one ends soon");
    world.pass(45);
    assert_eq!(world.moves(), (1, 0), "and so do the others");
    world.pass(30);
    assert_eq!(world.moves(), (1, 1));
}

#[test]
fn a_producers_message_that_goes_is_known_when_its_stream_nearly_left() {
    let mut world = with(r#""max_age":1800000000000"#);
    let first = "NATS/1.0\r\nNp-Producer: p\r\nNp-Epoch: 1\r\nNp-Sequence: 1\r\n\r\n";
    world.publish(first, "m");
    // It is looked at, and stays because its message ends soon.
    world.pass(29);
    assert_eq!(world.moves(), (1, 0));
    world.pass(2);
    let place = |is_it: fn(&Entry) -> bool| world.journal.entries.iter().position(is_it);
    let kept = place(|entry| matches!(entry, Entry::State(key, Some(_)) if key.starts_with(b"producers")));
    let removed = place(|entry| matches!(entry, Entry::Remove(_, gone) if !gone.is_empty()));
    assert!(kept.is_some() && kept < removed, "{kept:?} {removed:?}");
}

#[test]
fn a_stream_that_would_be_long_in_coming_back_stays() {
    let mut world = with(r#""max_msgs":200000"#);
    for n in 0..100_001 {
        let _ = world.session.publish(&Msg { subject: b"s", ..Msg::default() }, &mut world.woken);
        if n % 1000 == 0 {
            world.turn();
        }
    }
    world.pass(60);
    assert_eq!(world.moves(), (1, 0));
    world.ask("$JS.API.STREAM.PURGE.S", r#"{"keep":3}"#);
    world.pass(25);
    assert_eq!(world.moves(), (1, 1));
}
