//! What clients were promised, one file for each promise. A promise looks at the oracle's books, which know only what
//! clients sent and heard; it does *not* look into the node.

pub(crate) mod acked;
pub(crate) mod consumer_sequence;
pub(crate) mod counts;
pub(crate) mod damage;
pub(crate) mod delay;
pub(crate) mod deliveries;
pub(crate) mod existence;
pub(crate) mod fence;
pub(crate) mod genuine;
pub(crate) mod gone;
pub(crate) mod kept;
pub(crate) mod once;
pub(crate) mod order;
pub(crate) mod pending;
pub(crate) mod progress;
pub(crate) mod sequence;
pub(crate) mod silence;
pub(crate) mod unread;

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    /// Which: the name of its file.
    pub(crate) promise: &'static str,
    /// What came instead.
    pub(crate) what: String,
}

/// What a judgement comes to.
pub(crate) type Kept = Result<(), Broken>;

/// Breaks a promise unless something holds.
pub(crate) fn demand(promise: &'static str, holds: bool, what: impl FnOnce() -> String) -> Kept {
    if holds { Ok(()) } else { Err(Broken { promise, what: what() }) }
}

/// A promise that is broken for sure.
pub(crate) fn broken(promise: &'static str, what: String) -> Kept {
    Err(Broken { promise, what })
}
