//! How long to wait before the next attempt to come back: exponential, with jitter, bounded. Randomness comes in as
//! an argument.

use std::time::Duration;

/// Doubles from `base_ms` to `delay_ms_max`; half of each wait is drawn at random, so that many clients of one
/// server do not come back at the same moment.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    base_ms: u64,
    delay_ms_max: u64,
    attempt: u32,
}

impl Backoff {
    pub(crate) fn new(base: Duration, longest: Duration) -> Backoff {
        let ms = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        let base_ms = ms(base).max(1);
        Backoff { base_ms, delay_ms_max: ms(longest).max(base_ms), attempt: 0 }
    }

    /// How many waits were asked for.
    pub(crate) fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The next wait.
    pub(crate) fn next(&mut self, random: u64) -> Duration {
        let doubled = self.base_ms.saturating_mul(1u64.checked_shl(self.attempt).unwrap_or(u64::MAX));
        self.attempt = self.attempt.saturating_add(1);
        let whole = doubled.min(self.delay_ms_max);
        let half = whole / 2;
        Duration::from_millis(half + random % (whole - half + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn waits_grow_and_stay_within_bounds(
            base in 0u64..10_000,
            longest in 0u64..100_000,
            draws in prop::collection::vec(any::<u64>(), 1..200),
        ) {
            let mut backoff = Backoff::new(Duration::from_millis(base), Duration::from_millis(longest));
            let bound = longest.max(base).max(1);
            for (n, draw) in draws.into_iter().enumerate() {
                let wait = backoff.next(draw).as_millis() as u64;
                prop_assert!(wait <= bound);
                let expected = base.max(1).saturating_mul(1u64.checked_shl(n as u32).unwrap_or(u64::MAX)).min(bound);
                prop_assert!(wait >= expected / 2, "attempt {n} waits {wait} ms");
            }
        }
    }
}
