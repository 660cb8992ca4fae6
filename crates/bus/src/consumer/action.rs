//! What a consumer wants done, as values. Writing bytes, holding things back until the journal is safe and publishing
//! are *not* its business.

use std::ops::RangeInclusive;

use bytes::Bytes;
use wire::jetstream::Time;

/// An effect, in the order in which it is to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A message is to be sent.
    Deliver(Delivery),
    /// A message without content is to be sent.
    Status {
        /// The subject to send it to.
        to: Bytes,
        /// What it says.
        status: Status,
    },
    /// This consumer needs these messages no longer: one reason less for the stream to keep them. Only where the
    /// stream asks for it (every retention but `limits`).
    Done(RangeInclusive<u64>),
    /// Something that whoever watches may want to know.
    Advisory(Advisory),
    /// Nobody has used this consumer for as long as it was to wait: it is to be deleted. Comes once.
    Gone,
}

/// A delivery: a lease on a message, named by both sequences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Sequence of the message in its stream.
    pub seq: u64,
    /// Sequence of this delivery: counts every delivery of the consumer, with gaps after a restart.
    pub consumer_seq: u64,
    /// How often the message was delivered, this time included.
    pub deliveries: u32,
    /// How many messages wait for their first delivery after this one.
    pub pending: u64,
    /// The subject to send it to: a request's reply, or the deliver subject.
    pub to: Bytes,
    /// Whether the payload is left out (and its size told in a header).
    pub headers_only: bool,
    /// Whether an acknowledgement is expected.
    pub wants_ack: bool,
}

/// What a message without content tells its receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// 100: it is quiet, but the consumer lives.
    IdleHeartbeat {
        /// Sequence of the last delivery.
        last_consumer: u64,
        /// Sequence in the stream up to which was looked.
        last_stream: u64,
        /// The flow control message that must be answered before anything is sent again.
        stalled: Option<Bytes>,
    },
    /// 100: answer on `reply` to say that everything before has been read.
    FlowControl {
        /// Where the answer goes.
        reply: Bytes,
    },
    /// 400: the request cannot be understood, for this reason.
    BadRequest(&'static str),
    /// 404: nothing is there, and the request was not to wait.
    NoMessages,
    /// 408: earlier requests will take all that is there.
    RequestsPending,
    /// 408: the request's time is over; so much of it is left.
    RequestTimeout(Left),
    /// 409: the batch is full, but not its bytes.
    BatchCompleted(Left),
    /// 409: the next message is larger than the bytes that are left.
    SizeExceedsMaxBytes(Left),
    /// 409: too many requests wait already.
    ExceededMaxWaiting,
    /// 409: the request asks for more messages than is allowed.
    ExceededMaxBatch(u64),
    /// 409: the request would wait longer than is allowed, in nanoseconds.
    ExceededMaxExpires(u64),
    /// 409: the request asks for more bytes than is allowed.
    ExceededMaxBytes(u64),
    /// 409: this consumer sends on its own; it takes no requests.
    PushBased,
    /// 409: the consumer was deleted.
    ConsumerDeleted,
    /// 409: the node stops.
    ServerShutdown,
}

/// What is left of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Messages.
    pub messages: u64,
    /// Bytes; 0: it named none.
    pub bytes: u64,
}

/// What whoever watches a consumer may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Advisory {
    /// A message had its last delivery and nobody acknowledged it. It stays in the stream.
    MaxDeliveries {
        /// Sequence of the message.
        seq: u64,
        /// How often it was delivered.
        deliveries: u32,
    },
    /// A message will not be delivered again, because a client said so or because it is no longer there.
    Terminated {
        /// Sequence of the message.
        seq: u64,
        /// Sequence of its last delivery.
        consumer_seq: u64,
        /// How often it was delivered.
        deliveries: u32,
        /// Why, as the client said.
        reason: Bytes,
    },
    /// A client gave a message back.
    Refused {
        /// Sequence of the message.
        seq: u64,
        /// Sequence of its last delivery.
        consumer_seq: u64,
        /// How often it was delivered.
        deliveries: u32,
    },
    /// A message was acknowledged: one of those that were chosen to be told of.
    Sampled {
        /// Sequence of the message.
        seq: u64,
        /// Sequence of its last delivery.
        consumer_seq: u64,
        /// How often it was delivered.
        deliveries: u32,
        /// How long the acknowledgement took, in nanoseconds.
        took_ns: u64,
    },
    /// The consumer pauses until then, or has gone on.
    Pause {
        /// Until when.
        until: Time,
        /// Whether it pauses now.
        paused: bool,
    },
}

