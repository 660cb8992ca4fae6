//! What is taken and what is refused.

use super::*;

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
fn what_nobody_here_knows_is_refused() {
    let mut b = stream(|_| ());
    assert_eq!(b.publish("a", &[("Nats-Schedule", "@at x")]), Err(Refusal::SchedulesDisabled));
    assert_eq!(b.publish("a", &[("Nats-Incr", "+1")]), Err(Refusal::CountersDisabled));
    assert_eq!(b.publish("a", &[("Nats-Batch-Id", "x")]), Err(Refusal::AtomicDisabled));
}

#[test]
fn a_refusal_answers_as_the_real_server_does() {
    for (refusal, code, err_code, text) in [
        (Refusal::WrongLastSequence { last: 3 }, 400, 10071, "wrong last sequence: 3"),
        (Refusal::WrongLastId { last: String::new() }, 400, 10070, "wrong last msg ID: "),
        (Refusal::MaxBytes, 503, 10077, "maximum bytes exceeded"),
        (Refusal::RollupInvalid { word: "foo".into() }, 500, 10111, "rollup value invalid: \"foo\""),
        (Refusal::Sealed, 400, 10109, "invalid operation on sealed stream"),
        (Refusal::NotFound { seq: 2 }, 400, 10043, "sequence 2 not found"),
        (Refusal::SequenceReused, 409, 6005, "producer sequence was used before, for other content"),
    ] {
        let api = refusal.api();
        assert_eq!((api.code, api.err_code, &*api.description), (code, err_code, text));
        assert_eq!(refusal.to_string(), text);
    }
    assert_eq!(Refusal::SequenceReused.code(), kernel::Code::DuplicateMismatch);
    assert_eq!(Refusal::MessageTooLarge.code(), kernel::Code::PayloadTooLarge);
}
