//! What is still known after a restart.

use super::*;

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
fn a_roll_up_and_a_limit_hold_after_a_crash_right_behind_the_record() {
    let mut b = stream(|c| (c.allow_rollup_hdrs, c.max_msgs_per_subject) = (true, 2));
    ["a", "b", "c", "b"].into_iter().for_each(|s| b.put(s));
    b.store("b", "x", &[("Nats-Rollup", "sub")]).unwrap();
    (0..3).for_each(|_| assert!(b.store("c", "x", &[]).is_ok()));
    assert_eq!(b.restarted(true).seqs(), [1, 5, 7, 8]);
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
