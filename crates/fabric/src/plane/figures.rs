//! What operators see of the plane: counters that it writes as things happen and anybody reads at any time. They do *not*
//! drive any decision.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! figures {
    ($($(#[doc = $doc:literal])+ $name:ident),* $(,)?) => {
        /// The counters.
        #[derive(Debug, Default)]
        pub struct Figures { $($(#[doc = $doc])+ pub $name: AtomicU64),* }

        impl Figures {
            /// Every counter: its name, what it is, and its value.
            pub fn all(&self) -> Vec<(&'static str, &'static str, u64)> {
                vec![$((stringify!($name), concat!($($doc),+), self.$name.load(Relaxed))),*]
            }
        }
    };
}

figures! {
    /// Streams that exist.
    streams,
    /// Streams loaded since the start.
    streams_loaded_total,
    /// Streams that left memory since the start, because nobody used them for a while.
    streams_unloaded_total,
    /// Messages stored since the start.
    stored_total,
    /// Messages acknowledged to their publishers since the start, duplicates included.
    acknowledged_total,
    /// Messages that streams refused since the start.
    refused_total,
    /// Deliveries to consumers' clients since the start.
    delivered_total,
    /// Acknowledgements of leases that had ended, since the start: they changed nothing.
    stale_acks_total,
    /// Messages that had their last delivery, since the start.
    max_deliveries_total,
    /// Times since the start that something was to be read and the disk gave nothing.
    unread_total,
    /// Requests of the streams' API since the start.
    api_requests_total,
    /// Those of them that failed.
    api_errors_total,
    /// 1 while the journal must settle before more is stored.
    pressed,
    /// 1 when nothing more is stored until the node starts again.
    failed,
}

/// Counts one more.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}
