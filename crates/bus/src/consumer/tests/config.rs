//! What a consumer may be, as observed on nats-server 2.15.1.

use wire::jetstream::{ConsumerLimits, DeliverPolicy, ReplayPolicy, StreamConfig, Time};

use super::super::config::{check, check_new, check_pedantic, check_update, kept_threshold};
use super::*;

fn stream(retention: Retention) -> StreamConfig {
    StreamConfig { name: "S".into(), subjects: vec!["S.>".into()], retention, ..Default::default() }
}

fn plain() -> ConsumerConfig {
    ConsumerConfig { name: "x".into(), ack_policy: AckPolicy::None, ..Default::default() }
}

fn durable() -> ConsumerConfig {
    ConsumerConfig { durable_name: "x".into(), ack_policy: AckPolicy::Explicit, ..Default::default() }
}

fn pushing() -> ConsumerConfig {
    ConsumerConfig { deliver_subject: "q".into(), ..plain() }
}

fn checked(config: ConsumerConfig) -> ConsumerConfig {
    check(config, &stream(Retention::Limits)).unwrap()
}

fn strings(all: &[&str]) -> Vec<String> {
    all.iter().map(|s| s.to_string()).collect()
}

#[test]
fn what_is_missing_is_filled_in() {
    let c = checked(durable());
    assert_eq!((c.name.as_str(), c.ack_wait, c.max_deliver), ("x", 30 * S as i64, -1));
    assert_eq!((c.max_waiting, c.max_ack_pending, c.inactive_threshold), (512, 1_000, 0));
    let c = checked(plain());
    assert_eq!((c.ack_wait, c.max_deliver, c.max_ack_pending), (0, -1, 0));
    assert_eq!((c.max_waiting, c.inactive_threshold), (512, 5 * S as i64));
    let c = checked(pushing());
    assert_eq!((c.max_waiting, c.inactive_threshold), (0, 5 * S as i64));
    let c = checked(ConsumerConfig {
        inactive_threshold: -4,
        max_deliver: -7,
        max_waiting: -2,
        max_ack_pending: -9,
        max_batch: -1,
        max_expires: -1,
        max_bytes: -1,
        idle_heartbeat: -1,
        ..plain()
    });
    let sensible = (c.inactive_threshold, c.max_deliver, c.max_waiting, c.max_ack_pending);
    assert_eq!(sensible, (5 * S as i64, -1, 512, -1));
    assert_eq!((c.max_batch, c.max_expires, c.max_bytes, c.idle_heartbeat), (0, 0, 0, 0));
    let c = checked(ConsumerConfig { backoff: vec![S as i64, 2 * S as i64], ack_wait: 5, ..durable() });
    assert_eq!(c.ack_wait, S as i64);
    assert_eq!(checked(c.clone()), c, "what was checked is not changed again");
}

#[test]
fn limits_of_the_stream_are_taken_and_kept() {
    let consumer_limits = ConsumerLimits { inactive_threshold: 10 * S as i64, max_ack_pending: 50 };
    let stream = StreamConfig { consumer_limits, ..stream(Retention::Limits) };
    let c = check(durable(), &stream).unwrap();
    assert_eq!((c.max_ack_pending, c.inactive_threshold), (50, 10 * S as i64));
    let told = |c: ConsumerConfig| check(c, &stream).unwrap_err().text().into_owned();
    let more = ConsumerConfig { max_ack_pending: 100, ..durable() };
    assert_eq!(told(more), "consumer max ack pending exceeds system limit of 50");
    let longer = ConsumerConfig { inactive_threshold: 100 * S as i64, ..durable() };
    assert_eq!(told(longer), "consumer inactive threshold exceeds system limit of 10s");
    assert_eq!(told(pushing()), "consumer requires ack policy for max ack pending");
}

