//! Header blocks that the server writes: statuses without a message (`NATS/1.0 404 No Messages`), where a message
//! comes from, and how large the payload was that is not sent. What was in the message's own block stays in front.

use std::io::Write as _;

use kernel::headers::VERSION;

use super::pub_headers::{header, lines, number};
use crate::nats::encode::decimal;

/// The texts of statuses.
#[allow(missing_docs, reason = "each says what it is")]
pub mod text {
    pub const IDLE_HEARTBEAT: &str = "Idle Heartbeat";
    pub const FLOW_CONTROL: &str = "FlowControl Request";
    pub const END_OF_BATCH: &str = "EOB";
    pub const NO_MESSAGES: &str = "No Messages";
    pub const MESSAGE_NOT_FOUND: &str = "Message Not Found";
    pub const NO_RESULTS: &str = "No Results";
    pub const BAD_REQUEST: &str = "Bad Request";
    pub const EMPTY_REQUEST: &str = "Empty Request";
    pub const MALFORMED_REQUEST: &str = "Malformed Request";
    pub const REQUEST_TIMEOUT: &str = "Request Timeout";
    pub const INTEREST_EXPIRED: &str = "Interest Expired";
    pub const BATCH_COMPLETED: &str = "Batch Completed";
    pub const CONSUMER_DELETED: &str = "Consumer Deleted";
    pub const CONSUMER_IS_PUSH_BASED: &str = "Consumer is push based";
    pub const LEADERSHIP_CHANGE: &str = "Leadership Change";
    pub const SERVER_SHUTDOWN: &str = "Server Shutdown";
    pub const EXCEEDED_MAX_WAITING: &str = "Exceeded MaxWaiting";
    pub const EXCEEDED_MAX_BYTES: &str = "Message Size Exceeds MaxBytes";
    pub const TOO_MANY_RESULTS: &str = "Too Many Results";
    pub const TOO_MANY_REQUESTS: &str = "Too Many Requests";
    pub const WRONG_PIN_ID: &str = "Nats-Wrong-Pin-Id";
}

const PENDING_MESSAGES: &str = "Nats-Pending-Messages";
const PENDING_BYTES: &str = "Nats-Pending-Bytes";
const LAST_CONSUMER: &str = "Nats-Last-Consumer";
const LAST_STREAM: &str = "Nats-Last-Stream";
const STALLED: &str = "Nats-Consumer-Stalled";
const STREAM: &str = "Nats-Stream";
const SUBJECT: &str = "Nats-Subject";
const SEQUENCE: &str = "Nats-Sequence";
const TIME_STAMP: &str = "Nats-Time-Stamp";
const NUM_PENDING: &str = "Nats-Num-Pending";
const LAST_SEQUENCE: &str = "Nats-Last-Sequence";
const UP_TO_SEQUENCE: &str = "Nats-UpTo-Sequence";

/// A status, and the headers that may come with one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status<'a> {
    /// The number: 100, 204, 400, 404, 408, 409, 503 …
    pub code: u16,
    /// The text behind it; one of [`text`], or a longer one.
    pub text: &'a str,
    /// Messages that a pull request still lacks.
    pub pending_messages: Option<u64>,
    /// Bytes that a pull request still lacks; 0 if it named none.
    pub pending_bytes: Option<u64>,
    /// The consumer's last sequence, in a heartbeat.
    pub last_consumer: Option<u64>,
    /// The stream sequence that goes with it.
    pub last_stream: Option<u64>,
    /// Where a client answers that holds deliveries up.
    pub stalled: Option<&'a str>,
    /// How many messages match behind the last one of a batch.
    pub num_pending: Option<u64>,
    /// The last sequence of a batch.
    pub last_sequence: Option<u64>,
    /// The sequence that a batch looked up to.
    pub up_to_sequence: Option<u64>,
}

