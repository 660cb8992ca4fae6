//! What the threads of the store share under one lock: the table, the watermarks, the journal's files and the events.
//! It does *not* do IO; whoever holds the lock is done in microseconds.

use std::collections::VecDeque;

use kernel::journal::{Event, Image, ReadId, Record, Row};
use kernel::{Code, LogId, Position};

use crate::table::{Found, Log, Table};
use crate::writer::Place;
use crate::{Options, Stats};

/// A journal file in use.
#[derive(Debug)]
pub(crate) struct JournalFile {
    pub(crate) place: Place,
    /// The last position in it.
    pub(crate) last: u64,
    pub(crate) bytes: u64,
    /// Whether something in it is not synced.
    pub(crate) dirty: bool,
}

/// A question that needs the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Job {
    Read(ReadId, LogId, Vec<u64>),
    Load(LogId),
}

/// Stretches of journal, oldest first: the last position of each, and its length in bytes.
pub(crate) type Marks = VecDeque<(u64, u64)>;

/// The shared part.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) table: Table,
    pub(crate) events: Vec<Event>,
    pub(crate) jobs: VecDeque<Job>,
    /// Oldest first; the last is written to.
    pub(crate) files: VecDeque<JournalFile>,
    /// Files made ready for the journal to go on in.
    pub(crate) spare: VecDeque<Place>,
    /// Number of the next journal file.
    pub(crate) next_file: u64,
    /// Whether names in the journal's folder are not safe yet.
    pub(crate) folder_dirty: bool,
    /// The last position appended.
    pub(crate) last: u64,
    /// What somebody waits for to be synced.
    pub(crate) wanted: u64,
    pub(crate) synced: u64,
    /// The last position that a frame stands for. Behind it are only entries of volatile logs.
    pub(crate) framed: u64,
    /// The last position whose frame is synced: what frames may say of themselves. It lies between frames, where
    /// `synced` may lie within one that begins with entries of volatile logs.
    pub(crate) framed_synced: u64,
    /// What the journal itself says on the disk to be synced.
    pub(crate) marked: u64,
    pub(crate) settled: u64,
    /// Bytes written and not synced.
    pub(crate) unsynced_bytes: u64,
    /// Bytes written and not settled.
    pub(crate) unsettled_bytes: u64,
    /// Where these bytes are.
    pub(crate) marks: Marks,
    /// How exactly it is known where they are.
    pub(crate) stretch_bytes: u64,
    /// Unsettled bytes from which on to ask for a checkpoint again after a settling failed.
    pub(crate) ask_from_bytes: u64,
    /// The highest checkpoint given and not settled.
    pub(crate) checkpoint: Option<u64>,
    /// Whether a checkpoint was asked for and not given yet.
    pub(crate) asked: bool,
    pub(crate) pressed: bool,
    pub(crate) failed: Option<(Code, String)>,
    /// Counts submissions, so that idleness can be seen.
    pub(crate) submissions: u64,
    /// Whether the threads should end.
    pub(crate) stop: bool,
}

impl Shared {
    /// Number of the last journal file that holds something; 0: none does.
    pub(crate) fn begun(&self) -> u64 {
        self.files.iter().rev().find(|file| file.bytes > 0).map_or(0, |file| file.place.number)
    }

    /// Reports, in place of an event that the new one makes worthless.
    pub(crate) fn report(&mut self, event: Event) {
        match (self.events.last_mut(), &event) {
            (Some(last @ Event::Written(_)), Event::Written(_)) => *last = event,
            (Some(last @ Event::Synced(_)), Event::Synced(_)) => *last = event,
            _ => self.events.push(event),
        }
    }

    /// Ends the journal: nothing after the last watermark becomes safe.
    pub(crate) fn fail(&mut self, code: Code, text: String) {
        if self.failed.is_none() {
            self.failed = Some((code, text.clone()));
            self.events.push(Event::Failed(code, text));
        }
    }

    /// Asks for a checkpoint when there is too much to settle, and says when publishers should wait.
    pub(crate) fn weigh(&mut self, options: &Options, stats: &Stats) {
        stats.unsettled_bytes.set(self.unsettled_bytes);
        if self.unsettled_bytes >= options.settle_bytes.max(self.ask_from_bytes) {
            self.ask();
        }
        let pressed = self.unsettled_bytes > options.pressed_bytes;
        if pressed != self.pressed {
            self.pressed = pressed;
            self.events.push(Event::Pressed(pressed));
        }
    }

    /// Asks for a checkpoint of everything there is, unless that was done.
    pub(crate) fn ask(&mut self) {
        if !self.asked && self.checkpoint.is_none() && self.failed.is_none() {
            self.asked = true;
            self.events.push(Event::Checkpoint(Position(self.last)));
        }
    }

    /// Answers a read out of memory; `None`: the disk must be asked.
    pub(crate) fn read(&self, log: LogId, indices: &[u64]) -> Option<Vec<Option<Record>>> {
        let Some(log) = self.table.logs.get(&log) else { return Some(vec![None; indices.len()]) };
        let found = indices.iter().map(|index| match log.find(*index) {
            Found::Here(record) => Some(Some(record)),
            Found::Nowhere => Some(None),
            Found::Run(_) => None,
        });
        found.collect()
    }
}

/// Appends the rows of what is not settled of a log.
pub(crate) fn fresh_rows(log: &Log, image: &mut ImageOf) {
    for record in log.fresh.iter().filter_map(|fresh| fresh.record.as_ref()) {
        let subject = image.subject(record.subject());
        image.image.rows.push(Row {
            index: record.index,
            time_ns: record.time_ns,
            size: record.size() as u32,
            subject,
            flags: record.flags,
        });
    }
}

/// An image in the making.
#[derive(Debug)]
pub(crate) struct ImageOf {
    pub(crate) image: Image,
    numbers: hashbrown::HashMap<bytes::Bytes, u32, foldhash::fast::FixedState>,
}

impl ImageOf {
    pub(crate) fn new(seed: u64) -> ImageOf {
        let numbers = hashbrown::HashMap::with_hasher(foldhash::fast::FixedState::with_seed(seed));
        ImageOf { image: Image::default(), numbers }
    }

    /// The number of a subject, which is copied when it is new.
    pub(crate) fn subject(&mut self, subject: &[u8]) -> u32 {
        if let Some(number) = self.numbers.get(subject) {
            return *number;
        }
        let (number, subject) = (self.image.subjects.len() as u32, bytes::Bytes::copy_from_slice(subject));
        self.image.subjects.push(subject.clone());
        self.numbers.insert(subject, number);
        number
    }
}
