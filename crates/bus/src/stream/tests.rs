//! What a stream promises, one test a promise.

use kernel::headers::block;
use kernel::journal::{Image, Record, Row as ImageRow, Summary};
use kernel::{Msg, Now, SubjectPattern};
use wire::jetstream::{Discard, PublishHeaders, StreamConfig};

use super::*;
use crate::messages::Messages;

const S: u64 = 1_000;

/// A stream, what its journal would hold, and a clock.
struct Bench {
    stream: Stream,
    kept: std::collections::BTreeMap<u64, Record>,
    ms: u64,
}

fn stream(change: impl FnOnce(&mut StreamConfig)) -> Bench {
    let mut config = StreamConfig { name: "T".into(), ..StreamConfig::default() };
    change(&mut config);
    let config = check(config, &Limits::default()).unwrap();
    Bench { stream: Stream::new(config, 7), kept: Default::default(), ms: 1_700_000_000_000 }
}

fn pattern(text: &str) -> SubjectPattern {
    SubjectPattern::parse(text.as_bytes()).unwrap()
}

impl Bench {
    fn now(&self) -> Now {
        Now { mono_ns: 0, wall_ms: self.ms }
    }

    fn note(&mut self, changes: Changes) {
        self.kept.extend(changes.record.map(|record| (record.index, record)));
        for range in changes.removed {
            self.kept.retain(|seq, _| !range.contains(seq));
        }
    }

    /// Stores without making visible.
    fn store(
        &mut self,
        subject: &str,
        payload: &str,
        headers: &[(&str, &str)],
    ) -> Result<Published, Refusal> {
        let headers = block(headers.iter().copied()).unwrap();
        let m = Msg {
            subject: subject.as_bytes(),
            payload: payload.as_bytes(),
            headers: &headers,
            ..Msg::default()
        };
        let mut changes = Changes::default();
        let parsed = PublishHeaders::read(&headers);
        let result = self.stream.publish(self.now(), &m, &parsed, &mut changes);
        self.note(changes);
        result
    }

    fn publish(&mut self, subject: &str, headers: &[(&str, &str)]) -> Result<Published, Refusal> {
        let result = self.store(subject, "x", headers);
        self.show();
        result
    }

    fn show(&mut self) {
        let mut changes = Changes::default();
        self.stream.show(u64::MAX, &mut changes);
        self.note(changes);
    }

    fn put(&mut self, subject: &str) {
        self.publish(subject, &[]).unwrap();
    }

    fn expire(&mut self) {
        let mut changes = Changes::default();
        self.stream.expire(self.now(), &mut changes);
        self.note(changes);
    }

    fn purge(&mut self, what: Purge<'_>) -> Result<u64, Refusal> {
        let mut changes = Changes::default();
        let result = self.stream.purge(what, &mut changes);
        self.note(changes);
        result
    }

    fn seqs(&self) -> Vec<u64> {
        let mut seqs = Vec::new();
        while let Some(seq) = self.stream.next(seqs.last().map_or(0, |s| s + 1), &mut |_, _| true) {
            seqs.push(seq);
        }
        let kept: Vec<u64> = self.kept.keys().copied().filter(|s| *s <= self.stream.last()).collect();
        assert_eq!(seqs, kept, "the journal holds what the stream shows");
        seqs
    }

    /// The same stream after a restart.
    fn restarted(&mut self, lose_producers: bool) -> Bench {
        let mut image = Image::default();
        for r in self.kept.values() {
            let subject = image.subjects.iter().position(|s| s == r.subject()).unwrap_or_else(|| {
                image.subjects.push(r.subject().to_vec().into());
                image.subjects.len() - 1
            }) as u32;
            let (index, time_ns, size, flags) = (r.index, r.time_ns, r.size() as u32, r.flags);
            image.rows.push(ImageRow { index, time_ns, size, subject, flags });
        }
        let last_time_ns = self.stream.last_time_ns;
        let summary = Summary { last: self.stream.last_stored(), last_time_ns, ..Summary::default() };
        let mut stream = Stream::restore(self.stream.config().clone(), &image, &summary, 99);
        if !lose_producers && let Some(bytes) = self.stream.producers_snapshot() {
            stream.restore_producers(&bytes).unwrap();
        }
        for seq in stream.wanted_at_restore() {
            stream.remember(&self.kept[&seq]);
        }
        let mut bench = Bench { stream, kept: self.kept.clone(), ms: self.ms };
        bench.expire();
        bench
    }
}

