//! Tests of the view: rates, restarts, order.

use std::collections::BTreeMap;

use super::super::metrics::{Figures, StreamFigures};
use super::super::order::{Tab, sort};
use super::super::sample::Node;
use super::*;

pub(in super::super) fn sample(at_ms: u64) -> Sample {
    Sample {
        at_ms,
        node: Node {
            server_name: "n1".into(),
            neuroplex_version: "0.1.0".into(),
            start_unix_ms: 1_000_000,
            now_unix_ms: 1_060_000 + at_ms,
            mem: 35 << 20,
            cores: 2,
            cpu_seconds: at_ms as f64 / 4000.0,
            in_msgs: at_ms * 3,
            out_msgs: at_ms * 6,
            in_bytes: at_ms * 300,
            out_bytes: at_ms * 600,
            connections: 1,
            ..Node::default()
        },
        figures: Figures { http_requests: at_ms / 100, ..Figures::default() },
        connections: Page::new(1, 0, vec![connection(1, 1_000_001, at_ms)]),
        streams: Read::Page(Page::new(1, 0, vec![stream("T", at_ms)])),
        subjects: Read::Page(Page::new(0, 0, vec![])),
    }
}

pub(in super::super) fn connection(cid: u64, start_unix_ms: u64, messages: u64) -> Connection {
    Connection {
        cid,
        kind: "nats".into(),
        ip: "127.0.0.1".into(),
        port: 4000,
        start_unix_ms,
        in_msgs: messages,
        out_msgs: messages * 2,
        in_bytes: messages * 10,
        name: format!("c{cid}"),
        ..Connection::default()
    }
}

pub(in super::super) fn stream(name: &str, last_seq: u64) -> Stream {
    Stream { name: name.into(), messages: last_seq, last_seq, ..Stream::default() }
}

#[test]
fn rates_are_what_came_between_two_readings_a_second() {
    let view = View::of(Some(&sample(1000)), &sample(3000));
    assert_eq!(view.interval_ms, 2000);
    assert_eq!(view.rates.messages_in_per_s, Some(3000.0));
    assert_eq!(view.rates.bytes_out_per_s, Some(600_000.0));
    assert_eq!(view.rates.http_requests_per_s, Some(10.0));
    assert_eq!(view.node.cpu_percent, Some(25.0));
    assert_eq!(view.node.uptime_ms, 63_000);
    let row = &view.connections.rows[0];
    assert_eq!((row.messages_in_per_s, row.messages_out_per_s), (Some(1000.0), Some(2000.0)));
    assert_eq!(view.streams.rows[0].messages_in_per_s, Some(1000.0));
}

#[test]
fn the_first_reading_has_no_rates_and_two_at_one_moment_have_none() {
    for before in [None, Some(&sample(1000))] {
        let view = View::of(before, &sample(1000));
        assert!(!view.restarted);
        assert_eq!((view.rates.messages_in_per_s, view.rates.http_requests_per_s), (None, None));
        assert_eq!((view.node.cpu_percent, view.connections.rows[0].messages_in_per_s), (None, None));
    }
}

#[test]
fn a_node_that_was_started_again_has_no_negative_rates() {
    let before = sample(9000);
    let mut now = sample(1000);
    (now.at_ms, now.node.start_unix_ms) = (11_000, 2_000_000);
    let view = View::of(Some(&before), &now);
    assert!(view.restarted);
    assert_eq!((view.rates.messages_in_per_s, view.node.cpu_percent), (None, None));
    assert_eq!(view.connections.rows[0].messages_in_per_s, None);
    assert_eq!(view.streams.rows[0].messages_in_per_s, None);
}

#[test]
fn a_counter_that_went_back_has_no_rate_and_spares_the_others() {
    let (before, mut now) = (sample(1000), sample(3000));
    // The stream was deleted and made again.
    now.streams = Read::Page(Page::new(1, 0, vec![stream("T", 5)]));
    let view = View::of(Some(&before), &now);
    assert_eq!(view.streams.rows[0].messages_in_per_s, None);
    assert_eq!(view.rates.messages_in_per_s, Some(3000.0));
}

