//! The end of a settling: what was written takes the place of what is in memory, and the journal's files are free. It
//! happens when the catalogue is safe, does no IO that may fail, and does *not* change what can be read.

use std::collections::BTreeMap;

use bytes::Bytes;
use kernel::LogId;

use crate::head::What;
use crate::settle::{Part, Settling};
use crate::shared::Shared;
use crate::store::{Store, lock};
use crate::table::{Log, Run, Whole};
use crate::writer::Place;

/// Journal files that are kept to be used again.
const SPARE_FILES: usize = 2;

impl Store {
    /// Makes what was settled visible and frees what it replaces.
    pub(crate) fn publish(
        &self,
        settling: &mut Settling,
        until: u64,
        parts: BTreeMap<LogId, Part>,
        forgotten: BTreeMap<LogId, Vec<Run>>,
        states: &[(Bytes, Whole)],
    ) {
        for run in forgotten.into_values().flatten() {
            settling.release(&run);
        }
        for (id, part) in parts {
            let mut shared = lock(&self.shared);
            settling.replace(&mut shared, id, &part, Some(until));
        }
        settling.count(&self.stats);
        let (freed, synced) = {
            let mut shared = lock(&self.shared);
            for (key, value) in states {
                if shared.table.states.get(key) == Some(value) {
                    shared.table.states.remove(key);
                }
            }
            shared.settle(until);
            shared.ask_from_bytes = 0;
            shared.weigh(&self.options, &self.stats);
            (shared.free(until), shared.framed_synced)
        };
        let Some(newest) = freed.iter().map(|place| place.number).max() else { return };
        match self.mark_gone(newest, synced) {
            Ok(()) => self.recycle(freed),
            Err(e) => lock(&self.shared).fail(e.code, e.text),
        }
    }

    /// Makes free journal files ready to be used again, or removes them.
    fn recycle(&self, freed: Vec<Place>) {
        let folder = What::Journal.folder();
        for place in freed {
            let old = What::Journal.name(place.number);
            let number = {
                let mut shared = lock(&self.shared);
                (shared.spare.len() < SPARE_FILES).then(|| {
                    shared.next_file += 1;
                    shared.next_file - 1
                })
            };
            let Some(number) = number else {
                // One that stays is found to be settled when the store opens, and removed then.
                let _ = self.fs.remove(&old);
                continue;
            };
            let new = What::Journal.name(number);
            // Not usable before its name is safe; what fails here is made anew when it is needed.
            let renamed = self.fs.rename(&old, &new).and_then(|()| self.fs.sync_folder(folder));
            let mut shared = lock(&self.shared);
            if renamed.is_err() || !shared.add_spare(Place { number, file: place.file }) {
                let _ = self.fs.remove(&new);
            }
        }
        self.stats.journal_files.set({
            let shared = lock(&self.shared);
            (shared.files.len() + shared.spare.len()) as u64
        });
    }
}

impl Settling {
    /// Counts a run that the catalogue speaks of.
    pub(crate) fn hold(&mut self, run: &Run) {
        let held = self.held.entry(run.segment).or_default();
        held.runs += 1;
        held.live += run.live_bytes();
    }

    /// Counts it no more.
    pub(crate) fn release(&mut self, run: &Run) {
        if let Some(held) = self.held.get_mut(&run.segment) {
            held.runs = held.runs.saturating_sub(1);
            held.live = held.live.saturating_sub(run.live_bytes());
        }
    }

    /// Puts a log's new row in the place of the old one, in memory. `until`: what was settled of it.
    pub(crate) fn replace(&mut self, shared: &mut Shared, id: LogId, part: &Part, until: Option<u64>) {
        part.row.runs.iter().for_each(|run| self.hold(run));
        let Some(log) = shared.table.logs.get_mut(&id) else {
            // Forgotten meanwhile. The catalogue speaks of it until the next round.
            if let Some(runs) = shared.table.forgotten.get_mut(&id) {
                runs.drain(..).for_each(|run| self.release(&run));
                runs.extend(part.row.runs.iter().cloned());
            }
            return;
        };
        log.runs.iter().for_each(|run| self.release(run));
        if let Some((run, footer)) = part.new.as_ref().filter(|_| until.is_some()) {
            // Removed since the row was made: nothing else remembers it.
            for index in log.gone(footer) {
                if !part.row.removed.contains(index) && run.places().contains(&index) {
                    log.removed.insert(index..=index);
                    log.trimmed.insert(index..=index);
                }
            }
        }
        part.dropped.iter().for_each(|range| log.removed.remove(&range));
        part.row.removed.iter().for_each(|range| log.removed.insert(range));
        let places: Vec<_> = part.row.runs.iter().map(Run::places).collect();
        log.removed.keep(&places);
        part.trimmed.iter().for_each(|range| log.trimmed.remove(&range));
        log.trimmed.keep(&places);
        log.runs = part.row.runs.clone();
        if let Some(until) = until {
            log.settle(until);
        }
        if !log.trimmed.is_empty() || !log.fresh.is_empty() {
            shared.table.mark(id);
        }
    }

    /// Shows the numbers.
    pub(crate) fn count(&self, stats: &crate::Stats) {
        let (bytes, live) = self.held.values().fold((0, 0), |(b, l), held| (b + held.bytes, l + held.live));
        stats.segments.set(self.held.len() as u64);
        stats.live_bytes.set(live);
        stats.dead_bytes.set(bytes.saturating_sub(live));
    }
}

impl Log {
    /// Drops what is settled.
    fn settle(&mut self, until: u64) {
        while let Some(front) = self.fresh.front().filter(|front| front.position <= until) {
            self.passed = (front.index, front.time_ns);
            self.fresh.pop_front();
        }
    }
}

impl Shared {
    /// Notes that everything up to a position is settled.
    fn settle(&mut self, until: u64) {
        self.settled = self.settled.max(until);
        while let Some((_, bytes)) = self.marks.front().copied().filter(|(last, _)| *last <= until) {
            self.marks.pop_front();
            self.unsettled_bytes = self.unsettled_bytes.saturating_sub(bytes);
        }
        if self.checkpoint.is_some_and(|checkpoint| checkpoint <= until) {
            self.checkpoint = None;
        }
    }

    /// Takes out the journal files that are not needed any more.
    fn free(&mut self, until: u64) -> Vec<Place> {
        let mut freed = Vec::new();
        while self.files.len() > 1 && self.files.front().is_some_and(|file| file.last <= until && !file.dirty)
        {
            freed.extend(self.files.pop_front().map(|file| file.place));
        }
        freed
    }

    /// Adds a file to go on in. False: it would be out of order.
    pub(crate) fn add_spare(&mut self, place: Place) -> bool {
        let last =
            self.spare.back().or(self.files.back().map(|file| &file.place)).map_or(0, |last| last.number);
        let fits = last < place.number;
        if fits {
            self.spare.push_back(place);
        }
        fits
    }
}
