//! What two readings say together: rates, rows in order, and who is slow. Pure: how it looks is *not* known here.

use serde::Serialize;

use super::metrics::StreamFigures;
use super::sample::{Connection, Page, Read, Sample, Stream, Subject};

/// Bytes that wait for a connection at two readings running, from which on it is called slow: more than a socket takes
/// at once.
pub(super) const SLOW_BYTES: u64 = 64 * 1024;

/// A page of rows, and how many there are in all.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Listed<T> {
    pub(super) total: u64,
    pub(super) offset: u64,
    /// Why there is less to see than there could be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) note: Option<String>,
    pub(super) rows: Vec<T>,
    /// The node was asked for it at this reading.
    #[serde(skip)]
    pub(super) is_read: bool,
}

impl<T> Listed<T> {
    fn of(page: &Page<impl Sized>, rows: Vec<T>) -> Listed<T> {
        Listed { total: page.total, offset: page.offset, note: None, rows, is_read: true }
    }

    /// Takes the place of what was not read now.
    pub(super) fn stay(&mut self, before: Listed<T>) {
        if !self.is_read {
            *self = before;
        }
    }

    fn unread(total: u64) -> Listed<T> {
        Listed { total, offset: 0, note: None, rows: Vec::new(), is_read: false }
    }
}

/// A node at one moment. Rates are missing at the first reading, and after the node was started again.
#[derive(Clone, Debug, Serialize)]
pub(super) struct View {
    /// The node's clock, in milliseconds since 1970.
    pub(super) time_ms: u64,
    /// Between the two readings.
    pub(super) interval_ms: u64,
    /// The node was started again between the two: its counters began anew.
    pub(super) restarted: bool,
    pub(super) node: NodeRow,
    pub(super) rates: Rates,
    pub(super) connections: Listed<ConnectionRow>,
    pub(super) streams: Listed<StreamRow>,
    pub(super) subjects: Listed<SubjectRow>,
}

/// The node itself.
#[derive(Clone, Debug, Serialize)]
pub(super) struct NodeRow {
    pub(super) id: String,
    pub(super) version: String,
    pub(super) uptime_ms: u64,
    pub(super) memory_bytes: u64,
    /// 100 is one core.
    pub(super) cpu_percent: Option<f64>,
    pub(super) cores: u64,
    pub(super) connections: u64,
    pub(super) http_connections: u64,
    pub(super) subscriptions: u64,
    pub(super) streams: u64,
    /// Bytes that wait for clients.
    pub(super) pending_bytes: u64,
    /// Of the connections of this page, how many are slow now.
    pub(super) slow_now: u64,
    /// Clients that were cut since the start, because they did not read.
    pub(super) slow_cut_total: u64,
}

/// What the whole node takes and gives a second.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Rates {
    pub(super) messages_in_per_s: Option<f64>,
    pub(super) messages_out_per_s: Option<f64>,
    pub(super) bytes_in_per_s: Option<f64>,
    pub(super) bytes_out_per_s: Option<f64>,
    pub(super) http_requests_per_s: Option<f64>,
}

/// A connection.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ConnectionRow {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) user: String,
    pub(super) address: String,
    pub(super) subscriptions: u64,
    pub(super) messages_in_per_s: Option<f64>,
    pub(super) messages_out_per_s: Option<f64>,
    pub(super) bytes_in_per_s: Option<f64>,
    pub(super) bytes_out_per_s: Option<f64>,
    pub(super) pending_bytes: u64,
    pub(super) slow: bool,
}

/// A stream. `pending` and `ack_pending` are missing where metrics do not tell.
#[derive(Clone, Debug, Serialize)]
pub(super) struct StreamRow {
    pub(super) name: String,
    pub(super) messages: u64,
    pub(super) bytes: u64,
    pub(super) messages_in_per_s: Option<f64>,
    pub(super) consumers: u64,
    pub(super) pending: Option<u64>,
    pub(super) ack_pending: Option<u64>,
}

/// A subject that somebody hears.
#[derive(Clone, Debug, Serialize)]
pub(super) struct SubjectRow {
    pub(super) subject: String,
    pub(super) subscriptions: u64,
    pub(super) queues: u64,
}

/// From one reading to the next.
#[derive(Clone, Copy)]
struct Span {
    /// `None`: no rate can be told.
    seconds: Option<f64>,
    /// The node's clock at the first of them.
    since_unix_ms: u64,
}

impl Span {
    fn per_s(&self, before: Option<u64>, now: u64) -> Option<f64> {
        Some(now.checked_sub(before?)? as f64 / self.seconds?)
    }
}

