//! A delivered message, as clients of this door see it: the JSON form of a message with its place in front. The header that
//! this door puts on what it publishes is taken off again.

use kernel::Message;
use serde::Serialize;
use wire::jetstream::{Time, ack};

use super::token;

/// A message that a consumer delivered.
pub(super) struct Delivered {
    /// The message; its reply is the subject that it is acknowledged on.
    pub(super) message: Message,
    pub(super) consumer: String,
    pub(super) seq: u64,
    pub(super) consumer_seq: u64,
    pub(super) deliveries: u64,
    pub(super) time: Time,
    /// How many messages wait behind it.
    pub(super) pending: u64,
}

/// The place of a message in its stream.
#[derive(Serialize)]
struct Place {
    seq: u64,
    time: Time,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Lease {
    #[serde(flatten)]
    place: Place,
    deliveries: u64,
    pending: u64,
    ack_token: String,
}

impl Delivered {
    /// Reads a delivery; `None`: it is something else.
    pub(super) fn read(message: Message) -> Option<Delivered> {
        let at = ack::Delivery::parse(&message.reply)?;
        Some(Delivered {
            consumer: at.consumer.to_owned(),
            seq: at.stream_seq,
            consumer_seq: at.consumer_seq,
            deliveries: at.deliveries,
            time: Time(at.time_ns),
            pending: at.pending,
            message,
        })
    }

    /// As JSON, with its place.
    pub(super) fn to_json(&self, stream: &str) -> String {
        wire::json::write_with(&self.plain(stream).as_msg(), self.place())
    }

    /// As JSON, with all that is needed to acknowledge it.
    pub(super) fn to_lease(&self, stream: &str) -> String {
        let ack_token = token::write(&self.message.reply);
        let (deliveries, pending) = (self.deliveries, self.pending);
        let lease = Lease { place: self.place(), deliveries, pending, ack_token };
        wire::json::write_with(&self.plain(stream).as_msg(), lease)
    }

    fn place(&self) -> Place {
        Place { seq: self.seq, time: self.time }
    }

    /// The message as it was published.
    fn plain(&self, stream: &str) -> Message {
        let Message { subject, headers, payload, .. } = self.message.clone();
        let (head, body) = (expected(stream), headers.clone());
        let headers = match body.strip_prefix(head.as_bytes()) {
            None => headers,
            Some(b"\r\n") => Default::default(),
            Some(rest) => [VERSION_LINE.as_bytes(), rest].concat().into(),
        };
        Message { subject, headers, payload, ..Message::default() }
    }
}

const VERSION_LINE: &str = "NATS/1.0\r\n";

/// What the headers of a message begin with that this door publishes into `stream`.
pub(super) fn expected(stream: &str) -> String {
    format!("{VERSION_LINE}{}: {stream}\r\n", wire::jetstream::pub_headers::header::EXPECTED_STREAM)
}

/// The headers of a message that goes into `stream` and no other; its identity is one by which the stream knows a second
/// one.
pub(super) fn headers_for(stream: &str, own: &[u8]) -> Vec<u8> {
    use kernel::envelope::name::{ID, NATS_ID};
    let mut block = expected(stream).into_bytes();
    let own = own.strip_prefix(VERSION_LINE.as_bytes()).unwrap_or(b"\r\n");
    match own.strip_prefix(ID.as_bytes()) {
        Some(rest) => {
            block.extend_from_slice(NATS_ID.as_bytes());
            block.extend_from_slice(rest);
        }
        None => block.extend_from_slice(own),
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivered(line: &str) -> Delivered {
        let message = wire::json::read(line).unwrap();
        let headers = headers_for("S", &message.headers).into();
        let reply = "$JS.ACK.S.C.1.7.9.1700000000000000000.3".into();
        Delivered::read(Message { headers, reply, ..message }).unwrap()
    }

    #[test]
    fn a_message_comes_out_as_it_was_put_in_with_its_place() {
        let line = r#"{"subject":"a","id":"m1","headers":{"Color":"blue"},"payload":{"n":1}}"#;
        let out = delivered(line);
        let place = r#"{"seq":7,"time":"2023-11-14T22:13:20Z","#;
        assert_eq!(out.to_json("S"), format!("{place}{}", &line[1..]));
        assert!(
            out.message.headers.starts_with(b"NATS/1.0\r\nNats-Expected-Stream: S\r\nNats-Msg-Id: m1\r\n")
        );
        let bare = delivered(r#"{"subject":"a","payload":"x"}"#);
        assert_eq!(bare.to_json("S"), format!(r#"{place}"subject":"a","payload":"x"}}"#));
        let lease: serde_json::Value = serde_json::from_str(&bare.to_lease("S")).unwrap();
        assert_eq!((&lease["deliveries"], &lease["pending"]), (&1.into(), &3.into()));
        let token = lease["ackToken"].as_str().unwrap();
        assert_eq!(token::read(token, "S", "C").unwrap(), bare.message.reply);
    }
}
