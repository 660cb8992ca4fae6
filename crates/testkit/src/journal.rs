//! What every journal promises: watermarks, reading what was written, removing, state and its changes, checkpoints, and
//! that all of it is there again after an end in order or a kill.

use std::time::{Duration, Instant};

use bytes::Bytes;
use kernel::journal::{Event, Image, Level, ReadId, Record, Recovered};
use kernel::{Entry, Journal, LogId, Msg, Position};

/// How long a promise may take to be kept before the suite calls it broken.
const PATIENCE: Duration = Duration::from_secs(20);
const LOG: LogId = LogId(7);

/// A kind of journal, over storage that stays between openings.
pub trait Kind {
    /// The journal.
    type Journal: Journal;
    /// Opens it. It should ask for a checkpoint after at most 64 KiB.
    fn open(&self) -> (Self::Journal, Recovered);
    /// Lets a turn of its background work happen, or waits a moment for it.
    fn work(&self, journal: &mut Self::Journal);
    /// Ends it in order.
    fn close(&self, journal: Self::Journal);
    /// Ends it as a killed process does: what is with the operating system stays.
    fn kill(&self, journal: Self::Journal);
}

/// Panics unless the journal keeps it.
type Promise<K> = fn(&K);

/// Runs the whole suite against kinds made by `new`, a fresh one for each promise.
pub fn suite<K: Kind>(new: impl Fn() -> K) {
    let promises: [(&str, Promise<K>); 11] = [
        ("what is submitted is written at once and synced in the end", watermarks),
        ("what was submitted can be read at once", reads),
        ("what was removed is gone, at once and for good", removes),
        ("a forgotten log is gone", forgets),
        ("everything is there after an end in order", |kind| survives(kind, K::close)),
        ("everything is there after a kill", |kind| survives(kind, K::kill)),
        ("state is given back whole, with the changes since", states),
        ("a volatile log lives as long as the process, and its positions count", volatile),
        ("a checkpoint is asked for and frees what is older, and nothing is lost by it", checkpoints),
        ("what is settled can be removed and read like what is not", settled),
        ("an image is what is there", images),
    ];
    for (promise, keep) in promises {
        println!("{promise}");
        keep(&new());
    }
}

/// A journal with the position that comes next.
pub struct Driver<'a, K: Kind> {
    kind: &'a K,
    /// The journal.
    pub journal: K::Journal,
    /// What it gave back when it opened.
    pub recovered: Recovered,
    /// The last position submitted.
    pub last: u64,
    reads: u64,
    seen: Vec<Event>,
}

impl<'a, K: Kind> Driver<'a, K> {
    /// Opens a journal of the kind.
    pub fn open(kind: &'a K) -> Driver<'a, K> {
        let (journal, recovered) = kind.open();
        let last = recovered.last.0;
        Driver { kind, journal, recovered, last, reads: 0, seen: Vec::new() }
    }

    /// Submits entries.
    pub fn submit(&mut self, entries: Vec<Entry>) -> Position {
        let (first, count) = (Position(self.last + 1), entries.len() as u64);
        self.journal.submit(first, entries, Level::Disk);
        self.last += count;
        Position(self.last)
    }

    /// Waits for an event; what else came is kept.
    pub fn expect<T>(&mut self, what: &str, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            self.journal.take_events(&mut self.seen);
            if let Some(at) = self.seen.iter().position(|event| wanted(event).is_some()) {
                let event = self.seen.remove(at);
                return wanted(&event).unwrap();
            }
            assert!(begun.elapsed() < PATIENCE, "{what} did not come; {:?} did", self.seen);
            self.kind.work(&mut self.journal);
        }
    }

    /// Waits until a position is synced.
    pub fn synced(&mut self, position: Position) {
        self.expect("the sync", |event| matches!(event, Event::Synced(at) if *at >= position).then_some(()));
    }

    /// Reads records.
    pub fn read(&mut self, log: LogId, indices: &[u64]) -> Vec<Option<Record>> {
        self.reads += 1;
        let id = ReadId(self.reads);
        self.journal.read(id, log, indices.to_vec());
        self.expect("the read", |event| match event {
            Event::Read(of, records) if *of == id => Some(records.clone()),
            _ => None,
        })
    }

