//! Only the latest delivery of a message can be acknowledged: an older one is answered 409 with our code 6004, and changes
//! nothing. That it changes nothing is seen by `kept`, since it excuses nothing there.

use super::{Kept, demand};

/// How an acknowledgement was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It counts.
    Confirmed,
    /// 409 and 6004.
    Stale,
    /// There is no such consumer.
    Unheard,
    /// Something else.
    Other,
}

/// An acknowledgement was answered. `is_stale`: another delivery of the message was made after it in this life of the
/// node, and heard before the acknowledgement was sent.
pub(crate) fn holds(is_stale: bool, answer: Answer, what: &str) -> Kept {
    demand("fence", answer != Answer::Other, || format!("{what} has an answer that nobody understands"))?;
    demand("fence", !is_stale || answer != Answer::Confirmed, || {
        format!("{what} is confirmed, although the message was delivered again since")
    })
}
