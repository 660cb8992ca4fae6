//! The one way in: who is this, may it, and to whom does it go. One session a connection, so it needs no lock.

use std::sync::Arc;

use auth::{Answer, Principal};
use bus::{Found, Groups, Hit, Interest, Route, RouteCache};
use kernel::{Code, ConnectionId, Listener, Msg, SubId, SubjectPattern};

use crate::hub::Hub;
use crate::woken::{Outcome, Woken};

/// See the module.
pub struct Session {
    who: Arc<Principal>,
    interest: Arc<Interest>,
    cache: RouteCache,
    random: u64,
}

/// How many took a message, and whether somebody who must have it did not.
#[derive(Default)]
struct Tally {
    taken: usize,
    refused: bool,
}

impl Tally {
    fn count(&mut self, outcome: Outcome) -> bool {
        self.taken += usize::from(outcome == Outcome::Taken);
        self.refused |= outcome == Outcome::Refused;
        outcome == Outcome::Taken
    }

    fn result(self) -> Result<usize, Code> {
        match self.refused {
            true => Err(Code::Backpressure),
            false => Ok(self.taken),
        }
    }
}

impl Session {
    /// A session for somebody who was let in.
    pub fn new(hub: &Hub, who: Arc<Principal>) -> Session {
        let interest = hub.interest(who.tenant);
        // Any odd number will do: it only spreads the choice among members of a queue group.
        let random = hub.seed().wrapping_add(hub.clients.total()) | 1;
        Session { who, interest, cache: RouteCache::new(hub.seed()), random }
    }

    /// Who it is.
    pub fn who(&self) -> &Arc<Principal> {
        &self.who
    }

    /// Whether a connection hears what it publishes itself; by default it does.
    pub fn hear_own(&mut self, connection: ConnectionId, hear: bool) {
        self.cache.leave_out((!hear).then_some(connection));
    }

    /// Puts a message to everybody who hears its subject, and says how many took it. Errors with
    /// [`Code::PermissionDenied`]: nobody heard it; [`Code::Backpressure`]: a listener that must have it is full, and
    /// others may have heard it.
    #[inline]
    pub fn publish(&mut self, m: &Msg<'_>, woken: &mut Woken) -> Result<usize, Code> {
        let worthwhile = match self.cache.find(m.subject, &self.interest) {
            Found::Route(route) => return deliver(route, m, &mut self.random, woken),
            Found::Worthwhile => true,
            Found::Unknown => false,
        };
        self.publish_unknown(m, worthwhile, woken)
    }

    fn publish_unknown(&mut self, m: &Msg<'_>, worthwhile: bool, woken: &mut Woken) -> Result<usize, Code> {
        let allowed = self.who.permissions.may_publish(m.subject);
        if worthwhile && let Some(route) = self.cache.remember(m.subject, allowed, &self.interest) {
            return deliver(route, m, &mut self.random, woken);
        }
        match allowed {
            true => self.deliver_by_tree(m, false, woken),
            false => Err(Code::PermissionDenied),
        }
    }

    /// Delivers without a route, straight from the tree. `to_self`: whatever the connection said about hearing itself.
    fn deliver_by_tree(&mut self, m: &Msg<'_>, to_self: bool, woken: &mut Woken) -> Result<usize, Code> {
        let (mut tally, mut groups) = (Tally::default(), Groups::default());
        let reading = self.interest.read();
        let cache = &self.cache;
        let skip = |l: &Arc<dyn Listener>| !to_self && cache.leaves_out(&**l, m.subject);
        reading.matches(m.subject, &mut |hit| match hit {
            Hit::All(entries) => {
                for entry in entries.iter().filter(|e| !skip(&e.listener)) {
                    tally.count(woken.put(&entry.listener, m));
                }
            }
            Hit::Group(name, members) => groups.add(name, members),
        });
        for group in groups.iter() {
            let start = pick(&mut self.random, group.size());
            let turn = group.members().skip(start).chain(group.members().take(start));
            let mut members = turn.map(|e| &e.listener).filter(|l| !skip(l));
            members.any(|l| tally.count(woken.put(l, m)));
        }
        tally.result()
    }

    /// Delivers what the node itself says to a client, such as "nobody listens": no permission is asked.
    pub fn tell(&mut self, m: &Msg<'_>, woken: &mut Woken) -> Result<usize, Code> {
        self.deliver_by_tree(m, true, woken)
    }

    /// Lets `listener` hear `pattern`, which [`Session::may_subscribe`] admitted; if only partly, the listener must say
    /// what it may not hear ([`Listener::hears`]).
    pub fn subscribe(
        &mut self,
        pattern: &SubjectPattern,
        queue: Option<&[u8]>,
        listener: Arc<dyn Listener>,
    ) -> SubId {
        self.interest.subscribe(pattern, queue, listener)
    }

    /// Whether `pattern` may be subscribed to.
    pub fn may_subscribe(&self, pattern: &SubjectPattern) -> Answer {
        self.who.permissions.may_subscribe(pattern)
    }

    /// Ends a subscription, named as it was made.
    pub fn unsubscribe(&mut self, pattern: &SubjectPattern, queue: Option<&[u8]>, id: SubId) {
        self.interest.unsubscribe(pattern, queue, id);
    }
}

/// Delivers along a route.
#[inline]
fn deliver(route: &Route, m: &Msg<'_>, random: &mut u64, woken: &mut Woken) -> Result<usize, Code> {
    if !route.allowed {
        return Err(Code::PermissionDenied);
    }
    let mut tally = Tally::default();
    for listener in &route.all {
        tally.count(woken.put(listener, m));
    }
    for group in &route.groups {
        let (later, first) = group.split_at(pick(random, group.len()));
        // A member that is gone or full passes its turn on.
        first.iter().chain(later).any(|l| tally.count(woken.put(l, m)));
    }
    tally.result()
}

/// A number below `count` (0 for 0), by xorshift: Marsaglia, "Xorshift RNGs", 2003.
#[inline]
fn pick(random: &mut u64, count: usize) -> usize {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    ((u128::from(*random) * count as u128) >> 64) as usize
}
