//! Consumers at work: they are stepped when something changed for them, and what changed in them is written down. What
//! they decided is carried out in `deliver`; what their clients answer comes in by `acked`.

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;

use bus::consumer::{Action, Home};
use bus::marked::Mark;
use bus::messages::Messages;
use bus::stream::{Changes, Stream};
use kernel::journal::Level;
use kernel::{Entry, LogId, Now};
use wire::jetstream::Retention;

use super::Plane;
use super::cell::{Body, Cell, Seat, SeatId, SeatState, consumer_key};
use super::out::Held;
use super::reading::Reading;
use super::timers::Timer;

/// Most deliveries of one consumer in one step: what is read and said together.
const DELIVERIES_MAX: usize = 512;
/// Most steps of consumers in one turn, so that publishers and calls get theirs.
const STEPS_MAX: usize = 256;

impl Plane {
    /// Every consumer of a stream may have something to deliver.
    pub(crate) fn make_all_due(cell: &mut Cell, due: &mut VecDeque<SeatId>) {
        for (name, seat) in &mut cell.consumers {
            if !std::mem::replace(&mut seat.is_due, true) {
                due.push_back(seat.id(cell.log, name));
            }
        }
    }

    /// A consumer may have something to deliver.
    pub(crate) fn make_due(&mut self, log: LogId, name: &str) {
        let Some(cell) = self.cells.get_mut(&log) else { return };
        if matches!(cell.body, Body::Cold(_)) {
            return self.warm(log);
        }
        if let Some(seat) = cell.consumers.get_mut(name)
            && !std::mem::replace(&mut seat.is_due, true)
        {
            self.due.push_back(seat.id(log, name));
        }
    }

    /// Steps the consumers that are due. True: some were.
    pub(crate) fn consume(&mut self, now: Now) -> bool {
        let steps = self.due.len().min(STEPS_MAX);
        for _ in 0..steps {
            let Some(id) = self.due.pop_front() else { break };
            self.step(now, id);
        }
        steps > 0
    }

    /// Lets one consumer decide what it delivers now.
    fn step(&mut self, now: Now, id: SeatId) {
        let Some(cell) = self.cells.get_mut(&id.log) else { return };
        let is_warm = matches!(cell.body, Body::Warm(_));
        let Some(seat) = cell.seat(&id) else { return };
        seat.is_due = false;
        if seat.is_reading || !is_warm {
            return;
        }
        if seat.is_unwatched() {
            self.watch(&id);
        }
        let Some(cell) = self.cells.get_mut(&id.log) else { return };
        let (Body::Warm(stream), Some(seat)) = (&cell.body, cell.consumers.get_mut(&id.name)) else { return };
        let SeatState::Live(consumer) = &mut seat.state else { return };
        let (mut actions, tenant, out) = (Vec::new(), cell.tenant, &self.out);
        let group = consumer.config().deliver_group.clone();
        let mut hears = |to: &[u8]| out.hears_in(tenant, to, &group);
        let is_more = consumer.step(now, &**stream, &mut hears, DELIVERIES_MAX, &mut actions);
        let seqs: Vec<u64> = actions.iter().filter_map(delivered_seq).collect();
        if is_more {
            seat.is_due = true;
            self.due.push_back(id.clone());
        }
        if seqs.is_empty() {
            self.act(now, id.log, &id.name, actions, Vec::new());
        } else {
            seat.is_reading = true;
            self.out.read(id.log, seqs, Reading::Deliver { seat: id.clone(), actions });
        }
        self.settle(id.log, &id.name);
    }

    /// Writes down what changed in a consumer, and when it wants to be stepped again.
    pub(crate) fn settle(&mut self, log: LogId, name: &str) {
        let Some(cell) = self.cells.get_mut(&log) else { return };
        let Some(seat) = cell.consumers.get_mut(name) else { return };
        let SeatState::Live(consumer) = &mut seat.state else { return };
        let (delta, reserved, at) = (consumer.take_delta(), consumer.reserved(), consumer.next_wake());
        if let Some(delta) = delta {
            seat.is_dirty = true;
            self.out.append(Entry::Delta(consumer_key(log, name), delta));
            if std::mem::replace(&mut seat.reserved, reserved) != reserved {
                self.out.hold(Level::Disk, Held::Reserved { seat: seat.id(log, name), reserved });
            }
        }
        let before = std::mem::replace(&mut seat.wakes_at, at);
        if at != before {
            self.timers.move_mono(Timer::Consumer(seat.id(log, name)), before, at);
        }
    }

    /// What a consumer reserved is safe.
    pub(crate) fn reserved(&mut self, id: &SeatId, reserved: u64) {
        if let Some(Seat { state: SeatState::Live(consumer), .. }) = self.seat(id) {
            consumer.safe(reserved);
            self.make_due(id.log, &id.name);
        }
    }

    /// A consumer needs messages no longer: they go, if the stream keeps them for nobody else.
    pub(crate) fn done(&mut self, now: Now, log: LogId, seqs: RangeInclusive<u64>) {
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
                    is_heard |= by_interest && consumer.needs(seq, row.mark, subject);
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
    pub(crate) fn cleared(
        &mut self,
        now: Now,
        log: LogId,
        removed: &[RangeInclusive<u64>],
        unmarked: &[(u64, Mark)],
    ) {
        let Some(cell) = self.cells.get_mut(&log) else { return };
        let Body::Warm(stream) = &cell.body else { return };
        let mut all = Vec::new();
        for (name, seat) in &mut cell.consumers {
            let SeatState::Live(consumer) = &mut seat.state else { continue };
            let mut actions = Vec::new();
            for range in removed {
                consumer.cleared(range.clone(), unmarked, &**stream, &mut actions);
            }
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
}

pub(crate) fn delivered_seq(action: &Action) -> Option<u64> {
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
pub(crate) fn is_wanted(consumers: &mut BTreeMap<Box<str>, Seat>, stream: &Stream, seq: u64) -> bool {
    let Some(row) = stream.row(seq) else { return false };
    let subject = stream.subject(row.subject);
    consumers.values_mut().any(|seat| match &mut seat.state {
        SeatState::Live(consumer) => consumer.needs(seq, row.mark, subject),
        SeatState::Kept(..) => true,
    })
}
