//! What is measured, and what is to be reached: one entry for each run of the load, one row for each figure of it.

use crate::lab::{Peer, Place};

/// A run, made once a round for each server.
#[derive(Debug)]
pub(crate) struct Scenario {
    /// Its short name: `--only` takes it.
    pub(crate) name: &'static str,
    pub(crate) place: Place,
    pub(crate) kind: Kind,
    /// As what the other server is started.
    pub(crate) peer: Peer,
}

/// How a scenario is run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// `neuroplex bench ARGS --duration …`.
    Load(&'static str),
    /// The same, through the HTTP door.
    Web(&'static str),
    /// The same at half the rate that the slower server reached in an earlier scenario.
    HalfRate(&'static str, &'static str),
    /// `neuroplex bench ARGS`, whose length is not a matter of time.
    Whole(&'static str),
    /// A node that does nothing.
    Idle,
    /// An example of the `fabric` crate that prints a name and a number.
    Microbenchmark(&'static str),
    /// A node that starts again with many messages in many streams.
    Reopen,
    /// A node with very many streams and nothing in them.
    EmptyStreams,
}

/// A figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    PerSecond,
    Microseconds,
    Milliseconds,
    Nanoseconds,
    Kibibytes,
    Mebibytes,
    Count,
}

/// What to reach: a ratio of ours to theirs, or a figure of ours alone; then what would be better still.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Goal {
    /// A rate, and only where the server was the limit.
    Faster(f64, f64),
    /// The ratio of what users get, whatever the limit was: a disk may be.
    Ratio(f64, f64),
    Less(f64, Option<f64>),
    OursAtMost(f64, Option<f64>),
    OursAtLeast(f64),
    /// Measured to be known.
    Told,
}

/// A line of the table.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) scenario: &'static str,
    pub(crate) title: &'static str,
    /// Where the figure is in the report (RFC 6901).
    pub(crate) pointer: &'static str,
    pub(crate) unit: Unit,
    pub(crate) goal: Goal,
}

const fn pinned(name: &'static str, kind: Kind) -> Scenario {
    Scenario { name, place: Place::Pinned, kind, peer: Peer::Nats }
}

const fn anywhere(name: &'static str, kind: Kind) -> Scenario {
    Scenario { name, place: Place::Anywhere, kind, peer: Peer::Nats }
}

const ASK_1: &str = "request bench --size 16 --clients 1";
const ASK_50: &str = "request bench --size 16 --clients 50";
const ASK_1_SLEEPING: &str = "request bench --size 16 --clients 1 --no-spin";
const ASK_50_SLEEPING: &str = "request bench --size 16 --clients 50 --no-spin";

/// In this order: a rate is measured before the half of it is used.
pub(crate) const SCENARIOS: &[Scenario] = &[
    pinned("one-16", Kind::Load("pubsub bench --size 16")),
    pinned("one-128", Kind::Load("pubsub bench --size 128")),
    pinned("fan-4", Kind::Load("fanout bench --size 128 --clients 4")),
    pinned("fan-100", Kind::Load("fanout bench --size 128 --clients 100")),
    pinned("subjects", Kind::Load("pubsub bench --size 128 --subjects 100000 --headers")),
    anywhere("request-1-max", Kind::Load(ASK_1_SLEEPING)),
    anywhere("request-1", Kind::HalfRate("request-1-max", ASK_1_SLEEPING)),
    anywhere("request-50-max", Kind::Load(ASK_50_SLEEPING)),
    anywhere("request-50", Kind::HalfRate("request-50-max", ASK_50_SLEEPING)),
    pinned("request-1-pinned-max", Kind::Load(ASK_1)),
    pinned("request-1-pinned", Kind::HalfRate("request-1-pinned-max", ASK_1)),
    pinned("request-50-pinned-max", Kind::Load(ASK_50)),
    pinned("request-50-pinned", Kind::HalfRate("request-50-pinned-max", ASK_50)),
    pinned("idle-connections", Kind::Whole("connections bench --clients 5000")),
    pinned("held-connections", Kind::Whole("connections bench --clients 15000")),
    anywhere("idle-node", Kind::Idle),
    pinned("permission", Kind::Microbenchmark("permission_cost")),
];

pub(super) const MIB: f64 = 1_048_576.0;

pub(super) const fn row(
    scenario: &'static str,
    title: &'static str,
    pointer: &'static str,
    unit: Unit,
    goal: Goal,
) -> Row {
    Row { scenario, title, pointer, unit, goal }
}

/// Messages delivered a second, by all subscribers.
const fn rate(scenario: &'static str, title: &'static str, goal: Goal) -> Row {
    row(scenario, title, "/delivered_per_s", Unit::PerSecond, goal)
}

/// The server's CPU for one delivery.
const fn cpu(scenario: &'static str, title: &'static str) -> Row {
    row(scenario, title, "/cost/us_per_delivered", Unit::Microseconds, Goal::Less(0.35, Some(0.2)))
}

