//! What a consumer wants done, as values. Writing bytes, holding things back until the journal is safe and publishing
//! are *not* its business.

use std::ops::RangeInclusive;

use bytes::Bytes;
use wire::jetstream::status::{Status as Block, text};
use wire::jetstream::{Time, duration};

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
        let long;
        let plain = |text| Block::new(self.code(), text);
        let left = |text, left: &Left| Block {
            pending_messages: Some(left.messages),
            pending_bytes: Some(left.bytes),
            ..plain(text)
        };
        let status = match self {
            Status::IdleHeartbeat { last_consumer, last_stream, stalled } => Block {
                last_consumer: Some(*last_consumer),
                last_stream: Some(*last_stream),
                stalled: stalled.as_ref().and_then(|reply| std::str::from_utf8(reply).ok()),
                ..plain(text::IDLE_HEARTBEAT)
            },
            Status::FlowControl { .. } => plain(text::FLOW_CONTROL),
            Status::BadRequest(why) => {
                long = format!("{} - {why}", text::BAD_REQUEST);
                plain(&long)
            }
            Status::NoMessages => plain(text::NO_MESSAGES),
            Status::RequestsPending => plain("Requests Pending"),
            Status::RequestTimeout(l) => left(text::REQUEST_TIMEOUT, l),
            Status::BatchCompleted(l) => left(text::BATCH_COMPLETED, l),
            Status::SizeExceedsMaxBytes(l) => left(text::EXCEEDED_MAX_BYTES, l),
            Status::ExceededMaxWaiting => plain(text::EXCEEDED_MAX_WAITING),
            Status::ExceededMaxBatch(most) => {
                long = format!("Exceeded MaxRequestBatch of {most}");
                plain(&long)
            }
            Status::ExceededMaxExpires(ns) => {
                long = format!("Exceeded MaxRequestExpires of {}", spelled(*ns));
                plain(&long)
            }
            Status::ExceededMaxBytes(most) => {
                long = format!("Exceeded MaxRequestMaxBytes of {most}");
                plain(&long)
            }
            Status::PushBased => plain(text::CONSUMER_IS_PUSH_BASED),
            Status::ConsumerDeleted => plain(text::CONSUMER_DELETED),
            Status::ServerShutdown => plain(text::SERVER_SHUTDOWN),
        };
        let mut block = Vec::new();
        status.write(&mut block);
        block.into()
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
    duration::write(i64::try_from(ns).unwrap_or(i64::MAX))
}
