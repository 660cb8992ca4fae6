//! Streams that nobody has used for a while leave memory: what is left of one is its row of numbers, as for a stream that
//! was not used since the start, and the way back is the same. Only what a start would bring back as it is goes: *not*
//! a stream with consumers, whose leases are in memory alone, nor one with anything under way.

use kernel::journal::Summary;
use kernel::{Entry, LogId, Now};

use super::Plane;
use super::cell::{Body, Cell, producers_key};
use super::count;
use super::timers::Timer;

/// Most messages of a stream that leaves memory: everybody else waits while one comes back.
const MESSAGES_MAX: u64 = 100_000;

impl Plane {
    /// A stream has come into memory, or has another number of consumers.
    pub(crate) fn note_use(&mut self, now: Now, log: LogId) {
        if let Some(cell) = self.cells.get_mut(&log) {
            cell.is_used = true;
            self.look_later(now, log);
        }
    }

    /// A stream is looked at once in the time that it may be idle, so that it leaves after once to twice of it.
    fn look_later(&mut self, now: Now, log: LogId) {
        let (Some(cell), Some(idle_ms)) = (self.cells.get_mut(&log), self.options.stream_idle_ms) else {
            return;
        };
        // With consumers there is nothing to look for.
        let may_leave = matches!(cell.body, Body::Warm(_)) && cell.consumers.is_empty() && !log.is_volatile();
        let at = may_leave.then(|| now.mono_ns.saturating_add(idle_ms.saturating_mul(1_000_000)));
        self.timers.move_mono(Timer::Idle(log), cell.idle_at, at);
        cell.idle_at = at;
    }

    /// A stream may have been idle long enough.
    pub(crate) fn look_for_idle(&mut self, now: Now, log: LogId) {
        if let Some(cell) = self.cells.get_mut(&log) {
            cell.idle_at = None;
            let was_used = std::mem::take(&mut cell.is_used);
            if was_used || !self.leave_memory(now, log) {
                self.look_later(now, log);
            }
        }
    }

    /// Keeps only a stream's numbers, if everything else would come back as it is. False: it stays.
    fn leave_memory(&mut self, now: Now, log: LogId) -> bool {
        if self.out.failed.is_some() || self.levels.is_lowering(log) || self.is_worked_on(log) {
            return false;
        }
        let Some(cell) = self.cells.get_mut(&log).filter(|cell| cell.is_free()) else { return false };
        let Body::Warm(stream) = &cell.body else { return false };
        let state = stream.state();
        let summary = Summary {
            first: state.first_seq,
            last: state.last_seq,
            count: state.messages,
            bytes: state.bytes,
            first_time_ns: state.first_time_ns,
            last_time_ns: state.last_time_ns,
        };
        // What is kept back is due for nobody, and ids have left the window: only age goes on. One that would soon come
        // back for it stays.
        let at = cell.cold_wakes_at(&summary);
        let soon_ms = now.wall_ms.saturating_add(self.options.stream_idle_ms.unwrap_or_default());
        let stays = summary.count > MESSAGES_MAX || at.is_some_and(|at| at <= soon_ms);
        if stays || !stream.is_at_rest() {
            return false;
        }
        let Body::Warm(stream) = &mut cell.body else { return false };
        // What it knows of producers comes back from where a start would find it, or a removal would take it for kept.
        let is_kept = stream.are_producers_kept();
        cell.producers = stream.producers_snapshot().unwrap_or_default().into();
        if !is_kept {
            self.out.append(Entry::State(producers_key(log), Some(cell.producers.clone())));
        }
        self.timers.move_wall(Timer::Stream(log), cell.wakes_at, at);
        cell.wakes_at = at;
        cell.body = Body::Cold(summary);
        count(&self.figures.streams_unloaded_total);
        true
    }
}

impl Cell {
    /// Nothing is under way for it.
    fn is_free(&self) -> bool {
        let is_quiet = self.parked.is_empty() && self.to_show == 0 && !self.is_sweeping && !self.is_barred;
        is_quiet && self.consumers.is_empty() && !self.log.is_volatile()
    }
}
