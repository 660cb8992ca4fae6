//! In which order a consumer gave out what it gave out for the first time, since the node's process began: what is needed
//! to tell whether the next one comes in its turn. It does *not* know what waits.

use kernel::Priority;

use super::Sent;

/// How long a message waits at least before it counts as one of a higher priority.
const AGEING_MS: u64 = 60_000;

/// When a message is due, in milliseconds since 1970, and its sequence.
pub(crate) type Due = (u64, u64);

/// Those of one priority.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    /// The highest sequence of those without a delay.
    pub(crate) last: u64,
    /// The last of those with a delay, by when they were due.
    pub(crate) last_due: Due,
    /// The highest sequence of these.
    pub(crate) last_late: u64,
    /// The latest request that brought one.
    pub(crate) asked: u64,
    /// The latest request that brought one that had not waited for so long that it counted as more.
    pub(crate) asked_unraised: u64,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Firsts {
    lines: [Line; 4],
    highest: u64,
}

impl Firsts {
    /// Those of a priority.
    pub(crate) fn of(&self, priority: Priority) -> Line {
        self.lines.get(priority as usize).copied().unwrap_or_default()
    }

    /// Notes one, which request `pull` brought. True: one that was stored later came before it.
    pub(crate) fn note(&mut self, sent: &Sent, due: Due, pull: u64) -> bool {
        let seq = due.1;
        let was = self.highest;
        self.highest = was.max(seq);
        if let Some(line) = self.lines.get_mut(sent.priority as usize) {
            match sent.delay_ms {
                0 => line.last = line.last.max(seq),
                _ => {
                    line.last_due = line.last_due.max(due);
                    line.last_late = line.last_late.max(seq);
                }
            }
            line.asked = line.asked.max(pull);
            if sent.age_ms() < AGEING_MS {
                line.asked_unraised = line.asked_unraised.max(pull);
            }
        }
        seq < was
    }
}
