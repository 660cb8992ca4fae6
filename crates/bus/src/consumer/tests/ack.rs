//! Leases, and what is said about them.

use super::*;

const DONE: Ack = Ack::Done;

#[test]
fn a_message_that_is_acknowledged_is_never_delivered_again() {
    let mut b = Bench::on(explicit(), &["a", "a"]);
    b.pull("r", 10);
    assert_eq!(b.seqs(), [1, 2]);
    assert_eq!(b.ack(1, 1, 1, DONE), Acked::Accepted);
    b.pass(31 * S);
    assert_eq!(b.given(), [(2, 2, "r".into())]);
    assert_eq!(b.ack(1, 1, 1, DONE), Acked::Already, "a confirmation may be asked for again");
}

#[test]
fn only_the_latest_delivery_can_be_acknowledged() {
    let mut b = Bench::on(explicit(), &["a"]);
    b.pull("r", 10);
    b.step();
    b.pass(31 * S);
    assert_eq!(deliveries(&b.step())[0].consumer_seq, 2);
    assert_eq!(b.ack(1, 1, 1, DONE), Acked::Stale);
    assert_eq!(b.ack(1, 1, 1, Ack::Working), Acked::Stale);
    assert_eq!(b.ack(1, 1, 1, Ack::Refuse { delay_ns: 0 }), Acked::Stale);
    assert_eq!(b.info().num_ack_pending, 1);
    assert_eq!(b.ack(1, 2, 2, DONE), Acked::Accepted);
    assert_eq!(b.ack(1, 1, 1, DONE), Acked::Stale, "even when all is over");
    assert_eq!(b.ack(1, 2, 2, DONE), Acked::Already);
    assert_eq!(b.info().num_ack_pending, 0);
}

#[test]
fn what_was_never_delivered_cannot_be_acknowledged() {
    let mut b = Bench::on(explicit(), &["a", "b"]);
    b.pull("r", 1);
    b.step();
    for (seq, consumer_seq) in [(2, 1), (2, 2), (1, 2), (0, 0), (9, 1), (u64::MAX, 1)] {
        let acked = b.ack(seq, consumer_seq, 1, DONE);
        assert!(matches!(acked, Acked::Unknown | Acked::Stale), "{seq} {consumer_seq} {acked:?}");
    }
    assert_eq!(b.info().num_ack_pending, 1);
    let mut none = Bench::on(ConsumerConfig { ack_policy: AckPolicy::None, ..explicit() }, &["a"]);
    none.pull("r", 1);
    assert!(!deliveries(&none.step())[0].wants_ack);
    assert_eq!(none.ack(1, 1, 1, DONE), Acked::Unknown);
}

#[test]
fn an_acknowledgement_of_all_covers_what_was_delivered_before_and_not_since() {
    let mut b = Bench::on(ConsumerConfig { ack_policy: AckPolicy::All, ..explicit() }, &["a"; 6]);
    b.pull("r", 10);
    assert_eq!(b.seqs(), [1, 2, 3, 4, 5, 6]);
    assert_eq!(b.ack(2, 2, 1, DONE), Acked::Accepted);
    let info = b.info();
    assert_eq!((info.num_ack_pending, info.ack_floor.stream_seq, info.ack_floor.consumer_seq), (4, 2, 2));
    b.pull("other", 1);
    assert_eq!(b.ack(3, 3, 1, Ack::Refuse { delay_ns: 0 }), Acked::Accepted);
    assert_eq!(b.given(), [(3, 2, "r".into())]);
    assert_eq!(b.ack(5, 5, 1, DONE), Acked::Accepted);
    let info = b.info();
    assert_eq!(info.num_ack_pending, 2, "3 was given to somebody else since; 6 comes later");
    assert_eq!(info.ack_floor.stream_seq, 2);
    assert_eq!(b.ack(3, 3, 1, DONE), Acked::Stale);
    assert_eq!(b.ack(6, 6, 1, DONE), Acked::Accepted);
    assert_eq!(b.ack(3, 7, 2, DONE), Acked::Accepted);
    assert_eq!(b.info().num_ack_pending, 0);
}

#[test]
fn a_refused_message_comes_again_at_once_or_after_its_delay() {
    let mut b = Bench::on(explicit(), &["a", "a"]);
    b.pull("r", 10);
    b.step();
    b.ack(1, 1, 1, Ack::Refuse { delay_ns: 0 });
    b.ack(2, 2, 1, Ack::Refuse { delay_ns: 5 * S });
    let actions = b.step();
    assert_eq!(deliveries(&actions).len(), 1);
    assert!(actions.contains(&Action::Advisory(Advisory::Refused {
        seq: 2,
        consumer_seq: 2,
        deliveries: 1
    })));
    b.pass(4 * S);
    assert!(b.seqs().is_empty());
    assert!(b.consumer.next_wake().unwrap() <= b.now.mono_ns + S);
    b.pass(S);
    assert_eq!(b.given(), [(2, 2, "r".into())]);
}

#[test]
fn a_sign_of_work_begins_the_lease_anew() {
    let mut b = Bench::on(explicit(), &["a"]);
    b.pull("r", 10);
    b.step();
    for _ in 0..5 {
        b.pass(20 * S);
        assert_eq!(b.ack(1, 1, 1, Ack::Working), Acked::Accepted);
        assert!(b.seqs().is_empty());
    }
    b.pass(30 * S);
    assert_eq!(b.seqs(), [1]);
}

