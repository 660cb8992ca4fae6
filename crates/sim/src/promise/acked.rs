//! An acknowledgement that was confirmed holds: the message is never delivered to that consumer again, not even after a
//! power cut. Acknowledgements that nobody confirmed promise nothing.

use super::{Kept, demand};
use crate::oracle::Consumer;

/// A message was delivered.
pub(crate) fn not_again(consumer: &Consumer, seq: u64) -> Kept {
    demand("acked", !consumer.done.contains(&seq), || {
        format!("{} was given message {seq} again, whose acknowledgement was confirmed", consumer.name)
    })
}
