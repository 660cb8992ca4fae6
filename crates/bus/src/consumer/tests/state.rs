//! What outlives a restart.

use super::*;

/// A crash: the state as of now, by a snapshot and a delta, with what is not safe lost.
fn restart(b: &mut Bench, snapshot: &[u8], deltas: &[Bytes]) {
    let config = b.consumer.config().clone();
    b.consumer = Consumer::restore(config, home(b.retention), snapshot, &b.list, b.now).unwrap();
    for delta in deltas {
        b.consumer.apply_delta(b.now, delta).unwrap();
    }
}

fn ready(b: &mut Bench) {
    b.step();
    b.consumer.take_delta();
    b.consumer.safe(b.consumer.reserved());
}

#[test]
fn after_a_restart_a_lease_has_the_rest_of_its_time() {
    let mut b = Bench::on(explicit(), &["a"; 3]);
    let snapshot = b.consumer.snapshot();
    b.pull("r", 2);
    b.consumer.step(b.now, &b.list, &mut |_| true, 10, &mut b.out);
    let delta = b.consumer.take_delta().unwrap();
    b.pass(10 * S);
    // Another machine start: the monotonic clock begins anew.
    b.now.mono_ns = 5;
    restart(&mut b, &snapshot, &[delta]);
    b.pull("r", 1);
    ready(&mut b);
    assert_eq!(b.seqs(), [3]);
    b.pull("r", 2);
    b.pass(20 * S - MS);
    assert!(b.seqs().is_empty());
    b.pass(MS);
    assert_eq!(b.given(), [(1, 2, "r".into()), (2, 2, "r".into())]);
}

#[test]
fn a_lease_that_began_anew_and_a_delay_are_remembered() {
    let mut b = Bench::on(explicit(), &["a"; 2]);
    b.pull("r", 2);
    b.consumer.step(b.now, &b.list, &mut |_| true, 10, &mut b.out);
    let snapshot = b.consumer.snapshot();
    b.pass(20 * S);
    b.ack(1, 1, 1, Ack::Working);
    b.ack(2, 2, 1, Ack::Refuse { delay_ns: 3 * S });
    let delta = b.consumer.take_delta().unwrap();
    restart(&mut b, &snapshot, &[delta]);
    b.pull("r", 2);
    b.pass(3 * S);
    ready(&mut b);
    assert_eq!(b.given(), [(2, 2, "r".into())]);
    b.pass(27 * S - MS);
    assert!(b.seqs().is_empty());
    b.pass(MS);
    assert_eq!(b.given(), [(1, 2, "r".into())]);
}

#[test]
fn an_old_lease_can_be_acknowledged_after_a_restart_until_the_message_is_delivered_again() {
    let mut b = Bench::on(explicit(), &["a"; 2]);
    b.pull("r", 2);
    b.consumer.step(b.now, &b.list, &mut |_| true, 10, &mut b.out);
    let snapshot = b.consumer.snapshot();
    restart(&mut b, &snapshot, &[]);
    assert_eq!(b.ack(1, 1, 1, Ack::Done), Acked::Accepted);
    b.pass(30 * S);
    b.pull("r", 2);
    ready(&mut b);
    b.step();
    assert_eq!(b.ack(2, 2, 1, Ack::Done), Acked::Stale);
}

#[test]
fn no_number_is_given_out_twice_and_none_before_its_reservation_is_safe() {
    let mut b = Bench::on(explicit(), &["a"; 3]);
    let snapshot = b.consumer.snapshot();
    b.pull("r", 1);
    b.consumer.step(b.now, &b.list, &mut |_| true, 10, &mut b.out);
    // The delta is lost.
    restart(&mut b, &snapshot, &[]);
    b.pull("r", 1);
    b.out.clear();
    b.consumer.step(b.now, &b.list, &mut |_| true, 10, &mut b.out);
    assert!(b.out.is_empty(), "nothing is reserved yet");
    assert!(b.consumer.take_delta().is_some());
    b.consumer.step(b.now, &b.list, &mut |_| true, 10, &mut b.out);
    assert!(b.out.is_empty(), "nor safe");
    b.consumer.safe(b.consumer.reserved());
    let again = deliveries(&b.step());
    assert_eq!(again[0].seq, 1);
    assert!(again[0].consumer_seq > 1_000);
    assert_eq!(b.ack(1, 1, 1, Ack::Done), Acked::Stale);
    assert_eq!(b.ack(1, again[0].consumer_seq, 1, Ack::Done), Acked::Accepted);
    assert_eq!(b.ack(1, 1, 1, Ack::Done), Acked::Stale);
}

