//! A core in the small: it submits what a seed says, answers checkpoints, and knows what must be there.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use kernel::journal::{Event, Image, Level, ReadId, Record, Recovered};
use kernel::{Entry, Journal as _, LogId, Msg, Position};
use store::{Identity, Options, Stepped};
use testkit::fs::Faulty;

use crate::model::Model;

pub(crate) fn options() -> Options {
    Options {
        journal_file_bytes: 16 << 10,
        settle_bytes: 8 << 10,
        pressed_bytes: 32 << 10,
        own_segment_bytes: 6 << 10,
        segment_bytes_max: 64 << 10,
        segments_of_a_size_max: 2,
        footer_cache_bytes: 64 << 10,
        ..Options::default()
    }
}

pub(crate) fn identity() -> Identity {
    Identity { fabric: "fabric".into(), node: "node-1".parse().unwrap() }
}

/// Random numbers from a seed (splitmix64).
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Close,
    Kill,
    PowerCut,
}

/// A core over a disk.
pub(crate) struct Core {
    pub(crate) fs: Faulty,
    pub(crate) journal: Stepped,
    /// Every entry so far, the one at position 1 first.
    pub(crate) entries: Vec<Entry>,
    /// The highest position reported as synced.
    pub(crate) synced: u64,
    pub(crate) failed: bool,
    pub(crate) random: Random,
    next_index: BTreeMap<LogId, u64>,
    next_log: u64,
    logs: Vec<LogId>,
    asked: Option<Position>,
    reads: u64,
    /// A hash of what was reported.
    pub(crate) trace: u64,
}

impl Core {
    pub(crate) fn new(seed: u64) -> Core {
        let fs = Faulty::new(seed);
        let (journal, recovered) = Stepped::open(Arc::new(fs.clone()), options(), identity()).unwrap();
        assert_eq!(recovered, Recovered::default());
        Core {
            fs,
            journal,
            entries: Vec::new(),
            synced: 0,
            failed: false,
            random: Random(seed),
            next_index: BTreeMap::new(),
            next_log: 1,
            logs: vec![LogId(1)],
            asked: None,
            reads: 0,
            trace: 0,
        }
    }

    /// Submits entries.
    pub(crate) fn submit(&mut self, entries: Vec<Entry>, level: Level) {
        let first = Position(self.entries.len() as u64 + 1);
        self.entries.extend(entries.iter().cloned());
        self.journal.submit(first, entries, level);
        self.listen();
    }

    /// Submits entries and leaves what is reported for later.
    pub(crate) fn submit_quietly(&mut self, entries: Vec<Entry>) {
        let first = Position(self.entries.len() as u64 + 1);
        self.entries.extend(entries.iter().cloned());
        self.journal.submit(first, entries, Level::Os);
    }

    /// Gives the checkpoint that was asked for, if one was.
    pub(crate) fn answers(&mut self) -> bool {
        let was_asked = self.asked.is_some();
        self.answer();
        was_asked
    }

    /// Takes in what the journal reports. Answers to reads are given back.
    pub(crate) fn listen(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        self.journal.take_events(&mut events);
        for event in &events {
            let number = match event {
                Event::Written(position) | Event::Synced(position) | Event::Checkpoint(position) => {
                    position.0
                }
                Event::Read(_, records) => records.iter().flatten().map(|record| record.index).sum(),
                Event::Loaded(_, image) => image.rows.len() as u64,
                Event::Failed(code, _) => code.number().into(),
                Event::Pressed(pressed) => (*pressed).into(),
                Event::Unread(id, _) => id.0,
                Event::Unloaded(log, _) => log.0,
            };
            self.trace = (self.trace ^ number).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
            match event {
                Event::Synced(position) => {
                    assert!(!self.failed, "synced after a failure");
                    assert!(position.0 > self.synced && position.0 <= self.entries.len() as u64);
                    self.synced = position.0;
                }
                Event::Failed(..) => self.failed = true,
                Event::Checkpoint(position) => self.asked = Some(*position),
                _ => {}
            }
        }
        events
    }

    /// Submits some random entries.
    pub(crate) fn submit_random(&mut self) {
        let count = 1 + self.random.below(8);
        let entries = (0..count).map(|_| self.entry()).collect();
        let level = [Level::Mem, Level::Os, Level::Disk][self.random.below(3) as usize];
        self.submit(entries, level);
    }

    fn log(&mut self) -> LogId {
        match self.random.below(12) {
            0 => LogId::volatile(1),
            1 if self.logs.len() < 12 => {
                self.next_log += 1;
                self.logs.push(LogId(self.next_log));
                LogId(self.next_log)
            }
            _ => self.logs[self.random.below(self.logs.len() as u64) as usize],
        }
    }

    fn key(&mut self) -> Bytes {
        format!("key {}", self.random.below(5)).into_bytes().into()
    }

    fn entry(&mut self) -> Entry {
        match self.random.below(24) {
            0..13 => {
                let log = self.log();
                Entry::Record(log, self.record(log))
            }
            13..17 => {
                let log = self.log();
                let last = self.next_index.get(&log).copied().unwrap_or_default();
                let count = 1 + self.random.below(2);
                let ranges = (0..count).map(|_| {
                    let start = self.random.below(last + 2);
                    start..=start + [0, 0, 3, 50][self.random.below(4) as usize]
                });
                Entry::Remove(log, ranges.collect())
            }
            17 if self.random.below(4) == 0 => {
                // A log's number is never used again.
                let at = self.random.below(self.logs.len() as u64) as usize;
                self.next_log += 1;
                Entry::Forget(std::mem::replace(&mut self.logs[at], LogId(self.next_log)))
            }
            17..21 => {
                let (key, number) = (self.key(), self.random.below(1000));
                let value = (number > 200)
                    .then(|| Bytes::from(format!("value {number}").repeat(1 + number as usize % 9)));
                Entry::State(key, value)
            }
            _ => Entry::Delta(self.key(), format!("change {}", self.random.below(1000)).into_bytes().into()),
        }
    }

