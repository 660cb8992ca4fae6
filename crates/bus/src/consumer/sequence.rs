//! The consumer sequence: it names deliveries, and no two of them ever share a number, not even across a crash that
//! forgets the last ones.
//!
//! Numbers are reserved ahead in blocks; what is reserved is part of the durable state. A number is given out only when
//! a reservation beyond it is known to be safe, and a restart begins behind everything reserved. Blocks start small and
//! double, so that a consumer with little to do jumps little.

use std::ops::Range;

const BLOCK_MIN: u64 = 4_096;
const BLOCK_MAX: u64 = 65_536;
/// Restarts of which it is known what they may have forgotten.
const FORGOTTEN_MAX: usize = 4;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sequence {
    /// The number of the next delivery.
    pub(super) next: u64,
    /// Numbers below may be given out once that is safe.
    pub(super) reserved: u64,
    /// Numbers below may be given out.
    safe: u64,
    block: u64,
    /// What crashes may have made us forget: these may have been given out, and will not be again. Oldest first.
    forgotten: Vec<Range<u64>>,
    /// Whether the last of these is what this very restart may have forgotten.
    is_fresh: bool,
    /// Whether `forgotten` stands in what was written.
    pub(super) is_told: bool,
}

impl Sequence {
    /// From 1. `kept`: the state survives the process, so that numbers must be reserved.
    pub(super) fn new(kept: bool) -> Sequence {
        let reserved = if kept { 1 + BLOCK_MIN } else { u64::MAX };
        let safe = if kept { 1 } else { u64::MAX };
        Sequence { next: 1, reserved, safe, block: BLOCK_MIN, is_told: true, ..Sequence::default() }
    }

    /// After a restart: `last` is the last number known to have been given out, `earlier` what restarts before this
    /// one may have forgotten. Also gives the number up to which nothing is known of what was forgotten.
    pub(super) fn restored(
        last: u64,
        reserved: u64,
        kept: bool,
        earlier: Vec<Range<u64>>,
    ) -> (Sequence, u64) {
        if !kept {
            return (Sequence { next: last + 1, ..Sequence::new(false) }, 0);
        }
        let next = reserved.max(last + 1);
        let mut forgotten = earlier;
        let now = last + 1..next;
        let is_fresh = !now.is_empty();
        if is_fresh {
            forgotten.push(now);
        }
        let mut unknown_to = 0;
        while forgotten.len() > FORGOTTEN_MAX {
            unknown_to = forgotten.remove(0).end;
        }
        let block = BLOCK_MIN;
        (
            Sequence { next, reserved: next, safe: next, block, forgotten, is_fresh, is_told: false },
            unknown_to,
        )
    }

    /// What restarts may have forgotten, to be written down: two without a delivery between them count as one.
    pub(super) fn all_forgotten(&self) -> Vec<Range<u64>> {
        let mut all = self.forgotten.clone();
        all.dedup_by(|later, earlier| {
            let is_same = later.start == earlier.start;
            earlier.end = if is_same { earlier.end.max(later.end) } else { earlier.end };
            is_same
        });
        all
    }

    /// What restarts before this one may have forgotten. Leaves nothing.
    pub(super) fn take_earlier(&mut self) -> Vec<Range<u64>> {
        if std::mem::take(&mut self.is_fresh) {
            self.forgotten.pop();
        }
        std::mem::take(&mut self.forgotten)
    }

    /// The next number without taking it; `None`: a reservation must become safe first.
    pub(super) fn peek(&self) -> Option<u64> {
        (self.next < self.safe).then_some(self.next)
    }

    /// Takes what [`Sequence::peek`] showed.
    pub(super) fn take(&mut self) {
        self.next += 1;
    }

    /// Reserves more if it is time to; true: it did, and that must be written down.
    pub(super) fn reserve(&mut self) -> bool {
        let is_time = self.reserved.saturating_sub(self.next) < self.block / 2;
        if is_time {
            self.block = (self.block * 2).min(BLOCK_MAX);
            self.reserved = self.next + self.block;
        }
        is_time
    }

    /// A reservation that was written down is safe now.
    pub(super) fn safe(&mut self, reserved: u64) {
        self.safe = self.safe.max(reserved.min(self.reserved));
    }

    /// Whether `number` was given out, as far as is known or possible.
    pub(super) fn was_given(&self, number: u64) -> bool {
        (1..self.next).contains(&number)
    }

    /// Whether `number` may have been given out before a crash that forgot it.
    pub(super) fn was_forgotten(&self, number: u64) -> bool {
        self.forgotten.iter().any(|range| range.contains(&number))
    }
}