#[test]
fn a_delivery_that_a_crash_forgot_can_still_be_acknowledged() {
    let mut b = Bench::on(explicit(), &["a"]);
    b.pull("r", 5);
    b.step();
    let snapshot = b.consumer.snapshot();
    b.pass(30 * S);
    assert_eq!(b.given(), [(1, 2, "r".into())]);
    restart(&mut b, &snapshot, &[]);
    assert_eq!(b.ack(1, 3, 3, Ack::Done), Acked::Accepted, "nobody can know better");
    assert_eq!(b.ack(1, 1, 1, Ack::Done), Acked::Stale);
    assert_eq!(b.ack(1, 3, 3, Ack::Done), Acked::Already);
}

#[test]
fn a_confirmation_can_be_asked_for_again_after_a_restart() {
    let mut b = Bench::on(explicit(), &["a"; 2]);
    b.pull("r", 5);
    b.step();
    b.ack(1, 1, 1, Ack::Done);
    b.pass(30 * S);
    assert_eq!(b.seqs(), [2]);
    b.ack(2, 3, 2, Ack::Done);
    let snapshot = b.consumer.snapshot();
    restart(&mut b, &snapshot, &[]);
    assert_eq!(b.ack(1, 1, 1, Ack::Done), Acked::Already);
    assert_eq!(b.ack(2, 3, 2, Ack::Done), Acked::Already);
    assert_eq!(b.ack(2, 2, 1, Ack::Done), Acked::Stale);
}

#[test]
fn what_is_picked_but_not_delivered_survives() {
    let policy = wire::jetstream::DeliverPolicy::LastPerSubject;
    let mut b = Bench::on(ConsumerConfig { deliver_policy: policy, ..explicit() }, &["a", "b", "a", "c"]);
    let snapshot = b.consumer.snapshot();
    b.pull("r", 1);
    b.consumer.step(b.now, &b.list, &mut |_| true, 10, &mut b.out);
    let delta = b.consumer.take_delta().unwrap();
    b.publish("b");
    restart(&mut b, &snapshot, &[delta]);
    assert_eq!(b.info().num_pending, 3);
    b.pull("r", 9);
    ready(&mut b);
    b.step();
    assert_eq!(b.consumer.leases.iter().map(|(seq, _)| seq).collect::<Vec<_>>(), [2, 3, 4, 5]);
}

#[test]
fn a_turn_of_one_delivery_or_one_acknowledgement_is_a_few_bytes() {
    let mut b = Bench::on(explicit(), &["a"; 1_000]);
    b.pull("r", 1);
    b.consumer.step(b.now, &b.list, &mut |_| true, 1_000, &mut b.out);
    let one = b.consumer.take_delta().unwrap().len();
    b.pull("r", 900);
    b.consumer.step(b.now, &b.list, &mut |_| true, 1_000, &mut b.out);
    let many = b.consumer.take_delta().unwrap().len();
    b.ack(1, 1, 1, Ack::Done);
    let ack = b.consumer.take_delta().unwrap().len();
    assert!(one < 48 && many < 56 && ack < 48, "{one} {many} {ack}");
    assert_eq!(b.consumer.take_delta(), None);
}

#[test]
fn what_is_not_kept_writes_nothing() {
    let b = Bench::on(explicit(), &["a"]);
    let home = Home { is_kept: false, ..home(Retention::Limits) };
    let mut consumer = Consumer::new(explicit(), home, &b.list, b.now).unwrap();
    let mut out = Vec::new();
    consumer.pull(b.now, Pull { reply: "r".into(), ..Pull::default() }, &b.list, &mut |_| true, &mut out);
    consumer.step(b.now, &b.list, &mut |_| true, 10, &mut out);
    assert_eq!(deliveries(&out).len(), 1);
    assert_eq!(consumer.take_delta(), None);
}

#[test]
fn bytes_of_another_version_or_kind_are_refused() {
    let mut b = Bench::on(explicit(), &["a"]);
    let mut bytes = b.consumer.snapshot().to_vec();
    let read =
        |bytes: &[u8]| Consumer::restore(explicit(), home(Retention::Limits), bytes, &b.list, b.now).err();
    assert_eq!(read(&bytes), None);
    bytes[1] = 9;
    assert_eq!(read(&bytes), Some(state::NotRestored::State(Unreadable::Version(9))));
    bytes[0] = b'D';
    assert_eq!(read(&bytes), Some(state::NotRestored::State(Unreadable::Damaged)));
    assert_eq!(read(b""), Some(state::NotRestored::State(Unreadable::Damaged)));
}

mod random {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let mut b = Bench::on(explicit(), &["a"]);
            let mut state = vec![b'D', 1];
            state.extend(bytes.iter().map(|b| b & 0x3f));
            let _ = b.consumer.apply_delta(b.now, &state);
            let _ = b.consumer.apply_delta(b.now, &bytes);
        }
    }
}
