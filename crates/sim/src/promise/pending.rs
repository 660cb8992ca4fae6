//! No more messages are given out and not acknowledged than a consumer's limit says. What was given out in an earlier life
//! of the node may be forgotten, and is not counted.

use super::{Kept, demand};
use crate::oracle::{Consumer, Stream};

/// A message was delivered for the first time.
pub(crate) fn within_limit(stream: &Stream, consumer: &Consumer) -> Kept {
    let most = consumer.cap;
    let counts = |(seq, deliveries): (&u64, &u64)| {
        (consumer.max_deliver == 0 || *deliveries < consumer.max_deliver) && stream.must_hold(*seq)
    };
    let open = consumer.open.iter().filter(|o| counts(*o)).count() as u64;
    demand("pending", most == 0 || open <= most, || {
        format!("{} of {} has {open} messages out, and may have {most}", consumer.name, stream.rules.name)
    })
}
