//! What a stream and its consumers say of themselves agrees with what can be read from them.

use wire::jetstream::api::{ConsumerInfo, StreamState};

use super::{Kept, demand};
use crate::oracle::Stream;

/// A stream was read from end to end while nothing else went on. `unreadable`: messages that are there and damaged.
pub(crate) fn agree(stream: &Stream, state: &StreamState, read: &[u64], unreadable: u64) -> Kept {
    let name = &stream.rules.name;
    let held = read.len() as u64;
    demand("counts", (held..=held + unreadable).contains(&state.messages), || {
        format!("{name} says that it holds {} messages, and {held} can be read", state.messages)
    })?;
    let (first, last) = (read.first().copied().unwrap_or(0), read.last().copied().unwrap_or(0));
    demand("counts", held == 0 || unreadable > 0 || state.first_seq == first, || {
        format!("{name} says that its first message is {}, and it is {first}", state.first_seq)
    })?;
    demand("counts", state.last_seq >= last, || {
        format!("{name} says that its last message is {}, and {last} was read", state.last_seq)
    })?;
    let most = stream.rules.max_msgs;
    demand("counts", most == 0 || held <= most, || {
        format!("{name} holds {held} messages, and may hold {most}")
    })
}

/// A consumer acknowledged everything there was.
pub(crate) fn is_through(stream: &Stream, info: &ConsumerInfo, unreadable: u64) -> Kept {
    let left = info.num_pending + info.num_ack_pending;
    demand("counts", left <= unreadable, || {
        format!(
            "{} of {} acknowledged all it was given, and says that {} wait and {} are not acknowledged",
            info.name, stream.rules.name, info.num_pending, info.num_ack_pending
        )
    })
}