    /// Loads an image.
    pub fn load(&mut self, log: LogId) -> Image {
        self.journal.load(log);
        self.expect("the image", |event| match event {
            Event::Loaded(of, image) if *of == log => Some((**image).clone()),
            _ => None,
        })
    }

    /// Waits until a checkpoint is asked for, and gives it.
    pub fn checkpoint(&mut self, states: Vec<Entry>) {
        let position = self.expect("the checkpoint", |event| match event {
            Event::Checkpoint(position) => Some(*position),
            _ => None,
        });
        let entries = states.into_iter().chain([Entry::Checkpoint(position)]).collect();
        let position = self.submit(entries);
        self.synced(position);
    }

    /// Ends it and opens it again.
    pub fn again(self, end: fn(&K, K::Journal)) -> Driver<'a, K> {
        let kind = self.kind;
        end(kind, self.journal);
        Driver::open(kind)
    }
}

/// A record whose content follows from its index.
pub fn record(index: u64) -> Record {
    let (subject, payload) = (format!("s.{}", index % 3), format!("payload {index}"));
    let m = Msg { subject: subject.as_bytes(), payload: payload.as_bytes(), ..Msg::default() };
    Record::of(index, 1_000_000 + index, (index % 2) as u16 * 0x0101, &m)
}

fn records(log: LogId, indices: impl IntoIterator<Item = u64>) -> Vec<Entry> {
    indices.into_iter().map(|index| Entry::Record(log, record(index))).collect()
}

fn remove(log: LogId, from: u64, to: u64) -> Entry {
    Entry::Remove(log, vec![from..=to].into())
}

