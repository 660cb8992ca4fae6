//! The data plane: who hears what ([`Interest`]), a publisher's memory of it ([`RouteCache`]), and where bytes wait
//! for a slow world ([`Outbox`]).
//!
//! Concurrent but without IO: sockets are a closure that an outbox is flushed through. It does *not* know protocols
//! or permissions; a door encodes, the fabric judges.

pub mod budget;
pub mod consumer;
pub mod interest;
pub mod marked;
#[allow(clippy::type_complexity, reason = "a filter is a closure that may remember")]
pub mod messages;
pub mod outbox;
pub mod route;
pub mod stream;
mod trie;

#[cfg(test)]
mod interest_tests;
#[cfg(test)]
#[allow(clippy::duplicate_mod, reason = "the model compiles shipping files a second time, on purpose")]
mod model;
#[cfg(test)]
mod outbox_tests;
#[cfg(test)]
mod test;

/// The locks and counters of outbox and interest; the model check swaps them for ones that explore every interleaving.
mod sync {
    pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
    pub(crate) use std::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard};
}

pub use budget::Budget;
pub use interest::{Interest, Reading, Stamp};
pub use outbox::{Flush, Outbox, Slot, Took};
pub use route::{Found, Groups, Members, Route, RouteCache};
pub use trie::{Entry, Hit};
