//! A message, borrowed on the fast path ([`Msg`]) and owned where it must outlive its read buffer ([`Message`]).
//! Neither is *decoded*: subject, reply and headers are bytes as they came.

use std::sync::Arc;

use bytes::Bytes;

use crate::Producer;
use crate::envelope::Envelope;
use crate::headers::Headers;

/// A borrowed view of a message: what a door reads and a listener encodes. Empty `reply` or `headers`: none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Msg<'a> {
    /// Where it goes.
    pub subject: &'a [u8],
    /// Where an answer goes.
    pub reply: &'a [u8],
    /// The header block ([`Headers`]).
    pub headers: &'a [u8],
    /// The content.
    pub payload: &'a [u8],
    /// Headers and payload back to back in one counted buffer, when the message is large enough to share it with
    /// every outbox instead of copying.
    pub shared: Option<&'a Bytes>,
    /// Who publishes it, so that it can be slowed down when too much of it waits for streams.
    pub from: Option<&'a Arc<Producer>>,
}

impl<'a> Msg<'a> {
    /// The envelope, read from the headers when asked.
    pub fn envelope(&self) -> Envelope<'a> {
        Envelope::new(Headers::new(self.headers))
    }

    /// Bytes of headers and payload together: what limits and statistics count.
    pub fn size(&self) -> usize {
        self.headers.len() + self.payload.len()
    }
}

/// An owned message. Its envelope's fields live in the headers; [`Message::envelope`] reads them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Where it goes.
    pub subject: Bytes,
    /// Where an answer goes; empty: nowhere.
    pub reply: Bytes,
    /// The header block; empty: none.
    pub headers: Bytes,
    /// The content.
    pub payload: Bytes,
}

impl Message {
    /// The envelope, read from the headers when asked.
    pub fn envelope(&self) -> Envelope<'_> {
        Envelope::new(Headers::new(&self.headers))
    }

    /// A borrowed view for publishing.
    pub fn as_msg(&self) -> Msg<'_> {
        Msg {
            subject: &self.subject,
            reply: &self.reply,
            headers: &self.headers,
            payload: &self.payload,
            shared: None,
            from: None,
        }
    }
}

impl From<&Msg<'_>> for Message {
    fn from(m: &Msg<'_>) -> Message {
        Message {
            subject: Bytes::copy_from_slice(m.subject),
            reply: Bytes::copy_from_slice(m.reply),
            headers: Bytes::copy_from_slice(m.headers),
            payload: Bytes::copy_from_slice(m.payload),
        }
    }
}
