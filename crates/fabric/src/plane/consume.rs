//! Consumers at work: they are stepped when something changed for them, what they want delivered is read and said, and
//! acknowledgements come back to them.

use std::collections::VecDeque;

use bus::consumer::{AckKind, Acked, Action, Delivery, Pull, Token};
use bus::stream::Changes;
use bytes::Bytes;
use kernel::journal::Level;
use kernel::{Code, Entry, LogId, Msg, Now, Record};
use wire::jetstream::{Retention, ack};

use super::cell::{Body, Cell, Seat, SeatState, consumer_key};
use super::inbox::Arrival;
use super::out::{Held, Said};
use super::reading::Reading;
use super::timers::Timer;
use super::{Plane, api};

/// Most deliveries of one consumer in one step: what is read and said together.
const DELIVERIES_MAX: usize = 512;
/// Most steps of consumers in one turn, so that publishers and calls get theirs.
const STEPS_MAX: usize = 256;

impl Plane {
    /// Every consumer of a stream may have something to deliver.
    pub(crate) fn make_all_due(cell: &mut Cell, due: &mut VecDeque<(LogId, Box<str>)>) {
        for (name, seat) in &mut cell.consumers {
            if !seat.is_due {
                seat.is_due = true;
                due.push_back((cell.log, name.clone()));
            }
        }
    }

    /// A consumer may have something to deliver.
    pub(crate) fn make_due(&mut self, log: LogId, name: &str) {
        let Some(cell) = self.cells.get_mut(&log) else { return };
        if matches!(cell.body, Body::Cold(_)) {
            return self.warm(log);
        }
        if let Some((name, seat)) = cell.consumers.get_key_value(name).map(|(n, _)| n.clone()).and_then(|n| {
            cell.consumers.get_mut(&n).map(|seat| (n, seat))
        }) && !seat.is_due
        {
            seat.is_due = true;
            self.due.push_back((log, name));
        }
    }

    /// Steps the consumers that are due. True: some were.
    pub(crate) fn consume(&mut self, now: Now) -> bool {
        let steps = self.due.len().min(STEPS_MAX);
        for _ in 0..steps {
            let Some((log, name)) = self.due.pop_front() else { break };
            self.step(now, log, &name);
        }
        steps > 0
    }

    /// Lets one consumer decide what it delivers now.
    fn step(&mut self, now: Now, log: LogId, name: &str) {
        let Some(cell) = self.cells.get_mut(&log) else { return };
        let (Body::Warm(stream), Some(seat)) = (&cell.body, cell.consumers.get_mut(name)) else { return };
        seat.is_due = false;
        let SeatState::Live(consumer) = &mut seat.state else { return };
        if seat.is_reading {
            return;
        }
        let (mut actions, tenant, out) = (Vec::new(), cell.tenant, &self.out);
        consumer.step(now, &**stream, &mut |to| out.hears(tenant, to), DELIVERIES_MAX, &mut actions);
        if consumer.is_unheard() {
            self.unheard.push((log, name.into()));
        }
        let seqs: Vec<u64> = actions.iter().filter_map(delivered_seq).collect();
        if seqs.is_empty() {
            self.settle(now, log, name);
            self.delivered(now, log, name, actions, Vec::new());
        } else {
            seat.is_reading = true;
            self.out.read(log, seqs, Reading::Deliver { log, consumer: name.into(), actions });
            self.settle(now, log, name);
        }
    }

    /// Writes down what changed in a consumer, and when it wants to be stepped again.
    pub(crate) fn settle(&mut self, _now: Now, log: LogId, name: &str) {
        let Some(cell) = self.cells.get_mut(&log) else { return };
        let Some(seat) = cell.consumers.get_mut(name) else { return };
        let Seat { state: SeatState::Live(consumer), wakes_at, is_dirty, .. } = seat else { return };
        if let Some(delta) = consumer.take_delta()
            && !cell.log.is_volatile()
            && !consumer.config().mem_storage
        {
            *is_dirty = true;
            self.out.append(Entry::Delta(consumer_key(log, name), delta));
        }
        let at = consumer.next_wake();
        if at != *wakes_at {
            self.timers.move_mono(Timer::Consumer(log, name.into()), *wakes_at, at);
            *wakes_at = at;
        }
    }

