//! One client that asks: its wildcard inbox, and what it waits for.

use crate::BenchError;
use crate::frames::{Frames, Outgoing};
use crate::lines::excerpt;
use crate::link::{Link, Server};
use std::collections::VecDeque;
use std::time::Instant;
use wire::nats::encode;

/// Digits of the token that ends a reply subject: enough for a request a nanosecond for ten seconds.
const TOKEN_DIGITS: usize = 10;

/// The subject under which client `nth` of this process is answered; all have one length.
fn inbox(nth: usize) -> String {
    format!("_INBOX.{:08x}{nth:06}", std::process::id())
}

/// A client with an inbox of its own.
#[derive(Debug)]
pub(crate) struct Requester {
    pub(crate) link: Link,
    request: Vec<u8>,
    token_at: usize,
    answer: Vec<u8>,
    answer_token_at: usize,
    frames: Frames,
    out: Outgoing,
    sent: u64,
    answered: u64,
    started: VecDeque<Instant>,
}

impl Requester {
    /// Bytes of every reply subject.
    pub(crate) fn reply_len() -> usize {
        inbox(0).len() + 1 + TOKEN_DIGITS
    }

    /// Connects as client number `nth` and subscribes to its inbox.
    pub(crate) fn open(
        server: &Server,
        nth: usize,
        subject: &str,
        payload: &[u8],
    ) -> Result<Self, BenchError> {
        let inbox = inbox(nth);
        let link = Link::open(server, Some(&format!("{inbox}.*")))?;
        let token = "0".repeat(TOKEN_DIGITS);
        let size = payload.len();
        let line = format!("PUB {subject} {inbox}.{token} {size}\r\n");
        let answer = format!("MSG {inbox}.{token} {} {size}\r\n", crate::block::SID);
        let whole = |line: &str| [line.as_bytes(), payload, encode::CRLF].concat();
        let (request, answer_bytes) = (whole(&line), whole(&answer));
        Ok(Self {
            link,
            token_at: line.len() - format!(" {size}\r\n").len() - TOKEN_DIGITS,
            answer_token_at: format!("MSG {inbox}.").len(),
            frames: Frames::new(answer_bytes.len()),
            request,
            answer: answer_bytes,
            out: Outgoing::default(),
            sent: 0,
            answered: 0,
            started: VecDeque::new(),
        })
    }

    /// Sends the next request; its latency counts from `start`.
    pub(crate) fn ask(&mut self, start: Instant) -> Result<(), BenchError> {
        let token = format!("{:0TOKEN_DIGITS$}", self.sent);
        if let Some(place) = self.request.get_mut(self.token_at..self.token_at + TOKEN_DIGITS) {
            place.copy_from_slice(token.as_bytes());
        }
        self.out.buffer().extend_from_slice(&self.request);
        self.sent += 1;
        self.started.push_back(start);
        self.out.flush(&self.link)
    }

    /// Writes what waited for the socket.
    pub(crate) fn flush(&mut self) -> Result<(), BenchError> {
        self.out.flush(&self.link)
    }

    /// Reads answers and hands out the start of each request that was answered. An answer that is none, or not the
    /// next one, ends the run: with one responder answers keep the order of requests.
    pub(crate) fn read(
        &mut self,
        buffer: &mut [u8],
        mut done: impl FnMut(Instant),
    ) -> Result<(), BenchError> {
        let Self { link, answer, answered, answer_token_at, frames, started, .. } = self;
        let token = *answer_token_at..*answer_token_at + TOKEN_DIGITS;
        frames.read(link, buffer, |message| {
            let expected = format!("{answered:0TOKEN_DIGITS$}");
            if let Some(place) = answer.get_mut(token.clone()) {
                place.copy_from_slice(expected.as_bytes());
            }
            let Some(start) = started.pop_front().filter(|_| message == answer.as_slice()) else {
                return Err(BenchError::Refused(format!(
                    "{:?} instead of answer {answered}",
                    excerpt(message)
                )));
            };
            *answered += 1;
            done(start);
            Ok(())
        })
    }
}
