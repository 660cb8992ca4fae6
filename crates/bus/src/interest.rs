//! Who hears what, for one tenant: the tree of patterns behind a lock that publishers hardly ever take, because they
//! remember routes and ask only whether these are still current.
//!
//! A [`Stamp`] is read *before* the tree; every change to the tree raises the generation of the pattern's first
//! token *while it holds the lock*. So a route with a current stamp is a route that no finished change has missed.
//! Generations are kept per first token (256 classes by hash), so that inboxes that come and go spare other routes;
//! patterns that begin with a wildcard have one of their own, which every stamp carries too.

use std::sync::{Arc, PoisonError};

use foldhash::fast::FixedState;
use kernel::{Listener, SubId, SubjectPattern};

use super::sync::{AtomicU64, Ordering, RwLock, RwLockReadGuard};
use super::trie::{Entry, Hit, Trie};

/// When a route was made, as far as its first token is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    class: u8,
    generation: u64,
    leading: u64,
}

/// See the module.
pub struct Interest {
    trie: RwLock<Trie>,
    generations: [AtomicU64; 256],
    /// Of patterns that begin with a wildcard: they concern every route.
    leading: AtomicU64,
    next_id: AtomicU64,
    count: AtomicU64,
    hasher: FixedState,
}

impl Interest {
    /// An empty interest whose hashes are seeded by `seed`.
    pub fn new(seed: u64) -> Interest {
        Interest {
            trie: RwLock::new(Trie::new(seed)),
            generations: [const { AtomicU64::new(0) }; 256],
            leading: AtomicU64::new(0),
            next_id: AtomicU64::new(1),
            count: AtomicU64::new(0),
            hasher: FixedState::with_seed(seed),
        }
    }

    /// Lets `listener` hear `pattern`, alone or as a member of the group `queue`.
    pub fn subscribe(
        &self,
        pattern: &SubjectPattern,
        queue: Option<&[u8]>,
        listener: Arc<dyn Listener>,
    ) -> SubId {
        let mut trie = self.trie.write().unwrap_or_else(PoisonError::into_inner);
        // Under the lock, so that entries are in the order of their ids.
        let id = SubId(self.next_id.fetch_add(1, Ordering::Relaxed));
        trie.insert(pattern, queue, Entry { id, listener });
        self.count.fetch_add(1, Ordering::Relaxed);
        self.raise(pattern);
        id
    }

    /// Ends a subscription, named as it was made. False: it was not there.
    pub fn unsubscribe(&self, pattern: &SubjectPattern, queue: Option<&[u8]>, id: SubId) -> bool {
        let mut trie = self.trie.write().unwrap_or_else(PoisonError::into_inner);
        let found = trie.remove(pattern, queue, id);
        if found {
            self.count.fetch_sub(1, Ordering::Relaxed);
            self.raise(pattern);
        }
        found
    }

    /// How many subscriptions there are.
    pub fn len(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether nobody listens.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The stamp of a route for `subject` that is about to be made.
    pub fn stamp(&self, subject: &[u8]) -> Stamp {
        let class = self.class(first_token(subject));
        let generation = self.generations[usize::from(class)].load(Ordering::Acquire);
        Stamp { class, generation, leading: self.leading.load(Ordering::Acquire) }
    }

    /// Whether nothing changed since `stamp` that a route with it could have missed.
    #[inline]
    pub fn is_current(&self, stamp: Stamp) -> bool {
        self.generations[usize::from(stamp.class)].load(Ordering::Acquire) == stamp.generation
            && self.leading.load(Ordering::Acquire) == stamp.leading
    }

    /// Holds the tree still to ask it.
    pub fn read(&self) -> Reading<'_> {
        Reading(self.trie.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the tree has no branch left.
    #[cfg(test)]
    pub(crate) fn is_pruned(&self) -> bool {
        self.trie.read().is_ok_and(|trie| trie.is_empty())
    }

    fn raise(&self, pattern: &SubjectPattern) {
        match first_token(pattern.as_str().as_bytes()) {
            b"*" | b">" => _ = self.leading.fetch_add(1, Ordering::Release),
            token => _ = self.generations[usize::from(self.class(token))].fetch_add(1, Ordering::Release),
        }
    }

    fn class(&self, token: &[u8]) -> u8 {
        use std::hash::BuildHasher;
        (self.hasher.hash_one(token) >> 56) as u8
    }
}

/// The tree, held still: subscriptions wait until it is dropped.
pub struct Reading<'i>(RwLockReadGuard<'i, Trie>);

impl Reading<'_> {
    /// Tells `hit` everybody who hears `subject`.
    pub fn matches<'t>(&'t self, subject: &[u8], hit: &mut impl FnMut(Hit<'t>)) {
        self.0.matches(subject, hit);
    }

    /// Tells `tell` every subscription: the tokens of its pattern, its group, and itself. In no order, and as long as it
    /// takes nobody subscribes.
    pub fn each<'t>(&'t self, tell: &mut impl FnMut(&[&'t [u8]], Option<&'t [u8]>, &'t Entry)) {
        self.0.each(tell);
    }
}

fn first_token(subject: &[u8]) -> &[u8] {
    subject.split(|b| *b == b'.').next().unwrap_or_default()
}