#[test]
fn a_terminated_message_is_done_and_told_with_its_reason() {
    let mut b = Bench::kept(explicit(), &["a"], Retention::WorkQueue);
    b.pull("r", 10);
    b.step();
    assert_eq!(b.ack(1, 1, 1, Ack::Terminate { reason: "poison".into() }), Acked::Accepted);
    let reason = Bytes::from("poison");
    let advisory = Advisory::Terminated { seq: 1, consumer_seq: 1, deliveries: 1, reason };
    assert_eq!(b.step(), [Action::Done(1..=1), Action::Advisory(advisory)]);
    b.pass(100 * S);
    assert!(b.seqs().is_empty());
}

#[test]
fn backoff_says_how_long_each_delivery_may_take() {
    let backoff = vec![S as i64, 3 * S as i64];
    let mut b = Bench::on(ConsumerConfig { backoff, max_deliver: 4, ..explicit() }, &["a"]);
    b.pull("r", 10);
    b.step();
    for (wait, expected) in [(S, 2), (3 * S, 3), (3 * S, 4)] {
        b.pass(wait - 1);
        assert!(b.seqs().is_empty());
        b.pass(1);
        assert_eq!(b.given(), [(1, expected, "r".into())]);
    }
}

#[test]
fn after_its_last_delivery_a_message_is_kept_counted_and_advised_but_not_delivered() {
    let mut b = Bench::on(ConsumerConfig { max_deliver: 2, ..explicit() }, &["a", "b"]);
    b.pull("r", 10);
    b.step();
    b.ack(2, 2, 1, DONE);
    b.pass(30 * S);
    assert_eq!(b.given(), [(1, 2, "r".into())]);
    b.pass(30 * S);
    assert_eq!(b.step(), [Action::Advisory(Advisory::MaxDeliveries { seq: 1, deliveries: 2 })]);
    b.pass(300 * S);
    assert!(b.step().is_empty(), "advised once");
    let info = b.info();
    assert_eq!((info.num_ack_pending, info.num_redelivered), (0, 1));
    assert!(b.needs(1, b"a"), "it stays in the stream");
    assert_eq!(b.ack(1, 1, 1, DONE), Acked::Stale);
    assert_eq!(b.ack(1, 3, 2, Ack::Working), Acked::Already);
    assert_eq!(b.ack(1, 3, 2, DONE), Acked::Accepted, "a late acknowledgement of the last delivery counts");
    assert!(!b.needs(1, b"a"));
}

#[test]
fn a_message_that_is_gone_is_no_longer_waited_for() {
    let mut b = Bench::on(explicit(), &["a", "b", "c"]);
    b.pull("r", 2);
    b.step();
    b.remove(1);
    b.remove(3);
    let actions = b.step();
    assert!(matches!(&actions[..], [Action::Advisory(Advisory::Terminated { seq: 1, .. })]), "{actions:?}");
    let info = b.info();
    assert_eq!((info.num_ack_pending, info.num_pending, info.ack_floor.stream_seq), (1, 0, 1));
}

#[test]
fn the_floor_is_below_the_first_message_that_is_not_acknowledged() {
    let config = ConsumerConfig { filter_subject: "a".into(), ..explicit() };
    let mut b = Bench::on(config, &["x", "a", "x", "a", "x", "a", "x"]);
    b.pull("r", 10);
    assert_eq!(b.seqs(), [2, 4, 6]);
    let floor = |b: &mut Bench| {
        let floor = b.info().ack_floor;
        (floor.consumer_seq, floor.stream_seq)
    };
    assert_eq!(floor(&mut b), (0, 0));
    b.ack(4, 2, 1, DONE);
    assert_eq!(floor(&mut b), (0, 0));
    b.ack(2, 1, 1, DONE);
    assert_eq!(floor(&mut b), (2, 5));
    b.ack(6, 3, 1, DONE);
    assert_eq!(floor(&mut b), (3, 7), "all that is there");
}

#[test]
fn of_some_acknowledgements_it_is_told_how_long_they_took() {
    let sampled = |freq: &str| {
        let mut b = Bench::on(ConsumerConfig { sample_freq: freq.into(), ..explicit() }, &["a"; 100]);
        b.pull("r", 100);
        b.step();
        b.pass(3 * S);
        (1..=100).filter(|seq| !matches!(&*b.advised(*seq, DONE), [])).count()
    };
    assert_eq!((sampled(""), sampled("0"), sampled("100%")), (0, 0, 100));
    assert!((5..=15).contains(&sampled("10")), "{}", sampled("10"));
    let mut b = Bench::on(ConsumerConfig { sample_freq: "100".into(), ..explicit() }, &["a", "a"]);
    b.pull("r", 2);
    b.step();
    b.pass(3 * S);
    let told = Advisory::Sampled { seq: 1, consumer_seq: 1, deliveries: 1, took_ns: 3 * S };
    assert_eq!(b.advised(1, DONE), [told]);
    let given_up = b.advised(2, Ack::Terminate { reason: Default::default() });
    assert!(matches!(&*given_up, [Advisory::Terminated { .. }]), "only what was done is sampled");
}

#[test]
fn a_message_that_goes_moves_the_floor_and_its_time() {
    let mut b = Bench::on(explicit(), &["a", "a"]);
    b.pull("r", 1);
    b.step();
    b.remove(1);
    let floor = b.info().ack_floor;
    assert_eq!((floor.stream_seq, floor.at_ms), (1, Some(WALL)));
}