fn stored(seq: u64) -> Result<Published, Refusal> {
    Ok(Published::Stored { seq })
}

fn duplicate(seq: u64) -> Result<Published, Refusal> {
    Ok(Published::Duplicate { seq })
}

#[test]
fn messages_are_numbered_from_one_or_from_where_the_configuration_says() {
    let mut b = stream(|_| ());
    assert_eq!(b.stream.state(), State::default());
    assert_eq!((b.publish("a", &[]), b.publish("a", &[])), (stored(1), stored(2)));
    let mut b = stream(|c| c.first_seq = 100);
    let state = b.stream.state();
    assert_eq!((state.first_seq, state.last_seq, b.stream.first()), (100, 99, 100));
    assert_eq!(b.publish("a", &[]), stored(100));
}

#[test]
fn bytes_count_as_the_real_server_counts_them() {
    let mut b = stream(|_| ());
    b.store("s.1", "hello", &[]).unwrap();
    b.show();
    assert_eq!(b.stream.state().bytes, 38);
    b.store("s.1", "hello", &[("A", "b")]).unwrap();
    b.show();
    assert_eq!(b.stream.state().bytes, 98);
    let mut b = stream(|c| c.storage = wire::jetstream::StorageType::Memory);
    b.store("s.1", "hello", &[("A", "b")]).unwrap();
    b.show();
    assert_eq!(b.stream.state().bytes, 42);
}

#[test]
fn nothing_is_seen_before_it_is_safe_but_it_already_counts_for_what_comes() {
    let mut b = stream(|c| c.max_msgs_per_subject = 1);
    b.put("k");
    b.store("k", "new", &[]).unwrap();
    assert_eq!(b.stream.last_of(b"k"), Some(1), "readers see the old value until the new one is safe");
    assert_eq!((b.stream.state().messages, b.stream.last(), b.stream.row(2)), (1, 1, None));
    assert_eq!(b.store("k", "x", &[("Nats-Expected-Last-Subject-Sequence", "2")]), stored(3));
    b.show();
    assert_eq!((b.seqs(), b.stream.last_of(b"k")), (vec![3], Some(3)));
}

#[test]
fn expected_sequences_and_names_are_checked_against_all_that_is_stored() {
    let mut b = stream(|_| ());
    let (stream, last) = ("Nats-Expected-Stream", "Nats-Expected-Last-Sequence");
    let (of_subject, subject) =
        ("Nats-Expected-Last-Subject-Sequence", "Nats-Expected-Last-Subject-Sequence-Subject");
    let wrong = |last| Err(Refusal::WrongLastSequence { last });
    assert_eq!(b.publish("s.1", &[(stream, "T")]), stored(1));
    assert_eq!(b.publish("s.1", &[(stream, "U")]), Err(Refusal::OtherStream));
    assert_eq!(b.publish("s.1", &[(last, "1")]), stored(2));
    for bad in ["9", "zz", "-1", "0"] {
        assert_eq!(b.publish("s.1", &[(last, bad)]), wrong(2));
    }
    assert_eq!(b.publish("s.1", &[(of_subject, "2")]), stored(3));
    assert_eq!(b.publish("s.1", &[(of_subject, "2")]), wrong(3));
    assert_eq!(b.publish("s.new", &[(of_subject, "0")]), stored(4));
    assert_eq!(b.publish("s.newer", &[(of_subject, "5")]), wrong(0));
    assert_eq!(b.publish("s.q", &[(of_subject, "4"), (subject, "s.new")]), stored(5));
    assert_eq!(b.publish("s.q", &[(of_subject, "5"), (subject, "s.*")]), stored(6));
    assert_eq!(b.publish("s.q", &[(of_subject, "5"), (subject, "s..")]), wrong(0));
    assert_eq!(b.publish("s.q", &[(subject, "s.x")]), Err(Refusal::SequenceMissing));
}

#[test]
fn an_id_is_stored_once_within_the_window() {
    let mut b = stream(|c| c.duplicate_window = 1_000_000_000);
    let id = "Nats-Msg-Id";
    assert_eq!(b.publish("a", &[(id, "1")]), stored(1));
    assert_eq!(b.publish("b", &[(id, "1")]), duplicate(1));
    assert_eq!(
        b.publish("a", &[(id, "1"), ("Nats-Expected-Last-Sequence", "9")]),
        Err(Refusal::WrongLastSequence { last: 1 }),
        "expectations come first"
    );
    assert_eq!(b.publish("a", &[(id, "1"), ("Nats-Rollup", "x")]), duplicate(1));
    b.ms += S;
    assert_eq!(b.publish("a", &[(id, "1")]), stored(2));
    assert_eq!(b.stream.next_wake(), Some(b.ms + S), "the window's memory is given back");
    b.ms += S;
    b.expire();
    assert_eq!(b.stream.next_wake(), None);
}

