//! The streams and consumers of the chore, and who publishes where: one row each.

use serde_json::{Value, json};

use super::oracle::{Oracle, Rule};

/// A redelivery comes this long after a delivery that was not acknowledged.
const ACK_WAIT_MS: u64 = 1500;
/// Of each subject so many are kept in the stream that has this limit.
const PER_SUBJECT: usize = 5;

/// A stream. Its messages go to `SUBJECT.N`.
#[derive(Debug)]
pub(super) struct StreamPlan {
    pub(super) name: &'static str,
    pub(super) subject: &'static str,
    pub(super) rule: Rule,
}

/// A durable pull consumer, on one connection.
#[derive(Debug)]
pub(super) struct ConsumerPlan {
    pub(super) name: &'static str,
    /// Place in [`STREAMS`].
    pub(super) stream: usize,
    /// Whether each acknowledgement asks to be answered.
    pub(super) confirms: bool,
}

/// A connection that publishes.
#[derive(Debug)]
pub(super) struct PublisherPlan {
    /// Place in [`STREAMS`].
    pub(super) stream: usize,
    /// Whether messages carry an id, so that they may be sent again.
    pub(super) ids: bool,
    /// Distinct subjects, from `first` on.
    pub(super) subjects: u64,
    pub(super) first: u64,
}

pub(super) const STREAMS: &[StreamPlan] = &[
    StreamPlan { name: "LOG", subject: "crash.log", rule: Rule::All },
    StreamPlan { name: "WORK", subject: "crash.work", rule: Rule::WorkQueue },
    StreamPlan { name: "LATEST", subject: "crash.latest", rule: Rule::PerSubject(PER_SUBJECT) },
];

pub(super) const CONSUMERS: &[ConsumerPlan] = &[
    ConsumerPlan { name: "reader", stream: 0, confirms: false },
    ConsumerPlan { name: "careful", stream: 0, confirms: true },
    ConsumerPlan { name: "worker", stream: 1, confirms: true },
];

pub(super) const PUBLISHERS: &[PublisherPlan] = &[
    PublisherPlan { stream: 0, ids: true, subjects: 3, first: 0 },
    PublisherPlan { stream: 0, ids: true, subjects: 1, first: 3 },
    PublisherPlan { stream: 0, ids: false, subjects: 1, first: 4 },
    PublisherPlan { stream: 1, ids: true, subjects: 2, first: 0 },
    PublisherPlan { stream: 1, ids: false, subjects: 1, first: 2 },
    PublisherPlan { stream: 2, ids: true, subjects: 10, first: 0 },
    PublisherPlan { stream: 2, ids: false, subjects: 10, first: 0 },
];

/// An oracle that knows the rows above by their places.
pub(super) fn oracle() -> Oracle {
    let mut oracle = Oracle::default();
    for StreamPlan { name, rule, .. } in STREAMS {
        oracle.stream(name, *rule);
    }
    for ConsumerPlan { name, stream, .. } in CONSUMERS {
        oracle.consumer(name, *stream);
    }
    oracle
}

/// The requests that make everything: verb and body.
pub(super) fn requests() -> Vec<(String, Value)> {
    let mut requests = Vec::new();
    for StreamPlan { name, subject, rule } in STREAMS {
        let mut config = json!({
            "name": name,
            "subjects": [format!("{subject}.*")],
            "storage": "file",
            "retention": if *rule == Rule::WorkQueue { "workqueue" } else { "limits" },
            "num_replicas": 1,
        });
        if let Rule::PerSubject(most) = rule {
            config["max_msgs_per_subject"] = json!(most);
        }
        requests.push((format!("STREAM.CREATE.{name}"), config));
    }
    for ConsumerPlan { name, stream, .. } in CONSUMERS {
        let Some(StreamPlan { name: stream, .. }) = STREAMS.get(*stream) else { continue };
        let config = json!({
            "durable_name": name,
            "ack_policy": "explicit",
            "deliver_policy": "all",
            "ack_wait": ACK_WAIT_MS * 1_000_000,
            "max_ack_pending": 1000,
        });
        let request = json!({"stream_name": stream, "config": config});
        requests.push((format!("CONSUMER.DURABLE.CREATE.{stream}.{name}"), request));
    }
    requests
}

/// The number that ends a subject of the chore.
pub(super) fn subject_number(subject: &str) -> u32 {
    subject.rsplit('.').next().and_then(|token| token.parse().ok()).unwrap_or(u32::MAX)
}
