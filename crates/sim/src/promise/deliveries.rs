//! A message is not delivered more often than its consumer's limit says, within one life of the node: a crash may forget
//! that something was delivered.

use super::{Kept, demand};
use crate::oracle::Consumer;

/// A message was delivered, for the n-th time since the node started, and as it says for the n-th time at all.
pub(crate) fn within_limit(consumer: &Consumer, seq: u64, times: u64, says: u64) -> Kept {
    let most = consumer.max_deliver;
    demand("deliveries", most == 0 || (times <= most && says <= most), || {
        format!(
            "{} was given message {seq} {times} times (it says {says}), and {most} are allowed",
            consumer.name
        )
    })?;
    demand("deliveries", says >= times, || {
        format!("{} was given message {seq} {times} times, and it says {says}", consumer.name)
    })
}
