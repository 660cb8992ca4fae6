//! What is missing without a trace: ends that are cut off at a border, files that are removed, older copies that are put
//! back. Each is noticed, refused unless something stands for it, and served only when somebody says so. And no crash
//! looks like it.

use std::collections::BTreeSet;
use std::sync::Arc;

use kernel::journal::{Level, Recovered};
use kernel::{Code, Entry, LogId};
use store::{FileSystem as _, Stepped};
use testkit::fs::Faulty;

use crate::crash::every_seed;
use crate::damage::read;
use crate::model::Model;
use crate::run::{Core, End, identity, options};

const ACCEPT: &str = "mark/accept-loss";

fn content(fs: &Faulty, name: &str) -> Vec<u8> {
    fs.files().into_iter().find(|(of, _)| of == name).map(|(_, content)| content).unwrap_or_default()
}

fn names(fs: &Faulty, folder: &str) -> Vec<String> {
    let names = fs.files().into_iter().map(|(name, _)| name);
    names.filter(|name| name.starts_with(folder)).collect()
}

fn remove(fs: &Faulty, name: &str) {
    fs.remove(name).unwrap();
    fs.sync_folder(name.split_once('/').unwrap().0).unwrap();
}

fn open(fs: &Faulty) -> Result<(Stepped, Recovered), store::Error> {
    Stepped::open(Arc::new(fs.clone()), options(), identity())
}

/// Work that was settled many times, with all of it safe. Every catalogue that there was on the way, by its length.
fn settled_often(seed: u64) -> (Core, BTreeSet<(String, usize)>) {
    let (mut core, mut seen) = (Core::new(seed), BTreeSet::new());
    for _ in 0..90 {
        core.submit_random();
        core.answer();
        while core.journal.store().step_sync() || core.journal.store().step_settle() {}
        core.listen();
        for name in names(&core.fs, "catalogue") {
            seen.insert((name.clone(), content(&core.fs, &name).len()));
        }
    }
    (core, seen)
}

/// Whether what is missing here is noticed: refused with a sentence and nothing changed, or reported with nothing lost.
/// When it is accepted the node starts, every time from then on, and no position is given again.
fn is_noticed(fs: &Faulty, full: &[Entry], what: &str) -> bool {
    let before = fs.files();
    match open(fs) {
        Ok((_, recovered)) => {
            assert!(!recovered.damage.is_empty(), "{what} is not noticed");
            let full = Model::of(full);
            assert_eq!(read(fs, &full).0, full, "{what} was served, and something is missing");
            return false;
        }
        Err(e) => {
            assert_eq!(e.code, Code::DataFolderUnusable, "{what}: {e}");
            assert!(e.text.contains(ACCEPT), "{what}: {e}");
            assert_eq!(fs.files(), before, "{what} was refused, and something changed");
        }
    }
    fs.put(ACCEPT, b"");
    let (first, recovered) = open(fs).unwrap();
    drop(first);
    assert!(!recovered.damage.is_empty(), "{what} was accepted, and not told");
    assert!(recovered.last.0 >= full.len() as u64, "{what}: positions are given again");
    assert!(recovered.damage.iter().map(|damage| damage.entries).max() >= Some(65_536), "{what}");
    assert!(!names(fs, "mark").contains(&ACCEPT.to_owned()), "it was for once");
    // Told again until what the core makes of it is safe, and not given for new.
    fs.power_cut();
    let (second, again) = open(fs).unwrap();
    drop(second);
    assert!(!again.damage.is_empty(), "{what}: told once, and forgotten by a crash");
    assert!(again.last >= recovered.last, "{what}: positions are given again");
    true
}

#[test]
fn a_catalogue_cut_off_at_any_border_is_noticed() {
    let (mut cut, mut refused) = (0, 0);
    for seed in 0..12 {
        let (mut core, seen) = settled_often(seed);
        if seed % 2 == 0 {
            // The journal behind what is settled is then another one.
            core.restart(End::Kill);
        }
        let current = names(&core.fs, "catalogue");
        let [current] = &current[..] else { panic!("{current:?}") };
        let whole = content(&core.fs, current);
        let mut lengths: BTreeSet<usize> =
            seen.into_iter().filter(|(name, _)| name == current).map(|(_, length)| length).collect();
        lengths.remove(&whole.len());
        lengths.extend([0, 256]);
        for length in lengths {
            let fs = core.fs.fork();
            fs.put(current, &whole[..length]);
            cut += 1;
            refused += u64::from(is_noticed(&fs, &core.entries, &format!("seed {seed}, cut to {length}")));
        }
    }
    println!("{cut} catalogues cut off, {refused} of them refused");
    assert!(cut > 100 && refused > 50 && cut > refused, "{cut}, {refused}");
}

