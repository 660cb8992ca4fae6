//! How fast a consumer may send: a limit in bits a second, and the pace at which messages were stored.

use kernel::Now;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Pace {
    /// Bytes a second; 0: any number.
    rate: u64,
    /// Bytes that may go at once after a rest.
    burst: u64,
    /// When everything sent so far would have gone at exactly that rate.
    sent_by_ns: u64,
    /// Messages up to here come as far apart as they were stored.
    replay_to: u64,
    /// The last one: when it was stored, and when it was sent.
    last: Option<(u64, u64)>,
}

impl Pace {
    /// `None`: as fast as can be. `replay_to`: messages up to there are replayed as they were stored.
    pub(super) fn new(rate_bits: u64, burst: u64, replay_to: u64) -> Option<Pace> {
        let pace = Pace { rate: rate_bits.div_ceil(8), burst, replay_to, ..Pace::default() };
        (rate_bits > 0 || replay_to > 0).then_some(pace)
    }

    /// Another rate.
    pub(super) fn set_rate(&mut self, rate_bits: u64) {
        self.rate = rate_bits.div_ceil(8);
    }

    /// When this message may be sent, in monotonic nanoseconds; at most `now`: at once.
    pub(super) fn due(&self, now: Now, seq: u64, stored_ns: u64, size: u64) -> u64 {
        let mut due = now.mono_ns;
        if self.rate > 0 {
            let start = self.sent_by_ns.max(now.mono_ns);
            // A message larger than a burst has to wait for a whole one.
            due = due.max((start + self.cost(size)).saturating_sub(self.cost(self.burst.max(size))));
        }
        if seq <= self.replay_to
            && let Some((stored, sent)) = self.last
        {
            due = due.max(sent.saturating_add(stored_ns.saturating_sub(stored)));
        }
        due
    }

    /// It was sent.
    pub(super) fn sent(&mut self, now: Now, stored_ns: u64, size: u64) {
        if self.rate > 0 {
            self.sent_by_ns = self.sent_by_ns.max(now.mono_ns) + self.cost(size);
        }
        self.last = Some((stored_ns, now.mono_ns));
    }

    fn cost(&self, bytes: u64) -> u64 {
        let ns = u128::from(bytes) * 1_000_000_000 / u128::from(self.rate.max(1));
        u64::try_from(ns).unwrap_or(u64::MAX / 4)
    }
}
