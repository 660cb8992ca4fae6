//! Violations planted one by one, each found as what it is; and a run in which all promises were kept.

use super::*;

fn at(seq: u64, message: u64) -> Stored {
    Stored { seq, subject: 0, message: Some(message) }
}

/// Three messages 10, 11, 12 acknowledged at 1, 2, 3, and a fourth of unknown outcome.
fn three(rule: Rule) -> Oracle {
    let mut oracle = Oracle::default();
    let stream = oracle.stream("S", rule);
    oracle.consumer("C", stream);
    for (seq, message) in [(1, 10), (2, 11), (3, 12)] {
        oracle.sent(stream, message, 0);
        oracle.acked(stream, message, seq, false);
    }
    oracle.sent(stream, 13, 0);
    oracle
}

fn kinds(oracle: &Oracle) -> Vec<Kind> {
    oracle.violations().keys().copied().collect()
}

#[test]
fn what_was_promised_and_kept_is_no_violation() {
    let mut oracle = three(Rule::All);
    for (seq, message) in [(1, 10), (2, 11), (2, 11), (3, 12)] {
        oracle.delivered(0, at(seq, message));
    }
    oracle.acknowledges(0, 1);
    oracle.confirmed(0, 1);
    oracle.restarted(0, State { first: 1, last: 4, messages: 4 });
    oracle.looked_up(0, 3, Some(at(3, 12)));
    // The fourth was stored although nobody was told; a retry under its id is recognised.
    oracle.sent(0, 13, 0);
    oracle.acked(0, 13, 4, true);
    oracle.delivered(0, at(4, 13));
    oracle.holds(0, &[at(1, 10), at(2, 11), at(3, 12), at(4, 13)]);
    oracle.all_delivered(0);
    assert_eq!(kinds(&oracle), [], "{:?}", oracle.told());
    let counts = oracle.counts();
    assert_eq!((counts.published, counts.retried, counts.acknowledged), (5, 1, 4));
    assert_eq!((counts.recognised, counts.redelivered, counts.confirmed), (1, 1, 1));
}

#[test]
fn a_message_of_unknown_outcome_may_be_there_or_not() {
    for all in [vec![at(1, 10), at(2, 11), at(3, 12)], vec![at(1, 10), at(2, 11), at(3, 12), at(4, 13)]] {
        let mut oracle = three(Rule::All);
        oracle.holds(0, &all);
        assert_eq!(kinds(&oracle), []);
    }
}

#[test]
fn an_acknowledged_message_that_is_gone_is_lost() {
    let mut oracle = three(Rule::All);
    oracle.holds(0, &[at(1, 10), at(3, 12)]);
    assert_eq!(kinds(&oracle), [Kind::Lost]);
    assert!(oracle.told()[0].contains("S: 2 "), "{:?}", oracle.told());
}

#[test]
fn a_stream_that_ends_too_early_or_has_a_hole_is_known_at_the_start() {
    for state in [State { first: 1, last: 2, messages: 2 }, State { first: 1, last: 3, messages: 2 }] {
        let mut oracle = three(Rule::All);
        oracle.restarted(0, state);
        assert_eq!(kinds(&oracle), [Kind::Lost], "{state:?}");
    }
    let mut oracle = three(Rule::All);
    assert_eq!(oracle.newest(0, 2), [2, 3]);
    oracle.looked_up(0, 3, None);
    assert_eq!(kinds(&oracle), [Kind::Lost]);
}

#[test]
fn another_message_at_an_acknowledged_sequence_is_found() {
    let mut oracle = three(Rule::All);
    oracle.sent(0, 14, 0);
    oracle.holds(0, &[at(1, 10), at(2, 14), at(3, 12)]);
    assert_eq!(kinds(&oracle), [Kind::Moved]);
}

