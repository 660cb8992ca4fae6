//! `overtake`: a worker takes one message after another of a long backlog, acknowledging each; somebody publishes a
//! critical message, and it must be the worker's next but a few. What is measured is the time between.

use super::marks;
use super::streams::Streams;
use crate::caller::{Caller, Delivered};
use crate::cpu::Moment;
use crate::{BenchError, Faults, Histogram, Latency, Options, Overtake, Report};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const CONSUMER: &str = "BENCH";
/// Critical messages of a run, if the backlog lasts: with half of it gone, it is none any more.
const TRIES: u64 = 100;
/// What the worker takes of the backlog before each of them.
const BEFORE: usize = 5;
/// Messages of the backlog after which it is given up: the critical one was not overtaking.
const BETWEEN_MAX: u64 = 10_000;
const HEADERS: &[u8] = b"NATS/1.0\r\nNp-Priority: critical\r\n\r\n";

pub(super) fn run(options: &Options, streams: &mut Streams) -> Result<Report, BenchError> {
    let (stream, subject) = (streams.name(0), streams.subject(0));
    let config = json!({"durable_name": CONSUMER, "deliver_policy": "all", "ack_policy": "explicit"});
    let request = json!({"stream_name": stream, "config": config});
    streams.caller().api(&format!("CONSUMER.DURABLE.CREATE.{stream}.{CONSUMER}"), &request)?;
    let mut worker = Worker::open(options, &stream)?;
    let mut publisher = Caller::connect(&options.server)?;
    let (mut latency, mut between_max) = (Histogram::default(), 0);
    let before = Moment::now(options.server_pid)?;
    while latency.len() < TRIES && worker.seen < options.msgs / 2 {
        let nth = latency.len();
        for _ in 0..BEFORE {
            worker.take()?;
        }
        let payload = format!("critical {nth}");
        let reply = publisher.reply_subject();
        let at = Instant::now();
        publisher.publish(&subject, &reply, HEADERS, payload.as_bytes())?;
        publisher.flush()?;
        let between = worker.until(payload.as_bytes())?;
        latency.record(at.elapsed().as_nanos() as u64);
        between_max = between_max.max(between);
        // It is stored, too.
        let answer = publisher.answer(&reply)?;
        let ack: Value = serde_json::from_slice(&answer.payload).unwrap_or_default();
        if ack.get("seq").and_then(Value::as_u64) != Some(options.msgs + nth + 1) {
            return Err(BenchError::Refused(String::from_utf8_lossy(&answer.payload).into_owned()));
        }
    }
    let spent = before.until(&Moment::now(options.server_pid)?);
    let mut report = Report::new(options, streams.info(), spent, latency.len(), worker.taken);
    let times = Latency::new(&latency, false);
    report.overtake = Some(Overtake {
        backlog: options.msgs,
        tries: latency.len(),
        p50_ms: times.p50_us / 1e3,
        max_ms: times.max_us / 1e3,
        between_max,
    });
    report.latency = Some(times);
    report.faults = worker.faults;
    Ok(report)
}

/// Who takes messages, one after another.
struct Worker {
    caller: Caller,
    next: String,
    blank: Vec<u8>,
    /// Messages of the backlog that it has had.
    seen: u64,
    taken: u64,
    faults: Faults,
}

impl Worker {
    fn open(options: &Options, stream: &str) -> Result<Worker, BenchError> {
        let caller = Caller::connect(&options.server)?;
        let next = format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{CONSUMER}");
        let (blank, faults) = (marks::blank(options.size), Faults::default());
        Ok(Worker { caller, next, blank, seen: 0, taken: 0, faults })
    }

    /// The next message, acknowledged.
    fn one(&mut self) -> Result<Delivered, BenchError> {
        const EXPIRES: Duration = Duration::from_secs(5);
        let request = format!("{{\"batch\":1,\"expires\":{}}}", EXPIRES.as_nanos());
        let inbox = self.caller.reply_subject();
        self.caller.publish(&self.next, &inbox, b"", request.as_bytes())?;
        // Nothing else comes to this connection.
        let Some(message) = self.caller.next(2 * EXPIRES)? else {
            return Err(BenchError::Refused(format!("no message for {} s", 2 * EXPIRES.as_secs())));
        };
        if message.reply.is_empty() {
            return Err(BenchError::Refused(String::from_utf8_lossy(&message.headers).into_owned()));
        }
        self.caller.publish(&message.reply, "", b"", b"+ACK")?;
        self.taken += 1;
        Ok(message)
    }

    /// The next message of the backlog, which must be the one that is due.
    fn take(&mut self) -> Result<(), BenchError> {
        let message = self.one()?;
        self.check(&message);
        Ok(())
    }

    fn check(&mut self, message: &Delivered) {
        if !marks::is(&message.payload, self.seen, &self.blank) {
            self.faults.damaged += 1;
            self.faults.first.get_or_insert_with(|| format!("another payload than {}", self.seen));
        }
        self.seen += 1;
    }

    /// Goes on until this one comes; says how many of the backlog came before it.
    fn until(&mut self, payload: &[u8]) -> Result<u64, BenchError> {
        for between in 0..BETWEEN_MAX {
            let message = self.one()?;
            if message.payload == payload {
                return Ok(between);
            }
            self.check(&message);
        }
        Err(BenchError::Refused(format!("{BETWEEN_MAX} messages before a critical one")))
    }
}
