//! The subjects of a stream, each kept once while a message has it. A subject's *slot* is its place in the table and is
//! used again for another when it has none left.

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use std::hash::BuildHasher;

/// A subject and what is known of its messages.
#[derive(Debug, Default)]
pub(in crate::stream) struct Subject {
    pub(in crate::stream) name: Box<[u8]>,
    /// Of the messages, those that are not visible yet.
    pub(in crate::stream) hidden: u32,
    /// Messages; 0: the slot is free.
    pub(in crate::stream) count: u64,
    /// No message is before this one.
    pub(in crate::stream) first: u64,
    /// The last message.
    pub(in crate::stream) last: u64,
    /// The last visible message; 0: none is.
    pub(in crate::stream) shown: u64,
}

impl Subject {
    /// Messages that are visible.
    pub(in crate::stream) fn visible(&self) -> u64 {
        self.count - u64::from(self.hidden)
    }
}

/// See the module.
pub(in crate::stream) struct Subjects {
    table: Vec<Subject>,
    free: Vec<u32>,
    by_name: HashTable<u32>,
    hasher: FixedState,
}

impl Subjects {
    pub(in crate::stream) fn new(hash_seed: u64) -> Subjects {
        Subjects {
            table: Vec::new(),
            free: Vec::new(),
            by_name: HashTable::new(),
            hasher: FixedState::with_seed(hash_seed),
        }
    }

    /// The slot of a subject that has a message.
    pub(in crate::stream) fn find(&self, name: &[u8]) -> Option<u32> {
        let hash = self.hasher.hash_one(name);
        self.by_name.find(hash, |slot| self.name(*slot) == name).copied()
    }

    /// The slot of a subject, made when it has none. Whoever makes it sets the count.
    pub(in crate::stream) fn intern(&mut self, name: &[u8]) -> u32 {
        let Subjects { table, free, by_name, hasher, .. } = self;
        let name_of = |slot: u32| table.get(slot as usize).map_or(&[][..], |s: &Subject| &s.name);
        let hash = hasher.hash_one(name);
        if let Some(slot) = by_name.find(hash, |slot| name_of(*slot) == name) {
            return *slot;
        }
        let slot = free.pop().unwrap_or(table.len() as u32);
        by_name.insert_unique(hash, slot, |slot| hasher.hash_one(name_of(*slot)));
        let subject = Subject { name: name.into(), ..Subject::default() };
        match self.table.get_mut(slot as usize) {
            Some(free) => *free = subject,
            None => self.table.push(subject),
        }
        slot
    }

    /// Frees the slot of a subject that has no message left.
    pub(in crate::stream) fn release(&mut self, slot: u32) {
        let Some(subject) = self.table.get_mut(slot as usize) else { return };
        let Subject { name, .. } = std::mem::take(subject);
        if let Ok(entry) = self.by_name.find_entry(self.hasher.hash_one(&*name), |s| *s == slot) {
            entry.remove();
        }
        self.free.push(slot);
        if self.by_name.is_empty() {
            self.clear();
        }
    }

    /// Forgets all subjects.
    pub(in crate::stream) fn clear(&mut self) {
        if self.table.capacity() <= 16 {
            self.table.clear();
            self.free.clear();
            self.by_name.clear();
            return;
        }
        *self = Subjects { hasher: self.hasher.clone(), ..Subjects::new(0) };
    }

    /// Subjects that have a message.
    pub(in crate::stream) fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Every slot in use is below this.
    pub(in crate::stream) fn slots(&self) -> usize {
        self.table.len()
    }

    pub(in crate::stream) fn get(&self, slot: u32) -> Option<&Subject> {
        self.table.get(slot as usize)
    }

    pub(in crate::stream) fn get_mut(&mut self, slot: u32) -> Option<&mut Subject> {
        self.table.get_mut(slot as usize)
    }

    /// The subject at a slot; empty: the slot is free.
    pub(in crate::stream) fn name(&self, slot: u32) -> &[u8] {
        self.table.get(slot as usize).map_or(&[], |s| &s.name)
    }

    /// Every slot in use with its subject.
    pub(in crate::stream) fn iter(&self) -> impl Iterator<Item = (u32, &Subject)> {
        self.table.iter().enumerate().filter(|(_, s)| s.count > 0).map(|(slot, s)| (slot as u32, s))
    }

    /// Heap bytes, about.
    pub(in crate::stream) fn heap_bytes(&self) -> usize {
        let names: usize = self.table.iter().map(|s| s.name.len()).sum();
        names
            + self.by_name.allocation_size()
            + self.table.capacity() * size_of::<Subject>()
            + self.free.capacity() * 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(subjects: &mut Subjects, name: &str) -> u32 {
        let slot = subjects.intern(name.as_bytes());
        subjects.get_mut(slot).unwrap().count = 1;
        slot
    }

    #[test]
    fn a_slot_is_used_again_when_its_subject_is_gone() {
        let mut subjects = Subjects::new(1);
        let (a, b) = (used(&mut subjects, "a"), used(&mut subjects, "b"));
        assert_eq!((subjects.find(b"a"), subjects.find(b"b"), subjects.find(b"c")), (Some(a), Some(b), None));
        assert_eq!(subjects.intern(b"a"), a);
        subjects.release(a);
        assert_eq!((subjects.find(b"a"), subjects.name(a), subjects.len()), (None, &b""[..], 1));
        assert_eq!(used(&mut subjects, "c"), a);
        assert_eq!((subjects.find(b"c"), subjects.find(b"b"), subjects.len()), (Some(a), Some(b), 2));
    }
}
