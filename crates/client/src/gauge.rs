//! What a subscription's two ends share beside the queue: how much waits, what was dropped, why it ended.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use crate::Error;

/// Counters of one subscription. They order nothing, so every access is relaxed.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    queued_bytes: AtomicUsize,
    dropped: AtomicU64,
    full: AtomicBool,
    ended: OnceLock<Error>,
}

impl Gauge {
    /// Whether `bytes` more fit below `max`; the first of them always does.
    pub(crate) fn fits(&self, bytes: usize, max: usize) -> bool {
        let queued = self.queued_bytes.load(Ordering::Relaxed);
        queued == 0 || queued.saturating_add(bytes) <= max
    }

    pub(crate) fn queued(&self, bytes: usize) {
        self.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A message went into the queue: it is not full any more.
    pub(crate) fn flowing(&self) {
        self.full.store(false, Ordering::Relaxed);
    }

    pub(crate) fn taken(&self, bytes: usize) {
        self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Whether everything that had come was taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.queued_bytes.load(Ordering::Relaxed) == 0
    }

    /// Nobody will take what is left.
    pub(crate) fn abandon(&self) {
        self.queued_bytes.store(0, Ordering::Relaxed);
    }

    /// Counts a dropped message; true: it is the first since the queue filled up.
    pub(crate) fn dropped_one(&self) -> bool {
        self.dropped.fetch_add(1, Ordering::Relaxed);
        !self.full.swap(true, Ordering::Relaxed)
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Says why no more will come; the first reason stays.
    pub(crate) fn end(&self, why: Error) {
        _ = self.ended.set(why);
    }

    pub(crate) fn ended(&self) -> Option<&Error> {
        self.ended.get()
    }
}
