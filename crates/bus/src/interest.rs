//! Who hears what, for one tenant: the tree of patterns behind a lock that publishers hardly ever take, because they
//! remember routes and ask only whether these are still current.
//!
//! A [`Stamp`] is read *before* the tree; every change to the tree raises the generation of the pattern's first
//! token *while it holds the lock*. So a route with a current stamp is a route that no finished change has missed.
//! Generations are kept per first token (256 classes by hash), so that inboxes that come and go spare other routes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use foldhash::fast::FixedState;
use kernel::{Listener, SubId, SubjectPattern};

use crate::trie::{Entry, Hit, Trie};

/// When a route was made, as far as its first token is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    class: u8,
    generation: u64,
}

/// See the module.
pub struct Interest {
    trie: RwLock<Trie>,
    generations: [AtomicU64; 256],
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
        Stamp { class, generation }
    }

    /// Whether nothing changed since `stamp` that a route with it could have missed.
    #[inline]
    pub fn is_current(&self, stamp: Stamp) -> bool {
        self.generations[usize::from(stamp.class)].load(Ordering::Acquire) == stamp.generation
    }

    /// Holds the tree still to ask it.
    pub fn read(&self) -> Reading<'_> {
        Reading(self.trie.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn raise(&self, pattern: &SubjectPattern) {
        match first_token(pattern.as_str().as_bytes()) {
            b"*" | b">" => self.generations.iter().for_each(|g| _ = g.fetch_add(1, Ordering::Release)),
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
}

fn first_token(subject: &[u8]) -> &[u8] {
    subject.split(|b| *b == b'.').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::Silent;
    use proptest::prelude::*;

    fn pattern(text: &str) -> SubjectPattern {
        SubjectPattern::parse(text.as_bytes()).unwrap()
    }

    fn heard(interest: &Interest, subject: &str) -> Vec<u64> {
        let mut ids = Vec::new();
        interest.read().matches(subject.as_bytes(), &mut |hit| match hit {
            Hit::All(entries) | Hit::Group(_, entries) => ids.extend(entries.iter().map(|e| e.id.0)),
        });
        ids.sort_unstable();
        ids
    }

    fn token(wild: bool) -> impl Strategy<Value = &'static str> {
        prop::sample::select(if wild { vec!["a", "b", "c", "*", ">"] } else { vec!["a", "b", "c"] })
    }

    #[derive(Clone, Debug)]
    enum Step {
        Add(Vec<&'static str>, Option<&'static str>),
        Remove(prop::sample::Index),
    }

    fn step() -> impl Strategy<Value = Step> {
        let queue = prop::option::of(prop::sample::select(vec!["q", "r"]));
        prop_oneof![
            3 => (prop::collection::vec(token(true), 1..5), queue).prop_map(|(t, q)| Step::Add(t, q)),
            1 => any::<prop::sample::Index>().prop_map(Step::Remove),
        ]
    }

    proptest! {
        #[test]
        fn the_tree_says_what_trying_every_pattern_says(
            steps in prop::collection::vec(step(), 1..40),
            subjects in prop::collection::vec(prop::collection::vec(token(false), 1..5), 1..20),
        ) {
            let interest = Interest::new(7);
            let mut brute: Vec<(SubjectPattern, Option<&str>, SubId)> = Vec::new();
            for step in steps {
                match step {
                    Step::Add(tokens, queue) => {
                        let Ok(p) = SubjectPattern::parse(tokens.join(".").as_bytes()) else { continue };
                        let id = interest.subscribe(&p, queue.map(str::as_bytes), Arc::new(Silent));
                        brute.push((p, queue, id));
                    }
                    Step::Remove(at) if !brute.is_empty() => {
                        let (p, queue, id) = brute.swap_remove(at.index(brute.len()));
                        prop_assert!(interest.unsubscribe(&p, queue.map(str::as_bytes), id));
                        prop_assert!(!interest.unsubscribe(&p, queue.map(str::as_bytes), id), "only once");
                    }
                    Step::Remove(_) => {}
                }
                for subject in &subjects {
                    let subject = subject.join(".");
                    let mut ids: Vec<u64> =
                        brute.iter().filter(|b| b.0.matches(subject.as_bytes())).map(|b| b.2.0).collect();
                    ids.sort_unstable();
                    prop_assert_eq!(heard(&interest, &subject), ids);
                }
            }
            for (p, queue, id) in brute.drain(..) {
                interest.unsubscribe(&p, queue.map(str::as_bytes), id);
            }
            prop_assert!(interest.is_empty() && interest.trie.read().unwrap().is_empty(), "branches are pruned");
        }
    }

    #[test]
    fn a_change_makes_the_stamps_of_its_first_token_stale_and_spares_others() {
        let interest = Interest::new(7);
        let (orders, inbox) = (interest.stamp(b"orders.new"), interest.stamp(b"_INBOX.x.1"));
        let id = interest.subscribe(&pattern("_INBOX.x.*"), None, Arc::new(Silent));
        assert!(interest.is_current(orders) && !interest.is_current(inbox));
        let inbox = interest.stamp(b"_INBOX.x.1");
        interest.unsubscribe(&pattern("_INBOX.x.*"), None, id);
        assert!(!interest.is_current(inbox));
        interest.subscribe(&pattern(">"), None, Arc::new(Silent));
        assert!(!interest.is_current(orders), "a leading wildcard concerns everybody");
    }

    #[test]
    fn odd_subjects_are_taken_token_by_token() {
        let interest = Interest::new(7);
        interest.subscribe(&pattern(">"), None, Arc::new(Silent));
        interest.subscribe(&pattern("a.*.b"), None, Arc::new(Silent));
        for (subject, count) in [("", 1), ("a..b", 2), (".", 1), ("a.b", 1), ("*", 1)] {
            assert_eq!(heard(&interest, subject).len(), count, "{subject:?}");
        }
    }
}
