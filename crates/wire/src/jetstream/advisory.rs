//! What a server tells everybody who listens below `$JS.EVENT.`: that streams and consumers came and went, and that
//! messages were given back or given up. When to say so, and under which id, is *not* decided here.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;

use super::Time;
use super::document::{document, words};

fn cannot(json: &str) -> String {
    format!("unknown advisory action type: {json}")
}

words! {
    /// What happened to a stream or consumer.
    Action, cannot, {
        /// It is new.
        #[default] Create = "create",
        /// It is gone.
        Delete = "delete",
        /// It was changed.
        Modify = "modify",
    }
}

document! {
    /// A stream came, changed, or went.
    StreamAction {
        stream: String,
        action: Action,
        domain?: String,
    }
}

document! {
    /// A consumer came or went.
    ConsumerAction {
        stream: String,
        consumer: String,
        action: Action,
        domain?: String,
    }
}

document! {
    /// A message was delivered as often as it may be, and still not acknowledged.
    MaxDeliver {
        stream: String,
        consumer: String,
        stream_seq: u64,
        deliveries: u64,
        domain?: String,
    }
}

document! {
    /// A message was given back.
    Nak {
        stream: String,
        consumer: String,
        consumer_seq: u64,
        stream_seq: u64,
        deliveries: u64,
        domain?: String,
    }
}

document! {
    /// A message was given up.
    Terminated {
        stream: String,
        consumer: String,
        consumer_seq: u64,
        stream_seq: u64,
        deliveries: u64,
        reason?: String,
        domain?: String,
    }
}

document! {
    /// A consumer rests, or goes on.
    Pause {
        stream: String,
        consumer: String,
        paused: bool,
        pause_until: Time,
        domain?: String,
    }
}

document! {
    /// A priority group was given to one client.
    GroupPinned {
        account?: String,
        stream: String,
        consumer: String,
        domain?: String,
        group: String,
        pinned_id: String,
    }
}

document! {
    /// A priority group was taken from its client.
    GroupUnpinned {
        account?: String,
        stream: String,
        consumer: String,
        domain?: String,
        group: String,
        reason: String,
    }
}

document! {
    /// A message was acknowledged, so many nanoseconds after its delivery: a sample.
    AckMetric {
        stream: String,
        consumer: String,
        consumer_seq: u64,
        stream_seq: u64,
        ack_time: i64,
        deliveries: u64,
        domain?: String,
    }
}

document! {
    /// A request of the API was answered. Request and answer are quoted.
    ApiAudit {
        server: String,
        client: Client,
        subject: String,
        request?: String,
        response: String,
        domain?: String,
    }
}

document! {
    /// Who made a request.
    Client {
        acc: String,
    }
}

macro_rules! events {
    ($($kind:literal $variant:ident)*) => {
        /// What happened.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize)]
        #[serde(untagged)]
        #[allow(missing_docs, reason = "each says what it is")]
        pub enum Event {
            $($variant($variant),)*
            /// What this version does not know.
            Other(Value),
        }

        impl Event {
            /// The `type` of the document; empty for what is not known.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Event::$variant(_) => $kind,)*
                    Event::Other(_) => "",
                }
            }

            fn read(kind: &str, value: Value) -> Result<Event, serde_json::Error> {
                match kind {
                    $($kind => serde_json::from_value(value).map(Event::$variant),)*
                    _ => Ok(Event::Other(value)),
                }
            }
        }

        $(impl From<$variant> for Event {
            fn from(event: $variant) -> Event {
                Event::$variant(event)
            }
        })*
    };
}

events! {
    "io.nats.jetstream.advisory.v1.stream_action" StreamAction
    "io.nats.jetstream.advisory.v1.consumer_action" ConsumerAction
    "io.nats.jetstream.advisory.v1.max_deliver" MaxDeliver
    "io.nats.jetstream.advisory.v1.nak" Nak
    "io.nats.jetstream.advisory.v1.terminated" Terminated
    "io.nats.jetstream.advisory.v1.consumer_pause" Pause
    "io.nats.jetstream.advisory.v1.consumer_group_pinned" GroupPinned
    "io.nats.jetstream.advisory.v1.consumer_group_unpinned" GroupUnpinned
    "io.nats.jetstream.metric.v1.consumer_ack" AckMetric
    "io.nats.jetstream.advisory.v1.api_audit" ApiAudit
}

/// Where every request of the API is told.
pub const AUDIT_SUBJECT: &str = "$JS.EVENT.ADVISORY.API";

/// The subject that an event is told on.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, stream, consumer) = match self {
            Event::StreamAction(e) => {
                let what = match e.action {
                    Action::Create => "ADVISORY.STREAM.CREATED",
                    Action::Delete => "ADVISORY.STREAM.DELETED",
                    Action::Modify => "ADVISORY.STREAM.UPDATED",
                };
                return write!(f, "$JS.EVENT.{what}.{}", e.stream);
            }
            Event::ConsumerAction(e) => {
                let what = match e.action {
                    // There is no subject of its own for a consumer that was changed.
                    Action::Create | Action::Modify => "ADVISORY.CONSUMER.CREATED",
                    Action::Delete => "ADVISORY.CONSUMER.DELETED",
                };
                (what, &e.stream, &e.consumer)
            }
            Event::MaxDeliver(e) => ("ADVISORY.CONSUMER.MAX_DELIVERIES", &e.stream, &e.consumer),
            Event::Nak(e) => ("ADVISORY.CONSUMER.MSG_NAKED", &e.stream, &e.consumer),
            Event::Terminated(e) => ("ADVISORY.CONSUMER.MSG_TERMINATED", &e.stream, &e.consumer),
            Event::Pause(e) => ("ADVISORY.CONSUMER.PAUSE", &e.stream, &e.consumer),
            Event::GroupPinned(e) => ("ADVISORY.CONSUMER.PINNED", &e.stream, &e.consumer),
            Event::GroupUnpinned(e) => ("ADVISORY.CONSUMER.UNPINNED", &e.stream, &e.consumer),
            Event::AckMetric(e) => ("METRIC.CONSUMER.ACK", &e.stream, &e.consumer),
            Event::ApiAudit(_) => return f.write_str(AUDIT_SUBJECT),
            Event::Other(_) => return f.write_str("$JS.EVENT.ADVISORY"),
        };
        write!(f, "$JS.EVENT.{what}.{stream}.{consumer}")
    }
}

