//! A key's value at one revision.

use bytes::Bytes;
use kernel::Message;

use crate::Headers;
use crate::jetstream::api::Time;
use crate::jetstream::{Delivery, Stored};

pub(super) const OPERATION: &str = "KV-Operation";
/// What a server writes that removes a key by itself.
const MARKER: &str = "Nats-Marker-Reason";

/// What happened to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// It was given a value.
    Put,
    /// It was deleted; earlier values may be kept.
    Delete,
    /// It was deleted with all its values.
    Purge,
}

impl Operation {
    /// The word that stands for it in messages: `PUT`, `DEL`, `PURGE`.
    pub fn as_str(self) -> &'static str {
        match self {
            Operation::Put => "PUT",
            Operation::Delete => "DEL",
            Operation::Purge => "PURGE",
        }
    }

    fn of(message: &Message) -> Operation {
        let headers = Headers::new(&message.headers);
        match (headers.first(OPERATION), headers.first(MARKER)) {
            (Some("DEL"), _) | (None, Some("Remove")) => Operation::Delete,
            (Some("PURGE"), _) | (None, Some("MaxAge" | "Purge")) => Operation::Purge,
            _ => Operation::Put,
        }
    }
}

/// A key's value at one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The value; empty when the key was deleted.
    pub value: Bytes,
    /// Its number; later ones of any key of the bucket are larger.
    pub revision: u64,
    /// When it was written.
    pub created: Time,
    /// How many entries were still to come behind it, where it came from a watch or a history.
    pub delta: u64,
    /// What happened.
    pub operation: Operation,
}

impl Entry {
    pub(super) fn of_stored(stored: Stored, prefix: &str) -> Entry {
        Entry {
            key: key(&stored.message, prefix),
            operation: Operation::of(&stored.message),
            value: stored.message.payload,
            revision: stored.seq,
            created: stored.time,
            delta: 0,
        }
    }

    pub(super) fn of_delivery(delivery: &Delivery, prefix: &str) -> Entry {
        let at = delivery.position();
        Entry {
            key: key(&delivery.message, prefix),
            value: delivery.message.payload.clone(),
            revision: at.stream_seq,
            created: at.time,
            delta: at.pending,
            operation: Operation::of(&delivery.message),
        }
    }
}

fn key(message: &Message, prefix: &str) -> String {
    let subject = String::from_utf8_lossy(&message.subject);
    subject.strip_prefix(prefix).unwrap_or(&subject).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headers;

    #[test]
    fn what_happened_stands_in_the_headers() {
        for (pairs, operation) in [
            (vec![], Operation::Put),
            (vec![("KV-Operation", "DEL")], Operation::Delete),
            (vec![("KV-Operation", "PURGE"), ("Nats-Rollup", "sub")], Operation::Purge),
            (vec![("Nats-Marker-Reason", "MaxAge")], Operation::Purge),
            (vec![("Nats-Marker-Reason", "Remove")], Operation::Delete),
            (vec![("Color", "blue")], Operation::Put),
        ] {
            let headers = headers::block(pairs.iter().copied()).unwrap().into();
            let message = Message { subject: "$KV.b.x.y".into(), headers, ..Message::default() };
            let entry = Entry::of_stored(Stored { seq: 7, message, ..Stored::default() }, "$KV.b.");
            assert_eq!((entry.key.as_str(), entry.operation, entry.revision), ("x.y", operation, 7));
        }
    }
}
