//! Durable storage of a node: the journal where everything becomes durable, segments into which it is settled, and
//! recovery after any kind of end.
//!
//! The port it serves is `kernel::Journal`. It does *not* know streams, consumers or protocols, and no tokio: a
//! [`Store`] is driven by steps, from threads ([`Threads`]) or by whoever simulates ([`Stepped`]).

mod bytes;
mod catalogue;
mod compact;
mod entry;
mod error;
mod frame;
pub mod fs;
mod head;
mod item;
mod loss;
mod mark;
mod open;
pub mod options;
mod publish;
mod ranges;
mod reader;
mod scan;
mod segment;
mod segments;
mod settle;
mod shared;
pub mod stats;
mod stepped;
mod store;
mod sync;
mod table;
mod threads;
mod writer;

pub use error::Error;
pub use fs::{Disk, FileSystem};
pub use head::Identity;
pub use options::Options;
pub use stats::Stats;
pub use stepped::Stepped;
pub use store::{Store, Wake};
pub use threads::Threads;
