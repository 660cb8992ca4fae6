//! Keeps the event loop awake while an answer is due, as Go's scheduler does for everything. Putting a thread to sleep
//! and waking it again costs several times what a small message costs, and a service mostly answers within
//! microseconds.
//!
//! A task that yields makes tokio ask the sockets again without sleeping. It yields as long as the last turn of any
//! connection brought a request and that is recent; a turn that brings none (the answer, or other traffic) ends it. So
//! an idle node uses no processor time, and one that is busy with something else none in vain.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// See the module.
#[derive(Default)]
pub(crate) struct Warm {
    /// Counts turns in steps of two; odd while the last one brought a request.
    turns: AtomicU64,
    asleep: AtomicBool,
    wake: Notify,
}

impl Warm {
    /// A connection has had a turn. `asked`: it brought a request that somebody heard.
    pub(crate) fn note(&self, asked: bool) {
        // Lost counts do not matter, only that the number changes.
        let turn = self.turns.load(Ordering::Relaxed).wrapping_add(2) & !1;
        self.turns.store(turn | u64::from(asked), Ordering::Relaxed);
        if asked && self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::AcqRel) {
            self.wake.notify_one();
        }
    }

    /// Stays awake for `spin` after every request, or until another turn, for ever.
    pub(crate) async fn keep(&self, spin: Duration) {
        loop {
            let (mut turn, mut since) = (self.turns.load(Ordering::Relaxed), Instant::now());
            while turn & 1 == 1 && since.elapsed() < spin {
                tokio::task::yield_now().await;
                let last = self.turns.load(Ordering::Relaxed);
                if last != turn {
                    (turn, since) = (last, Instant::now());
                }
            }
            self.asleep.store(true, Ordering::Release);
            self.wake.notified().await;
        }
    }
}
