//! What a consumer remembers across a restart, and what a restart does to it.
//!
//! The state is its place, its leases with what is left of them, what was given up, and reserved consumer sequences.
//! Requests, flow control and pace are not: clients ask again. Time that a lease has left goes on by the wall clock while
//! the process is down; a clock that was put back costs nothing but the rest of the lease.

use std::fmt;

use bytes::Bytes;
use kernel::{Code, Now};
use wire::jetstream::{AckPolicy, ConsumerConfig};

use super::codec::{self, Head, Row, Unreadable, Writer};
use super::leases::{Lease, Spent};
use super::sequence::Sequence;
use super::{Consumer, Home};
use crate::messages::Messages;

const NS_PER_MS: u64 = 1_000_000;

impl Consumer {
    /// The whole state; deltas count from here on. Room that is not used is given back.
    pub fn snapshot(&mut self) -> Bytes {
        self.changed = Vec::new();
        self.leases.shrink();
        self.waiting.shrink();
        self.is_changed = false;
        self.settled.trim();
        let mut rows: Vec<(u64, Row)> = Vec::new();
        rows.extend(self.leases.iter().map(|(seq, lease)| (seq, self.row_of(&lease))));
        let spent = self.leases.iter_spent();
        rows.extend(spent.map(|(seq, s)| (seq, Row::Spent { latest: s.latest, deliveries: s.deliveries })));
        rows.extend(self.settled.iter().map(|(seq, latest)| (seq, Row::Settled { latest })));
        rows.extend(self.backlog.picked.iter().map(|seq| (*seq, Row::Picked)));
        rows.extend(self.backlog.picked_late.iter().map(|(_, seq)| (*seq, Row::Picked)));
        rows.sort_by_key(|(seq, _)| *seq);
        self.sequence.is_told = false;
        let mut writer = Writer::new(false, &self.head());
        self.sequence.is_told = true;
        for (seq, row) in rows {
            writer.row(seq, row);
        }
        writer.finish()
    }

    /// What changed since the last delta or snapshot; `None`: nothing, or the state is not kept.
    pub fn take_delta(&mut self) -> Option<Bytes> {
        if !std::mem::take(&mut self.is_changed) || !self.is_kept {
            return None;
        }
        self.changed.sort_unstable();
        self.changed.dedup();
        let mut writer = Writer::new(true, &self.head());
        self.sequence.is_told = true;
        for &seq in &self.changed {
            let row = match (self.leases.get(seq), self.leases.spent(seq), self.settled.get(seq)) {
                (Some(lease), ..) => self.row_of(&lease),
                (None, Some(spent), _) => Row::Spent { latest: spent.latest, deliveries: spent.deliveries },
                (None, None, Some(latest)) => Row::Settled { latest },
                (None, None, None) => Row::Free,
            };
            writer.row(seq, row);
        }
        self.changed.clear();
        self.settled.trim();
        Some(writer.finish())
    }

    /// Consumer sequences below are reserved by what [`Consumer::snapshot`] or [`Consumer::take_delta`] wrote last. When
    /// that is safe, the caller says so by [`Consumer::safe`]; until then few or no deliveries go beyond what was safe
    /// before.
    pub fn reserved(&self) -> u64 {
        self.sequence.reserved
    }

    /// Of what was kept back it was given something that was due then, in milliseconds since 1970: for
    /// [`Stream::raise_released`](crate::stream::Stream::raise_released) after a restart.
    pub fn released_ms(&self) -> u64 {
        self.backlog.places().map_or(0, |places| places.due.iter().map(|due| due.0).max().unwrap_or(0))
    }

    /// What was written when [`Consumer::reserved`] gave this number survives a crash now.
    pub fn safe(&mut self, reserved: u64) {
        self.sequence.safe(reserved);
    }

    /// A consumer as a snapshot left it; the deltas written since follow by [`Consumer::apply_delta`]. The
    /// first step lets go of messages that the stream no longer has.
    pub fn restore(
        config: ConsumerConfig,
        home: Home<'_>,
        snapshot: &[u8],
        messages: &(impl Messages + ?Sized),
        now: Now,
    ) -> Result<Consumer, NotRestored> {
        let mut consumer = Consumer::empty(config, home, messages, now).map_err(NotRestored::Config)?;
        let picked = consumer.read(snapshot, false).map_err(NotRestored::State)?;
        consumer.backlog.pick(picked, messages);
        consumer.is_restored = true;
        Ok(consumer)
    }