#[test]
fn a_retry_that_is_stored_again_is_found() {
    let mut oracle = three(Rule::All);
    oracle.sent(0, 12, 0);
    oracle.acked(0, 12, 4, false);
    assert_eq!(kinds(&oracle), [Kind::Doubled]);
    let mut oracle = three(Rule::All);
    oracle.holds(0, &[at(1, 10), at(2, 11), at(3, 12), at(4, 10)]);
    assert!(kinds(&oracle).contains(&Kind::Doubled));
}

#[test]
fn what_nobody_published_is_found() {
    let mut oracle = three(Rule::All);
    oracle.delivered(0, Stored { seq: 4, subject: 0, message: None });
    oracle.delivered(0, at(5, 99));
    oracle.delivered(0, Stored { subject: 7, ..at(3, 12) });
    assert_eq!(oracle.violations().get(&Kind::Unknown), Some(&3));
}

#[test]
fn sequences_that_do_not_ascend_are_found() {
    let mut oracle = three(Rule::All);
    oracle.holds(0, &[at(1, 10), at(3, 12), at(2, 11)]);
    assert_eq!(kinds(&oracle), [Kind::Unordered]);
}

#[test]
fn a_delivery_after_the_confirmation_is_found_and_one_before_is_not() {
    let mut oracle = three(Rule::All);
    oracle.delivered(0, at(1, 10));
    oracle.acknowledges(0, 1);
    oracle.delivered(0, at(1, 10));
    assert_eq!(kinds(&oracle), []);
    oracle.confirmed(0, 1);
    oracle.delivered(0, at(1, 10));
    assert_eq!(kinds(&oracle), [Kind::Redelivered]);
}

#[test]
fn a_message_that_a_consumer_never_got_is_found() {
    let mut oracle = three(Rule::All);
    oracle.delivered(0, at(1, 10));
    oracle.delivered(0, at(3, 12));
    oracle.all_delivered(0);
    assert_eq!(oracle.violations().get(&Kind::Undelivered), Some(&1));
}

#[test]
fn a_work_queue_loses_only_what_was_acknowledged_and_all_that_was_confirmed() {
    let mut oracle = three(Rule::WorkQueue);
    for (seq, message) in [(1, 10), (2, 11)] {
        oracle.delivered(0, at(seq, message));
        oracle.acknowledges(0, seq);
    }
    oracle.confirmed(0, 1);
    oracle.holds(0, &[at(3, 12)]);
    oracle.holds(0, &[at(2, 11), at(3, 12)]);
    assert_eq!(kinds(&oracle), []);
    oracle.holds(0, &[at(1, 10), at(3, 12)]);
    assert_eq!(kinds(&oracle), [Kind::Undone]);
    let mut oracle = three(Rule::WorkQueue);
    oracle.holds(0, &[at(1, 10), at(2, 11)]);
    assert_eq!(kinds(&oracle), [Kind::Lost]);
}

#[test]
fn the_newest_of_each_subject_are_kept_and_no_more() {
    let mut oracle = three(Rule::PerSubject(2));
    oracle.holds(0, &[at(2, 11), at(3, 12)]);
    assert_eq!(kinds(&oracle), []);
    oracle.holds(0, &[at(1, 10), at(2, 11), at(3, 12)]);
    assert_eq!(kinds(&oracle), [Kind::Limit]);
    let mut oracle = three(Rule::PerSubject(2));
    oracle.holds(0, &[at(1, 10), at(3, 12)]);
    assert_eq!(kinds(&oracle), [Kind::Lost]);
}

#[test]
fn streams_that_are_gone_or_come_back_are_found() {
    let mut oracle = Oracle::default();
    for (name, there) in [("A", true), ("B", true), ("B", false)] {
        oracle.asks_for_stream(name);
        oracle.stream_is(name, there);
    }
    oracle.listed(&["A".to_owned()]);
    assert_eq!(kinds(&oracle), []);
    oracle.listed(&["B".to_owned()]);
    assert_eq!(kinds(&oracle), [Kind::Lost, Kind::Unknown]);
}
