//! One node without IO: the cores wired together, and [`Session`], the one way in for every door.
//!
//! A session knows who somebody is, what it may do and where its messages go. It does *not* know protocols or
//! sockets.

pub mod clients;
pub mod holders;
pub mod hub;
pub mod options;
pub mod plane;
pub mod session;
mod watch;
pub mod woken;

/// Where a door lets bytes wait for its clients.
pub use bus::{Budget, Flush, Outbox, Slot, Took};
pub use clients::Clients;
pub use holders::{Holder, Holders};
pub use hub::{Hub, Limits, Subscription};
pub use options::StreamsOptions;
pub use plane::{ConsumerSeen, Figures, Inbox, Plane, PlaneOptions, StreamSeen, Survey};
pub use session::{Captured, Session};
pub use woken::Woken;