#[test]
fn each_contradiction_is_refused_as_clients_know_it() {
    let by = |deliver_policy| ConsumerConfig { deliver_policy, ..plain() };
    let at = Some(Time(1));
    let cases = [
        (10052, ConsumerConfig { name: "a.b".into(), ..plain() }),
        (10132, ConsumerConfig { name: "y".into(), ..durable() }),
        (10102, ConsumerConfig { durable_name: "y".repeat(256), ..durable() }),
        (10074, ConsumerConfig { num_replicas: 3, ..plain() }),
        (10133, ConsumerConfig { num_replicas: -1, ..plain() }),
        (10184, ConsumerConfig { backoff: vec![-1], ..plain() }),
        (10183, ConsumerConfig { ack_wait: -1, ..plain() }),
        (10116, ConsumerConfig { backoff: vec![1, 2], max_deliver: 1, ..durable() }),
        (10107, ConsumerConfig { description: "x".repeat(5_000), ..plain() }),
        (10079, ConsumerConfig { deliver_subject: "a.*".into(), ..plain() }),
        (10112, ConsumerConfig { deliver_subject: "a..b".into(), ..plain() }),
        (10081, ConsumerConfig { deliver_subject: "S.q".into(), ..plain() }),
        (10080, ConsumerConfig { max_waiting: 5, ..pushing() }),
        (10082, ConsumerConfig { max_ack_pending: 5, ..pushing() }),
        (10083, ConsumerConfig { idle_heartbeat: 1_000, ..pushing() }),
        (10086, ConsumerConfig { rate_limit_bps: 5, ..plain() }),
        (10088, ConsumerConfig { idle_heartbeat: S as i64, ..plain() }),
        (10089, ConsumerConfig { flow_control: true, ..plain() }),
        (10115, ConsumerConfig { max_expires: 10, ..plain() }),
        (10090, ConsumerConfig { direct: true, ..plain() }),
        (10091, ConsumerConfig { direct: true, durable_name: "x".into(), ..pushing() }),
        (10136, ConsumerConfig { filter_subject: "a".into(), filter_subjects: strings(&["b"]), ..plain() }),
        (10052, ConsumerConfig { filter_subject: "S..a".into(), ..plain() }),
        (10139, ConsumerConfig { filter_subjects: strings(&[""]), ..plain() }),
        (10138, ConsumerConfig { filter_subjects: strings(&["S.>", "S.a"]), ..plain() }),
        (10138, ConsumerConfig { filter_subjects: strings(&["S.a", "S.a"]), ..plain() }),
        (10094, ConsumerConfig { opt_start_seq: 5, ..plain() }),
        (10094, ConsumerConfig { opt_start_time: at, ..by(DeliverPolicy::New) }),
        (10094, by(DeliverPolicy::LastPerSubject)),
        (10094, by(DeliverPolicy::ByStartSequence)),
        (10094, by(DeliverPolicy::ByStartTime)),
        (10095, ConsumerConfig { sample_freq: "x".into(), ..plain() }),
        (10095, ConsumerConfig { sample_freq: "-1".into(), ..plain() }),
        (10218, ConsumerConfig { ack_policy: AckPolicy::FlowControl, ..plain() }),
        (10108, ConsumerConfig { flow_control: true, ..pushing() }),
        (10135, ConsumerConfig { metadata: [("a".into(), "x".repeat(129 * 1_024))].into(), ..plain() }),
        (10196, ConsumerConfig { priority_groups: strings(&["a"]), ..plain() }),
        (10197, ConsumerConfig { priority_timeout: 5, ..plain() }),
    ];
    for (number, config) in cases {
        let refusal = check(config, &stream(Retention::Limits)).unwrap_err();
        assert_eq!(refusal.number(), number, "{refusal}");
    }
    let work = stream(Retention::WorkQueue);
    assert_eq!(check(plain(), &work), Err(Refusal::PullWithoutAck));
    for allowed in [
        ConsumerConfig { filter_subjects: strings(&["S.a.*", "S.*.b"]), ..plain() },
        ConsumerConfig { filter_subject: "other".into(), ..plain() },
        ConsumerConfig { sample_freq: "30%".into(), ..plain() },
        ConsumerConfig { backoff: vec![1, 2], max_deliver: 2, ..durable() },
    ] {
        checked(allowed);
    }
}

#[test]
fn a_start_that_contradicts_the_policy_is_named() {
    let told = |c: ConsumerConfig| check(c, &stream(Retention::Limits)).unwrap_err().text().into_owned();
    let head = "consumer delivery policy is deliver";
    let time = ConsumerConfig {
        deliver_policy: DeliverPolicy::ByStartTime,
        opt_start_seq: 4,
        opt_start_time: Some(Time(1)),
        ..plain()
    };
    let seq = ConsumerConfig { deliver_policy: DeliverPolicy::ByStartSequence, ..time.clone() };
    let last = ConsumerConfig { deliver_policy: DeliverPolicy::Last, opt_start_time: None, ..time.clone() };
    assert_eq!(told(time), format!("{head} by start time, but optional start start sequence is also set"));
    assert_eq!(told(seq), format!("{head} by start sequence, but optional start time is also set"));
    assert_eq!(told(last), format!("{head} last, but optional start sequence is also set"));
}

