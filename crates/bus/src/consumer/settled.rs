//! Which delivery acknowledged a message that had been delivered more than once: so that its confirmation can be asked
//! for again, and an older delivery still learns that it is stale when all is over. Bounded: what is too old to be
//! remembered is stale.

use std::collections::BTreeMap;

const REMEMBERED_MAX: usize = 1_024;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Settled {
    /// Sequence of the message to the delivery that acknowledged it.
    by: BTreeMap<u64, u64>,
    /// Deliveries up to here may have acknowledged something that is no longer remembered.
    pub(super) unknown_to: u64,
}

impl Settled {
    /// One that knows of no delivery up to there.
    pub(super) fn begun_at(consumer_seq: u64) -> Settled {
        Settled { unknown_to: consumer_seq, ..Settled::default() }
    }

    pub(super) fn insert(&mut self, seq: u64, consumer_seq: u64) {
        self.by.insert(seq, consumer_seq);
    }

    /// Whether the delivery `consumer_seq`, which was the message's n-th, is the one that acknowledged it.
    pub(super) fn was(&self, seq: u64, consumer_seq: u64, deliveries: u32) -> bool {
        match self.by.get(&seq) {
            Some(by) => *by == consumer_seq,
            None => deliveries == 1 && consumer_seq > self.unknown_to,
        }
    }

    pub(super) fn get(&self, seq: u64) -> Option<u64> {
        self.by.get(&seq).copied()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.by.iter().map(|(seq, by)| (*seq, *by))
    }

    /// Forgets the oldest messages beyond the bound.
    pub(super) fn trim(&mut self) {
        while self.by.len() > REMEMBERED_MAX
            && let Some((_, by)) = self.by.pop_first()
        {
            self.unknown_to = self.unknown_to.max(by);
        }
    }
}
