//! Measures the store on a real disk: what a submission costs, group commit, opening. `measure FOLDER`; the folder is
//! emptied. It is *not* a benchmark against anything else.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a measurement that fails should stop"
)]

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kernel::journal::{Event, Level, ReadId, Record};
use kernel::{Entry, Journal as _, LogId, Msg, Position};
use store::{Disk, Identity, Options, Threads};

struct Run {
    journal: Threads,
    woken: Receiver<()>,
    last: u64,
}

fn identity() -> Identity {
    Identity { fabric: String::new(), node: "measure".parse().unwrap() }
}

impl Run {
    fn open(path: &Path, options: &Options) -> (Run, kernel::journal::Recovered, Duration) {
        let (wake, woken) = channel();
        let begun = Instant::now();
        let wake = Arc::new(move || {
            let _ = wake.send(());
        });
        let (journal, recovered) =
            Threads::open(Arc::new(Disk::new(path)), options.clone(), identity(), wake).unwrap();
        let took = begun.elapsed();
        (Run { journal, woken, last: recovered.last.0 }, recovered, took)
    }

    fn submit(&mut self, entries: Vec<Entry>, level: Level) {
        let first = Position(self.last + 1);
        self.last += entries.len() as u64;
        self.journal.submit(first, entries, level);
    }

    /// Handles events until one is what is wanted.
    fn until(&mut self, mut done: impl FnMut(&Event) -> bool) {
        loop {
            let mut events = Vec::new();
            self.journal.take_events(&mut events);
            let mut is_done = false;
            for event in &events {
                is_done |= done(event);
                match event {
                    Event::Checkpoint(position) => self.submit(vec![Entry::Checkpoint(*position)], Level::Os),
                    Event::Failed(code, text) => panic!("{code}: {text}"),
                    _ => {}
                }
            }
            if is_done {
                return;
            }
            let _ = self.woken.recv_timeout(Duration::from_millis(100));
        }
    }
}

fn record(index: u64, bytes: usize) -> Record {
    let payload = vec![7; bytes];
    let m = Msg { subject: b"orders.created", payload: &payload, ..Msg::default() };
    Record::of(index, index * 1000, 0, &m)
}

fn batch(logs: u64, from: u64, count: u64, bytes: usize) -> Vec<Entry> {
    (from..from + count).map(|i| Entry::Record(LogId(1 + i % logs), record(1 + i / logs, bytes))).collect()
}

fn fresh(path: &Path) {
    let _ = std::fs::remove_dir_all(path);
    std::fs::create_dir_all(path).unwrap();
}

fn rss_mib() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: f64 = text.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * 4096.0 / 1048576.0
}

