//! `pull-consume` and `replay-pull`: a stream through a pull consumer, each message acknowledged or none.

use super::delivery::Delivery;
use super::marks;
use super::pull::Asked;
use super::streams::Streams;
use crate::frames::Outgoing;
use crate::incoming::Incoming;
use crate::link::{Link, Server};
use crate::poller::Poller;
use crate::pump::STALL_LIMIT;
use crate::seen::Seen;
use crate::{BenchError, Faults, Mode, Options};
use kernel::Msg;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use wire::nats::{Op, encode};

const NAP: Duration = Duration::from_millis(50);
/// How long a request for messages is valid.
const EXPIRES: Duration = Duration::from_secs(30);
/// Messages that may be delivered and not acknowledged: never fewer than nats-server's default.
const ACK_PENDING_MIN: usize = 1000;
const CONSUMER: &str = "BENCH";

/// Reads the whole stream once through a new consumer; with acknowledgement until the server has them all.
pub(super) fn run(options: &Options, server: &Server, streams: &mut Streams) -> Result<Faults, BenchError> {
    let stream = streams.name(0);
    let acks = options.mode == Mode::PullConsume;
    let mut config = json!({
        "durable_name": CONSUMER,
        "deliver_policy": "all",
        "replay_policy": "instant",
        "ack_policy": if acks { "explicit" } else { "none" },
    });
    if acks {
        config["max_ack_pending"] = (4 * options.batch * options.clients).max(ACK_PENDING_MIN).into();
    }
    let request = json!({"stream_name": stream, "config": config});
    streams.caller().api(&format!("CONSUMER.DURABLE.CREATE.{stream}.{CONSUMER}"), &request)?;
    let mut crowd = Crowd::open(options, server, &stream)?;
    crowd.consume()?;
    if acks {
        until_acknowledged(options, streams, &stream)?;
    }
    streams.caller().api(&format!("CONSUMER.DELETE.{stream}.{CONSUMER}"), &Value::Null)?;
    Ok(crowd.faults)
}

/// Asks the consumer until it has every acknowledgement.
fn until_acknowledged(options: &Options, streams: &mut Streams, stream: &str) -> Result<(), BenchError> {
    let start = Instant::now();
    loop {
        let info = streams.caller().api(&format!("CONSUMER.INFO.{stream}.{CONSUMER}"), &Value::Null)?;
        let figure = |pointer| info.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
        let (floor, pending) = (figure("/ack_floor/stream_seq"), figure("/num_ack_pending"));
        if floor == options.msgs && pending == 0 {
            return Ok(());
        }
        if start.elapsed() > STALL_LIMIT {
            let seconds = STALL_LIMIT.as_secs();
            let (sent, delivered) = (options.msgs, floor);
            return Err(BenchError::Stalled { seconds, sent, delivered, expected: sent });
        }
    }
}

/// The connections that share the consumer.
struct Crowd {
    members: Vec<Member>,
    poller: Poller,
    next: String,
    batch: usize,
    acks: bool,
    messages: u64,
    seen: Seen,
    blank: Vec<u8>,
    faults: Faults,
}

#[derive(Debug)]
struct Member {
    link: Link,
    incoming: Incoming,
    out: Outgoing,
    inbox: String,
    asked: Asked,
}

impl Crowd {
    fn open(options: &Options, server: &Server, stream: &str) -> Result<Self, BenchError> {
        let poller = Poller::new()?;
        let mut members = Vec::with_capacity(options.clients);
        for nth in 0..options.clients {
            let inbox = format!("_INBOX.{:08x}.m{nth}", std::process::id());
            let link = Link::open(server, Some(&inbox))?;
            poller.add_edges(&link, nth)?;
            let (incoming, out) = (Incoming::default(), Outgoing::default());
            members.push(Member { link, incoming, out, inbox, asked: Asked::default() });
        }
        Ok(Self {
            members,
            poller,
            next: format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{CONSUMER}"),
            batch: options.batch,
            acks: options.mode == Mode::PullConsume,
            messages: options.msgs,
            seen: Seen::default(),
            blank: marks::blank(options.size),
            faults: Faults::default(),
        })
    }

