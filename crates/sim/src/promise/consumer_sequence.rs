//! No two deliveries of a consumer have the same number, not even across a crash, and the numbers grow.

use super::{Kept, demand};
use crate::oracle::Consumer;

/// A delivery came with this number.
pub(crate) fn grows(consumer: &Consumer, cseq: u64) -> Kept {
    demand("consumer_sequence", cseq > consumer.last_cseq, || {
        format!("{} gave out number {cseq} behind number {}", consumer.name, consumer.last_cseq)
    })
}
