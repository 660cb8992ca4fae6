//! Requests for messages.

use super::*;

fn request(reply: &str, batch: i64) -> Pull {
    Pull { reply: Bytes::copy_from_slice(reply.as_bytes()), batch, ..Pull::default() }
}

fn left(messages: u64, bytes: u64) -> Left {
    Left { messages, bytes }
}

#[test]
fn waiting_requests_are_served_one_message_each_in_turn() {
    let mut b = Bench::on(explicit(), &[]);
    b.pull("x", 3);
    b.pull("y", 1);
    b.pull("z", 3);
    for _ in 0..6 {
        b.publish("a");
    }
    let to: Vec<_> = b.given().into_iter().map(|(_, _, to)| to).collect();
    assert_eq!(to, ["x", "y", "z", "x", "z", "x"]);
    assert_eq!(b.info().num_waiting, 1);
}

#[test]
fn a_batch_below_one_is_one_message() {
    for batch in [0, -3, i64::MIN] {
        let mut b = Bench::on(explicit(), &["a", "a"]);
        b.pull("r", batch);
        assert_eq!(b.seqs(), [1]);
        assert_eq!(b.info().num_waiting, 0);
    }
}

#[test]
fn messages_to_be_delivered_again_come_before_new_ones() {
    let mut b = Bench::on(explicit(), &["a"; 4]);
    b.pull("r", 2);
    b.step();
    b.ack(1, 1, 1, Ack::Refuse { delay_ns: 0 });
    b.pull("r", 2);
    assert_eq!(b.seqs(), [1, 3]);
}

#[test]
fn a_request_ends_with_what_was_left_of_it() {
    let mut b = Bench::on(explicit(), &["a"]);
    b.request(Pull { expires_ns: 2 * S as i64, max_bytes: 10_000, ..request("r", 5) });
    let size = 100 + "$JS.ACK.s.c.1.1.1.1767225600000000000.0".len() as u64;
    assert_eq!(b.seqs(), [1]);
    assert_eq!(b.consumer.next_wake(), Some(b.now.mono_ns + 2 * S));
    b.pass(2 * S);
    let status = Status::RequestTimeout(left(4, 10_000 - size));
    assert_eq!(
        utf8(&status.block()),
        format!(
            "NATS/1.0 408 Request Timeout\r\nNats-Pending-Messages: 4\r\nNats-Pending-Bytes: {}\r\n\r\n",
            10_000 - size
        )
    );
    assert_eq!(statuses(&b.step()), [("r".into(), status)]);
    assert_eq!(b.info().num_waiting, 0);
}

#[test]
fn a_request_of_negative_length_is_over_at_once() {
    let mut b = Bench::on(explicit(), &["a"]);
    b.request(Pull { expires_ns: -5, ..request("r", 1) });
    assert_eq!(statuses(&b.step()), [("r".into(), Status::RequestTimeout(left(1, 0)))]);
}

#[test]
fn one_that_does_not_wait_gets_what_is_there_or_404() {
    let no_wait = |batch| Pull { no_wait: true, ..request("r", batch) };
    let mut b = Bench::on(explicit(), &["a", "a"]);
    b.request(no_wait(5));
    let actions = b.step();
    assert_eq!(deliveries(&actions).len(), 2);
    assert_eq!(statuses(&actions), [("r".into(), Status::NoMessages)]);
    b.request(no_wait(1));
    assert_eq!(statuses(&b.step()), [("r".into(), Status::NoMessages)]);
    assert_eq!(utf8(&Status::NoMessages.block()), "NATS/1.0 404 No Messages\r\n\r\n");
    b.request(Pull { expires_ns: S as i64, ..no_wait(2) });
    assert!(b.step().is_empty(), "it names an end, and waits so long for a first message");
    b.publish("a");
    let actions = b.step();
    assert_eq!(deliveries(&actions).len(), 1);
    assert_eq!(statuses(&actions), [("r".into(), Status::NoMessages)]);
}

#[test]
fn one_that_does_not_wait_is_refused_when_others_will_take_all() {
    let mut b = Bench::on(ConsumerConfig { max_ack_pending: 1, ..explicit() }, &["a"; 3]);
    b.pull("first", 10);
    b.step();
    b.request(Pull { no_wait: true, ..request("r", 1) });
    assert_eq!(statuses(&b.step()), [("r".into(), Status::RequestsPending)]);
}

