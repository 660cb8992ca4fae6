//! A message with an id is stored once within the duplicate window, and one with a producer's number once for ever:
//! publishing it again is answered with the sequence of the first. Other bytes under the same number are refused with
//! 6005, and a producer whose later life was heard with 6004.

use super::{Kept, broken, demand};
use crate::oracle::{Attempt, Expect, Stream};

/// A publish was answered with a sequence.
pub(crate) fn is_first_or_same(stream: &Stream, attempt: &Attempt, seq: u64, duplicate: bool) -> Kept {
    let Some(sent) = stream.sent.get(&attempt.nonce) else { return Ok(()) };
    let what = format!("content {:x} of {}", attempt.nonce, stream.rules.name);
    demand("once", !duplicate || sent.id.is_some() || sent.number.is_some(), || {
        format!("{what} has neither id nor number, and is called a duplicate")
    })?;
    match attempt.expect {
        Expect::Any => Ok(()),
        Expect::Id(first) if !stream.is_within_window(first) => Ok(()),
        Expect::Id(first) => demand("once", duplicate && seq == first, || {
            format!("{what} has the id of message {first}, and was answered {seq}, duplicate: {duplicate}")
        }),
        Expect::Number(first) => demand("once", duplicate && (seq == first || seq == 0), || {
            format!("{what} was stored as {first}, and was answered {seq}, duplicate: {duplicate}")
        }),
        Expect::Mismatch => {
            broken("once", format!("{what} has a number that other bytes had, and was taken"))
        }
        Expect::Fenced => broken("once", format!("{what} is of a life that ended, and was taken")),
    }
}

/// A publish was refused, with our number in the error.
pub(crate) fn is_refused_rightly(stream: &Stream, attempt: &Attempt, error: u16) -> Kept {
    let what = || format!("content {:x} of {} was refused with {error}", attempt.nonce, stream.rules.name);
    match attempt.expect {
        Expect::Mismatch => demand("once", error == 6005, || format!("{}, expected 6005", what())),
        Expect::Fenced => demand("once", error == 6004, || format!("{}, expected 6004", what())),
        Expect::Number(_) => broken("once", format!("{}, although it was stored before", what())),
        Expect::Id(seq) if stream.is_within_window(seq) => {
            broken("once", format!("{}, although its id was stored before", what()))
        }
        Expect::Id(_) | Expect::Any => Ok(()),
    }
}

/// A content was seen at another sequence too.
pub(crate) fn is_not_doubled(stream: &Stream, nonce: u64, seq: u64) -> Kept {
    let Some(sent) = stream.sent.get(&nonce) else { return Ok(()) };
    let Some(other) = sent.stored.iter().find(|other| **other != seq).copied() else { return Ok(()) };
    let is_known_for_ever = sent.number.is_some() && !sent.is_excused;
    let is_known_by_id = sent.id.as_ref().is_some_and(|id| stream.ids.get(id) == Some(&other))
        && stream.is_within_window(other);
    demand("once", !is_known_for_ever && !is_known_by_id, || {
        format!("content {nonce:x} of {} is at {other} and at {seq}", stream.rules.name)
    })?;
    let times = sent.stored.len() as u64 + u64::from(!sent.stored.contains(&seq));
    demand("once", times <= sent.sends || sent.is_excused, || {
        format!(
            "content {nonce:x} of {} was sent {} times and is at {times} places",
            stream.rules.name, sent.sends
        )
    })
}
