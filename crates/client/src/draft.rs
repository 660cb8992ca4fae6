//! A message being written: where it goes, what it says, and the headers that have a meaning.

use std::fmt::Display;
use std::time::Duration;

use bytes::Bytes;
use kernel::envelope::name::{self, DELAY};
use kernel::trace::name::{TRACEPARENT, TRACESTATE};
use kernel::{Headers, Message, Msg, Priority, headers};
use serde::Serialize;
use wire::jetstream::pub_headers::header::TTL as NATS_TTL;

use crate::{AsMsg, Error};

/// The end of a header block.
const END: &[u8] = b"\r\n";

/// A message being written. A subject alone makes one.
///
/// ```
/// use std::time::Duration;
/// use client::{AsMsg, Draft, Headers, Priority};
///
/// let job = Draft::new("jobs.resize")
///     .payload("tea.jpg")
///     .id("tea-1")
///     .priority(Priority::High)
///     .delay(Duration::from_secs(10))
///     .header("Color", "blue");
/// let headers = Headers::new(job.view().headers);
/// assert_eq!(headers.first("Np-Priority"), Some("high"));
/// assert_eq!(headers.first("Np-Delay"), Some("10000"));
/// ```
///
/// A name or value that no header can have is reported when the message is published: [`Error::Headers`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    subject: Bytes,
    reply: Bytes,
    headers: Vec<u8>,
    payload: Bytes,
    /// A header could not be written; the message must not go out without it.
    broken: bool,
}

impl Draft {
    /// An empty message to a subject.
    pub fn new(subject: impl Into<String>) -> Draft {
        Draft {
            subject: Bytes::from(subject.into()),
            reply: Bytes::new(),
            headers: Vec::new(),
            payload: Bytes::new(),
            broken: false,
        }
    }

    /// What it says.
    pub fn payload(self, payload: impl Into<Bytes>) -> Draft {
        Draft { payload: payload.into(), ..self }
    }

    /// What it says, as JSON.
    ///
    /// # Errors
    /// [`Error::Encode`]: the value cannot be written as JSON.
    pub fn json(self, value: &(impl Serialize + ?Sized)) -> Result<Draft, Error> {
        let text = serde_json::to_vec(value).map_err(|e| Error::Encode(e.to_string()))?;
        Ok(self.payload(text))
    }

    /// Where an answer goes. Requests set it themselves.
    pub fn reply_to(self, subject: impl Into<String>) -> Draft {
        Draft { reply: Bytes::from(subject.into()), ..self }
    }

    /// Any header. Those that are there already stay, one of the same name as well.
    pub fn header(mut self, name: &str, value: impl Display) -> Draft {
        let value = value.to_string();
        let Ok(block) = headers::block([(name, value.as_str())]) else {
            self.broken = true;
            return self;
        };
        match self.headers.is_empty() {
            true => self.headers = block,
            false => {
                self.headers.truncate(self.headers.len() - END.len());
                let line = headers::VERSION.len() + END.len();
                self.headers.extend_from_slice(block.get(line..).unwrap_or_default());
            }
        }
        self
    }

    /// The message's identity (`Nats-Msg-Id`): a stream stores it once within its `duplicate_window`.
    pub fn id(self, id: impl Display) -> Draft {
        self.header(name::NATS_ID, id)
    }

    /// How soon a stream's consumers get it (`Np-Priority`). It orders what waits in a stream; live subscribers get
    /// everything as it comes.
    pub fn priority(self, priority: Priority) -> Draft {
        self.header(name::PRIORITY, priority.as_str())
    }

    /// Holds it back for so long (`Np-Delay`), to the millisecond. Only a stream can.
    pub fn delay(self, delay: Duration) -> Draft {
        self.header(DELAY, delay.as_millis())
    }

    /// Removes it from its stream after so long (`Nats-TTL`), at least a second, to the second above; the stream must
    /// have `allow_msg_ttl`.
    pub fn ttl(self, ttl: Duration) -> Draft {
        let seconds = ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0);
        self.header(NATS_TTL, format_args!("{}s", seconds.max(1)))
    }

    /// What it belongs to (`Np-Correlation-Id`).
    pub fn correlation_id(self, id: impl Display) -> Draft {
        self.header(name::CORRELATION_ID, id)
    }

    /// Its place in a trace (`traceparent`, as W3C Trace Context writes it).
    pub fn traceparent(self, value: impl Display) -> Draft {
        self.header(TRACEPARENT, value)
    }

    /// Takes over the trace and the correlation id of a message that this one comes of. One without a correlation
    /// id lends its own id.
    pub fn because_of(self, cause: &Message) -> Draft {
        let from = Headers::new(&cause.headers);
        let envelope = cause.envelope();
        let correlation = from.first(name::CORRELATION_ID).or_else(|| envelope.id());
        let pairs = [
            (TRACEPARENT, from.first(TRACEPARENT)),
            (TRACESTATE, from.first(TRACESTATE)),
            (name::CORRELATION_ID, correlation),
        ];
        let known = pairs.into_iter().filter_map(|(name, value)| Some((name, value?)));
        known.fold(self, |draft, (name, value)| draft.header(name, value))
    }
}

impl AsMsg for Draft {
    fn view(&self) -> Msg<'_> {
        // No header block looks like this, so that publishing refuses it.
        let headers = if self.broken { END } else { &self.headers };
        Msg { subject: &self.subject, reply: &self.reply, headers, payload: &self.payload, ..Msg::default() }
    }
}

impl<S: Into<String>> From<S> for Draft {
    fn from(subject: S) -> Draft {
        Draft::new(subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_written_in_order_and_read_back() {
        let draft = Draft::new("a").header("A", "1").id(7).ttl(Duration::from_millis(1500)).header("A", "2");
        let block = draft.view().headers;
        assert_eq!(block, b"NATS/1.0\r\nA: 1\r\nNats-Msg-Id: 7\r\nNats-TTL: 2s\r\nA: 2\r\n\r\n");
        assert!(Headers::check(block).is_ok());
    }

    #[test]
    fn a_header_that_would_forge_others_spoils_the_message() {
        for (name, value) in [("A", "1\r\nB: 2"), ("A:", "1"), ("", "1"), ("A B", "1")] {
            let draft = Draft::new("a").header("Good", "1").header(name, value).header("Later", "1");
            assert!(Headers::check(draft.view().headers).is_err(), "{name} {value}");
        }
    }

    #[test]
    fn what_comes_of_a_message_belongs_to_it() {
        let cause = Draft::new("a").id("m1").traceparent("00-1-2-01");
        let cause = Message::from(&cause.view());
        let effect = Draft::new("b").because_of(&cause);
        assert_eq!(
            effect.view().headers,
            b"NATS/1.0\r\ntraceparent: 00-1-2-01\r\nNp-Correlation-Id: m1\r\n\r\n"
        );
        let effect = Message::from(&effect.view());
        assert_eq!(Draft::new("c").because_of(&effect).view().headers, &effect.headers[..]);
    }
}
