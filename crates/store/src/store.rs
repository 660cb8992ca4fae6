//! The store without threads: what is submitted and read is answered here; what takes longer is done by steps that
//! somebody calls. It does *not* know time: who calls the steps decides when.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use kernel::journal::{Event, Level, ReadId};
use kernel::{Code, Entry, LogId, Position};

use crate::error::Error;
use crate::fs::FileSystem;
use crate::mark::Marker;
use crate::segments::Segments;
use crate::settle::Settling;
use crate::shared::{ImageOf, Job, JournalFile, Shared, fresh_rows};
use crate::writer::{self, Writer};
use crate::{Identity, Options, Stats};

/// Called when events have become ready in the background, from the thread that made them. It must not call the store.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// A node's store. Submitting and reading never wait for the disk; the steps do.
pub struct Store {
    pub(crate) fs: Arc<dyn FileSystem>,
    pub(crate) options: Options,
    pub(crate) identity: Identity,
    pub(crate) stats: Arc<Stats>,
    pub(crate) wake: Wake,
    /// Taken before `shared`, never behind it.
    pub(crate) writer: Mutex<Writer>,
    pub(crate) shared: Mutex<Shared>,
    /// Held while the journal is synced. Taken before `writer`.
    pub(crate) syncing: Mutex<()>,
    /// Held while something is settled. Taken before all others.
    pub(crate) settling: Mutex<Settling>,
    /// Nothing else is taken behind it.
    pub(crate) marker: Mutex<Marker>,
    pub(crate) segments: Segments,
    /// Something is to be synced.
    pub(crate) to_sync: Condvar,
    /// Something is to be settled.
    pub(crate) to_settle: Condvar,
    /// Something is to be read.
    pub(crate) to_read: Condvar,
}

/// A lock whose holder panicked is taken all the same: the panic has been reported by then.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    /// Appends entries; see `kernel::Journal::submit`. One thread at a time submits.
    pub fn submit(&self, first: Position, entries: Vec<Entry>, level: Level) {
        let mut writer = lock(&self.writer);
        let synced = {
            let mut shared = lock(&self.shared);
            if let Some((code, text)) = shared.failed.clone() {
                shared.events.push(Event::Failed(code, text));
                return;
            }
            if shared.stop {
                let closed = Event::Failed(Code::ServiceUnavailable, "the store is closed".to_owned());
                shared.events.push(closed);
                return;
            }
            if first.0 != shared.last + 1 {
                let text = format!("position {} was submitted behind {}", first.0, shared.last);
                return shared.fail(Code::InternalError, text);
            }
            if let Err(e) = self.make_room(&mut writer, &mut shared, &entries) {
                return shared.fail(e.code, e.text);
            }
            shared.framed_synced
        };
        if entries.is_empty() {
            return;
        }
        let wrote = match writer.write(first.0, &entries, synced) {
            Ok(wrote) => wrote,
            Err(e) => {
                let e = Error::io("the journal", "written", &e);
                return lock(&self.shared).fail(e.code, e.text);
            }
        };
        self.stats.appended_bytes.add(wrote.bytes);
        self.stats.appended_entries.add(entries.len() as u64);
        let last = first.0 + entries.len() as u64 - 1;
        let mut shared = lock(&self.shared);
        if wrote.bytes > 0 {
            shared.wrote(last, wrote.bytes);
            shared.framed = last;
        } else if shared.synced == shared.last {
            shared.synced = last;
            shared.report(Event::Synced(Position(last)));
        }
        shared.last = last;
        shared.submissions += 1;
        for (entry, position) in entries.into_iter().zip(first.0..) {
            if let Some(checkpoint) = shared.table.apply(position, entry) {
                let checkpoint = checkpoint.0.min(last);
                shared.checkpoint = Some(shared.checkpoint.unwrap_or_default().max(checkpoint));
                shared.asked = false;
                self.to_settle.notify_all();
            }
        }
        shared.report(Event::Written(Position(last)));
        shared.weigh(&self.options, &self.stats);
        if level == Level::Disk && shared.synced < last {
            shared.wanted = last;
        }
        if shared.wanted > shared.synced || shared.unsynced_bytes >= self.options.sync_bytes {
            self.to_sync.notify_all();
        }
    }

    /// Makes sure that the writer has a file with room.
    fn make_room(&self, writer: &mut Writer, shared: &mut Shared, entries: &[Entry]) -> Result<(), Error> {
        if !writer.is_full(Writer::estimate(entries), self.options.journal_file_bytes) {
            return Ok(());
        }
        let number = writer.number();
        let spare = shared.spare.pop_front();
        let place = match spare.filter(|place| place.number > number) {
            Some(place) => place,
            None => {
                let number = shared.next_file;
                let made = writer::create(&*self.fs, number, self.options.journal_file_bytes);
                let made = made.map_err(|e| Error::io("a journal file", "made", &e))?;
                shared.next_file += 1;
                shared.folder_dirty = true;
                made
            }
        };
        shared.files.push_back(JournalFile {
            place: place.clone(),
            last: shared.last,
            bytes: 0,
            dirty: false,
        });
        writer.begin(place);
        Ok(())
    }

    /// Asks for records; see `kernel::Journal::read`.
    pub fn read(&self, id: ReadId, log: LogId, indices: Vec<u64>) {
        let mut shared = lock(&self.shared);
        match shared.read(log, &indices) {
            Some(records) => shared.events.push(Event::Read(id, records)),
            None => {
                shared.jobs.push_back(Job::Read(id, log, indices));
                self.to_read.notify_one();
            }
        }
    }

    /// Asks for a log's image; see `kernel::Journal::load`.
    pub fn load(&self, log: LogId) {
        let mut shared = lock(&self.shared);
        let mut image = ImageOf::new(self.options.seed);
        match shared.table.logs.get(&log) {
            Some(held) if !held.runs.is_empty() => {
                shared.jobs.push_back(Job::Load(log));
                return self.to_read.notify_one();
            }
            Some(held) => fresh_rows(held, &mut image),
            None => {}
        }
        shared.events.push(Event::Loaded(log, Box::new(image.image)));
    }

    /// Takes what was reported since the last time.
    pub fn take_events(&self, out: &mut Vec<Event>) {
        let mut shared = lock(&self.shared);
        if out.is_empty() {
            std::mem::swap(out, &mut shared.events);
        } else {
            out.append(&mut shared.events);
        }
    }

    /// The counters.
    pub fn stats(&self) -> Arc<Stats> {
        self.stats.clone()
    }
}

impl Shared {
    /// Notes that bytes were written to the file in use.
    pub(crate) fn wrote(&mut self, last: u64, bytes: u64) {
        if let Some(file) = self.files.back_mut() {
            file.last = last;
            file.bytes += bytes;
            file.dirty = true;
        }
        self.unsynced_bytes += bytes;
        self.unsettled_bytes += bytes;
        let stretch_bytes = self.stretch_bytes;
        match self.marks.back_mut().filter(|(_, length)| *length < stretch_bytes) {
            Some(stretch) => *stretch = (last, stretch.1 + bytes),
            None => self.marks.push_back((last, bytes)),
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("fs", &self.fs).field("stats", &self.stats).finish_non_exhaustive()
    }
}
