//! The same publishing against Redis Streams, to compare with: `XADD key * f PAYLOAD` over RESP 2, ids for
//! acknowledgements. Answers come in the order of the commands.

use super::marks;
use super::production::Producer;
use super::tally::Tally;
use crate::caller::digits;
use crate::frames::Outgoing;
use crate::incoming::Incoming;
use crate::lines::excerpt;
use crate::link::{Link, Server};
use crate::{BenchError, Options};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long a single command waits for its reply.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// A connection that adds to one stream.
#[derive(Debug)]
pub(super) struct RedisProducer {
    link: Link,
    incoming: Incoming,
    out: Outgoing,
    template: Vec<u8>,
    payload_at: usize,
    size: usize,
    nth: u64,
    of: u64,
    sent: u64,
    started: VecDeque<Instant>,
    last: (u64, u64),
}

impl RedisProducer {
    /// `options.clients` of them.
    pub(super) fn open(options: &Options, server: &Server) -> Result<Vec<Self>, BenchError> {
        let payload = marks::blank(options.size);
        let template = command(&[b"XADD", options.subject.as_bytes(), b"*", b"f", &payload]);
        let one = |nth| {
            Ok(Self {
                link: Link::bare(server)?,
                incoming: Incoming::default(),
                out: Outgoing::default(),
                payload_at: template.len() - 2 - options.size,
                template: template.clone(),
                size: options.size,
                nth: nth as u64,
                of: options.clients as u64,
                sent: 0,
                started: VecDeque::new(),
                last: (0, 0),
            })
        };
        (0..options.clients).map(one).collect()
    }
}

impl Producer for RedisProducer {
    fn link(&self) -> &Link {
        &self.link
    }

    fn in_flight(&self) -> usize {
        self.started.len()
    }

    fn publish(&mut self, now: Instant) {
        let out = self.out.buffer();
        let base = out.len() + self.payload_at;
        out.extend_from_slice(&self.template);
        if let Some(place) = out.get_mut(base..base + self.size.min(marks::DIGITS)) {
            marks::write(place, self.sent * self.of + self.nth);
        }
        self.sent += 1;
        self.started.push_back(now);
    }

    fn flush(&mut self) -> Result<(), BenchError> {
        self.out.flush(&self.link)
    }

    fn read(&mut self, tally: &mut Tally) -> Result<u64, BenchError> {
        let mut answers = 0;
        while self.incoming.fill(&self.link)?.is_some() {
            let now = Instant::now();
            while let Some((reply, used)) = reply(self.incoming.bytes())? {
                let id = match reply {
                    Reply::Bulk(id) => Ok(read_id(id)),
                    Reply::Error(text) | Reply::Line(text) => Err(excerpt(text)),
                };
                self.incoming.take(used);
                let Some(start) = self.started.pop_front() else {
                    tally.unasked(|| "an answer to nothing in flight".into());
                    continue;
                };
                answers += 1;
                match id {
                    Ok(id) => {
                        let ns = now.saturating_duration_since(start).as_nanos() as u64;
                        tally.acked_in_order(id > self.last, ns);
                        self.last = id;
                    }
                    Err(why) => tally.refused(|| why),
                }
            }
        }
        Ok(answers)
    }
}

/// The stream of a run, looked at by a connection of its own.
pub(super) struct Keys {
    link: Link,
    incoming: Incoming,
    key: String,
}

impl Keys {
    /// Removes what an earlier run left.
    pub(super) fn open(options: &Options, server: &Server) -> Result<Self, BenchError> {
        let key = options.subject.clone();
        let mut keys = Self { link: Link::bare(server)?, incoming: Incoming::default(), key };
        keys.ask(&[b"DEL", options.subject.as_bytes()])?;
        Ok(keys)
    }

    /// How many entries it has.
    pub(super) fn entries(&mut self) -> Result<u64, BenchError> {
        let key = self.key.clone();
        self.ask(&[b"XLEN", key.as_bytes()]).map(|text| digits(&text))
    }

