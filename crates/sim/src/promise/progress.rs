//! When all faults are over, everything that is still wanted is delivered to a consumer that acknowledges all.

use std::collections::BTreeSet;

use super::{Kept, demand};
use crate::oracle::{Consumer, Stream};

/// A consumer asked and acknowledged until nothing more came. `there`: what was in the stream before.
pub(crate) fn all_came(stream: &Stream, consumer: &Consumer, there: &[u64], came: &BTreeSet<u64>) -> Kept {
    for seq in there {
        let Some(place) = stream.places.get(seq) else { continue };
        let hears = stream
            .sent
            .get(&place.nonce)
            .is_some_and(|sent| consumer.filters.surely_hear(&sent.subject, place.nonce));
        let is_excused = consumer.acking.contains(seq)
            // A crash may come between the last delivery that is allowed and the client that should have it.
            || consumer.max_deliver > 0
            || place.damaged
            || place.doubtful
            || !stream.must_hold(*seq);
        demand("progress", !hears || is_excused || came.contains(seq), || {
            format!("{} of {} never gets message {seq}", consumer.name, stream.rules.name)
        })?;
    }
    Ok(())
}

/// Something took too long although nothing is wrong any more.
pub(crate) fn in_time(what: &str, is_done: bool) -> Kept {
    demand("progress", is_done, || format!("{what}: no answer although all is well"))
}