impl Status {
    /// The status number.
    pub fn code(&self) -> u16 {
        match self {
            Status::IdleHeartbeat { .. } | Status::FlowControl { .. } => 100,
            Status::BadRequest(_) => 400,
            Status::NoMessages => 404,
            Status::RequestsPending | Status::RequestTimeout(_) => 408,
            _ => 409,
        }
    }

    /// The header block, as clients know it.
    pub fn block(&self) -> Bytes {
        let code = self.code();
        let first = |text: &str| format!("NATS/1.0 {code} {text}\r\n\r\n");
        let left = |text: &str, left: &Left| {
            let Left { messages, bytes } = left;
            format!(
                "NATS/1.0 {code} {text}\r\nNats-Pending-Messages: {messages}\r\nNats-Pending-Bytes: {bytes}\r\n\r\n"
            )
        };
        let text = match self {
            Status::IdleHeartbeat { last_consumer, last_stream, stalled } => {
                let mut text = format!(
                    "NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: {last_consumer}\r\n\
                     Nats-Last-Stream: {last_stream}\r\n"
                );
                if let Some(reply) = stalled {
                    let reply = String::from_utf8_lossy(reply);
                    text.push_str(&format!("Nats-Consumer-Stalled: {reply}\r\n"));
                }
                text + "\r\n"
            }
            Status::FlowControl { .. } => first("FlowControl Request"),
            Status::BadRequest(why) => first(&format!("Bad Request - {why}")),
            Status::NoMessages => first("No Messages"),
            Status::RequestsPending => first("Requests Pending"),
            Status::RequestTimeout(l) => left("Request Timeout", l),
            Status::BatchCompleted(l) => left("Batch Completed", l),
            Status::SizeExceedsMaxBytes(l) => left("Message Size Exceeds MaxBytes", l),
            Status::ExceededMaxWaiting => first("Exceeded MaxWaiting"),
            Status::ExceededMaxBatch(most) => first(&format!("Exceeded MaxRequestBatch of {most}")),
            Status::ExceededMaxExpires(ns) => {
                first(&format!("Exceeded MaxRequestExpires of {}", spelled(*ns)))
            }
            Status::ExceededMaxBytes(most) => first(&format!("Exceeded MaxRequestMaxBytes of {most}")),
            Status::PushBased => first("Consumer is push based"),
            Status::ConsumerDeleted => first("Consumer Deleted"),
            Status::ServerShutdown => first("Server Shutdown"),
        };
        text.into()
    }

    /// The subject on which an answer is awaited; empty: none is.
    pub fn reply(&self) -> Bytes {
        match self {
            Status::FlowControl { reply } => reply.clone(),
            _ => Bytes::new(),
        }
    }
}

/// A duration as Go writes it: `1h2m3.5s`, `250ms`.
pub(super) fn spelled(ns: u64) -> String {
    if ns == 0 {
        return "0s".into();
    }
    let decimal = |value: u64, unit: u64, name: &str| {
        let digits = unit.ilog10() as usize;
        let fraction = format!("{:0digits$}", value % unit);
        let fraction = fraction.trim_end_matches('0');
        let whole = value / unit;
        if unit == 1 || fraction.is_empty() {
            format!("{whole}{name}")
        } else {
            format!("{whole}.{fraction}{name}")
        }
    };
    match ns {
        1..1_000 => decimal(ns, 1, "ns"),
        1_000..1_000_000 => decimal(ns, 1_000, "µs"),
        1_000_000..1_000_000_000 => decimal(ns, 1_000_000, "ms"),
        _ => {
            let seconds = decimal(ns % 60_000_000_000, 1_000_000_000, "s");
            match (ns / 3_600_000_000_000, ns / 60_000_000_000 % 60) {
                (0, 0) => seconds,
                (0, minutes) => format!("{minutes}m{seconds}"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
            }
        }
    }
}