#[test]
fn the_last_id_can_be_expected() {
    let mut b = stream(|_| ());
    let expected = "Nats-Expected-Last-Msg-Id";
    b.publish("a", &[("Nats-Msg-Id", "1")]).unwrap();
    assert_eq!(b.publish("a", &[(expected, "q")]), Err(Refusal::WrongLastId { last: "1".into() }));
    assert_eq!(b.publish("a", &[(expected, "1")]), stored(2));
    assert_eq!(b.publish("a", &[(expected, "1")]), Err(Refusal::WrongLastId { last: String::new() }));
}

#[test]
fn a_producers_message_is_stored_once_however_late_it_comes_again() {
    let mut b = stream(|_| ());
    fn of<'a>(epoch: &'a str, sequence: &'a str) -> [(&'a str, &'a str); 3] {
        [("Np-Producer", "p"), ("Np-Epoch", epoch), ("Np-Sequence", sequence)]
    }
    assert_eq!(b.publish("a", &of("1", "1")), stored(1));
    assert_eq!(b.publish("a", &of("1", "2")), stored(2));
    b.ms += 1_000_000 * S;
    assert_eq!(b.publish("a", &of("1", "1")), duplicate(1));
    assert_eq!(b.store("a", "other", &of("1", "1")), Err(Refusal::SequenceReused));
    assert_eq!(b.publish("a", &of("2", "1")), stored(3));
    assert_eq!(b.publish("a", &of("1", "3")), Err(Refusal::Fenced { epoch: 2 }));
    assert_eq!(b.publish("a", &[("Np-Producer", "p")]), Err(Refusal::ProducerInvalid));
    assert_eq!(b.publish("a", &of("1", "x")), Err(Refusal::ProducerInvalid));
    for lose in [false, true] {
        let mut again = b.restarted(lose);
        assert_eq!(again.publish("a", &of("2", "1")), duplicate(3));
        assert_eq!(again.publish("a", &of("1", "3")), Err(Refusal::Fenced { epoch: 2 }));
    }
}

#[test]
fn a_removal_that_would_make_a_producer_forgotten_says_so() {
    let mut b = stream(|_| ());
    b.publish("a", &[("Np-Producer", "p"), ("Np-Epoch", "1"), ("Np-Sequence", "1")]).unwrap();
    b.publish("a", &[("Np-Producer", "p"), ("Np-Epoch", "1"), ("Np-Sequence", "2")]).unwrap();
    let mut changes = Changes::default();
    assert!(b.stream.acknowledged(1, &mut changes));
    assert!(changes.producers);
    b.stream.producers_snapshot().unwrap();
    let mut changes = Changes::default();
    assert!(b.stream.acknowledged(2, &mut changes));
    assert!(!changes.producers, "the snapshot covers it");
}

#[test]
fn a_full_stream_lets_go_of_the_oldest() {
    let mut b = stream(|c| c.max_msgs = 3);
    (0..5).for_each(|_| b.put("a"));
    assert_eq!(b.seqs(), [3, 4, 5]);
    let mut b = stream(|c| c.max_bytes = 100);
    (0..5).for_each(|_| b.put("aaa"));
    assert_eq!(b.seqs(), [4, 5], "34 bytes each");
    let mut b = stream(|c| c.max_bytes = 100);
    b.store("a", &"x".repeat(200), &[]).unwrap();
    b.show();
    assert_eq!((b.seqs(), b.stream.state().first_seq, b.stream.state().last_seq), (vec![], 2, 1));
}

