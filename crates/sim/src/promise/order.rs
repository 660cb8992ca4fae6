//! What a consumer gives out for the first time comes in order: within a priority as it was stored, and what had a delay
//! as it became due, behind everything that was stored before it. Nothing of a lower priority comes for a request that
//! was sent when the message was known to be stored, unless waiting raised it; in front of a critical one nothing.
//!
//! All this holds within one life of the node. A crash may forget deliveries, and what comes again then comes in its place.
//! What is given out again keeps no order. A consumer that gave a message to somebody who never heard of it gives it for
//! the second time, so that only what comes for the first time can be judged, when it comes.

use kernel::Priority;

use super::{Kept, demand};
use crate::oracle::{Consumer, Due, Stream};

/// A message was delivered for the first time.
pub(crate) fn is_kept(stream: &Stream, consumer: &Consumer, due: Due) -> Kept {
    let seq = due.1;
    let Some(place) = stream.places.get(&seq) else { return Ok(()) };
    let Some(sent) = stream.sent.get(&place.nonce).filter(|sent| !sent.is_flipped) else { return Ok(()) };
    let (own, name, of) = (sent.priority, &consumer.name, &stream.rules.name);
    let line = consumer.firsts.of(own);
    if sent.delay_ms > 0 {
        return demand("order", due > line.last_due, || {
            format!(
                "{name} of {of} gave out {own:?} message {due:?} behind {:?}, by when they were due",
                line.last_due
            )
        });
    }
    // One that another filter passed over comes when it may, but none comes behind its own place.
    let is_heard = consumer.filters.surely_hear(&sent.subject, place.nonce);
    let last = if is_heard { line.last.max(line.last_late) } else { line.last };
    demand("order", seq > last, || {
        format!("{name} of {of} gave out {own:?} message {seq} behind message {last} of the same priority")
    })?;
    let Some(sure) = place.sure_from.filter(|_| is_heard) else { return Ok(()) };
    for lower in Priority::ALL.into_iter().filter(|other| *other as usize > own as usize) {
        let line = consumer.firsts.of(lower);
        let asked = if own == Priority::Critical { line.asked } else { line.asked_unraised };
        demand("order", asked <= sure, || {
            format!(
                "{name} of {of} gave out {own:?} message {seq}, acknowledged at {sure}, behind a {lower:?} one that \
                 request {asked} brought"
            )
        })?;
    }
    Ok(())
}
