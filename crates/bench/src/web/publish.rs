//! `http-publish`: `POST /v1/publish/SUBJECT` on connections that stay open. Each sends its next request when it has the
//! whole answer to the last (closed loop). Every answer must be a 202 of its own: an identity that the last answer had
//! already is a fault.

use super::answer::Answer;
use super::{NAP, PATIENCE};
use crate::cpu::Moment;
use crate::link::{Link, Server};
use crate::poller::Poller;
use crate::{BenchError, Faults, Histogram, Latency, Options, Report};
use std::io::IoSlice;
use std::time::Instant;
use wire::nats::Info;

const READ_BYTES: usize = 16 << 10;

pub(super) fn run(options: &Options, server: &Server) -> Result<Report, BenchError> {
    let mut crowd = Crowd::open(options, server)?;
    let part = f64::from(options.warmup_percent) / 100.0;
    let warmup = (options.msgs as f64 * part) as u64;
    crowd.pass(warmup, options.duration.map(|d| Instant::now() + d.mul_f64(part)))?;
    crowd.latency = Histogram::default();
    let before = Moment::now(options.server_pid)?;
    let (sent, answered) = crowd.pass(options.msgs, options.duration.map(|d| Instant::now() + d))?;
    let spent = before.until(&Moment::now(options.server_pid)?);
    crowd.settle()?;
    let mut report = Report::new(options, &Info::default(), spent, sent, answered);
    report.latency = Some(Latency::new(&crowd.latency, false));
    report.faults = crowd.faults;
    Ok(report)
}

/// A connection and its request on the way.
struct Caller {
    link: Link,
    /// What has come of an answer.
    partial: Vec<u8>,
    /// The body of the last answer.
    last: Vec<u8>,
    /// When the request left that is not answered; `None`: all are.
    asked: Option<Instant>,
}

struct Crowd {
    poller: Poller,
    callers: Vec<Caller>,
    request: Vec<u8>,
    buffer: Vec<u8>,
    latency: Histogram,
    sent: u64,
    answered: u64,
    faults: Faults,
}

impl Crowd {
    fn open(options: &Options, server: &Server) -> Result<Crowd, BenchError> {
        let poller = Poller::new()?;
        let mut callers = Vec::with_capacity(options.clients);
        for token in 0..options.clients {
            let link = Link::bare(server)?;
            poller.add_reader(&link, token)?;
            callers.push(Caller { link, partial: Vec::new(), last: Vec::new(), asked: None });
        }
        let mut request = format!(
            "POST /v1/publish/{} HTTP/1.1\r\nHost: {}:{}\r\nContent-Type: application/octet-stream\r\n\
             Content-Length: {}\r\n\r\n",
            options.subject, server.host, server.port, options.size
        )
        .into_bytes();
        request.resize(request.len() + options.size, b'x');
        let (latency, faults) = (Histogram::default(), Faults::default());
        let buffer = vec![0; READ_BYTES];
        Ok(Crowd { poller, callers, request, buffer, latency, sent: 0, answered: 0, faults })
    }

    /// Asks and hears until so many more were answered, or the time is over; says how many were sent and answered.
    fn pass(&mut self, msgs: u64, deadline: Option<Instant>) -> Result<(u64, u64), BenchError> {
        let (sent, answered) = (self.sent, self.answered);
        let end = answered.saturating_add(msgs);
        for nth in 0..self.callers.len() {
            self.ask(nth, end)?;
        }
        let mut moved_at = Instant::now();
        while self.answered < end && deadline.is_none_or(|d| Instant::now() < d) {
            self.hear(end, &mut moved_at)?;
        }
        Ok((self.sent - sent, self.answered - answered))
    }

    /// Waits for the answers that are missing.
    fn settle(&mut self) -> Result<(), BenchError> {
        let mut moved_at = Instant::now();
        while self.answered < self.sent {
            self.hear(0, &mut moved_at)?;
        }
        Ok(())
    }

    /// Sends a caller's next request, if it waits for none and one is left.
    fn ask(&mut self, nth: usize, end: u64) -> Result<(), BenchError> {
        let Some(caller) = self.callers.get_mut(nth).filter(|c| c.asked.is_none()) else { return Ok(()) };
        if self.sent >= end {
            return Ok(());
        }
        caller.asked = Some(Instant::now());
        // A socket whose last request was answered is empty: a request of any sensible size fits.
        match caller.link.write(&[IoSlice::new(&self.request)])? {
            Some(n) if n == self.request.len() => self.sent += 1,
            Some(0) => return Err(BenchError::Closed { delivered: self.answered, reason: None }),
            _ => return Err(BenchError::Usage("--size: a request does not fit into a socket".into())),
        }
        Ok(())
    }

    /// Takes what answers there are; each caller goes on while less than `end` was sent.
    fn hear(&mut self, end: u64, moved_at: &mut Instant) -> Result<(), BenchError> {
        let ready: Vec<usize> = self.poller.wait(NAP)?.iter().map(|ready| ready.token).collect();
        if ready.is_empty() && moved_at.elapsed() > PATIENCE {
            let (sent, delivered) = (self.sent, self.answered);
            return Err(BenchError::Stalled { seconds: PATIENCE.as_secs(), sent, delivered, expected: sent });
        }
        for nth in ready {
            *moved_at = Instant::now();
            if self.take(nth)? {
                self.ask(nth, end)?;
            }
        }
        Ok(())
    }

    /// Reads of a caller's answer; says whether it is whole.
    fn take(&mut self, nth: usize) -> Result<bool, BenchError> {
        let Self { callers, buffer, latency, answered, faults, .. } = self;
        let Some(caller) = callers.get_mut(nth) else { return Ok(false) };
        let Some(read) = caller.link.read(buffer)? else { return Ok(false) };
        if read == 0 {
            return Err(BenchError::Closed { delivered: *answered, reason: None });
        }
        let read = buffer.get(..read).unwrap_or_default();
        let bytes = match caller.partial.is_empty() {
            true => read,
            false => {
                caller.partial.extend_from_slice(read);
                &caller.partial
            }
        };
        let no_answer =
            |_| BenchError::Refused("something that is no answer of HTTP/1.1 with a length".into());
        let Some(answer) = Answer::read(bytes).map_err(no_answer)? else {
            if caller.partial.is_empty() {
                caller.partial.extend_from_slice(read);
            }
            return Ok(false);
        };
        let asked = caller.asked.take();
        if answer.len != bytes.len() || asked.is_none() {
            return Err(BenchError::Refused("more than one answer to one request".into()));
        }
        latency.record(asked.map_or(0, |at| at.elapsed().as_nanos() as u64));
        *answered += 1;
        if answer.status != 202 {
            faults.refused += 1;
            faults.first.get_or_insert_with(|| {
                format!("{}: {}", answer.status, String::from_utf8_lossy(answer.body))
            });
        } else if !answer.body.is_empty() && caller.last == answer.body {
            faults.doubled += 1;
            faults.first.get_or_insert_with(|| format!("twice: {}", String::from_utf8_lossy(answer.body)));
        }
        caller.last.clear();
        caller.last.extend_from_slice(answer.body);
        caller.partial.clear();
        Ok(true)
    }
}
