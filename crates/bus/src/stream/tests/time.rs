//! What time takes.

use super::*;

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
fn time_never_runs_backwards_within_a_stream() {
    let mut b = stream(|_| ());
    b.put("a");
    b.ms -= 5_000;
    b.put("a");
    let time = |seq| b.stream.row(seq).unwrap().time_ns;
    assert_eq!(time(1), time(2));
}

#[test]
fn what_is_due_before_it_can_be_seen_waits_until_it_can() {
    let mut b = stream(|c| (c.allow_msg_ttl, c.max_age) = (true, 200_000_000_000));
    b.store("a", "x", &[("Nats-TTL", "1")]).unwrap();
    b.ms += 300 * S;
    b.expire();
    assert_eq!(b.stream.next_wake(), Some(b.ms + 100), "looked at again soon, not at once");
    b.show();
    assert_eq!((b.stream.next_wake(), b.seqs()), (Some(b.ms - 100 * S), vec![1]));
    b.expire();
    assert!(b.seqs().is_empty());
}

#[test]
fn memory_of_lives_that_ended_early_is_given_back() {
    let mut b = stream(|c| (c.allow_msg_ttl, c.max_msgs_per_subject) = (true, 1));
    (0..10_000).for_each(|_| assert!(b.publish("a", &[("Nats-TTL", "1h")]).is_ok()));
    assert!(b.stream.heap_bytes() < 10_000, "{} bytes", b.stream.heap_bytes());
}
