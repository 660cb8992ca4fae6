//! A consumer in numbers.

use super::Consumer;
use super::leases::Pair;
use crate::messages::Messages;

/// A place in both orders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The consumer's own sequence.
    pub consumer_seq: u64,
    /// The stream's.
    pub stream_seq: u64,
    /// When it was last moved, in milliseconds since 1970; `None`: never.
    pub at_ms: Option<u64>,
}

/// What clients are told about a consumer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// The last delivery.
    pub delivered: Place,
    /// Everything up to here is acknowledged.
    pub ack_floor: Place,
    /// Messages delivered and not acknowledged.
    pub num_ack_pending: u64,
    /// Of these and those given up, how many were delivered more than once.
    pub num_redelivered: u64,
    /// Requests that wait.
    pub num_waiting: u64,
    /// Messages that wait for their first delivery.
    pub num_pending: u64,
    /// Whether somebody hears the deliver subject.
    pub push_bound: bool,
    /// For how long it pauses still, in nanoseconds; 0: it does not.
    pub pause_remaining_ns: u64,
}

impl Consumer {
    /// Whether [`Consumer::info`] needs no walk over messages.
    pub fn is_counted(&self) -> bool {
        self.backlog.is_counted()
    }

    /// How it stands, as of its last turn.
    pub fn info(&mut self, messages: &(impl Messages + ?Sized)) -> Info {
        let place = |pair: Pair, at_ms: u64| Place {
            consumer_seq: pair.consumer,
            stream_seq: pair.stream,
            at_ms: (at_ms > 0).then_some(at_ms),
        };
        // With one delivery each, nothing is delivered again, whatever was given up.
        let is_single = self.config.max_deliver == 1;
        Info {
            delivered: place(self.delivered, self.delivered_ms),
            ack_floor: place(self.leases.floor, self.acked_ms),
            num_ack_pending: self.leases.len() as u64,
            num_redelivered: if is_single { 0 } else { self.leases.redelivered() as u64 },
            num_waiting: self.waiting.len() as u64,
            num_pending: self.backlog.count(&mut self.filter, messages),
            push_bound: self.push.as_ref().is_some_and(|push| push.is_heard),
            pause_remaining_ns: self.pause_ns(),
        }
    }
}
