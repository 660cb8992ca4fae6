//! What a publisher remembers: for a subject, whether it may publish there and who hears it. One cache a connection,
//! so it needs no lock. It does *not* deliver: the fabric's session walks what it finds.
//!
//! A subject gets a place only when it is seen for the second time in a row at its slot, so that subjects that are
//! used once (reply inboxes, random keys) cost no allocation and push nothing out.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;
use kernel::{ConnectionId, Full, Listener};

use crate::interest::{Interest, Stamp};
use crate::trie::{Entry, Hit};

/// Most slots of one cache.
const SLOTS_MAX: usize = 1024;
/// Slots of a cache that was just begun.
const SLOTS_MIN: usize = 16;
/// A route to more listeners than this is not remembered: asking the tree is cheap against serving them.
const LISTENERS_MAX: usize = 1024;
/// A subject longer than this is not remembered, so that what one publisher remembers is bounded in bytes too.
const SUBJECT_BYTES_REMEMBERED_MAX: usize = 256;
/// Most listeners that all routes of one cache remember together.
const LISTENERS_TOTAL_MAX: usize = 8192;

/// Those of whom one hears a message.
pub type Members = Box<[Arc<dyn Listener>]>;

/// Where messages on one subject go.
pub struct Route {
    subject: Box<[u8]>,
    stamp: Stamp,
    /// More hear it than is worth remembering: the tree is asked each time.
    is_wide: bool,
    /// Whether this publisher may publish here.
    pub allowed: bool,
    /// Every one of these hears it.
    pub all: Box<[Arc<dyn Listener>]>,
    /// One of each of these hears it.
    pub groups: Box<[Members]>,
}

impl Route {
    fn size(&self) -> usize {
        self.all.len() + self.groups.iter().map(|g| g.len()).sum::<usize>()
    }
}

#[derive(Default)]
struct Slot {
    /// Hash of the subject that asked last and was not here.
    candidate: u64,
    hash: u64,
    route: Option<Box<Route>>,
}

/// What the cache knows of a subject.
pub enum Found<'c> {
    /// A route that is current.
    Route(&'c Route),
    /// Nothing; and the subject was seen only once: ask the tree.
    Unknown,
    /// Nothing yet, and it is worth remembering: [`RouteCache::remember`].
    Worthwhile,
}

/// See the module.
pub struct RouteCache {
    slots: Vec<Slot>,
    routes: usize,
    listeners: usize,
    hasher: FixedState,
    /// Who asks, when it does not want to hear itself.
    deaf_to: Option<ConnectionId>,
    /// Streams and services do not hear it.
    only_clients: bool,
}

impl RouteCache {
    /// An empty cache, whose hashes are seeded by `seed`.
    pub fn new(seed: u64) -> RouteCache {
        let hasher = FixedState::with_seed(seed);
        RouteCache { slots: Vec::new(), routes: 0, listeners: 0, hasher, deaf_to: None, only_clients: false }
    }

    /// From now on routes leave out the listeners of `connection`.
    pub fn leave_out(&mut self, connection: Option<ConnectionId>) {
        self.deaf_to = connection;
        self.clear();
    }

    /// From now on routes leave out the listeners that may refuse: streams and services.
    pub fn leave_out_services(&mut self) {
        self.only_clients = true;
        self.clear();
    }

    /// Whether a listener is left out of this cache's routes for `subject`.
    pub fn leaves_out(&self, listener: &dyn Listener, subject: &[u8]) -> bool {
        let own = self.deaf_to.is_some() && listener.connection() == self.deaf_to;
        let is_service = self.only_clients && listener.full() == Full::Refuse;
        own || is_service || !listener.hears(subject)
    }

