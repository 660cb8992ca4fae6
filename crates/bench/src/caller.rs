//! A blocking connection that asks and is answered: what sets a run up, looks at the outcome, and drives checks that are
//! not about speed.
//!
//! It is *not* a client library: it never connects again by itself, and one thread uses it.

use crate::BenchError;
use crate::frames::Outgoing;
use crate::incoming::Incoming;
use crate::link::{Link, Server};
use kernel::{Headers, Msg};
use rustix::event::{PollFd, PollFlags, poll};
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use wire::nats::{Info, Op, encode};

/// How long a request waits for its answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// Bytes that are collected before they are written without being asked.
const WRITE_BYTES: usize = 64 << 10;
/// The subscription to the caller's own inbox.
const INBOX_SID: u64 = 1;

/// Distinguishes the inboxes of one process.
static CALLERS: AtomicU64 = AtomicU64::new(0);

/// A message as it was delivered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delivered {
    /// The subscription that got it.
    pub sid: u64,
    /// Where it was published.
    pub subject: String,
    /// Where an answer goes; empty: nowhere.
    pub reply: String,
    /// The header block; empty: none.
    pub headers: Vec<u8>,
    /// The content.
    pub payload: Vec<u8>,
}

impl Delivered {
    /// The number of a status message, such as 404 or 503.
    pub fn status(&self) -> Option<u16> {
        Headers::new(&self.headers).status()
    }
}

/// A connection with an inbox.
#[derive(Debug)]
pub struct Caller {
    link: Link,
    incoming: Incoming,
    out: Outgoing,
    inbox: String,
    asked: u64,
    subscriptions: u64,
    waiting: VecDeque<Delivered>,
    pongs: u64,
}

impl Caller {
    /// Connects to `nats://[user:password@|token@]host[:port]`.
    ///
    /// # Errors
    /// When nobody listens there, or whoever does refuses.
    pub fn connect(url: &str) -> Result<Self, BenchError> {
        Self::open(&Server::parse(url)?)
    }

    pub(crate) fn open(server: &Server) -> Result<Self, BenchError> {
        let nth = CALLERS.fetch_add(1, Ordering::Relaxed);
        let inbox = format!("_INBOX.{:08x}.c{nth:x}", std::process::id());
        let link = Link::open(server, Some(&format!("{inbox}.*")))?;
        Ok(Self {
            link,
            incoming: Incoming::default(),
            out: Outgoing::default(),
            inbox,
            asked: 0,
            subscriptions: INBOX_SID,
            waiting: VecDeque::new(),
            pongs: 0,
        })
    }

    /// What the server said of itself.
    pub(crate) fn info(&self) -> &Info {
        &self.link.info
    }

    /// A subject that is answered on this connection and was never used before.
    pub fn reply_subject(&mut self) -> String {
        self.asked += 1;
        format!("{}.{:x}", self.inbox, self.asked)
    }

    /// Asks for a subject's messages; the number is in [`Delivered::sid`].
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn subscribe(&mut self, pattern: &str) -> Result<u64, BenchError> {
        self.subscriptions += 1;
        encode::subscribe(self.out.buffer(), pattern.as_bytes(), None, self.subscriptions);
        self.flush()?;
        Ok(self.subscriptions)
    }

