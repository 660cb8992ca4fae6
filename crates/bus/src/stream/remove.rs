//! Letting go of single messages and of everything, on request or because they are done with. Only visible messages go.
//! Limits and purges are *not* here.

use kernel::journal::flag as journal_flag;

use super::{Changes, Refusal, Stream, Tally, flag};

impl Stream {
    /// Deletes a message on request.
    pub fn delete(&mut self, seq: u64, changes: &mut Changes) -> Result<(), Refusal> {
        if self.config.sealed {
            return Err(Refusal::Sealed);
        }
        if self.config.deny_delete {
            return Err(Refusal::DeleteForbidden);
        }
        match self.acknowledged(seq, changes) {
            true => Ok(()),
            false => Err(Refusal::NotFound { seq }),
        }
    }

    /// Lets go of a message that everybody who wanted it has. False: it was not there.
    pub fn acknowledged(&mut self, seq: u64, changes: &mut Changes) -> bool {
        seq <= self.shown && self.drop_row(seq, changes)
    }

    /// Goes on behind that sequence, if it is not behind it already.
    pub fn raise_last(&mut self, last: u64) {
        if last > self.last {
            (self.last, self.shown) = (last, last);
        }
    }

    /// Lets go of everything; nothing is hidden.
    pub(super) fn drop_all(&mut self, changes: &mut Changes) -> u64 {
        let many = self.rows.len();
        if let Some(first) = self.rows.next(0) {
            changes.removed.push(first..=self.last);
            changes.producers |= self.producers.as_ref().is_some_and(|p| p.saved < self.last);
        }
        self.rows.clear();
        self.subjects.clear();
        (self.total, self.subjects_visible, self.surplus) = (Tally::default(), 0, 0);
        (self.deadlines, self.marked) = (None, None);
        many
    }

    /// Takes a visible message out of index and counts. False: it was not there.
    pub(super) fn drop_row(&mut self, seq: u64, changes: &mut Changes) -> bool {
        let Some(row) = self.rows.remove(seq) else { return false };
        let weight = self.weight(&row);
        self.total.take(weight);
        changes.remove(seq);
        self.drop_mark(&row, &mut changes.unmarked);
        if row.flags & flag::HAS_PRODUCER != 0 {
            changes.producers |= self.producers.as_ref().is_some_and(|p| p.saved < seq);
        }
        if row.flags & (journal_flag::HAS_TTL | flag::STAYS) == journal_flag::HAS_TTL
            && let Some(deadlines) = &mut self.deadlines
        {
            deadlines.forget(|seq| self.rows.get(seq).is_some());
            if deadlines.is_empty() {
                self.deadlines = None;
            }
        }
        self.drop_from_subject(row.slot, seq, row.link);
        true
    }

    fn drop_from_subject(&mut self, slot: u32, seq: u64, link: u32) {
        let Some(subject) = self.subjects.get_mut(slot) else { return };
        self.surplus -= u64::from(subject.count > self.bounds.msgs_per_subject);
        subject.count -= 1;
        if subject.visible() == 0 {
            self.subjects_visible -= 1;
            subject.shown = 0;
        }
        if subject.count == 0 {
            return self.subjects.release(slot);
        }
        if subject.first == seq {
            subject.first = seq + u64::from(link.max(1));
        }
        if subject.shown == seq {
            let shown = self.rows.scan_back(seq, |other| other == slot).unwrap_or(0);
            subject.shown = shown;
        }
        if subject.last == seq {
            subject.last = subject.shown;
        }
    }

    /// The first message of a subject.
    pub(super) fn first_of(&self, slot: u32) -> Option<u64> {
        let mut seq = self.subjects.get(slot).filter(|s| s.count > 0)?.first;
        while let Some(row) = self.rows.peek(seq).filter(|row| row.slot == slot) {
            if self.rows.get(seq).is_some() {
                return Some(seq);
            }
            match row.link {
                0 => break,
                link => seq += u64::from(link),
            }
        }
        self.rows.scan(seq, u64::MAX, |other| other == slot)
    }
}
