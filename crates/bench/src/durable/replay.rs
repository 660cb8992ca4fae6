//! `replay`: a stream from its start through an ordered consumer, pushed with flow control and heartbeats.

use super::delivery::Delivery;
use super::marks;
use super::streams::Streams;
use crate::frames::Outgoing;
use crate::incoming::Incoming;
use crate::link::{Link, Server};
use crate::poller::Poller;
use crate::pump::STALL_LIMIT;
use crate::{BenchError, Faults, Options};
use kernel::Msg;
use serde_json::json;
use std::time::{Duration, Instant};
use wire::nats::{Op, encode};

const NAP: Duration = Duration::from_millis(50);
const HEARTBEAT: Duration = Duration::from_secs(5);

/// Reads the whole stream once.
pub(super) fn run(options: &Options, server: &Server, streams: &mut Streams) -> Result<Faults, BenchError> {
    let stream = streams.name(0);
    let inbox = streams.caller().reply_subject().replace("_INBOX", "_DELIVER");
    let link = Link::open(server, Some(&inbox))?;
    let request = json!({"stream_name": stream, "config": {
        "deliver_subject": inbox,
        "deliver_policy": "all",
        "ack_policy": "none",
        "max_deliver": 1,
        "mem_storage": true,
        "num_replicas": 1,
        "replay_policy": "instant",
        "flow_control": true,
        "idle_heartbeat": HEARTBEAT.as_nanos() as u64,
    }});
    let made = streams.caller().api(&format!("CONSUMER.CREATE.{stream}"), &request)?;
    let faults = Reader::new(link, options)?.read(options.msgs)?;
    let name = made.get("name").and_then(|name| name.as_str()).unwrap_or_default();
    streams.caller().api(&format!("CONSUMER.DELETE.{stream}.{name}"), &serde_json::Value::Null)?;
    Ok(faults)
}

struct Reader {
    link: Link,
    poller: Poller,
    incoming: Incoming,
    out: Outgoing,
    blank: Vec<u8>,
    /// The next sequence.
    next: u64,
    faults: Faults,
}

impl Reader {
    fn new(link: Link, options: &Options) -> Result<Self, BenchError> {
        let poller = Poller::new()?;
        poller.add_reader(&link, 0)?;
        Ok(Self {
            link,
            poller,
            incoming: Incoming::default(),
            out: Outgoing::default(),
            blank: marks::blank(options.size),
            next: 1,
            faults: Faults::default(),
        })
    }

    fn read(mut self, messages: u64) -> Result<Faults, BenchError> {
        let mut moved_at = Instant::now();
        while self.next <= messages {
            let before = self.next;
            if self.incoming.fill(&self.link)?.is_none() {
                self.poller.wait(NAP)?;
            }
            while let Some(op) = self.incoming.next()? {
                match op {
                    Op::Deliver { msg, .. } => {
                        take(&msg, &self.blank, &mut self.next, &mut self.out, &mut self.faults);
                    }
                    Op::Ping => self.out.buffer().extend_from_slice(encode::PONG),
                    _ => {}
                }
            }
            self.out.flush(&self.link)?;
            if self.next > before {
                moved_at = Instant::now();
            } else if moved_at.elapsed() > STALL_LIMIT {
                let (seconds, delivered) = (STALL_LIMIT.as_secs(), self.next - 1);
                return Err(BenchError::Stalled { seconds, sent: messages, delivered, expected: messages });
            }
        }
        Ok(self.faults)
    }
}

/// One delivery: in order, and with the payload that was published there.
fn take(msg: &Msg<'_>, blank: &[u8], next: &mut u64, out: &mut Outgoing, faults: &mut Faults) {
    match Delivery::of(msg) {
        Delivery::Message { seq } => {
            if seq != *next {
                faults.lost += seq.saturating_sub(*next);
                faults.doubled += u64::from(seq < *next);
                faults.first.get_or_insert_with(|| format!("sequence {seq} instead of {next}"));
            }
            if !marks::is(msg.payload, seq.wrapping_sub(1), blank) {
                faults.damaged += 1;
                faults.first.get_or_insert_with(|| format!("another payload at sequence {seq}"));
            }
            *next = (*next).max(seq + 1);
        }
        Delivery::FlowControl(subject) => {
            encode::publish(out.buffer(), &Msg { subject, ..Msg::default() });
        }
        Delivery::Heartbeat | Delivery::PullEnded { .. } => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_a_repetition_and_a_wrong_payload_are_found() {
        let blank = marks::blank(20);
        let (mut next, mut out, mut faults) = (1, Outgoing::default(), Faults::default());
        for (seq, number) in [(1, 0), (2, 1), (2, 1), (5, 4), (6, 9)] {
            let mut payload = blank.clone();
            marks::write(&mut payload, number);
            let reply = format!("$JS.ACK.S.c.1.{seq}.1.1.0");
            let msg = Msg { reply: reply.as_bytes(), payload: &payload, ..Msg::default() };
            take(&msg, &blank, &mut next, &mut out, &mut faults);
        }
        assert_eq!((faults.lost, faults.doubled, faults.damaged, next), (2, 1, 1, 7));
        let flow = Msg {
            reply: b"$JS.FC.z",
            headers: b"NATS/1.0 100 FlowControl Request\r\n\r\n",
            ..Msg::default()
        };
        take(&flow, &blank, &mut next, &mut out, &mut faults);
        assert_eq!(out.buffer().as_slice(), b"PUB $JS.FC.z 0\r\n\r\n");
    }
}