impl<'a> Status<'a> {
    /// A status without headers.
    pub const fn new(code: u16, text: &'a str) -> Status<'a> {
        Status {
            code,
            text,
            pending_messages: None,
            pending_bytes: None,
            last_consumer: None,
            last_stream: None,
            stalled: None,
            num_pending: None,
            last_sequence: None,
            up_to_sequence: None,
        }
    }

    /// Reads a block whose first line has a status; `None` if it has none.
    pub fn read(block: &'a [u8]) -> Option<Status<'a>> {
        let line = block.strip_prefix(VERSION)?.strip_prefix(b" ")?;
        let line = line.split(|b| *b == b'\r' || *b == b'\n').next()?;
        let line = std::str::from_utf8(line).ok()?;
        let (code, text) = line.split_once(' ').unwrap_or((line, ""));
        let mut status = Status::new(code.parse().ok()?, text);
        for (name, value) in lines(block) {
            let slot = match std::str::from_utf8(name).unwrap_or_default() {
                PENDING_MESSAGES => &mut status.pending_messages,
                PENDING_BYTES => &mut status.pending_bytes,
                LAST_CONSUMER => &mut status.last_consumer,
                LAST_STREAM => &mut status.last_stream,
                NUM_PENDING => &mut status.num_pending,
                LAST_SEQUENCE => &mut status.last_sequence,
                UP_TO_SEQUENCE => &mut status.up_to_sequence,
                STALLED => {
                    status.stalled = std::str::from_utf8(value).ok();
                    continue;
                }
                _ => continue,
            };
            *slot = number(value);
        }
        Some(status)
    }

    /// Writes the block.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(VERSION);
        out.push(b' ');
        decimal(out, self.code.into());
        if !self.text.is_empty() {
            out.push(b' ');
            out.extend_from_slice(self.text.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        for (name, value) in [
            (PENDING_MESSAGES, self.pending_messages),
            (PENDING_BYTES, self.pending_bytes),
            (LAST_CONSUMER, self.last_consumer),
            (LAST_STREAM, self.last_stream),
        ] {
            count(out, name, value);
        }
        if let Some(subject) = self.stalled {
            line(out, STALLED, subject.as_bytes());
        }
        count(out, NUM_PENDING, self.num_pending);
        count(out, LAST_SEQUENCE, self.last_sequence);
        count(out, UP_TO_SEQUENCE, self.up_to_sequence);
        out.extend_from_slice(b"\r\n");
    }
}

/// Where a message that was read directly comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// The stream.
    pub stream: &'a str,
    /// The message's subject.
    pub subject: &'a str,
    /// Its place in the stream.
    pub sequence: u64,
    /// When it was stored, in nanoseconds since 1970.
    pub time_ns: u64,
    /// In a batch: how many match behind it, and the sequence that was sent before it.
    pub batch: Option<(u64, u64)>,
}

impl<'a> Origin<'a> {
    /// Reads what the server put behind the message's own headers, whatever these say.
    pub fn read(block: &'a [u8]) -> Option<Origin<'a>> {
        let (mut stream, mut subject, mut sequence, mut time_ns) = (None, None, None, None);
        let (mut pending, mut last) = (None, None);
        for (name, value) in lines(block) {
            let value = std::str::from_utf8(value).unwrap_or_default();
            match std::str::from_utf8(name).unwrap_or_default() {
                STREAM => stream = Some(value),
                SUBJECT => subject = Some(value),
                SEQUENCE => sequence = number(value.as_bytes()),
                TIME_STAMP => time_ns = value.parse::<jiff::Timestamp>().ok(),
                NUM_PENDING => pending = number(value.as_bytes()),
                LAST_SEQUENCE => last = number(value.as_bytes()),
                _ => {}
            }
        }
        Some(Origin {
            stream: stream?,
            subject: subject?,
            sequence: sequence?,
            time_ns: u64::try_from(time_ns?.as_nanosecond()).ok()?,
            batch: pending.zip(last),
        })
    }

    /// Writes `own`, the message's block, with these headers at its end.
    pub fn write(&self, out: &mut Vec<u8>, own: &[u8]) {
        open(out, own);
        line(out, STREAM, self.stream.as_bytes());
        line(out, SUBJECT, self.subject.as_bytes());
        count(out, SEQUENCE, Some(self.sequence));
        if let Ok(time) = jiff::Timestamp::from_nanosecond(self.time_ns.into()) {
            // Writing to memory does not fail.
            let _ = write!(out, "{TIME_STAMP}: {time}\r\n");
        }
        if let Some((pending, last)) = self.batch {
            count(out, NUM_PENDING, Some(pending));
            count(out, LAST_SEQUENCE, Some(last));
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// Writes `own`, the message's block, with the size of the payload that is not sent at its end.
pub fn write_headers_only(out: &mut Vec<u8>, own: &[u8], payload_bytes: u64) {
    open(out, own);
    count(out, header::MSG_SIZE, Some(payload_bytes));
    out.extend_from_slice(b"\r\n");
}

/// A block without the empty line at its end.
fn open(out: &mut Vec<u8>, own: &[u8]) {
    let own = own.strip_suffix(b"\r\n\r\n").unwrap_or(own);
    out.extend_from_slice(if own.is_empty() { VERSION } else { own });
    out.extend_from_slice(b"\r\n");
}

fn line(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn count(out: &mut Vec<u8>, name: &str, value: Option<u64>) {
    if let Some(value) = value {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        decimal(out, value);
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(status: Status<'_>) -> String {
        let mut out = Vec::new();
        status.write(&mut out);
        assert_eq!(Status::read(&out), Some(status));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn statuses_are_written_as_the_real_server_writes_them() {
        let pending = |code, text, messages, bytes| Status {
            pending_messages: Some(messages),
            pending_bytes: Some(bytes),
            ..Status::new(code, text)
        };
        for (status, block) in [
            (Status::new(404, text::NO_MESSAGES), "NATS/1.0 404 No Messages\r\n\r\n"),
            (Status::new(503, ""), "NATS/1.0 503\r\n\r\n"),
            (
                pending(408, text::REQUEST_TIMEOUT, 1, 0),
                "NATS/1.0 408 Request Timeout\r\nNats-Pending-Messages: 1\r\nNats-Pending-Bytes: 0\r\n\r\n",
            ),
            (
                pending(409, text::EXCEEDED_MAX_BYTES, 4, 66),
                "NATS/1.0 409 Message Size Exceeds MaxBytes\r\nNats-Pending-Messages: 4\r\nNats-Pending-Bytes: 66\r\n\r\n",
            ),
            (
                Status {
                    last_consumer: Some(1),
                    last_stream: Some(40),
                    ..Status::new(100, text::IDLE_HEARTBEAT)
                },
                "NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 1\r\nNats-Last-Stream: 40\r\n\r\n",
            ),
            (
                Status {
                    num_pending: Some(0),
                    last_sequence: Some(5),
                    up_to_sequence: Some(5),
                    ..Status::new(204, text::END_OF_BATCH)
                },
                "NATS/1.0 204 EOB\r\nNats-Num-Pending: 0\r\nNats-Last-Sequence: 5\r\nNats-UpTo-Sequence: 5\r\n\r\n",
            ),
        ] {
            assert_eq!(written(status), block);
        }
        let stalled = Status { stalled: Some("$JS.FC.S.C.x"), ..Status::new(100, text::IDLE_HEARTBEAT) };
        assert!(written(stalled).ends_with("\r\nNats-Consumer-Stalled: $JS.FC.S.C.x\r\n\r\n"));
        assert_eq!(Status::read(b"NATS/1.0\r\nA: 1\r\n\r\n"), None);
    }

    #[test]
    fn a_message_read_directly_says_where_it_comes_from() {
        let origin = Origin {
            stream: "G",
            subject: "g.0",
            sequence: 3,
            time_ns: 1_795_251_050_363_367_101,
            batch: Some((1, 2)),
        };
        let mut out = Vec::new();
        origin.write(&mut out, b"NATS/1.0\r\nX: 2\r\nNats-Stream: other\r\n\r\n");
        let head = "NATS/1.0\r\nX: 2\r\nNats-Stream: other\r\nNats-Stream: G\r\nNats-Subject: g.0\r\nNats-Sequence: 3\r\n";
        let tail = "Nats-Time-Stamp: 2026-11-21T08:50:50.363367101Z\r\nNats-Num-Pending: 1\r\nNats-Last-Sequence: 2\r\n\r\n";
        assert_eq!(String::from_utf8(out.clone()).unwrap(), format!("{head}{tail}"));
        assert_eq!(Origin::read(&out), Some(origin));
        assert_eq!(Origin::read(b"NATS/1.0\r\nX: 2\r\n\r\n"), None);
    }

    #[test]
    fn headers_alone_say_how_large_the_payload_was() {
        let mut out = Vec::new();
        write_headers_only(&mut out, b"", 3);
        write_headers_only(&mut out, b"NATS/1.0\r\nX: 2\r\n\r\n", 10);
        assert_eq!(out, b"NATS/1.0\r\nNats-Msg-Size: 3\r\n\r\nNATS/1.0\r\nX: 2\r\nNats-Msg-Size: 10\r\n\r\n");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(tail in prop::collection::vec(any::<u8>(), 0..100)) {
            let block = [VERSION, &tail[..]].concat();
            let _ = (Status::read(&block), Origin::read(&block), Status::read(&tail));
        }
    }
}
