//! What the journal says, in memory: every record that is not settled yet, where the settled ones are, what is removed
//! of them, and state that has changed. It does *not* do IO.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::RangeInclusive;

use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use kernel::journal::{Record, Summary};
use kernel::{Entry, LogId, Position};

use crate::catalogue::LogRow;
use crate::ranges::Ranges;

/// A log's records in one segment, back to back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Run {
    /// Number of the segment.
    pub(crate) segment: u64,
    /// Where its first record begins in the segment.
    pub(crate) start: u64,
    /// Where its footer begins, right behind its last record.
    pub(crate) footer: u64,
    /// Length of the footer, in bytes.
    pub(crate) footer_bytes: u64,
    /// Place of the first record that was written, wanted or not.
    pub(crate) first: u64,
    /// Place of the last one.
    pub(crate) last: u64,
    /// Records that were written.
    pub(crate) written: u64,
    /// Records still wanted when it was last looked at.
    pub(crate) count: u64,
    /// Bytes of their content.
    pub(crate) bytes: u64,
    /// Place of the first still wanted.
    pub(crate) live_first: u64,
    /// Time of it.
    pub(crate) live_first_time_ns: u64,
}

impl Run {
    /// The places that it may have.
    pub(crate) fn places(&self) -> RangeInclusive<u64> {
        self.first..=self.last
    }

    /// Bytes that it takes in its segment.
    pub(crate) fn whole_bytes(&self) -> u64 {
        self.footer + self.footer_bytes - self.start
    }

    /// The part of these that is still wanted, about.
    pub(crate) fn live_bytes(&self) -> u64 {
        self.whole_bytes().checked_mul(self.count).map_or(u64::MAX, |bytes| bytes / self.written.max(1))
    }
}

/// A record that is not settled.
#[derive(Clone, Debug)]
pub(crate) struct Fresh {
    pub(crate) index: u64,
    pub(crate) position: u64,
    pub(crate) time_ns: u64,
    /// `None`: removed.
    pub(crate) record: Option<Record>,
}

/// A log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    /// What is not settled, by place.
    pub(crate) fresh: VecDeque<Fresh>,
    /// What is, by place.
    pub(crate) runs: Vec<Run>,
    /// Places within the runs that are no longer wanted.
    pub(crate) removed: Ranges,
    /// Those of them that the runs' numbers do not know yet.
    pub(crate) trimmed: Ranges,
    /// Highest place ever appended.
    pub(crate) last: u64,
    /// When.
    pub(crate) last_time_ns: u64,
    /// Highest place that was appended and needs no replay, with its time: settled, or removed in front of all others.
    pub(crate) passed: (u64, u64),
    /// Whether it is in [`Table::changed`].
    is_changed: bool,
}

/// A piece of state.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Whole {
    /// Position of the entry that gave it its value: changes up to there are in it.
    pub(crate) position: u64,
    /// `None`: no longer wanted.
    pub(crate) value: Option<Bytes>,
}

/// Where a record is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Here.
    Here(Record),
    /// Perhaps in this run.
    Run(Run),
    /// Nowhere.
    Nowhere,
}

impl Log {
    fn push(&mut self, position: u64, record: Record) {
        if record.index <= self.last {
            return; // Replayed although it is settled, or out of order, which the port forbids.
        }
        (self.last, self.last_time_ns) = (record.index, record.time_ns);
        let (index, time_ns) = (record.index, record.time_ns);
        self.fresh.push_back(Fresh { index, position, time_ns, record: Some(record) });
    }

    fn remove(&mut self, range: &RangeInclusive<u64>) {
        let (start, end) = (*range.start(), *range.end());
        if start > end {
            return;
        }
        let from = self.fresh.partition_point(|fresh| fresh.index < start);
        for fresh in self.fresh.range_mut(from..).take_while(|fresh| fresh.index <= end) {
            fresh.record = None;
        }
        self.pass();
        let (Some(first), Some(last)) = (self.runs.first(), self.runs.last()) else { return };
        let clipped = start.max(first.first)..=end.min(last.last);
        if clipped.start() <= clipped.end() {
            self.removed.insert(clipped.clone());
            self.trimmed.insert(clipped);
        }
    }

    /// Drops what is removed in front of everything unsettled.
    fn pass(&mut self) {
        while let Some(front) = self.fresh.front()
            && front.record.is_none()
        {
            self.passed = (front.index, front.time_ns);
            self.fresh.pop_front();
        }
    }

