//! Sequences grow in the order in which messages were stored, and none stands for two messages that were both
//! acknowledged.

use super::{Kept, demand};
use crate::oracle::{Attempt, Stream};

/// A message was stored at a sequence.
pub(crate) fn grows(stream: &Stream, attempt: &Attempt, seq: u64) -> Kept {
    demand("sequence", seq > attempt.above, || {
        format!("{} stored a message at {seq} behind {}", stream.rules.name, attempt.above)
    })
}

/// A content stands at a sequence.
pub(crate) fn is_its_own(stream: &Stream, nonce: u64, seq: u64) -> Kept {
    let other = stream.places.get(&seq).filter(|place| place.nonce != nonce);
    let is_wrong = other.is_some_and(|place| !place.doubtful && !place.damaged);
    demand("sequence", !is_wrong, || {
        let was = other.map_or(0, |place| place.nonce);
        format!("{} has content {nonce:x} at {seq}, which was content {was:x}", stream.rules.name)
    })
}
