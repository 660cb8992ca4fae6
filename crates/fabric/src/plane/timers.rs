//! When the plane must look at what without anything arriving: one ordered set for both clocks.

use std::collections::BTreeSet;

use kernel::{LogId, Now};

use super::cell::SeatId;

/// What to look at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// A stream whose oldest message ends.
    Stream(LogId),
    /// A consumer with a deadline.
    Consumer(SeatId),
    /// A stream that could not be loaded.
    Load(LogId),
    /// A consumer whose deliveries could not be read.
    Unsent(SeatId),
    /// A stream in memory that may have been idle for long.
    Idle(LogId),
}

/// See the module. Monotonic times are nanoseconds, wall times milliseconds.
#[derive(Default)]
pub(crate) struct Timers {
    mono: BTreeSet<(u64, Timer)>,
    wall: BTreeSet<(u64, Timer)>,
}

impl Timers {
    /// Moves a timer of the monotonic clock from one time to another.
    pub(crate) fn move_mono(&mut self, timer: Timer, from: Option<u64>, to: Option<u64>) {
        shift(&mut self.mono, timer, from, to);
    }

    /// Moves a timer of the wall clock from one time to another.
    pub(crate) fn move_wall(&mut self, timer: Timer, from: Option<u64>, to: Option<u64>) {
        shift(&mut self.wall, timer, from, to);
    }

    /// The next timer whose time has come.
    pub(crate) fn due(&mut self, now: Now) -> Option<Timer> {
        for (set, time) in [(&mut self.mono, now.mono_ns), (&mut self.wall, now.wall_ms)] {
            if set.first().is_some_and(|(at, _)| *at <= time) {
                return set.pop_first().map(|(_, timer)| timer);
            }
        }
        None
    }

    /// When the first one is due, on the monotonic clock. The wall clock may jump, so that it is looked at every second
    /// at least.
    pub(crate) fn next(&self, now: Now) -> Option<u64> {
        let mono = self.mono.first().map(|(at, _)| *at);
        let wall = self.wall.first().map(|(at, _)| {
            let left_ms = at.saturating_sub(now.wall_ms).min(1000);
            now.mono_ns + left_ms * 1_000_000
        });
        [mono, wall].into_iter().flatten().min()
    }
}

fn shift(set: &mut BTreeSet<(u64, Timer)>, timer: Timer, from: Option<u64>, to: Option<u64>) {
    if from == to {
        return;
    }
    let old = from.map(|at| (at, timer.clone()));
    if let Some(old) = old {
        set.remove(&old);
    }
    if let Some(at) = to {
        set.insert((at, timer));
    }
}