fn submissions(path: &Path) {
    fresh(path);
    let options = Options { settle_bytes: 1 << 40, pressed_bytes: 1 << 40, ..Options::default() };
    let (mut run, ..) = Run::open(path, &options);
    let mut times = Vec::new();
    for turn in 0..2000 {
        let entries = batch(16, turn * 256, 256, 200);
        let begun = Instant::now();
        run.submit(entries, Level::Os);
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    let us = |at: usize| times[at].as_nanos() as f64 / 1000.0;
    println!("submit of 256 x 200 B: p50 {:.1} us, p90 {:.1} us, p99 {:.1} us", us(1000), us(1800), us(1980));
    run.journal.close().unwrap();
}

fn in_flight(path: &Path, per_submission: u64) {
    fresh(path);
    let (mut run, ..) = Run::open(path, &Options::default());
    let (window, total) = (500, 300_000);
    let (mut sent, mut synced) = (0, 0);
    let begun = Instant::now();
    while synced < total {
        while sent < total && sent < synced + window {
            let count = per_submission.min(window).min(total - sent);
            run.submit(batch(16, sent, count, 200), Level::Disk);
            sent += count;
        }
        let (mut checkpoints, want) = (0, synced);
        run.until(|event| {
            if let Event::Synced(position) = event {
                synced = position.0;
            }
            checkpoints += u64::from(matches!(event, Event::Checkpoint(_)));
            synced > want
        });
        if checkpoints > 0 {
            sent = run.last;
        }
    }
    let (took, stats) = (begun.elapsed().as_secs_f64(), run.journal.stats());
    let (syncs, sum, max) = (stats.syncs.value(), stats.sync_ns_sum.value(), stats.sync_ns_max.value());
    println!(
        "500 in flight, {per_submission} a submission: {:.0} records/s, {:.0} syncs/s of {:.0} us (max {:.1} ms), {} settlings",
        total as f64 / took,
        syncs as f64 / took,
        sum as f64 / syncs as f64 / 1000.0,
        max as f64 / 1e6,
        stats.settlings.value()
    );
    run.journal.close().unwrap();
}

fn opening(path: &Path) {
    fresh(path);
    let (mut run, ..) = Run::open(path, &Options::default());
    let (logs, records) = (1000, 1_000_000_u64);
    let begun = Instant::now();
    for turn in 0..records / 250 {
        run.submit(batch(logs, turn * 250, 250, 200), Level::Os);
        run.until(|_| true);
    }
    let last = Position(run.last);
    run.submit(vec![], Level::Disk);
    println!("1 M records in 1000 logs appended in {:.1} s", begun.elapsed().as_secs_f64());
    let _ = last;
    let begun = Instant::now();
    run.journal.close().unwrap();
    println!("  close: {:.2} s, rss {:.0} MiB", begun.elapsed().as_secs_f64(), rss_mib());
    let (mut run, recovered, took) = Run::open(path, &Options::default());
    let count: u64 = recovered.logs.iter().map(|(_, summary)| summary.count).sum();
    println!("  open after a clean close: {:.1} ms, {count} records", took.as_secs_f64() * 1e3);
    for (name, log) in [("first", 5), ("second", 6)] {
        let begun = Instant::now();
        run.journal.read(ReadId(1), LogId(log), vec![500]);
        run.until(|event| matches!(event, Event::Read(..)));
        println!("  {name} read of a settled record: {:.0} us", begun.elapsed().as_nanos() as f64 / 1e3);
    }
    let begun = Instant::now();
    run.journal.load(LogId(7));
    run.until(|event| matches!(event, Event::Loaded(..)));
    println!("  image of 1000 records: {:.0} us", begun.elapsed().as_nanos() as f64 / 1e3);
    // A journal of 128 MiB that nobody settles.
    run.journal.close().unwrap();
    let unsettled = Options { settle_bytes: 1 << 40, pressed_bytes: 1 << 40, ..Options::default() };
    let (mut run, ..) = Run::open(path, &unsettled);
    let mut from = records;
    while run.journal.stats().appended_bytes.value() < 128 << 20 {
        run.submit(batch(logs, from, 250, 200), Level::Os);
        from += 250;
    }
    drop(run);
    let (run, recovered, took) = Run::open(path, &unsettled);
    let count: u64 = recovered.logs.iter().map(|(_, summary)| summary.count).sum();
    println!(
        "  open after a kill with {} MiB unsettled: {:.0} ms, {count} records, rss {:.0} MiB",
        run.journal.stats().unsettled_bytes.value() >> 20,
        took.as_secs_f64() * 1e3,
        rss_mib()
    );
    drop(run);
}

fn many_states(path: &Path) {
    fresh(path);
    let (mut run, ..) = Run::open(path, &Options::default());
    for turn in 0..1000_u64 {
        let state = |i: u64| {
            let key = Bytes::from(format!("stream/{:06}", turn * 100 + i).into_bytes());
            Entry::State(key, Some(vec![1; 150].into()))
        };
        run.submit((0..100).map(state).collect(), Level::Os);
    }
    run.journal.close().unwrap();
    let before = rss_mib();
    let (run, recovered, took) = Run::open(path, &Options::default());
    let states = recovered.states.len();
    let with = rss_mib();
    drop(recovered);
    println!("{states} states: open {:.0} ms", took.as_secs_f64() * 1e3);
    println!(
        "  rss {before:.0} MiB before, {with:.0} with what was given back, {:.0} after it was dropped",
        rss_mib()
    );
    run.journal.close().unwrap();
}

fn main() {
    let path = std::env::args().nth(1).expect("measure FOLDER");
    let path = Path::new(&path).join("measured");
    let only = std::env::args().nth(2).unwrap_or_default();
    let parts: [(&str, &dyn Fn()); 4] = [
        ("states", &|| many_states(&path)),
        ("submit", &|| submissions(&path)),
        ("flight", &|| [1, 10, 100, 250].into_iter().for_each(|n| in_flight(&path, n))),
        ("open", &|| opening(&path)),
    ];
    for (_, part) in parts.iter().filter(|(name, _)| only.is_empty() || *name == only) {
        part();
    }
    let _ = std::fs::remove_dir_all(&path);
}