    /// Carries out what a consumer decided, with the messages that it delivers.
    pub(crate) fn delivered(
        &mut self,
        now: Now,
        log: LogId,
        name: &str,
        actions: Vec<Action>,
        records: Vec<Option<Record>>,
    ) {
        let Some(cell) = self.cells.get_mut(&log) else { return };
        let (tenant, stream_name) = (cell.tenant, cell.name.clone());
        let Some(seat) = cell.consumers.get_mut(name) else { return };
        if std::mem::take(&mut seat.is_reading) && !seat.is_due {
            seat.is_due = true;
            self.due.push_back((log, name.into()));
        }
        let (mut records, mut reply, mut block) = (records.into_iter(), Vec::new(), Vec::new());
        for action in actions {
            match action {
                Action::Deliver(delivery) => {
                    // Deleted since: the consumer notices by itself when the lease ends.
                    let Some(Some(record)) = records.next() else { continue };
                    reply.clear();
                    write_reply(&mut reply, &stream_name, name, &delivery, &record);
                    let m = message(&delivery, &record, &reply, &mut block);
                    self.out.send(tenant, &delivery.to, &m);
                }
                Action::Status { to, status } => {
                    let (headers, reply) = (status.block(), status.reply());
                    let m = Msg { subject: &to, reply: &reply, headers: &headers, ..Msg::default() };
                    self.out.say(tenant, &m);
                }
                Action::Done(seqs) => self.done(log, seqs),
                Action::Advisory(advisory) => api::advise_consumer(self, now, log, name, &advisory),
                Action::Gone => self.remove_consumer(now, log, name),
            }
        }
    }

    /// A consumer needs messages no longer: they go, if the stream keeps them for nobody else.
    fn done(&mut self, log: LogId, seqs: std::ops::RangeInclusive<u64>) {
        let Some(cell) = self.cells.get_mut(&log) else { return };
        let Body::Warm(stream) = &mut cell.body else { return };
        let mut changes = Changes::default();
        for seq in seqs {
            let is_wanted = || {
                cell.consumers.values().any(|seat| match &seat.state {
                    SeatState::Live(consumer) => consumer.needs(seq, &**stream),
                    SeatState::Kept(..) => true,
                })
            };
            let goes = match cell.config.retention {
                Retention::Limits => false,
                Retention::WorkQueue => true,
                Retention::Interest => !is_wanted(),
            };
            if goes {
                stream.acknowledged(seq, &mut changes);
            }
        }
        self.removed(log, changes);
    }

    /// An acknowledgement came back.
    pub(crate) fn acknowledged(&mut self, now: Now, arrival: Arrival) {
        let m = arrival.msg();
        let reply = arrival.reply();
        let Some(ack) = ack::Ack::parse(m.subject) else { return api::unheard(&mut self.out, arrival.tenant, &reply) };
        let found = self.find(arrival.tenant, ack.stream);
        let Some(log) = found else { return api::unheard(&mut self.out, arrival.tenant, &reply) };
        let Some(cell) = self.cells.get_mut(&log) else { return };
        let Some(seat) = cell.consumers.get_mut(ack.consumer) else {
            return api::unheard(&mut self.out, arrival.tenant, &reply);
        };
        let SeatState::Live(consumer) = &mut seat.state else { return self.park(log, arrival) };
        let Some(kind) = AckKind::parse(m.payload) else {
            return self.confirm(arrival.tenant, Level::Mem, reply);
        };
        let token = Token { seq: ack.stream_seq, consumer_seq: ack.consumer_seq, deliveries: ack.deliveries };
        let Body::Warm(stream) = &cell.body else { return };
        let (mut actions, level, name) = (Vec::new(), cell.level, ack.consumer.to_owned());
        let is_next = matches!(kind, AckKind::Next(_));
        if let AckKind::Next(pull) = &kind
            && !reply.is_empty()
        {
            let pull = Pull { reply: reply.clone(), ..pull.clone() };
            consumer.pull(now, pull, &mut actions);
        }
        let outcome = consumer.ack(now, token, kind, &**stream, &mut actions);
        self.delivered(now, log, &name, actions, Vec::new());
        self.settle(now, log, &name);
        self.make_due(log, &name);
        match outcome {
            Acked::Stale => {
                api::advise_stale(self, now, log, &name, &token);
                self.refuse_ack(arrival.tenant, &reply);
            }
            _ if is_next => {}
            _ => self.confirm(arrival.tenant, level, reply),
        }
    }

