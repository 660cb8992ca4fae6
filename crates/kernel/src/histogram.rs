//! A histogram that anybody adds to at any time, without a lock: how many values fell below each bound. It does *not* read
//! a clock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Bounds of times, in seconds: from 0.1 ms to 10 s.
pub const SECONDS: &[f64] =
    &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// See the module.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    /// One for each bound, and one for what is above them all.
    counts: Box<[AtomicU64]>,
    sum_ns: AtomicU64,
}

/// What a histogram holds at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Counts {
    /// Upper bounds, in seconds.
    pub bounds: &'static [f64],
    /// How many values fell between each bound and the one before; the last one: above them all.
    pub counts: Vec<u64>,
    /// All values together, in seconds.
    pub sum: f64,
}

impl Default for Histogram {
    fn default() -> Histogram {
        let counts = (0..=SECONDS.len()).map(|_| AtomicU64::new(0)).collect();
        Histogram { bounds: SECONDS, counts, sum_ns: AtomicU64::new(0) }
    }
}

impl Histogram {
    /// Adds a time.
    pub fn add_ns(&self, ns: u64) {
        let seconds = ns as f64 / 1e9;
        let at = self.bounds.partition_point(|bound| *bound < seconds);
        if let Some(count) = self.counts.get(at) {
            count.fetch_add(1, Relaxed);
        }
        self.sum_ns.fetch_add(ns, Relaxed);
    }

    /// What it holds.
    pub fn counts(&self) -> Counts {
        Counts {
            bounds: self.bounds,
            counts: self.counts.iter().map(|count| count.load(Relaxed)).collect(),
            sum: self.sum_ns.load(Relaxed) as f64 / 1e9,
        }
    }
}

impl Counts {
    /// How many values there are.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_falls_below_the_first_bound_that_it_does_not_exceed() {
        let histogram = Histogram::default();
        for ns in [0, 100_000, 100_001, 10_000_000_000, 10_000_000_001, u64::MAX / 4] {
            histogram.add_ns(ns);
        }
        let Counts { counts, .. } = histogram.counts();
        assert_eq!((counts[0], counts[1], counts[15], counts[16]), (2, 1, 1, 2));
        assert_eq!(histogram.counts().total(), 6);
    }
}
