//! A subscription as publishers see it: it encodes messages for its client and counts down to its last one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::Waker;

use auth::Principal;
use kernel::{Client, Code, ConnectionId, Drain, Full, Listener, Msg, Put, Spare};
use wire::nats::encode;

use crate::link::Peer;

/// See the module.
pub(super) struct Delivery {
    peer: Arc<Peer>,
    sid: Box<[u8]>,
    /// Messages so far. Written only while the outbox is held.
    delivered: AtomicU64,
    /// Messages after which it ends; 0: never.
    max: AtomicU64,
    /// Who must be asked whether it may hear a subject; `None`: it may hear all that its pattern says.
    judge: Option<Arc<Principal>>,
}

impl Delivery {
    pub(super) fn new(peer: Arc<Peer>, sid: &[u8], judge: Option<Arc<Principal>>) -> Delivery {
        Delivery { peer, sid: sid.into(), delivered: AtomicU64::new(0), max: AtomicU64::new(0), judge }
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

impl Drain for Delivery {
    fn on_drain(&self, waker: &Waker) -> bool {
        self.peer.outbox.on_drain(waker)
    }
}

impl Listener for Delivery {
    #[inline]
    fn put(&self, m: &Msg<'_>, spare: &mut Spare) -> Put {
        let Some(mut slot) = self.peer.outbox.slot() else { return Put::Gone };
        let (delivered, max) = (self.delivered.load(Relaxed) + 1, self.max.load(Relaxed));
        if max != 0 && delivered > max {
            return Put::Gone;
        }
        let plain;
        let m = match m.headers.is_empty() || self.peer.headers.load(Relaxed) {
            true => m,
            false => {
                plain = Msg { headers: &[], ..*m };
                &plain
            }
        };
        let head_bytes = encode::deliver_head_len(m, &self.sid);
        let taken = match m.shared {
            None => slot.append(head_bytes + m.size() + 2, spare, |out| encode::deliver(out, m, &self.sid)),
            Some(whole) => {
                let body = whole.slice(whole.len() - m.size()..);
                let mut head = Vec::with_capacity(head_bytes);
                encode::deliver_head(&mut head, m, &self.sid);
                slot.append_shared(head, body, encode::CRLF)
            }
        };
        if !taken {
            drop(slot);
            self.peer.cut(Code::SlowConsumer);
            return Put::Full;
        }
        self.delivered.store(delivered, Relaxed);
        let put = slot.done(m.size());
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
        self.peer.flush(spare);
    }

    fn connection(&self) -> Option<ConnectionId> {
        Some(self.peer.id)
    }
}
