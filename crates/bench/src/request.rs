//! `request`: round trips through the server to a responder in this process and back.
//!
//! Without a rate every client sends its next request when it has the answer to the last (closed loop): that measures
//! how many round trips go. With a rate requests leave on a fixed schedule (open loop), whether answers came or not, and
//! latency counts from the scheduled moment: a server that stops for a second is charged for all it kept waiting.

use crate::cpu::Moment;
use crate::link::Server;
use crate::paced::Schedule;
use crate::poller::Poller;
use crate::pump::STALL_LIMIT;
use crate::requester::Requester;
use crate::responder::Responder;
use crate::{BenchError, Faults, Histogram, Latency, Options, Report};
use std::time::{Duration, Instant};

const READ_BYTES: usize = 64 << 10;
const NAP: Duration = Duration::from_millis(50);

pub(crate) fn run(options: &Options) -> Result<Report, BenchError> {
    let mut exchange = Exchange::open(options)?;
    let part = f64::from(options.warmup_percent) / 100.0;
    let warmup = (options.msgs as f64 * part) as u64;
    exchange.pass(warmup, options.duration.map(|d| d.mul_f64(part)), |_| {})?;

    let before = Moment::now(options.server_pid)?;
    let mut histogram = Histogram::default();
    let sent = exchange.pass(options.msgs, options.duration, |ns| histogram.record(ns))?;
    let spent = before.until(&Moment::now(options.server_pid)?);

    let mut report = Report::new(options, &exchange.responder.link.info, spent, sent, histogram.len());
    report.load.spinning = options.spin;
    report.latency = Some(Latency::new(&histogram, options.rate.is_some()));
    report.faults = Faults { lost: sent - histogram.len(), ..Faults::default() };
    Ok(report)
}

struct Exchange {
    requesters: Vec<Requester>,
    responder: Responder,
    poller: Poller,
    buffer: Vec<u8>,
    rate: Option<u64>,
    spin: bool,
    /// Who was answered in the last turn.
    answered: Vec<usize>,
}

impl Exchange {
    fn open(options: &Options) -> Result<Self, BenchError> {
        let server = Server::parse(&options.server)?;
        let reply_len = Requester::reply_len();
        let responder = Responder::open(&server, &options.subject, reply_len, options.size)?;
        let payload = vec![b'.'; options.size];
        let requesters: Vec<_> = (0..options.clients)
            .map(|nth| Requester::open(&server, nth, &options.subject, &payload))
            .collect::<Result<_, _>>()?;
        let poller = Poller::new()?;
        for (token, requester) in requesters.iter().enumerate() {
            poller.add_edges(&requester.link, token)?;
        }
        poller.add_edges(&responder.link, requesters.len())?;
        let buffer = vec![0; READ_BYTES];
        let Options { rate, spin, .. } = *options;
        Ok(Self { requesters, responder, poller, buffer, rate, spin, answered: Vec::new() })
    }

    /// Sends up to `count` requests, or what goes within `limit`, and waits for all answers; says how many were sent.
    fn pass(
        &mut self,
        count: u64,
        limit: Option<Duration>,
        mut record: impl FnMut(u64),
    ) -> Result<u64, BenchError> {
        let start = Instant::now();
        let schedule = self.rate.map(|rate| {
            let by_time = limit.map_or(u64::MAX, |d| (d.as_secs_f64() * rate as f64) as u64);
            Schedule::new(rate, count.min(by_time), self.spin)
        });
        let (mut sent, mut done) = (0, 0);
        let mut moved_at = start;
        if schedule.is_none() {
            self.answered = (0..self.requesters.len()).collect();
        }
        loop {
            match &schedule {
                Some(schedule) => sent = self.ask_due(schedule, sent)?,
                None => {
                    let over = limit.is_some_and(|limit| start.elapsed() >= limit);
                    sent += self.ask_answered(if over { 0 } else { count - sent })?;
                }
            }
            let more = schedule.as_ref().is_some_and(|schedule| sent < schedule.count);
            if done == sent && !more {
                return Ok(sent);
            }
            let nap = if self.spin { Duration::ZERO } else { NAP };
            let answers = self.turn(schedule.as_ref().map_or(nap, |s| s.nap(sent)), &mut record)?;
            done += answers;
            if answers > 0 || done == sent {
                moved_at = Instant::now();
            } else if moved_at.elapsed() > STALL_LIMIT {
                let seconds = STALL_LIMIT.as_secs();
                return Err(BenchError::Stalled { seconds, sent, delivered: done, expected: sent });
            }
        }
    }

    /// Open loop: everything that is due, spread over the clients in turn.
    fn ask_due(&mut self, schedule: &Schedule, mut sent: u64) -> Result<u64, BenchError> {
        let due = schedule.due_by(Instant::now());
        let clients = self.requesters.len() as u64;
        while sent < due {
            if let Some(requester) = self.requesters.get_mut((sent % clients) as usize) {
                requester.ask(schedule.due(sent))?;
            }
            sent += 1;
        }
        Ok(sent)
    }

    /// Closed loop: those who have their answer ask again, as long as `left` lasts; says how many did.
    fn ask_answered(&mut self, left: u64) -> Result<u64, BenchError> {
        let mut asked = 0;
        for nth in self.answered.drain(..) {
            if let Some(requester) = self.requesters.get_mut(nth).filter(|_| asked < left) {
                requester.ask(Instant::now())?;
                asked += 1;
            }
        }
        Ok(asked)
    }

    /// Waits for sockets and serves them; says how many requests were answered.
    fn turn(&mut self, nap: Duration, record: &mut impl FnMut(u64)) -> Result<u64, BenchError> {
        let Self { requesters, responder, poller, buffer, answered, .. } = self;
        let mut answers = 0;
        for ready in poller.wait(nap)? {
            match requesters.get_mut(ready.token) {
                Some(requester) => {
                    requester.flush()?;
                    requester.read(buffer, |start| {
                        record(start.elapsed().as_nanos() as u64);
                        answered.push(ready.token);
                        answers += 1;
                    })?;
                }
                None => {
                    responder.flush()?;
                    responder.read(buffer)?;
                }
            }
        }
        if self.rate.is_some() {
            self.answered.clear();
        }
        Ok(answers)
    }
}
