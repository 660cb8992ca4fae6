//! Answers questions that need the disk. What is damaged is left out; when the disk gives nothing, that is the answer:
//! what cannot be read now may be read later. It does *not* hold the lock while it reads.

use std::io;

use bytes::Bytes;
use kernel::LogId;
use kernel::journal::{Event, ReadId, Record, Row};

use crate::segment::FooterRow;
use crate::shared::{ImageOf, Job, fresh_rows};
use crate::store::{Store, lock};
use crate::table::{Found, Run};

/// How often a question is asked anew because a segment was rewritten under it.
const TRIES: usize = 8;
/// A segment that is still needed has no file.
const GONE: &str = "a segment's file is not there";

impl Store {
    /// Answers the oldest question that needs the disk. False: there was none.
    pub fn step_read(&self) -> bool {
        let Some(job) = lock(&self.shared).jobs.pop_front() else { return false };
        self.stats.disk_reads.add(1);
        let event = match job {
            Job::Read(id, log, indices) => self.records(id, log, &indices),
            Job::Load(log) => self.image(log),
        };
        lock(&self.shared).events.push(event);
        (self.wake)();
        true
    }

    fn records(&self, id: ReadId, log: LogId, indices: &[u64]) -> Event {
        for _ in 0..TRIES {
            let mut records = vec![None; indices.len()];
            let mut wanted: Vec<(Run, u64, usize)> = Vec::new();
            {
                let shared = lock(&self.shared);
                let Some(log) = shared.table.logs.get(&log) else { return Event::Read(id, records) };
                for ((at, index), record) in indices.iter().enumerate().zip(&mut records) {
                    match log.find(*index) {
                        Found::Here(found) => *record = Some(found),
                        Found::Run(run) => wanted.push((run, *index, at)),
                        Found::Nowhere => {}
                    }
                }
            }
            wanted.sort_unstable_by_key(|(run, index, _)| (run.first, *index));
            let read = wanted
                .chunk_by(|(a, ..), (b, ..)| a.first == b.first)
                .try_for_each(|group| self.records_of_run(group, &mut records));
            match read {
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Event::Unread(id, e.to_string()),
                Ok(()) => return Event::Read(id, records),
            }
        }
        Event::Unread(id, GONE.to_owned())
    }

    fn records_of_run(&self, group: &[(Run, u64, usize)], out: &mut [Option<Record>]) -> io::Result<()> {
        let Some((run, ..)) = group.first() else { return Ok(()) };
        let footer = self.segments.footer(run)?;
        let mut rows: Vec<FooterRow> =
            group.iter().filter_map(|(_, index, _)| footer.row(*index).copied()).collect();
        rows.dedup();
        self.segments.read(run, &rows, |row, record| {
            let from = group.partition_point(|(_, index, _)| *index < row.row.index);
            for (_, _, at) in group.iter().skip(from).take_while(|(_, index, _)| *index == row.row.index) {
                if let Some(place) = out.get_mut(*at) {
                    *place = record.clone();
                }
            }
            Ok::<(), io::Error>(())
        })
    }

    fn image(&self, id: LogId) -> Event {
        for _ in 0..TRIES {
            let mut image = ImageOf::new(self.options.seed);
            let (runs, removed, fresh) = {
                let shared = lock(&self.shared);
                let Some(log) = shared.table.logs.get(&id) else {
                    return Event::Loaded(id, Box::default());
                };
                let mut fresh = ImageOf::new(self.options.seed);
                fresh_rows(log, &mut fresh);
                (log.runs.clone(), log.removed.clone(), fresh.image)
            };
            let read = runs.iter().try_for_each(|run| {
                let footer = self.segments.footer(run)?;
                let rows = footer.rows.iter().filter(|row| !removed.contains(row.row.index));
                add(&mut image, &footer.subjects, rows.map(|row| row.row));
                Ok::<(), io::Error>(())
            });
            match read {
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Event::Unloaded(id, e.to_string()),
                Ok(()) => {}
            }
            add(&mut image, &fresh.subjects, fresh.rows.into_iter());
            return Event::Loaded(id, Box::new(image.image));
        }
        Event::Unloaded(id, GONE.to_owned())
    }
}

/// Adds rows whose subjects have other numbers; only subjects that a row has come with them.
fn add(image: &mut ImageOf, subjects: &[Bytes], rows: impl Iterator<Item = Row>) {
    let mut numbers: Vec<Option<u32>> = vec![None; subjects.len()];
    for mut row in rows {
        let at = row.subject as usize;
        let (Some(number), Some(subject)) = (numbers.get_mut(at), subjects.get(at)) else { continue };
        row.subject = *number.get_or_insert_with(|| image.subject(subject));
        image.image.rows.push(row);
    }
}
