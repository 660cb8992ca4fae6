//! What a publisher has sent to streams and nobody has answered yet: the measure by which it is slowed down. It does
//! *not* refuse anything; that is the listener's to decide.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

use crate::Drain;
use crate::limits::UNACKNOWLEDGED_MAX;

/// One publisher: a connection, a call. Shared by it and by every message of it that waits.
#[derive(Debug, Default)]
pub struct Producer {
    waiting: AtomicU32,
    waker: Mutex<Option<Waker>>,
}

impl Producer {
    /// A message of it begins to wait. True: more wait than should, and it should be slowed down.
    pub fn begin(&self) -> bool {
        self.waiting.fetch_add(1, Ordering::Relaxed) >= UNACKNOWLEDGED_MAX
    }

    /// A message of it waits no longer.
    pub fn end(&self) {
        let left = self.waiting.fetch_sub(1, Ordering::AcqRel) - 1;
        if left == UNACKNOWLEDGED_MAX / 2
            && let Some(waker) = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            waker.wake();
        }
    }

    /// Whether more of its messages wait than should.
    pub fn is_over(&self) -> bool {
        self.waiting() > UNACKNOWLEDGED_MAX
    }

    /// How many of its messages wait.
    pub fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Acquire)
    }
}

/// A message of a publisher that waits, for as long as this lives.
#[derive(Debug)]
pub struct Waiting(Arc<Producer>);

impl Waiting {
    /// A message of `producer` begins to wait. True: more wait than should.
    pub fn begin(producer: &Arc<Producer>) -> (Waiting, bool) {
        let is_over = producer.begin();
        (Waiting(producer.clone()), is_over)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Drain for Producer {
    fn on_drain(&self, waker: &Waker) -> bool {
        let mut place = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        if self.waiting() <= UNACKNOWLEDGED_MAX / 2 {
            return false;
        }
        *place = Some(waker.clone());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_producer_is_slowed_at_its_limit_and_woken_at_half_of_it() {
        let producer = Producer::default();
        let over = (0..=UNACKNOWLEDGED_MAX).filter(|_| producer.begin()).count();
        assert_eq!(over, 1, "only the one beyond the limit");
        assert!(producer.on_drain(Waker::noop()));
        (0..=UNACKNOWLEDGED_MAX / 2).for_each(|_| producer.end());
        assert!(!producer.on_drain(Waker::noop()));
    }
}
