//! Rewriting segments: those that nobody wants are deleted, those less than half wanted and too many of about one size
//! are written anew as one. It does *not* move what is fresh.

use std::collections::BTreeMap;

use kernel::LogId;
use kernel::journal::Record;

use crate::catalogue::Change;
use crate::error::{Doing as _, Error};
use crate::head::{HEAD_BYTES, What};
use crate::ranges::Ranges;
use crate::segment::{FooterRow, SegmentWriter};
use crate::settle::{Part, Settling};
use crate::store::{Store, lock};
use crate::table::Run;

impl Store {
    /// Deletes what is dead and rewrites one lot of segments. False: there was nothing to do.
    pub(crate) fn compact(&self, settling: &mut Settling) -> bool {
        if lock(&self.shared).failed.is_some() {
            return false; // What seems dead may be spoken of by a catalogue that could not be synced.
        }
        let deleted = self.delete_dead(settling);
        let victims = settling.victims(self.options.segment_bytes_max, self.options.segments_of_a_size_max);
        if victims.is_empty() {
            return deleted;
        }
        let mut made = Vec::new();
        match self.rewrite(settling, &victims, &mut made) {
            Ok(()) => self.stats.compactions.add(victims.len() as u64),
            Err(_) => {
                self.stats.settlings_failed.add(1);
                self.unmake(settling, &made);
                return deleted;
            }
        }
        self.delete_dead(settling);
        settling.count(&self.stats);
        true
    }

    /// Removes segments that the catalogue never spoke of.
    pub(crate) fn unmake(&self, settling: &mut Settling, made: &[u64]) {
        if lock(&self.shared).failed.is_some() {
            return; // It may speak of them after all; the next opening knows.
        }
        for number in made {
            settling.held.remove(number);
            let _ = self.fs.remove(&What::Segment.name(*number));
        }
    }

    fn delete_dead(&self, settling: &mut Settling) -> bool {
        let dead: Vec<u64> =
            settling.held.iter().filter(|(_, held)| held.runs == 0).map(|(n, _)| *n).collect();
        for number in &dead {
            settling.held.remove(number);
            self.segments.drop_segment(*number);
            // One that stays is in nobody's catalogue, and removed when the store opens.
            let _ = self.fs.remove(&What::Segment.name(*number));
        }
        !dead.is_empty()
    }

    fn rewrite(&self, settling: &mut Settling, victims: &[u64], made: &mut Vec<u64>) -> Result<(), Error> {
        let ids: Vec<LogId> = {
            let shared = lock(&self.shared);
            let touched = shared
                .table
                .logs
                .iter()
                .filter(|(_, log)| log.runs.iter().any(|run| victims.contains(&run.segment)));
            let mut ids: Vec<LogId> = touched.map(|(id, _)| *id).collect();
            ids.sort_unstable();
            ids
        };
        let mut writer = self.segment(settling, made)?;
        let mut parts = BTreeMap::new();
        for id in ids {
            if let Some(part) = self.rewrite_log(&mut writer, id, victims)? {
                parts.insert(id, part);
            }
        }
        self.finish(settling, Some(writer))?;
        let folder = What::Segment.folder();
        self.fs.sync_folder(folder).doing(folder, "synced")?;
        // What was left out as removed must not come back: the journal that says so is made safe first.
        if !self.sync_all() {
            return Err(Error { code: kernel::Code::StoreFailed, text: "the journal has failed".into() });
        }
        let mut change = Change {
            logs: parts.iter().map(|(id, part)| (*id, part.row.clone())).collect(),
            settled: lock(&self.shared).settled,
            next_segment: settling.next_segment,
            ..Change::default()
        };
        self.note(settling, &mut change)?;
        for (id, part) in parts {
            settling.replace(&mut lock(&self.shared), id, &part, None);
        }
        Ok(())
    }

