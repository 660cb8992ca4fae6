//! The messages that were delivered and not acknowledged: who has a lease on which, until when, and which are to be
//! delivered again. It does *not* decide whether there is demand.

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;

use super::due::Due;
use super::ring::Ring;

/// A delivered message that nobody has acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lease {
    /// Its first delivery: places it in the consumer's order.
    pub(super) first: u64,
    /// Its latest delivery, the only one that can be acknowledged.
    pub(super) latest: u64,
    /// When the lease ends, in monotonic nanoseconds.
    pub(super) due_ns: u64,
    /// How often it was delivered.
    pub(super) deliveries: u32,
    /// Whether the lease has ended and the message waits to be delivered again.
    pub(super) queued: bool,
    /// Whether nothing may come before it when it is delivered again.
    pub(super) urgent: bool,
}

/// A message that had its last delivery and was not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spent {
    pub(super) latest: u64,
    pub(super) deliveries: u32,
}

/// A place in both orders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) consumer: u64,
    pub(super) stream: u64,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Leases {
    held: Ring,
    spent: BTreeMap<u64, Spent>,
    due: Due,
    /// What to deliver again, in order; may name some that are no longer queued.
    again: VecDeque<u64>,
    /// The same for what is urgent.
    urgent: VecDeque<u64>,
    queued: usize,
    redelivered: usize,
    /// Everything up to here is acknowledged.
    pub(super) floor: Pair,
}

impl Leases {
    /// None, with hashes seeded by `seed`.
    pub(super) fn new(seed: u64) -> Leases {
        Leases {
            held: Ring::new(seed),
            spent: BTreeMap::new(),
            due: Due::default(),
            again: VecDeque::new(),
            urgent: VecDeque::new(),
            queued: 0,
            redelivered: 0,
            floor: Pair::default(),
        }
    }

    /// Messages that were delivered and neither acknowledged nor given up.
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    /// Messages that wait to be delivered again.
    pub(super) fn queued(&self) -> usize {
        self.queued
    }

    /// Messages delivered more than once or given up, that are not acknowledged.
    pub(super) fn redelivered(&self) -> usize {
        self.redelivered + self.spent.len()
    }

    pub(super) fn get(&self, seq: u64) -> Option<Lease> {
        self.held.get(seq).copied()
    }

    pub(super) fn spent(&self, seq: u64) -> Option<Spent> {
        self.spent.get(&seq).copied()
    }

    /// Whether a message was delivered and is not acknowledged.
    pub(super) fn contains(&self, seq: u64) -> bool {
        self.held.get(seq).is_some() || self.spent.contains_key(&seq)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, Lease)> {
        self.held.iter()
    }

    pub(super) fn iter_spent(&self) -> impl Iterator<Item = (u64, Spent)> {
        self.spent.iter().map(|(seq, spent)| (*seq, *spent))
    }

    /// Messages of a range that were delivered and are not acknowledged.
    pub(super) fn within(&self, range: RangeInclusive<u64>) -> Vec<u64> {
        let end = *range.end();
        let held = self.held.from(*range.start()).map(|(seq, _)| seq).take_while(|seq| *seq <= end);
        held.chain(self.spent.range(range).map(|(seq, _)| *seq)).collect()
    }

    /// Those that an acknowledgement of everything up to `seq` covers: all with no delivery later than `latest`.
    pub(super) fn covered(&self, seq: u64, latest: u64) -> Vec<u64> {
        let until = self.held.iter().take_while(|(at, _)| *at <= seq);
        let held = until.filter(|(_, lease)| lease.latest <= latest).map(|(at, _)| at);
        let spent = self.spent.range(..=seq).filter(|(_, spent)| spent.latest <= latest).map(|(seq, _)| *seq);
        let mut all: Vec<u64> = held.chain(spent).collect();
        all.sort_unstable();
        all
    }

    /// A message is leased, as it is given: for the first time, again, or anew after a restart.
    pub(super) fn put(&mut self, seq: u64, lease: Lease) {
        if let Some(old) = self.held.insert(seq, lease) {
            self.discount(old);
        }
        self.redelivered += usize::from(lease.deliveries > 1);
        match lease.queued {
            true => self.enqueue(seq),
            false => self.watch(lease.due_ns, seq),
        }
    }

    /// Another end for a lease, or for a message that waits already: it is leased again.
    pub(super) fn extend(&mut self, seq: u64, due_ns: u64) {
        if let Some(lease) = self.held.get_mut(seq) {
            self.queued -= usize::from(std::mem::take(&mut lease.queued));
            lease.due_ns = due_ns;
            self.watch(due_ns, seq);
        }
    }

    /// The message is to be delivered again as soon as there is demand.
    pub(super) fn queue(&mut self, seq: u64) {
        if let Some(lease) = self.held.get_mut(seq)
            && !std::mem::replace(&mut lease.queued, true)
        {
            self.enqueue(seq);
        }
    }

    /// A message that is no longer waited for: acknowledged or gone. True: it was there. Moves the floor up when it was
    /// the lowest; `end` is what was delivered last.
    pub(super) fn remove(&mut self, seq: u64, end: Pair) -> bool {
        match self.take_out(seq) {
            Some(_) => {
                self.raise(seq, end);
                true
            }
            None => self.spent.remove(&seq).is_some(),
        }
    }

