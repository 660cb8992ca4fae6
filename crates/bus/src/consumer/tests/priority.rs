//! Priorities and delays: what comes first, what waits, and that nothing is lost on the way.

use kernel::Priority::{Critical, High, Low, Normal};

use super::super::lanes::AGEING_MS;
use super::*;

fn is_empty(b: &mut Bench) -> bool {
    b.seqs().is_empty()
}

#[test]
fn critical_comes_first_then_high_normal_and_low_each_in_stored_order() {
    let mut b = Bench::on(explicit(), &["a", "a"]);
    let kinds = [Low, High, Critical, Normal, Low, Critical, High];
    kinds.iter().for_each(|p| _ = b.publish_marked("a", *p, 0));
    b.pull("r", 100);
    assert_eq!(b.seqs(), [5, 8, 4, 9, 1, 2, 6, 3, 7]);
    assert_eq!((b.info().num_pending, b.info().num_ack_pending), (0, 9));
}

#[test]
fn a_critical_message_overtakes_whatever_waits_and_counts_stay_right() {
    let mut b = Bench::on(explicit(), &["a"; 20]);
    b.pull("r", 5);
    assert_eq!(b.seqs(), [1, 2, 3, 4, 5]);
    let critical = b.publish_marked("a", Critical, 0);
    b.pull("r", 1);
    let given = deliveries(&b.step());
    assert_eq!((given[0].seq, given[0].pending), (critical, 15));
    assert!(!b.needs(30, b"a") || b.list.last < 30);
    assert!(b.needs(6, b"a") && b.needs(critical, b"a"), "one is to come, the other is out");
    b.pull("r", 100);
    assert_eq!(b.seqs(), (6..=20).collect::<Vec<_>>());
}

#[test]
fn other_policies_and_replays_keep_the_stored_order_and_no_delay() {
    let all = ConsumerConfig { ack_policy: AckPolicy::All, ..explicit() };
    let none = ConsumerConfig { ack_policy: AckPolicy::None, ..explicit() };
    let replay = ConsumerConfig { replay_policy: ReplayPolicy::Original, ..explicit() };
    for config in [all, none, replay] {
        let mut b = Bench::on(config, &["a"]);
        b.publish_marked("a", Critical, 0);
        b.publish_marked("a", Normal, 60_000);
        b.publish_marked("a", High, 0);
        b.pull("r", 10);
        assert_eq!(b.seqs(), [1, 2, 3, 4], "{:?}", b.consumer.config().ack_policy);
    }
}

#[test]
fn what_is_delayed_comes_when_it_is_due_and_not_before() {
    let mut b = Bench::on(explicit(), &[]);
    let late = b.publish_marked("a", Normal, 5_000);
    let soon = b.publish_marked("a", Normal, 1_000);
    let plain = b.publish("a");
    b.pull("r", 10);
    assert_eq!(b.seqs(), [plain]);
    assert_eq!(b.info().num_pending, 2, "they wait, and count");
    b.pass(999 * MS);
    assert!(is_empty(&mut b));
    b.pass(MS);
    assert_eq!(b.seqs(), [soon]);
    let next = b.publish("a");
    assert_eq!(b.seqs(), [next]);
    b.pass(4 * S);
    assert_eq!(b.seqs(), [late]);
    assert_eq!(b.info().num_pending, 0);
}

#[test]
fn within_a_priority_a_delayed_message_stands_where_it_became_due() {
    let mut b = Bench::on(explicit(), &[]);
    let late = b.publish_marked("a", High, 2_000);
    b.pass(S);
    let before = b.publish_marked("a", High, 0);
    b.pass(2 * S);
    let after = b.publish_marked("a", High, 0);
    b.pull("r", 10);
    assert_eq!(b.seqs(), [before, late, after]);
}

#[test]
fn what_is_delayed_and_not_visible_yet_is_not_passed_over() {
    let mut b = Bench::on(explicit(), &[]);
    let first = b.publish_marked("a", Normal, 5_000);
    // Stored and due, but its record is not safe: only the index knows it.
    let hidden = Mark { priority: Normal, due_ms: b.now.wall_ms + 1_000 };
    b.list.marked.add(first + 1, hidden);
    b.pass(6 * S);
    b.pull("r", 10);
    assert!(is_empty(&mut b), "the order of what is due has no gaps");
    let stored = b.list.push_marked("a", b.now.wall_ms * MS, hidden);
    b.consumer.stored(stored, b"a");
    assert_eq!(b.seqs(), [stored, first]);
}

