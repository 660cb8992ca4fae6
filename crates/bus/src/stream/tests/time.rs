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

fn marking(marker_s: i64) -> Bench {
    stream(|c| {
        (c.max_age, c.subject_delete_marker_ttl) = (5_000_000_000, marker_s * 1_000_000_000);
        c.subjects = vec![">".into()];
        c.no_ack = true;
    })
}

impl Bench {
    fn headers(&self, seq: u64) -> String {
        String::from_utf8(self.kept[&seq].headers().to_vec()).unwrap()
    }
}

const MARKER: &str = "NATS/1.0\r\nNats-Marker-Reason: MaxAge\r\nNats-TTL: 2s\r\nNats-Rollup: sub\r\n\r\n";

#[test]
fn a_marker_takes_the_place_of_the_last_message_of_a_subject() {
    let mut b = marking(2);
    ["a", "a", "b"].iter().for_each(|subject| b.put(subject));
    b.ms += 5 * S;
    b.expire();
    assert_eq!(b.stream.state().messages, 2, "until the markers are safe, the last messages are read");
    assert_eq!(b.stream.next_wake(), Some(b.ms + 2 * S), "and not ended twice");
    b.show();
    assert_eq!((b.seqs(), b.headers(4), b.headers(5)), (vec![4, 5], MARKER.into(), MARKER.into()));
    assert_eq!((b.kept[&4].subject(), b.kept[&4].payload()), (&b"a"[..], &b""[..]));
    let mut again = b.restarted(true);
    again.ms += 2 * S;
    again.expire();
    assert!(again.seqs().is_empty(), "a marker ends and leaves nothing");
    assert_eq!(again.stream.last_stored(), 5);
}

#[test]
fn a_crash_before_a_marker_is_safe_leaves_the_message_or_the_marker() {
    let mut b = marking(2);
    b.publish("a", &[("Nats-TTL", "3s")]).unwrap();
    b.ms += 3 * S;
    let (before, mut changes) = (b.kept.clone(), Changes::default());
    b.stream.expire(b.now(), &mut changes);
    assert_eq!((changes.markers.len(), changes.removed.len()), (1, 0));
    b.note(changes);
    let both = b.restarted(true);
    assert_eq!((both.seqs(), both.headers(2)), (vec![2], MARKER.into()), "what it stands for goes");
    b.kept = before;
    let mut lost = b.restarted(true);
    lost.show();
    assert_eq!(lost.seqs().len(), 1);
    assert!(lost.headers(lost.seqs()[0]).contains("Nats-Marker-Reason"), "it is left once more");
}

#[test]
fn what_says_itself_that_a_key_is_gone_leaves_no_marker() {
    let mut b = marking(2);
    b.publish("a", &[("KV-Operation", "PURGE"), ("Nats-Rollup", "sub")]).unwrap();
    b.publish("b", &[("Nats-Marker-Reason", "Purge")]).unwrap();
    b.publish("c", &[("KV-Operation", "DEL")]).unwrap();
    b.ms += 5 * S;
    b.expire();
    b.show();
    assert_eq!(b.seqs(), [4]);
    assert_eq!(b.kept[&4].subject(), b"c");
}

#[test]
fn a_life_shorter_than_a_markers_is_raised_to_it() {
    let mut b = marking(60);
    b.publish("a", &[("X", "y"), ("Nats-TTL", "5s"), ("Z", "w")]).unwrap();
    assert_eq!(b.headers(1), "NATS/1.0\r\nX: y\r\nZ: w\r\nNats-TTL: 60\r\n\r\n");
    b.publish("a", &[("Nats-TTL", "70s")]).unwrap();
    b.publish("a", &[("Nats-TTL", "never")]).unwrap();
    assert!(b.headers(2).contains("Nats-TTL: 70s") && b.headers(3).contains("Nats-TTL: never"));
    let one = [("Np-Producer", "p"), ("Np-Epoch", "1"), ("Np-Sequence", "1"), ("Nats-TTL", "1s")];
    assert_eq!(b.publish("a", &one), stored(4));
    assert_eq!(b.restarted(true).publish("a", &one), duplicate(4), "the raised message is known again");
    let mut b = stream(|c| (c.subject_delete_marker_ttl, c.max_msgs_per_subject) = (60_000_000_000, 1));
    b.publish("a", &[("Nats-TTL", "5s")]).unwrap();
    assert!(b.headers(1).contains("Nats-TTL: 5s"), "one message per subject: nothing can be missed");
}