#[test]
fn bytes_are_a_limit_too() {
    let size = 100 + "$JS.ACK.s.c.1.1.1.1767225600000000000.2".len() as i64;
    let mut b = Bench::on(explicit(), &["a"; 3]);
    b.request(Pull { max_bytes: 2 * size, ..request("exact", 10) });
    let actions = b.step();
    assert_eq!((deliveries(&actions).len(), statuses(&actions).len()), (2, 0), "full to the byte: no word");

    let mut b = Bench::on(explicit(), &["a"; 3]);
    b.request(Pull { max_bytes: size + 7, ..request("small", 10) });
    assert_eq!(statuses(&b.step()), [("small".into(), Status::SizeExceedsMaxBytes(left(9, 7)))]);

    let mut b = Bench::on(explicit(), &["a"; 3]);
    b.request(Pull { max_bytes: size + 7, ..request("one", 1) });
    let actions = b.step();
    assert_eq!(statuses(&actions), [("one".into(), Status::BatchCompleted(left(0, 7)))]);
    assert!(matches!(actions[..], [Action::Deliver(_), Action::Status { .. }]));
}

#[test]
fn a_request_beyond_the_limits_is_refused_with_the_limit() {
    let config = ConsumerConfig {
        max_batch: 10,
        max_expires: 90_500 * MS as i64,
        max_bytes: 1_000,
        max_waiting: 1,
        ..explicit()
    };
    let mut b = Bench::on(config, &[]);
    let mut told = |pull: Pull| {
        b.request(pull);
        let told = statuses(&std::mem::take(&mut b.out));
        told.first().map(|(_, status)| utf8(&status.block()).lines().next().unwrap().to_string())
    };
    assert_eq!(told(request("r", 11)).unwrap(), "NATS/1.0 409 Exceeded MaxRequestBatch of 10");
    let long = Pull { expires_ns: 91 * S as i64, ..request("r", 1) };
    assert_eq!(told(long).unwrap(), "NATS/1.0 409 Exceeded MaxRequestExpires of 1m30.5s");
    let large = Pull { max_bytes: 1_001, ..request("r", 1) };
    assert_eq!(told(large).unwrap(), "NATS/1.0 409 Exceeded MaxRequestMaxBytes of 1000");
    let beating = Pull { idle_heartbeat_ns: S as i64, ..request("r", 1) };
    assert_eq!(told(beating.clone()).unwrap(), "NATS/1.0 400 Bad Request - heartbeat value too large");
    assert_eq!(told(request("r", 1)), None);
    assert_eq!(told(request("r", 1)).unwrap(), "NATS/1.0 409 Exceeded MaxWaiting");
    assert_eq!(
        told(Pull { expires_ns: 5 * S as i64, ..beating }),
        None,
        "one that hears heartbeats is not told"
    );
    assert_eq!(b.info().num_waiting, 1);
}

#[test]
fn a_request_that_nobody_hears_is_dropped() {
    let mut b = Bench::on(ConsumerConfig { max_waiting: 2, ..explicit() }, &[]);
    b.pull("gone", 5);
    b.pull("here", 5);
    b.deaf.push("gone".into());
    b.publish("a");
    assert_eq!(b.given(), [(1, 1, "here".into())]);
    b.pull("gone", 5);
    b.pass(2 * S);
    b.pull("new", 5);
    assert!(b.step().is_empty(), "there was room for it");
    assert_eq!(b.info().num_waiting, 2);
}

#[test]
fn a_waiting_request_hears_signs_of_life_when_it_is_quiet() {
    let mut b = Bench::on(explicit(), &["a"]);
    b.request(Pull { idle_heartbeat_ns: S as i64, expires_ns: 10 * S as i64, ..request("r", 5) });
    b.step();
    b.pass(S - MS);
    assert!(b.step().is_empty());
    b.pass(MS);
    let beat = Status::IdleHeartbeat { last_consumer: 1, last_stream: 1, stalled: None };
    assert_eq!(statuses(&b.step()), [("r".into(), beat.clone())]);
    assert_eq!(
        utf8(&beat.block()),
        "NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 1\r\nNats-Last-Stream: 1\r\n\r\n"
    );
    assert_eq!(b.consumer.next_wake(), Some(b.now.mono_ns + S));
}

#[test]
fn those_who_wait_are_told_when_the_consumer_is_deleted() {
    let mut b = Bench::on(explicit(), &[]);
    b.pull("x", 1);
    b.pull("y", 1);
    b.consumer.dismiss(&Status::ConsumerDeleted, &mut b.out);
    let told = statuses(&std::mem::take(&mut b.out));
    assert_eq!(told, [("x".into(), Status::ConsumerDeleted), ("y".into(), Status::ConsumerDeleted)]);
    assert_eq!(b.info().num_waiting, 0);
}

#[test]
fn a_consumer_that_sends_on_its_own_takes_no_requests() {
    let mut b = Bench::on(pushing(), &["a"]);
    b.pull("r", 1);
    assert_eq!(statuses(&std::mem::take(&mut b.out)), [("r".into(), Status::PushBased)]);
}
