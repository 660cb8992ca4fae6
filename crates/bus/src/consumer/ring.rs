//! A map from sequences to leases, found by hash and known in order: for sequences that mostly grow and go in any
//! order. What was removed leaves a hole in the order until it is the first, or until there are too many holes.

use std::collections::VecDeque;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::leases::Lease;

/// So many holes are not worth closing.
const HOLES_MIN: usize = 64;

/// See the module. An empty one that was shrunk is two words.
#[derive(Clone, Debug)]
pub(super) struct Ring {
    seed: u64,
    full: Option<Box<Full>>,
}

#[derive(Clone, Debug)]
struct Full {
    leases: HashMap<u64, Lease, FixedState>,
    /// Every sequence in `leases`, ascending, and some that were; the first is one that is.
    order: VecDeque<u64>,
}

impl Ring {
    pub(super) fn new(seed: u64) -> Ring {
        Ring { seed, full: None }
    }

    pub(super) fn len(&self) -> usize {
        self.full.as_ref().map_or(0, |full| full.leases.len())
    }

    pub(super) fn get(&self, seq: u64) -> Option<&Lease> {
        self.full.as_ref()?.leases.get(&seq)
    }

    pub(super) fn get_mut(&mut self, seq: u64) -> Option<&mut Lease> {
        self.full.as_mut()?.leases.get_mut(&seq)
    }

    /// The lowest.
    pub(super) fn first(&self) -> Option<(u64, &Lease)> {
        let full = self.full.as_ref()?;
        let seq = *full.order.front()?;
        full.leases.get(&seq).map(|lease| (seq, lease))
    }

    /// Gives what was there before.
    pub(super) fn insert(&mut self, seq: u64, lease: Lease) -> Option<Lease> {
        let hasher = FixedState::with_seed(self.seed);
        let empty = || Box::new(Full { leases: HashMap::with_hasher(hasher), order: VecDeque::new() });
        let Full { leases, order } = &mut **self.full.get_or_insert_with(empty);
        if order.back().is_none_or(|last| *last < seq) {
            order.push_back(seq);
        } else if let Err(at) = order.binary_search(&seq) {
            order.insert(at, seq);
        }
        leases.insert(seq, lease)
    }

    pub(super) fn remove(&mut self, seq: u64) -> Option<Lease> {
        let Full { leases, order } = &mut **self.full.as_mut()?;
        let lease = leases.remove(&seq)?;
        if order.front() == Some(&seq) {
            order.pop_front();
            while order.front().is_some_and(|first| !leases.contains_key(first)) {
                order.pop_front();
            }
        } else if order.len() > 4 * leases.len() + HOLES_MIN {
            order.retain(|seq| leases.contains_key(seq));
        }
        Some(lease)
    }

    /// All, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, Lease)> {
        self.from(0)
    }

    /// Those from a sequence on, ascending.
    pub(super) fn from(&self, seq: u64) -> impl Iterator<Item = (u64, Lease)> {
        self.full.iter().flat_map(move |full| {
            let at = full.order.binary_search(&seq).unwrap_or_else(|at| at);
            full.order.iter().skip(at).filter_map(|seq| full.leases.get(seq).map(|lease| (*seq, *lease)))
        })
    }

    /// Gives back room that is not used.
    pub(super) fn shrink(&mut self) {
        let Some(full) = &mut self.full else { return };
        full.order.retain(|seq| full.leases.contains_key(seq));
        full.order.shrink_to_fit();
        full.leases.shrink_to_fit();
        if full.leases.is_empty() {
            self.full = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_map(ops in prop::collection::vec((0..4u8, 0..300u64), 1..600)) {
            let (mut ring, mut map, mut top) = (Ring::new(7), BTreeMap::new(), 0);
            for (kind, number) in ops {
                let lease = Lease { first: number, latest: 1, due_ns: 0, deliveries: 1, queued: false, urgent: false };
                match kind {
                    0 | 1 => {
                        top += 1 + number % 3 / 2;
                        prop_assert_eq!(ring.insert(top, lease), map.insert(top, lease));
                    }
                    2 => prop_assert_eq!(ring.insert(number, lease), map.insert(number, lease)),
                    _ => prop_assert_eq!(ring.remove(number), map.remove(&number)),
                }
                prop_assert_eq!(ring.get(number), map.get(&number));
                prop_assert_eq!(ring.len(), map.len());
                prop_assert_eq!(ring.first(), map.first_key_value().map(|(seq, lease)| (*seq, lease)));
                if number % 50 == 0 {
                    ring.shrink();
                }
            }
            let all: Vec<_> = map.iter().map(|(seq, lease)| (*seq, *lease)).collect();
            prop_assert_eq!(ring.iter().collect::<Vec<_>>(), all);
            let tail: Vec<_> = map.range(100..).map(|(seq, lease)| (*seq, *lease)).collect();
            prop_assert_eq!(ring.from(100).collect::<Vec<_>>(), tail);
        }
    }
}
