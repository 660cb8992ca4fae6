//! The duplicate window: which message ids were stored lately. Ids are kept whole, so that no two are ever taken for
//! one. It is *not* durable; it is filled again from the messages that are there.

use std::collections::VecDeque;
use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

struct Id {
    id: Box<[u8]>,
    seq: u64,
    time_ns: u64,
}

/// See the module. Ids come in the order of their times.
pub(super) struct Ids {
    ring: VecDeque<Id>,
    /// Ids that were taken from the front so far: the table counts from the first ever.
    popped: u64,
    table: HashTable<u64>,
    hasher: FixedState,
}

impl Ids {
    pub(super) fn new(hash_seed: u64) -> Ids {
        let hasher = FixedState::with_seed(hash_seed);
        Ids { ring: VecDeque::new(), popped: 0, table: HashTable::new(), hasher }
    }

    /// Forgets what is older than the window.
    pub(super) fn prune(&mut self, now_ns: u64, window_ns: u64) {
        while self.ring.front().is_some_and(|id| now_ns.saturating_sub(id.time_ns) >= window_ns) {
            let Some(old) = self.ring.pop_front() else { return };
            if let Ok(entry) = self.table.find_entry(self.hasher.hash_one(&*old.id), |n| *n == self.popped) {
                entry.remove();
            }
            self.popped += 1;
        }
        if self.ring.is_empty() && self.ring.capacity() > 0 {
            self.ring = VecDeque::new();
            self.table = HashTable::new();
        }
    }

    /// The sequence under which an id was stored.
    pub(super) fn find(&self, id: &[u8]) -> Option<u64> {
        let is_it = |n: &u64| self.at(*n).is_some_and(|known| &*known.id == id);
        let n = self.table.find(self.hasher.hash_one(id), is_it)?;
        self.at(*n).map(|known| known.seq)
    }

    /// Notes an id. Of one that is known the newer place counts.
    pub(super) fn note(&mut self, id: &[u8], seq: u64, time_ns: u64) {
        let Ids { ring, popped, table, hasher } = self;
        let n = *popped + ring.len() as u64;
        ring.push_back(Id { id: id.into(), seq, time_ns });
        let hash_of = |n: &u64| {
            let known = ring.get((*n - *popped) as usize).map_or(&[][..], |known| &known.id);
            hasher.hash_one(known)
        };
        let is_it = |n: &u64| ring.get((*n - *popped) as usize).is_some_and(|known| &*known.id == id);
        match table.find_mut(hasher.hash_one(id), is_it) {
            Some(known) => *known = n,
            None => drop(table.insert_unique(hasher.hash_one(id), n, hash_of)),
        }
    }

    /// Time of the oldest id.
    pub(super) fn oldest_ns(&self) -> Option<u64> {
        self.ring.front().map(|id| id.time_ns)
    }

    fn at(&self, n: u64) -> Option<&Id> {
        self.ring.get(usize::try_from(n.checked_sub(self.popped)?).ok()?)
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let ids: usize = self.ring.iter().map(|id| id.id.len()).sum();
        ids + self.ring.capacity() * size_of::<Id>() + self.table.allocation_size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_known_for_the_window_and_then_forgotten() {
        let mut ids = Ids::new(3);
        for n in 0..100u64 {
            ids.note(format!("id-{n}").as_bytes(), n + 1, n * 10);
        }
        ids.prune(500, 100);
        assert_eq!(ids.find(b"id-40"), None, "exactly as old as the window");
        assert_eq!(ids.find(b"id-41"), Some(42));
        assert_eq!(ids.oldest_ns(), Some(410));
        ids.note(b"id-0", 500, 600);
        assert_eq!(ids.find(b"id-0"), Some(500));
        ids.prune(10_000, 100);
        assert_eq!((ids.find(b"id-0"), ids.heap_bytes()), (None, 0));
    }
}
