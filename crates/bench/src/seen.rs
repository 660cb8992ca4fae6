//! Which numbers of a dense range were there already: one bit each.

/// A set of numbers that remembers nothing else of them.
#[derive(Debug, Default, Clone)]
pub(crate) struct Seen {
    words: Vec<u64>,
    count: u64,
}

/// Numbers above this are refused: a wrong sequence must not ask for all memory.
const LIMIT: u64 = 1 << 34;

impl Seen {
    /// Adds a number; `false`: it was there, or is out of all reason.
    pub(crate) fn insert(&mut self, n: u64) -> bool {
        if n > LIMIT {
            return false;
        }
        let (word, bit) = ((n / 64) as usize, 1u64 << (n % 64));
        if word >= self.words.len() {
            self.words.resize((word + 1).max(self.words.len() * 2), 0);
        }
        match self.words.get_mut(word) {
            Some(word) if *word & bit == 0 => {
                *word |= bit;
                self.count += 1;
                true
            }
            _ => false,
        }
    }

    /// How many different numbers there are.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_new_once() {
        let mut seen = Seen::default();
        for n in [0, 63, 64, 1_000_000, 65] {
            assert!(seen.insert(n));
            assert!(!seen.insert(n), "{n}");
        }
        assert!(!seen.insert(u64::MAX));
        assert_eq!(seen.count(), 5);
    }
}
