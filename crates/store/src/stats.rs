//! Counters for metrics, readable at any time without a lock. They do *not* drive any decision.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! stats {
    ($($(#[doc = $doc:literal])+ $name:ident),* $(,)?) => {
        /// The counters, as the store changes them.
        #[derive(Debug, Default)]
        pub struct Stats { $($(#[doc = $doc])+ pub $name: Counter),* }

        impl Stats {
            /// Every counter by name.
            pub fn all(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name.value())),*]
            }
        }
    };
}

stats! {
    /// Bytes appended to the journal since the start.
    appended_bytes,
    /// Entries appended since the start.
    appended_entries,
    /// Syncs of the journal since the start.
    syncs,
    /// Time they took together, in nanoseconds; 0 where nobody measures.
    sync_ns_sum,
    /// The longest of them, in nanoseconds.
    sync_ns_max,
    /// Journal that is not settled yet, in bytes.
    unsettled_bytes,
    /// Journal files on the disk, spare ones included.
    journal_files,
    /// Segments on the disk.
    segments,
    /// Bytes of the records in segments that are still wanted.
    live_bytes,
    /// Bytes in segments that nobody wants any more.
    dead_bytes,
    /// Settlings since the start.
    settlings,
    /// Settlings that failed since the start, and were or will be repeated.
    settlings_failed,
    /// Segments rewritten since the start.
    compactions,
    /// Records and footers found damaged since the start, at opening or when read.
    damaged_records,
    /// Damaged records that could not be kept for the operator.
    quarantines_failed,
    /// Reads that needed the disk since the start.
    disk_reads,
}

/// One number.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// The number now.
    pub fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }

    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Relaxed);
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    pub(crate) fn raise_to(&self, value: u64) {
        self.0.fetch_max(value, Relaxed);
    }
}