#[test]
fn waiting_lifts_low_and_normal_to_high_and_no_further() {
    let mut b = Bench::on(ConsumerConfig { ack_wait: 3_600 * S as i64, ..explicit() }, &[]);
    let low = b.publish_marked("a", Low, 0);
    b.pass(AGEING_MS * MS);
    let normal = b.publish("a");
    // The low one waited once: it is as good as a normal one, and was there before.
    b.pull("r", 1);
    assert_eq!(b.seqs(), [low]);
    let low = b.publish_marked("a", Low, 0);
    b.pass(2 * AGEING_MS * MS);
    let (high, critical) = (b.publish_marked("a", High, 0), b.publish_marked("a", Critical, 0));
    b.pull("r", 10);
    assert_eq!(b.seqs(), [critical, normal, low, high]);
}

#[test]
fn what_comes_again_comes_before_all_but_what_is_critical() {
    let config = ConsumerConfig { ack_wait: 10 * S as i64, ..explicit() };
    let mut b = Bench::on(config, &["a", "a"]);
    let critical = b.publish_marked("a", Critical, 0);
    b.pull("r", 2);
    assert_eq!(b.seqs(), [critical, 1]);
    b.pass(11 * S);
    let (high, later) = (b.publish_marked("a", High, 0), b.publish_marked("a", Critical, 0));
    b.pull("r", 10);
    assert_eq!(b.seqs(), [critical, later, 1, high, 2]);
}

#[test]
fn the_bound_on_what_is_out_holds_for_critical_messages_too() {
    let config = ConsumerConfig { max_ack_pending: 2, ..explicit() };
    let mut b = Bench::on(config, &["a", "a", "a"]);
    b.pull("r", 10);
    assert_eq!(b.seqs(), [1, 2]);
    let critical = b.publish_marked("a", Critical, 0);
    assert!(is_empty(&mut b));
    b.advised(1, Ack::Done);
    assert_eq!(b.seqs(), [critical]);
}

#[test]
fn filters_leases_and_a_pause_count_as_ever() {
    let config = ConsumerConfig { filter_subject: "b".into(), ..explicit() };
    let mut b = Bench::on(config, &["a", "b"]);
    b.publish_marked("a", Critical, 0);
    let heard = b.publish_marked("b", High, 0);
    b.publish_marked("a", Critical, 1_000);
    assert_eq!(b.info().num_pending, 2);
    b.pull("r", 10);
    assert_eq!(b.seqs(), [heard, 2]);
    b.pass(2 * S);
    assert!(is_empty(&mut b));
    let until = wire::jetstream::Time((b.now.wall_ms + 5_000) * MS);
    let paused = ConsumerConfig { pause_until: Some(until), ..b.consumer.config().clone() };
    b.consumer.update(b.now, paused, &mut b.out).unwrap();
    let critical = b.publish_marked("b", Critical, 0);
    assert!(is_empty(&mut b));
    b.pass(5 * S);
    assert_eq!(b.seqs(), [critical]);
}

#[test]
fn the_floor_stays_below_what_was_overtaken() {
    let mut b = Bench::on(explicit(), &["a", "a"]);
    let critical = b.publish_marked("a", Critical, 0);
    let late = b.publish_marked("a", Normal, 5_000);
    b.pull("r", 1);
    assert_eq!(b.seqs(), [critical]);
    b.ack(critical, 1, 1, Ack::Done);
    assert_eq!(b.info().ack_floor.stream_seq, 0);
    b.pull("r", 10);
    assert_eq!(b.seqs(), [1, 2]);
    b.ack(1, 2, 1, Ack::Done);
    b.ack(2, 3, 1, Ack::Done);
    assert_eq!(b.info().ack_floor.stream_seq, late - 1);
    b.pass(5 * S);
    assert_eq!(b.seqs(), [late]);
    b.ack(late, 4, 1, Ack::Done);
    assert_eq!(b.info().ack_floor.stream_seq, late);
}

