//! Consumers at work: they are stepped when something changed for them, what they want delivered is read and said, and
//! acknowledgements come back to them.

use std::collections::{BTreeMap, VecDeque};

use bus::consumer::{Ack, Acked, Action, Delivery, Home, Token};
use bus::messages::Messages;
use bus::stream::{Changes, Stream};
use bytes::Bytes;
use kernel::journal::Level;
use kernel::{Code, Entry, LogId, Msg, Now, Record, TenantId};
use wire::jetstream::{self as js, Retention, ack};

use super::cell::{Body, Cell, Seat, SeatState, consumer_key};
use super::inbox::Arrival;
use super::out::{Held, Said};
use super::reading::Reading;
use super::timers::Timer;
use super::{Plane, api, count};

/// Most deliveries of one consumer in one step: what is read and said together.
const DELIVERIES_MAX: usize = 512;
/// Tokens of a subject that acknowledges a delivery.
const ACK_TOKENS: usize = 9;
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
        if let Some((name, seat)) = cell
            .consumers
            .get_key_value(name)
            .map(|(n, _)| n.clone())
            .and_then(|n| cell.consumers.get_mut(&n).map(|seat| (n, seat)))
            && !seat.is_due
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
        let Some(seat) = cell.consumers.get_mut(name) else { return };
        seat.is_due = false;
        let Body::Warm(stream) = &cell.body else { return };
        let SeatState::Live(consumer) = &mut seat.state else { return };
        if seat.is_reading {
            return;
        }
        let (mut actions, tenant, out) = (Vec::new(), cell.tenant, &self.out);
        let group = consumer.config().deliver_group.clone();
        let mut hears = |to: &[u8]| out.hears_in(tenant, to, &group);
        let is_more = consumer.step(now, &**stream, &mut hears, DELIVERIES_MAX, &mut actions);
        if consumer.is_unheard() && !std::mem::replace(&mut seat.is_unheard, true) {
            self.unheard.push((log, name.into()));
        }
        let seqs: Vec<u64> = actions.iter().filter_map(delivered_seq).collect();
        if is_more {
            seat.is_due = true;
            self.due.push_back((log, name.into()));
        }
        if seqs.is_empty() {
            self.act(now, log, name, actions, Vec::new());
        } else {
            seat.is_reading = true;
            self.out.read(log, seqs, Reading::Deliver { log, consumer: name.into(), actions });
        }
        self.settle(log, name);
    }

    /// Writes down what changed in a consumer, and when it wants to be stepped again.
    pub(crate) fn settle(&mut self, log: LogId, name: &str) {
        let Some(cell) = self.cells.get_mut(&log) else { return };
        let Some(seat) = cell.consumers.get_mut(name) else { return };
        let Seat { state: SeatState::Live(consumer), wakes_at, is_dirty, reserved, .. } = seat else {
            return;
        };
        if let Some(delta) = consumer.take_delta() {
            *is_dirty = true;
            self.out.append(Entry::Delta(consumer_key(log, name), delta));
            let now_reserved = consumer.reserved();
            if std::mem::replace(reserved, now_reserved) != now_reserved {
                let held = Held::Reserved { log, consumer: name.into(), reserved: now_reserved };
                self.out.hold(Level::Disk, held);
            }
        }
        let at = consumer.next_wake();
        if at != *wakes_at {
            self.timers.move_mono(Timer::Consumer(log, name.into()), *wakes_at, at);
            *wakes_at = at;
        }
    }

    /// What a consumer reserved counts when it is safe.
    pub(crate) fn hold_reserved(&mut self, log: LogId, name: &str, reserved: u64) {
        self.out.hold(Level::Disk, Held::Reserved { log, consumer: name.into(), reserved });
    }

    /// What a consumer reserved is safe.
    pub(crate) fn reserved(&mut self, log: LogId, name: &str, reserved: u64) {
        let seat = self.cells.get_mut(&log).and_then(|cell| cell.consumers.get_mut(name));
        if let Some(Seat { state: SeatState::Live(consumer), .. }) = seat {
            consumer.safe(reserved);
            self.make_due(log, name);
        }
    }

    /// Messages were read for a consumer's deliveries.
    pub(crate) fn delivered(
        &mut self,
        now: Now,
        log: LogId,
        name: &str,
        actions: Vec<Action>,
        records: Vec<Option<Record>>,
    ) {
        let seat = self.cells.get_mut(&log).and_then(|cell| cell.consumers.get_mut(name));
        let Some(seat) = seat else { return };
        seat.is_reading = false;
        if !std::mem::replace(&mut seat.is_due, true) {
            self.due.push_back((log, name.into()));
        }
        self.act(now, log, name, actions, records);
    }

    /// Carries out what a consumer decided, with the messages that it delivers.
    pub(crate) fn act(
        &mut self,
        now: Now,
        log: LogId,
        name: &str,
        actions: Vec<Action>,
        records: Vec<Option<Record>>,
    ) {
        let Some(cell) = self.cells.get_mut(&log) else { return };
        let (tenant, stream_name) = (cell.tenant, cell.name.clone());
        let group =
            cell.consumers.get(name).map(|seat| seat.config().deliver_group.clone()).unwrap_or_default();
        let (mut records, mut reply, mut block) = (records.into_iter(), Vec::new(), Vec::new());
        let mut unreadable = Vec::new();
        for action in actions {
            match action {
                Action::Deliver(delivery) => {
                    let Some(Some(record)) = records.next() else {
                        let Delivery { seq, consumer_seq, deliveries, .. } = delivery;
                        unreadable.push(Token { seq, consumer_seq, deliveries });
                        continue;
                    };
                    reply.clear();
                    write_reply(&mut reply, &stream_name, name, &delivery, &record);
                    let m = message(&delivery, &record, &reply, &mut block);
                    self.out.send_in(tenant, &delivery.to, &group, &m);
                    count(&self.figures.delivered_total);
                }
                Action::Status { to, status } => {
                    let (headers, reply) = (status.block(), status.reply());
                    let m = Msg { subject: &to, reply: &reply, headers: &headers, ..Msg::default() };
                    self.out.say(tenant, &m);
                }
                Action::Done(seqs) => self.done(now, log, seqs),
                Action::Advisory(advisory) => api::advisory::event(self, now, log, name, &advisory),
                Action::Gone => self.remove_consumer(now, log, name),
            }
        }
        if !unreadable.is_empty() {
            self.give_up(now, log, name, unreadable);
        }
    }

    /// Messages could not be read. Those that were deleted since are forgotten already; a damaged one would be tried again
    /// for ever and keep its place among what is out, so it is terminated, with the advisory that says so.
    fn give_up(&mut self, now: Now, log: LogId, name: &str, unreadable: Vec<Token>) {
        let Some(cell) = self.cells.get_mut(&log) else { return };
        let (Body::Warm(stream), Some(seat)) = (&cell.body, cell.consumers.get_mut(name)) else { return };
        let SeatState::Live(consumer) = &mut seat.state else { return };
        let (mut actions, mut gone) = (Vec::new(), Vec::new());
        for token in unreadable.into_iter().filter(|token| stream.row(token.seq).is_some()) {
            let reason = Bytes::from_static(b"Message cannot be read");
            consumer.ack(now, token, Ack::Terminate { reason }, &mut actions);
            gone.push(token.seq..=token.seq);
        }
        self.act(now, log, name, actions, Vec::new());
        self.settle(log, name);
        self.pass_over(now, log, &gone);
    }

    /// Passes over messages that cannot be read, for as long as the node runs: nobody else is to stumble over them. Nothing
    /// is written down, so that what was only a passing failure of the disk is there again after the next start.
    fn pass_over(&mut self, now: Now, log: LogId, gone: &[std::ops::RangeInclusive<u64>]) {
        let Some(cell) = self.cells.get_mut(&log).filter(|_| !gone.is_empty()) else { return };
        let Body::Warm(stream) = &mut cell.body else { return };
        for seq in gone.iter().cloned().flatten() {
            stream.acknowledged(seq, &mut Changes::default());
            self.trouble
                .push(format!("message {seq} of stream {} cannot be read; it is passed over", cell.name));
        }
        self.cleared(now, log, gone);
    }

    /// A consumer needs messages no longer: they go, if the stream keeps them for nobody else.
    fn done(&mut self, now: Now, log: LogId, seqs: std::ops::RangeInclusive<u64>) {
        let Some(cell) = self.cells.get_mut(&log) else { return };
        let Body::Warm(stream) = &mut cell.body else { return };
        let mut changes = Changes::default();
        for seq in seqs {
            let goes = match cell.config.retention {
                Retention::Limits => false,
                Retention::WorkQueue => true,
                Retention::Interest => !is_wanted(&mut cell.consumers, stream, seq),
            };
            if goes {
                stream.acknowledged(seq, &mut changes);
            }
        }
        self.removed(now, log, changes);
    }

    /// Messages that only a consumer wanted which is gone: they go too.
    pub(crate) fn drop_unwanted(&mut self, now: Now, log: LogId) {
        let Some(cell) = self.cells.get_mut(&log) else { return };
        let Body::Warm(stream) = &mut cell.body else { return };
        if cell.config.retention != Retention::Interest {
            return;
        }
        let (mut changes, mut at) = (Changes::default(), 0);
        while let Some(seq) = stream.next(at, &mut |_, _| true) {
            if !is_wanted(&mut cell.consumers, stream, seq) {
                stream.acknowledged(seq, &mut changes);
            }
            at = seq + 1;
        }
        self.removed(now, log, changes);
    }

    /// Messages became visible: consumers count them, and may deliver them. Those that nobody is interested in go at
    /// once, where the stream keeps them for interest.
    pub(crate) fn stored(&mut self, now: Now, log: LogId, from: u64, to: u64) {
        let Some(cell) = self.cells.get_mut(&log) else { return };
        let Body::Warm(stream) = &mut cell.body else { return };
        let mut changes = Changes::default();
        let by_interest = cell.config.retention == Retention::Interest;
        if cell.consumers.is_empty() && !by_interest {
            return;
        }
        for seq in from..=to {
            let Some(row) = stream.row(seq) else { continue };
            let subject = stream.subject(row.subject);
            let mut is_heard = false;
            for seat in cell.consumers.values_mut() {
                if let SeatState::Live(consumer) = &mut seat.state {
                    consumer.stored(seq, subject);
                    is_heard |= by_interest && consumer.needs(seq, subject);
                }
            }
            if by_interest && !is_heard {
                stream.acknowledged(seq, &mut changes);
            }
        }
        Self::make_all_due(cell, &mut self.due);
        self.removed(now, log, changes);
    }

    /// Messages went: consumers count them no longer, and let go of what they gave out of them.
    pub(crate) fn cleared(&mut self, now: Now, log: LogId, removed: &[std::ops::RangeInclusive<u64>]) {
        let Some(cell) = self.cells.get_mut(&log) else { return };
        let Body::Warm(stream) = &cell.body else { return };
        let mut all = Vec::new();
        for (name, seat) in &mut cell.consumers {
            let SeatState::Live(consumer) = &mut seat.state else { continue };
            let mut actions = Vec::new();
            removed.iter().for_each(|range| consumer.cleared(range.clone(), &**stream, &mut actions));
            // What it is done with is gone already.
            actions.retain(|action| !matches!(action, Action::Done(_)));
            all.push((name.clone(), actions));
        }
        for (name, actions) in all {
            if !actions.is_empty() {
                self.act(now, log, &name, actions, Vec::new());
            }
            self.settle(log, &name);
        }
    }

    /// An acknowledgement came back.
    pub(crate) fn acknowledged(&mut self, now: Now, arrival: Arrival) {
        let (m, reply, tenant) = (arrival.msg(), arrival.reply(), arrival.tenant);
        // Words where numbers belong are passed over; a subject of another form is heard by nobody.
        let Some(delivery) = ack::Delivery::parse(m.subject) else {
            let is_form = m.subject.split(|b| *b == b'.').count() == ACK_TOKENS;
            if !is_form {
                api::unheard(&mut self.out, tenant, &reply, m.subject);
            }
            return;
        };
        let log = self.find(tenant, delivery.stream);
        let cell = log.and_then(|log| self.cells.get_mut(&log));
        let Some((cell, name)) = cell
            .filter(|c| c.consumers.contains_key(delivery.consumer))
            .map(|cell| (cell, delivery.consumer))
        else {
            return api::unheard(&mut self.out, tenant, &reply, m.subject);
        };
        let (log, level, name) = (cell.log, cell.level, name.to_owned());
        let is_warm = matches!(cell.body, Body::Warm(_));
        let Some(Seat { state: SeatState::Live(consumer), .. }) = cell.consumers.get_mut(&*name) else {
            // In a stream that is loaded it could not be restored: nothing can be said to it.
            return match is_warm {
                true => api::unheard(&mut self.out, tenant, &reply, m.subject),
                false => self.park(log, arrival),
            };
        };
        let Some(said) = js::Ack::parse(m.payload) else { return self.confirm(tenant, Level::Mem, reply) };
        let token = Token {
            seq: delivery.stream_seq,
            consumer_seq: delivery.consumer_seq,
            deliveries: delivery.deliveries.try_into().unwrap_or(u32::MAX),
        };
        let (ack, next) = match said {
            js::Ack::Done => (Ack::Done, None),
            js::Ack::Again { delay_ns } => (Ack::Refuse { delay_ns }, None),
            js::Ack::Progress => (Ack::Working, None),
            js::Ack::Never { reason } => (Ack::Terminate { reason: Bytes::copy_from_slice(reason) }, None),
            js::Ack::Next(pull) => (Ack::Done, Some(pull)),
        };
        let mut actions = Vec::new();
        let outcome = consumer.ack(now, token, ack, &mut actions);
        self.act(now, log, &name, actions, Vec::new());
        let is_next = next.is_some();
        if let Some(Some(pull)) = next.filter(|_| !reply.is_empty()) {
            self.pull(now, log, &name, &reply, &pull);
        }
        self.settle(log, &name);
        self.make_due(log, &name);
        match outcome {
            Acked::Accepted | Acked::Already if !is_next => self.confirm(tenant, level, reply),
            Acked::Stale => {
                count(&self.figures.stale_acks_total);
                api::advisory::stale(self, now, log, &name, token);
                self.refuse_ack(tenant, &reply);
            }
            _ => {}
        }
    }

    /// Tells a client that its acknowledgement counts, once that is safe.
    fn confirm(&mut self, tenant: TenantId, level: Level, reply: Bytes) {
        if !reply.is_empty() {
            self.out.hold(level, Held::Say(Said { tenant, subject: reply, ..Said::default() }));
        }
    }

    /// Tells a client that its lease had ended: its acknowledgement changed nothing.
    fn refuse_ack(&mut self, tenant: TenantId, reply: &Bytes) {
        if !reply.is_empty() {
            let payload = format!(
                "-ERR {{\"code\":{},\"name\":\"{}\"}}",
                Code::StaleLease.number(),
                Code::StaleLease.name()
            );
            let headers =
                format!("NATS/1.0 409 Stale Lease\r\nNp-Code: {}\r\n\r\n", Code::StaleLease.number());
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
    pub(crate) fn flowed(&mut self, arrival: &Arrival) {
        let m = arrival.msg();
        let Some(flow) = ack::FlowReply::parse(m.subject) else { return };
        let Some(log) = self.find(arrival.tenant, flow.stream) else { return };
        let seat = self.cells.get_mut(&log).and_then(|cell| cell.consumers.get_mut(flow.consumer));
        if let Some(Seat { state: SeatState::Live(consumer), .. }) = seat
            && consumer.flow(m.subject)
        {
            self.make_due(log, flow.consumer);
        }
    }

    /// Looks whether somebody listens now to push consumers that had nobody. True: to some.
    pub(crate) fn look_for_listeners(&mut self, now: Now) -> bool {
        const LOOK_NS: u64 = 50_000_000;
        if self.unheard.is_empty() || now.mono_ns < self.next_look {
            return false;
        }
        self.next_look = now.mono_ns + LOOK_NS;
        let mut found = false;
        for (log, name) in std::mem::take(&mut self.unheard) {
            let Some(cell) = self.cells.get_mut(&log) else { continue };
            let Some(seat) = cell.consumers.get_mut(&name) else { continue };
            let config = seat.config();
            match self.out.hears_in(cell.tenant, config.deliver_subject.as_bytes(), &config.deliver_group) {
                true => {
                    seat.is_unheard = false;
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

/// What a consumer must know of where it lives.
pub(crate) fn home<'h>(cell: &'h Cell, name: &'h str, is_kept: bool, seed: u64) -> Home<'h> {
    Home {
        stream: &cell.name,
        name,
        retention: cell.config.retention,
        message_bytes_max: u64::try_from(cell.config.max_msg_size).unwrap_or(1 << 20),
        is_kept: is_kept && !cell.log.is_volatile(),
        seed,
    }
}

/// Whether some consumer still wants a message.
fn is_wanted(consumers: &mut BTreeMap<Box<str>, Seat>, stream: &Stream, seq: u64) -> bool {
    let Some(row) = stream.row(seq) else { return false };
    let subject = stream.subject(row.subject);
    consumers.values_mut().any(|seat| match &mut seat.state {
        SeatState::Live(consumer) => consumer.needs(seq, subject),
        SeatState::Kept(..) => true,
    })
}

/// The subject on which a delivery is acknowledged.
fn write_reply(out: &mut Vec<u8>, stream: &str, consumer: &str, delivery: &Delivery, record: &Record) {
    ack::write_head(out, stream, consumer);
    let Delivery { deliveries, seq, consumer_seq, pending, .. } = delivery;
    ack::write_tail(out, [u64::from(*deliveries), *seq, *consumer_seq, record.time_ns, *pending]);
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