    /// Looks `subject` up.
    #[inline]
    pub fn find(&mut self, subject: &[u8], interest: &Interest) -> Found<'_> {
        if subject.len() > SUBJECT_BYTES_REMEMBERED_MAX {
            return Found::Unknown;
        }
        if self.slots.is_empty() {
            self.slots.resize_with(SLOTS_MIN, Slot::default);
        }
        let hash = self.hasher.hash_one(subject);
        let at = hash as usize & (self.slots.len() - 1);
        let slot = &mut self.slots[at];
        if let Some(route) = &slot.route
            && slot.hash == hash
            && *route.subject == *subject
        {
            if interest.is_current(route.stamp) {
                if route.is_wide {
                    return Found::Unknown;
                }
                // Borrowed anew, because the compiler does not see that the other ways out do not use it.
                return self.slots[at].route.as_deref().map_or(Found::Unknown, Found::Route);
            }
            return Found::Worthwhile;
        }
        if slot.candidate == hash {
            return Found::Worthwhile;
        }
        slot.candidate = hash;
        Found::Unknown
    }

    /// The route for `subject`, if a current one is remembered. Unlike [`RouteCache::find`] it does not count as a use.
    #[inline]
    pub fn peek(&self, subject: &[u8], interest: &Interest) -> Option<&Route> {
        if self.routes == 0 {
            return None;
        }
        let hash = self.hasher.hash_one(subject);
        let slot = self.slots.get(hash as usize & (self.slots.len() - 1))?;
        let route = slot.route.as_deref().filter(|route| slot.hash == hash && *route.subject == *subject)?;
        (!route.is_wide && interest.is_current(route.stamp)).then_some(route)
    }

    /// Asks the tree and remembers the answer. `None`: too many hear it, which is what is remembered.
    pub fn remember(&mut self, subject: &[u8], allowed: bool, interest: &Interest) -> Option<&Route> {
        let mut route = Route {
            subject: subject.into(),
            stamp: interest.stamp(subject),
            is_wide: false,
            allowed,
            all: Box::new([]),
            groups: Box::new([]),
        };
        if allowed {
            self.fill(&mut route, interest);
        }
        let route = self.place(route);
        (!route.is_wide).then_some(route)
    }

    /// Asks the tree who hears the route's subject.
    fn fill(&self, route: &mut Route, interest: &Interest) {
        let reading = interest.read();
        let subject = &*route.subject;
        let keep = |e: &&Entry| !self.leaves_out(&*e.listener, subject);
        let (mut all, mut groups, mut count) = (Vec::new(), Groups::default(), 0);
        reading.matches(subject, &mut |hit| match hit {
            Hit::All(entries) => {
                count += entries.len();
                if count <= LISTENERS_MAX {
                    all.extend(entries.iter().filter(keep).map(|e| e.listener.clone()));
                }
            }
            Hit::Group(name, members) => {
                count += members.len();
                groups.add(name, members);
            }
        });
        route.is_wide = count > LISTENERS_MAX;
        if !route.is_wide {
            let members = |g: &Group<'_>| g.members().filter(keep).map(|e| e.listener.clone()).collect();
            (route.all, route.groups) = (all.into(), groups.iter().map(members).collect());
        }
    }

    fn place(&mut self, route: Route) -> &Route {
        if self.listeners + route.size() > LISTENERS_TOTAL_MAX {
            self.clear();
        }
        if self.routes * 2 >= self.slots.len() && self.slots.len() < SLOTS_MAX {
            self.grow();
        }
        let hash = self.hasher.hash_one(&*route.subject);
        let at = hash as usize & (self.slots.len() - 1);
        self.listeners += route.size();
        self.routes += 1;
        if let Some(old) = self.slots[at].route.take() {
            self.listeners -= old.size();
            self.routes -= 1;
        }
        self.slots[at].hash = hash;
        self.slots[at].candidate = 0;
        self.slots[at].route.insert(Box::new(route))
    }

    fn grow(&mut self) {
        let size = (self.slots.len() * 4).clamp(SLOTS_MIN, SLOTS_MAX);
        let old = std::mem::take(&mut self.slots);
        self.slots.resize_with(size, Slot::default);
        (self.routes, self.listeners) = (0, 0);
        for slot in old {
            if let Some(route) = slot.route {
                let into = &mut self.slots[slot.hash as usize & (size - 1)];
                if into.route.is_none() {
                    (self.routes, self.listeners) = (self.routes + 1, self.listeners + route.size());
                    (into.hash, into.route) = (slot.hash, Some(route));
                }
            }
        }
    }

    fn clear(&mut self) {
        self.slots.clear();
        self.slots.shrink_to(SLOTS_MIN);
        self.slots.resize_with(SLOTS_MIN, Slot::default);
        (self.routes, self.listeners) = (0, 0);
    }
}

/// The groups that a subject meets, borrowed from the tree. Groups of one name under several patterns are one group.
#[derive(Default)]
pub struct Groups<'t>(Vec<Group<'t>>);

/// One of them hears it.
pub struct Group<'t> {
    name: &'t [u8],
    first: &'t [Entry],
    more: Vec<&'t [Entry]>,
}

impl<'t> Groups<'t> {
    /// Adds the members that one pattern has under `name`.
    pub fn add(&mut self, name: &'t [u8], members: &'t [Entry]) {
        match self.0.iter_mut().find(|g| g.name == name) {
            Some(group) => group.more.push(members),
            None => self.0.push(Group { name, first: members, more: Vec::new() }),
        }
    }

    /// Each group once.
    pub fn iter(&self) -> impl Iterator<Item = &Group<'t>> {
        self.0.iter()
    }
}

