//! What a consumer has still to deliver for the first time: where it is in the stream, and how many messages wait
//! there. It does *not* read or hold any of them.

use std::ops::RangeInclusive;

use kernel::{Now, Priority};
use wire::jetstream::{AckPolicy, ConsumerConfig, DeliverPolicy, ReplayPolicy};

use super::filter::Filter;
use super::lanes::{Head, Lanes, Places};
use crate::marked::{Due, Mark};
use crate::messages::{Messages, Stored};

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Backlog {
    /// Where to look next, behind what is picked.
    pub(super) next: u64,
    /// Messages to deliver before `next`, the first of them last: the last of each subject when the consumer began.
    pub(super) picked: Vec<u64>,
    /// Of these, apart, those that are kept back: by when they are due, the first last.
    pub(super) picked_late: Vec<Due>,
    /// Whether priorities and delays count: for explicit acknowledgements, and not for a replay.
    pub(super) is_ordering: bool,
    /// In place of `next`, while there are marked messages to deliver.
    lanes: Option<Box<Lanes>>,
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
        let mut backlog = Backlog { next, ..Backlog::empty(config) };
        backlog.pick(picked, messages);
        backlog
    }

    /// Without a place in the stream yet.
    pub(super) fn empty(config: &ConsumerConfig) -> Backlog {
        let is_ordering =
            config.ack_policy == AckPolicy::Explicit && config.replay_policy == ReplayPolicy::Instant;
        Backlog { is_ordering, ..Backlog::default() }
    }

    /// These, the first of them last, come before the rest.
    pub(super) fn pick(&mut self, picked: Vec<u64>, messages: &(impl Messages + ?Sized)) {
        if !self.is_ordering || messages.marked().is_none() {
            self.picked = picked;
            return;
        }
        for seq in picked {
            match messages.row(seq).map_or(0, |row| row.mark.due_ms) {
                0 => self.picked.push(seq),
                due_ms => self.picked_late.push((due_ms, seq)),
            }
        }
        self.picked_late.sort_unstable_by(|a, b| b.cmp(a));
    }

    /// The next message to deliver, without taking it.
    pub(super) fn peek(
        &mut self,
        wall_ms: u64,
        filter: &mut Filter,
        messages: &(impl Messages + ?Sized),
    ) -> Option<u64> {
        while let Some(&seq) = self.picked.last()
            && messages.row(seq).is_none()
        {
            self.picked.pop();
        }
        let picked = self.picked.last().copied();
        if let Some(marked) = messages.marked().filter(|_| self.is_ordering) {
            if self.lanes.is_none() && marked.is_behind(self.next) {
                self.lanes = Some(Box::new(Lanes::begin(self.next)));
            }
            if let Some(lanes) = &mut self.lanes {
                self.next = lanes.places.next[Priority::Normal as usize];
                let found = lanes.peek(wall_ms, filter, messages, marked);
                let first = self.picked_head(messages);
                return match (found, first) {
                    (Ok(head), Some(first)) if head.order(wall_ms) < first.order(wall_ms) => Some(head.seq),
                    (_, Some(first)) => Some(first.seq),
                    (Ok(head), None) => Some(head.seq),
                    (Err(is_end), None) => {
                        if is_end && self.picked_late.is_empty() {
                            self.end(messages);
                        }
                        None
                    }
                };
            }
            if let Some(first) = self.picked_head(messages) {
                return Some(first.seq);
            }
        } else if picked.is_some() {
            return picked;
        } else if self.lanes.is_some() {
            // The last message with a mark is gone: what is left is what stands behind the cursor of the rest.
            self.next = self.lanes.take().map_or(self.next, |l| l.places.next[Priority::Normal as usize]);
        }
        if self.next > messages.last() {
            return None;
        }
        let found = messages.next(self.next, &mut |_, s| filter.hears(s));
        if found.is_none() && self.picked_late.is_empty() {
            self.end(messages);
        }
        found
    }

    /// Everything is delivered.
    fn end(&mut self, messages: &(impl Messages + ?Sized)) {
        self.lanes = None;
        self.next = self.next.max(messages.last() + 1);
        self.count = Some(0);
    }

    /// The next of those that were picked. They stay in their order among themselves, and come before all but what is
    /// critical.
    fn picked_head(&mut self, messages: &(impl Messages + ?Sized)) -> Option<Head> {
        while let Some((_, seq)) = self.picked_late.last()
            && messages.row(*seq).is_none()
        {
            self.picked_late.pop();
        }
        let late = self.picked_late.last().filter(|(due_ms, _)| *due_ms <= messages.released_ms());
        let seq = self.picked.last().copied().or(late.map(|(_, seq)| *seq))?;
        let row = messages.row(seq)?;
        let mark = Mark { priority: row.mark.priority.min(Priority::High), due_ms: 0 };
        Some(Head::new(seq, mark, row.time_ns))
    }

    /// Takes what [`Backlog::peek`] showed.
    pub(super) fn take(&mut self, seq: u64, row: &Stored) {
        match (self.picked.last(), self.picked_late.last(), &mut self.lanes) {
            (Some(picked), ..) if *picked == seq => _ = self.picked.pop(),
            (_, Some((_, picked)), _) if *picked == seq => _ = self.picked_late.pop(),
            (.., Some(lanes)) => {
                lanes.take(seq, row.mark);
                self.next = lanes.places.next[Priority::Normal as usize];
            }
            (.., None) => self.next = seq + 1,
        }
        self.count = self.count.map(|count| count.saturating_sub(1));
    }

    /// How many messages wait for their first delivery.
    pub(super) fn count(&mut self, filter: &mut Filter, messages: &(impl Messages + ?Sized)) -> u64 {
        if let Some(count) = self.count {
            return count;
        }
        let behind = match (&self.lanes, messages.marked()) {
            (Some(lanes), Some(marked)) => lanes.count(filter, messages, marked),
            _ if self.next > messages.last() => 0,
            _ if filter.is_all() => messages.count(self.next, None),
            _ => messages.count(self.next, Some(&mut |_, s| filter.hears(s))),
        };
        let late = self.picked_late.iter().map(|(_, seq)| seq);
        let picked = self.picked.iter().chain(late).filter(|seq| messages.row(**seq).is_some()).count();
        let count = behind + picked as u64;
        self.count = Some(count);
        count
    }

    /// Whether it is known how many wait, without a walk over messages.
    pub(super) fn is_counted(&self) -> bool {
        self.count.is_some()
    }

    /// Whether a message is still to be delivered for the first time, if the filter hears it.
    pub(super) fn holds(&self, seq: u64, mark: Mark) -> bool {
        let is_behind = match &self.lanes {
            Some(lanes) => lanes.places.holds(seq, mark),
            None => seq >= self.next,
        };
        is_behind || self.is_picked(seq)
    }

    /// A message that is heard became visible.
    pub(super) fn stored(&mut self, seq: u64) {
        let first = self.lanes.as_ref().map_or(self.next, |lanes| lanes.places.first);
        if seq >= first {
            self.count = self.count.map(|count| count + 1);
        }
    }

    /// Whether one of the messages of a range that are gone was still to be delivered, as far as that can be said.
    pub(super) fn may_hold_one(&self, range: &RangeInclusive<u64>, unmarked: &[(u64, Mark)]) -> bool {
        let (start, end) = ((*range.start()).max(self.next), *range.end());
        let within = |from: u64| unmarked.iter().filter(move |(seq, _)| *seq >= from && *seq <= end);
        let others = end.checked_sub(start).map_or(0, |many| many.saturating_add(1));
        let is_behind = others > within(start).count() as u64;
        is_behind
            || !self.picked.is_empty()
            || !self.picked_late.is_empty()
            || within(*range.start()).any(|(seq, mark)| self.holds(*seq, *mark))
    }

    /// Begins anew at a sequence.
    pub(super) fn restart(&mut self, next: u64) {
        *self = Backlog { next, is_ordering: self.is_ordering, ..Backlog::default() };
    }

    /// Something changed that makes counting necessary.
    pub(super) fn recount(&mut self) {
        self.count = None;
    }

    /// Another filter.
    pub(super) fn refilter(&mut self) {
        self.count = None;
        if let Some(lanes) = &mut self.lanes {
            lanes.look_again();
        }
    }

    /// The sequence up to which nothing is left to deliver, as far as was looked.
    pub(super) fn looked_to(&self) -> u64 {
        let late = self.picked_late.iter().map(|(_, seq)| *seq).min().unwrap_or(u64::MAX);
        let next = match (self.picked.last(), &self.lanes) {
            (Some(picked), _) => *picked,
            (None, Some(lanes)) => lanes.looked_to() + 1,
            (None, None) => self.next,
        };
        next.min(late).saturating_sub(1)
    }

    /// What is remembered of the order by priority; `None`: nothing was overtaken.
    pub(super) fn places(&self) -> Option<Places> {
        self.lanes.as_ref().map(|lanes| lanes.places)
    }

    /// As it was remembered.
    pub(super) fn place(&mut self, next: u64, places: Option<Places>) {
        self.next = next;
        self.lanes = places.map(|places| Box::new(Lanes::at(places)));
    }

    /// A message was delivered, so that it is no longer picked.
    pub(super) fn unpick(&mut self, seq: u64) {
        if let Ok(at) = self.picked.binary_search_by(|picked| seq.cmp(picked)) {
            self.picked.remove(at);
        }
        self.picked_late.retain(|(_, picked)| *picked != seq);
    }

    fn is_picked(&self, seq: u64) -> bool {
        self.picked.binary_search_by(|picked| seq.cmp(picked)).is_ok()
            || self.picked_late.iter().any(|(_, picked)| *picked == seq)
    }
}

/// Wall-clock nanoseconds of a moment.
pub(super) fn wall_ns(now: Now) -> u64 {
    now.wall_ms.saturating_mul(1_000_000)
}
