//! What clients were promised, one file for each promise. A promise looks at the oracle's books, which know only what
//! clients sent and heard; it does *not* look into the node.

pub mod acked;
pub mod consumer_sequence;
pub mod counts;
pub mod damage;
pub mod deliveries;
pub mod existence;
pub mod fence;
pub mod genuine;
pub mod gone;
pub mod kept;
pub mod once;
pub mod pending;
pub mod progress;
pub mod sequence;
pub mod silence;

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which: the name of its file.
    pub promise: &'static str,
    /// What came instead.
    pub what: String,
}

/// What a judgement comes to.
pub type Kept = Result<(), Broken>;

/// Breaks a promise unless something holds.
pub(crate) fn demand(promise: &'static str, holds: bool, what: impl FnOnce() -> String) -> Kept {
    if holds { Ok(()) } else { Err(Broken { promise, what: what() }) }
}

/// A promise that is broken for sure.
pub(crate) fn broken(promise: &'static str, what: String) -> Kept {
    Err(Broken { promise, what })
}
