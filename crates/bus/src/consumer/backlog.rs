//! What a consumer has still to deliver for the first time: where it is in the stream, and how many messages wait
//! there. It does *not* read or hold any of them.

use kernel::Now;
use wire::jetstream::{ConsumerConfig, DeliverPolicy};

use super::filter::Filter;
use crate::messages::Messages;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Backlog {
    /// Where to look next, behind what is picked.
    pub(super) next: u64,
    /// Messages to deliver before `next`, the first of them last: the last of each subject when the consumer began.
    pub(super) picked: Vec<u64>,
    /// How many wait; `None`: to be counted.
    count: Option<u64>,
}

impl Backlog {
    /// Where a consumer begins by its deliver policy.
    pub(super) fn begin(
        config: &ConsumerConfig,
        filter: &mut Filter,
        messages: &(impl Messages + ?Sized),
    ) -> Backlog {
        let (first, last) = (messages.first().max(1), messages.last());
        let mut picked = Vec::new();
        let next = match config.deliver_policy {
            DeliverPolicy::All => first,
            DeliverPolicy::New => last + 1,
            // A start in the future is waited for.
            DeliverPolicy::ByStartSequence => config.opt_start_seq.max(first),
            DeliverPolicy::ByStartTime => {
                let time = config.opt_start_time.unwrap_or_default();
                messages.at_time(time.0).clamp(first, last + 1)
            }
            DeliverPolicy::Last => {
                let all = messages.last_of_each(&mut |_, s| filter.hears(s));
                all.last().copied().unwrap_or(last + 1)
            }
            DeliverPolicy::LastPerSubject => {
                picked = messages.last_of_each(&mut |_, s| filter.hears(s));
                picked.reverse();
                last + 1
            }
        };
        Backlog { next, picked, count: None }
    }

    /// The next message to deliver, without taking it.
    pub(super) fn peek(&mut self, filter: &mut Filter, messages: &(impl Messages + ?Sized)) -> Option<u64> {
        while let Some(&seq) = self.picked.last() {
            if messages.row(seq).is_some() {
                return Some(seq);
            }
            self.picked.pop();
        }
        if self.next > messages.last() {
            return None;
        }
        let found = messages.next(self.next, &mut |_, s| filter.hears(s));
        if found.is_none() {
            self.next = messages.last() + 1;
            self.count = Some(0);
        }
        found
    }

    /// Takes what [`Backlog::peek`] showed.
    pub(super) fn take(&mut self, seq: u64) {
        match self.picked.last() {
            Some(&picked) if picked == seq => _ = self.picked.pop(),
            _ => self.next = seq + 1,
        }
        self.count = self.count.map(|count| count.saturating_sub(1));
    }

    /// How many messages wait for their first delivery.
    pub(super) fn count(&mut self, filter: &mut Filter, messages: &(impl Messages + ?Sized)) -> u64 {
        if let Some(count) = self.count {
            return count;
        }
        let behind = match self.next > messages.last() {
            true => 0,
            false if filter.is_all() => messages.count(self.next, None),
            false => messages.count(self.next, Some(&mut |_, s| filter.hears(s))),
        };
        let picked = self.picked.iter().filter(|seq| messages.row(**seq).is_some()).count();
        let count = behind + picked as u64;
        self.count = Some(count);
        count
    }

    /// Whether a message is still to be delivered for the first time, if the filter hears it.
    pub(super) fn holds(&self, seq: u64) -> bool {
        seq >= self.next || self.is_picked(seq)
    }

    /// A message that is heard became visible.
    pub(super) fn stored(&mut self, seq: u64) {
        if seq >= self.next {
            self.count = self.count.map(|count| count + 1);
        }
    }

    /// A message that is heard is gone.
    pub(super) fn removed(&mut self, seq: u64) {
        if self.holds(seq) {
            self.count = self.count.map(|count| count.saturating_sub(1));
        }
    }

    /// Begins anew at a sequence.
    pub(super) fn restart(&mut self, next: u64) {
        *self = Backlog { next, ..Backlog::default() };
    }

    /// Something changed that makes counting necessary.
    pub(super) fn recount(&mut self) {
        self.count = None;
    }

    /// The sequence up to which nothing is left to deliver.
    pub(super) fn looked_to(&self) -> u64 {
        self.picked.last().copied().unwrap_or(self.next).saturating_sub(1)
    }

    fn is_picked(&self, seq: u64) -> bool {
        self.picked.binary_search_by(|picked| seq.cmp(picked)).is_ok()
    }
}

/// Wall-clock nanoseconds of a moment.
pub(super) fn wall_ns(now: Now) -> u64 {
    now.wall_ms.saturating_mul(1_000_000)
}