    /// Where the record of a place is.
    pub(crate) fn find(&self, index: u64) -> Found {
        if let Ok(at) = self.fresh.binary_search_by_key(&index, |fresh| fresh.index) {
            let record = self.fresh.get(at).and_then(|fresh| fresh.record.clone());
            return record.map_or(Found::Nowhere, Found::Here);
        }
        let at = self.runs.partition_point(|run| run.last < index);
        match self.runs.get(at).filter(|run| run.first <= index && !self.removed.contains(index)) {
            Some(run) => Found::Run(run.clone()),
            None => Found::Nowhere,
        }
    }

    /// The log in numbers. Exact when [`Log::trimmed`] is empty.
    pub(crate) fn summary(&self) -> Summary {
        let mut summary = Summary { last: self.last, last_time_ns: self.last_time_ns, ..Summary::default() };
        for run in self.runs.iter().filter(|run| run.count > 0) {
            if summary.count == 0 {
                (summary.first, summary.first_time_ns) = (run.live_first, run.live_first_time_ns);
            }
            summary.count += run.count;
            summary.bytes += run.bytes;
        }
        for record in self.fresh.iter().filter_map(|fresh| fresh.record.as_ref()) {
            if summary.count == 0 {
                (summary.first, summary.first_time_ns) = (record.index, record.time_ns);
            }
            summary.count += 1;
            summary.bytes += record.size() as u64;
        }
        summary
    }
}

/// Everything.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) logs: HashMap<LogId, Log, FixedState>,
    /// Logs that changed since the last settling.
    pub(crate) changed: BTreeSet<LogId>,
    /// Logs that were forgotten since, with where their records are.
    pub(crate) forgotten: BTreeMap<LogId, Vec<Run>>,
    /// State that changed since.
    pub(crate) states: HashMap<Bytes, Whole, FixedState>,
    /// State with changes that no whole state stands behind, with the position of the first.
    pub(crate) deltas: HashMap<Bytes, u64, FixedState>,
}

impl Table {
    pub(crate) fn new(seed: u64) -> Table {
        let hash = FixedState::with_seed(seed);
        Table {
            logs: HashMap::with_hasher(hash.clone()),
            changed: BTreeSet::new(),
            forgotten: BTreeMap::new(),
            states: HashMap::with_hasher(hash.clone()),
            deltas: HashMap::with_hasher(hash),
        }
    }

    /// Takes in what is settled.
    pub(crate) fn restore(&mut self, rows: BTreeMap<LogId, LogRow>) {
        self.logs.reserve(rows.len());
        for (id, row) in rows {
            let LogRow { last, last_time_ns, runs, removed } = row;
            let passed = (last, last_time_ns);
            self.logs.insert(id, Log { last, last_time_ns, runs, removed, passed, ..Log::default() });
        }
    }

    /// Takes an entry in. Gives the position of a checkpoint.
    pub(crate) fn apply(&mut self, position: u64, entry: Entry) -> Option<Position> {
        match entry {
            Entry::Record(id, record) => {
                let log = self.logs.entry(id).or_default();
                log.push(position, record);
                Table::change(&mut self.changed, id, log);
            }
            Entry::Remove(id, ranges) => {
                if let Some(log) = self.logs.get_mut(&id) {
                    ranges.iter().for_each(|range| log.remove(range));
                    Table::change(&mut self.changed, id, log);
                }
            }
            Entry::Forget(id) => {
                let log = self.logs.remove(&id);
                self.changed.remove(&id);
                if let Some(log) = log.filter(|_| !id.is_volatile()) {
                    self.forgotten.insert(id, log.runs);
                }
            }
            Entry::State(key, value) => {
                self.deltas.remove(&key);
                self.states.insert(key, Whole { position, value });
            }
            Entry::Delta(key, _) => {
                self.deltas.entry(key).or_insert(position);
            }
            Entry::Checkpoint(position) => return Some(position),
        }
        None
    }

    fn change(changed: &mut BTreeSet<LogId>, id: LogId, log: &mut Log) {
        if !log.is_changed && !id.is_volatile() {
            log.is_changed = true;
            changed.insert(id);
        }
    }

    /// Takes the logs that changed since the last time.
    pub(crate) fn take_changed(&mut self) -> BTreeSet<LogId> {
        let changed = std::mem::take(&mut self.changed);
        for id in &changed {
            if let Some(log) = self.logs.get_mut(id) {
                log.is_changed = false;
            }
        }
        changed
    }

    /// Says that a log must be looked at by the next settling.
    pub(crate) fn mark(&mut self, id: LogId) {
        if let Some(log) = self.logs.get_mut(&id) {
            Table::change(&mut self.changed, id, log);
        }
    }

    /// The last position up to which nothing but what is in this table is needed: in front of the first change that no
    /// whole state stands behind.
    pub(crate) fn free_until(&self, last: u64) -> u64 {
        self.deltas.values().min().map_or(last, |first| last.min(first.saturating_sub(1)))
    }
}