    /// Tells a client that its acknowledgement counts, once that is safe.
    fn confirm(&mut self, tenant: kernel::TenantId, level: Level, reply: Bytes) {
        if !reply.is_empty() {
            self.out.hold(level, Held::Say(Said { tenant, subject: reply, ..Said::default() }));
        }
    }

    /// Tells a client that its lease had ended: its acknowledgement changed nothing.
    fn refuse_ack(&mut self, tenant: kernel::TenantId, reply: &Bytes) {
        self.stale_acks += 1;
        if !reply.is_empty() {
            let payload = format!(
                "-ERR {{\"code\":{},\"name\":\"{}\"}}",
                Code::StaleLease.number(),
                Code::StaleLease.name()
            );
            let headers = format!(
                "NATS/1.0 409 Stale Lease\r\nNp-Code: {}\r\n\r\n",
                Code::StaleLease.number()
            );
            let m = Msg {
                subject: reply,
                headers: headers.as_bytes(),
                payload: payload.as_bytes(),
                ..Msg::default()
            };
            self.out.say(tenant, &m);
        }
    }

    /// A consumer's client says that it keeps up.
    pub(crate) fn flowed(&mut self, now: Now, arrival: &Arrival) {
        let m = arrival.msg();
        let Some(flow) = ack::Flow::parse(m.subject) else { return };
        let Some(log) = self.find(arrival.tenant, flow.stream) else { return };
        let Some(cell) = self.cells.get_mut(&log) else { return };
        let Some(seat) = cell.consumers.get_mut(flow.consumer) else { return };
        if let SeatState::Live(consumer) = &mut seat.state {
            consumer.flowed(now, m.subject);
            let name = flow.consumer.to_owned();
            self.make_due(log, &name);
        }
    }

    /// Looks whether somebody listens now to push consumers that had nobody. True: to some.
    pub(crate) fn look_for_listeners(&mut self) -> bool {
        let mut found = false;
        for (log, name) in std::mem::take(&mut self.unheard) {
            let Some(cell) = self.cells.get(&log) else { continue };
            let Some(seat) = cell.consumers.get(&name) else { continue };
            let SeatState::Live(consumer) = &seat.state else { continue };
            let to = consumer.config().deliver_subject.as_bytes();
            match self.out.hears(cell.tenant, to) {
                true => {
                    found = true;
                    self.make_due(log, &name);
                }
                false => self.unheard.push((log, name)),
            }
        }
        found
    }
}

fn delivered_seq(action: &Action) -> Option<u64> {
    match action {
        Action::Deliver(delivery) => Some(delivery.seq),
        _ => None,
    }
}

/// The subject on which a delivery is acknowledged.
fn write_reply(out: &mut Vec<u8>, stream: &str, consumer: &str, delivery: &Delivery, record: &Record) {
    ack::write(
        out,
        stream,
        consumer,
        delivery.deliveries.into(),
        delivery.seq,
        delivery.consumer_seq,
        record.time_ns,
        delivery.pending,
    );
}

/// A delivery as its receiver sees it.
fn message<'m>(delivery: &Delivery, record: &'m Record, reply: &'m [u8], block: &'m mut Vec<u8>) -> Msg<'m> {
    let whole = Msg {
        subject: record.subject(),
        reply,
        headers: record.headers(),
        payload: record.payload(),
        ..Msg::default()
    };
    if !delivery.headers_only {
        return whole;
    }
    block.clear();
    let own = record.headers();
    block.extend_from_slice(own.strip_suffix(b"\r\n").unwrap_or(b"NATS/1.0\r\n"));
    block.extend_from_slice(format!("Nats-Msg-Size: {}\r\n\r\n", record.payload().len()).as_bytes());
    Msg { headers: block, payload: &[], ..whole }
}
