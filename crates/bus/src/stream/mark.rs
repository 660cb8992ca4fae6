//! Marks of messages: priorities, and delays. A mark is in the row's flags; for how long a message is kept back is in its
//! headers, which are read again after a restart. Who is given what when is *not* decided here.

use kernel::journal::Record;
use kernel::{Now, Priority};
use wire::jetstream::{Delay, PublishHeaders, Ttl};

use super::{NS_PER_MS, Refusal, Row, Stream, flag};
use crate::marked::Mark;

impl Stream {
    /// The mark that a message is to have, and its flags. What would be gone before it is due is refused.
    pub(super) fn check_mark(
        &self,
        headers: &PublishHeaders<'_>,
        time_ns: u64,
        ttl: Option<Ttl>,
    ) -> Result<(Mark, u16), Refusal> {
        let priority = headers.priority.unwrap_or(Priority::Normal);
        let mut flags = flags_of(priority);
        let delay_ms = match headers.delay {
            None | Some(Delay::Ms(0)) => return Ok((Mark { priority, due_ms: 0 }, flags)),
            Some(Delay::Ms(ms)) => ms,
            Some(Delay::Invalid) => return Err(Refusal::DelayInvalid),
        };
        let life_ms = match ttl {
            Some(Ttl::Seconds(seconds)) => seconds.saturating_mul(1000),
            _ => u64::MAX,
        };
        let age_ms = match ttl {
            Some(Ttl::Never) => u64::MAX,
            _ => self.bounds.age_ns / NS_PER_MS,
        };
        if delay_ms >= life_ms.min(age_ms) {
            return Err(Refusal::DelayTooLong);
        }
        flags |= flag::IS_LATE;
        Ok((Mark { priority, due_ms: due_ms(time_ns, delay_ms) }, flags))
    }

    /// The mark of a row.
    pub(super) fn mark_of(&self, row: &Row) -> Mark {
        let priority = priority_of(row.flags);
        if row.flags & flag::IS_LATE == 0 {
            return Mark { priority, due_ms: 0 };
        }
        // Headers that cannot be read keep nothing back.
        let due_ms = self.marked.as_ref().and_then(|m| m.due_ms(row.seq));
        due_ms.map_or(Mark::NONE, |due_ms| Mark { priority, due_ms })
    }

    /// Notes the mark of a message that is stored.
    pub(super) fn note_mark(&mut self, seq: u64, mark: Mark) {
        if mark.is_some() {
            self.marked.get_or_insert_default().add(seq, mark);
        }
    }

    /// A message that may have a mark is gone.
    pub(super) fn drop_mark(&mut self, row: &Row, unmarked: &mut Vec<(u64, Mark)>) {
        if row.flags & (flag::IS_LOW | flag::IS_HIGH | flag::IS_LATE) == 0 {
            return;
        }
        let mark = self.mark_of(row);
        let Some(marked) = &mut self.marked else { return };
        marked.remove(row.seq, mark);
        if marked.is_empty() {
            self.marked = None;
        }
        unmarked.push((row.seq, mark));
    }

    /// After a restart: a row with a priority. One that is kept back is noted when its headers are known.
    pub(super) fn restore_mark(&mut self, row: &Row) {
        if row.flags & flag::IS_LATE == 0 {
            self.note_mark(row.seq, Mark { priority: priority_of(row.flags), due_ms: 0 });
        }
    }

    /// The same for one that is kept back.
    pub(super) fn remember_delay(&mut self, record: &Record, headers: &PublishHeaders<'_>) {
        if record.flags & flag::IS_LATE == 0 {
            return;
        }
        if let Some(Delay::Ms(ms)) = headers.delay {
            let mark = Mark { priority: priority_of(record.flags), due_ms: due_ms(record.time_ns, ms) };
            self.note_mark(record.index, mark);
        }
    }

    /// The time has come for what was kept back until `now`. It never falls: a message that is stored later is due
    /// later than everything that consumers were given, whatever the wall clock does.
    pub(super) fn release(&mut self, now: Now) {
        if self.marked.is_some() {
            self.raise_released(now.wall_ms);
        }
    }

    /// What was kept back until then is due, if it was not before. After a restart: what consumers were given was.
    pub fn raise_released(&mut self, ms: u64) {
        self.released_ms = self.released_ms.max(ms);
    }
}

/// When a message is due that was stored at a time. What was stored within a millisecond counts as stored at its end, so
/// that nothing comes too early.
fn due_ms(time_ns: u64, delay_ms: u64) -> u64 {
    time_ns.div_ceil(NS_PER_MS).saturating_add(delay_ms)
}

fn flags_of(priority: Priority) -> u16 {
    match priority {
        Priority::Critical => flag::IS_LOW | flag::IS_HIGH,
        Priority::High => flag::IS_HIGH,
        Priority::Normal => 0,
        Priority::Low => flag::IS_LOW,
    }
}

fn priority_of(flags: u16) -> Priority {
    match (flags & flag::IS_HIGH != 0, flags & flag::IS_LOW != 0) {
        (true, true) => Priority::Critical,
        (true, false) => Priority::High,
        (false, false) => Priority::Normal,
        (false, true) => Priority::Low,
    }
}
