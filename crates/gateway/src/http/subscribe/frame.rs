//! A message as an event. Who publishes to a thousand readers encodes it once: the last event that a thread made is kept,
//! and given again as long as the message is the same, byte for byte.

use std::cell::RefCell;

use bytes::Bytes;
use kernel::{Message, Msg};

const BEGIN: &str = "event: message\ndata: ";
const END: &str = "\n\n";

thread_local! {
    static LAST: RefCell<Option<(Message, Bytes)>> = const { RefCell::new(None) };
}

/// The event of a message.
pub(super) fn of(m: &Msg<'_>) -> Bytes {
    LAST.with_borrow_mut(|last| {
        if let Some((message, event)) = last
            && is_same(message, m)
        {
            return event.clone();
        }
        let message = Message::from(m);
        let json = wire::json::write(&message);
        let mut event = Vec::with_capacity(BEGIN.len() + json.len() + END.len());
        for part in [BEGIN, &json, END] {
            event.extend_from_slice(part.as_bytes());
        }
        let event = Bytes::from(event);
        *last = Some((message, event.clone()));
        event
    })
}

fn is_same(a: &Message, b: &Msg<'_>) -> bool {
    a.payload == b.payload && a.subject == b.subject && a.headers == b.headers && a.reply == b.reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_encoded_once_for_all_who_read_it_and_another_is_not_taken_for_it() {
        let m = Msg { subject: b"a", payload: b"x", ..Msg::default() };
        let first = of(&m);
        assert_eq!(first, "event: message\ndata: {\"subject\":\"a\",\"payload\":\"x\"}\n\n");
        assert_eq!(of(&m).as_ptr(), first.as_ptr());
        for other in [
            Msg { subject: b"b", ..m },
            Msg { payload: b"y", ..m },
            Msg { reply: b"r", ..m },
            Msg { headers: b"NATS/1.0\r\nA: 1\r\n\r\n", ..m },
        ] {
            assert_ne!(of(&other), first);
        }
    }

    #[test]
    fn an_event_has_one_line_of_data_whatever_the_payload() {
        let event = of(&Msg { subject: b"a", payload: b"{\n\"a\":\r1}\n\ndata: x", ..Msg::default() });
        assert_eq!(event.iter().filter(|b| **b == b'\n').count(), 3);
        assert!(!event.contains(&b'\r'));
    }
}