#[test]
fn an_older_catalogue_is_noticed_under_whichever_name() {
    let mut core = Core::new(3);
    let mut older: Vec<(String, Vec<u8>)> = Vec::new();
    for _ in 0..60 {
        core.submit_random();
        core.answer();
        while core.journal.store().step_sync() || core.journal.store().step_settle() {}
        core.listen();
        older.extend(
            names(&core.fs, "catalogue").into_iter().map(|name| (name.clone(), content(&core.fs, &name))),
        );
        older.dedup();
    }
    core.restart(End::Close);
    let newest =
        (names(&core.fs, "catalogue")[0].clone(), content(&core.fs, &names(&core.fs, "catalogue")[0]));
    older.retain(|one| *one != newest);
    let mut refused = 0;
    for (name, content) in &older {
        let fs = core.fs.fork();
        remove(&fs, &newest.0);
        fs.put(name, content);
        refused += u64::from(is_noticed(&fs, &core.entries, name));
    }
    let fs = core.fs.fork();
    remove(&fs, &newest.0);
    refused += u64::from(is_noticed(&fs, &core.entries, "no catalogue"));
    assert!(refused > 5, "{refused}");
}

#[test]
fn a_missing_journal_file_is_noticed_from_the_first_acknowledgement_on() {
    for acknowledged in 1..40 {
        let mut core = Core::new(acknowledged);
        for _ in 0..acknowledged {
            let record = core.record(LogId(1));
            core.submit(vec![Entry::Record(LogId(1), record)], Level::Disk);
        }
        // One sync, so that they are acknowledged; no moment of rest.
        core.journal.store().step_sync();
        core.listen();
        assert_eq!(core.synced, acknowledged);
        for end in [None, Some(End::Kill), Some(End::PowerCut)] {
            if let Some(end) = end {
                core.restart(end);
            }
            let fs = core.fs.fork();
            for name in names(&fs, "journal") {
                remove(&fs, &name);
            }
            assert!(is_noticed(&fs, &core.entries, "the journal"));
            let fs = core.fs.fork();
            for name in names(&fs, "journal") {
                fs.put(&name, b"");
            }
            assert!(is_noticed(&fs, &core.entries, "the journal's content"));
        }
    }
}

#[test]
fn every_journal_file_that_holds_something_is_missed() {
    let mut missed = 0;
    for seed in 0..6 {
        let mut core = Core::new(seed);
        // Nobody answers, so nothing is settled.
        for _ in 0..40 {
            core.submit_random();
        }
        while core.journal.store().step_sync() {}
        core.listen();
        let model = Model::of(&core.entries);
        for name in names(&core.fs, "journal") {
            let fs = core.fs.fork();
            remove(&fs, &name);
            // A file that was made ready and never used is not missed.
            if content(&core.fs, &name).iter().all(|byte| *byte == 0) {
                assert_eq!(read(&fs, &model), (model.clone(), 0));
                continue;
            }
            missed += 1;
            assert!(is_noticed(&fs, &core.entries, &name));
        }
    }
    assert!(missed > 12, "{missed}");
}

#[test]
fn an_older_copy_of_the_journal_is_noticed_once_the_journal_had_rested() {
    let mut core = Core::new(9);
    let mut older = Vec::new();
    for _ in 0..12 {
        let record = core.record(LogId(1));
        core.submit(vec![Entry::Record(LogId(1), record)], Level::Disk);
        core.journal.store().step_sync();
        core.listen();
        older.push(
            core.fs.files().into_iter().filter(|(name, _)| name.starts_with("journal")).collect::<Vec<_>>(),
        );
    }
    while core.journal.store().step_sync() {}
    // Of the last copy only what says that it was synced is missing.
    older.pop();
    for (at, copy) in older.into_iter().enumerate() {
        let fs = core.fs.fork();
        for (name, content) in copy {
            fs.put(&name, &content);
        }
        assert!(is_noticed(&fs, &core.entries, &format!("the journal as of {at}")));
    }
}

#[test]
fn a_folder_from_before_the_mark_opens_and_has_one_from_then_on() {
    for seed in 0..8 {
        let (mut core, _) = settled_often(seed);
        core.restart(End::Kill);
        remove(&core.fs, &names(&core.fs, "mark")[0]);
        core.restart(End::Kill);
        for name in names(&core.fs, "journal") {
            remove(&core.fs, &name);
        }
        assert!(is_noticed(&core.fs, &core.entries, "the journal"));
    }
}

#[test]
fn a_lost_mark_does_not_hide_that_the_catalogue_is_lost_as_well() {
    let mut refused = 0;
    for seed in 0..8 {
        for kept_bytes in [0, 100, 300] {
            let (mut core, _) = settled_often(seed);
            core.restart(End::Kill);
            while core.journal.store().step_sync() || core.journal.store().step_settle() {}
            let (fs, mark) = (&core.fs, names(&core.fs, "mark").remove(0));
            match seed % 2 {
                0 => remove(fs, &mark),
                _ => fs.put(&mark, b""),
            }
            for name in names(fs, "catalogue") {
                let content = content(fs, &name);
                fs.put(&name, &content[..content.len().min(kept_bytes)]);
            }
            refused +=
                usize::from(is_noticed(fs, &core.entries, &format!("seed {seed}: {kept_bytes} bytes")));
        }
    }
    assert!(refused > 12, "{refused}");
}

