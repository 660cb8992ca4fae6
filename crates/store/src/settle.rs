//! Settling: what is wanted of the journal goes into segments, sorted by log, and into the catalogue; then the journal's
//! files are free. In this order: segments synced, journal synced, catalogue synced, memory and files freed; a crash
//! between any two leaves either the old or the new catalogue with everything that it speaks of. It does *not* rewrite
//! segments.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use kernel::LogId;
use kernel::journal::Record;

use crate::catalogue::{Catalogue, Change, Contents, LogRow};
use crate::error::{Doing as _, Error};
use crate::head::What;
use crate::ranges::Ranges;
use crate::segment::{Footer, SegmentWriter};
use crate::segments::Segments;
use crate::store::{Store, lock};
use crate::table::{Log, Run, Whole};
use crate::writer::Place;

/// Records that are taken under the lock at once.
const RECORDS_AT_ONCE: usize = 4096;

/// A segment in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// Length of the file.
    pub(crate) bytes: u64,
    /// Bytes of it that are still wanted, about.
    pub(crate) live: u64,
    /// Runs in it that the catalogue speaks of.
    pub(crate) runs: u64,
}

/// What only the settling thread needs.
#[derive(Debug)]
pub(crate) struct Settling {
    pub(crate) catalogue: Catalogue,
    pub(crate) next_segment: u64,
    pub(crate) held: BTreeMap<u64, Held>,
}

/// A log's part of a round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Part {
    /// What was written of it.
    pub(crate) new: Option<(Run, Arc<Footer>)>,
    /// Its row in the catalogue.
    pub(crate) row: LogRow,
    /// The removed places that the row's numbers know.
    pub(crate) trimmed: Ranges,
    /// The removed places that are in no segment any more.
    pub(crate) dropped: Ranges,
}

impl Store {
    /// Settles once a checkpoint was given, and rewrites a few segments if that is due. False: there was
    /// nothing to do.
    pub fn step_settle(&self) -> bool {
        let mut settling = lock(&self.settling);
        let until = {
            let mut shared = lock(&self.shared);
            if shared.failed.is_some() {
                return false;
            }
            // As far as possible: up to the first change that no whole state stands behind, whatever the checkpoint says.
            shared.checkpoint.take().map(|_| shared.table.free_until(shared.framed))
        };
        let did = until.is_some_and(|until| self.round(&mut settling, until));
        let did = self.compact(&mut settling) || did;
        if did {
            (self.wake)();
        }
        did
    }

    /// Settles and syncs everything that can be, and frees the journal if that is all of it. Nothing may be submitted
    /// any more. Errors: the disk refused; the journal stays as it is, and the next opening reads it.
    pub fn close(&self) -> Result<(), Error> {
        let mut settling = lock(&self.settling);
        self.sync_all();
        let until = {
            let mut shared = lock(&self.shared);
            shared.stop = true;
            shared.table.free_until(shared.framed)
        };
        self.round(&mut settling, until);
        let mut shared = lock(&self.shared);
        if let Some((code, text)) = shared.failed.clone() {
            return Err(Error { code, text });
        }
        if shared.settled == shared.framed {
            let mut files: Vec<Place> = shared.files.drain(..).map(|file| file.place).collect();
            files.extend(shared.spare.drain(..));
            let newest = files.iter().map(|place| place.number).max().unwrap_or_default();
            self.mark_gone(newest, shared.framed)?;
            for place in files {
                let name = What::Journal.name(place.number);
                self.fs.remove(&name).doing(&name, "removed")?;
            }
            let folder = What::Journal.folder();
            self.fs.sync_folder(folder).doing(folder, "synced")?;
        }
        Ok(())
    }

    /// Settles up to a position. False: there was nothing to settle, or it failed and is as before.
    fn round(&self, settling: &mut Settling, until: u64) -> bool {
        let (changed, forgotten, states) = {
            let mut shared = lock(&self.shared);
            let table = &mut shared.table;
            let idle = table.changed.is_empty() && table.forgotten.is_empty() && table.states.is_empty();
            if shared.failed.is_some() || (until <= shared.settled && idle) {
                return false;
            }
            let table = &mut shared.table;
            let mut states: Vec<_> = table.states.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
            states.sort_unstable();
            (table.take_changed(), std::mem::take(&mut table.forgotten), states)
        };
        let until = until.max(lock(&self.shared).settled);
        let mut made = Vec::new();
        match self.try_round(settling, until, &changed, &forgotten, &states, &mut made) {
            Ok(parts) => {
                self.publish(settling, until, parts, forgotten, &states);
                self.stats.settlings.add(1);
            }
            Err(_) => {
                self.stats.settlings_failed.add(1);
                let mut shared = lock(&self.shared);
                changed.into_iter().for_each(|id| shared.table.mark(id));
                shared.table.forgotten.extend(forgotten);
                // Not at once again: whatever is wrong, the disk for one, needs time.
                shared.ask_from_bytes = shared.unsettled_bytes + self.options.settle_bytes / 4;
                drop(shared);
                self.unmake(settling, &made);
                return false;
            }
        }
        true
    }

