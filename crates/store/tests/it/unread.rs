//! A disk that cannot be read for a while: nothing is taken for damaged or gone because of it.

use std::sync::Arc;

use kernel::journal::{Event, Level, ReadId};
use kernel::{Code, Entry, Journal as _, LogId, Msg, Record};
use store::Stepped;

use crate::run::{Core, End, identity, options};

const LOG: LogId = LogId(1);

fn record(index: u64) -> Entry {
    let payload = vec![7; 20];
    Entry::Record(
        LOG,
        Record::of(index, index, 0, &Msg { subject: b"s", payload: &payload, ..Msg::default() }),
    )
}

/// A log whose records lie in several segments, and nothing of it is in memory.
fn settled() -> Core {
    let mut core = Core::new(3);
    for batch in 0..20u64 {
        core.submit((1..=200).map(|n| record(200 * batch + n)).collect(), Level::Disk);
        while core.journal.store().step_sync() {}
        while core.journal.store().step_settle() {}
        core.listen();
        core.answers();
    }
    core.restart(End::Close);
    core
}

fn asked(core: &mut Core, ask: impl FnOnce(&mut Core)) -> Event {
    core.listen();
    ask(core);
    while core.journal.store().step_read() {}
    core.listen().pop().unwrap()
}

#[test]
fn what_cannot_be_read_now_is_not_called_gone_and_is_there_later() {
    let mut core = settled();
    let all: Vec<u64> = (1..=4000).collect();
    core.fs.fail_reads(true);
    let event = asked(&mut core, |core| core.journal.load(LOG));
    assert!(matches!(event, Event::Unloaded(LOG, _)), "not all footers fit into the memory for them");
    let event = asked(&mut core, |core| core.journal.read(ReadId(9), LOG, all.clone()));
    assert!(matches!(event, Event::Unread(ReadId(9), _)));
    core.fs.fail_reads(false);
    assert_eq!(core.load(LOG).rows.len(), 4000);
    // Its footers are known now, and its records are not.
    core.fs.fail_reads(true);
    let event = asked(&mut core, |core| core.journal.read(ReadId(10), LOG, all.clone()));
    assert!(matches!(event, Event::Unread(ReadId(10), _)));
    core.fs.fail_reads(false);
    assert_eq!(core.read(LOG, all).iter().flatten().count(), 4000);
    assert_eq!(core.journal.store().stats().damaged_records.value(), 0);
}

#[test]
fn nothing_is_left_out_of_a_segment_that_is_written_anew_while_the_disk_cannot_be_read() {
    let mut core = settled();
    core.load(LOG);
    let gone: Vec<u64> = (1..=4000).filter(|n| n % 4 != 0).collect();
    let ranges = gone.iter().map(|n| *n..=*n).collect();
    core.submit(vec![Entry::Remove(LOG, ranges)], Level::Disk);
    while core.journal.store().step_sync() {}
    core.fs.fail_reads(true);
    for _ in 0..50 {
        core.journal.store().step_settle();
    }
    core.fs.fail_reads(false);
    for _ in 0..50 {
        core.journal.store().step_settle();
    }
    let left: Vec<u64> = (1..=4000).filter(|n| n % 4 == 0).collect();
    assert_eq!(core.read(LOG, left).iter().flatten().count(), 1000);
    assert_eq!(core.journal.store().stats().damaged_records.value(), 0);
}

#[test]
fn a_mark_that_cannot_be_read_now_is_not_called_empty() {
    let core = settled();
    let before = core.fs.files();
    let mark = before.iter().map(|(name, _)| name.as_str()).find(|name| name.starts_with("mark")).unwrap();
    let open = || Stepped::open(Arc::new(core.fs.clone()), options(), identity());
    // Each of the two slots may be the one that counts.
    for slot in [4096, 8192] {
        core.fs.fail_reads_of(Some((mark, slot)));
        let refused = open().map(drop).unwrap_err();
        assert_eq!(refused.code, Code::StoreFailed, "{refused}");
        assert!(refused.text.contains(mark), "{refused}");
        assert_eq!(core.fs.files(), before, "it was refused, and something changed");
    }
    core.fs.fail_reads_of(None);
    open().unwrap();
}

#[test]
fn a_mark_that_is_cut_off_does_not_keep_the_store_from_opening() {
    let mut core = settled();
    let (mark, content) = core.fs.files().into_iter().find(|(name, _)| name.starts_with("mark")).unwrap();
    core.fs.put(&mark, &content[..4096]);
    core.restart(End::Kill);
    assert_eq!(core.load(LOG).rows.len(), 4000);
}