#[test]
fn a_full_stream_that_discards_new_refuses() {
    let mut b = stream(|c| (c.max_msgs, c.discard) = (2, Discard::New));
    (0..2).for_each(|_| b.put("a"));
    assert_eq!(b.publish("a", &[]), Err(Refusal::MaxMessages));
    let mut b = stream(|c| (c.max_bytes, c.discard) = (100, Discard::New));
    (0..2).for_each(|_| b.put("aaa"));
    assert_eq!(b.publish("aaa", &[]), Err(Refusal::MaxBytes));
    assert_eq!(b.seqs(), [1, 2]);
    let per_subject = |c: &mut StreamConfig| {
        (c.discard, c.max_msgs_per_subject, c.discard_new_per_subject) = (Discard::New, 1, true);
    };
    let mut b = stream(per_subject);
    b.put("a");
    assert_eq!(b.publish("a", &[]), Err(Refusal::MaxMessagesPerSubject));
    assert_eq!(b.publish("b", &[]), stored(2));
}

#[test]
fn a_value_can_be_replaced_in_a_full_stream_that_discards_new() {
    let full = |c: &mut StreamConfig| {
        (c.discard, c.max_msgs_per_subject, c.max_msgs, c.max_bytes) = (Discard::New, 1, 2, 70);
    };
    let mut b = stream(full);
    b.put("a");
    b.put("b");
    b.store("a", "x", &[]).unwrap();
    assert_eq!(b.publish("c", &[]), Err(Refusal::MaxMessages), "whether the old one has gone yet or not");
    assert_eq!(b.seqs(), [2, 3]);
    b.put("b");
    assert_eq!(b.seqs(), [3, 4]);
    assert_eq!(b.store("b", &"x".repeat(20), &[]), Err(Refusal::MaxBytes));
}

#[test]
fn a_subject_keeps_its_newest_messages() {
    let mut b = stream(|c| c.max_msgs_per_subject = 2);
    ["a", "b", "a", "a", "b", "b", "a"].into_iter().for_each(|s| b.put(s));
    assert_eq!(b.seqs(), [4, 5, 6, 7]);
    let mut changes = Changes::default();
    b.stream.delete(4, &mut changes).unwrap();
    b.note(changes);
    b.put("a");
    b.put("a");
    assert_eq!(b.seqs(), [5, 6, 8, 9]);
    assert_eq!(b.restarted(true).seqs(), [5, 6, 8, 9]);
}

#[test]
fn sizes_are_bounded() {
    let mut b = stream(|c| c.max_msg_size = 10);
    assert_eq!(b.store("a", &"x".repeat(10), &[]), stored(1));
    assert_eq!(b.store("a", &"x".repeat(11), &[]), Err(Refusal::MessageTooLarge));
    assert_eq!(b.store("a", "x", &[("A", "b")]), Err(Refusal::MessageTooLarge));
    let mut b = stream(|_| ());
    let long = "x".repeat(65_536);
    assert_eq!(b.publish("a", &[("A", &long)]), Err(Refusal::HeadersTooLarge));
}

#[test]
fn a_roll_up_stands_for_what_was_before() {
    let mut b = stream(|c| c.allow_rollup_hdrs = true);
    ["a", "b", "b"].into_iter().for_each(|s| b.put(s));
    b.publish("b", &[("Nats-Rollup", "sub")]).unwrap();
    assert_eq!(b.seqs(), [1, 4]);
    b.store("c", "x", &[("Nats-Rollup", "ALL")]).unwrap();
    b.put("d");
    assert_eq!(b.seqs(), [5, 6]);
    assert_eq!(b.publish("a", &[("Nats-Rollup", "Foo")]), Err(Refusal::RollupInvalid { word: "foo".into() }));
    let mut b = stream(|_| ());
    assert_eq!(b.publish("a", &[("Nats-Rollup", "sub")]), Err(Refusal::RollupForbidden));
}

#[test]
fn a_roll_up_and_a_limit_hold_after_a_crash_right_behind_the_record() {
    let mut b = stream(|c| (c.allow_rollup_hdrs, c.max_msgs_per_subject) = (true, 2));
    ["a", "b", "c", "b"].into_iter().for_each(|s| b.put(s));
    b.store("b", "x", &[("Nats-Rollup", "sub")]).unwrap();
    (0..3).for_each(|_| assert!(b.store("c", "x", &[]).is_ok()));
    assert_eq!(b.restarted(true).seqs(), [1, 5, 7, 8]);
}

#[test]
fn old_messages_go_and_a_message_that_never_goes_stays() {
    let mut b = stream(|c| (c.max_age, c.allow_msg_ttl) = (1_000_000_000, true));
    b.publish("a", &[("Nats-TTL", "never")]).unwrap();
    b.publish("a", &[("Nats-TTL", "10s")]).unwrap();
    b.ms += S / 2;
    b.put("a");
    assert_eq!(b.stream.next_wake(), Some(b.ms + S / 2));
    b.ms += S / 2;
    b.expire();
    assert_eq!(b.seqs(), [1, 3]);
    b.ms += S / 2;
    let mut again = b.restarted(true);
    assert_eq!((b.stream.next_wake(), again.seqs()), (Some(b.ms), vec![1]));
    again.expire();
    assert_eq!(again.stream.next_wake(), None);
}

