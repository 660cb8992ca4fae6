//! What the store uses of the disk and of the publisher's patience: segments that nobody wants are deleted, those half
//! dead are rewritten, publishers are told to wait, and a core that never answers blocks nothing.

use kernel::journal::{Event, Level};
use kernel::{Entry, LogId};

use crate::model::Model;
use crate::run::{Core, End};

/// Appends records to a log and settles them.
fn settle(core: &mut Core, log: LogId, count: u64) {
    for _ in 0..count {
        let record = core.record(log);
        core.submit(vec![Entry::Record(log, record)], Level::Os);
    }
    while core.journal.store().step_settle() || core.answers() {
        core.listen();
    }
}

fn bytes(core: &Core, folder: &str) -> u64 {
    let files = core.fs.files();
    files.iter().filter(|(name, _)| name.starts_with(folder)).map(|(_, content)| content.len() as u64).sum()
}

fn live(core: &Core) -> u64 {
    let model = Model::of(&core.entries);
    model.logs.values().flat_map(|log| log.records.values()).map(|record| record.size() as u64 + 120).sum()
}

#[test]
fn space_stays_below_twice_what_is_wanted_with_a_constant() {
    for seed in 0..8 {
        let mut core = Core::new(seed);
        for round in 0..40 {
            settle(&mut core, LogId(1 + round % 3), 40);
            let model = Model::of(&core.entries);
            let log = LogId(1 + core.random.below(3));
            let last = model.logs.get(&log).map_or(0, |log| log.last);
            // Sometimes from the front, as limits do; sometimes here and there, as acknowledgements do.
            let ranges: Vec<_> = match core.random.below(3) {
                0 => vec![1..=last.saturating_sub(30)],
                1 => (1..=last).filter(|index| index % 4 != 0).map(|index| index..=index).collect(),
                _ => Vec::new(),
            };
            core.submit(vec![Entry::Remove(log, ranges.into())], Level::Disk);
            for _ in 0..4 {
                settle(&mut core, LogId(9), 2);
            }
            let (used, wanted) = (bytes(&core, "segments"), live(&core));
            assert!(used <= 2 * wanted + (64 << 10), "seed {seed}, round {round}: {used} for {wanted}");
            assert!(bytes(&core, "journal") <= 6 * (16 << 10), "seed {seed}: the journal is not freed");
        }
        assert!(core.journal.store().stats().compactions.value() > 0);
        core.restart(End::PowerCut);
        core.submit(
            vec![Entry::Forget(LogId(1)), Entry::Forget(LogId(2)), Entry::Forget(LogId(3))],
            Level::Disk,
        );
        core.restart(End::Close);
        settle(&mut core, LogId(9), 40);
        assert!(bytes(&core, "segments") <= 2 * live(&core) + (64 << 10));
    }
}

#[test]
fn publishers_are_told_to_wait_until_enough_is_settled() {
    let mut core = Core::new(3);
    let mut pressed = Vec::new();
    let mut submit = |core: &mut Core| {
        let record = core.record(LogId(1));
        let entries = vec![Entry::Record(LogId(1), record)];
        core.submit_quietly(entries);
        pressed.extend(core.listen().into_iter().filter(|event| matches!(event, Event::Pressed(_))));
        pressed.len()
    };
    while submit(&mut core) == 0 {
        assert!(core.entries.len() < 2000);
    }
    // Nobody answered the checkpoint so far, and nothing stood still.
    assert!(!core.journal.store().step_settle());
    assert!(core.journal.store().step_sync());
    core.answer();
    assert!(core.journal.store().step_settle());
    let after: Vec<_> =
        core.listen().into_iter().filter(|event| matches!(event, Event::Pressed(_))).collect();
    assert_eq!((pressed, after), (vec![Event::Pressed(true)], vec![Event::Pressed(false)]));
    let model = Model::of(&core.entries);
    core.compare(&model);
}

#[test]
fn what_is_settled_leaves_memory_and_the_journal_and_is_read_from_the_disk() {
    let mut core = Core::new(4);
    settle(&mut core, LogId(1), 400);
    let before = core.journal.store().stats().disk_reads.value();
    let model = Model::of(&core.entries);
    core.compare(&model);
    assert!(core.journal.store().stats().disk_reads.value() > before);
    core.restart(End::Close);
    assert_eq!(bytes(&core, "journal"), 16 << 10, "only the file to go on in");
}
