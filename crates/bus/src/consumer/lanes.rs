//! The four cursors of a consumer: what it has still to deliver for the first time, when messages have priorities or are
//! kept back. Messages of one priority are given out in one order, so that a place in it says which of them were; no
//! list of what was overtaken is kept, however long it gets. What is kept back has an order of its own, by when it is
//! due, and a second place for each priority.
//!
//! It is made when a stream first has such a message for the consumer, and dropped when everything is delivered.

use kernel::Priority;

use super::filter::Filter;
use crate::marked::{Due, Mark, Marked};
use crate::messages::Messages;

/// How long a low or normal message waits before it moves up by one priority, at most to high.
pub(super) const AGEING_MS: u64 = 60_000;
const NS_PER_MS: u64 = 1_000_000;
const NORMAL: usize = Priority::Normal as usize;

/// What is remembered of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Places {
    /// No message in front of this one is this consumer's.
    pub(super) first: u64,
    /// Where to look next, by priority, among what is not kept back.
    pub(super) next: [u64; 4],
    /// The last one taken, by priority, of what was kept back.
    pub(super) due: [Due; 4],
}

impl Places {
    /// Whether a message is still to be delivered for the first time.
    pub(super) fn holds(&self, seq: u64, mark: Mark) -> bool {
        let at = mark.priority as usize;
        match mark.due_ms {
            _ if seq < self.first => false,
            0 => seq >= self.next[at],
            due_ms => (due_ms, seq) > self.due[at],
        }
    }
}

/// A message that could be next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) seq: u64,
    pub(super) mark: Mark,
    /// Since when it waits, in nanoseconds since 1970.
    since_ns: u64,
}

impl Head {
    pub(super) fn new(seq: u64, mark: Mark, time_ns: u64) -> Head {
        let since_ns = if mark.due_ms > 0 { mark.due_ms.saturating_mul(NS_PER_MS) } else { time_ns };
        Head { seq, mark, since_ns }
    }

    /// The lowest comes first: by priority, as waiting has raised it, then by how long it waits.
    pub(super) fn order(&self, wall_ms: u64) -> (u64, u64, u64) {
        let high = Priority::High as u64;
        let own = self.mark.priority as u64;
        let waited_ms = wall_ms.saturating_sub(self.since_ns / NS_PER_MS);
        let raised = own.saturating_sub(waited_ms / AGEING_MS).max(high.min(own));
        (raised, self.since_ns, self.seq)
    }
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Lanes {
    pub(super) places: Places,
    /// Nothing that is heard stands between a place and here: found out by looking, and not remembered.
    looked: [u64; 4],
    looked_due: [Due; 4],
    /// Everything in front of this one that was kept back is delivered.
    looked_late: u64,
}

impl Lanes {
    /// Of a consumer that has delivered everything in front of `next`, and nothing behind.
    pub(super) fn begin(next: u64) -> Lanes {
        Lanes::at(Places { first: next, next: [next; 4], due: [(0, 0); 4] })
    }

    /// As it was.
    pub(super) fn at(places: Places) -> Lanes {
        Lanes { places, ..Lanes::default() }
    }

    /// Another filter: what was not heard may be.
    pub(super) fn look_again(&mut self) {
        *self = Lanes::at(self.places);
    }

    /// The message whose turn it is. `Err`: none; true: and none is kept back either, so that everything is delivered.
    pub(super) fn peek(
        &mut self,
        wall_ms: u64,
        filter: &mut Filter,
        messages: &(impl Messages + ?Sized),
        marked: &Marked,
    ) -> Result<Head, bool> {
        let (mut best, mut waits) = (None::<Head>, false);
        let mut offer = |head: Head| {
            if best.is_none_or(|best| head.order(wall_ms) < best.order(wall_ms)) {
                best = Some(head);
            }
        };
        for priority in Priority::ALL {
            match priority {
                Priority::Normal => self.look_normal(filter, messages),
                _ => self.look(priority, filter, messages, marked),
            }
            .map(&mut offer);
            match self.look_due(priority, filter, messages, marked) {
                Ok(head) => offer(head),
                Err(is_kept_back) => waits |= is_kept_back,
            }
        }
        self.look_late(filter, messages, marked);
        best.ok_or(!waits)
    }