/// An event, with its id and time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Advisory {
    #[serde(rename = "type")]
    kind: String,
    /// Which telling this is.
    pub id: String,
    /// When it happened.
    pub timestamp: Time,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

impl Advisory {
    /// The document of an event.
    pub fn new(id: String, timestamp: Time, event: impl Into<Event>) -> Advisory {
        let event = event.into();
        Advisory { kind: event.kind().to_owned(), id, timestamp, event }
    }

    /// The `type` of the document.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The subject that it is told on.
    pub fn subject(&self) -> String {
        self.event.to_string()
    }

    /// The document as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        super::write(self)
    }
}

impl<'de> Deserialize<'de> for Advisory {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Advisory, D::Error> {
        #[derive(Deserialize)]
        struct Head {
            #[serde(rename = "type")]
            kind: String,
            id: String,
            timestamp: Time,
            #[serde(flatten)]
            rest: Value,
        }
        let Head { kind, id, timestamp, rest } = Head::deserialize(input)?;
        let event = Event::read(&kind, rest).map_err(de::Error::custom)?;
        Ok(Advisory { kind, id, timestamp, event })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_real_server_tells_is_read_and_written() {
        for (subject, text) in [
            (
                "$JS.EVENT.ADVISORY.STREAM.CREATED.H",
                r#"{"type":"io.nats.jetstream.advisory.v1.stream_action","id":"x","timestamp":"2026-11-21T08:52:05.259822507Z","stream":"H","action":"create"}"#,
            ),
            (
                "$JS.EVENT.ADVISORY.STREAM.UPDATED.H",
                r#"{"type":"io.nats.jetstream.advisory.v1.stream_action","id":"x","timestamp":"2026-11-21T08:52:05.410936857Z","stream":"H","action":"modify"}"#,
            ),
            (
                "$JS.EVENT.ADVISORY.CONSUMER.DELETED.H.C",
                r#"{"type":"io.nats.jetstream.advisory.v1.consumer_action","id":"x","timestamp":"2026-11-21T08:52:11.952715552Z","stream":"H","consumer":"C","action":"delete"}"#,
            ),
            (
                "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.H.C",
                r#"{"type":"io.nats.jetstream.advisory.v1.max_deliver","id":"x","timestamp":"2026-11-21T08:52:06.625509951Z","stream":"H","consumer":"C","stream_seq":5,"deliveries":2}"#,
            ),
            (
                "$JS.EVENT.ADVISORY.CONSUMER.MSG_NAKED.H.C",
                r#"{"type":"io.nats.jetstream.advisory.v1.nak","id":"x","timestamp":"2026-11-21T08:52:06.171269874Z","stream":"H","consumer":"C","consumer_seq":5,"stream_seq":5,"deliveries":1}"#,
            ),
            (
                "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.H.C",
                r#"{"type":"io.nats.jetstream.advisory.v1.terminated","id":"x","timestamp":"2026-11-21T08:52:07.425310401Z","stream":"H","consumer":"C","consumer_seq":13,"stream_seq":10,"deliveries":1,"reason":"because of"}"#,
            ),
            (
                "$JS.EVENT.ADVISORY.CONSUMER.PAUSE.H.C",
                r#"{"type":"io.nats.jetstream.advisory.v1.consumer_pause","id":"x","timestamp":"2026-11-21T08:52:11.79991802Z","stream":"H","consumer":"C","paused":false,"pause_until":"0001-01-01T00:00:00Z"}"#,
            ),
            (
                "$JS.EVENT.ADVISORY.CONSUMER.UNPINNED.H.G",
                r#"{"type":"io.nats.jetstream.advisory.v1.consumer_group_unpinned","id":"x","timestamp":"2026-11-21T08:52:13.655025148Z","account":"$G","stream":"H","consumer":"G","group":"A","reason":"admin"}"#,
            ),
            (
                "$JS.EVENT.METRIC.CONSUMER.ACK.H.C",
                r#"{"type":"io.nats.jetstream.metric.v1.consumer_ack","id":"x","timestamp":"2026-11-21T08:52:05.716869472Z","stream":"H","consumer":"C","consumer_seq":2,"stream_seq":2,"ack_time":189179,"deliveries":1}"#,
            ),
        ] {
            let advisory: Advisory = serde_json::from_str(text).unwrap();
            assert_eq!(advisory.subject(), subject);
            assert_eq!(String::from_utf8(advisory.to_bytes()).unwrap(), text);
            assert_eq!(Advisory::new("x".into(), advisory.timestamp, advisory.event.clone()), advisory);
        }
    }

    #[test]
    fn what_is_not_known_is_kept() {
        let text = r#"{"type":"io.later","id":"x","timestamp":"2026-11-21T08:52:05Z","a":1}"#;
        let advisory: Advisory = serde_json::from_str(text).unwrap();
        assert!(matches!(advisory.event, Event::Other(_)));
        assert_eq!(serde_json::to_string(&advisory).unwrap(), text);
    }
}