    /// Publishes; written at the latest by the next [`Caller::flush`] or wait. `headers` is a whole block or empty.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn publish(
        &mut self,
        subject: &str,
        reply: &str,
        headers: &[u8],
        payload: &[u8],
    ) -> Result<(), BenchError> {
        let (subject, reply) = (subject.as_bytes(), reply.as_bytes());
        encode::publish(self.out.buffer(), &Msg { subject, reply, headers, payload, ..Msg::default() });
        if self.out.buffer().len() > WRITE_BYTES { self.flush() } else { Ok(()) }
    }

    /// Writes everything that waits to be written.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn flush(&mut self) -> Result<(), BenchError> {
        loop {
            self.out.flush(&self.link)?;
            if self.out.buffer().is_empty() {
                return Ok(());
            }
            // A server that is not read from does not read either.
            self.wait(ANSWER_LIMIT, PollFlags::IN | PollFlags::OUT)?;
            self.read()?;
        }
    }

    /// The next message of any subscription in the order of arrival, or `None` after `limit`. What has arrived before
    /// the end of a connection is handed out before the end is told.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn next(&mut self, limit: Duration) -> Result<Option<Delivered>, BenchError> {
        let deadline = Instant::now() + limit;
        let mut flushed = self.flush();
        loop {
            if let Some(message) = self.waiting.pop_front() {
                return Ok(Some(message));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if flushed.is_ok() {
                self.wait(left, PollFlags::IN)?;
            }
            let read = self.read();
            if self.waiting.is_empty() {
                std::mem::replace(&mut flushed, Ok(()))?;
                read?;
                if left.is_zero() {
                    return Ok(None);
                }
            }
        }
    }

    /// Asks and waits for the answer; other messages wait for [`Caller::next`].
    ///
    /// # Errors
    /// When nobody answers, or the connection is gone.
    pub fn request(&mut self, subject: &str, payload: &[u8]) -> Result<Delivered, BenchError> {
        let reply = self.reply_subject();
        self.publish(subject, &reply, b"", payload)?;
        self.answer(&reply)
    }

    /// Waits for what was published to `reply`, one of [`Caller::reply_subject`].
    ///
    /// # Errors
    /// When nothing comes, nobody listens where the request went, or the connection is gone.
    pub fn answer(&mut self, reply: &str) -> Result<Delivered, BenchError> {
        let deadline = Instant::now() + ANSWER_LIMIT;
        let mut others = VecDeque::new();
        let found = loop {
            match self.next(deadline.saturating_duration_since(Instant::now()))? {
                Some(message) if message.subject == reply => break Some(message),
                Some(message) => others.push_back(message),
                None => break None,
            }
        };
        others.append(&mut self.waiting);
        self.waiting = others;
        match found {
            Some(message) if message.status() == Some(503) => {
                Err(BenchError::Refused("nobody listens (503): does it have streams?".into()))
            }
            Some(message) => Ok(message),
            None => Err(BenchError::Refused(format!("nothing for {} s", ANSWER_LIMIT.as_secs()))),
        }
    }

    /// A request of the JSON API, `$JS.API.` and `verb`. An answer that holds an error is one.
    ///
    /// # Errors
    /// When the answer says so, is no JSON, or does not come.
    pub fn api(&mut self, verb: &str, request: &Value) -> Result<Value, BenchError> {
        let body = if request.is_null() { String::new() } else { request.to_string() };
        let answer = self.request(&format!("$JS.API.{verb}"), body.as_bytes())?;
        Self::read_api(verb, &answer)
    }

    /// Many requests of the JSON API at once, in flight together; the answers in the order of the requests.
    ///
    /// # Errors
    /// As [`Caller::api`]; the first error ends it.
    pub fn api_all(&mut self, requests: &[(String, Value)]) -> Result<Vec<Value>, BenchError> {
        let mut replies = Vec::with_capacity(requests.len());
        for (verb, request) in requests {
            let reply = self.reply_subject();
            let body = if request.is_null() { String::new() } else { request.to_string() };
            self.publish(&format!("$JS.API.{verb}"), &reply, b"", body.as_bytes())?;
            replies.push(reply);
        }
        let mut answers = Vec::with_capacity(requests.len());
        for (reply, (verb, _)) in replies.iter().zip(requests) {
            let answer = self.answer(reply)?;
            answers.push(Self::read_api(verb, &answer)?);
        }
        Ok(answers)
    }

    fn read_api(verb: &str, answer: &Delivered) -> Result<Value, BenchError> {
        let value: Value = serde_json::from_slice(&answer.payload)
            .map_err(|e| BenchError::Refused(format!("{verb}: an answer that is no JSON: {e}")))?;
        match value.get("error") {
            Some(error) => Err(BenchError::Refused(format!("{verb}: {error}"))),
            None => Ok(value),
        }
    }

    /// Waits until the server has read everything written before.
    ///
    /// # Errors
    /// When it does not answer, or the connection is gone.
    pub fn ping(&mut self) -> Result<(), BenchError> {
        let awaited = self.pongs + 1;
        self.out.buffer().extend_from_slice(encode::PING);
        self.flush()?;
        let deadline = Instant::now() + ANSWER_LIMIT;
        while self.pongs < awaited {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(BenchError::Refused(format!("no PONG for {} s", ANSWER_LIMIT.as_secs())));
            }
            self.wait(left, PollFlags::IN)?;
            self.read()?;
        }
        Ok(())
    }

    fn wait(&self, limit: Duration, what: PollFlags) -> Result<(), BenchError> {
        let mut sockets = [PollFd::new(&self.link, what)];
        match poll(&mut sockets, Some(&limit.try_into().unwrap_or_default())) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Takes what the socket has.
    fn read(&mut self) -> Result<(), BenchError> {
        let Self { link, incoming, out, waiting, pongs, .. } = self;
        while incoming.fill(link)?.is_some() {
            while let Some(op) = incoming.next()? {
                match op {
                    Op::Deliver { sid, msg } => waiting.push_back(Delivered {
                        sid: digits(sid),
                        subject: String::from_utf8_lossy(msg.subject).into_owned(),
                        reply: String::from_utf8_lossy(msg.reply).into_owned(),
                        headers: msg.headers.to_vec(),
                        payload: msg.payload.to_vec(),
                    }),
                    Op::Ping => out.buffer().extend_from_slice(encode::PONG),
                    Op::Pong => *pongs += 1,
                    _ => {}
                }
            }
        }
        out.flush(link)
    }
}

/// A number in decimal digits; 0 where there is none.
pub(crate) fn digits(bytes: &[u8]) -> u64 {
    bytes.iter().take_while(|b| b.is_ascii_digit()).fold(0, |n, b| n.wrapping_mul(10) + u64::from(b - b'0'))
}
