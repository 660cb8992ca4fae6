//! A set of places as ranges that do not touch. It does *not* know which places exist.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Places, kept as the start and end of each range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    /// Adds the places of a range.
    pub(crate) fn insert(&mut self, range: RangeInclusive<u64>) {
        let (mut start, mut end) = range.into_inner();
        if start > end {
            return;
        }
        if let Some((before, last)) = self.0.range(..start).next_back().map(|(a, b)| (*a, *b))
            && last.saturating_add(1) >= start
        {
            start = before;
            end = end.max(last);
        }
        while let Some((from, last)) =
            self.0.range(start..=end.saturating_add(1)).next().map(|(a, b)| (*a, *b))
        {
            self.0.remove(&from);
            end = end.max(last);
        }
        self.0.insert(start, end);
    }

    /// Whether a place is in it.
    pub(crate) fn contains(&self, place: u64) -> bool {
        self.0.range(..=place).next_back().is_some_and(|(_, end)| *end >= place)
    }

    /// Whether all of a range is in it.
    pub(crate) fn covers(&self, range: &RangeInclusive<u64>) -> bool {
        self.0.range(..=range.start()).next_back().is_some_and(|(_, end)| end >= range.end())
    }

    /// Takes the places of a range out.
    pub(crate) fn remove(&mut self, range: &RangeInclusive<u64>) {
        let (start, end) = (*range.start(), *range.end());
        let touched: Vec<(u64, u64)> = {
            let before = self.0.range(..start).next_back().filter(|(_, last)| **last >= start);
            before.into_iter().chain(self.0.range(start..=end)).map(|(a, b)| (*a, *b)).collect()
        };
        for (from, last) in touched {
            self.0.remove(&from);
            if from < start {
                self.0.insert(from, start - 1);
            }
            if last > end {
                self.0.insert(end + 1, last);
            }
        }
    }

    /// Whether any of a range is in it.
    pub(crate) fn meets(&self, range: &RangeInclusive<u64>) -> bool {
        self.0.range(..=range.end()).next_back().is_some_and(|(_, end)| end >= range.start())
    }

    /// Takes everything out that is in none of these ranges, which do not meet.
    pub(crate) fn keep(&mut self, ranges: &[RangeInclusive<u64>]) {
        let mut kept = Ranges::default();
        for range in ranges.iter().filter(|range| !range.is_empty()) {
            let (start, end) = (*range.start(), *range.end());
            let before = self.0.range(..start).next_back().filter(|(_, last)| **last >= start);
            for (from, last) in before.into_iter().chain(self.0.range(start..=end)) {
                kept.insert(*from.max(&start)..=*last.min(&end));
            }
        }
        *self = kept;
    }

    /// The ranges, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = RangeInclusive<u64>> + '_ {
        self.0.iter().map(|(start, end)| *start..=*end)
    }

    /// Whether it is empty.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set(steps in prop::collection::vec((any::<bool>(), 0_u64..60, 0_u64..12), 0..40)) {
            let (mut ranges, mut model) = (Ranges::default(), BTreeSet::new());
            for (add, start, more) in steps {
                if add {
                    ranges.insert(start..=start + more);
                    model.extend(start..=start + more);
                } else {
                    ranges.remove(&(start..=start + more));
                    model.retain(|place| !(start..=start + more).contains(place));
                }
                let listed: Vec<u64> = ranges.iter().flatten().collect();
                prop_assert_eq!(&listed, &model.iter().copied().collect::<Vec<_>>());
                let all: Vec<_> = ranges.iter().collect();
                prop_assert!(all.windows(2).all(|pair| pair[0].end() + 1 < *pair[1].start()));
                for place in 0..75 {
                    prop_assert_eq!(ranges.contains(place), model.contains(&place));
                    let range = place..=place + 3;
                    prop_assert_eq!(ranges.covers(&range), range.clone().all(|p| model.contains(&p)));
                    prop_assert_eq!(ranges.meets(&range), range.clone().any(|p| model.contains(&p)));
                }
                let mut kept = ranges.clone();
                kept.keep(&[5..=9, 21..=33]);
                let wanted = model.iter().copied().filter(|p| (5..=9).contains(p) || (21..=33).contains(p));
                prop_assert_eq!(kept.iter().flatten().collect::<Vec<_>>(), wanted.collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn the_ends_of_the_numbers_are_places_too() {
        let mut ranges = Ranges::default();
        ranges.insert(u64::MAX - 1..=u64::MAX);
        ranges.insert(0..=u64::MAX);
        assert!(ranges.covers(&(0..=u64::MAX)));
        ranges.remove(&(0..=u64::MAX));
        assert!(ranges.is_empty());
    }
}
