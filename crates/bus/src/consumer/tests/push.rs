//! Consumers that send on their own.

use super::*;

#[test]
fn it_sends_only_while_somebody_hears() {
    let mut b = Bench::on(pushing(), &["a", "a"]);
    b.deaf.push("to.me".into());
    assert!(b.step().is_empty());
    assert!(!b.info().push_bound);
    b.deaf.clear();
    assert_eq!(b.given(), [(1, 1, "to.me".into()), (2, 1, "to.me".into())]);
    assert!(b.info().push_bound);
    b.deaf.push("to.me".into());
    b.publish("a");
    b.pass(31 * S);
    assert!(b.step().is_empty());
    b.deaf.clear();
    assert_eq!(b.seqs(), [1, 2, 3]);
}

#[test]
fn it_goes_when_nobody_heard_it_for_its_threshold() {
    let mut b = Bench::on(ConsumerConfig { inactive_threshold: 5 * S as i64, ..pushing() }, &[]);
    b.step();
    b.pass(60 * S);
    assert!(b.step().is_empty(), "somebody hears it");
    b.deaf.push("to.me".into());
    b.step();
    b.pass(5 * S - 1);
    assert!(b.step().is_empty());
    b.pass(1);
    assert_eq!(b.step(), [Action::Gone]);
}

#[test]
fn it_gives_signs_of_life_when_it_is_quiet() {
    let mut b = Bench::on(ConsumerConfig { idle_heartbeat: S as i64, ..pushing() }, &["a"]);
    assert_eq!(b.seqs(), [1]);
    b.pass(S);
    let beat = Status::IdleHeartbeat { last_consumer: 1, last_stream: 1, stalled: None };
    assert_eq!(statuses(&b.step()), [("to.me".into(), beat)]);
    b.pass(S - MS);
    b.publish("a");
    assert_eq!(b.seqs(), [2]);
    b.pass(S - MS);
    assert!(b.step().is_empty(), "a message is a sign of life");
}

#[test]
fn it_sleeps_while_nobody_hears_it() {
    let mut b = Bench::on(ConsumerConfig { idle_heartbeat: S as i64, ..pushing() }, &["a"]);
    b.deaf.push("to.me".into());
    b.step();
    assert_eq!(b.consumer.next_wake(), None, "nothing happens by itself");
    b.deaf.clear();
    assert_eq!(b.seqs(), [1]);
    b.ack(1, 1, 1, Ack::Done);
    b.pass(S);
    assert!(b.consumer.next_wake().is_some_and(|at| at <= b.now.mono_ns), "a sign of life is due");
    b.deaf.push("to.me".into());
    assert!(b.step().is_empty());
    b.pass(60 * S);
    b.step();
    assert_eq!(b.consumer.next_wake(), None);
    b.deaf.clear();
    assert!(b.step().is_empty(), "the first sign of life comes a whole interval later");
    b.pass(S);
    assert_eq!(statuses(&b.step()).len(), 1);
}

#[test]
fn it_sleeps_while_nobody_asks() {
    let mut b = Bench::on(explicit(), &["a", "a"]);
    b.step();
    assert_eq!(b.consumer.next_wake(), None);
    b.pull("r", 2);
    assert_eq!(b.seqs(), [1, 2]);
    assert!(b.consumer.next_wake().is_some(), "leases end");
    b.pass(30 * S);
    b.step();
    assert_eq!(b.consumer.next_wake(), None, "they wait for somebody to ask");
}

#[test]
fn flow_control_stops_it_until_the_receiver_answers_and_then_lets_more_through() {
    let config = ConsumerConfig {
        flow_control: true,
        idle_heartbeat: S as i64,
        ack_policy: AckPolicy::None,
        ack_wait: 0,
        max_ack_pending: 0,
        ..pushing()
    };
    let mut b = Bench::on(config, &[]);
    for _ in 0..50 {
        let seq = b.list.push("a", WALL * MS);
        b.list.rows.get_mut(&seq).unwrap().size = 200_000;
        b.consumer.stored(seq, b"a");
    }
    let actions = b.step();
    assert_eq!(deliveries(&actions).len(), 11, "2 MiB and what was begun");
    let [(_, Status::FlowControl { reply })] = &statuses(&actions)[..] else {
        panic!("{:?}", statuses(&actions))
    };
    assert!(reply.starts_with(b"$JS.FC.s.c."));
    assert_eq!(
        utf8(&Status::FlowControl { reply: reply.clone() }.block()),
        "NATS/1.0 100 FlowControl Request\r\n\r\n"
    );
    b.pass(S);
    let [(_, beat @ Status::IdleHeartbeat { stalled: Some(stalled), .. })] = &statuses(&b.step())[..] else {
        panic!("it is stalled")
    };
    assert_eq!(stalled, reply);
    assert!(utf8(&beat.block()).contains("\r\nNats-Consumer-Stalled: $JS.FC.s.c."));
    assert!(!b.consumer.flow(b"$JS.FC.s.c.other"));
    assert!(b.step().is_empty());
    assert!(b.consumer.flow(reply));
    assert!(!b.consumer.flow(reply), "once");
    let again = deliveries(&b.step()).len();
    assert!(again > 11, "{again}");
}

#[test]
fn a_rate_limit_holds_over_time_and_lets_a_burst_through() {
    // A burst of 1 MB, then 1 MB a second.
    let mut b = Bench::on(ConsumerConfig { rate_limit_bps: 8_000_000, ..pushing() }, &[]);
    for _ in 0..60 {
        let seq = b.list.push("a", WALL * MS);
        b.list.rows.get_mut(&seq).unwrap().size = 99_000;
        b.consumer.stored(seq, b"a");
    }
    assert_eq!(b.seqs().len(), 10);
    let mut sent = 0;
    for _ in 0..20 {
        b.pass(100 * MS);
        sent += b.seqs().len();
    }
    assert_eq!(sent, 20);
    let wake = b.consumer.next_wake().unwrap() - b.now.mono_ns;
    assert!(wake <= 100 * MS, "{wake}");
}

#[test]
fn another_deliver_subject_gets_everything_that_is_not_acknowledged() {
    let mut b = Bench::on(pushing(), &["a", "a"]);
    b.step();
    b.ack(1, 1, 1, Ack::Done);
    let config = ConsumerConfig { deliver_subject: "to.him".into(), ..pushing() };
    b.consumer.update(b.now, config, &mut b.out).unwrap();
    assert_eq!(b.given(), [(2, 2, "to.him".into())]);
}