impl<'t> Group<'t> {
    /// Those of whom one hears it.
    pub fn members(&self) -> impl Iterator<Item = &'t Entry> {
        self.first.iter().chain(self.more.iter().copied().flatten())
    }

    /// How many they are.
    pub fn size(&self) -> usize {
        self.first.len() + self.more.iter().map(|m| m.len()).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::Ear;
    use kernel::SubjectPattern;
    use proptest::prelude::*;

    fn pattern(text: &str) -> SubjectPattern {
        SubjectPattern::parse(text.as_bytes()).unwrap()
    }

    /// Whom the cache, or else the tree, names for a subject: connections, each with how often.
    fn whom(cache: &mut RouteCache, interest: &Interest, subject: &str) -> Vec<u64> {
        let id = |l: &Arc<dyn Listener>| l.connection().unwrap().0;
        let collect = |r: &Route| {
            let mut ids: Vec<u64> = r.all.iter().chain(r.groups.iter().flatten()).map(id).collect();
            ids.sort_unstable();
            ids
        };
        match cache.find(subject.as_bytes(), interest) {
            Found::Route(route) => collect(route),
            _ => collect(cache.remember(subject.as_bytes(), true, interest).unwrap()),
        }
    }

    #[test]
    fn a_subject_is_remembered_when_it_is_seen_twice() {
        let interest = Interest::new(1);
        let mut cache = RouteCache::new(1);
        assert!(matches!(cache.find(b"a", &interest), Found::Unknown));
        assert!(matches!(cache.find(b"a", &interest), Found::Worthwhile));
        cache.remember(b"a", true, &interest);
        assert!(matches!(cache.find(b"a", &interest), Found::Route(_)));
    }

    #[test]
    fn subjects_that_come_once_push_nothing_out() {
        let interest = Interest::new(1);
        let mut cache = RouteCache::new(1);
        cache.remember(b"steady", true, &interest);
        for n in 0..100_000 {
            assert!(!matches!(cache.find(format!("once.{n}").as_bytes(), &interest), Found::Route(_)));
        }
        assert!(matches!(cache.find(b"steady", &interest), Found::Route(_)));
    }

    #[test]
    fn memory_is_bounded_however_many_subjects_and_listeners() {
        let interest = Interest::new(1);
        for n in 0..100 {
            interest.subscribe(&pattern(">"), None, Arc::new(Ear::new(n)));
        }
        let mut cache = RouteCache::new(1);
        for n in 0..20_000 {
            cache.remember(format!("s.{n}").as_bytes(), true, &interest);
            assert!(cache.slots.len() <= SLOTS_MAX && cache.listeners <= LISTENERS_TOTAL_MAX);
        }
        for n in 0..2000 {
            interest.subscribe(&pattern("wide"), None, Arc::new(Ear::new(n)));
        }
        assert!(cache.remember(b"wide", true, &interest).is_none());
        assert!(matches!(cache.find(b"wide", &interest), Found::Unknown), "and that is remembered");
        let long = [b'x'; 300];
        assert!(matches!(cache.find(&long, &interest), Found::Unknown));
        assert!(matches!(cache.find(&long, &interest), Found::Unknown));
    }

    #[test]
    fn a_group_under_several_patterns_is_one_group() {
        let interest = Interest::new(1);
        interest.subscribe(&pattern("a.*"), Some(b"q"), Arc::new(Ear::new(1)));
        interest.subscribe(&pattern("a.>"), Some(b"q"), Arc::new(Ear::new(2)));
        interest.subscribe(&pattern("a.b"), Some(b"r"), Arc::new(Ear::new(3)));
        let mut cache = RouteCache::new(1);
        let route = cache.remember(b"a.b", true, &interest).unwrap();
        let mut sizes: Vec<usize> = route.groups.iter().map(|g| g.len()).collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [1, 2]);
    }

    proptest! {
        /// However subscriptions come and go, whom the cache names is whom trying every pattern names.
        #[test]
        fn a_stale_route_is_never_served(
            steps in prop::collection::vec((0u8..3, 0usize..6, 0usize..4), 1..80),
            deaf in prop::bool::ANY,
        ) {
            const PATTERNS: [&str; 6] = ["a", "a.*", "b.>", ">", "*.a", "b.a"];
            const SUBJECTS: [&str; 4] = ["a", "a.a", "b.a", "b.b.b"];
            let interest = Interest::new(1);
            let mut cache = RouteCache::new(1);
            if deaf {
                cache.leave_out(Some(ConnectionId(3)));
            }
            let mut live = Vec::new();
            for (n, (kind, p, s)) in steps.into_iter().enumerate() {
                match kind {
                    0 => {
                        let (p, connection) = (pattern(PATTERNS[p]), n as u64 % 5);
                        let id = interest.subscribe(&p, None, Arc::new(Ear::new(connection)));
                        live.push((p, id, connection));
                    }
                    1 if !live.is_empty() => {
                        let (p, id, _) = live.swap_remove(p % live.len());
                        prop_assert!(interest.unsubscribe(&p, None, id));
                    }
                    _ => {
                        let subject = SUBJECTS[s];
                        let hears = |l: &&(SubjectPattern, _, u64)| l.0.matches(subject.as_bytes()) && !(deaf && l.2 == 3);
                        let mut expected: Vec<u64> = live.iter().filter(hears).map(|l| l.2).collect();
                        expected.sort_unstable();
                        prop_assert_eq!(whom(&mut cache, &interest, subject), expected);
                    }
                }
            }
        }
    }
}
