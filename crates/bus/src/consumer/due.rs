//! When leases end, in order. What was acknowledged or extended since is not taken out, but passed over when it comes
//! up: `is_live` tells whether a lease still ends at that moment.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// So many that are no longer live are not worth looking for.
const DEAD_MIN: usize = 64;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Due {
    /// Those that came in order: all, while every lease is equally long.
    line: VecDeque<(u64, u64)>,
    /// The others.
    heap: BinaryHeap<Reverse<(u64, u64)>>,
}

impl Due {
    /// A lease on `seq` ends at `at_ns`. `live`: how many there are.
    pub(super) fn push(&mut self, at_ns: u64, seq: u64, live: usize, is_live: impl Fn(u64, u64) -> bool) {
        while let Some(&(at, seq)) = self.line.front()
            && !is_live(at, seq)
        {
            self.line.pop_front();
        }
        match self.line.back() {
            Some(&(last, _)) if last > at_ns => self.heap.push(Reverse((at_ns, seq))),
            _ => self.line.push_back((at_ns, seq)),
        }
        if self.line.len() > 2 * live + DEAD_MIN {
            self.line.retain(|&(at, seq)| is_live(at, seq));
        }
        if self.heap.len() > 2 * live + DEAD_MIN {
            self.heap.retain(|&Reverse((at, seq))| is_live(at, seq));
        }
    }

    /// The next lease that has ended by `now_ns`.
    pub(super) fn pop(&mut self, now_ns: u64, is_live: impl Fn(u64, u64) -> bool) -> Option<u64> {
        while let Some((at, seq)) = self.peek()
            && at <= now_ns
        {
            if self.line.front() == Some(&(at, seq)) {
                self.line.pop_front();
            } else {
                self.heap.pop();
            }
            if is_live(at, seq) {
                return Some(seq);
            }
        }
        None
    }

    /// When the next one ends; may be too early, never too late.
    pub(super) fn peek(&self) -> Option<(u64, u64)> {
        let others = self.heap.peek().map(|Reverse(pair)| *pair);
        self.line.front().copied().into_iter().chain(others).min()
    }

    /// Gives back room that is not used.
    pub(super) fn shrink(&mut self, is_live: impl Fn(u64, u64) -> bool) {
        self.line.retain(|&(at, seq)| is_live(at, seq));
        self.heap.retain(|&Reverse((at, seq))| is_live(at, seq));
        self.line.shrink_to_fit();
        self.heap.shrink_to_fit();
    }
}
