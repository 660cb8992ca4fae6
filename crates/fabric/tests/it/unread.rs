//! A disk that gives nothing for a while: nobody is told that something is gone, and nothing is lost by it.

use std::sync::atomic::Ordering;

use kernel::journal::{Event, Image, Recovered, Row, Summary};
use kernel::{Entry, LogId, Position};

use crate::plane::{World, stream};

const LOG: LogId = LogId(5);
const SECOND: u64 = 1_000_000_000;

/// A stream A with three messages from before the start, and what more its state says.
fn old(states: Vec<(&str, &str)>, deltas: Vec<(&str, &str)>) -> World {
    let summary = Summary { first: 1, last: 3, count: 3, bytes: 30, ..Summary::default() };
    let pair = |(key, value): (&str, &str)| (key.to_owned().into(), value.to_owned().into());
    let mut all = vec![stream("", "A", LOG.0)];
    all.extend(states.into_iter().map(pair));
    let recovered = Recovered {
        last: Position(20),
        states: all,
        deltas: deltas.into_iter().map(pair).collect(),
        logs: vec![(LOG, summary)],
        ..Recovered::default()
    };
    let mut world = World::new(recovered);
    let row = |index| Row { index, time_ns: 1, size: 10, subject: 0, flags: 0 };
    world.journal.image = Image { subjects: vec!["A".into()], rows: (1..=3).map(row).collect() };
    world.journal.is_unreadable = true;
    world
}