const fn p50(scenario: &'static str, title: &'static str) -> Row {
    row(scenario, title, "/latency/p50_us", Unit::Microseconds, Goal::Less(0.6, Some(0.4)))
}

const fn p99(scenario: &'static str, title: &'static str) -> Row {
    row(scenario, title, "/latency/p99_us", Unit::Microseconds, Goal::Less(0.8, Some(0.5)))
}

/// The table.
pub(crate) const ROWS: &[Row] = &[
    rate("one-16", "1 → 1, 16 B: messages", Goal::Faster(2.5, 4.0)),
    rate("one-128", "1 → 1, 128 B: messages", Goal::Faster(2.5, 4.0)),
    cpu("one-16", "1 → 1, 16 B: server CPU a message"),
    cpu("one-128", "1 → 1, 128 B: server CPU a message"),
    cpu("fan-4", "1 → 4, 128 B: server CPU a delivery"),
    rate("fan-4", "1 → 4, 128 B: deliveries", Goal::Faster(2.5, 3.5)),
    rate("fan-100", "1 → 100, 128 B: deliveries", Goal::Faster(2.5, 3.5)),
    rate("subjects", "100 000 subjects at random, 128 B, headers", Goal::Faster(1.5, 3.0)),
    rate("request-1-max", "requests, 1 client: closed loop", Goal::Told),
    p50("request-1", "requests, 1 client: p50 at a fixed rate"),
    p99("request-1", "requests, 1 client: p99 at a fixed rate"),
    rate("request-50-max", "requests, 50 clients: closed loop", Goal::Told),
    p50("request-50", "requests, 50 clients: p50 at a fixed rate"),
    p99("request-50", "requests, 50 clients: p99 at a fixed rate"),
    rate("request-1-pinned-max", "requests, 1 client, pinned: closed loop", Goal::Told),
    p50("request-1-pinned", "requests, 1 client, pinned: p50 at a fixed rate"),
    p99("request-1-pinned", "requests, 1 client, pinned: p99 at a fixed rate"),
    rate("request-50-pinned-max", "requests, 50 clients, pinned: closed loop", Goal::Told),
    p50("request-50-pinned", "requests, 50 clients, pinned: p50 at a fixed rate"),
    p99("request-50-pinned", "requests, 50 clients, pinned: p99 at a fixed rate"),
    row(
        "idle-connections",
        "memory of an idle connection, one subscription",
        "/connections/bytes_each",
        Unit::Kibibytes,
        Goal::OursAtMost(6.0 * 1024.0, Some(3.0 * 1024.0)),
    ),
    row(
        "held-connections",
        "connections held in one process",
        "/connections/held",
        Unit::Count,
        Goal::OursAtLeast(15000.0),
    ),
    row(
        "idle-node",
        "memory of an idle node",
        "/rss",
        Unit::Mebibytes,
        Goal::OursAtMost(40.0 * MIB, Some(15.0 * MIB)),
    ),
    row("idle-node", "start to first answer", "/ready_ms", Unit::Milliseconds, READY),
    row("idle-node", "start to ready line", "/line_ms", Unit::Milliseconds, READY),
    row(
        "permission",
        "permission check, cached route (microbenchmark)",
        "/ns_per_check",
        Unit::Nanoseconds,
        Goal::OursAtMost(20.0, None),
    ),
];

const READY: Goal = Goal::OursAtMost(300.0, Some(50.0));

impl Unit {
    /// A figure as a person reads it.
    pub(crate) fn show(self, x: f64) -> String {
        match self {
            Unit::PerSecond if x >= 1e6 => format!("{:.2} M/s", x / 1e6),
            Unit::PerSecond if x >= 1e4 => format!("{:.1} k/s", x / 1e3),
            Unit::PerSecond => format!("{x:.0} /s"),
            Unit::Microseconds if x < 10.0 => format!("{x:.3} µs"),
            Unit::Microseconds => format!("{x:.1} µs"),
            Unit::Milliseconds => format!("{x:.1} ms"),
            Unit::Nanoseconds => format!("{x:.1} ns"),
            Unit::Kibibytes => format!("{:.2} KiB", x / 1024.0),
            Unit::Mebibytes => format!("{:.1} MiB", x / 1_048_576.0),
            Unit::Count => format!("{x:.0}"),
        }
    }
}

impl Goal {
    /// The goal in words.
    pub(crate) fn show(self, unit: Unit) -> String {
        let beyond = |text: Option<String>| text.map(|t| format!(" (beyond: {t})")).unwrap_or_default();
        match self {
            Goal::Faster(goal, more) | Goal::Ratio(goal, more) => {
                format!("≥ {goal}×{}", beyond(Some(format!("{more}×"))))
            }
            Goal::Less(goal, more) => format!("≤ {goal}×{}", beyond(more.map(|m| format!("{m}×")))),
            Goal::OursAtMost(goal, more) => {
                format!("≤ {}{}", unit.show(goal), beyond(more.map(|m| unit.show(m))))
            }
            Goal::OursAtLeast(goal) => format!("≥ {}", unit.show(goal)),
            Goal::Told => "–".into(),
        }
    }
}
