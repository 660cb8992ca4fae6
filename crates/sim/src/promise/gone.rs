//! What was deleted, purged, or acknowledged on a work queue, with an answer that says so, does not come back.

use super::{Kept, demand};
use crate::oracle::Stream;

/// A message was read or delivered.
pub(crate) fn stays_gone(stream: &Stream, seq: u64) -> Kept {
    let is_gone = stream.places.get(&seq).is_some_and(|place| place.must_go);
    demand("gone", !is_gone, || {
        format!("{} holds message {seq}, whose removal was confirmed", stream.rules.name)
    })
}