    fn try_round(
        &self,
        settling: &mut Settling,
        until: u64,
        changed: &BTreeSet<LogId>,
        forgotten: &BTreeMap<LogId, Vec<Run>>,
        states: &[(Bytes, Whole)],
        made: &mut Vec<u64>,
    ) -> Result<BTreeMap<LogId, Part>, Error> {
        let mut parts = self.write_segments(settling, until, changed, made)?;
        let mut forgotten_since = Vec::new();
        for (id, part) in &mut parts {
            if !self.describe(*id, until, part)? {
                forgotten_since.push(*id);
            }
        }
        forgotten_since.iter().for_each(|id| drop(parts.remove(id)));
        // What is now said to be removed must not come back: the journal that says so is made safe first.
        if !self.sync_all() {
            let (code, text) =
                lock(&self.shared).failed.clone().unwrap_or((kernel::Code::StoreFailed, String::new()));
            return Err(Error { code, text });
        }
        let mut change = Change {
            logs: parts.iter().map(|(id, part)| (*id, part.row.clone())).collect(),
            forgotten: forgotten.keys().copied().collect(),
            states: states.to_vec(),
            settled: until,
            next_segment: settling.next_segment,
        };
        self.note(settling, &mut change)?;
        Ok(parts)
    }

    /// Puts a change into the catalogue; when most of that is outdated, everything there is. An error ends the journal:
    /// nobody can know what the catalogue says after it.
    pub(crate) fn note(&self, settling: &mut Settling, change: &mut Change) -> Result<(), Error> {
        let noted = if settling.catalogue.wants_all() {
            self.everything(settling, change).and_then(|()| settling.catalogue.replace(change))
        } else {
            settling.catalogue.append(change)
        };
        let noted = noted.and_then(|()| self.mark_noted(settling.catalogue.last()));
        noted.inspect_err(|e| lock(&self.shared).fail(e.code, e.text.clone()))
    }

    /// Makes a change hold everything: what it changes, and all else as it was settled.
    fn everything(&self, settling: &Settling, change: &mut Change) -> Result<(), Error> {
        let Contents { mut logs, mut states, .. } = settling.catalogue.contents()?;
        states.extend(std::mem::take(&mut change.states));
        // That a piece is gone must be said as long as changes of it may still be in the journal.
        states.retain(|_, whole| whole.value.is_some() || whole.position > change.settled);
        change.states = states.into_iter().collect();
        logs.extend(std::mem::take(&mut change.logs));
        for id in std::mem::take(&mut change.forgotten) {
            logs.remove(&id);
        }
        change.logs = logs.into_iter().collect();
        Ok(())
    }

    /// Writes what is wanted of the journal up to a position.
    fn write_segments(
        &self,
        settling: &mut Settling,
        until: u64,
        changed: &BTreeSet<LogId>,
        made: &mut Vec<u64>,
    ) -> Result<BTreeMap<LogId, Part>, Error> {
        let mut parts = BTreeMap::new();
        let mut common: Option<SegmentWriter> = None;
        for id in changed {
            let Some(bytes) = self.with_log(*id, |log| log.unsettled_bytes(until)) else { continue };
            let part = parts.entry(*id).or_insert_with(Part::default);
            if bytes == 0 {
                continue;
            }
            let is_own = bytes >= self.options.own_segment_bytes;
            let mut own = if is_own { Some(self.segment(settling, made)?) } else { None };
            if !is_own
                && common.as_ref().is_some_and(|one| one.bytes() + bytes > self.options.segment_bytes_max)
            {
                self.finish(settling, common.take())?;
            }
            if !is_own && common.is_none() {
                common = Some(self.segment(settling, made)?);
            }
            if let Some(writer) = own.as_mut().or(common.as_mut()) {
                part.new = self.write_log(writer, *id, until)?;
            }
            self.finish(settling, own)?;
        }
        self.finish(settling, common)?;
        if !made.is_empty() {
            let folder = What::Segment.folder();
            self.fs.sync_folder(folder).doing(folder, "synced")?;
        }
        Ok(parts)
    }

    /// Makes a segment.
    pub(crate) fn segment(
        &self,
        settling: &mut Settling,
        made: &mut Vec<u64>,
    ) -> Result<SegmentWriter, Error> {
        let number = settling.next_segment;
        settling.next_segment += 1;
        made.push(number);
        SegmentWriter::create(&*self.fs, &self.identity, number, self.options.seed)
    }

    /// Syncs a segment.
    pub(crate) fn finish(&self, settling: &mut Settling, writer: Option<SegmentWriter>) -> Result<(), Error> {
        let Some(writer) = writer else { return Ok(()) };
        let number = writer.number;
        let bytes = writer.finish()?;
        settling.held.insert(number, Held { bytes, ..Held::default() });
        Ok(())
    }

