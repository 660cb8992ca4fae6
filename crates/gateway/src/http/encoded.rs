//! A message in JSON, made once for all who hear it: the last one that a thread made is kept, and given again as long as
//! the message is the same, byte for byte. Comparing costs less than encoding.

use std::cell::RefCell;

use bytes::Bytes;
use kernel::Msg;

const BEGIN: &[u8] = b"event: message\ndata: ";
const END: &[u8] = b"\n\n";
/// Above it a message is let go when it was written, in bytes.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// See the module.
#[derive(Default)]
pub(super) struct Encoded {
    subject: Vec<u8>,
    reply: Vec<u8>,
    headers: Vec<u8>,
    payload: Vec<u8>,
    event: Bytes,
}

thread_local! {
    static LAST: RefCell<Encoded> = RefCell::default();
}

/// Uses the JSON of a message.
#[inline]
pub(super) fn with<R>(m: &Msg<'_>, take: impl FnOnce(&Encoded) -> R) -> R {
    LAST.with_borrow_mut(|last| {
        if !last.is_of(m) {
            last.encode(m);
        }
        take(last)
    })
}

/// What this thread put is being written: a large message is let go.
pub(super) fn let_go() {
    LAST.with_borrow_mut(|last| {
        if last.event.len() > KEPT_BYTES_MAX {
            *last = Encoded::default();
        }
    });
}

impl Encoded {
    #[inline]
    fn is_of(&self, m: &Msg<'_>) -> bool {
        self.payload == m.payload
            && self.subject == m.subject
            && self.reply == m.reply
            && self.headers == m.headers
            && !self.event.is_empty()
    }

    fn encode(&mut self, m: &Msg<'_>) {
        let mut event = Vec::with_capacity(BEGIN.len() + 64 + m.size() + END.len());
        event.extend_from_slice(BEGIN);
        wire::json::write_to(&mut event, m);
        event.extend_from_slice(END);
        self.event = event.into();
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

    /// As an event of those that servers send.
    pub(super) fn event(&self) -> Bytes {
        self.event.clone()
    }

    /// What stands between the braces of its JSON.
    #[inline]
    pub(super) fn members(&self) -> &[u8] {
        let end = self.event.len().saturating_sub(END.len() + 1);
        self.event.get(BEGIN.len() + 1..end).unwrap_or_default()
    }

    /// The same, counted.
    pub(super) fn members_shared(&self) -> Bytes {
        self.event.slice_ref(self.members())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_encoded_once_for_all_who_hear_it_and_another_is_not_taken_for_it() {
        let m = Msg { subject: b"a", payload: b"x", ..Msg::default() };
        let first = with(&m, Encoded::event);
        assert_eq!(first, "event: message\ndata: {\"subject\":\"a\",\"payload\":\"x\"}\n\n");
        assert_eq!(with(&m, Encoded::members_shared), r#""subject":"a","payload":"x""#);
        assert_eq!(with(&m, Encoded::event).as_ptr(), first.as_ptr());
        for other in [
            Msg { subject: b"b", ..m },
            Msg { payload: b"y", ..m },
            Msg { reply: b"r", ..m },
            Msg { headers: b"NATS/1.0\r\nA: 1\r\n\r\n", ..m },
        ] {
            assert_ne!(with(&other, Encoded::event), first);
        }
    }

    #[test]
    fn a_large_message_is_encoded_once_too_and_let_go_when_it_was_written() {
        let payload = vec![b'x'; KEPT_BYTES_MAX];
        let m = Msg { subject: b"a", payload: &payload, ..Msg::default() };
        let first = with(&m, Encoded::members_shared);
        assert_eq!(with(&m, Encoded::members_shared).as_ptr(), first.as_ptr());
        let_go();
        LAST.with_borrow(|last| assert_eq!((last.payload.capacity(), last.event.len()), (0, 0)));
        let small = Msg { payload: b"x", ..m };
        let kept = with(&small, Encoded::event);
        let_go();
        assert_eq!(with(&small, Encoded::event).as_ptr(), kept.as_ptr());
    }

    #[test]
    fn an_event_has_one_line_of_data_whatever_the_payload() {
        let m = Msg { subject: b"a", payload: b"{\n\"a\":\r1}\n\ndata: x", ..Msg::default() };
        let event = with(&m, Encoded::event);
        assert_eq!(event.iter().filter(|b| **b == b'\n').count(), 3);
        assert!(!event.contains(&b'\r'));
    }
}
