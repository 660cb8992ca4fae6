//! Where a consumer begins, what it hears, and what holds it up.

use wire::jetstream::{DeliverPolicy, ReplayPolicy, Time};

use super::*;

fn begin(config: ConsumerConfig, subjects: &[&str]) -> Vec<u64> {
    let mut b = Bench::on(config, subjects);
    b.pull("r", 100);
    b.seqs()
}

#[test]
fn each_deliver_policy_begins_where_it_says() {
    let subjects = ["a", "b", "a", "c", "b"];
    let with = |deliver_policy| ConsumerConfig { deliver_policy, ..explicit() };
    assert_eq!(begin(with(DeliverPolicy::All), &subjects), [1, 2, 3, 4, 5]);
    assert_eq!(begin(with(DeliverPolicy::Last), &subjects), [5]);
    assert!(begin(with(DeliverPolicy::New), &subjects).is_empty());
    assert_eq!(begin(with(DeliverPolicy::LastPerSubject), &subjects), [3, 4, 5]);
    let from = ConsumerConfig { opt_start_seq: 4, ..with(DeliverPolicy::ByStartSequence) };
    assert_eq!(begin(from, &subjects), [4, 5]);
    let filtered = ConsumerConfig { filter_subject: "a".into(), ..with(DeliverPolicy::Last) };
    assert_eq!(begin(filtered, &subjects), [3]);
    let since = Some(Time(WALL * MS));
    let since = ConsumerConfig { opt_start_time: since, ..with(DeliverPolicy::ByStartTime) };
    assert_eq!(begin(since.clone(), &subjects), [1, 2, 3, 4, 5]);
    let later = ConsumerConfig { opt_start_time: Some(Time(WALL * MS + 1)), ..since };
    assert!(begin(later, &subjects).is_empty());
}

#[test]
fn a_new_consumer_stands_before_the_first_message_that_it_may_get() {
    for (policy, place) in [
        (DeliverPolicy::All, 0),
        (DeliverPolicy::Last, 4),
        (DeliverPolicy::New, 5),
        (DeliverPolicy::LastPerSubject, 2),
    ] {
        let config = ConsumerConfig { deliver_policy: policy, ..explicit() };
        let mut b = Bench::on(config, &["a", "b", "a", "c", "b"]);
        let info = b.info();
        assert_eq!((info.delivered.stream_seq, info.ack_floor.stream_seq), (place, place), "{policy:?}");
    }
}

#[test]
fn a_start_in_the_future_is_waited_for() {
    let policy = DeliverPolicy::ByStartSequence;
    let mut b = Bench::on(ConsumerConfig { deliver_policy: policy, opt_start_seq: 4, ..explicit() }, &["a"]);
    b.pull("r", 100);
    for _ in 2..=5 {
        b.publish("a");
        b.info();
    }
    assert_eq!(b.info().num_pending, 2);
    assert_eq!(b.seqs(), [4, 5]);
}

#[test]
fn the_last_of_each_subject_come_first_and_then_all_that_is_new() {
    let config = ConsumerConfig { deliver_policy: DeliverPolicy::LastPerSubject, ..explicit() };
    let mut b = Bench::on(config, &["a", "b", "a", "c"]);
    assert_eq!(b.info().num_pending, 3);
    assert!(!b.needs(1, b"a") && b.needs(2, b"b"));
    b.publish("a");
    b.remove(4);
    assert_eq!(b.info().num_pending, 3);
    b.pull("r", 2);
    assert_eq!(b.seqs(), [2, 3]);
    b.pull("r", 5);
    assert_eq!(b.seqs(), [5]);
    assert_eq!(b.info().num_pending, 0);
}

