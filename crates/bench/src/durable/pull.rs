//! How much a pulling connection has asked for and not got: the next request leaves before the last is used up. Pure.

/// Messages asked for on one connection.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    outstanding: usize,
}

impl Asked {
    /// How many to ask for now, if any: a batch whenever at most one is outstanding, and never more than `left`.
    pub(super) fn next(&mut self, batch: usize, left: u64) -> Option<usize> {
        let more = batch.min(usize::try_from(left).unwrap_or(batch));
        if self.outstanding > batch || more == 0 {
            return None;
        }
        self.outstanding += more;
        Some(more)
    }

    /// A message came.
    pub(super) fn got(&mut self) {
        self.outstanding = self.outstanding.saturating_sub(1);
    }

    /// A request ended early.
    pub(super) fn ended(&mut self, missing: Option<usize>) {
        self.outstanding = missing.map_or(0, |missing| self.outstanding.saturating_sub(missing));
    }

    /// Messages that may still come.
    pub(super) fn outstanding(&self) -> u64 {
        self.outstanding as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_batches_are_under_way_and_never_more_than_is_left() {
        let mut asked = Asked::default();
        assert_eq!((asked.next(10, 100), asked.next(10, 90), asked.next(10, 80)), (Some(10), Some(10), None));
        for _ in 0..9 {
            asked.got();
        }
        assert_eq!(asked.next(10, 80), None);
        asked.got();
        assert_eq!((asked.next(10, 3), asked.outstanding()), (Some(3), 13));
        asked.ended(Some(3));
        assert_eq!(asked.next(10, 0), None);
        asked.ended(None);
        assert_eq!(asked.outstanding(), 0);
    }
}
