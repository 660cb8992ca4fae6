//! The one way in: who is this, may it, and to whom does it go. One session a connection, so it needs no lock.

use std::sync::Arc;

use auth::{Answer, Principal};
use bus::{Budget, Entry, Found, Groups, Hit, Interest, Route, RouteCache};
use kernel::{Code, ConnectionId, Keeps, Listener, Msg, SubId, SubjectPattern};
use wire::jetstream::pub_headers::must_be_kept;

use crate::hub::Hub;
use crate::watch::Watch;
use crate::woken::{Outcome, Woken};

/// See the module.
pub struct Session {
    who: Arc<Principal>,
    interest: Arc<Interest>,
    /// What the subscriptions of all sessions may cost.
    memory: Arc<Budget>,
    /// Hears when subscriptions change.
    watch: Arc<Watch>,
    cache: RouteCache,
    random: u64,
}

/// The streams that keep what is published on a subject.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Captured {
    /// How many they are.
    pub streams: usize,
    /// How many of them acknowledge it.
    pub acknowledging: usize,
}

impl Captured {
    fn count(&mut self, listener: &dyn Listener) {
        let keeps = listener.keeps();
        self.streams += usize::from(keeps != Keeps::Nothing);
        self.acknowledging += usize::from(keeps == Keeps::Acknowledged);
    }
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
        let memory = hub.interest_memory().clone();
        let watch = hub.watch().clone();
        Session { who, interest, memory, watch, cache: RouteCache::new(hub.seed()), random }
    }

    /// Who it is.
    pub fn who(&self) -> &Arc<Principal> {
        &self.who
    }

    /// Whether a connection hears what it publishes itself; by default it does.
    pub fn hear_own(&mut self, connection: ConnectionId, hear: bool) {
        self.cache.leave_out((!hear).then_some(connection));
    }

    /// What is sent through it reaches clients only: what the control plane answers or delivers on a subject that somebody
    /// chose must not become a request to itself, or a message of a stream.
    pub(crate) fn for_clients_only(mut self) -> Session {
        self.cache.leave_out_services();
        self
    }

    /// Publishes what a client says: to everybody who hears the subject; says how many took it. Whether its headers demand
    /// a stream ([`must_be_kept`]) is decided here and nowhere else, so that no door can forget it. Errors with
    /// [`Code::PermissionDenied`], and with [`Code::StreamNotFound`] where it must be kept and no stream captures the
    /// subject: nobody heard it; [`Code::Backpressure`]: a listener that must have it is full, and others may have heard
    /// it.
    #[inline]
    pub fn publish(&mut self, m: &Msg<'_>, woken: &mut Woken) -> Result<usize, Code> {
        match !m.headers.is_empty() && must_be_kept(m.headers) {
            false => self.send(m.subject, m, woken),
            true => self.publish_kept(m, woken),
        }
    }

    /// The same for a message that must be kept whatever its headers say.
    pub fn publish_kept(&mut self, m: &Msg<'_>, woken: &mut Woken) -> Result<usize, Code> {
        if !self.who.permissions.may_publish(m.subject) {
            return Err(Code::PermissionDenied);
        }
        match self.capturing(m.subject).streams {
            0 => Err(Code::StreamNotFound),
            _ => self.send(m.subject, m, woken),
        }
    }

    /// Which streams capture a subject; none where the session may not publish on it. A subject that is not known yet costs
    /// a look into the tree.
    pub fn capturing(&self, subject: &[u8]) -> Captured {
        let mut captured = Captured::default();
        if let Some(route) = self.cache.peek(subject, &self.interest) {
            route.all.iter().for_each(|listener| captured.count(&**listener));
        } else if self.who.permissions.may_publish(subject) {
            // A stream is in no group.
            self.interest.read().matches(subject, &mut |hit| {
                let Hit::All(entries) = hit else { return };
                entries.iter().for_each(|entry| captured.count(&*entry.listener));
            });
        }
        captured
    }

    /// Puts a message to everybody who hears the subject `to`, whatever subject the message itself shows: what a stream
    /// delivers to a client keeps the subject under which it was stored. What its headers ask was heeded when it was
    /// published. Errors as [`Session::publish`], but for the stream.
    #[inline]
    pub fn send(&mut self, to: &[u8], m: &Msg<'_>, woken: &mut Woken) -> Result<usize, Code> {
        let worthwhile = match self.cache.find(to, &self.interest) {
            Found::Route(route) => return deliver(route, m, &mut self.random, woken),
            Found::Worthwhile => true,
            Found::Unknown => false,
        };
        self.send_unknown(to, m, worthwhile, woken)
    }

    /// The same to one member of a queue group and nobody else. How many took it: one, or none.
    pub(crate) fn send_in(&mut self, to: &[u8], group: &[u8], m: &Msg<'_>, woken: &mut Woken) -> usize {
        let mut groups = Groups::default();
        let reading = self.interest.read();
        reading.matches(to, &mut |hit| {
            if let Hit::Group(name, members) = hit
                && *name == *group
            {
                groups.add(name, members);
            }
        });
        let mut tally = Tally::default();
        for group in groups.iter() {
            let start = pick(&mut self.random, group.size());
            let mut turn = group.members().skip(start).chain(group.members().take(start));
            turn.any(|e| e.listener.hears(to) && tally.count(woken.put(&e.listener, m)));
        }
        tally.taken
    }

    fn send_unknown(
        &mut self,
        to: &[u8],
        m: &Msg<'_>,
        worthwhile: bool,
        woken: &mut Woken,
    ) -> Result<usize, Code> {
        let allowed = self.who.permissions.may_publish(to);
        if worthwhile && let Some(route) = self.cache.remember(to, allowed, &self.interest) {
            return deliver(route, m, &mut self.random, woken);
        }
        match allowed {
            true => self.deliver_by_tree(to, m, woken),
            false => Err(Code::PermissionDenied),
        }
    }

    /// Delivers without a route, straight from the tree.
    fn deliver_by_tree(&mut self, to: &[u8], m: &Msg<'_>, woken: &mut Woken) -> Result<usize, Code> {
        let (mut tally, mut groups) = (Tally::default(), Groups::default());
        let reading = self.interest.read();
        let cache = &self.cache;
        let skip = |l: &Arc<dyn Listener>| cache.leaves_out(&**l, to);
        reading.matches(to, &mut |hit| match hit {
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

    /// Tells `connection` itself what the node has to say on a subject that it chose, such as "nobody listens" to its
    /// reply subject. Nobody else hears it, so no permission to publish is asked; what it may not hear, it does not.
    pub fn tell(&mut self, connection: ConnectionId, m: &Msg<'_>, woken: &mut Woken) {
        let reading = self.interest.read();
        reading.matches(m.subject, &mut |hit| {
            let (Hit::All(entries) | Hit::Group(_, entries)) = hit;
            let own = |e: &&Entry| e.listener.connection() == Some(connection) && e.listener.hears(m.subject);
            for entry in entries.iter().filter(own) {
                woken.put(&entry.listener, m);
            }
        });
    }

    /// Lets a listener hear `pattern`; `listener` makes it. When some subjects of the pattern are denied, it is given
    /// who must be asked for each ([`Listener::hears`]). Errors with [`Code::PermissionDenied`], and with
    /// [`Code::LimitExceeded`] when the node remembers as many subscriptions as it may.
    pub fn subscribe<L: Listener + 'static>(
        &mut self,
        pattern: &SubjectPattern,
        queue: Option<&[u8]>,
        listener: impl FnOnce(Option<Arc<Principal>>) -> Arc<L>,
    ) -> Result<(SubId, Arc<L>), Code> {
        let judge = match self.who.permissions.may_subscribe(pattern) {
            Answer::Yes => None,
            Answer::Partly => Some(self.who.clone()),
            Answer::No => return Err(Code::PermissionDenied),
        };
        let cost = cost(pattern, queue);
        if self.memory.used_bytes() + cost > self.memory.limit_bytes() {
            return Err(Code::LimitExceeded);
        }
        self.memory.add(cost);
        let listener = listener(judge);
        let id = self.interest.subscribe(pattern, queue, listener.clone());
        self.watch.tell();
        Ok((id, listener))
    }

    /// Ends a subscription, named as it was made.
    pub fn unsubscribe(&mut self, pattern: &SubjectPattern, queue: Option<&[u8]>, id: SubId) {
        if self.interest.unsubscribe(pattern, queue, id) {
            self.memory.sub(cost(pattern, queue));
            self.watch.tell();
        }
    }
}

/// What a subscription costs at most in memory, in bytes: a branch of the tree for each token, measured, and itself.
fn cost(pattern: &SubjectPattern, queue: Option<&[u8]>) -> usize {
    const TOKEN_BYTES: usize = 320;
    const SELF_BYTES: usize = 512;
    let text = pattern.as_str().len() + queue.map_or(0, <[u8]>::len);
    SELF_BYTES + TOKEN_BYTES * pattern.tokens().count() + 2 * text
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
