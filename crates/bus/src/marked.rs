//! The messages of a stream that are marked: with a priority, or kept back for a time. It finds the next of each kind
//! without looking at those between. It does *not* know who has which of them already: that is each consumer's.
//!
//! A set of sequences for each priority but normal, and for each priority a set of those that are kept back, by when they
//! are due. About 20 bytes for each message of a priority and 90 for one that is kept back, whether it is due or not;
//! a stream without any has none of this.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};

use kernel::Priority;

/// What a message's place among the undelivered depends on, beside its sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// How soon it is to be delivered.
    pub priority: Priority,
    /// Until when it is kept back, in milliseconds since 1970; 0: it is not.
    pub due_ms: u64,
}

impl Mark {
    /// Of a message that comes in its turn.
    pub const NONE: Mark = Mark { priority: Priority::Normal, due_ms: 0 };

    /// Whether it says anything.
    pub fn is_some(self) -> bool {
        self != Mark::NONE
    }
}

/// A place in the order of those that are kept back: when it is due, and its sequence.
pub type Due = (u64, u64);

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Marked {
    /// Those that are not kept back, by [`Priority`]; of normal ones none is here.
    lines: [BTreeSet<u64>; 4],
    /// Those that are kept back, or were.
    late: [BTreeSet<Due>; 4],
    /// When each of them is due.
    due: BTreeMap<u64, u64>,
}

impl Marked {
    /// Adds a message; one without a mark is passed over.
    pub fn add(&mut self, seq: u64, mark: Mark) {
        let at = mark.priority as usize;
        if mark.due_ms > 0 {
            self.late[at].insert((mark.due_ms, seq));
            self.due.insert(seq, mark.due_ms);
        } else if mark.is_some() {
            self.lines[at].insert(seq);
        }
    }

    /// A message is gone.
    pub fn remove(&mut self, seq: u64, mark: Mark) {
        let at = mark.priority as usize;
        if mark.due_ms > 0 {
            self.late[at].remove(&(mark.due_ms, seq));
            self.due.remove(&seq);
        } else {
            self.lines[at].remove(&seq);
        }
    }

    /// Whether none is here.
    pub fn is_empty(&self) -> bool {
        self.due.is_empty() && self.lines.iter().all(BTreeSet::is_empty)
    }

    /// Whether one stands at a sequence or behind it.
    pub fn is_behind(&self, seq: u64) -> bool {
        let last = self.lines.iter().filter_map(|line| line.last()).copied();
        last.chain(self.due.last_key_value().map(|(seq, _)| *seq)).any(|last| last >= seq)
    }

    /// When a message that is kept back is due.
    pub fn due_ms(&self, seq: u64) -> Option<u64> {
        self.due.get(&seq).copied()
    }

    /// The first of a priority at a sequence or behind it, of those that are not kept back. Not for normal ones.
    pub fn next(&self, priority: Priority, from: u64) -> Option<u64> {
        self.lines[priority as usize].range(from..).next().copied()
    }

    /// The first of a priority behind a place in the order of those that are kept back.
    pub fn next_due(&self, priority: Priority, after: Due) -> Option<Due> {
        self.late[priority as usize].range((Excluded(after), Unbounded)).next().copied()
    }

    /// When the next one is due after a time.
    pub fn next_due_ms(&self, after_ms: u64) -> Option<u64> {
        let first =
            |late: &BTreeSet<Due>| late.range((after_ms.saturating_add(1), 0)..).next().map(|due| due.0);
        self.late.iter().filter_map(first).min()
    }

    /// The first at a sequence or behind it that is kept back or was, and when it is due.
    pub fn next_late(&self, from: u64) -> Option<(u64, u64)> {
        self.due.range(from..).next().map(|(seq, due_ms)| (*seq, *due_ms))
    }

    /// All at a sequence or behind it, in no order.
    pub fn from(&self, seq: u64) -> impl Iterator<Item = (u64, Mark)> {
        let line = move |priority: Priority| {
            let all = self.lines[priority as usize].range(seq..);
            all.map(move |seq| (*seq, Mark { priority, due_ms: 0 }))
        };
        let late = move |priority: Priority| {
            let all = self.late[priority as usize].iter().filter(move |(_, at)| *at >= seq);
            all.map(move |(due_ms, seq)| (*seq, Mark { priority, due_ms: *due_ms }))
        };
        Priority::ALL.into_iter().flat_map(line).chain(Priority::ALL.into_iter().flat_map(late))
    }

    /// Heap bytes, about: nodes of a tree that grows at its end are half full.
    pub fn heap_bytes(&self) -> usize {
        let lines: usize = self.lines.iter().map(BTreeSet::len).sum();
        lines * 20 + self.due.len() * 90
    }
}
