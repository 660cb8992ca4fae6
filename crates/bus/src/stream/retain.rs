//! Making messages visible, and letting go of what is then too much: by roll-up, by the limit per subject, by count and
//! by bytes, in this order. Age is *not* here: that needs a clock.

use super::{Changes, Row, Stream, flag};

impl Stream {
    /// Makes messages visible, up to and with that sequence: their records are as safe as the stream promises. What is
    /// over a limit then goes.
    pub fn show(&mut self, seq: u64, changes: &mut Changes) {
        let to = seq.min(self.last);
        while let Some(next) = self.rows.next(self.shown + 1).filter(|next| *next <= to) {
            if let Some(row) = self.rows.get(next) {
                self.show_row(&row, changes);
            }
        }
        self.shown = self.shown.max(to);
        self.keep_bounds(changes);
    }

    fn show_row(&mut self, row: &Row, changes: &mut Changes) {
        let weight = self.weight(row);
        self.hidden.take(weight);
        self.shown = row.seq;
        self.shown_time_ns = row.time_ns;
        let Some(subject) = self.subjects.get_mut(row.slot) else { return };
        subject.hidden = subject.hidden.saturating_sub(1);
        subject.shown = row.seq;
        self.subjects_visible += u64::from(subject.visible() == 1);
        self.roll_up(row, changes);
        self.keep_subject(row.slot, changes);
    }

    /// Lets go of what a message stands for.
    pub(super) fn roll_up(&mut self, row: &Row, changes: &mut Changes) {
        if row.flags & flag::ROLLS_ALL != 0 {
            self.drop_before(row.seq, changes);
        } else if row.flags & flag::ROLLS_SUBJECT != 0 {
            while let Some(first) = self.first_of(row.slot).filter(|first| *first < row.seq) {
                self.drop_row(first, changes);
            }
        }
    }

    /// Lets go of the oldest messages of a subject that has too many.
    pub(super) fn keep_subject(&mut self, slot: u32, changes: &mut Changes) {
        while self.subjects.get(slot).is_some_and(|s| s.visible() > self.bounds.msgs_per_subject) {
            let Some(first) = self.first_of(slot) else { return };
            self.drop_row(first, changes);
        }
    }

    /// Lets go of the oldest messages while there are too many or too large ones.
    pub(super) fn keep_bounds(&mut self, changes: &mut Changes) {
        if !self.discards_old() {
            return;
        }
        loop {
            let visible = self.visible();
            if visible.msgs <= self.bounds.msgs && visible.bytes <= self.bounds.bytes {
                return;
            }
            let Some(first) = self.rows.next(0) else { return };
            self.drop_row(first, changes);
        }
    }

    fn drop_before(&mut self, seq: u64, changes: &mut Changes) {
        while let Some(first) = self.rows.next(0).filter(|first| *first < seq) {
            self.drop_row(first, changes);
        }
    }
}