    /// The message had its last delivery: it is kept, but never delivered again. The floor stays.
    pub(super) fn spend(&mut self, seq: u64) {
        if let Some(lease) = self.take_out(seq) {
            self.put_spent(seq, Spent { latest: lease.latest, deliveries: lease.deliveries });
        }
    }

    /// As [`Leases::spend`] left it.
    pub(super) fn put_spent(&mut self, seq: u64, spent: Spent) {
        self.take_out(seq);
        self.spent.insert(seq, spent);
    }

    /// Removes a message without moving the floor.
    pub(super) fn forget(&mut self, seq: u64) {
        self.take_out(seq);
        self.spent.remove(&seq);
    }

    /// The next message to deliver again, without taking it: delivering it puts it anew.
    pub(super) fn next_again(&mut self) -> Option<u64> {
        for (line, urgent) in [(&mut self.urgent, true), (&mut self.again, false)] {
            while let Some(&seq) = line.front() {
                if self.held.get(seq).is_some_and(|lease| lease.queued && lease.urgent == urgent) {
                    return Some(seq);
                }
                line.pop_front();
            }
        }
        None
    }

    /// Whether what [`Leases::next_again`] gave is urgent.
    pub(super) fn is_next_urgent(&self) -> bool {
        !self.urgent.is_empty()
    }

    /// After a restart: which leases are urgent.
    pub(super) fn find_urgent(&mut self, is_urgent: impl Fn(u64) -> bool) {
        let found: Vec<u64> = self.held.iter().map(|(seq, _)| seq).filter(|seq| is_urgent(*seq)).collect();
        for seq in found {
            if let Some(lease) = self.held.get_mut(seq)
                && !std::mem::replace(&mut lease.urgent, true)
                && lease.queued
            {
                self.urgent.push_back(seq);
            }
        }
    }

    /// The next lease that has ended by `now_ns`, which is to be queued, extended or removed.
    pub(super) fn ended(&mut self, now_ns: u64) -> Option<u64> {
        let held = &self.held;
        self.due.pop(now_ns, |at, seq| is_live(held, at, seq))
    }

    /// When to ask [`Leases::ended`] again; may be too early, never too late.
    pub(super) fn wake(&self) -> Option<u64> {
        self.due.wake()
    }

    /// When the last lease ends.
    pub(super) fn last_due(&self) -> u64 {
        self.held.iter().map(|(_, lease)| lease.due_ns).max().unwrap_or(0)
    }

    fn take_out(&mut self, seq: u64) -> Option<Lease> {
        let lease = self.held.remove(seq)?;
        self.discount(lease);
        Some(lease)
    }

    fn discount(&mut self, lease: Lease) {
        self.queued -= usize::from(lease.queued);
        self.redelivered -= usize::from(lease.deliveries > 1);
    }

    fn raise(&mut self, seq: u64, end: Pair) {
        match self.held.first() {
            None => self.floor = Pair { stream: end.stream.max(self.floor.stream), ..end },
            Some((lowest, lease)) if lowest > seq => {
                // Where something was overtaken, messages further down may still be to deliver.
                let stream = (lowest - 1).min(end.stream).max(self.floor.stream);
                let consumer = (lease.first - 1).max(self.floor.consumer);
                self.floor = Pair { consumer, stream };
            }
            Some(_) => {}
        }
    }

    fn enqueue(&mut self, seq: u64) {
        self.queued += 1;
        let held = &self.held;
        let is_urgent = held.get(seq).is_some_and(|lease| lease.urgent);
        let line = if is_urgent { &mut self.urgent } else { &mut self.again };
        line.push_back(seq);
        if line.len() > 2 * self.queued + 64 {
            // A message may have been queued, taken out and queued once more: its later place counts.
            let mut seen = std::collections::BTreeSet::new();
            let mut kept: VecDeque<u64> = VecDeque::with_capacity(self.queued);
            for &seq in line.iter().rev() {
                if held.get(seq).is_some_and(|lease| lease.queued) && seen.insert(seq) {
                    kept.push_front(seq);
                }
            }
            *line = kept;
        }
    }

    fn watch(&mut self, due_ns: u64, seq: u64) {
        let held = &self.held;
        self.due.push(due_ns, seq, held.len(), |at, seq| is_live(held, at, seq));
    }

    /// Gives back room that is not used.
    pub(super) fn shrink(&mut self) {
        let held = &self.held;
        self.due.shrink(|at, seq| is_live(held, at, seq));
        for line in [&mut self.again, &mut self.urgent] {
            line.retain(|seq| held.get(*seq).is_some_and(|lease| lease.queued));
            line.shrink_to_fit();
        }
        self.held.shrink();
    }
}

/// Whether a lease on `seq` ends at that moment.
fn is_live(held: &Ring, at_ns: u64, seq: u64) -> bool {
    held.get(seq).is_some_and(|lease| !lease.queued && lease.due_ns == at_ns)
}
