//! Finding messages and counting them. Everything here is about visible messages only, except what a publish is judged
//! by. Content is *not* here: a sequence is what comes back.

use kernel::SubjectPattern;

use super::{NS_PER_MS, Refusal, Stream};
use crate::marked::Marked;
use crate::messages::{Messages, Stored};

/// A stream in numbers, as its information shows them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Messages that are there.
    pub messages: u64,
    /// Their bytes as nats-server counts them: content and 30 more for each message on the disk, 34 if it has headers,
    /// 16 in memory.
    pub bytes: u64,
    /// The first that is there, or one behind the last; 0: none ever was.
    pub first_seq: u64,
    /// Its time in ns since 1970; 0: none is there.
    pub first_time_ns: u64,
    /// The last there ever was.
    pub last_seq: u64,
    /// Its time; 0: none ever was.
    pub last_time_ns: u64,
    /// Subjects with a message.
    pub num_subjects: u64,
    /// Sequences from first to last that are not there.
    pub num_deleted: u64,
}

/// Remembers for a few subjects whether they were wanted, so that a walk over many messages asks once for each.
pub(super) struct Memo([u32; 256]);

impl Memo {
    pub(super) fn new() -> Memo {
        Memo([0; 256])
    }

    #[inline]
    pub(super) fn ask(&mut self, slot: u32, wanted: impl FnOnce() -> bool) -> bool {
        let Memo(places) = self;
        let known = &mut places[slot as usize % 256];
        // 0: nothing is known; otherwise slot and answer, and one.
        if (*known).wrapping_sub(1) >> 1 != slot || *known == 0 {
            *known = (slot << 1 | u32::from(wanted())).wrapping_add(1);
        }
        (*known).wrapping_sub(1) & 1 == 1
    }
}

/// Whether a pattern hears one subject only.
pub(super) fn is_exact(filter: &SubjectPattern) -> bool {
    !filter.tokens().any(|token| matches!(token, b"*" | b">"))
}

impl Stream {
    /// The numbers of its information.
    pub fn state(&self) -> State {
        let visible = self.visible();
        let first = self.rows.next(0).filter(|seq| *seq <= self.shown);
        let behind = if self.shown == 0 { 0 } else { self.shown + 1 };
        let first_seq = first.unwrap_or(behind);
        State {
            messages: visible.msgs,
            bytes: visible.bytes,
            first_seq,
            first_time_ns: first.and_then(|seq| self.rows.get(seq)).map_or(0, |row| row.time_ns),
            last_seq: self.shown,
            last_time_ns: self.shown_time_ns,
            num_subjects: self.subjects_visible,
            num_deleted: first.map_or(0, |first| self.shown + 1 - first - visible.msgs),
        }
    }

    /// Sequences from first to last that are not there, at most so many.
    pub fn deleted(&self, max: usize) -> Vec<u64> {
        let mut gone = Vec::new();
        let mut expected = self.state().first_seq.max(1);
        while expected <= self.shown && gone.len() < max {
            let next = self.rows.next(expected).unwrap_or(u64::MAX).min(self.shown + 1);
            gone.extend((expected..next).take(max - gone.len()));
            expected = next.saturating_add(1);
        }
        gone
    }

    /// Subjects that a pattern hears, and how many messages each has; in no order.
    pub fn subjects<'s>(&'s self, filter: &'s SubjectPattern) -> impl Iterator<Item = (&'s [u8], u64)> + 's {
        self.subjects
            .iter()
            .filter(|(_, s)| s.visible() > 0 && filter.matches(&s.name))
            .map(|(_, s)| (&*s.name, s.visible()))
    }

    /// Subjects that a pattern hears, out of so many from a place on, and how many messages each has; in no order. Where
    /// to go on; `None`: that was the last of them. A subject without a message for a moment may be told again or left
    /// out when it comes back in between.
    pub fn some_subjects<'s>(
        &'s self,
        from: u32,
        many: u32,
        filter: &'s SubjectPattern,
    ) -> (impl Iterator<Item = (&'s [u8], u64)> + 's, Option<u32>) {
        let to = from.saturating_add(many);
        let heard = (from..to.min(self.subjects.slots() as u32))
            .filter_map(|slot| self.subjects.get(slot))
            .filter(|s| s.count > 0 && s.visible() > 0 && filter.matches(&s.name))
            .map(|s| (&*s.name, s.visible()));
        (heard, Some(to).filter(|to| (*to as usize) < self.subjects.slots()))
    }

    /// The last message of a subject.
    pub fn last_of(&self, subject: &[u8]) -> Option<u64> {
        let subject = self.subjects.get(self.subjects.find(subject)?)?;
        Some(subject.shown).filter(|seq| *seq > 0)
    }

    /// The last message that a pattern hears.
    pub fn last_heard(&self, filter: &SubjectPattern) -> Option<u64> {
        let exact = self.last_of(filter.as_str().as_bytes());
        exact.or_else(|| {
            let heard = self.subjects.iter().filter(|(_, s)| s.shown > 0 && filter.matches(&s.name));
            heard.map(|(_, s)| s.shown).max()
        })
    }

    /// The first message at or behind `from` that a pattern hears.
    pub fn next_heard(&self, from: u64, filter: &SubjectPattern) -> Option<u64> {
        if is_exact(filter) {
            let slot = self.subjects.find(filter.as_str().as_bytes())?;
            let first = self.subjects.get(slot)?.first;
            return self.rows.scan(from.max(first), self.shown, |other| other == slot);
        }
        self.next(from, &mut |_, subject| filter.matches(subject))
    }

    /// The last message, not behind `up_to`, of each subject that one of the patterns hears; ascending. Errors with
    /// [`Refusal::TooMany`] when there are more than `max`.
    pub fn last_of_many(
        &self,
        filters: &[SubjectPattern],
        up_to: u64,
        max: usize,
    ) -> Result<Vec<u64>, Refusal> {
        let heard = self.subjects.iter().filter(|(_, s)| filters.iter().any(|f| f.matches(&s.name)));
        let (mut found, mut later) = (Vec::new(), vec![false; self.subjects.slots()]);
        let mut searched = 0usize;
        for (slot, subject) in heard.filter(|(_, s)| s.visible() > 0) {
            if subject.shown <= up_to {
                found.push(subject.shown);
            } else if subject.first <= up_to
                && let Some(later) = later.get_mut(slot as usize)
            {
                *later = true;
                searched += 1;
            }
        }
        // One walk back finds all those that have a later message.
        let mut at = up_to.min(self.shown);
        while searched > 0 && at > 0 {
            let wanted = |slot: u32| later.get(slot as usize) == Some(&true);
            let Some(seq) = self.rows.scan_back(at, wanted) else { break };
            if let Some(later) = self.rows.get(seq).and_then(|row| later.get_mut(row.slot as usize)) {
                *later = false;
            }
            found.push(seq);
            (at, searched) = (seq - 1, searched - 1);
        }
        found.sort_unstable();
        match found.len() > max {
            true => Err(Refusal::TooMany),
            false => Ok(found),
        }
    }

    /// The last message ever stored under a subject or pattern, visible or not; 0: none.
    pub(super) fn last_stored_of(&self, subject: &[u8]) -> u64 {
        if let Some(subject) = self.subjects.find(subject).and_then(|slot| self.subjects.get(slot)) {
            return subject.last;
        }
        if !subject.iter().any(|b| matches!(b, b'*' | b'>')) {
            return 0;
        }
        let Ok(filter) = SubjectPattern::parse(subject) else { return 0 };
        self.subjects.iter().filter(|(_, s)| filter.matches(&s.name)).map(|(_, s)| s.last).max().unwrap_or(0)
    }
}

