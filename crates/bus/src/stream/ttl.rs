//! Times to live: how a header says one, and which messages are due. Messages that are gone for another reason are
//! *not* taken out at once; the queue is swept when most of it is about such.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Refusal;

/// What a message's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// The message stays, whatever the stream's own age limit says.
    Never,
    /// Seconds.
    Seconds(u64),
}

impl Life {
    /// Reads `never`, a number of seconds, or a duration such as `1h30m`, of at least a second; parts of seconds are cut.
    pub(super) fn parse(text: &str) -> Result<Life, Refusal> {
        if text.eq_ignore_ascii_case("never") {
            return Ok(Life::Never);
        }
        let seconds = match text.bytes().all(|b| b.is_ascii_digit()) {
            true => text.parse().ok(),
            false => duration_ns(text).map(|ns| ns / 1_000_000_000),
        };
        seconds.filter(|s| *s > 0).map(Life::Seconds).ok_or(Refusal::TtlInvalid)
    }

    /// When a message stored at a time goes, in milliseconds since 1970.
    pub(super) fn deadline_ms(self, stored_ns: u64) -> Option<u64> {
        match self {
            Life::Never => None,
            Life::Seconds(s) => Some(s.saturating_mul(1000).saturating_add(stored_ns.div_ceil(1_000_000))),
        }
    }
}

/// Nanoseconds in a duration as Go writes it: numbers with units, back to back.
fn duration_ns(text: &str) -> Option<u64> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut total = 0f64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let ns = match unit {
            "h" => 3.6e12,
            "m" => 6e10,
            "s" => 1e9,
            "ms" => 1e6,
            "us" | "µs" | "μs" => 1e3,
            "ns" => 1.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * ns;
        rest = tail;
    }
    (total < 9.2e18).then_some(total as u64)
}

/// The messages that have a time to live, by when they go.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_live_is_read_as_clients_write_it() {
        for (text, wanted) in [
            ("1", Some(Life::Seconds(1))),
            ("1s", Some(Life::Seconds(1))),
            ("1.5s", Some(Life::Seconds(1))),
            ("1h1m1.5s", Some(Life::Seconds(3661))),
            ("1000ms", Some(Life::Seconds(1))),
            ("never", Some(Life::Never)),
            ("NEVER", Some(Life::Never)),
            ("9999999999999", Some(Life::Seconds(9_999_999_999_999))),
            ("500ms", None),
            ("0", None),
            ("0s", None),
            ("-1", None),
            ("-1s", None),
            ("1d", None),
            ("1x", None),
            ("zz", None),
            ("s", None),
            ("1.s.", None),
            ("", None),
        ] {
            assert_eq!(Life::parse(text).ok(), wanted, "{text:?}");
        }
    }
}
