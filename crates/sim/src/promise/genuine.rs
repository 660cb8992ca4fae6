//! What is read or delivered is what somebody published: subject, headers and payload, to the byte.

use super::{Broken, Kept, broken, demand};
use crate::oracle::Stream;

/// A message as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    /// Its sequence.
    pub(crate) seq: u64,
    /// Subject.
    pub(crate) subject: String,
    /// The publisher's headers.
    pub(crate) headers: Vec<u8>,
    /// Payload.
    pub(crate) payload: Vec<u8>,
}

/// Which content it is.
pub(crate) fn nonce_of(payload: &[u8]) -> Option<u64> {
    let digits = payload.strip_prefix(b"~")?.get(..16)?;
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Whether a message was published so. Gives its nonce.
pub(crate) fn was_published(stream: &Stream, shown: &Shown) -> Result<u64, Broken> {
    let (name, seq) = (&stream.rules.name, shown.seq);
    let sent = nonce_of(&shown.payload).and_then(|nonce| Some((nonce, stream.sent.get(&nonce)?)));
    let Some((nonce, sent)) = sent else {
        let what = format!("{name} holds a message at {seq} that nobody published to it");
        return Err(Broken { promise: "genuine", what });
    };
    let same =
        sent.subject == shown.subject && sent.headers == shown.headers && sent.payload == shown.payload;
    demand("genuine", same, || format!("{name} holds message {seq} with other bytes than were published"))?;
    Ok(nonce)
}

/// A single message was asked for, and another came.
pub(crate) fn is_the_one(asked: u64, came: u64) -> Kept {
    match asked == came {
        true => Ok(()),
        false => broken("genuine", format!("message {asked} was asked for, and {came} came")),
    }
}