#[test]
fn a_stream_that_cannot_be_read_refuses_for_now_and_is_whole_later() {
    let mut world = old(vec![], vec![]);
    world.say("$JS.API.STREAM.INFO.A", "_INBOX.1", "");
    assert!(world.heard().concat().contains("cannot be read now"));
    assert_eq!(world.plane.take_trouble().len(), 1, "the operator is told");
    // While it waits to be tried again, nothing is asked of the disk and nobody waits.
    world.say("A", "_INBOX.2", "one");
    let heard = world.heard().concat();
    assert!(heard.contains("10077") && heard.contains("cannot be read now"), "{heard}");
    world.say("$JS.API.STREAM.MSG.GET.A", "_INBOX.3", r#"{"seq":1}"#);
    let heard = world.heard().concat();
    assert!(heard.contains("cannot be read now") && !heard.contains("no message found"), "{heard}");
    // A list of all streams does not fail for one of them.
    world.say("$JS.API.STREAM.LIST", "_INBOX.4", "");
    let heard = world.heard().concat();
    assert!(heard.contains(r#""messages":3"#), "{heard}");
    assert!(world.journal.entries.is_empty(), "nothing was given up: {:?}", world.journal.entries);
    for _ in 0..3 {
        world.now.mono_ns += 10 * SECOND;
        world.turn();
    }
    assert!(world.plane.take_trouble().is_empty(), "told once");
    assert!(world.plane.figures().unread_total.load(Ordering::Relaxed) > 3, "and tried again");
    world.journal.is_unreadable = false;
    world.now.mono_ns += 10 * SECOND;
    world.turn();
    world.say("$JS.API.STREAM.INFO.A", "_INBOX.5", "");
    let heard = world.heard().concat();
    assert!(heard.contains(r#""messages":3"#) && heard.contains(r#""last_seq":3"#), "{heard}");
    world.say("A", "_INBOX.6", "four");
    assert_eq!(world.heard(), [r#"{"stream":"A","seq":4}"#]);
}

#[test]
fn a_stream_that_cannot_be_read_can_be_deleted() {
    let mut world = old(vec![], vec![]);
    world.say("$JS.API.STREAM.INFO.A", "", "");
    world.say("$JS.API.STREAM.DELETE.A", "_INBOX.1", "");
    assert!(world.heard().concat().contains(r#""success":true"#));
    assert!(world.journal.entries.contains(&Entry::Forget(LOG)));
}

#[test]
fn what_a_consumer_of_it_has_done_is_kept_when_the_journal_is_to_be_freed() {
    let config = r#"{"created":"2026-01-01T00:00:00Z","config":{"durable_name":"C"}}"#;
    let state = format!("{}\0\0\0{config}progress", config.len() as u8 as char);
    let key = "consumer\0\u{30}000000000000005\0C";
    let mut world = old(vec![(key, &state)], vec![(key, "a change"), (key, "another")]);
    world.journal.events.push(Event::Checkpoint(Position(20)));
    world.turn();
    let kept: Vec<&Entry> = world.journal.entries.iter().collect();
    let is = |entry: &Entry, text: &str| match entry {
        Entry::State(k, Some(value)) => &k[..] == key.as_bytes() && value.ends_with(text.as_bytes()),
        Entry::Delta(k, value) => &k[..] == key.as_bytes() && &value[..] == text.as_bytes(),
        _ => false,
    };
    assert_eq!(kept.len(), 4, "{kept:?}");
    let in_order = ["progress", "a change", "another"];
    assert!(kept.iter().zip(in_order).all(|(entry, text)| is(entry, text)), "{kept:?}");
    assert_eq!(kept[3], &Entry::Checkpoint(Position(20)), "and the others are not kept from it");
}

/// A stream S with a message, a consumer C, and a disk that gives nothing.
fn delivering() -> World {
    let mut world = World::new(Recovered::default());
    world.journal.is_readable = true;
    world.say("$JS.API.STREAM.CREATE.S", "", r#"{"name":"S","subjects":["s"],"allow_direct":true}"#);
    let create =
        r#"{"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit","ack_wait":1000000000}}"#;
    world.say("$JS.API.CONSUMER.DURABLE.CREATE.S.C", "", create);
    world.say("s", "", "one");
    world.journal.is_unreadable = true;
    world
}

#[test]
fn a_delivery_that_cannot_be_read_keeps_its_place_and_is_made_later() {
    let mut world = delivering();
    world.say("$JS.API.CONSUMER.MSG.NEXT.S.C", "_INBOX.1", r#"{"batch":5,"expires":60000000000}"#);
    assert!(world.heard().is_empty());
    world.say("s", "", "two");
    for _ in 0..5 {
        world.now.mono_ns += 5 * SECOND;
        world.turn();
    }
    assert!(world.heard().is_empty(), "nothing is terminated, nothing overtakes it");
    let told = world.plane.take_trouble();
    assert_eq!(told.len(), 1, "{told:?}");
    world.journal.is_unreadable = false;
    world.now.mono_ns += 10 * SECOND;
    world.turn();
    assert_eq!(world.heard(), ["one", "two"], "once each, though the time of the first lease is long over");
    let removed = world.journal.entries.iter().filter(|entry| matches!(entry, Entry::Remove(..))).count();
    assert_eq!(removed, 0);
}

#[test]
fn who_reads_a_message_is_not_told_that_there_is_none() {
    let mut world = delivering();
    world.say("$JS.API.STREAM.MSG.GET.S", "_INBOX.1", r#"{"seq":1}"#);
    let heard = world.heard().concat();
    assert!(heard.contains("cannot be read now") && !heard.contains("no message found"), "{heard}");
    for body in [r#"{"seq":1}"#, r#"{"seq":1,"batch":10}"#] {
        world.say("$JS.API.DIRECT.GET.S", "_INBOX.2", body);
        assert_eq!(world.heads(), ["NATS/1.0 500 Cannot Be Read Now\r\n\r\n"]);
    }
}

#[test]
fn who_reads_from_a_stream_that_is_deleted_meanwhile_is_answered() {
    let mut world = delivering();
    world.journal.is_unreadable = false;
    world.journal.reads = Some(Vec::new());
    world.say("$JS.API.DIRECT.GET.S", "_INBOX.1", r#"{"seq":1}"#);
    world.say("$JS.API.DIRECT.GET.S", "_INBOX.1", r#"{"seq":1,"batch":10}"#);
    world.say("$JS.API.STREAM.DELETE.S", "", "");
    world.heads();
    let reads = world.journal.reads.take().unwrap();
    world.journal.events.extend(reads);
    world.turn();
    let heads = world.heads();
    assert!(heads[0].starts_with("NATS/1.0 404 Message Not Found"), "{heads:?}");
    assert!(heads[1].starts_with("NATS/1.0 204 EOB"), "{heads:?}");
}

#[test]
fn who_asks_for_more_than_can_be_kept_is_told_to_come_again() {
    let mut world = delivering();
    world.journal.is_unreadable = false;
    world.journal.reads = Some(Vec::new());
    let refused = (0..20_000).find(|_| {
        world.say("$JS.API.DIRECT.GET.S", "_INBOX.1", r#"{"seq":1}"#);
        !world.heads().is_empty()
    });
    assert!(refused.is_some_and(|n| n > 1000), "{refused:?}");
    let reads = world.journal.reads.take().unwrap();
    world.journal.events.extend(reads);
    world.turn();
    world.heads();
    world.say("$JS.API.DIRECT.GET.S", "_INBOX.1", r#"{"seq":1}"#);
    assert_eq!(world.heard().last().map(String::as_str), Some("one"), "there is room again");
}

#[test]
fn what_waits_for_a_stream_is_bounded_and_answered() {
    let mut world = old(vec![], vec![]);
    (world.journal.is_unreadable, world.journal.is_loading) = (false, true);
    let large = "x".repeat(1 << 20);
    for _ in 0..100 {
        world.say("A", "_INBOX.1", &large);
    }
    let heard = world.heard();
    assert!((36..=38).contains(&heard.len()), "{} were refused", heard.len());
    assert!(heard.iter().all(|said| said.contains("too many requests")));
    world.journal.events.push(Event::Loaded(LOG, Box::new(world.journal.image.clone())));
    world.turn();
    let heard = world.heard();
    assert!((62..=64).contains(&heard.len()) && heard.iter().all(|said| said.contains(r#""seq":"#)));
}

#[test]
fn whoever_asks_a_consumer_that_could_not_be_restored_is_answered() {
    let config = r#"{"created":"2026-01-01T00:00:00Z","config":{"durable_name":"C"}}"#;
    let state = format!("{}\0\0\0{config}nonsense", config.len() as u8 as char);
    let mut world = old(vec![("consumer\0\u{30}000000000000005\0C", &state)], vec![]);
    world.journal.is_unreadable = false;
    world.say("$JS.API.CONSUMER.MSG.NEXT.A.C", "_INBOX.1", "");
    let heads = world.heads();
    assert!(heads.len() == 1 && heads[0].starts_with("NATS/1.0 503"), "{heads:?}");
}
