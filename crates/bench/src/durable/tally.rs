//! What came back of what was published: acknowledged, refused, acknowledged twice.

use crate::seen::Seen;
use crate::{Faults, Histogram};

/// Answers to publishes of a run, all connections together.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    acked: u64,
    /// Of `acked`, before the measured window.
    before: u64,
    refused: u64,
    doubled: u64,
    damaged: u64,
    first: Option<String>,
    latency: Histogram,
    /// Sequences of each stream.
    seen: Vec<Seen>,
}

impl Tally {
    pub(super) fn new(streams: usize) -> Self {
        Self { seen: vec![Seen::default(); streams.max(1)], ..Self::default() }
    }

    /// The measured window begins.
    pub(super) fn begin(&mut self) {
        self.before = self.acked;
        self.latency = Histogram::default();
    }

    /// A publish to stream number `stream` was acknowledged as its message `seq`.
    pub(super) fn acked(&mut self, stream: usize, seq: u64, ns: u64) {
        self.latency.record(ns);
        self.acked += 1;
        if !self.seen.get_mut(stream).is_some_and(|seen| seen.insert(seq)) {
            self.doubled += 1;
            self.tell(|| format!("sequence {seq} of stream {stream} was acknowledged twice"));
        }
    }

    /// The same where only the order of ids can be checked.
    pub(super) fn acked_in_order(&mut self, ascends: bool, ns: u64) {
        self.latency.record(ns);
        self.acked += 1;
        if !ascends {
            self.doubled += 1;
            self.tell(|| "an id that is not above the one before".into());
        }
    }

    /// The server would not have it.
    pub(super) fn refused(&mut self, why: impl FnOnce() -> String) {
        self.refused += 1;
        self.tell(why);
    }

    /// An answer to nothing that is in flight.
    pub(super) fn unasked(&mut self, what: impl FnOnce() -> String) {
        self.damaged += 1;
        self.tell(what);
    }

    fn tell(&mut self, what: impl FnOnce() -> String) {
        self.first.get_or_insert_with(what);
    }

    /// Acknowledged in the measured window.
    pub(super) fn measured(&self) -> u64 {
        self.acked - self.before
    }

    pub(super) fn latency(&self) -> &Histogram {
        &self.latency
    }

    /// What went wrong, when `stored` messages are in the streams.
    pub(super) fn faults(&self, stored: u64) -> Faults {
        let first = self.first.clone().or_else(|| {
            (stored != self.acked).then(|| format!("{} acknowledged, {stored} stored", self.acked))
        });
        Faults {
            lost: self.acked.saturating_sub(stored),
            doubled: self.doubled + stored.saturating_sub(self.acked),
            damaged: self.damaged,
            refused: self.refused,
            first,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_is_acknowledged_once_a_stream() {
        let mut tally = Tally::new(2);
        tally.acked(0, 1, 5);
        tally.acked(1, 1, 5);
        assert!(tally.faults(2).none());
        tally.acked(1, 1, 5);
        assert_eq!(tally.faults(3).doubled, 1);
        assert!(tally.faults(3).first.is_some_and(|text| text.contains("twice")));
    }

    #[test]
    fn what_is_acknowledged_and_not_stored_is_lost() {
        let mut tally = Tally::new(1);
        tally.acked(0, 1, 5);
        tally.acked(0, 2, 5);
        assert_eq!(tally.faults(1).lost, 1);
        tally.refused(|| "no".into());
        assert_eq!((tally.faults(2).refused, tally.faults(2).none()), (1, false));
    }

    #[test]
    fn the_window_leaves_out_what_came_before() {
        let mut tally = Tally::new(1);
        tally.acked(0, 1, 1_000_000);
        tally.begin();
        tally.acked(0, 2, 7);
        assert_eq!((tally.measured(), tally.latency().max()), (1, 7));
    }
}
