//! Figures of the node that more than one part of it makes: streams and consumers by name, under the names that alert rules
//! know. Who serves them is *not* known here.

use std::sync::Arc;

use fabric::{ConsumerSeen, StreamSeen};
use gateway::http::Figure;
use gateway::http::metrics::{Kind, Reading, Sample};

type Labels = Vec<(&'static str, String)>;

/// What single streams and consumers come to. The account stands in the labels where there is more than one.
pub(crate) fn of_streams(seen: &[StreamSeen]) -> Vec<Figure> {
    let accounts: std::collections::BTreeSet<&Arc<str>> = seen.iter().map(|stream| &stream.account).collect();
    let is_one = accounts.len() < 2;
    let labels = |stream: &StreamSeen, rest: Labels| {
        let mut labels = rest;
        if !is_one {
            labels.push(("account", stream.account.to_string()));
        }
        labels
    };
    let by_stream = |name: &str, help, kind, value: fn(&StreamSeen) -> u64| {
        let samples = seen.iter().map(|stream| Sample {
            labels: labels(stream, vec![("stream", stream.name.to_string())]),
            reading: Reading::Number(value(stream) as f64),
        });
        Figure { name: name.into(), help, kind, samples: samples.collect() }
    };
    let by_consumer =
        |name: &str, help, own: fn(&StreamSeen, &ConsumerSeen) -> Labels, value: fn(&ConsumerSeen) -> u64| {
            let rows = seen
                .iter()
                .flat_map(|stream| stream.consumers.iter().map(move |consumer| (stream, consumer)));
            let samples = rows.map(|(stream, consumer)| Sample {
                labels: labels(stream, own(stream, consumer)),
                reading: Reading::Number(value(consumer) as f64),
            });
            Figure { name: name.into(), help, kind: Kind::Gauge, samples: samples.collect() }
        };
    let named = |stream: &StreamSeen, consumer: &ConsumerSeen| {
        vec![("stream", stream.name.to_string()), ("consumer", consumer.name.to_string())]
    };
    let queue = |stream: &StreamSeen, consumer: &ConsumerSeen| {
        let name = format!("{}/{}", stream.name, consumer.name);
        vec![("queue_name", name), ("priority", "all".to_owned())]
    };
    vec![
        by_stream("neuroplex_stream_messages", "Messages that a stream holds.", Kind::Gauge, |s| s.messages),
        by_stream("neuroplex_stream_bytes", "Bytes of the messages that a stream holds.", Kind::Gauge, |s| {
            s.bytes
        }),
        by_stream(
            "neuroplex_stream_last_sequence",
            "The last sequence that a stream gave.",
            Kind::Gauge,
            |s| s.last_seq,
        ),
        by_consumer(
            "message_queue_depth",
            "Messages that wait for a consumer: its first deliveries.",
            queue,
            |c| c.pending,
        ),
        by_consumer(
            "neuroplex_consumer_ack_pending",
            "Messages that were delivered and not acknowledged.",
            named,
            |c| c.ack_pending,
        ),
        by_consumer(
            "neuroplex_consumer_redelivered",
            "Of these, how many were delivered more than once.",
            named,
            |c| c.redelivered,
        ),
    ]
}

/// Memory as a part of what there may be, under the name that alert rules know.
pub(crate) fn memory_usage(node: &str, parts: &[(&str, u64, u64)]) -> Figure {
    let samples = parts.iter().map(|(component, used, most)| Sample {
        labels: vec![("component", (*component).to_owned()), ("node_id", node.to_owned())],
        reading: Reading::Number(*used as f64 / (*most).max(1) as f64),
    });
    Figure {
        name: "memory_usage".into(),
        help: "Memory in use, as a fraction of what there may be.",
        kind: Kind::Gauge,
        samples: samples.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(account: &str) -> StreamSeen {
        let worker = ConsumerSeen { name: "worker".into(), pending: 3, ack_pending: 2, redelivered: 1 };
        let (account, name) = (account.into(), "JOBS".into());
        StreamSeen { account, name, messages: 5, bytes: 50, last_seq: 9, consumers: vec![worker] }
    }

    #[test]
    fn the_account_is_named_where_there_is_more_than_one() {
        let depth = |seen: &[StreamSeen]| of_streams(seen).swap_remove(3).samples;
        let one = depth(&[seen("a")]);
        let queue = vec![("queue_name", "JOBS/worker".to_owned()), ("priority", "all".to_owned())];
        assert_eq!(one, [Sample { labels: queue, reading: Reading::Number(3.0) }]);
        let two = depth(&[seen("a"), seen("b")]);
        assert_ne!(two[0].labels, two[1].labels);
    }

    #[test]
    fn memory_is_a_fraction() {
        let figure = memory_usage("n", &[("process", 1, 4), ("none", 0, 0)]);
        assert_eq!(figure.samples[0].reading, Reading::Number(0.25));
        assert_eq!(figure.samples[1].reading, Reading::Number(0.0));
    }
}
