//! What a run did, in numbers, so that a run that tests nothing is seen. They do *not* drive anything.

use serde::Serialize;

macro_rules! figures {
    ($($(#[$doc:meta])+ $name:ident,)*) => {
        /// Counts of one run, or of many together.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
        pub struct Figures { $($(#[$doc])+ pub $name: u64,)* }

        impl Figures {
            /// Adds another run's.
            pub fn add(&mut self, other: &Figures) {
                $(self.$name += other.$name;)*
            }

            /// Every count with its name.
            pub fn all(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name)),*]
            }
        }
    };
}

figures! {
    /// Events that the scheduler chose.
    events,
    /// Starts of the node.
    starts,
    /// Ends in order.
    closes,
    /// Ends of the process alone.
    kills,
    /// Ends of the machine.
    power_cuts,
    /// Bits flipped.
    bit_flips,
    /// Messages that were lost by them.
    messages_lost,
    /// Times that the disk filled up.
    disks_filled,
    /// Syncs that were made to fail.
    syncs_failed,
    /// Times that the disk began to give nothing.
    reads_failed,
    /// Of these, starts that were refused for it.
    starts_refused,
    /// Answers that said so.
    unread_told,
    /// Journals that failed because of these.
    journals_failed,
    /// Times that somebody set the wall clock.
    clocks_set,
    /// Streams made.
    streams,
    /// Consumers made.
    consumers,
    /// Filters of consumers changed.
    filters_changed,
    /// Publishes sent.
    publishes,
    /// Of these, stored and acknowledged.
    acknowledged,
    /// Publishes with a priority.
    prioritized,
    /// Publishes with a delay.
    delayed,
    /// Refused: a delay that is longer than messages live.
    delays_refused,
    /// Answered as duplicates.
    duplicates,
    /// Refused: the same number with other bytes.
    mismatches,
    /// Refused: of a producer's life that ended.
    fenced,
    /// Deliveries heard.
    deliveries,
    /// Of these, of messages with a delay.
    delayed_delivered,
    /// First deliveries behind one of a message that was stored later.
    overtakings,
    /// Acknowledgements confirmed.
    acks_confirmed,
    /// Acknowledgements refused as stale.
    acks_stale,
    /// Times that everything was read and compared.
    audits,
    /// Messages that were read for that.
    audited,
    /// Settlings of the store.
    settlings,
    /// Segments rewritten.
    compactions,
    /// Reads that needed the disk.
    disk_reads,
    /// Streams that left memory because nobody used them.
    streams_unloaded,
}