#[test]
fn the_last_of_each_subject_come_in_their_order_and_when_they_are_due() {
    let config =
        ConsumerConfig { deliver_policy: wire::jetstream::DeliverPolicy::LastPerSubject, ..explicit() };
    let mut list = List::default();
    let now = Now { mono_ns: 1_000 * S, wall_ms: WALL };
    let mark = |priority, delay_ms| Mark { priority, due_ms: if delay_ms > 0 { WALL + delay_ms } else { 0 } };
    list.push_marked("a", WALL * MS, mark(Low, 0));
    list.push_marked("b", WALL * MS, mark(Normal, 3_000));
    list.push_marked("c", WALL * MS, mark(High, 0));
    let mut b = Bench::on(config.clone(), &[]);
    b.consumer = Consumer::new(config.clone(), home(Retention::Limits), &list, now).unwrap();
    b.list = list;
    let whole = b.consumer.snapshot();
    b.consumer.safe(b.consumer.reserved());
    b.pull("r", 10);
    assert_eq!(b.info().num_pending, 3);
    assert_eq!(b.seqs(), [1, 3]);
    b.consumer = Consumer::restore(config, home(Retention::Limits), &whole, &b.list, b.now).unwrap();
    b.step();
    assert_eq!(b.info().num_pending, 3, "nothing was written down");
    b.pass(3 * S);
    b.pull("r", 10);
    assert!(is_empty(&mut b), "consumer sequences are reserved first");
    assert_eq!(b.seqs(), [1, 3, 2]);
}

#[test]
fn a_state_without_places_is_read_as_before_and_one_with_them_says_where_it_is() {
    let mut b = Bench::on(explicit(), &["a", "a", "a"]);
    assert_eq!(b.consumer.snapshot()[1], 1, "who needs no places writes what every version reads");
    b.publish_marked("a", Critical, 0);
    b.publish_marked("a", Low, 60_000);
    b.pull("r", 2);
    assert_eq!(b.seqs(), [4, 1]);
    let whole = b.consumer.snapshot();
    assert_eq!(whole[1], 2);
    let restored =
        Consumer::restore(b.consumer.config().clone(), home(Retention::Limits), &whole, &b.list, b.now);
    b.consumer = restored.unwrap();
    b.pull("r", 10);
    assert!(is_empty(&mut b), "consumer sequences are reserved first");
    assert_eq!(b.seqs(), [2, 3]);
    assert_eq!((b.info().num_pending, b.info().num_ack_pending), (1, 4));
}

#[test]
fn the_next_critical_message_is_found_without_looking_at_the_backlog() {
    struct Counting<'a>(&'a List, std::cell::Cell<usize>);
    impl Messages for Counting<'_> {
        fn first(&self) -> u64 {
            1
        }
        fn last(&self) -> u64 {
            self.0.last
        }
        fn row(&self, seq: u64) -> Option<Stored> {
            self.1.set(self.1.get() + 1);
            self.0.row(seq)
        }
        fn subject(&self, number: u32) -> &[u8] {
            self.0.subject(number)
        }
        fn next(&self, from: u64, hears: &mut dyn FnMut(u32, &[u8]) -> bool) -> Option<u64> {
            self.0.next(from, &mut |n, s| {
                self.1.set(self.1.get() + 1);
                hears(n, s)
            })
        }
        fn count(&self, from: u64, hears: Option<&mut dyn FnMut(u32, &[u8]) -> bool>) -> u64 {
            self.0.count(from, hears)
        }
        fn at_time(&self, time_ns: u64) -> u64 {
            self.0.at_time(time_ns)
        }
        fn last_of_each(&self, hears: &mut dyn FnMut(u32, &[u8]) -> bool) -> Vec<u64> {
            self.0.last_of_each(hears)
        }
        fn marked(&self) -> Option<&Marked> {
            self.0.marked()
        }
        fn released_ms(&self) -> u64 {
            0
        }
    }
    let mut b = Bench::on(explicit(), &["a"; 5_000]);
    b.pull("r", 5);
    b.seqs();
    let critical = b.publish_marked("a", Critical, 0);
    b.pull("r", 1);
    let (counting, mut out) = (Counting(&b.list, Default::default()), Vec::new());
    b.consumer.step(b.now, &counting, &mut |_| true, 10, &mut out);
    assert_eq!(deliveries(&out)[0].seq, critical);
    assert!(counting.1.get() < 40, "{} looks", counting.1.get());
}
