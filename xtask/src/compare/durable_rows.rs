//! What is measured of durable streams, and what is to be reached.

use super::rows::{Goal, Kind, MIB, Row, Scenario, Unit, row};
use crate::lab::{Peer, Place};

const JETSTREAM: Peer = Peer::JetStream { always: false };

const fn pinned(name: &'static str, kind: Kind, peer: Peer) -> Scenario {
    Scenario { name, place: Place::Pinned, kind, peer }
}

const fn anywhere(name: &'static str, kind: Kind) -> Scenario {
    Scenario { name, place: Place::Anywhere, kind, peer: JETSTREAM }
}

/// Ten connections, 500 publishes that wait for their acknowledgement on all of them together.
const PUBLISH: &str = "publish-ack bench --size 128 --clients 10 --in-flight 500";
const PUBLISH_OS: &str = "publish-ack bench --size 128 --clients 10 --in-flight 500 --ack os";

pub(crate) const NATS_SCENARIOS: &[Scenario] = &[
    pinned("ack-disk", Kind::Load(PUBLISH), Peer::JetStream { always: true }),
    pinned("ack-os", Kind::Load(PUBLISH_OS), JETSTREAM),
    pinned("replay", Kind::Load("replay bench --size 128 --msgs 500000"), JETSTREAM),
    pinned("replay-pull", Kind::Load("replay-pull bench --size 128 --msgs 500000 --batch 256"), JETSTREAM),
    pinned("consume", Kind::Load("pull-consume bench --size 128 --msgs 200000 --batch 256"), JETSTREAM),
    anywhere("reopen", Kind::Reopen),
    anywhere("empty-streams", Kind::EmptyStreams),
];

pub(crate) const REDIS_SCENARIOS: &[Scenario] = &[pinned("ack-disk", Kind::Load(PUBLISH), Peer::Redis)];

/// Acknowledgements a second.
const fn acks(scenario: &'static str, title: &'static str, goal: Goal) -> Row {
    row(scenario, title, "/msgs_per_s", Unit::PerSecond, goal)
}

/// Messages a second that a reader got.
const fn read(scenario: &'static str, title: &'static str, goal: Goal) -> Row {
    row(scenario, title, "/delivered_per_s", Unit::PerSecond, goal)
}

const fn ack_cpu(scenario: &'static str, title: &'static str) -> Row {
    row(scenario, title, "/cost/us_per_msg", Unit::Microseconds, Goal::Told)
}

const fn read_cpu(scenario: &'static str, title: &'static str) -> Row {
    row(scenario, title, "/cost/us_per_delivered", Unit::Microseconds, Goal::Told)
}

const fn latency(scenario: &'static str, title: &'static str, pointer: &'static str) -> Row {
    row(scenario, title, pointer, Unit::Microseconds, Goal::Told)
}

const P50: &str = "/latency/p50_us";
const P99: &str = "/latency/p99_us";
const HALF_AS_FAST_AGAIN: Goal = Goal::Ratio(1.5, 3.0);

pub(crate) const NATS_ROWS: &[Row] = &[
    acks("ack-disk", "on disk: acknowledged publishes, 500 in flight, 128 B", Goal::Ratio(60.0, 120.0)),
    ack_cpu("ack-disk", "on disk: server CPU a publish"),
    latency("ack-disk", "on disk: p50 from publish to acknowledgement", P50),
    latency("ack-disk", "on disk: p99 from publish to acknowledgement", P99),
    acks("ack-os", "given to the system: acknowledged publishes, 500 in flight, 128 B", HALF_AS_FAST_AGAIN),
    ack_cpu("ack-os", "given to the system: server CPU a publish"),
    latency("ack-os", "given to the system: p50 from publish to acknowledgement", P50),
    latency("ack-os", "given to the system: p99 from publish to acknowledgement", P99),
    read("replay", "replay, ordered push consumer: messages", HALF_AS_FAST_AGAIN),
    read_cpu("replay", "replay, ordered push consumer: server CPU a message"),
    read("replay-pull", "replay, pull without acknowledgement: messages", HALF_AS_FAST_AGAIN),
    read_cpu("replay-pull", "replay, pull without acknowledgement: server CPU a message"),
    read("consume", "pull, each message acknowledged, batches of 256: messages", HALF_AS_FAST_AGAIN),
    read_cpu("consume", "pull, each message acknowledged: server CPU a message"),
    row("reopen", REOPEN_CLEAN, "/clean_ms", Unit::Milliseconds, Goal::OursAtMost(300.0, None)),
    row("reopen", REOPEN_KILLED, "/killed_ms", Unit::Milliseconds, Goal::OursAtMost(1000.0, None)),
    row(
        "reopen",
        "until its ready line, after a clean stop",
        "/clean_line_ms",
        Unit::Milliseconds,
        Goal::Told,
    ),
    row("reopen", "until its ready line, after kill -9", "/killed_line_ms", Unit::Milliseconds, Goal::Told),
    row("empty-streams", EMPTY, "/rss", Unit::Mebibytes, MEMORY),
    row("empty-streams", EMPTY_AGAIN, "/rss_restarted", Unit::Mebibytes, MEMORY),
    row("empty-streams", "memory of an empty stream", "/bytes_each", Unit::Kibibytes, Goal::Told),
    row("empty-streams", "streams created", "/created_per_s", Unit::PerSecond, Goal::Told),
];

const REOPEN_CLEAN: &str = "start with 1 000 000 messages in 1000 streams, after a clean stop";
const REOPEN_KILLED: &str = "the same after kill -9, warm cache";
const EMPTY: &str = "memory with 100 000 empty streams";
const EMPTY_AGAIN: &str = "the same after a restart";
const MEMORY: Goal = Goal::OursAtMost(200.0 * MIB, Some(60.0 * MIB));

pub(crate) const REDIS_ROWS: &[Row] = &[
    acks("ack-disk", "on disk: acknowledged publishes, 500 in flight, 128 B", Goal::Ratio(1.0, 2.0)),
    ack_cpu("ack-disk", "on disk: server CPU a publish"),
    latency("ack-disk", "on disk: p50 from publish to acknowledgement", P50),
    latency("ack-disk", "on disk: p99 from publish to acknowledgement", P99),
];