#[test]
fn several_filters_are_heard_as_one_and_pending_counts_only_them() {
    let filter_subjects = vec!["a.*".into(), "c".into()];
    let mut b = Bench::on(ConsumerConfig { filter_subjects, ..explicit() }, &["a.1", "b", "c", "a", "a.2"]);
    assert_eq!(b.info().num_pending, 3);
    b.publish("b");
    b.publish("a.3");
    assert_eq!(b.info().num_pending, 4);
    b.pull("r", 3);
    let given = deliveries(&b.step());
    let given: Vec<_> = given.iter().map(|d| (d.seq, d.consumer_seq, d.pending)).collect();
    assert_eq!(given, [(1, 1, 3), (3, 2, 2), (5, 3, 1)]);
    b.remove(7);
    assert_eq!(b.info().num_pending, 0);
}

#[test]
fn another_filter_counts_anew() {
    let mut b =
        Bench::on(ConsumerConfig { filter_subject: "a".into(), ..explicit() }, &["a", "b", "a", "b", "b"]);
    b.pull("r", 1);
    assert_eq!(b.seqs(), [1]);
    let config = ConsumerConfig { filter_subject: "b".into(), ..explicit() };
    b.consumer.update(b.now, config, &mut b.out).unwrap();
    assert_eq!(b.info().num_pending, 3);
    b.pull("r", 5);
    assert_eq!(b.seqs(), [2, 4, 5]);
}

#[test]
fn no_more_messages_are_out_than_may_be_without_acknowledgement() {
    let mut b = Bench::on(ConsumerConfig { max_ack_pending: 2, ..explicit() }, &["a"; 5]);
    b.pull("r", 10);
    assert_eq!(b.seqs(), [1, 2]);
    b.pass(30 * S);
    assert_eq!(b.seqs(), [1, 2], "those that are out come again");
    b.ack(1, 3, 2, Ack::Done);
    assert_eq!(b.seqs(), [3]);
}

#[test]
fn without_acknowledgements_only_credit_paces() {
    let config = ConsumerConfig { ack_policy: AckPolicy::None, max_ack_pending: 0, ..explicit() };
    let mut b = Bench::kept(config, &["a"; 10], Retention::Interest);
    b.pull("r", 100);
    assert!(b.step_by(4));
    assert_eq!(b.consumer.next_wake(), Some(b.now.mono_ns));
    assert_eq!(deliveries(&b.out).len(), 4);
    assert_eq!(b.out.iter().filter(|a| matches!(a, Action::Done(_))).count(), 4);
    b.out.clear();
    assert!(!b.step_by(7));
    let info = b.info();
    assert_eq!((info.ack_floor.stream_seq, info.ack_floor.consumer_seq, info.num_ack_pending), (10, 10, 0));
    assert!(!b.needs(10, b"a"));
}

#[test]
fn a_paused_consumer_gives_nothing_until_the_pause_ends() {
    let mut b = Bench::on(explicit(), &["a"]);
    let until = Time((WALL + 5_000) * MS);
    let config = ConsumerConfig { pause_until: Some(until), ..explicit() };
    b.consumer.update(b.now, config, &mut b.out).unwrap();
    b.pull("r", 1);
    assert_eq!(b.step(), [Action::Advisory(Advisory::Pause { until, paused: true })]);
    assert_eq!((b.info().pause_remaining_ns, b.info().num_waiting), (5 * S, 1));
    assert_eq!(b.consumer.next_wake(), Some(b.now.mono_ns + 5 * S));
    b.pass(5 * S);
    let actions = b.step();
    assert_eq!(actions[0], Action::Advisory(Advisory::Pause { until, paused: false }));
    assert_eq!(deliveries(&actions).len(), 1);
}

