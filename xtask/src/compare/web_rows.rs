//! What is measured of the HTTP door, and what is to be reached.

use super::rows::{Goal, Kind, Row, Scenario, Unit, row};
use crate::lab::{Peer, Place};

const ACCEPT: Peer = Peer::Bare("http_accept");
const SSE: Peer = Peer::Bare("web_fanout sse bench 128 1000");
const WS: Peer = Peer::Bare("web_fanout ws bench 128 1000");

const fn pinned(name: &'static str, kind: Kind, peer: Peer) -> Scenario {
    Scenario { name, place: Place::Pinned, kind, peer }
}

const fn alone(name: &'static str, kind: Kind) -> Scenario {
    Scenario { name, place: Place::Anywhere, kind, peer: Peer::Nobody }
}

pub(crate) const SCENARIOS: &[Scenario] = &[
    pinned("http-publish", Kind::Web("http-publish bench --size 128 --clients 64"), ACCEPT),
    pinned("sse-fanout", Kind::Web("sse-fanout bench --size 128 --clients 1000"), SSE),
    pinned("ws-fanout", Kind::Web("ws-fanout bench --size 128 --clients 1000"), WS),
    alone("reopen", Kind::Reopen),
    alone("overtake", Kind::Whole("overtake bench --size 128 --msgs 100000")),
];

/// As fast as most of a program that does nothing else; more would be against nature.
const MOST: Goal = Goal::Faster(0.7, 1.0);
const READY: Goal = Goal::OursAtMost(300.0, None);
const SOON: Goal = Goal::OursAtMost(10.0, Some(2.0));

const fn cpu(scenario: &'static str, title: &'static str) -> Row {
    row(scenario, title, "/cost/us_per_delivered", Unit::Microseconds, Goal::Told)
}

const fn ms(scenario: &'static str, title: &'static str, pointer: &'static str, goal: Goal) -> Row {
    row(scenario, title, pointer, Unit::Milliseconds, goal)
}

pub(crate) const ROWS: &[Row] = &[
    row(
        "http-publish",
        "`POST /v1/publish`, 64 connections, 128 B: requests",
        "/delivered_per_s",
        Unit::PerSecond,
        MOST,
    ),
    cpu("http-publish", "the same: server CPU a request"),
    row("http-publish", "the same: p50", "/latency/p50_us", Unit::Microseconds, Goal::Told),
    row("http-publish", "the same: p99", "/latency/p99_us", Unit::Microseconds, Goal::Told),
    row("sse-fanout", "events to 1000, 128 B: deliveries", "/delivered_per_s", Unit::PerSecond, MOST),
    cpu("sse-fanout", "events to 1000, 128 B: server CPU a delivery"),
    row("ws-fanout", "WebSocket to 1000, 128 B: deliveries", "/delivered_per_s", Unit::PerSecond, MOST),
    cpu("ws-fanout", "WebSocket to 1000, 128 B: server CPU a delivery"),
    ms("reopen", "start with 1 000 000 messages, after a clean stop", "/clean_ms", READY),
    ms("reopen", "until its ready line, after a clean stop", "/clean_line_ms", READY),
    ms("overtake", "a critical message past a backlog of 100 000: p50", "/overtake/p50_ms", SOON),
    ms("overtake", "a critical message past a backlog of 100 000: slowest", "/overtake/max_ms", SOON),
];