    /// Changes the state as a delta says; deltas come in the order they were taken.
    pub fn apply_delta(&mut self, now: Now, delta: &[u8]) -> Result<(), Unreadable> {
        self.now = now;
        self.read(delta, true).map(drop)
    }

    /// Takes a snapshot or delta, and gives what is picked.
    fn read(&mut self, bytes: &[u8], is_delta: bool) -> Result<Vec<u64>, Unreadable> {
        let mut picked = Vec::new();
        let mut rows = Vec::new();
        let head = codec::read(bytes, is_delta, |seq, row| rows.push((seq, row)))?;
        let passed_ms = self.now.wall_ms.saturating_sub(head.wall_ms);
        let now_ns = self.now.mono_ns;
        let due_ns =
            |due_ms: u64| now_ns.saturating_add(due_ms.saturating_sub(passed_ms).saturating_mul(NS_PER_MS));
        for (seq, row) in rows {
            self.leases.forget(seq);
            if is_delta && self.backlog.is_ordering {
                self.backlog.unpick(seq);
            }
            match row {
                Row::Free => {}
                Row::First { latest, due_ms } => {
                    let due_ns = due_ns(due_ms);
                    self.leases.put(
                        seq,
                        Lease { first: latest, latest, due_ns, deliveries: 1, queued: false, urgent: false },
                    );
                }
                Row::Again { first, latest, due_ms, deliveries } => {
                    let due_ns = due_ns(due_ms);
                    self.leases
                        .put(seq, Lease { first, latest, due_ns, deliveries, queued: false, urgent: false });
                }
                Row::Spent { latest, deliveries } => self.leases.put_spent(seq, Spent { latest, deliveries }),
                Row::Settled { latest } => self.settled.insert(seq, latest),
                Row::Picked => picked.push(seq),
            }
        }
        self.settled.trim();
        self.settled.unknown_to = self.settled.unknown_to.max(head.settled_unknown_to);
        self.delivered = head.delivered;
        self.leases.floor = head.floor;
        (self.delivered_ms, self.acked_ms) = (head.delivered_ms, head.acked_ms);
        self.backlog.place(head.next, head.places);
        if is_delta && !self.backlog.is_ordering {
            let delivered = head.delivered.stream;
            self.backlog.picked.retain(|seq| *seq > delivered);
        }
        self.backlog.recount();
        let is_leasing = self.config.ack_policy != AckPolicy::None;
        let earlier = head.forgotten.unwrap_or_else(|| self.sequence.take_earlier());
        let is_kept = self.is_kept && is_leasing;
        let (sequence, unknown_to) =
            Sequence::restored(head.delivered.consumer, head.reserved, is_kept, earlier);
        self.sequence = sequence;
        self.settled.unknown_to = self.settled.unknown_to.max(unknown_to);
        picked.reverse();
        Ok(picked)
    }

    fn head(&self) -> Head {
        let is_reserving = self.sequence.reserved != u64::MAX;
        Head {
            wall_ms: self.now.wall_ms,
            next: self.backlog.next,
            delivered: self.delivered,
            floor: self.leases.floor,
            reserved: if is_reserving { self.sequence.reserved } else { 0 },
            settled_unknown_to: self.settled.unknown_to,
            delivered_ms: self.delivered_ms,
            acked_ms: self.acked_ms,
            places: self.backlog.places(),
            forgotten: (!self.sequence.is_told).then(|| self.sequence.all_forgotten()),
        }
    }

    fn row_of(&self, lease: &Lease) -> Row {
        let left_ns = if lease.queued { 0 } else { lease.due_ns.saturating_sub(self.now.mono_ns) };
        let due_ms = left_ns.div_ceil(NS_PER_MS);
        match *lease {
            Lease { first, latest, deliveries: 1, .. } if first == latest => Row::First { latest, due_ms },
            Lease { first, latest, deliveries, .. } => Row::Again { first, latest, due_ms, deliveries },
        }
    }
}

/// Why a consumer cannot be what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRestored {
    /// Its configuration is not one that was ever accepted.
    Config(Code),
    /// Its state cannot be read.
    State(Unreadable),
}

impl fmt::Display for NotRestored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotRestored::Config(code) => write!(f, "its configuration cannot be used: {code}"),
            NotRestored::State(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for NotRestored {}