    /// Writes a log's part of the victims, runs that were neighbours as one.
    fn rewrite_log(
        &self,
        writer: &mut SegmentWriter,
        id: LogId,
        victims: &[u64],
    ) -> Result<Option<Part>, Error> {
        let seen = self.with_log(id, |log| (log.row(0), log.trimmed.clone()));
        let Some((mut row, trimmed)) = seen else { return Ok(None) };
        let is_victim = |run: &Run| victims.contains(&run.segment);
        let old = std::mem::take(&mut row.runs);
        for group in old.chunk_by(|a, b| is_victim(a) && is_victim(b)) {
            let Some(first) = group.first() else { continue };
            if !is_victim(first) {
                row.runs.extend_from_slice(group);
                continue;
            }
            let new = self.rewrite_runs(writer, id, group, &row.removed)?;
            row.runs.extend(new);
        }
        let places: Vec<_> = old.iter().filter(|run| is_victim(run)).map(Run::places).collect();
        let kept: Vec<_> = old.iter().filter(|run| !is_victim(run)).map(Run::places).collect();
        let (mut dropped, mut known) = (row.removed.clone(), trimmed);
        dropped.keep(&places);
        known.keep(&places);
        row.removed.keep(&kept);
        Ok(Some(Part { new: None, row, trimmed: known, dropped }))
    }

    fn rewrite_runs(
        &self,
        writer: &mut SegmentWriter,
        id: LogId,
        runs: &[Run],
        removed: &Ranges,
    ) -> Result<Option<Run>, Error> {
        writer.begin(id);
        let mut any = false;
        for run in runs {
            let name = What::Segment.name(run.segment);
            let footer = self.segments.footer(run).doing(&name, "read")?;
            let wanted = |row: &&FooterRow| !removed.contains(row.row.index);
            let rows: Vec<FooterRow> = footer.rows.iter().filter(wanted).copied().collect();
            self.segments.read(run, &rows, |row, record: Option<Record>| match record {
                Some(record) => {
                    any = true;
                    writer.push(&record)
                }
                None => {
                    self.set_aside(run, row);
                    Ok(())
                }
            })?;
        }
        if any { Ok(Some(writer.end()?.0)) } else { Ok(None) }
    }

    /// Keeps what is left of a damaged record when its segment goes, if the disk lets it.
    fn set_aside(&self, run: &Run, row: &FooterRow) {
        let at = run.start + u64::from(row.offset);
        let copy = || {
            let mut bytes = vec![0; row.item_bytes()];
            self.fs.open(&What::Segment.name(run.segment))?.read_at(at, &mut bytes)?;
            let aside = format!("{}/segment-{:016x}-{at}", crate::open::QUARANTINE, run.segment);
            let file = self.fs.create(&aside)?;
            file.write_at(0, &bytes)?;
            file.sync_data()
        };
        if copy().is_err() {
            self.stats.quarantines_failed.add(1);
        }
    }
}

impl Settling {
    /// The segments to be rewritten next: those less than half wanted, or else the smallest of a size that there are too
    /// many of; not more than fit into one.
    fn victims(&self, bytes_max: u64, of_a_size_max: u32) -> Vec<u64> {
        let half_dead = self.held.iter().filter(|(_, held)| held.live * 2 + HEAD_BYTES as u64 <= held.bytes);
        let mut victims: Vec<(u64, u64)> = half_dead.map(|(number, held)| (held.live, *number)).collect();
        let is_merge = victims.is_empty();
        if is_merge {
            let mut sizes: BTreeMap<u32, Vec<(u64, u64)>> = BTreeMap::new();
            for (number, held) in self.held.iter().filter(|(_, held)| held.bytes * 2 <= bytes_max) {
                sizes.entry(held.bytes.max(1).ilog2() / 2).or_default().push((held.live, *number));
            }
            victims = sizes.into_values().find(|of| of.len() > of_a_size_max as usize).unwrap_or_default();
        }
        victims.sort_unstable();
        let mut total = 0;
        let fitting = victims.into_iter().take_while(|(live, _)| {
            total += live;
            total <= bytes_max
        });
        let fitting: Vec<u64> = fitting.map(|(_, number)| number).collect();
        // One whole segment alone gains nothing by being written again.
        if is_merge && fitting.len() < 2 { Vec::new() } else { fitting }
    }
}