impl View {
    /// `before`: an earlier reading, if there is one.
    pub(super) fn of(before: Option<&Sample>, now: &Sample) -> View {
        let same = before.filter(|b| b.node.start_unix_ms == now.node.start_unix_ms);
        let interval_ms = before.map_or(0, |b| now.at_ms.saturating_sub(b.at_ms));
        let seconds = (same.is_some() && interval_ms > 0).then_some(interval_ms as f64 / 1000.0);
        let span = Span { seconds, since_unix_ms: same.map_or(0, |b| b.node.now_unix_ms) };
        let rate = |of: fn(&Sample) -> u64| span.per_s(same.map(of), of(now));
        let connections = connections(same, now, span);
        let streams = streams(same, now, span);
        let node = &now.node;
        let cpu = same.map(|b| node.cpu_seconds - b.node.cpu_seconds).filter(|used| *used >= 0.0);
        View {
            time_ms: node.now_unix_ms,
            interval_ms,
            restarted: before.is_some() && same.is_none(),
            node: NodeRow {
                id: node.server_name.clone(),
                version: node.neuroplex_version.clone(),
                uptime_ms: node.now_unix_ms.saturating_sub(node.start_unix_ms),
                memory_bytes: node.mem,
                cpu_percent: cpu.zip(seconds).map(|(used, seconds)| 100.0 * used / seconds),
                cores: node.cores,
                connections: node.connections,
                http_connections: now.figures.http_connections,
                subscriptions: node.subscriptions,
                streams: now.figures.streams_total.max(streams.total),
                pending_bytes: now.figures.pending_bytes,
                slow_now: connections.rows.iter().filter(|row| row.slow).count() as u64,
                slow_cut_total: node.slow_consumers,
            },
            rates: Rates {
                messages_in_per_s: rate(|s| s.node.in_msgs),
                messages_out_per_s: rate(|s| s.node.out_msgs),
                bytes_in_per_s: rate(|s| s.node.in_bytes),
                bytes_out_per_s: rate(|s| s.node.out_bytes),
                http_requests_per_s: rate(|s| s.figures.http_requests),
            },
            connections,
            streams,
            subjects: subjects(now),
        }
    }
}

fn connections(before: Option<&Sample>, now: &Sample, span: Span) -> Listed<ConnectionRow> {
    // Some hundred at most: a search is enough.
    let known = before.map_or(&[][..], |b| &b.connections.rows);
    let row = |c: &Connection| {
        let earlier = known.iter().find(|k| k.cid == c.cid && k.start_unix_ms == c.start_unix_ms);
        let is_new = span.seconds.is_some() && c.start_unix_ms >= span.since_unix_ms;
        let rate = |of: fn(&Connection) -> u64| {
            // All that somebody did who came since then was done since then.
            span.per_s(earlier.map(of).or(is_new.then_some(0)), of(c))
        };
        let host =
            if c.ip.contains(':') && !c.ip.starts_with('[') { format!("[{}]", c.ip) } else { c.ip.clone() };
        ConnectionRow {
            id: c.cid,
            name: c.name.clone(),
            kind: c.kind.clone(),
            user: c.authorized_user.clone(),
            address: format!("{host}:{}", c.port),
            subscriptions: c.subscriptions,
            messages_in_per_s: rate(|c| c.in_msgs),
            messages_out_per_s: rate(|c| c.out_msgs),
            bytes_in_per_s: rate(|c| c.in_bytes),
            bytes_out_per_s: rate(|c| c.out_bytes),
            pending_bytes: c.pending_bytes,
            slow: earlier.is_some_and(|e| e.pending_bytes.min(c.pending_bytes) >= SLOW_BYTES),
        }
    };
    Listed::of(&now.connections, now.connections.rows.iter().map(row).collect())
}

fn streams(before: Option<&Sample>, now: &Sample, span: Span) -> Listed<StreamRow> {
    let known = before.map_or(&[][..], |b| b.streams.rows());
    let told = &now.figures.streams;
    let row = |s: &Stream| {
        let earlier = known.iter().find(|k| k.name == s.name).map(|k| k.last_seq);
        // A stream without consumers has none that wait, whether or not it is in memory.
        let figures = told.get(&s.name).filter(|f| s.consumers == 0 || f.consumers > 0);
        StreamRow {
            name: s.name.clone(),
            messages: s.messages,
            bytes: s.bytes,
            messages_in_per_s: span.per_s(earlier, s.last_seq),
            consumers: s.consumers,
            pending: figures.map(|f| f.pending),
            ack_pending: figures.map(|f| f.ack_pending),
        }
    };
    match &now.streams {
        Read::Not => Listed::unread(now.figures.streams_total),
        Read::Page(page) => Listed::of(page, page.rows.iter().map(row).collect()),
        Read::Refused(why) => {
            let known = before.map(|b| &b.figures.streams);
            let row = |(name, f): (&String, &StreamFigures)| StreamRow {
                name: name.clone(),
                messages: f.messages,
                bytes: f.bytes,
                messages_in_per_s: span.per_s(known.and_then(|k| Some(k.get(name)?.last_seq)), f.last_seq),
                consumers: f.consumers,
                pending: Some(f.pending),
                ack_pending: Some(f.ack_pending),
            };
            let note = Some(format!("from /metrics only: {why}"));
            let rows = told.iter().map(row).collect();
            Listed { note, rows, is_read: true, ..Listed::unread(now.figures.streams_total) }
        }
    }
}

fn subjects(now: &Sample) -> Listed<SubjectRow> {
    let row = |s: &Subject| SubjectRow {
        subject: s.subject.clone(),
        subscriptions: s.subscriptions,
        queues: s.queues,
    };
    match &now.subjects {
        Read::Not => Listed::unread(now.node.subscriptions),
        Read::Page(page) => Listed::of(page, page.rows.iter().map(row).collect()),
        Read::Refused(why) => {
            let note = Some(why.clone());
            Listed { note, is_read: true, ..Listed::unread(now.node.subscriptions) }
        }
    }
}

#[cfg(test)]
#[path = "view_tests.rs"]
pub(super) mod tests;
