//! A durable stream with the semantics of JetStream: which messages it takes, in what order they stand, and which it
//! lets go of. It decides and says what is to be done ([`Changes`]); it does *not* hold the messages' content, which is
//! the journal's, nor know who consumes them.
//!
//! A message is stored ([`Stream::publish`]), becomes visible when its record is safe ([`Stream::show`]), and goes when
//! a limit, a time, a roll-up, an acknowledgement or a request says so. **Limits are applied when the message that
//! exceeds them becomes visible**, not when it is stored: until then readers see what was there before, and a crash in
//! between loses nothing. Whether a publish is allowed (expected sequences, duplicates, producers, `discard: new`) is
//! judged against everything that is stored, visible or not.

mod config;
mod expire;
mod ids;
mod index;
mod look;
mod mark;
mod marker;
mod pedantic;
mod producers;
mod publish;
mod purge;
mod refusal;
mod remove;
mod restore;
mod retain;
mod ttl;
mod update;

#[cfg(test)]
mod config_tests;
#[cfg(test)]
mod costs;
#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;

use kernel::journal::{Level, Record};
use wire::jetstream::{Discard, StorageType, StreamConfig};

use crate::marked::{Mark, Marked};

use ids::Ids;
use index::{Row, Rows, Subjects};
use producers::Producers;
use ttl::Deadlines;

pub use config::{ACK_KEY, Limits, check, check_update, level};
pub use look::State;
pub use pedantic::check_pedantic;
pub use producers::Damaged;
pub use purge::{Purge, Purging};
pub use refusal::Refusal;

/// Bits of a record's flags that are this module's, beside those of [`kernel::journal::flag`].
pub mod flag {
    /// It has headers.
    pub const HAS_HEADERS: u16 = 8;
    /// The headers hold a producer's sequence.
    pub const HAS_PRODUCER: u16 = 16;
    /// It stands for all earlier messages of its subject.
    pub const ROLLS_SUBJECT: u16 = 32;
    /// It stands for all earlier messages of the stream.
    pub const ROLLS_ALL: u16 = 64;
    /// It has no age limit.
    pub const STAYS: u16 = 128;
    /// Its priority is low, high, or (both) critical; neither: normal.
    pub const IS_LOW: u16 = 256;
    /// See [`IS_LOW`].
    pub const IS_HIGH: u16 = 512;
    /// The headers hold for how long it is kept back.
    pub const IS_LATE: u16 = 1024;
}

const NS_PER_MS: u64 = 1_000_000;
/// The highest sequence that a message may have: far beyond what can be published, and far from where numbers end.
const SEQUENCE_MAX: u64 = 1 << 62;
const NS_PER_S: u64 = 1_000_000_000;

/// What a call wants done with the journal. Calls add to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// What is to be appended.
    pub record: Option<Record>,
    /// The record's headers are not those that came: one of them was raised.
    pub is_rewritten: bool,
    /// What is to be appended behind it: messages of the stream's own, in place of what is about to go.
    pub markers: Vec<Record>,
    /// Sequences that are gone, behind what is appended. A range covers only messages that are gone, or were before.
    pub removed: Vec<RangeInclusive<u64>>,
    /// One of the removed was a producer's: [`Stream::producers_snapshot`] is to be written in front of the removal, or
    /// a crash would forget that it was stored once.
    pub producers: bool,
    /// The stream's last sequence was raised to this by a purge. It is to be kept with the stream's configuration and
    /// given to [`Stream::raise_last`] after a restart, since no record has it.
    pub last: Option<u64>,
    /// The marks of those that were removed; of a stream that lost everything at once there are none.
    pub unmarked: Vec<(u64, Mark)>,
}

impl Changes {
    fn remove(&mut self, seq: u64) {
        match self.removed.last_mut() {
            Some(last) if last.end().checked_add(1) == Some(seq) => *last = *last.start()..=seq,
            _ => self.removed.push(seq..=seq),
        }
    }
}

/// What became of a message that was not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// It is the stream's next.
    Stored {
        /// Its sequence.
        seq: u64,
    },
    /// It was stored before. Its acknowledgement waits like that of a new one: the first may not be safe yet.
    Duplicate {
        /// Under which sequence; 0: that is no longer known.
        seq: u64,
    },
}

/// The configuration's limits as numbers that are compared; the largest number: no limit.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    msgs: u64,
    bytes: u64,
    msgs_per_subject: u64,
    age_ns: u64,
    msg_bytes: u64,
    window_ns: u64,
    /// How long a delete marker lives; 0: none are left.
    marker_s: u64,
    /// Bytes that a message counts beside its content, without and with headers.
    overhead: [u64; 2],
}

