//! A subscription of JSON frames as publishers see it: it encodes messages for its client and counts down to its last one.
//! A message is put into JSON once for all who hear it: only the name of the subscription differs.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::Waker;

use auth::Principal;
use bytes::Bytes;
use fabric::Slot;
use kernel::limits::SHARED_PAYLOAD_BYTES_MIN;
use kernel::{Client as _, Code, ConnectionId, Drain, Full, Listener, Msg, Put, Spare};
use wire::talk::{MSG_END, MSG_HEAD, msg_tail};
use wire::websocket::{self as ws, Opcode};

use crate::link::Peer;

/// The message that this thread has put into JSON last, and its JSON.
#[derive(Default)]
struct Last {
    subject: Vec<u8>,
    reply: Vec<u8>,
    headers: Vec<u8>,
    payload: Vec<u8>,
    tail: Bytes,
}

impl Last {
    /// The message's JSON behind the name of the subscription. Comparing costs less than encoding.
    #[inline]
    fn tail(&mut self, m: &Msg<'_>) -> &Bytes {
        let is_same = self.payload == m.payload
            && self.subject == m.subject
            && self.reply == m.reply
            && self.headers == m.headers
            && !self.tail.is_empty();
        if !is_same {
            self.tail = msg_tail(m).into();
            for (kept, new) in [
                (&mut self.subject, m.subject),
                (&mut self.reply, m.reply),
                (&mut self.headers, m.headers),
                (&mut self.payload, m.payload),
            ] {
                kept.clear();
                kept.extend_from_slice(new);
            }
        }
        &self.tail
    }

    /// Lets go of a large message.
    fn shrink(&mut self) {
        if self.tail.len() > 16 * SHARED_PAYLOAD_BYTES_MIN {
            *self = Last::default();
        }
    }
}

thread_local! {
    static LAST: RefCell<Last> = RefCell::default();
}

/// Puts a message as a frame with this name. False: there is no room.
#[inline]
pub(super) fn put(slot: &mut Slot<'_>, sid: &str, m: &Msg<'_>, spare: &mut Spare) -> bool {
    LAST.with_borrow_mut(|last| {
        let tail = last.tail(m);
        let len = MSG_HEAD.len() + sid.len() + tail.len() + MSG_END.len();
        let head = |out: &mut Vec<u8>| {
            ws::write_head(out, Opcode::Text, len);
            out.extend_from_slice(MSG_HEAD);
            out.extend_from_slice(sid.as_bytes());
        };
        if tail.len() < SHARED_PAYLOAD_BYTES_MIN {
            return slot.append(ws::head_len(len) + len, spare, |out| {
                head(out);
                out.extend_from_slice(tail);
                out.extend_from_slice(MSG_END);
            });
        }
        let mut first = Vec::with_capacity(ws::PLAIN_HEAD_BYTES_MAX + MSG_HEAD.len() + sid.len());
        head(&mut first);
        let taken = slot.append_shared(first, tail.clone(), MSG_END);
        last.shrink();
        taken
    })
}

/// See the module.
pub(super) struct Delivery {
    peer: Arc<Peer>,
    sid: Box<str>,
    /// Messages so far. Written only while the outbox is held.
    delivered: AtomicU64,
    /// Messages after which it ends; 0: never.
    max: AtomicU64,
    judge: Option<Arc<Principal>>,
}

impl Delivery {
    pub(super) fn new(peer: Arc<Peer>, sid: &str, judge: Option<Arc<Principal>>) -> Delivery {
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
        if !put(&mut slot, &self.sid, m, spare) {
            drop(slot);
            self.peer.cut(Code::SlowConsumer);
            return Put::Full;
        }
        self.delivered.store(delivered, Relaxed);
        let put = slot.done(m.size());
        if delivered == max {
            self.peer.expire(self.sid.as_bytes());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_message_is_encoded_once_and_another_anew() {
        let mut last = Last::default();
        let one = Msg { subject: b"a", payload: b"x", ..Msg::default() };
        let first = last.tail(&one).clone();
        assert_eq!(&*first, br#","subject":"a","payload":"x""#);
        assert_eq!(last.tail(&one).as_ptr(), first.as_ptr());
        for other in [
            Msg { payload: b"y", ..one },
            Msg { subject: b"b", ..one },
            Msg { reply: b"r", ..one },
            Msg { headers: b"NATS/1.0\r\nA: b\r\n\r\n", ..one },
        ] {
            assert_ne!(last.tail(&other).clone(), first, "{other:?}");
        }
    }
}