    /// What the server calls its version.
    pub(super) fn version(&mut self) -> Result<String, BenchError> {
        let info = String::from_utf8_lossy(&self.ask(&[b"INFO", b"server"])?).into_owned();
        let version = info.lines().find_map(|line| line.strip_prefix("redis_version:"));
        Ok(version.unwrap_or_default().trim().to_owned())
    }

    /// Removes the stream, unless it is to be kept.
    pub(super) fn finish(&mut self, options: &Options) -> Result<(), BenchError> {
        let key = self.key.clone();
        if options.keep { Ok(()) } else { self.ask(&[b"DEL", key.as_bytes()]).map(drop) }
    }

    fn ask(&mut self, words: &[&[u8]]) -> Result<Vec<u8>, BenchError> {
        self.link.write_line(&command(words))?;
        let deadline = Instant::now() + ANSWER_LIMIT;
        loop {
            if let Some((reply, used)) = reply(self.incoming.bytes())? {
                let answer = match reply {
                    Reply::Bulk(text) | Reply::Line(text) => Ok(text.to_vec()),
                    Reply::Error(text) => Err(BenchError::Refused(excerpt(text))),
                };
                self.incoming.take(used);
                return answer;
            }
            if self.incoming.fill(&self.link)?.is_none() {
                std::thread::sleep(Duration::from_micros(200));
            }
            if Instant::now() > deadline {
                return Err(BenchError::Refused(format!("nothing for {} s", ANSWER_LIMIT.as_secs())));
            }
        }
    }
}

/// A command as an array of bulk strings.
fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
    out
}

#[derive(Debug, PartialEq, Eq)]
enum Reply<'a> {
    Bulk(&'a [u8]),
    /// A simple string or a number.
    Line(&'a [u8]),
    Error(&'a [u8]),
}

/// The first reply of `bytes` and its length, if it is whole.
fn reply(bytes: &[u8]) -> Result<Option<(Reply<'_>, usize)>, BenchError> {
    let Some(end) = bytes.iter().position(|b| *b == b'\n') else { return Ok(None) };
    let line = bytes.get(1..end).unwrap_or_default().trim_ascii_end();
    let used = end + 1;
    match bytes.first() {
        Some(b'+' | b':') => Ok(Some((Reply::Line(line), used))),
        Some(b'-') => Ok(Some((Reply::Error(line), used))),
        Some(b'$') => {
            let len = digits(line) as usize;
            let whole = bytes.get(used..used + len + 2);
            Ok(whole.map(|text| (Reply::Bulk(text.get(..len).unwrap_or_default()), used + len + 2)))
        }
        _ => Err(BenchError::Refused(format!("{:?} is no reply of RESP 2", excerpt(bytes)))),
    }
}

/// `MILLISECONDS-NUMBER`.
fn read_id(id: &[u8]) -> (u64, u64) {
    let dash = id.iter().position(|b| *b == b'-').unwrap_or(id.len());
    (digits(id), id.get(dash + 1..).map_or(0, digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_replies_have_the_form_of_resp() {
        assert_eq!(command(&[b"XLEN", b"k"]), b"*2\r\n$4\r\nXLEN\r\n$1\r\nk\r\n");
        assert_eq!(reply(b"$3\r\n1-2\r\n+").unwrap(), Some((Reply::Bulk(b"1-2"), 9)));
        assert_eq!(reply(b"$3\r\n1-").unwrap(), None);
        assert_eq!(reply(b":42\r\n").unwrap(), Some((Reply::Line(b"42"), 5)));
        assert_eq!(reply(b"-ERR no\r\n").unwrap(), Some((Reply::Error(b"ERR no"), 9)));
        assert!(reply(b"hello\r\n").is_err());
    }

    #[test]
    fn ids_have_an_order() {
        assert!(read_id(b"1700000000000-9") < read_id(b"1700000000000-10"));
        assert!(read_id(b"1700000000000-10") < read_id(b"1700000000001-0"));
    }
}