fn key(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn state(name: &str, value: &str) -> Entry {
    Entry::State(key(name), Some(key(value)))
}

fn delta(name: &str, change: &str) -> Entry {
    Entry::Delta(key(name), key(change))
}

fn watermarks<K: Kind>(kind: &K) {
    let mut driver = Driver::open(kind);
    assert_eq!(driver.recovered, Recovered::default());
    let mut events = Vec::new();
    for turn in 0..20 {
        let position = driver.submit(records(LOG, turn * 3 + 1..turn * 3 + 4));
        driver.journal.take_events(&mut events);
        assert!(events.contains(&Event::Written(position)), "{events:?}");
        events.clear();
        if turn % 4 == 0 {
            driver.synced(position);
        }
    }
    driver.synced(Position(60));
}

fn reads<K: Kind>(kind: &K) {
    let mut driver = Driver::open(kind);
    driver.submit(records(LOG, [1, 2, 5]));
    driver.journal.read(ReadId(1000), LOG, vec![5, 1, 3]);
    let mut events = Vec::new();
    driver.journal.take_events(&mut events);
    let expected = Event::Read(ReadId(1000), vec![Some(record(5)), Some(record(1)), None]);
    assert!(events.contains(&expected), "{events:?}");
    assert_eq!(driver.read(LogId(8), &[1]), [None]);
    assert_eq!(driver.read(LOG, &[]), []);
}

fn removes<K: Kind>(kind: &K) {
    let mut driver = Driver::open(kind);
    driver.submit(records(LOG, 1..=10));
    let ranges = vec![1..=2, 5..=5, 10..=12, 99..=u64::MAX];
    let position = driver.submit(vec![Entry::Remove(LOG, ranges.into()), remove(LogId(99), 1, 5)]);
    for _ in 0..2 {
        let found = driver.read(LOG, &[1, 2, 3, 5, 9, 10]);
        assert_eq!(found, [None, None, Some(record(3)), None, Some(record(9)), None]);
    }
    driver.synced(position);
    let mut driver = driver.again(K::kill);
    assert_eq!(driver.read(LOG, &[2, 3, 5, 10]), [None, Some(record(3)), None, None]);
    let (_, summary) = driver.recovered.logs[0];
    let bytes = [3, 4, 6, 7, 8, 9].iter().map(|index| record(*index).size() as u64).sum();
    assert_eq!((summary.first, summary.last, summary.count, summary.bytes), (3, 10, 6, bytes));
    assert_eq!((summary.first_time_ns, summary.last_time_ns), (1_000_003, 1_000_010));
}

fn forgets<K: Kind>(kind: &K) {
    let mut driver = Driver::open(kind);
    driver.submit(records(LOG, 1..=3));
    driver.submit(records(LogId(9), 1..=3));
    let position = driver.submit(vec![Entry::Forget(LOG), Entry::Forget(LogId(1234))]);
    assert_eq!(driver.read(LOG, &[1]), [None]);
    driver.synced(position);
    for end in [K::kill, K::close] {
        driver = driver.again(end);
        let logs: Vec<LogId> = driver.recovered.logs.iter().map(|(id, _)| *id).collect();
        assert_eq!(logs, [LogId(9)]);
    }
}

fn survives<K: Kind>(kind: &K, end: fn(&K, K::Journal)) {
    let mut driver = Driver::open(kind);
    for round in 0..3 {
        let from = round * 20;
        driver.submit(records(LOG, from + 1..=from + 20));
        driver.submit(records(LogId(round + 100), [3, 4]));
        let position = driver.submit(vec![remove(LOG, from + 1, from + 5)]);
        driver.synced(position);
        driver = driver.again(end);
        assert_eq!(driver.recovered.last, position);
        assert_eq!(driver.recovered.damage, []);
        let (id, summary) = driver.recovered.logs[0];
        assert_eq!((id, summary.first, summary.count), (LOG, 6, (round + 1) * 15));
        let all: Vec<u64> = (1..=from + 20).collect();
        let expected: Vec<_> =
            all.iter().map(|index| ((index - 1) % 20 >= 5).then(|| record(*index))).collect();
        assert_eq!(driver.read(LOG, &all), expected);
        assert_eq!(driver.read(LogId(round + 100), &[3, 4]), [Some(record(3)), Some(record(4))]);
    }
}

fn states<K: Kind>(kind: &K) {
    let mut driver = Driver::open(kind);
    driver.submit(vec![
        state("a", "1"),
        delta("a", "+1"),
        state("b", "1"),
        state("c", "1"),
        delta("d", "+d"),
    ]);
    driver.submit(vec![state("a", "2"), delta("a", "+2"), delta("b", "+3"), delta("a", "+4")]);
    let position = driver.submit(vec![Entry::State(key("c"), None), Entry::State(key("unknown"), None)]);
    driver.synced(position);
    for end in [K::kill, K::close, K::close] {
        driver = driver.again(end);
        assert_eq!(driver.recovered.states, [(key("a"), key("2")), (key("b"), key("1"))]);
        let deltas: Vec<_> =
            driver.recovered.deltas.iter().filter(|(name, _)| name == "a").cloned().collect();
        assert_eq!(deltas, [(key("a"), key("+2")), (key("a"), key("+4"))]);
        let other: Vec<_> = driver.recovered.deltas.iter().filter(|(name, _)| name != "a").cloned().collect();
        assert_eq!(other, [(key("d"), key("+d")), (key("b"), key("+3"))]);
    }
}

fn volatile<K: Kind>(kind: &K) {
    let mut driver = Driver::open(kind);
    let log = LogId::volatile(5);
    let position = driver.submit(records(log, 1..=4));
    driver.synced(position);
    driver.submit(vec![remove(log, 2, 2)]);
    assert_eq!(driver.read(log, &[1, 2, 3]), [Some(record(1)), None, Some(record(3))]);
    let position = driver.submit([records(log, [9]), records(LOG, [1]), records(log, [10])].concat());
    assert_eq!(position, Position(8));
    driver.synced(position);
    let mut driver = driver.again(K::kill);
    assert_eq!(driver.recovered.last, position);
    assert_eq!(driver.recovered.damage, []);
    assert_eq!(driver.read(log, &[1, 9]), [None, None]);
    assert_eq!(driver.read(LOG, &[1]), [Some(record(1))]);
}

fn checkpoints<K: Kind>(kind: &K) {
    let mut driver = Driver::open(kind);
    driver.submit(vec![state("a", "1"), delta("a", "+1"), state("gone", "x")]);
    for round in 0..4 {
        for turn in 0..10 {
            let from = round * 1000 + turn * 100;
            driver.submit(records(LOG, from + 1..=from + 100));
        }
        let whole = format!("whole {round}");
        driver.checkpoint(vec![state("a", &whole), Entry::State(key("gone"), None)]);
        let position = driver.submit(vec![delta("a", "+2")]);
        driver.synced(position);
        let all: Vec<u64> = (1..=(round + 1) * 1000).collect();
        let expected: Vec<_> = all.iter().map(|index| Some(record(*index))).collect();
        assert_eq!(driver.read(LOG, &all), expected);
        driver = driver.again(if round % 2 == 0 { K::kill } else { K::close });
        assert_eq!(driver.recovered.last, position);
        assert_eq!(driver.recovered.states, [(key("a"), key(&whole))]);
        assert_eq!(driver.recovered.deltas, [(key("a"), key("+2"))]);
        assert_eq!(driver.recovered.logs[0].1.count, all.len() as u64);
        assert_eq!(driver.read(LOG, &all), expected);
    }
}

fn settled<K: Kind>(kind: &K) {
    let mut driver = Driver::open(kind);
    for turn in 0..10 {
        driver.submit(records(LOG, turn * 100 + 1..=turn * 100 + 100));
    }
    driver.checkpoint(vec![]);
    let mut driver = driver.again(K::close);
    driver.submit(records(LOG, 1001..=1010));
    driver.submit(vec![remove(LOG, 1, 700), remove(LOG, 703, 703), remove(LOG, 999, 1002)]);
    let asked = [1, 700, 701, 703, 998, 999, 1001, 1003];
    let expected: Vec<_> = asked.iter().map(|i| [701, 998, 1003].contains(i).then(|| record(*i))).collect();
    for end in [K::kill, K::close, K::kill, K::close] {
        assert_eq!(driver.read(LOG, &asked), expected);
        let position = driver.submit(vec![state("turn", "on")]);
        driver.synced(position);
        driver = driver.again(end);
        let (_, summary) = driver.recovered.logs[0];
        assert_eq!((summary.first, summary.last, summary.count), (701, 1010, 305));
        assert_eq!(summary.first_time_ns, 1_000_701);
    }
    let position = driver.submit(vec![remove(LOG, 0, u64::MAX)]);
    driver.synced(position);
    for end in [K::kill, K::close, K::kill] {
        driver = driver.again(end);
        let (_, summary) = driver.recovered.logs[0];
        assert_eq!((summary.first, summary.last, summary.count, summary.bytes), (0, 1010, 0, 0));
        assert_eq!(driver.read(LOG, &asked), vec![None; asked.len()]);
    }
}

fn images<K: Kind>(kind: &K) {
    let mut driver = Driver::open(kind);
    assert_eq!(driver.load(LOG), Image::default());
    for turn in 0..10 {
        driver.submit(records(LOG, turn * 100 + 1..=turn * 100 + 100));
    }
    driver.submit(vec![remove(LOG, 1, 10), remove(LOG, 500, 600)]);
    for end in [K::kill, K::close, K::close] {
        let image = driver.load(LOG);
        assert_eq!(image.subjects.len(), 3);
        let rows: Vec<_> = image
            .rows
            .iter()
            .map(|r| (r.index, r.time_ns, r.size, image.subjects[r.subject as usize].clone(), r.flags))
            .collect();
        let wanted = (11..=1000).filter(|index| !(500..=600).contains(index)).map(record);
        let wanted: Vec<_> = wanted
            .map(|r| (r.index, r.time_ns, r.size() as u32, Bytes::copy_from_slice(r.subject()), r.flags))
            .collect();
        assert_eq!(rows, wanted);
        driver = driver.again(end);
    }
}
