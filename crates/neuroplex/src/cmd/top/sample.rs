//! One reading of a node: its documents, parsed. Nothing is compared here; what two readings say together is the view's.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::metrics::Figures;

/// Most connections that are asked for at once.
pub(super) const CONNECTIONS_MAX: u64 = 500;
/// Most streams.
pub(super) const STREAMS_MAX: u64 = 256;
/// Most subscriptions; those of one subject make one row.
pub(super) const SUBSCRIPTIONS_MAX: u64 = 500;

/// A part of a list.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Page<T> {
    pub(super) total: u64,
    pub(super) offset: u64,
    pub(super) rows: Vec<T>,
}

impl<T> Page<T> {
    pub(super) fn new(total: u64, offset: u64, rows: Vec<T>) -> Page<T> {
        Page { total, offset, rows }
    }
}

/// A list that is not asked for at every reading.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Read<T> {
    /// It was not wanted.
    Not,
    Page(Page<T>),
    /// It is not shown to whoever asks, and why.
    Refused(String),
}

impl<T> Read<T> {
    /// The rows that were read.
    pub(super) fn rows(&self) -> &[T] {
        match self {
            Read::Page(page) => &page.rows,
            Read::Not | Read::Refused(_) => &[],
        }
    }
}

/// A reading.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// When, on the clock of whoever asked; it only goes forward.
    pub(super) at_ms: u64,
    pub(super) node: Node,
    pub(super) figures: Figures,
    pub(super) connections: Page<Connection>,
    pub(super) streams: Read<Stream>,
    pub(super) subjects: Read<Subject>,
}

/// The part of `/varz` that is shown.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Node {
    pub(super) server_name: String,
    pub(super) neuroplex_version: String,
    pub(super) start_unix_ms: u64,
    pub(super) now_unix_ms: u64,
    pub(super) mem: u64,
    pub(super) cores: u64,
    pub(super) cpu_seconds: f64,
    pub(super) connections: u64,
    pub(super) subscriptions: u64,
    pub(super) in_msgs: u64,
    pub(super) out_msgs: u64,
    pub(super) in_bytes: u64,
    pub(super) out_bytes: u64,
    pub(super) slow_consumers: u64,
}

/// One of `/connz`.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Connection {
    pub(super) cid: u64,
    pub(super) kind: String,
    pub(super) ip: String,
    pub(super) port: u16,
    pub(super) start_unix_ms: u64,
    pub(super) pending_bytes: u64,
    pub(super) in_msgs: u64,
    pub(super) out_msgs: u64,
    pub(super) in_bytes: u64,
    pub(super) out_bytes: u64,
    pub(super) subscriptions: u64,
    pub(super) name: String,
    pub(super) authorized_user: String,
}

/// One of `/v1/streams`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Stream {
    pub(super) name: String,
    pub(super) messages: u64,
    pub(super) bytes: u64,
    pub(super) last_seq: u64,
    pub(super) consumers: u64,
}

/// A subject with all its subscriptions among those that were asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Subject {
    pub(super) subject: String,
    pub(super) subscriptions: u64,
    pub(super) queues: u64,
}

/// `/varz`
pub(super) fn node(body: &[u8]) -> Result<Node, String> {
    read(body)
}

/// `/connz`
pub(super) fn connections(body: &[u8]) -> Result<Page<Connection>, String> {
    #[derive(Deserialize)]
    struct Connz {
        total: u64,
        offset: u64,
        connections: Vec<Connection>,
    }
    let Connz { total, offset, connections } = read(body)?;
    Ok(Page::new(total, offset, connections))
}

/// `/v1/streams`
pub(super) fn streams(body: &[u8]) -> Result<Page<Stream>, String> {
    #[derive(Deserialize)]
    struct Listed {
        total: u64,
        offset: u64,
        streams: Option<Vec<Info>>,
    }
    #[derive(Deserialize)]
    struct Info {
        config: Config,
        state: State,
    }
    #[derive(Deserialize)]
    struct Config {
        name: String,
    }
    #[derive(Deserialize)]
    struct State {
        messages: u64,
        bytes: u64,
        last_seq: u64,
        consumer_count: u64,
    }
    let Listed { total, offset, streams } = read(body)?;
    let stream = |Info { config, state }| Stream {
        name: config.name,
        messages: state.messages,
        bytes: state.bytes,
        last_seq: state.last_seq,
        consumers: state.consumer_count,
    };
    Ok(Page::new(total, offset, streams.unwrap_or_default().into_iter().map(stream).collect()))
}

/// `/v1/subscriptions`; the total is that of subscriptions.
pub(super) fn subjects(body: &[u8]) -> Result<Page<Subject>, String> {
    #[derive(Deserialize)]
    struct Listed {
        total: u64,
        offset: u64,
        items: Vec<Subscription>,
    }
    #[derive(Deserialize)]
    struct Subscription {
        subject: String,
        queue: Option<String>,
    }
    let Listed { total, offset, items } = read(body)?;
    let mut by_subject: BTreeMap<String, (u64, BTreeSet<String>)> = BTreeMap::new();
    for Subscription { subject, queue } in items {
        let (count, queues) = by_subject.entry(subject).or_default();
        *count += 1;
        queues.extend(queue);
    }
    let rows = by_subject.into_iter().map(|(subject, (subscriptions, queues))| Subject {
        subject,
        subscriptions,
        queues: queues.len() as u64,
    });
    Ok(Page::new(total, offset, rows.collect()))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscriptions_of_one_subject_are_one_row() {
        let body = br#"{"total":9,"offset":2,"limit":3,"items":[
            {"id":1,"subject":"a.>","queue":"w"},{"id":2,"subject":"b"},{"id":3,"subject":"a.>","queue":"w"}]}"#;
        let row =
            |subject: &str, subscriptions, queues| Subject { subject: subject.into(), subscriptions, queues };
        assert_eq!(subjects(body), Ok(Page::new(9, 2, vec![row("a.>", 2, 1), row("b", 1, 0)])));
    }

    #[test]
    fn no_streams_are_an_empty_page_and_nonsense_is_told() {
        let none = br#"{"total":0,"offset":0,"limit":256,"streams":null}"#;
        assert_eq!(streams(none), Ok(Page::new(0, 0, vec![])));
        assert!(node(b"{}").is_err() && connections(b"<html>").is_err() && streams(b"").is_err());
    }
}
