//! A message as a stream has it, and what a direct read adds to it.

use kernel::Message;

use super::api::Time;
use crate::{Error, Headers, headers};

const SUBJECT: &str = "Nats-Subject";
const SEQUENCE: &str = "Nats-Sequence";
const TIME: &str = "Nats-Time-Stamp";
/// What a direct read adds, and was not stored.
const ADDED: &[&str] = &[SUBJECT, SEQUENCE, TIME, "Nats-Stream", "Nats-Num-Pending", "Nats-Last-Sequence"];

/// A message that a stream holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Its number.
    pub seq: u64,
    /// When it was stored.
    pub time: Time,
    /// The message, as it was published.
    pub message: Message,
}

/// The status of an answer that is no message.
pub(crate) fn status(answer: &Message) -> Option<u16> {
    let headers = Headers::new(&answer.headers);
    headers.status().filter(|_| headers.first(SEQUENCE).is_none())
}

/// A stored message out of the answer of a direct read.
pub(crate) fn direct(answer: Message) -> Result<Stored, Error> {
    let read = Headers::new(&answer.headers);
    let lacks = || Error::Protocol("a direct read does not say what it found".into());
    let subject = read.first(SUBJECT).ok_or_else(lacks)?.to_owned();
    let seq = read.first(SEQUENCE).and_then(|n| n.parse().ok()).ok_or_else(lacks)?;
    let time = read.first(TIME).and_then(|t| t.parse().ok()).unwrap_or_default();
    let own = read.iter().filter(|h| !h.name.is_empty() && !ADDED.contains(&h.name));
    let block = headers::block(own.map(|h| (h.name, h.value))).map_err(|_| lacks())?;
    Ok(Stored {
        seq,
        time,
        message: Message {
            subject: subject.into(),
            headers: block.into(),
            payload: answer.payload,
            ..Message::default()
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direct_read_gives_the_message_as_it_was_stored() {
        let block = headers::block([
            ("Color", "blue"),
            ("Nats-Stream", "S"),
            (SUBJECT, "a.b"),
            (SEQUENCE, "7"),
            (TIME, "2024-05-01T10:00:00Z"),
        ]);
        let answer = Message {
            subject: "_INBOX.1".into(),
            headers: block.unwrap().into(),
            payload: "hi".into(),
            ..Message::default()
        };
        assert_eq!(status(&answer), None);
        let stored = direct(answer).unwrap();
        assert_eq!((stored.seq, stored.time.to_string().as_str()), (7, "2024-05-01T10:00:00Z"));
        assert_eq!((&stored.message.subject[..], &stored.message.payload[..]), (&b"a.b"[..], &b"hi"[..]));
        assert_eq!(&stored.message.headers[..], b"NATS/1.0\r\nColor: blue\r\n\r\n");
    }

    #[test]
    fn an_answer_without_a_message_is_told_apart() {
        let answer =
            Message { headers: "NATS/1.0 404 Message Not Found\r\n\r\n".into(), ..Message::default() };
        assert_eq!(status(&answer), Some(404));
        assert!(direct(answer).is_err() && direct(Message::default()).is_err());
    }
}
