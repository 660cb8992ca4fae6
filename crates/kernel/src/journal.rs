//! The port for durable storage: one journal a node, in which every log (a stream, later a Raft group or a ledger) and
//! every piece of state has its entries, in one order. It says *what* is kept and when it is safe; it does *not* say
//! how, and nothing here does IO.
//!
//! A core appends entries and counts their [`Position`]s itself; what depends on an entry waits until the journal
//! reports a watermark at or beyond its position.

use std::ops::RangeInclusive;

use bytes::Bytes;

use crate::{Code, Msg};

/// A log within the journal; never used twice on a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogId(pub u64);

impl LogId {
    const VOLATILE: u64 = 1 << 63;

    /// The log of that number whose records live in memory only and are gone when the process ends.
    pub fn volatile(number: u64) -> LogId {
        LogId(number | Self::VOLATILE)
    }

    /// Whether its records live in memory only.
    pub fn is_volatile(self) -> bool {
        self.0 & Self::VOLATILE != 0
    }
}

/// A place in a node's journal. Every entry has one, counted from 1 without gaps; 0 is before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position(pub u64);

/// What a record carries besides its content, as bits that a reader of a log's image sees without reading the content.
pub mod flag {
    /// The headers hold a message id or a producer's sequence.
    pub const HAS_ID: u16 = 1;
    /// The headers hold a time to live.
    pub const HAS_TTL: u16 = 2;
    /// It marks that what was under its subject is deleted.
    pub const IS_MARKER: u16 = 4;
}

/// One record of a log: a message with its place and time. Cloning shares the content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Its place in the log: grows from record to record, with gaps allowed.
    pub index: u64,
    /// When it was appended, in nanoseconds since 1970.
    pub time_ns: u64,
    /// See [`flag`].
    pub flags: u16,
    /// Length of the subject at the start of `content`, in bytes.
    pub subject_len: u16,
    /// Length of the header block behind it, in bytes; the rest is the payload.
    pub headers_len: u32,
    /// Subject, headers and payload, back to back.
    pub content: Bytes,
}

impl Record {
    /// The subject.
    pub fn subject(&self) -> &[u8] {
        self.part(0, self.subject_len.into())
    }

    /// The header block; empty: none.
    pub fn headers(&self) -> &[u8] {
        let start = usize::from(self.subject_len);
        self.part(start, start + self.headers_len as usize)
    }

    /// The payload.
    pub fn payload(&self) -> &[u8] {
        self.part(usize::from(self.subject_len) + self.headers_len as usize, self.content.len())
    }

    /// Bytes of content: subject, headers and payload.
    pub fn size(&self) -> usize {
        self.content.len()
    }

    fn part(&self, start: usize, end: usize) -> &[u8] {
        self.content.get(start..end).unwrap_or_default()
    }

    /// A record with the content of a message, copied. A subject longer than 65 535 bytes is cut.
    pub fn of(index: u64, time_ns: u64, flags: u16, m: &Msg<'_>) -> Record {
        let subject_len = m.subject.len().min(usize::from(u16::MAX));
        let content = [&m.subject[..subject_len], m.headers, m.payload].concat();
        Record {
            index,
            time_ns,
            flags,
            subject_len: subject_len as u16,
            headers_len: m.headers.len() as u32,
            content: content.into(),
        }
    }
}

/// What is appended to the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A log's next record.
    Record(LogId, Record),
    /// Records of a log that are no longer wanted, by their places. What is not there is no error.
    Remove(LogId, Box<[RangeInclusive<u64>]>),
    /// A log is no longer wanted at all.
    Forget(LogId),
    /// The value of a piece of state from here on; `None`: it is no longer wanted.
    State(Bytes, Option<Bytes>),
    /// A change of a piece of state since its last [`Entry::State`]; recovery gives it back until the next one.
    Delta(Bytes, Bytes),
    /// Every piece of state that had a [`Entry::Delta`] at or before this position has an [`Entry::State`] behind it and
    /// before this entry: the answer to [`Event::Checkpoint`].
    Checkpoint(Position),
}