    /// Until every sequence has come.
    fn consume(&mut self) -> Result<(), BenchError> {
        for nth in 0..self.members.len() {
            self.ask(nth)?;
        }
        let mut moved_at = Instant::now();
        while self.seen.count() < self.messages {
            let before = self.seen.count();
            let ready: Vec<usize> = self.poller.wait(NAP)?.iter().map(|ready| ready.token).collect();
            for nth in ready {
                self.read(nth)?;
            }
            if self.seen.count() > before {
                moved_at = Instant::now();
            } else if moved_at.elapsed() > STALL_LIMIT {
                let (seconds, sent) = (STALL_LIMIT.as_secs(), self.messages);
                return Err(BenchError::Stalled { seconds, sent, delivered: before, expected: sent });
            }
        }
        Ok(())
    }

    /// Takes what a member's socket has, acknowledges, asks for more.
    fn read(&mut self, nth: usize) -> Result<(), BenchError> {
        while self.take_some(nth)? {
            self.ask(nth)?;
        }
        self.ask(nth)
    }

    /// One read of a member's socket; says whether there was anything.
    fn take_some(&mut self, nth: usize) -> Result<bool, BenchError> {
        let Self { members, seen, faults, blank, acks, .. } = self;
        let Some(Member { link, incoming, out, asked, .. }) = members.get_mut(nth) else { return Ok(false) };
        if incoming.fill(link)?.is_none() {
            return Ok(false);
        }
        while let Some(op) = incoming.next()? {
            match op {
                Op::Deliver { msg, .. } => take(&msg, blank, seen, asked, faults, acks.then_some(&mut *out)),
                Op::Ping => out.buffer().extend_from_slice(encode::PONG),
                _ => {}
            }
        }
        Ok(true)
    }

    /// Sends a member's next request, if it is time.
    fn ask(&mut self, nth: usize) -> Result<(), BenchError> {
        let outstanding: u64 = self.members.iter().map(|m| m.asked.outstanding()).sum();
        let mut left = self.messages.saturating_sub(self.seen.count() + outstanding);
        let Some(Member { link, out, inbox, asked, .. }) = self.members.get_mut(nth) else { return Ok(()) };
        while let Some(batch) = asked.next(self.batch, left) {
            left -= batch as u64;
            let request = format!("{{\"batch\":{batch},\"expires\":{}}}", EXPIRES.as_nanos());
            let (subject, reply, payload) = (self.next.as_bytes(), inbox.as_bytes(), request.as_bytes());
            encode::publish(out.buffer(), &Msg { subject, reply, payload, ..Msg::default() });
        }
        out.flush(link)
    }
}

/// One delivery; acknowledged into `ack`.
fn take(
    msg: &Msg<'_>,
    blank: &[u8],
    seen: &mut Seen,
    asked: &mut Asked,
    faults: &mut Faults,
    ack: Option<&mut Outgoing>,
) {
    match Delivery::of(msg) {
        Delivery::Message { seq } => {
            asked.got();
            if !seen.insert(seq) {
                faults.doubled += 1;
                faults.first.get_or_insert_with(|| format!("sequence {seq} came twice"));
            }
            if !marks::is(msg.payload, seq.wrapping_sub(1), blank) {
                faults.damaged += 1;
                faults.first.get_or_insert_with(|| format!("another payload at sequence {seq}"));
            }
            if let Some(out) = ack {
                encode::publish(
                    out.buffer(),
                    &Msg { subject: msg.reply, payload: b"+ACK", ..Msg::default() },
                );
            }
        }
        Delivery::PullEnded { missing, .. } => asked.ended(missing),
        Delivery::FlowControl(_) | Delivery::Heartbeat => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_is_acknowledged_and_a_second_delivery_is_found() {
        let blank = marks::blank(16);
        let (mut seen, mut asked, mut faults) = (Seen::default(), Asked::default(), Faults::default());
        let mut out = Outgoing::default();
        asked.next(4, 100);
        let mut payload = blank.clone();
        marks::write(&mut payload, 2);
        let msg = Msg { reply: b"$JS.ACK.S.c.1.3.1.1.0", payload: &payload, ..Msg::default() };
        for _ in 0..2 {
            take(&msg, &blank, &mut seen, &mut asked, &mut faults, Some(&mut out));
        }
        assert_eq!((seen.count(), faults.doubled, faults.damaged, asked.outstanding()), (1, 1, 0, 2));
        assert!(out.buffer().starts_with(b"PUB $JS.ACK.S.c.1.3.1.1.0 4\r\n+ACK\r\n"));
    }
}