    /// It was taken.
    pub(super) fn take(&mut self, seq: u64, mark: Mark) {
        let at = mark.priority as usize;
        match mark.due_ms {
            0 => self.places.next[at] = seq + 1,
            due_ms => self.places.due[at] = (due_ms, seq),
        }
    }

    /// Nothing up to here is still to be delivered, as far as was looked.
    pub(super) fn looked_to(&self) -> u64 {
        let next = self.places.next.iter().zip(&self.looked).map(|(next, looked)| *next.max(looked));
        next.chain([self.looked_late.max(self.places.first)]).min().unwrap_or(0).saturating_sub(1)
    }

    /// How many messages wait for their first delivery.
    pub(super) fn count(
        &self,
        filter: &mut Filter,
        messages: &(impl Messages + ?Sized),
        marked: &Marked,
    ) -> u64 {
        let (next, last) = (self.places.next[NORMAL], messages.last());
        let mut count = match filter.is_all() {
            _ if next > last => 0,
            true => messages.count(next, None),
            false => messages.count(next, Some(&mut |_, s| filter.hears(s))),
        };
        // Among these are some that have a mark: what these say counts instead.
        for (seq, mark) in marked.from(self.places.first.min(next)).filter(|(seq, _)| *seq <= last) {
            let Some(row) = messages.row(seq).filter(|row| filter.hears(messages.subject(row.subject)))
            else {
                continue;
            };
            debug_assert_eq!(row.mark, mark);
            count = count + u64::from(self.places.holds(seq, mark)) - u64::from(seq >= next);
        }
        count
    }

    fn look_normal(&mut self, filter: &mut Filter, messages: &(impl Messages + ?Sized)) -> Option<Head> {
        let mut from = self.places.next[NORMAL].max(self.looked[NORMAL]);
        while let Some(seq) = messages.next(from, &mut |_, s| filter.hears(s)) {
            self.looked[NORMAL] = seq;
            match messages.row(seq) {
                Some(row) if !row.mark.is_some() => return Some(Head::new(seq, row.mark, row.time_ns)),
                _ => from = seq + 1,
            }
        }
        self.looked[NORMAL] = from.max(messages.last() + 1);
        None
    }

    fn look(
        &mut self,
        priority: Priority,
        filter: &mut Filter,
        messages: &(impl Messages + ?Sized),
        marked: &Marked,
    ) -> Option<Head> {
        let at = priority as usize;
        let mut from = self.places.next[at].max(self.looked[at]);
        while let Some(seq) = marked.next(priority, from).filter(|seq| *seq <= messages.last()) {
            self.looked[at] = seq;
            match messages.row(seq) {
                Some(row) if filter.hears(messages.subject(row.subject)) => {
                    return Some(Head::new(seq, row.mark, row.time_ns));
                }
                _ => from = seq + 1,
            }
        }
        self.looked[at] = from.max(messages.last() + 1);
        None
    }

    /// `Err`: none is due; true: one is kept back still.
    fn look_due(
        &mut self,
        priority: Priority,
        filter: &mut Filter,
        messages: &(impl Messages + ?Sized),
        marked: &Marked,
    ) -> Result<Head, bool> {
        let at = priority as usize;
        let mut after = self.places.due[at].max(self.looked_due[at]);
        while let Some(due @ (due_ms, seq)) = marked.next_due(priority, after) {
            // One that is not visible yet holds back those behind it: a place in this order passes nothing over.
            if due_ms > messages.released_ms() || seq > messages.last() {
                return Err(true);
            }
            match messages.row(seq) {
                Some(row) if seq >= self.places.first && filter.hears(messages.subject(row.subject)) => {
                    return Ok(Head::new(seq, row.mark, row.time_ns));
                }
                _ => (after, self.looked_due[at]) = (due, due),
            }
        }
        Err(false)
    }

    /// Finds the first that is kept back and not delivered.
    fn look_late(&mut self, filter: &mut Filter, messages: &(impl Messages + ?Sized), marked: &Marked) {
        let mut from = self.places.first.max(self.looked_late);
        while let Some((seq, _)) = marked.next_late(from).filter(|(seq, _)| *seq <= messages.last()) {
            self.looked_late = seq;
            let Some(row) = messages.row(seq) else { return };
            if filter.hears(messages.subject(row.subject)) && self.places.holds(seq, row.mark) {
                return;
            }
            from = seq + 1;
        }
        self.looked_late = from.max(messages.last() + 1);
    }
}