#[test]
fn a_lost_mark_does_not_hide_that_everything_is_lost() {
    let mut core = Core::new(1);
    core.submit_random();
    core.answer();
    while core.journal.store().step_sync() {}
    core.listen();
    remove(&core.fs, &names(&core.fs, "mark")[0]);
    for name in names(&core.fs, "journal") {
        core.fs.put(&name, b"");
    }
    assert!(is_noticed(&core.fs, &core.entries, "all of it"));
}

#[test]
fn a_lost_mark_does_not_hide_that_the_journal_behind_the_catalogue_is_lost() {
    let (mut core, _) = settled_often(3);
    core.restart(End::Kill);
    core.submit_random();
    core.answer();
    while core.journal.store().step_sync() {}
    core.listen();
    remove(&core.fs, &names(&core.fs, "mark")[0]);
    for name in names(&core.fs, "journal") {
        core.fs.put(&name, b"");
    }
    assert!(is_noticed(&core.fs, &core.entries, "the journal"));
}

#[test]
fn a_segment_that_is_missing_costs_what_was_in_it_and_nobody_else_waits_for_it() {
    let mut core = Core::new(5);
    for log in [1, 2] {
        let record = |index| {
            let m = kernel::Msg { subject: b"s", payload: b"x", ..kernel::Msg::default() };
            Entry::Record(LogId(log), kernel::Record::of(index, index, 0, &m))
        };
        core.submit((1..=3000).map(record).collect(), Level::Disk);
        while core.journal.store().step_sync() || core.journal.store().step_settle() {}
        core.listen();
        core.answers();
    }
    core.restart(End::Close);
    let first = names(&core.fs, "segments").remove(0);
    remove(&core.fs, &first);
    // Twice, with nothing put back.
    for _ in 0..2 {
        let (journal, recovered) = open(&core.fs).unwrap();
        assert_eq!(recovered.damage.len(), 1);
        assert_eq!(recovered.damage[0].file, first);
        core.journal = journal;
        assert_eq!(core.load(LogId(1)).rows.len(), 0);
        assert_eq!(core.load(LogId(2)).rows.len(), 3000);
        assert_eq!(core.read(LogId(2), vec![1, 3000]).iter().flatten().count(), 2);
    }
}

#[test]
fn a_word_of_acceptance_that_nothing_needed_is_not_kept_for_later() {
    let (mut core, _) = settled_often(1);
    core.fs.put(ACCEPT, b"");
    core.restart(End::Kill);
    assert!(!names(&core.fs, "mark").contains(&ACCEPT.to_owned()));
}

#[test]
fn an_accepted_loss_is_over_when_the_journal_is_settled() {
    let (mut core, _) = settled_often(2);
    core.restart(End::Kill);
    for name in names(&core.fs, "journal") {
        remove(&core.fs, &name);
    }
    core.fs.put(ACCEPT, b"");
    let (mut journal, recovered) = open(&core.fs).unwrap();
    let mut first = recovered.last;
    for _ in 0..3 {
        first.0 += 1;
        kernel::Journal::submit(
            &mut journal,
            first,
            vec![Entry::State("k".into(), Some("v".into()))],
            Level::Disk,
        );
    }
    journal.store().close().unwrap();
    let (_, recovered) = open(&core.fs).unwrap();
    assert_eq!((recovered.damage, recovered.last), (Vec::new(), first));
}

/// Faults in the middle of steps and of openings, each followed by a power cut: what a crash leaves never looks as if
/// something had been taken away.
fn crashes_in_the_middle(seed: u64) -> (u64, u64) {
    let mut core = Core::new(seed);
    for _ in 0..5 {
        for _ in 0..core.random.below(30) {
            core.step();
        }
        arm(&mut core);
        for _ in 0..core.random.below(24) {
            match core.random.below(6) {
                0 if core.failed => break,
                _ => core.step(),
            }
        }
        if core.random.below(4) == 0 {
            let _ = core.journal.store().close();
            core.listen();
        }
        // The fault is also the moment at which the power goes; now and then in the middle of the next opening.
        core.failed = true;
        for _ in 0..core.random.below(3) {
            if core.random.below(3) > 0 {
                core.fs.power_cut();
            }
            arm(&mut core);
            drop(open(&core.fs));
        }
        core.fs.fill_at(None);
        core.fs.fail_sync_at(None);
        core.restart(End::PowerCut);
    }
    (core.fs.trace(), core.trace)
}

fn arm(core: &mut Core) {
    let at = core.random.below(14);
    let is_full = core.random.below(2) == 0;
    core.fs.fill_at(is_full.then_some(at));
    core.fs.fail_sync_at((!is_full).then_some(at));
}

#[test]
fn no_crash_looks_like_something_taken_away() {
    let seeds = std::env::var("STORE_SEEDS").ok().and_then(|seeds| seeds.parse().ok());
    every_seed(0..seeds.unwrap_or(250), crashes_in_the_middle);
}
