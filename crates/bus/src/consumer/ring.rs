//! A map from sequences to leases for sequences that mostly grow: a ring in their order, in which what was removed
//! leaves a hole until it is the first, or until half of the ring is holes. In a stream of which everything is
//! delivered, a lease is found by subtraction.

use std::collections::VecDeque;

use super::leases::Lease;

/// So many holes are not worth closing.
const HOLES_MIN: usize = 64;
/// Room that an empty ring keeps.
const IDLE: usize = 4;

#[derive(Clone, Copy, Debug)]
struct Slot {
    seq: u64,
    lease: Lease,
    is_hole: bool,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Ring {
    slots: VecDeque<Slot>,
    len: usize,
}

impl Ring {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, seq: u64) -> Option<&Lease> {
        let at = self.find(seq).ok()?;
        self.slots.get(at).filter(|slot| !slot.is_hole).map(|slot| &slot.lease)
    }

    pub(super) fn get_mut(&mut self, seq: u64) -> Option<&mut Lease> {
        let at = self.find(seq).ok()?;
        self.slots.get_mut(at).filter(|slot| !slot.is_hole).map(|slot| &mut slot.lease)
    }

    /// The lowest.
    pub(super) fn first(&self) -> Option<(u64, &Lease)> {
        self.slots.front().map(|slot| (slot.seq, &slot.lease))
    }

    /// Gives what was there before.
    pub(super) fn insert(&mut self, seq: u64, lease: Lease) -> Option<Lease> {
        let slot = Slot { seq, lease, is_hole: false };
        match self.find(seq) {
            Ok(at) => {
                let old = std::mem::replace(&mut self.slots[at], slot);
                self.len += usize::from(old.is_hole);
                (!old.is_hole).then_some(old.lease)
            }
            Err(at) => {
                if at == self.slots.len() {
                    self.slots.push_back(slot);
                } else {
                    self.slots.insert(at, slot);
                }
                self.len += 1;
                None
            }
        }
    }

    pub(super) fn remove(&mut self, seq: u64) -> Option<Lease> {
        let at = self.find(seq).ok()?;
        let slot = self.slots.get_mut(at).filter(|slot| !slot.is_hole)?;
        slot.is_hole = true;
        let lease = slot.lease;
        self.len -= 1;
        while self.slots.front().is_some_and(|slot| slot.is_hole) {
            self.slots.pop_front();
        }
        if self.slots.len() > 2 * self.len + HOLES_MIN {
            self.slots.retain(|slot| !slot.is_hole);
        }
        Some(lease)
    }

    /// All, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, Lease)> {
        self.slots.iter().filter(|slot| !slot.is_hole).map(|slot| (slot.seq, slot.lease))
    }

    /// Those from a sequence on, ascending.
    pub(super) fn from(&self, seq: u64) -> impl Iterator<Item = (u64, Lease)> {
        let at = self.find(seq).unwrap_or_else(|at| at);
        self.slots.iter().skip(at).filter(|slot| !slot.is_hole).map(|slot| (slot.seq, slot.lease))
    }

    /// Gives back room that is not used.
    pub(super) fn shrink(&mut self) {
        self.slots.retain(|slot| !slot.is_hole);
        self.slots.shrink_to(IDLE.min(self.len * IDLE));
    }

    /// Where a sequence is (in a hole, perhaps), or belongs.
    fn find(&self, seq: u64) -> Result<usize, usize> {
        let (Some(first), Some(last)) = (self.slots.front(), self.slots.back()) else { return Err(0) };
        if seq > last.seq {
            return Err(self.slots.len());
        }
        if seq < first.seq {
            return Err(0);
        }
        let is_here = |at: u64| self.slots.get(at as usize).is_some_and(|slot| slot.seq == seq);
        let from_first = seq - first.seq;
        if is_here(from_first) {
            return Ok(from_first as usize);
        }
        let from_last = (self.slots.len() as u64).wrapping_sub(1 + last.seq - seq);
        if is_here(from_last) {
            return Ok(from_last as usize);
        }
        self.slots.binary_search_by_key(&seq, |slot| slot.seq)
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
            let (mut ring, mut map, mut top) = (Ring::default(), BTreeMap::new(), 0);
            for (kind, number) in ops {
                let lease = Lease { first: number, latest: 1, due_ns: 0, deliveries: 1, queued: false };
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
