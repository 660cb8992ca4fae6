//! The messages that have a time to live, and which of them are due. Those that are gone for another reason are *not*
//! taken out at once; the queue is swept when most of it is about such.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// When a message that was stored at a time goes, in milliseconds since 1970.
pub(super) fn deadline_ms(stored_ns: u64, seconds: u64) -> u64 {
    seconds.saturating_mul(1000).saturating_add(stored_ns.div_ceil(1_000_000))
}

/// See the module.
#[derive(Default)]
pub(super) struct Deadlines {
    heap: BinaryHeap<Reverse<(u64, u64)>>,
    /// Messages in it that are still there.
    alive: usize,
}

impl Deadlines {
    pub(super) fn add(&mut self, deadline_ms: u64, seq: u64) {
        self.heap.push(Reverse((deadline_ms, seq)));
        self.alive += 1;
    }

    /// Says that a message is gone; sweeps by `is_there` when it is worth it.
    pub(super) fn forget(&mut self, is_there: impl Fn(u64) -> bool) {
        self.alive = self.alive.saturating_sub(1);
        if self.heap.len() > 64 && self.heap.len() > 2 * self.alive {
            self.heap.retain(|Reverse((_, seq))| is_there(*seq));
            self.heap.shrink_to(2 * self.alive);
            self.alive = self.heap.len();
        }
    }

    /// Takes the first message that is due.
    pub(super) fn due(&mut self, now_ms: u64) -> Option<u64> {
        let Reverse((deadline_ms, seq)) = *self.heap.peek()?;
        if deadline_ms > now_ms {
            return None;
        }
        self.heap.pop();
        Some(seq)
    }

    /// Puts back one that was taken.
    pub(super) fn wait(&mut self, deadline_ms: u64, seq: u64) {
        self.heap.push(Reverse((deadline_ms, seq)));
    }

    /// When the first goes.
    pub(super) fn first_ms(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((deadline_ms, _))| *deadline_ms)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.heap.capacity() * 16
    }
}
