//! Latencies in a fixed amount of memory: buckets of 1/128 relative width, after HdrHistogram (Tene, hdrhistogram.org).

/// Sub-buckets of a power of two; a value is off by less than one part in this many.
const PARTS: u64 = 128;
const BUCKETS: usize = (64 - 7 + 1) * PARTS as usize;

/// Counts of nanosecond values, with quantiles that are never below the true one's bucket.
#[derive(Debug, Clone)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0, max: 0 }
    }
}

impl Histogram {
    /// Adds one value.
    pub fn record(&mut self, ns: u64) {
        if let Some(count) = self.counts.get_mut(bucket(ns)) {
            *count += 1;
        }
        self.total += 1;
        self.max = self.max.max(ns);
    }

    /// How many values there are.
    pub fn len(&self) -> u64 {
        self.total
    }

    /// Whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// The largest value, exactly.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The value that `q` (0 to 1) of all values do not exceed: the upper end of its bucket. 0 when empty.
    pub fn quantile(&self, q: f64) -> u64 {
        let rank = ((self.total as f64 * q).ceil() as u64).clamp(1, self.total.max(1));
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper(index).min(self.max);
            }
        }
        self.max
    }
}

/// Values below 2·`PARTS` have a bucket each; above, every power of two has `PARTS`.
fn bucket(ns: u64) -> usize {
    let shift = (63 - (ns | 1).leading_zeros() as u64).saturating_sub(7);
    (shift * PARTS + (ns >> shift)) as usize
}

fn upper(index: usize) -> u64 {
    let index = index as u64;
    let shift = (index / PARTS).saturating_sub(1);
    let base = index - shift * PARTS;
    ((u128::from(base + 1) << shift) - 1).min(u128::from(u64::MAX)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_values_are_exact() {
        let mut h = Histogram::default();
        for ns in 1..=100 {
            h.record(ns);
        }
        assert_eq!((h.quantile(0.5), h.quantile(0.99), h.quantile(1.0), h.max()), (50, 99, 100, 100));
    }

    #[test]
    fn every_value_is_within_its_bucket_and_a_bucket_is_narrow() {
        for shift in 0..64 {
            for near in [-1i128, 0, 1, 77] {
                let ns = ((1i128 << shift) + near).clamp(0, i128::from(u64::MAX)) as u64;
                let top = upper(bucket(ns));
                assert!(top >= ns, "{ns} is above the end {top} of its bucket");
                assert!(top - ns <= ns / PARTS + 1, "{ns} is far from {top}");
                assert!(bucket(ns) < BUCKETS);
            }
        }
    }

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        for index in 0..BUCKETS - PARTS as usize {
            assert_eq!(bucket(upper(index)), index);
            assert_eq!(bucket(upper(index) + 1), index + 1);
        }
    }

    #[test]
    fn an_empty_histogram_says_zero() {
        assert_eq!(Histogram::default().quantile(0.99), 0);
    }
}
