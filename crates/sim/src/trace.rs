//! What happened, as text: a hash of all of it, and the last lines for whoever must understand a failure. It does *not*
//! keep the whole run.

use std::collections::VecDeque;

/// Lines that are kept.
const KEPT_MAX: usize = 50;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    hash: u64,
    lines: u64,
    last: VecDeque<String>,
    loud: bool,
}

impl Trace {
    /// An empty one. `loud`: every line is printed as it comes.
    pub(crate) fn new(seed: u64, loud: bool) -> Trace {
        Trace { hash: seed ^ 0xcbf2_9ce4_8422_2325, lines: 0, last: VecDeque::new(), loud }
    }

    /// Takes a line.
    pub(crate) fn note(&mut self, line: String) {
        self.lines += 1;
        self.add(line.as_bytes());
        if self.loud {
            println!("{:>6} {line}", self.lines);
        }
        if self.last.len() == KEPT_MAX {
            self.last.pop_front();
        }
        self.last.push_back(format!("{:>6} {line}", self.lines));
    }

    /// Takes bytes into the hash only.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        // FNV-1a: Fowler, Noll, Vo.
        for byte in bytes {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// The hash of everything so far.
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// The last lines, oldest first.
    pub(crate) fn last(&self) -> Vec<String> {
        self.last.iter().cloned().collect()
    }
}
