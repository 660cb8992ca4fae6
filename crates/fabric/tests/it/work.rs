//! Work on whole streams: done bit by bit, with everybody else served meanwhile, and answered as if it were done at once.

use kernel::journal::{Image, Recovered, Row, Summary};
use kernel::{Entry, LogId, Position};

use crate::plane::World;

/// A stream S with messages of two subjects in turn, of many subjects, and what more its configuration says.
fn filled(messages: usize, config: &str) -> World {
    let mut world = World::new(Recovered::default());
    world.journal.is_readable = true;
    let create = format!(r#"{{"name":"S","subjects":["s.>"]{config}}}"#);
    world.say("$JS.API.STREAM.CREATE.S", "_INBOX.created", &create);
    for n in 0..messages {
        world.put(&format!("s.{}.{n:05}", n % 2), "", "");
    }
    world.turn();
    world.heard();
    world
}

impl World {
    /// Takes one round of a turn at a time for as long as there is work, so that others come in between.
    pub(crate) fn rounds(&mut self) -> usize {
        (1..).find(|_| self.turn().is_none_or(|next| next > self.now.mono_ns)).unwrap()
    }

    fn answer(&mut self, subject: &str, body: &str) -> String {
        self.say(subject, "_INBOX.answer", body);
        self.rounds();
        self.heard().concat()
    }

    /// Messages removed by each submission.
    fn removed(&self) -> Vec<u64> {
        let of = |entry: &Entry| match entry {
            Entry::Remove(_, ranges) => {
                Some(ranges.iter().map(|range| range.end() - range.start() + 1).sum())
            }
            _ => None,
        };
        self.journal.entries.iter().filter_map(of).collect()
    }
}

#[test]
fn a_large_purge_is_done_bit_by_bit_and_answered_when_it_is_done() {
    let mut world = filled(10_000, "");
    let told = world.answer("$JS.API.STREAM.PURGE.S", r#"{"filter":"s.1.*"}"#);
    assert!(told.contains(r#""purged":5000"#), "{told}");
    let removed = world.removed();
    assert_eq!(removed.iter().sum::<u64>(), 5000);
    assert!(removed.iter().all(|many| *many <= 2048), "{removed:?}");
    let told = world.answer("$JS.API.STREAM.INFO.S", "");
    assert!(told.contains(r#""messages":5000"#), "{told}");
}

#[test]
fn while_a_purge_is_under_way_messages_are_stored_and_it_takes_none_of_them() {
    let mut world = filled(10_000, "");
    // All in one go: the plane finds the purge in front of what follows.
    world.put("$JS.API.STREAM.PURGE.S", "_INBOX.purged", r#"{"filter":"s.*.*"}"#);
    world.put("s.1.new", "_INBOX.stored", "");
    world.put("$JS.API.STREAM.MSG.DELETE.S", "_INBOX.deleted", r#"{"seq":9999}"#);
    world.turn();
    world.rounds();
    let heard = world.heard();
    let at = |what: &str| heard.iter().position(|said| said.contains(what)).unwrap();
    assert!(at(r#""seq":10001"#) < at(r#""purged":9999"#), "nobody waits for a purge: {heard:?}");
    assert!(
        heard.iter().any(|said| said.contains("msg_delete_response") && said.contains(r#""success":true"#))
    );
    let told = world.answer("$JS.API.STREAM.INFO.S", "");
    assert!(told.contains(r#""messages":1,"#), "{told}");
}

#[test]
fn a_purge_of_a_stream_that_is_deleted_meanwhile_is_answered() {
    let mut world = filled(10_000, "");
    world.put("$JS.API.STREAM.PURGE.S", "_INBOX.purged", r#"{"filter":"s.*.*"}"#);
    world.put("$JS.API.STREAM.INFO.S", "_INBOX.counted", r#"{"subjects_filter":">"}"#);
    world.put("$JS.API.STREAM.DELETE.S", "_INBOX.deleted", "");
    world.turn();
    world.rounds();
    let heard = world.heard();
    assert_eq!(heard.len(), 3, "{heard:?}");
    assert_eq!(heard.iter().filter(|said| said.contains("stream not found")).count(), 2, "{heard:?}");
}

#[test]
fn subjects_are_counted_bit_by_bit_and_told_in_order_and_in_pages() {
    let mut world = filled(10_000, "");
    let told = world.answer("$JS.API.STREAM.INFO.S", r#"{"subjects_filter":"s.1.*"}"#);
    assert!(told.contains(r#""total":5000"#) && told.contains(r#""limit":100000"#), "no total");
    assert_eq!(told.matches(r#""s.1."#).count(), 5000);
    let told = world.answer("$JS.API.STREAM.INFO.S", r#"{"subjects_filter":"s.1.*","offset":4999}"#);
    assert!(told.contains(r#""total":5000"#) && told.contains(r#""offset":4999"#), "{told}");
    assert_eq!(told.matches(r#""s.1."#).count(), 1);
    assert!(told.contains(r#""s.1.09999":1"#), "{told}");
    let told = world.answer("$JS.API.STREAM.INFO.S", r#"{"subjects_filter":"t.>"}"#);
    assert!(told.contains(r#""messages":10000"#) && told.contains(r#""total":0"#), "{told}");
}

/// Interest in everything, by two consumers that were given nothing.
fn wanted(messages: usize) -> World {
    let mut world = World::new(Recovered::default());
    let create = r#"{"name":"S","subjects":["s.>"],"retention":"interest"}"#;
    world.say("$JS.API.STREAM.CREATE.S", "", create);
    for (name, filter) in [("ALL", "s.>"), ("ONE", "s.1.*")] {
        let create = format!(
            r#"{{"stream_name":"S","config":{{"durable_name":"{name}","filter_subject":"{filter}","ack_policy":"explicit"}}}}"#
        );
        world.say(&format!("$JS.API.CONSUMER.DURABLE.CREATE.S.{name}"), "", &create);
    }
    for n in 0..messages {
        world.put(&format!("s.{}.{n:05}", n % 2), "", "");
    }
    world.turn();
    world
}

#[test]
fn what_only_a_deleted_consumer_wanted_goes_bit_by_bit_even_over_a_crash() {
    let mut world = wanted(10_000);
    world.say("$JS.API.CONSUMER.DELETE.S.ALL", "_INBOX.deleted", "");
    world.rounds();
    let told = world.answer("$JS.API.STREAM.INFO.S", "");
    assert!(told.contains(r#""messages":5000"#), "{told}");
    assert!(world.removed().iter().all(|many| *many <= 2048), "{:?}", world.removed());
    let notes = |entry: &&Entry| matches!(entry, Entry::State(key, _) if key.starts_with(b"sweep"));
    let noted: Vec<&Entry> = world.journal.entries.iter().filter(notes).collect();
    assert!(matches!(noted[..], [Entry::State(_, Some(_)), Entry::State(_, None)]), "{noted:?}");
}

#[test]
fn a_walk_comes_to_its_end_although_consumers_come_and_go_and_others_get_their_turn() {
    let mut world = wanted(4_000);
    world.say("$JS.API.STREAM.CREATE.T", "", r#"{"name":"T","subjects":["t.>"]}"#);
    for n in 0..6_000 {
        world.put(&format!("t.{n}"), "", "");
    }
    // So many that the walk is a long one.
    for n in 0..600 {
        let create = format!(
            r#"{{"stream_name":"S","config":{{"durable_name":"N{n}","filter_subject":"s.2.{n}","ack_policy":"explicit"}}}}"#
        );
        world.say(&format!("$JS.API.CONSUMER.DURABLE.CREATE.S.N{n}"), "", &create);
    }
    world.heard();
    world.put("$JS.API.CONSUMER.DELETE.S.ALL", "", "");
    world.put("$JS.API.STREAM.PURGE.T", "_INBOX.purged", r#"{"filter":"t.*"}"#);
    world.turn();
    let heard = world.heard().concat();
    assert!(heard.contains(r#""purged":6000"#), "it does not wait for the walk: {heard}");
    let unwanted_left = |world: &mut World| {
        world.say("$JS.API.STREAM.INFO.S", "_INBOX.info", "");
        !world.heard().concat().contains(r#""messages":2000,"#)
    };
    assert!(unwanted_left(&mut world), "the walk is no long one");
    let turns = (0..600).find(|n| {
        world.say(&format!("$JS.API.CONSUMER.DELETE.S.N{n}"), "", "");
        !unwanted_left(&mut world)
    });
    assert!(turns.is_some_and(|turns| turns < 20), "{turns:?}");
    world.rounds();
    let over = |entry: &&Entry| matches!(entry, Entry::State(key, None) if key.starts_with(b"sweep"));
    assert_eq!(
        world.journal.entries.iter().filter(over).count(),
        1,
        "it was swept until nothing was left to do"
    );
}

#[test]
fn a_stream_is_deleted_without_a_walk_for_each_of_its_consumers() {
    let mut world = wanted(10_000);
    let before = world.removed().len();
    world.say("$JS.API.STREAM.DELETE.S", "_INBOX.deleted", "");
    assert!(world.heard().concat().contains(r#""success":true"#));
    assert_eq!(world.removed().len(), before, "its messages go with the log");
}

#[test]
fn a_sweep_that_a_crash_interrupted_is_done_after_the_start() {
    let log = LogId(5);
    let state = r#"{"log":5,"created":"2026-01-01T00:00:00Z","config":{"name":"A","subjects":["A"],"retention":"interest"}}"#;
    let states =
        vec![("stream\0\0A".into(), state.into()), (format!("sweep\0{:016x}", log.0).into(), "1".into())];
    let logs = vec![(log, Summary { first: 1, last: 3, count: 3, bytes: 30, ..Summary::default() })];
    let mut world = World::new(Recovered { last: Position(20), states, logs, ..Recovered::default() });
    let row = |index| Row { index, time_ns: 1, size: 10, subject: 0, flags: 0 };
    world.journal.image = Image { subjects: vec!["A".into()], rows: (1..=3).map(row).collect() };
    world.turn();
    assert_eq!(world.removed(), [3], "though nobody asked for the stream");
    let over = |entry: &Entry| matches!(entry, Entry::State(key, None) if key.starts_with(b"sweep"));
    assert!(world.journal.entries.iter().any(over));
}

#[test]
fn messages_that_end_together_go_bit_by_bit() {
    let mut world = filled(10_000, r#","max_age":60000000000"#);
    world.now.wall_ms += 61_000;
    world.now.mono_ns += 61_000_000_000;
    world.put("s.1.new", "_INBOX.stored", "");
    world.turn();
    world.rounds();
    let removed = world.removed();
    assert_eq!(removed.iter().sum::<u64>(), 10_000);
    assert!(removed.iter().all(|many| *many <= 2048), "{removed:?}");
    assert!(world.heard().concat().contains(r#""seq":10001"#));
}
