//! The subscriptions of one client, under the names that it gave them. What a client is told of them is its protocol's
//! affair.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use fabric::Session;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use kernel::{Code, SubId, SubjectPattern};

use super::Peer;
use super::delivery::{Delivery, Encode};

struct Subscription<E> {
    pattern: SubjectPattern,
    queue: Option<Box<[u8]>>,
    id: SubId,
    delivery: Arc<Delivery<E>>,
}

/// See the module.
pub(crate) struct Subscriptions<E> {
    peer: Arc<Peer>,
    all: HashMap<Box<[u8]>, Subscription<E>, RandomState>,
}

impl<E: Encode> Subscriptions<E> {
    pub(crate) fn new(peer: Arc<Peer>) -> Subscriptions<E> {
        Subscriptions { peer, all: HashMap::with_hasher(RandomState::default()) }
    }

    /// Whether there is one of this name.
    pub(crate) fn has(&self, sid: &[u8]) -> bool {
        self.all.contains_key(sid)
    }

    /// Subscribes under a name that is free. Errors where the client may not, or there are as many as there may be.
    pub(crate) fn add(
        &mut self,
        session: &mut Session,
        sid: &[u8],
        pattern: &SubjectPattern,
        queue: Option<&[u8]>,
    ) -> Result<(), Code> {
        if self.all.len() >= self.peer.shared.hub.limits().subscriptions_max {
            return Err(Code::LimitExceeded);
        }
        let make = |judge| Arc::new(Delivery::new(self.peer.clone(), sid, judge));
        let (id, delivery) = session.subscribe(pattern, queue, make)?;
        let (pattern, queue) = (pattern.clone(), queue.map(Box::from));
        self.all.insert(sid.into(), Subscription { pattern, queue, id, delivery });
        self.count();
        Ok(())
    }

    /// Ends one, at once or after `max` messages in all.
    pub(crate) fn end(&mut self, session: &mut Session, sid: &[u8], max: Option<u64>) {
        let ends_later = max.filter(|max| *max > 0);
        if self.all.get(sid).is_some_and(|s| ends_later.is_none_or(|max| s.delivery.end_after(max))) {
            self.remove(session, sid);
        }
    }

    fn remove(&mut self, session: &mut Session, sid: &[u8]) {
        if let Some(s) = self.all.remove(sid) {
            session.unsubscribe(&s.pattern, s.queue.as_deref(), s.id);
            self.count();
        }
    }

    /// Ends those that have had their last message.
    pub(crate) fn drop_expired(&mut self, session: &mut Session) {
        for sid in self.peer.take_expired() {
            // A client may have made another subscription of that name since.
            if self.all.get(&sid).is_some_and(|s| s.delivery.is_over()) {
                self.remove(session, &sid);
            }
        }
    }

    /// Ends all.
    pub(crate) fn drop_all(&mut self, session: &mut Session) {
        for (_, s) in std::mem::take(&mut self.all) {
            session.unsubscribe(&s.pattern, s.queue.as_deref(), s.id);
        }
        self.count();
    }

    fn count(&self) {
        self.peer.subscriptions.store(self.all.len() as u32, Relaxed);
    }
}
