//! Streams that nobody has used for a while leave memory: what is left of one is its row of numbers, as for a stream that
//! was not used since the start, and the way back is the same. Only what a start would bring back as it is goes: *not*
//! a stream with consumers, whose leases are in memory alone, nor one with anything under way.

use kernel::journal::Summary;
use kernel::{Entry, LogId, Now};

use super::Plane;
use super::cell::{Body, Cell, producers_key};
use super::count;
use super::out::Out;
use super::timers::Timer;

impl Plane {
    /// A stream has come into memory, or has another number of consumers.
    pub(crate) fn note_use(&mut self, now: Now, log: LogId) {
        if let Some(cell) = self.cells.get_mut(&log) {
            cell.is_used = true;
            self.look_later(now, log);
        }
    }

    /// A stream is looked at once in that time, so that it leaves after once to twice of it.
    fn look_later(&mut self, now: Now, log: LogId) {
        let Some(cell) = self.cells.get_mut(&log) else { return };
        // With consumers there is nothing to look for.
        let may_leave = matches!(cell.body, Body::Warm(_)) && cell.consumers.is_empty();
        let idle_ns = self.options.stream_idle_ms.saturating_mul(1_000_000);
        let at = may_leave.then(|| now.mono_ns.saturating_add(idle_ns));
        self.timers.move_mono(Timer::Idle(log), cell.idle_at, at);
        cell.idle_at = at;
    }

    /// A stream may have been idle long enough.
    pub(crate) fn look_for_idle(&mut self, now: Now, log: LogId) {
        let waits = self.out.failed.is_some() || self.levels.is_lowering(log) || self.is_worked_on(log);
        let Some(cell) = self.cells.get_mut(&log) else { return };
        cell.idle_at = None;
        let was_used = std::mem::take(&mut cell.is_used);
        if was_used || waits || !cell.leave_memory(&mut self.out) {
            return self.look_later(now, log);
        }
        // What is kept back is due for nobody, and ids have left the window: only age goes on.
        let at = cell.cold_wakes_at();
        self.timers.move_wall(Timer::Stream(log), cell.wakes_at, at);
        cell.wakes_at = at;
        count(&self.figures.streams_unloaded_total);
    }
}

impl Cell {
    /// Keeps only the stream's numbers, if everything else would come back as it is. False: it stays.
    fn leave_memory(&mut self, out: &mut Out) -> bool {
        let Cell { consumers, parked, to_show, is_sweeping, is_barred, config, log, body, .. } = self;
        let is_free = consumers.is_empty() && parked.is_empty() && *to_show == 0;
        // Messages with lives of their own end when they are in memory.
        if !is_free || *is_sweeping || *is_barred || config.allow_msg_ttl || log.is_volatile() {
            return false;
        }
        let Body::Warm(stream) = body else { return false };
        if !stream.is_at_rest() {
            return false;
        }
        // What it knows of producers comes back from where a start would find it, or a removal would take it for kept.
        let is_kept = stream.are_producers_kept();
        self.producers = stream.producers_snapshot().unwrap_or_default().into();
        if !is_kept {
            out.append(Entry::State(producers_key(*log), Some(self.producers.clone())));
        }
        let state = stream.state();
        self.body = Body::Cold(Summary {
            first: state.first_seq,
            last: state.last_seq,
            count: state.messages,
            bytes: state.bytes,
            first_time_ns: state.first_time_ns,
            last_time_ns: state.last_time_ns,
        });
        true
    }
}
