//! A disk that fills up or fails to sync, at every step: the journal says so, takes nothing more, and what it reported
//! as synced is there when the node starts again.

use std::sync::Arc;

use kernel::journal::Level;
use store::Stepped;

use crate::crash::every_seed;
use crate::run::{Core, End, identity, options};

fn with_failures(seed: u64, arm: fn(&mut Core, u64)) -> (u64, u64) {
    let mut core = Core::new(seed);
    for round in 0..4 {
        let at = core.random.below(60);
        arm(&mut core, at);
        for _ in 0..80 {
            core.step();
        }
        core.fs.fill_at(None);
        core.fs.fail_sync_at(None);
        let end = [End::Kill, End::PowerCut, End::Close][core.random.below(3) as usize];
        core.restart(end);
        // What a start gives back must survive the power from then on.
        core.fs.power_cut();
        core.reopen(End::PowerCut);
        assert!(round < 4);
    }
    (core.fs.trace(), core.trace)
}

#[test]
fn a_full_disk_loses_nothing_that_was_synced() {
    every_seed(0..150, |seed| with_failures(seed, |core, at| core.fs.fill_at(Some(at))));
}

#[test]
fn a_failed_sync_is_never_taken_for_a_good_one() {
    every_seed(0..150, |seed| with_failures(seed, |core, at| core.fs.fail_sync_at(Some(at / 2))));
}

#[test]
fn a_failure_while_opening_changes_nothing_that_counts() {
    every_seed(0..60, |seed| {
        let mut core = Core::new(seed);
        for _ in 0..60 {
            core.step();
        }
        if core.random.below(2) == 0 {
            core.fs.power_cut();
        }
        for step in 0..24 {
            match step % 2 {
                0 => core.fs.fill_at(Some(step / 2)),
                _ => core.fs.fail_sync_at(Some(step / 2)),
            }
            drop(Stepped::open(Arc::new(core.fs.clone()), options(), identity()));
            core.fs.fill_at(None);
            core.fs.fail_sync_at(None);
        }
        core.reopen(End::PowerCut);
        core.restart(End::PowerCut);
        (core.fs.trace(), core.trace)
    });
}

#[test]
fn after_a_failure_nothing_more_is_taken() {
    let mut core = Core::new(1);
    core.submit_random();
    core.fs.fail_sync_at(Some(0));
    core.journal.store().step_sync();
    core.listen();
    assert!(core.failed);
    core.failed = false;
    let entry = kernel::Entry::Forget(kernel::LogId(77));
    core.submit(vec![entry], Level::Disk);
    assert!(core.failed, "a submission after a failure is answered by it");
    assert!(!core.journal.store().step_sync(), "a failed sync is not tried again");
    core.entries.clear();
    core.synced = 0;
}
