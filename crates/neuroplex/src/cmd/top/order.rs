//! In which order rows stand: one table of orders for each list, its first row is the usual one.

use std::cmp::Ordering::{self, Equal};

use super::view::{ConnectionRow, StreamRow, SubjectRow, View};

/// A name for people, and what comes first.
type Order<T> = (&'static str, fn(&T, &T) -> Ordering);

/// Of connections. Whatever else is equal: the oldest first.
const CONNECTIONS: &[Order<ConnectionRow>] = &[
    ("messages/s", |a, b| {
        most(
            rate(a, |r| r.messages_in_per_s, |r| r.messages_out_per_s),
            rate(b, |r| r.messages_in_per_s, |r| r.messages_out_per_s),
        )
    }),
    ("bytes/s", |a, b| {
        most(
            rate(a, |r| r.bytes_in_per_s, |r| r.bytes_out_per_s),
            rate(b, |r| r.bytes_in_per_s, |r| r.bytes_out_per_s),
        )
    }),
    ("pending", |a, b| b.slow.cmp(&a.slow).then(b.pending_bytes.cmp(&a.pending_bytes))),
    ("subscriptions", |a, b| b.subscriptions.cmp(&a.subscriptions)),
    ("name", |a, b| a.name.cmp(&b.name)),
    ("oldest", |_, _| Equal),
];

/// Of streams. Whatever else is equal: by name.
const STREAMS: &[Order<StreamRow>] = &[
    ("in/s", |a, b| most(a.messages_in_per_s.unwrap_or(0.0), b.messages_in_per_s.unwrap_or(0.0))),
    ("messages", |a, b| b.messages.cmp(&a.messages)),
    ("bytes", |a, b| b.bytes.cmp(&a.bytes)),
    ("pending", |a, b| b.pending.cmp(&a.pending)),
    ("ack pending", |a, b| b.ack_pending.cmp(&a.ack_pending)),
    ("name", |_, _| Equal),
];

/// Of subjects.
const SUBJECTS: &[Order<SubjectRow>] =
    &[("subscriptions", |a, b| b.subscriptions.cmp(&a.subscriptions)), ("subject", |_, _| Equal)];

/// The lists that can be seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tab {
    #[default]
    Connections,
    Streams,
    Subjects,
}

impl Tab {
    /// From left to right.
    pub(super) const ALL: [Tab; 3] = [Tab::Connections, Tab::Streams, Tab::Subjects];

    /// How many orders it has.
    pub(super) fn orders(self) -> usize {
        match self {
            Tab::Connections => CONNECTIONS.len(),
            Tab::Streams => STREAMS.len(),
            Tab::Subjects => SUBJECTS.len(),
        }
    }

    /// The name of one of them.
    pub(super) fn order(self, order: usize) -> &'static str {
        let name = match self {
            Tab::Connections => CONNECTIONS.get(order).map(|o| o.0),
            Tab::Streams => STREAMS.get(order).map(|o| o.0),
            Tab::Subjects => SUBJECTS.get(order).map(|o| o.0),
        };
        name.unwrap_or_default()
    }

    /// How many rows it has in a view.
    pub(super) fn rows(self, view: &View) -> usize {
        match self {
            Tab::Connections => view.connections.rows.len(),
            Tab::Streams => view.streams.rows.len(),
            Tab::Subjects => view.subjects.rows.len(),
        }
    }
}

/// Puts the rows of all lists in order; `orders` are those of [`Tab::ALL`].
pub(super) fn sort(view: &mut View, orders: [usize; 3]) {
    let [connections, streams, subjects] = orders;
    by(&mut view.connections.rows, CONNECTIONS, connections, |a, b| a.id.cmp(&b.id));
    by(&mut view.streams.rows, STREAMS, streams, |a, b| a.name.cmp(&b.name));
    by(&mut view.subjects.rows, SUBJECTS, subjects, |a, b| a.subject.cmp(&b.subject));
}

fn by<T>(rows: &mut [T], orders: &[Order<T>], order: usize, tie: fn(&T, &T) -> Ordering) {
    let Some((_, first)) = orders.get(order) else { return };
    rows.sort_by(|a, b| first(a, b).then_with(|| tie(a, b)));
}

fn rate(
    row: &ConnectionRow,
    one: fn(&ConnectionRow) -> Option<f64>,
    other: fn(&ConnectionRow) -> Option<f64>,
) -> f64 {
    one(row).unwrap_or(0.0) + other(row).unwrap_or(0.0)
}

fn most(a: f64, b: f64) -> Ordering {
    b.total_cmp(&a)
}
