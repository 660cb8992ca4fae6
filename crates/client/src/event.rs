//! What happens to a connection besides messages. [`crate::Options::on_event`] takes the function that hears it.

use crate::{Error, Server};

/// Something that a user of the client may want to log or act on. Every one is only told; the client has already
/// dealt with it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The connection broke; the client is trying to come back.
    Disconnected(Error),
    /// The connection is back, and every subscription with it.
    Reconnected(Server),
    /// The server said `-ERR`. A permission that was denied leaves the connection open.
    Refused(Error),
    /// The server is about to stop and asks its clients to go elsewhere.
    LameDuck,
    /// A subscription's queue is full and messages for it are being dropped: told once each time it fills up;
    /// [`crate::Subscription::dropped`] counts.
    SlowConsumer {
        /// What the subscription hears.
        pattern: String,
    },
    /// The client has ended; `None`: because it was asked to.
    Closed(Option<Error>),
}