#[test]
fn a_message_with_a_time_to_live_goes_when_it_is_over() {
    let mut b = stream(|c| c.allow_msg_ttl = true);
    b.publish("a", &[("Nats-TTL", "2")]).unwrap();
    b.publish("a", &[("Nats-TTL", "1s")]).unwrap();
    b.put("a");
    b.ms += S;
    assert_eq!(b.stream.next_wake(), Some(b.ms));
    b.expire();
    assert_eq!(b.seqs(), [1, 3]);
    let mut again = b.restarted(true);
    assert_eq!(again.stream.next_wake(), Some(b.ms + S));
    again.ms += S;
    again.expire();
    assert_eq!((again.seqs(), again.stream.next_wake()), (vec![3], None));
    assert_eq!(b.publish("a", &[("Nats-TTL", "0")]), Err(Refusal::TtlInvalid));
    let mut b = stream(|_| ());
    assert_eq!(b.publish("a", &[("Nats-TTL", "5s")]), Err(Refusal::TtlDisabled));
    assert_eq!(b.publish("a", &[("Nats-TTL", "zz")]), Err(Refusal::TtlInvalid));
}

#[test]
fn deleting_leaves_a_hole_that_is_listed() {
    let mut b = stream(|_| ());
    (0..5).for_each(|n| b.put(&format!("s.{}", n % 2)));
    let mut changes = Changes::default();
    assert_eq!(b.stream.delete(2, &mut changes), Ok(()));
    assert_eq!(b.stream.delete(2, &mut changes), Err(Refusal::NotFound { seq: 2 }));
    assert_eq!(b.stream.delete(9, &mut changes), Err(Refusal::NotFound { seq: 9 }));
    assert_eq!((b.stream.deleted(10), b.stream.state().num_deleted), (vec![2], 1));
    b.stream.delete(1, &mut changes).unwrap();
    assert_eq!((b.stream.deleted(10), b.stream.state().first_seq), (vec![], 3));
    b.stream.delete(5, &mut changes).unwrap();
    assert_eq!((b.stream.deleted(10), b.stream.state().last_seq), (vec![5], 5));
    assert_eq!(b.stream.last_of(b"s.0"), Some(3));
    let mut b = stream(|c| c.deny_delete = true);
    b.put("a");
    assert_eq!(b.stream.delete(1, &mut changes), Err(Refusal::DeleteForbidden));
}

#[test]
fn a_purge_takes_what_it_is_asked_to() {
    let five = || {
        let mut b = stream(|_| ());
        (0..5).for_each(|n| b.put(&format!("s.{}", n % 2)));
        b
    };
    let (zero, one) = (pattern("s.0"), pattern("s.1"));
    let all = Purge::default();
    for (what, left) in [
        (all, vec![]),
        (Purge { before: Some(3), ..all }, vec![3, 4, 5]),
        (Purge { keep: Some(2), ..all }, vec![4, 5]),
        (Purge { filter: Some(&one), ..all }, vec![1, 3, 5]),
        (Purge { filter: Some(&zero), keep: Some(1), ..all }, vec![2, 4, 5]),
        (Purge { filter: Some(&zero), before: Some(3), ..all }, vec![2, 3, 4, 5]),
        (Purge { before: Some(6), ..all }, vec![]),
        (Purge { keep: Some(50), ..all }, vec![1, 2, 3, 4, 5]),
    ] {
        let mut b = five();
        assert_eq!(b.purge(what), Ok(5 - left.len() as u64), "{what:?}");
        assert_eq!(b.seqs(), left, "{what:?}");
        let state = b.stream.state();
        assert_eq!((state.first_seq, state.last_seq), (left.first().copied().unwrap_or(6), 5));
        assert_eq!(b.publish("s.0", &[]), stored(6));
    }
    let mut changes = Changes::default();
    let mut b = five();
    b.stream.purge(Purge { before: Some(100), ..all }, &mut changes).unwrap();
    assert_eq!((b.stream.state().first_seq, b.stream.state().last_seq, changes.last), (100, 99, Some(99)));
    let both = Purge { before: Some(3), keep: Some(1), ..all };
    assert_eq!(five().purge(both), Err(Refusal::BadRequest));
    let mut b = stream(|c| c.deny_purge = true);
    assert_eq!(b.purge(all), Err(Refusal::PurgeForbidden));
}

