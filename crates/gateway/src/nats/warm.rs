//! Keeps the event loop awake for a moment after traffic, as Go's scheduler does. Putting a thread to sleep and
//! waking it again costs several times what a small message costs; an answer mostly comes within microseconds.
//!
//! A task that yields makes tokio ask the sockets again without sleeping. It yields as long as the last turn of any
//! connection is recent, and sleeps otherwise: an idle node uses no processor time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// See the module.
#[derive(Default)]
pub(super) struct Warm {
    turns: AtomicU64,
    asleep: AtomicBool,
    wake: Notify,
}

impl Warm {
    /// A connection has had a turn.
    pub(super) fn note(&self) {
        // Lost counts do not matter, only that the number changes.
        self.turns.store(self.turns.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        if self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::AcqRel) {
            self.wake.notify_one();
        }
    }

    /// Stays awake for `spin` after every turn, for ever.
    pub(super) async fn keep(&self, spin: Duration) {
        loop {
            let (mut seen, mut since) = (self.turns.load(Ordering::Relaxed), Instant::now());
            while since.elapsed() < spin {
                tokio::task::yield_now().await;
                let turns = self.turns.load(Ordering::Relaxed);
                if turns != seen {
                    (seen, since) = (turns, Instant::now());
                }
            }
            self.asleep.store(true, Ordering::Release);
            self.wake.notified().await;
        }
    }
}