#[test]
fn replay_keeps_the_distances_at_which_messages_were_stored() {
    let config = ConsumerConfig { replay_policy: ReplayPolicy::Original, ..explicit() };
    let mut list = List::default();
    for ms in [0, 100, 100, 350] {
        list.push("a", (WALL + ms) * MS);
    }
    let mut b = Bench::on(explicit(), &[]);
    b.list = list;
    b.consumer = Consumer::new(config, home(Retention::Limits), &b.list, b.now).unwrap();
    b.consumer.safe(b.consumer.reserved());
    b.pull("r", 10);
    assert_eq!(b.seqs(), [1]);
    assert_eq!(b.consumer.next_wake(), Some(b.now.mono_ns + 100 * MS));
    b.pass(100 * MS);
    assert_eq!(b.seqs(), [2, 3]);
    b.pass(249 * MS);
    assert!(b.seqs().is_empty());
    b.pass(MS);
    assert_eq!(b.seqs(), [4]);
    b.list.push("a", (WALL + 9_000_000) * MS);
    b.consumer.stored(5, b"a");
    assert_eq!(b.seqs(), [5], "what is new comes at once");
}

#[test]
fn a_durable_consumer_stays_and_an_ephemeral_one_goes_when_nobody_uses_it() {
    let mut durable = Bench::on(explicit(), &["a"]);
    durable.pass(1_000_000 * S);
    assert!(durable.step().is_empty());
    assert_eq!(durable.consumer.next_wake(), None);

    let mut b = Bench::on(ConsumerConfig { inactive_threshold: 5 * S as i64, ..explicit() }, &["a"; 3]);
    b.pass(4 * S);
    b.pull("r", 1);
    b.step();
    b.pass(5 * S);
    assert!(b.step().is_empty(), "somebody may be at work on what was delivered");
    assert_eq!(b.consumer.next_wake(), Some(b.now.mono_ns + 25 * S), "its lease ends");
    b.ack(1, 1, 1, Ack::Done);
    b.pass(5 * S - 1);
    assert!(b.step().is_empty());
    b.pass(1);
    assert_eq!(b.step(), [Action::Gone]);
    assert!(b.step().is_empty());
    assert_eq!(b.consumer.next_wake(), None);
}

#[test]
fn an_ephemeral_consumer_stays_while_a_request_waits() {
    let mut b = Bench::on(ConsumerConfig { inactive_threshold: 5 * S as i64, ..explicit() }, &[]);
    b.pull("r", 1);
    for _ in 0..10 {
        b.pass(5 * S);
        assert!(b.step().is_empty());
    }
    b.deaf.push("r".into());
    b.pass(5 * S);
    assert_eq!(b.step(), [Action::Gone]);
}

#[test]
fn a_cleared_range_is_neither_counted_nor_waited_for() {
    let mut b = Bench::on(explicit(), &["a"; 10]);
    b.pull("r", 3);
    assert_eq!(b.seqs(), [1, 2, 3]);
    b.list.rows.retain(|seq, _| [2, 9, 10].contains(seq));
    b.consumer.cleared(1..=8, &[], &b.list, &mut b.out);
    let info = b.info();
    assert_eq!((info.num_ack_pending, info.num_pending), (1, 2));
    b.pull("r", 10);
    assert_eq!(b.seqs(), [9, 10]);
}

#[test]
fn a_reset_begins_anew_and_no_older_delivery_counts() {
    let mut b = Bench::on(explicit(), &["a"; 4]);
    b.pull("r", 3);
    b.step();
    b.ack(1, 1, 1, Ack::Done);
    assert_eq!(b.consumer.reset(b.now, None), 2);
    let info = b.info();
    assert_eq!((info.num_pending, info.num_ack_pending, info.delivered.stream_seq), (3, 0, 1));
    b.pull("r", 1);
    assert_eq!(b.given(), [(2, 1, "r".into())]);
    assert_eq!(b.ack(2, 2, 1, Ack::Done), Acked::Stale);
    assert_eq!(b.ack(2, 4, 1, Ack::Done), Acked::Accepted);
    assert_eq!(b.consumer.reset(b.now, Some(1)), 1);
    b.pull("r", 10);
    assert_eq!(b.seqs(), [1, 2, 3, 4]);
}