impl Bounds {
    fn of(config: &StreamConfig) -> Bounds {
        let bound = |limit: i64| u64::try_from(limit).ok().filter(|l| *l > 0).unwrap_or(u64::MAX);
        Bounds {
            msgs: bound(config.max_msgs),
            bytes: bound(config.max_bytes),
            msgs_per_subject: bound(config.max_msgs_per_subject),
            age_ns: bound(config.max_age),
            msg_bytes: bound(config.max_msg_size.into()),
            window_ns: u64::try_from(config.duplicate_window).unwrap_or(0),
            marker_s: u64::try_from(config.subject_delete_marker_ttl).unwrap_or(0) / NS_PER_S,
            overhead: match config.storage {
                StorageType::File => [30, 34],
                StorageType::Memory => [16, 16],
            },
        }
    }
}

/// Counts of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    msgs: u64,
    bytes: u64,
}

impl Tally {
    fn add(&mut self, bytes: u64) {
        self.msgs += 1;
        self.bytes += bytes;
    }

    fn take(&mut self, bytes: u64) {
        self.msgs = self.msgs.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// See the module.
pub struct Stream {
    config: StreamConfig,
    level: Level,
    bounds: Bounds,
    hash_seed: u64,
    rows: Rows,
    subjects: Subjects,
    /// Of everything that is stored.
    total: Tally,
    /// Of that, what is not visible yet.
    hidden: Tally,
    /// Subjects with a visible message.
    subjects_visible: u64,
    /// Messages that go when those behind them become visible, because of the limit per subject.
    surplus: u64,
    /// The last message ever stored, and its time and id.
    last: u64,
    last_time_ns: u64,
    last_id: Vec<u8>,
    /// The last visible one and its time.
    shown: u64,
    shown_time_ns: u64,
    /// No message in front of this one has an age limit.
    aged: u64,
    ids: Option<Box<Ids>>,
    producers: Option<Box<Producers>>,
    deadlines: Option<Box<Deadlines>>,
    /// Messages with a priority, or kept back.
    marked: Option<Box<Marked>>,
    /// Up to when what was kept back is due, in milliseconds since 1970.
    released_ms: u64,
    /// Limits and roll-ups may not be kept: it was restored.
    untidy: bool,
}

impl Stream {
    /// An empty stream. The configuration passed [`check`].
    pub fn new(config: StreamConfig, hash_seed: u64) -> Stream {
        let last = config.first_seq.saturating_sub(1);
        Stream {
            level: level(&config).unwrap_or_default(),
            bounds: Bounds::of(&config),
            config,
            hash_seed,
            rows: Rows::default(),
            subjects: Subjects::new(hash_seed),
            total: Tally::default(),
            hidden: Tally::default(),
            subjects_visible: 0,
            surplus: 0,
            last,
            last_time_ns: 0,
            last_id: Vec::new(),
            shown: last,
            shown_time_ns: 0,
            aged: 0,
            ids: None,
            producers: None,
            deadlines: None,
            marked: None,
            released_ms: 0,
            untidy: false,
        }
    }

    /// Its configuration.
    pub fn config(&self) -> &StreamConfig {
        &self.config
    }

    /// How safe a message is to be before it is acknowledged and shown.
    pub fn level(&self) -> Level {
        self.level
    }

    /// The last sequence that was given, visible or not.
    pub fn last_stored(&self) -> u64 {
        self.last
    }

    /// Heap bytes beside the configuration, about.
    pub fn heap_bytes(&self) -> usize {
        let boxed = |bytes: Option<usize>, own: usize| bytes.map_or(0, |b| b + own);
        self.rows.heap_bytes()
            + self.subjects.heap_bytes()
            + boxed(self.ids.as_ref().map(|i| i.heap_bytes()), size_of::<Ids>())
            + boxed(self.producers.as_ref().map(|p| p.heap_bytes()), size_of::<Producers>())
            + boxed(self.deadlines.as_ref().map(|d| d.heap_bytes()), size_of::<Deadlines>())
            + boxed(self.marked.as_ref().map(|m| m.heap_bytes()), size_of::<Marked>())
    }

    /// What a row counts towards the limit on bytes.
    fn weight(&self, row: &Row) -> u64 {
        let [bare, with_headers] = self.bounds.overhead;
        let overhead = if row.flags & flag::HAS_HEADERS == 0 { bare } else { with_headers };
        u64::from(row.size) + overhead
    }

    /// Whether what is over a limit makes room; otherwise new messages are refused.
    fn discards_old(&self) -> bool {
        self.config.discard == Discard::Old
    }

    fn visible(&self) -> Tally {
        Tally { msgs: self.total.msgs - self.hidden.msgs, bytes: self.total.bytes - self.hidden.bytes }
    }
}