/// How safe an acknowledged entry is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// In this process's memory: gone when it ends.
    Mem,
    /// With the operating system: survives the process, not the machine.
    Os,
    /// On the disk: survives power loss.
    #[default]
    Disk,
}

impl Level {
    /// The level that a word stands for: `mem`, `os` or `disk`.
    pub fn read(word: &[u8]) -> Option<Level> {
        match word {
            b"mem" => Some(Level::Mem),
            b"os" => Some(Level::Os),
            b"disk" => Some(Level::Disk),
            _ => None,
        }
    }
}

/// Identity of a read, chosen by who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReadId(pub u64);

/// What the journal reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Everything up to here is with the operating system.
    Written(Position),
    /// Everything up to here is on the disk.
    Synced(Position),
    /// The disk failed or is full, and nothing after the last watermark will become safe until the node starts again.
    Failed(Code, String),
    /// The records asked for, in the order asked; `None`: it is not there, was removed, or is damaged.
    Read(ReadId, Vec<Option<Record>>),
    /// The records asked for cannot be read now, and why: the disk said no, which says nothing about what is on it.
    Unread(ReadId, String),
    /// A log's image: all its records without their content. Those that are damaged are left out.
    Loaded(LogId, Box<Image>),
    /// A log's image cannot be read now, and why.
    Unloaded(LogId, String),
    /// State has changed by deltas for long enough: the core should write it whole, then [`Entry::Checkpoint`] with this
    /// position.
    Checkpoint(Position),
    /// Too much waits to be settled (true): publishers should wait; or no longer (false).
    Pressed(bool),
}

/// A log without its content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// Every subject in it, once.
    pub subjects: Vec<Bytes>,
    /// The records that are there, by place.
    pub rows: Vec<Row>,
}

/// A record without its content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Its place in the log.
    pub index: u64,
    /// When it was appended, in nanoseconds since 1970.
    pub time_ns: u64,
    /// Bytes of content.
    pub size: u32,
    /// Which of the image's subjects it has.
    pub subject: u32,
    /// See [`flag`].
    pub flags: u16,
}

/// A log in a few numbers: what is known of it before its image is loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Place of the first record that is there; 0: none is.
    pub first: u64,
    /// Highest place ever appended, whether that record is still there or not.
    pub last: u64,
    /// Records that are there.
    pub count: u64,
    /// Bytes of their content.
    pub bytes: u64,
    /// Time of the first that is there, in nanoseconds since 1970.
    pub first_time_ns: u64,
    /// Time of the last ever appended.
    pub last_time_ns: u64,
}

/// Damage that was found and set aside: the rest is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: String,
    /// Where in it, in bytes.
    pub offset: u64,
    /// What was lost, as far as it is known, for the operator.
    pub what: String,
    /// Entries that it may have cost at most, where whole stretches are missing; 0: a few.
    pub entries: u64,
}

/// What a journal gives back when it opens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The last position in it: the next entry has the one behind it.
    pub last: Position,
    /// All state by key, as its last [`Entry::State`] left it.
    pub states: Vec<(Bytes, Bytes)>,
    /// The changes since, oldest first, of each key only those behind its last [`Entry::State`].
    pub deltas: Vec<(Bytes, Bytes)>,
    /// The logs that are there.
    pub logs: Vec<(LogId, Summary)>,
    /// What was damaged.
    pub damage: Vec<Damage>,
}

/// Durable storage as the control plane sees it. Nothing here waits for the disk longer than a write to the operating
/// system takes; everything else comes back as an [`Event`].
pub trait Journal {
    /// Appends entries in order, the first at `first`, which must be behind the last. `level`: the safest that somebody
    /// waits for.
    fn submit(&mut self, first: Position, entries: Vec<Entry>, level: Level);
    /// Asks for records of a log by their places.
    fn read(&mut self, id: ReadId, log: LogId, indices: Vec<u64>);
    /// Asks for a log's image.
    fn load(&mut self, log: LogId);
    /// Takes what was reported since the last time.
    fn take_events(&mut self, out: &mut Vec<Event>);
}
