//! The reading end of a subscription.

use std::fmt;
use std::sync::Arc;

use kernel::Message;

use crate::Error;
use crate::gauge::Gauge;
use crate::shared::Handle;
use crate::slot::weight;
use crate::state::Queue;

/// Messages of one subscription, in the order they came. Dropping it unsubscribes. It keeps the connection open,
/// even when every [`crate::Client`] is gone.
pub struct Subscription {
    pub(crate) sid: u64,
    pub(crate) pattern: Box<str>,
    pub(crate) queue: Queue,
    pub(crate) gauge: Arc<Gauge>,
    pub(crate) handle: Arc<Handle>,
}

impl Subscription {
    /// The next message; `None`: no more will come, and [`Subscription::error`] says why unless it was asked for.
    /// A call that is dropped in the middle loses nothing.
    pub async fn next(&mut self) -> Option<Message> {
        let message = self.queue.recv().await?;
        self.took(&message);
        Some(message)
    }

    /// The next message if one is there.
    pub fn try_next(&mut self) -> Option<Message> {
        let message = self.queue.try_recv().ok()?;
        self.took(&message);
        Some(message)
    }

    /// What it hears.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// How many messages were dropped because they were not read fast enough.
    pub fn dropped(&self) -> u64 {
        self.gauge.dropped()
    }

    /// Why no more messages will come: a subscription that the server refused, or a client that ended.
    ///
    /// Servers say `Invalid Subject` and `maximum subscriptions exceeded` without saying of which subscription. The
    /// client sends a PING behind every one, so such an error ends the one whose PONG is next, and never another.
    pub fn error(&self) -> Option<&Error> {
        self.gauge.ended()
    }

    /// Ends it now. What already waits can still be read.
    pub fn unsubscribe(&mut self) {
        self.handle.0.with(|s| s.unsubscribe(self.sid));
    }

    /// Ends it after `max` messages in all, counted from its beginning.
    pub fn unsubscribe_after(&mut self, max: u64) {
        self.handle.0.with(|s| s.unsubscribe_after(self.sid, max));
    }

    /// Ends it once everything that is on its way has come: read on until [`Subscription::next`] gives `None`.
    pub fn drain(&mut self) {
        self.handle.0.with(|s| s.drain(vec![self.sid]));
    }

    fn took(&self, message: &Message) {
        self.gauge.taken(weight(message));
        if self.gauge.is_empty() {
            self.handle.0.taken.notify_waiters();
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.unsubscribe();
        self.gauge.abandon();
        self.handle.0.taken.notify_waiters();
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("pattern", &self.pattern).finish_non_exhaustive()
    }
}