#[test]
fn a_connection_that_has_just_come_did_all_it_did_since_then() {
    let (before, mut now) = (sample(1000), sample(3000));
    let new = connection(2, before.node.now_unix_ms + 500, 100);
    let unknown = connection(3, before.node.now_unix_ms - 500, 100);
    now.connections = Page::new(2, 0, vec![new, unknown]);
    let rows = View::of(Some(&before), &now).connections.rows;
    assert_eq!(rows[0].messages_in_per_s, Some(50.0));
    assert_eq!(rows[1].messages_in_per_s, None, "it was on another page: nobody knows its counters before");
}

#[test]
fn slow_is_for_whom_bytes_wait_at_two_readings() {
    let pending = |at_ms, bytes| {
        let mut sample = sample(at_ms);
        sample.connections.rows[0].pending_bytes = bytes;
        sample
    };
    let slow = |before, now| {
        let view = View::of(Some(&pending(1000, before)), &pending(2000, now));
        assert_eq!(view.node.slow_now, u64::from(view.connections.rows[0].slow));
        view.connections.rows[0].slow
    };
    assert!(slow(SLOW_BYTES, SLOW_BYTES));
    assert!(!slow(0, u64::MAX) && !slow(u64::MAX, 0) && !slow(SLOW_BYTES, SLOW_BYTES - 1));
}

#[test]
fn streams_that_may_not_be_listed_are_those_of_the_metrics() {
    let told = |at_ms, last_seq| {
        let mut sample = sample(at_ms);
        let figures = StreamFigures { messages: 4, last_seq, consumers: 1, pending: 3, ..Default::default() };
        sample.figures.streams = BTreeMap::from([("J".into(), figures)]);
        sample.streams = Read::Refused("who are you?".into());
        sample
    };
    let streams = View::of(Some(&told(1000, 10)), &told(2000, 15)).streams;
    assert_eq!(streams.note.as_deref(), Some("from /metrics only: who are you?"));
    let row = &streams.rows[0];
    assert_eq!((row.messages, row.messages_in_per_s, row.pending), (4, Some(5.0), Some(3)));
}

#[test]
fn what_metrics_do_not_tell_of_consumers_is_unknown_and_not_nothing() {
    let mut now = sample(1000);
    let pending = |now: &Sample| View::of(None, now).streams.rows[0].pending;
    now.figures.streams = BTreeMap::from([("T".into(), StreamFigures::default())]);
    assert_eq!(pending(&now), Some(0));
    // It has a consumer, which is not in memory.
    let with_consumer = Stream { consumers: 1, ..stream("T", 1000) };
    now.streams = Read::Page(Page::new(1, 0, vec![with_consumer]));
    assert_eq!(pending(&now), None);
}

#[test]
fn every_order_sorts_and_equals_keep_their_places() {
    let (before, mut now) = (sample(1000), sample(3000));
    let since = before.node.now_unix_ms;
    let mut rows = vec![connection(1, since, 7), connection(2, since, 900), connection(3, since, 7)];
    rows[0].pending_bytes = 5;
    rows[2].subscriptions = 9;
    now.connections = Page::new(3, 0, rows);
    now.streams = Read::Page(Page::new(2, 0, vec![stream("B", 1), stream("A", 4)]));
    let mut view = View::of(Some(&before), &now);
    let mut ids = |order: usize| {
        sort(&mut view, [order, 0, 0]);
        view.connections.rows.iter().map(|row| row.id).collect::<Vec<_>>()
    };
    let by_name: Vec<_> =
        (0..Tab::Connections.orders()).map(|o| (Tab::Connections.order(o), ids(o))).collect();
    assert_eq!(
        by_name,
        [
            ("messages/s", vec![2, 1, 3]),
            ("bytes/s", vec![2, 1, 3]),
            ("pending", vec![1, 2, 3]),
            ("subscriptions", vec![3, 1, 2]),
            ("name", vec![1, 2, 3]),
            ("oldest", vec![1, 2, 3]),
        ]
    );
    let mut names = |order: usize| {
        sort(&mut view, [0, order, 0]);
        view.streams.rows.iter().map(|row| row.name.clone()).collect::<String>()
    };
    assert_eq!((names(1), names(5)), ("AB".to_owned(), "AB".to_owned()));
}
