//! A subscription as publishers see it: it puts messages for its client and counts down to its last one. What a message
//! looks like to the client is an [`Encode`]'s affair.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::Waker;

use auth::Principal;
use fabric::Slot;
use kernel::{Client as _, Code, ConnectionId, Drain, Full, Listener, Msg, Put, Spare};

use super::Peer;

/// How a protocol puts messages.
pub(crate) trait Encode: Send + Sync + 'static {
    /// Puts a message under the client's name for its subscription; says how many bytes of it the client is given.
    /// `None`: there is no room.
    fn put(slot: &mut Slot<'_>, peer: &Peer, sid: &[u8], m: &Msg<'_>, spare: &mut Spare) -> Option<usize>;

    /// What was put is about to be written.
    fn flush() {}
}

/// See the module.
pub(crate) struct Delivery<E> {
    peer: Arc<Peer>,
    sid: Box<[u8]>,
    /// Messages so far. Written only while the outbox is held.
    delivered: AtomicU64,
    /// Messages after which it ends; 0: never.
    max: AtomicU64,
    /// Who must be asked whether it may hear a subject; `None`: it may hear all that its pattern says.
    judge: Option<Arc<Principal>>,
    encode: PhantomData<E>,
}

impl<E: Encode> Delivery<E> {
    pub(super) fn new(peer: Arc<Peer>, sid: &[u8], judge: Option<Arc<Principal>>) -> Delivery<E> {
        let (delivered, max) = (AtomicU64::new(0), AtomicU64::new(0));
        Delivery { peer, sid: sid.into(), delivered, max, judge, encode: PhantomData }
    }

    /// Ends the subscription after `max` messages in all. True: it has had them already.
    pub(super) fn end_after(&self, max: u64) -> bool {
        // Held, so that no message passes between the two lines.
        let _slot = self.peer.outbox.slot();
        self.max.store(max, Relaxed);
        self.is_over()
    }

    /// Whether it has had its last message.
    pub(super) fn is_over(&self) -> bool {
        let max = self.max.load(Relaxed);
        max != 0 && self.delivered.load(Relaxed) >= max
    }
}

impl<E: Encode> Drain for Delivery<E> {
    fn on_drain(&self, waker: &Waker) -> bool {
        self.peer.outbox.on_drain(waker)
    }
}

impl<E: Encode> Listener for Delivery<E> {
    #[inline]
    fn put(&self, m: &Msg<'_>, spare: &mut Spare) -> Put {
        let Some(mut slot) = self.peer.outbox.slot() else { return Put::Gone };
        let (delivered, max) = (self.delivered.load(Relaxed) + 1, self.max.load(Relaxed));
        if max != 0 && delivered > max {
            return Put::Gone;
        }
        let Some(bytes) = E::put(&mut slot, &self.peer, &self.sid, m, spare) else {
            drop(slot);
            self.peer.cut(Code::SlowConsumer);
            return Put::Full;
        };
        self.delivered.store(delivered, Relaxed);
        let put = slot.done(bytes);
        if delivered == max {
            self.peer.expire(&self.sid);
        }
        put
    }

    fn hears(&self, subject: &[u8]) -> bool {
        self.judge.as_ref().is_none_or(|who| who.permissions.may_hear(subject))
    }

    fn full(&self) -> Full {
        Full::Cut
    }

    fn flush(&self, spare: &mut Spare) {
        E::flush();
        self.peer.flush(spare);
    }

    fn connection(&self) -> Option<ConnectionId> {
        Some(self.peer.id)
    }
}
