//! What clients sent and what they were answered, and what follows from that for what must be there. The oracle knows
//! *nothing* of the node: not its files, not its memory, only what was said.

mod consumer;
mod filters;
mod hold;
mod order;
mod sent;
mod stream;

pub(crate) use consumer::{Consumer, Given};
pub(crate) use filters::Filters;
pub(crate) use order::{Due, Firsts};
pub(crate) use sent::{Number, Sent};
pub(crate) use stream::{Attempt, Expect, Rules, Stream};

/// How far a stream or consumer is in its life, as its clients know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// Its creation was asked for and not answered.
    Making,
    /// Its creation was answered.
    There,
    /// Its deletion was asked for and not answered.
    Ending,
    /// Its deletion was answered, or its creation refused.
    Gone,
}