#[test]
fn a_work_queue_has_one_consumer_for_each_message() {
    let work = stream(Retention::WorkQueue);
    let on = |filter: &str| checked(ConsumerConfig { filter_subject: filter.into(), ..durable() });
    let add = |new: &ConsumerConfig, old: &[ConsumerConfig]| check_new(new, &work, old.iter());
    let all = ConsumerConfig { ack_policy: AckPolicy::All, ..on("S.a") };
    assert_eq!(add(&all, &[]), Err(Refusal::WorkQueueWithoutAck));
    let late = ConsumerConfig { deliver_policy: DeliverPolicy::New, ..on("S.a") };
    assert_eq!(add(&late, &[]), Err(Refusal::WorkQueueNotAll));
    assert_eq!(add(&on(""), &[]), Ok(()));
    assert_eq!(add(&on(""), &[on("S.a")]), Err(Refusal::WorkQueueUnfiltered));
    assert_eq!(add(&on("S.*.b"), &[on("S.a.*")]), Err(Refusal::WorkQueueNotUnique));
    assert_eq!(add(&on("S.b"), &[on("S.a.*"), on("S.c")]), Ok(()));
    assert_eq!(add(&on("S.b"), &[on("")]), Err(Refusal::WorkQueueNotUnique));
    let change = |new: &ConsumerConfig, others: &[ConsumerConfig]| {
        check_update(&on("S.a.*"), new, &work, others.iter(), false)
    };
    assert_eq!(change(&on("S.b"), &[on("S.b")]), Err(Refusal::WorkQueueNotUnique));
    assert_eq!(change(&on("S.c"), &[on("S.b")]), Ok(()));
}

#[test]
fn a_stream_has_no_more_consumers_than_it_may() {
    let one = StreamConfig { max_consumers: 1, ..stream(Retention::Limits) };
    assert_eq!(check_new(&durable(), &one, [].iter()), Ok(()));
    assert_eq!(check_new(&durable(), &one, [durable()].iter()), Err(Refusal::TooManyConsumers));
}

#[test]
fn only_some_things_can_be_changed() {
    let old = checked(durable());
    let change = |old: &ConsumerConfig, new: ConsumerConfig, is_heard| {
        check_update(old, &new, &stream(Retention::Limits), [].iter(), is_heard)
    };
    for (what, new) in [
        ("deliver policy", ConsumerConfig { deliver_policy: DeliverPolicy::New, ..old.clone() }),
        ("start sequence", ConsumerConfig { opt_start_seq: 4, ..old.clone() }),
        ("ack policy", ConsumerConfig { ack_policy: AckPolicy::All, ..old.clone() }),
        ("replay policy", ConsumerConfig { replay_policy: ReplayPolicy::Original, ..old.clone() }),
        ("storage type", ConsumerConfig { mem_storage: true, ..old.clone() }),
        ("max waiting", ConsumerConfig { max_waiting: 11, ..old.clone() }),
    ] {
        assert_eq!(change(&old, new, false), Err(Refusal::Fixed(what)));
    }
    for new in [
        ConsumerConfig { ack_wait: 5, ..old.clone() },
        ConsumerConfig { filter_subject: "S.b".into(), ..old.clone() },
        ConsumerConfig { max_ack_pending: 3, max_deliver: 4, headers_only: true, ..old.clone() },
    ] {
        assert_eq!(change(&old, new, false), Ok(()));
    }
    let push = checked(ConsumerConfig { deliver_subject: "q".into(), ..durable() });
    let other = ConsumerConfig { deliver_subject: "p".into(), ..push.clone() };
    assert_eq!(change(&push, other.clone(), false), Ok(()));
    assert_eq!(change(&push, other, true), Err(Refusal::DeliverSubjectInUse));
    assert_eq!(change(&old, push.clone(), false), Err(Refusal::PullToPush));
    assert_eq!(change(&push, old, false), Err(Refusal::PushToPull));
    assert_eq!(Refusal::Fixed("ack policy").text(), "ack policy can not be updated");
    assert_eq!((Refusal::Fixed("").number(), Refusal::Fixed("").http()), (10012, 500));
}

#[test]
fn a_pedantic_client_is_told_what_would_be_put_right() {
    assert_eq!(check_pedantic(&durable()), Ok(()));
    for (config, why) in [
        (ConsumerConfig { max_deliver: -2, ..durable() }, "max_deliver must be set to -1"),
        (ConsumerConfig { max_batch: -1, ..durable() }, "max_batch must not be negative"),
        (
            ConsumerConfig { backoff: vec![S as i64], ack_wait: 9, ..durable() },
            "first backoff value has to equal batch AckWait",
        ),
    ] {
        let refusal = check_pedantic(&config).unwrap_err();
        assert_eq!((refusal.number(), &*refusal.text()), (10157, &*format!("pedantic mode: {why}")));
    }
}

#[test]
fn what_a_change_does_not_say_about_disuse_is_as_before() {
    let stream = stream(Retention::Limits);
    assert_eq!(kept_threshold(&plain(), &stream), 5 * S as i64, "it may become durable, and keeps it");
    assert_eq!(kept_threshold(&durable(), &stream), 0, "it may become ephemeral, and stays for ever");
    let consumer_limits = ConsumerLimits { inactive_threshold: 7, max_ack_pending: 0 };
    assert_eq!(kept_threshold(&durable(), &StreamConfig { consumer_limits, ..stream }), 7);
}