    /// Writes a log's part. `None`: nothing of it is wanted any more.
    fn write_log(
        &self,
        writer: &mut SegmentWriter,
        id: LogId,
        until: u64,
    ) -> Result<Option<(Run, Arc<Footer>)>, Error> {
        writer.begin(id);
        let mut behind = None;
        let mut any = false;
        loop {
            let records = self.with_log(id, |log| log.unsettled(until, behind)).unwrap_or_default();
            let Some(last) = records.last() else { break };
            behind = Some(last.index);
            any = true;
            for record in &records {
                writer.push(record)?;
            }
        }
        if any { Ok(Some(writer.end()?)) } else { Ok(None) }
    }

    pub(crate) fn with_log<T>(&self, id: LogId, ask: impl FnOnce(&Log) -> T) -> Option<T> {
        lock(&self.shared).table.logs.get(&id).map(ask)
    }

    /// Works out a log's row: what it will be when this round is over. False: the log was forgotten.
    fn describe(&self, id: LogId, until: u64, part: &mut Part) -> Result<bool, Error> {
        let seen = self.with_log(id, |log| {
            let mut row = log.row(until);
            let mut trimmed = log.trimmed.clone();
            if let Some((run, footer)) = &part.new {
                for index in log.gone(footer) {
                    row.removed.insert(index..=index);
                    trimmed.insert(index..=index);
                }
                row.runs.push(run.clone());
            }
            (row, trimmed)
        });
        let Some((mut row, trimmed)) = seen else { return Ok(false) };
        self.recount(&mut row, &trimmed, part.new.as_ref())
            .map_err(|e| Error::io("a segment", "read", &e))?;
        (part.row, part.trimmed) = (row, trimmed);
        Ok(true)
    }

    /// Brings the numbers of the runs that lost records up to date, and drops those that lost all.
    pub(crate) fn recount(
        &self,
        row: &mut LogRow,
        trimmed: &Ranges,
        new: Option<&(Run, Arc<Footer>)>,
    ) -> io::Result<()> {
        for run in row.runs.iter_mut().filter(|run| trimmed.meets(&run.places())) {
            match new {
                Some((of, footer)) if (of.segment, of.footer) == (run.segment, run.footer) => {
                    run.count_live(footer, |index| !row.removed.contains(index));
                }
                _ => run.refresh(&row.removed, &self.segments)?,
            }
        }
        let gone: Vec<Run> = row.runs.extract_if(.., |run| run.count == 0).collect();
        for run in gone {
            row.removed.remove(&run.places());
        }
        Ok(())
    }
}

impl Run {
    /// Brings the numbers up to date.
    fn refresh(&mut self, removed: &Ranges, segments: &Segments) -> io::Result<()> {
        let footer = if removed.covers(&self.places()) { Arc::default() } else { segments.footer(self)? };
        self.count_live(&footer, |index| !removed.contains(index));
        Ok(())
    }
}

impl Log {
    /// Brings the numbers of its runs up to date. What cannot be read keeps its old ones.
    pub(crate) fn refresh(&mut self, segments: &Segments) {
        for run in self.runs.iter_mut().filter(|run| self.trimmed.meets(&run.places())) {
            // A segment that is missing has been reported.
            let _ = run.refresh(&self.removed, segments);
        }
    }

    /// Bytes of content up to a position that are not settled.
    fn unsettled_bytes(&self, until: u64) -> u64 {
        let fresh = self.fresh.iter().take_while(|fresh| fresh.position <= until);
        fresh.filter_map(|fresh| fresh.record.as_ref()).map(|record| record.size() as u64 + 64).sum()
    }

    /// Some records up to a position that are not settled, behind a place.
    fn unsettled(&self, until: u64, behind: Option<u64>) -> Vec<Record> {
        let from = behind.map_or(0, |index| self.fresh.partition_point(|fresh| fresh.index <= index));
        let fresh = self.fresh.range(from..).take_while(|fresh| fresh.position <= until);
        fresh.filter_map(|fresh| fresh.record.clone()).take(RECORDS_AT_ONCE).collect()
    }

    /// What the catalogue says of it when everything up to a position is settled.
    pub(crate) fn row(&self, until: u64) -> LogRow {
        let settled = self.fresh.iter().take_while(|fresh| fresh.position <= until).last();
        let last = settled.map_or(self.passed, |fresh| (fresh.index, fresh.time_ns)).max(self.passed);
        LogRow { last: last.0, last_time_ns: last.1, runs: self.runs.clone(), removed: self.removed.clone() }
    }

    /// The places of a footer that are in memory no more.
    pub(crate) fn gone(&self, footer: &Footer) -> Vec<u64> {
        let mut fresh =
            self.fresh.iter().filter(|fresh| fresh.record.is_some()).map(|fresh| fresh.index).peekable();
        let mut gone = Vec::new();
        for row in &footer.rows {
            while fresh.next_if(|index| *index < row.row.index).is_some() {}
            if fresh.next_if_eq(&row.row.index).is_none() {
                gone.push(row.row.index);
            }
        }
        gone
    }
}
