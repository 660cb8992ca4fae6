//! A connection that publishes to streams and is acknowledged: `PUB subject reply`, and JSON in `reply`.

use super::marks;
use super::production::Producer;
use super::streams::Streams;
use super::tally::Tally;
use crate::caller::digits;
use crate::frames::Outgoing;
use crate::incoming::Incoming;
use crate::lines::excerpt;
use crate::link::{Link, Server};
use crate::{BenchError, Options};
use std::collections::VecDeque;
use std::time::Instant;
use wire::nats::{Op, encode};

/// A publisher whose every message has a reply subject of its own under one wildcard.
#[derive(Debug)]
pub(super) struct NatsProducer {
    link: Link,
    incoming: Incoming,
    out: Outgoing,
    template: Template,
    /// This connection among all.
    nth: u64,
    of: u64,
    streams: u64,
    /// Messages published here.
    sent: u64,
    waiting: usize,
    /// When each was published that no answer has come to, from `oldest` on; `None`: answered.
    started: VecDeque<Option<Instant>>,
    oldest: u64,
    inbox_len: usize,
}

/// A whole `PUB` with holes for the stream's number, the reply's and the payload's.
#[derive(Debug)]
struct Template {
    bytes: Vec<u8>,
    stream_at: Option<usize>,
    reply_at: usize,
    payload_at: usize,
    size: usize,
}

impl NatsProducer {
    /// `options.clients` of them.
    pub(super) fn open(
        options: &Options,
        server: &Server,
        streams: &Streams,
    ) -> Result<Vec<Self>, BenchError> {
        (0..options.clients).map(|nth| Self::one(options, server, streams, nth)).collect()
    }

    fn one(options: &Options, server: &Server, streams: &Streams, nth: usize) -> Result<Self, BenchError> {
        let inbox = format!("_INBOX.{:08x}.p{nth:06}", std::process::id());
        Ok(Self {
            link: Link::open(server, Some(&format!("{inbox}.*")))?,
            incoming: Incoming::default(),
            out: Outgoing::default(),
            template: Template::new(&streams.subject(0), options.streams > 1, &inbox, options.size),
            nth: nth as u64,
            of: options.clients as u64,
            streams: options.streams as u64,
            sent: 0,
            waiting: 0,
            started: VecDeque::new(),
            oldest: 0,
            inbox_len: inbox.len() + 1,
        })
    }

    /// The number of the `local`-th message of this connection among those of all.
    fn number(&self, local: u64) -> u64 {
        local * self.of + self.nth
    }
}

impl Producer for NatsProducer {
    fn link(&self) -> &Link {
        &self.link
    }

    fn in_flight(&self) -> usize {
        self.waiting
    }

    fn publish(&mut self, now: Instant) {
        let number = self.number(self.sent);
        self.template.write(self.out.buffer(), number % self.streams, self.sent, number);
        self.started.push_back(Some(now));
        self.sent += 1;
        self.waiting += 1;
    }

    fn flush(&mut self) -> Result<(), BenchError> {
        self.out.flush(&self.link)
    }

    fn read(&mut self, tally: &mut Tally) -> Result<u64, BenchError> {
        let mut answers = 0;
        while self.incoming.fill(&self.link)?.is_some() {
            let now = Instant::now();
            loop {
                let (local, answer) = match self.incoming.next()? {
                    None => break,
                    Some(Op::Deliver { msg, .. }) => {
                        let token = msg.subject.get(self.inbox_len..).unwrap_or_default();
                        (marks::read(token), answer(msg.payload, msg.headers))
                    }
                    Some(Op::Ping) => {
                        self.out.buffer().extend_from_slice(encode::PONG);
                        continue;
                    }
                    Some(_) => continue,
                };
                let index = local.and_then(|local| local.checked_sub(self.oldest));
                let start = index.and_then(|i| self.started.get_mut(i as usize)?.take());
                let (Some(local), Some(start)) = (local, start) else {
                    tally.unasked(|| "an answer to nothing in flight: acknowledged twice?".into());
                    continue;
                };
                while let Some(None) = self.started.front() {
                    self.started.pop_front();
                    self.oldest += 1;
                }
                self.waiting -= 1;
                answers += 1;
                let ns = now.saturating_duration_since(start).as_nanos() as u64;
                let stream = (local * self.of + self.nth) % self.streams;
                match answer {
                    Ok(seq) => tally.acked(stream as usize, seq, ns),
                    Err(why) => tally.refused(|| why),
                }
            }
        }
        Ok(answers)
    }
}

/// The sequence of an acknowledgement, or the text of what is none.
fn answer(payload: &[u8], headers: &[u8]) -> Result<u64, String> {
    const SEQ: &[u8] = b"\"seq\":";
    let at = payload.windows(SEQ.len()).position(|w| w == SEQ);
    let seq =
        at.and_then(|at| payload.get(at + SEQ.len()..)).map_or(0, |rest| digits(rest.trim_ascii_start()));
    let says_error = payload.windows(8).any(|w| w == b"\"error\":");
    match (seq, says_error) {
        (0, _) | (_, true) => Err(format!("{} {}", excerpt(headers), String::from_utf8_lossy(payload))),
        (seq, false) => Ok(seq),
    }
}

impl Template {
    fn new(subject: &str, numbered: bool, inbox: &str, size: usize) -> Self {
        let reply = "0".repeat(marks::DIGITS);
        let line = format!("PUB {subject} {inbox}.{reply} {size}\r\n");
        let reply_at = line.len() - format!(" {size}\r\n").len() - marks::DIGITS;
        let payload_at = line.len();
        let stream_at = numbered.then(|| "PUB ".len() + subject.len() - Streams::DIGITS);
        let bytes = [line.as_bytes(), &marks::blank(size), encode::CRLF].concat();
        Self { bytes, stream_at, reply_at, payload_at, size }
    }

    fn write(&self, out: &mut Vec<u8>, stream: u64, local: u64, number: u64) {
        let base = out.len();
        out.extend_from_slice(&self.bytes);
        let mut hole = |at: usize, len: usize, n: u64| {
            if let Some(place) = out.get_mut(base + at..base + at + len) {
                marks::write(place, n);
            }
        };
        hole(self.reply_at, marks::DIGITS, local);
        hole(self.payload_at, self.size.min(marks::DIGITS), number);
        if let Some(at) = self.stream_at {
            hole(at, Streams::DIGITS, stream);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::nats::{Decoder, Step};

    #[test]
    fn a_template_is_a_publish_with_its_numbers() {
        let template = Template::new("a.000000", true, "_INBOX.x", 20);
        let mut out = Vec::new();
        template.write(&mut out, 0x1f, 7, 300);
        let Ok(Step::Op(Op::Publish(msg), used)) = Decoder::default().step(&out) else { panic!() };
        assert_eq!((msg.subject, used), (&b"a.00001f"[..], out.len()));
        assert_eq!(msg.reply, b"_INBOX.x.0000000000000007");
        assert!(marks::is(msg.payload, 300, &marks::blank(20)));
    }

    #[test]
    fn acknowledgements_and_refusals_are_told_apart() {
        assert_eq!(answer(b"{\"stream\":\"S\",\"seq\":12,\"domain\":\"x\"}", b""), Ok(12));
        assert_eq!(answer(b"{\"stream\":\"S\", \"seq\": 3}", b""), Ok(3));
        let error = b"{\"error\":{\"code\":503},\"stream\":\"S\",\"seq\":0}";
        assert!(answer(error, b"").is_err());
        assert!(answer(b"", b"NATS/1.0 503\r\n\r\n").is_err_and(|why| why.contains("503")));
    }
}