    pub(crate) fn record(&mut self, log: LogId) -> Record {
        let index = self.next_index.get(&log).copied().unwrap_or_default() + 1 + self.random.below(6) / 5 * 3;
        self.next_index.insert(log, index);
        let payload = vec![index as u8; [3, 40, 200, 900][self.random.below(4) as usize]];
        let subject = format!("subject.{}", self.random.below(4));
        let m = Msg { subject: subject.as_bytes(), headers: b"h: 1", payload: &payload, ..Msg::default() };
        Record::of(index, 1000 * index + log.0 % 100, self.random.below(1 << 16) as u16, &m)
    }

    /// Gives the checkpoint that was asked for.
    pub(crate) fn answer(&mut self) {
        let Some(asked) = self.asked.take() else { return };
        let until = asked.0 as usize;
        let changed = self.entries[..until].iter().filter_map(|entry| match entry {
            Entry::Delta(key, _) => Some(key.clone()),
            _ => None,
        });
        let keys: std::collections::BTreeSet<Bytes> = changed.collect();
        let states = keys.into_iter().map(|key| {
            let value = format!("whole at {until}");
            Entry::State(key, Some(value.into_bytes().into()))
        });
        let entries = states.chain([Entry::Checkpoint(asked)]).collect();
        self.submit(entries, Level::Os);
    }

    /// Ends the process and starts it again, and checks what came back.
    pub(crate) fn restart(&mut self, end: End) {
        if end == End::Close {
            let closed = self.journal.store().close();
            assert!(closed.is_ok() || self.failed, "{closed:?}");
            self.listen();
        }
        if end == End::PowerCut {
            self.fs.power_cut();
        }
        self.reopen(end);
    }

    /// Opens what is there.
    pub(crate) fn reopen(&mut self, end: End) {
        let opened = Stepped::open(Arc::new(self.fs.clone()), options(), identity());
        let (journal, recovered) = opened.unwrap_or_else(|e| panic!("{end:?}: {e}"));
        self.journal = journal;
        self.take_back(end, &recovered);
    }

    fn take_back(&mut self, end: End, recovered: &Recovered) {
        let last = recovered.last.0 as usize;
        assert_eq!(recovered.damage, [], "{end:?}");
        assert!(last <= self.entries.len(), "{end:?}: {last} of {}", self.entries.len());
        let is_kept = |entry: &Entry| match entry {
            Entry::Record(log, _) | Entry::Remove(log, _) | Entry::Forget(log) => !log.is_volatile(),
            _ => true,
        };
        let promised =
            if end == End::PowerCut || self.failed { self.synced as usize } else { self.entries.len() };
        let lost = self.entries.iter().take(promised).skip(last).find(|entry| is_kept(entry));
        assert_eq!(lost, None, "{end:?}: recovered {last}, promised {promised}");
        self.entries.truncate(last);
        (self.synced, self.failed, self.asked) = (last as u64, false, None);
        let model = Model::of(&self.entries);
        assert_eq!(recovered.states, model.states.clone().into_iter().collect::<Vec<_>>(), "{end:?}");
        assert_eq!(recovered.deltas, model.deltas, "{end:?}");
        assert_eq!(recovered.logs, model.summaries(), "{end:?}");
        // Places may be used again that were given and lost; never those that are there.
        self.next_index = model.logs.iter().map(|(id, log)| (*id, log.last)).collect();
        self.listen();
        self.compare(&model);
    }

    /// Compares everything there is to read with the model.
    pub(crate) fn compare(&mut self, model: &Model) {
        for (id, log) in &model.logs {
            let image = self.load(*id);
            let rows: Vec<_> = image
                .rows
                .iter()
                .map(|r| (r.index, r.time_ns, r.size, image.subjects[r.subject as usize].to_vec(), r.flags))
                .collect();
            let wanted: Vec<_> = log
                .records
                .values()
                .map(|r| (r.index, r.time_ns, r.size() as u32, r.subject().to_vec(), r.flags))
                .collect();
            assert_eq!(rows, wanted, "{id:?}");
            let indices: Vec<u64> = (0..=log.last + 1).collect();
            let wanted: Vec<_> = indices.iter().map(|index| log.records.get(index).cloned()).collect();
            assert_eq!(self.read(*id, indices), wanted, "{id:?}");
        }
    }

    pub(crate) fn read(&mut self, log: LogId, indices: Vec<u64>) -> Vec<Option<Record>> {
        self.reads += 1;
        let id = ReadId(self.reads);
        self.journal.read(id, log, indices);
        loop {
            for event in self.listen() {
                if let Event::Read(of, records) = event {
                    assert_eq!(of, id);
                    return records;
                }
            }
            assert!(self.journal.store().step_read());
        }
    }

    pub(crate) fn load(&mut self, log: LogId) -> Image {
        self.journal.load(log);
        loop {
            for event in self.listen() {
                if let Event::Loaded(of, image) = event {
                    assert_eq!(of, log);
                    return *image;
                }
            }
            assert!(self.journal.store().step_read());
        }
    }

    /// One random step without an end.
    pub(crate) fn step(&mut self) {
        match self.random.below(16) {
            0..8 => self.submit_random(),
            8..11 => {
                self.journal.store().step_sync();
                self.listen();
            }
            11 | 12 => {
                self.journal.store().step_settle();
                self.listen();
            }
            13 => {
                let model = Model::of(&self.entries);
                if !self.failed {
                    self.compare(&model);
                }
            }
            _ => self.answer(),
        }
    }
}
