//! Flipped bits: each costs its own record at most, and that is reported; everything around it is kept.

use std::sync::Arc;

use kernel::journal::{Event, Level, ReadId};
use kernel::{Entry, Journal as _};
use store::Stepped;
use testkit::fs::Faulty;

use crate::model::{Log, Model};
use crate::run::{Core, End, identity, options};

/// A disk with something in each kind of file, all of it safe and known to be.
fn base(seed: u64) -> (Faulty, Vec<Entry>) {
    let mut core = Core::new(seed);
    while core.entries.len() < 60 {
        core.submit_random();
    }
    core.restart(End::Close);
    while core.entries.len() < 80 {
        core.submit_random();
    }
    core.restart(End::Close);
    while core.entries.len() < 120 {
        core.submit_random();
    }
    core.submit(vec![Entry::Delta("key 0".into(), "last".into())], Level::Disk);
    while core.journal.store().step_sync() {}
    (core.fs.clone(), core.entries.clone())
}

/// What can be read of a disk, and how much damage was reported.
pub(crate) fn read(fs: &Faulty, full: &Model) -> (Model, u64) {
    let (mut journal, recovered) = Stepped::open(Arc::new(fs.clone()), options(), identity()).unwrap();
    let mut found =
        Model { states: recovered.states.into_iter().collect(), deltas: recovered.deltas, ..full.clone() };
    for (id, log) in &mut found.logs {
        let indices: Vec<u64> = (1..=log.last).collect();
        journal.read(ReadId(id.0), *id, indices);
        while journal.store().step_read() {}
        let mut events = Vec::new();
        journal.take_events(&mut events);
        log.records.clear();
        for event in events {
            if let Event::Read(_, records) = event {
                log.records.extend(records.into_iter().flatten().map(|record| (record.index, record)));
            }
        }
    }
    (found, journal.store().stats().damaged_records.value())
}

/// The same with the ends of the logs left out: they are not what is compared.
fn comparable(mut model: Model, like: &Model) -> Model {
    for (id, like) in &like.logs {
        let log = model.logs.entry(*id).or_default();
        (log.last, log.last_time_ns) = (like.last, like.last_time_ns);
    }
    model.logs.retain(|id, _| like.logs.contains_key(id));
    model
}

/// Whether everything is as in one or the other: a removal that is lost may have been settled in part.
fn is_between(found: &Model, full: &Model, without: &Model) -> bool {
    let is_either = |found: &Log, one: &Log, other: &Log| {
        let places = one.records.keys().chain(other.records.keys()).chain(found.records.keys());
        places.into_iter().all(|place| {
            let found = found.records.get(place);
            found == one.records.get(place) || found == other.records.get(place)
        })
    };
    (found.states == full.states || found.states == without.states)
        && (found.deltas == full.deltas || found.deltas == without.deltas)
        && found.logs.iter().all(|(id, log)| is_either(log, &full.logs[id], &without.logs[id]))
}

fn flips(seed: u64, stride: u64) -> (u64, u64) {
    let (fs, entries) = base(seed);
    let full = Model::of(&entries);
    let without = |gone: usize| {
        let rest = entries.iter().enumerate().filter(|(at, _)| *at != gone).map(|(_, entry)| entry);
        comparable(Model::of(rest), &full)
    };
    let without: Vec<Model> = (0..entries.len()).map(without).collect();
    assert_eq!(read(&fs.fork(), &full), (full.clone(), 0));
    let (mut tried, mut lost) = (0, 0);
    for (name, content) in fs.files() {
        let used = content.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 9);
        let bits = used.min(content.len() as u64) * 8;
        for bit in (seed % stride..bits).step_by(stride as usize) {
            let flipped = fs.fork();
            flipped.flip(&name, bit);
            let (found, reported) = read(&flipped, &full);
            tried += 1;
            if found != full {
                let what = format!("seed {seed}, bit {bit} of {name}");
                let one = without.iter().any(|without| is_between(&found, &full, without));
                assert!(one, "{what} cost more than one entry");
                assert!(reported > 0, "{what} cost an entry and was not reported");
                lost += 1;
            }
        }
    }
    (tried, lost)
}

#[test]
fn a_flipped_bit_costs_one_record_at_most_and_is_reported() {
    let mut total = (0, 0);
    for seed in 0..6 {
        let (tried, lost) = flips(seed, 173);
        total = (total.0 + tried, total.1 + lost);
    }
    println!("{} bits flipped, {} cost an entry", total.0, total.1);
    assert!(total.1 > 100, "the flips must hit something");
}
