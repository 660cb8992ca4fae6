//! The server's resident memory over a soak: a ceiling at any time, and a bound on growth from round to round.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::lab::resident_bytes;

/// Never more than this: what may wait in outboxes for clients that do not read, and the rest of the node.
const CEILING_BYTES: u64 = 1 << 30;
/// What memory at rest may grow by beyond the most of the first rounds, in which every part of the server is used.
const GROWTH_BYTES: u64 = 32 << 20;
const FIRST_ROUNDS: usize = 3;
const EACH: Duration = Duration::from_secs(1);
/// How soon the end of a round is noticed.
const NAP: Duration = Duration::from_millis(50);

/// Samples so far.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    peak: u64,
    last: u64,
    settled: Vec<u64>,
}

impl Memory {
    /// Samples every second until `over`.
    pub(crate) fn watch(&mut self, pid: u32, over: &AtomicBool) -> Result<(), String> {
        let mut naps = 0;
        while !over.load(Ordering::Relaxed) {
            if naps % (EACH.as_millis() / NAP.as_millis()) == 0 {
                self.sample(pid)?;
            }
            naps += 1;
            thread::sleep(NAP);
        }
        Ok(())
    }

    /// One sample; an error above the ceiling.
    pub(crate) fn sample(&mut self, pid: u32) -> Result<(), String> {
        let bytes = resident_bytes(pid).ok_or("the server's memory cannot be read: has it ended?")?;
        self.take(bytes)
    }

    fn take(&mut self, bytes: u64) -> Result<(), String> {
        self.last = bytes;
        self.peak = self.peak.max(bytes);
        match bytes > CEILING_BYTES {
            true => Err(format!("{} of memory, above the ceiling of {}", mib(bytes), mib(CEILING_BYTES))),
            false => Ok(()),
        }
    }

    /// Takes the last sample as one at rest; an error if it has grown too much.
    pub(crate) fn settled(&mut self) -> Result<(), String> {
        self.settled.push(self.last);
        let first = self.settled.iter().take(FIRST_ROUNDS).max().copied().unwrap_or_default();
        match self.last > first + GROWTH_BYTES {
            true => Err(format!("memory at rest keeps growing: {self}")),
            false => Ok(()),
        }
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.settled.first().copied().unwrap_or_default();
        write!(f, "memory at rest {} → {}, peak {}", mib(first), mib(self.last), mib(self.peak))?;
        write!(
            f,
            " (ceiling {}, growth after round {FIRST_ROUNDS} at most {})",
            mib(CEILING_BYTES),
            mib(GROWTH_BYTES)
        )
    }
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1_048_576.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(mib: &[u64]) -> Result<(), String> {
        let mut memory = Memory::default();
        mib.iter().try_for_each(|m| memory.take(m << 20).and_then(|()| memory.settled()))
    }

    #[test]
    fn growth_after_the_first_rounds_is_bounded_and_before_it_is_not() {
        assert!(rounds(&[10, 60, 50, 92, 80]).is_ok());
        assert!(rounds(&[10, 60, 50, 93]).unwrap_err().contains("keeps growing"));
    }

    #[test]
    fn the_ceiling_holds_at_any_time() {
        assert!(rounds(&[1024]).is_ok());
        assert!(rounds(&[1025]).unwrap_err().contains("above the ceiling"));
    }
}
