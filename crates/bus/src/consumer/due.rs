//! When leases end, in order. What was acknowledged or extended since is not taken out, but passed over when it comes
//! up: `is_live` tells whether a lease still ends at that moment.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// So many that are no longer live are not worth looking for.
const DEAD_MIN: usize = 64;

/// See the module. An empty one that was shrunk is a word.
#[derive(Clone, Debug, Default)]
pub(super) struct Due(Option<Box<Lanes>>);

#[derive(Clone, Debug, Default)]
struct Lanes {
    /// Those that came in order: all, while every lease is equally long.
    line: VecDeque<(u64, u64)>,
    /// The others.
    heap: BinaryHeap<Reverse<(u64, u64)>>,
}

impl Due {
    /// A lease on `seq` ends at `at_ns`. `live`: how many there are.
    pub(super) fn push(&mut self, at_ns: u64, seq: u64, live: usize, is_live: impl Fn(u64, u64) -> bool) {
        let Lanes { line, heap } = &mut **self.0.get_or_insert_default();
        while let Some(&(at, seq)) = line.front()
            && !is_live(at, seq)
        {
            line.pop_front();
        }
        match line.back() {
            Some(&(last, _)) if last > at_ns => heap.push(Reverse((at_ns, seq))),
            _ => line.push_back((at_ns, seq)),
        }
        if line.len() > 4 * live + DEAD_MIN {
            line.retain(|&(at, seq)| is_live(at, seq));
        }
        if heap.len() > 4 * live + DEAD_MIN {
            heap.retain(|&Reverse((at, seq))| is_live(at, seq));
        }
    }

    /// The next lease that has ended by `now_ns`.
    pub(super) fn pop(&mut self, now_ns: u64, is_live: impl Fn(u64, u64) -> bool) -> Option<u64> {
        let lanes = &mut **self.0.as_mut()?;
        while let Some((at, seq)) = lanes.peek()
            && at <= now_ns
        {
            if lanes.line.front() == Some(&(at, seq)) {
                lanes.line.pop_front();
            } else {
                lanes.heap.pop();
            }
            if is_live(at, seq) {
                return Some(seq);
            }
        }
        None
    }

    /// When the next one ends; may be too early, never too late.
    pub(super) fn wake(&self) -> Option<u64> {
        self.0.as_ref()?.peek().map(|(at, _)| at)
    }

    /// Gives back room that is not used.
    pub(super) fn shrink(&mut self, is_live: impl Fn(u64, u64) -> bool) {
        let Some(Lanes { line, heap }) = self.0.as_deref_mut() else { return };
        line.retain(|&(at, seq)| is_live(at, seq));
        heap.retain(|&Reverse((at, seq))| is_live(at, seq));
        line.shrink_to_fit();
        heap.shrink_to_fit();
        if line.is_empty() && heap.is_empty() {
            self.0 = None;
        }
    }
}

impl Lanes {
    fn peek(&self) -> Option<(u64, u64)> {
        let others = self.heap.peek().map(|Reverse(pair)| *pair);
        self.line.front().copied().into_iter().chain(others).min()
    }
}