#[test]
fn a_tighter_configuration_is_applied_at_once() {
    let five = |change: fn(&mut StreamConfig)| {
        let mut b = stream(|_| ());
        (0..5).for_each(|n| b.put(&format!("s.{}", n % 2)));
        let mut config = b.stream.config().clone();
        change(&mut config);
        let config = check_update(b.stream.config(), config, &Limits::default()).unwrap();
        let mut changes = Changes::default();
        b.stream.update(config, &mut changes);
        b.note(changes);
        b
    };
    assert_eq!(five(|c| c.max_msgs_per_subject = 1).seqs(), [4, 5]);
    assert_eq!(five(|c| c.max_msgs = 2).seqs(), [4, 5]);
    assert_eq!(five(|c| (c.max_msgs, c.discard) = (2, Discard::New)).seqs(), [1, 2, 3, 4, 5]);
    let mut b = five(|c| c.max_msgs_per_subject = 2);
    (0..3).for_each(|_| b.put("s.0"));
    assert_eq!(b.seqs(), [2, 4, 7, 8]);
    let mut b = five(|c| c.sealed = true);
    assert_eq!(b.publish("s.0", &[]), Err(Refusal::Sealed));
    assert_eq!(b.purge(Purge::default()), Err(Refusal::Sealed));
}

#[test]
fn messages_are_found_by_subject_and_place() {
    let mut b = stream(|_| ());
    ["a.1", "a.2", "b.1", "a.1", "b.2"].into_iter().for_each(|s| b.put(s));
    let s = &b.stream;
    assert_eq!((s.last_of(b"a.1"), s.last_of(b"q")), (Some(4), None));
    assert_eq!((s.last_heard(&pattern("a.*")), s.last_heard(&pattern("c.>"))), (Some(4), None));
    assert_eq!((s.next_heard(2, &pattern("b.*")), s.next_heard(6, &pattern(">"))), (Some(3), None));
    let many = |filters: &[&str], up_to, max| {
        s.last_of_many(&filters.iter().map(|f| pattern(f)).collect::<Vec<_>>(), up_to, max)
    };
    assert_eq!(many(&["a.*", "b.1"], 9, 10), Ok(vec![2, 3, 4]));
    assert_eq!(many(&["a.*", "b.1"], 3, 10), Ok(vec![1, 2, 3]));
    assert_eq!(many(&[">"], 9, 2), Err(Refusal::TooMany));
    let mut counts: Vec<_> = s.subjects(&pattern("a.*")).map(|(n, c)| (n.to_vec(), c)).collect();
    counts.sort();
    assert_eq!(counts, [(b"a.1".to_vec(), 2), (b"a.2".to_vec(), 1)]);
    assert_eq!(s.last_of_each(&mut |_, n| n != b"a.1"), [2, 3, 5]);
}

#[test]
fn what_nobody_here_knows_is_refused() {
    let mut b = stream(|_| ());
    assert_eq!(b.publish("a", &[("Nats-Schedule", "@at x")]), Err(Refusal::SchedulesDisabled));
    assert_eq!(b.publish("a", &[("Nats-Incr", "+1")]), Err(Refusal::CountersDisabled));
    assert_eq!(b.publish("a", &[("Nats-Batch-Id", "x")]), Err(Refusal::AtomicDisabled));
}

#[test]
fn ids_survive_a_restart() {
    let mut b = stream(|_| ());
    b.publish("a", &[("Nats-Msg-Id", "1")]).unwrap();
    b.publish("a", &[("Nats-Msg-Id", "2")]).unwrap();
    let mut again = b.restarted(true);
    assert_eq!(again.publish("a", &[("Nats-Msg-Id", "1")]), duplicate(1));
    assert_eq!(again.publish("a", &[("Nats-Expected-Last-Msg-Id", "2")]), stored(3));
}

#[test]
fn time_never_runs_backwards_within_a_stream() {
    let mut b = stream(|_| ());
    b.put("a");
    b.ms -= 5_000;
    b.put("a");
    let time = |seq| b.stream.row(seq).unwrap().time_ns;
    assert_eq!(time(1), time(2));
}