impl Messages for Stream {
    fn first(&self) -> u64 {
        self.rows.next(0).unwrap_or(u64::MAX).min(self.shown + 1)
    }

    #[allow(clippy::misnamed_getters, reason = "the last that can be seen is not the last that is stored")]
    fn last(&self) -> u64 {
        self.shown
    }

    fn row(&self, seq: u64) -> Option<Stored> {
        let row = self.rows.get(seq).filter(|_| seq <= self.shown)?;
        Some(Stored { time_ns: row.time_ns, size: row.size, subject: row.slot, mark: self.mark_of(&row) })
    }

    fn subject(&self, number: u32) -> &[u8] {
        self.subjects.name(number)
    }

    fn next(&self, from: u64, hears: &mut dyn FnMut(u32, &[u8]) -> bool) -> Option<u64> {
        let mut memo = Memo::new();
        self.rows.scan(from, self.shown, |slot| memo.ask(slot, || self.hears(slot, hears)))
    }

    fn count(&self, from: u64, hears: Option<&mut dyn FnMut(u32, &[u8]) -> bool>) -> u64 {
        let Some(hears) = hears else {
            return self.rows.count(from, self.shown);
        };
        if from > self.shown {
            return 0;
        }
        // What is in front of `from` is walked instead, when that is shorter.
        let before = self.rows.count(0, from.saturating_sub(1));
        if before + self.subjects.len() as u64 <= self.rows.len() - before {
            let heard = self.subjects.iter().filter(|(slot, s)| s.visible() > 0 && hears(*slot, &s.name));
            let all: u64 = heard.map(|(_, s)| s.visible()).sum();
            return if before == 0 { all } else { all - self.walk(0, before, hears) };
        }
        self.walk(from, self.rows.count(from, self.shown), hears)
    }

    fn at_time(&self, time_ns: u64) -> u64 {
        // Messages are stamped in milliseconds: one that came behind this moment may bear the millisecond's beginning.
        let time_ns = time_ns - time_ns % NS_PER_MS;
        self.rows.at_time(time_ns).unwrap_or(u64::MAX).min(self.shown + 1)
    }

    fn last_of_each(&self, hears: &mut dyn FnMut(u32, &[u8]) -> bool) -> Vec<u64> {
        let heard = self.subjects.iter().filter(|(slot, s)| s.shown > 0 && hears(*slot, &s.name));
        let mut last: Vec<u64> = heard.map(|(_, s)| s.shown).collect();
        last.sort_unstable();
        last
    }

    fn marked(&self) -> Option<&Marked> {
        self.marked.as_deref()
    }

    fn released_ms(&self) -> u64 {
        self.released_ms
    }
}

impl Stream {
    /// How many of the next so many messages are wanted.
    fn walk(&self, from: u64, mut many: u64, hears: &mut dyn FnMut(u32, &[u8]) -> bool) -> u64 {
        let mut memo = Memo::new();
        let mut count = 0;
        self.rows.scan(from, self.shown, |slot| {
            if many > 0 {
                count += u64::from(memo.ask(slot, || self.hears(slot, hears)));
            }
            many = many.saturating_sub(1);
            many == 0
        });
        count
    }

    fn hears(&self, slot: u32, hears: &mut dyn FnMut(u32, &[u8]) -> bool) -> bool {
        self.subjects.get(slot).is_some_and(|s| hears(slot, &s.name))
    }
}
