//! What time takes: messages that are too old, messages whose own time to live is over, and ids that leave the duplicate
//! window. And what it gives: messages that were kept back. A stream asks to be woken when the next of these is due; it does *not* read a clock.

use kernel::Now;

use super::{Changes, NS_PER_MS, Row, Stream, flag};

/// How long a message that is due waits when it is not visible yet.
const HIDDEN_WAITS_MS: u64 = 100;
/// Most messages whose time is over that go at once; the others are due at once again.
const ENDED_MAX: usize = 2048;

impl Stream {
    /// Lets go of what has ended by time, in portions: [`Stream::next_wake`] says when there is more. After
    /// [`Stream::restore`] it also applies all other limits.
    pub fn expire(&mut self, now: Now, changes: &mut Changes) {
        if std::mem::take(&mut self.untidy) {
            self.tidy(changes);
        }
        self.release(now);
        let now_ns = now.wall_ms.saturating_mul(NS_PER_MS);
        let mut left = ENDED_MAX;
        while left > 0
            && let Some(row) = self.oldest()
        {
            if now_ns.saturating_sub(row.time_ns) < self.bounds.age_ns {
                break;
            }
            (self.aged, left) = (row.seq + 1, left - 1);
            if row.flags & flag::STAYS == 0 {
                self.end_row(now, &row, changes);
            }
        }
        self.expire_lives(now, left, changes);
        if let Some(ids) = &mut self.ids {
            ids.prune(now_ns, self.bounds.window_ns);
            if ids.oldest_ns().is_none() {
                self.ids = None;
            }
        }
    }

    /// When [`Stream::expire`] has something to do, in milliseconds since 1970.
    pub fn next_wake(&self) -> Option<u64> {
        if self.untidy {
            return Some(0);
        }
        let later = |time_ns: u64, by_ns: u64| time_ns.saturating_add(by_ns).div_ceil(NS_PER_MS);
        let age = self.oldest().map(|row| later(row.time_ns, self.bounds.age_ns));
        let life = self.deadlines.as_ref().and_then(|d| d.first_ms());
        let id = self.ids.as_ref().and_then(|i| i.oldest_ns()).map(|t| later(t, self.bounds.window_ns));
        let due = self.marked.as_ref().and_then(|m| m.next_due_ms(self.released_ms));
        [age, life, id, due].into_iter().flatten().min()
    }

    /// The oldest visible message that may have an age limit.
    fn oldest(&self) -> Option<Row> {
        if self.bounds.age_ns == u64::MAX {
            return None;
        }
        self.rows.get(self.rows.next(self.aged)?).filter(|row| row.seq <= self.shown)
    }

    fn expire_lives(&mut self, now: Now, mut left: usize, changes: &mut Changes) {
        let mut waiting = Vec::new();
        while left > 0
            && let Some(seq) = self.deadlines.as_mut().and_then(|d| d.due(now.wall_ms))
        {
            left -= 1;
            match self.rows.get(seq) {
                Some(row) if seq <= self.shown => self.end_row(now, &row, changes),
                Some(_) => waiting.push(seq),
                None => {}
            }
        }
        for seq in waiting {
            self.deadlines.get_or_insert_default().wait(now.wall_ms + HIDDEN_WAITS_MS, seq);
        }
        if self.deadlines.as_ref().is_some_and(|d| d.is_empty()) {
            self.deadlines = None;
        }
    }
}
