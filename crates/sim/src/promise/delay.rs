//! A message with a delay is never delivered before it is over, counted from when the message was stored, by the node's
//! wall clock: some time after it was sent, the clock showed that moment. A clock that was put forward ends delays early,
//! and no later setting undoes that. What would be gone before it is due is not stored.

use super::{Kept, demand};
use crate::oracle::{Sent, Stream};

const NS_PER_MS: u64 = 1_000_000;

/// When a message is due that was stored at a time, in milliseconds since 1970.
pub(crate) fn due_ms(sent: &Sent, time_ns: u64) -> u64 {
    time_ns.div_ceil(NS_PER_MS) + sent.delay_ms
}

/// A message was delivered; the delivery says when it was stored.
pub(crate) fn is_over(stream: &Stream, seq: u64, time_ns: u64) -> Kept {
    let sent = stream.places.get(&seq).and_then(|place| stream.sent.get(&place.nonce));
    let Some(sent) = sent.filter(|sent| sent.delay_ms > 0 && !sent.is_flipped) else { return Ok(()) };
    let name = &stream.rules.name;
    demand("delay", time_ns.div_ceil(NS_PER_MS) >= sent.wall_lo, || {
        format!("{name} says that message {seq} was stored at {time_ns}, and it was sent at {}", sent.wall_lo)
    })?;
    let due_ms = due_ms(sent, time_ns);
    demand("delay", sent.wall_hi >= due_ms, || {
        let early_ms = due_ms - sent.wall_hi;
        format!(
            "{name} gave out message {seq} {early_ms} ms before its delay of {} ms was over",
            sent.delay_ms
        )
    })
}

/// A message was stored.
pub(crate) fn is_shorter_than_life(stream: &Stream, nonce: u64) -> Kept {
    let age_ms = stream.rules.max_age_ms;
    let delay_ms = stream.sent.get(&nonce).map_or(0, |sent| sent.delay_ms);
    demand("delay", age_ms == 0 || delay_ms < age_ms, || {
        format!(
            "{} took a message with a delay of {delay_ms} ms, and none lives longer than {age_ms} ms",
            stream.rules.name
        )
    })
}
