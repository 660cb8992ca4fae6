//! The journal's suite, for the store stepped by hand over a disk in memory and for its threads over the real disk.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use kernel::journal::Recovered;
use store::{Disk, Identity, Options, Stepped, Threads};
use testkit::fs::Faulty;
use testkit::journal::{Kind, suite};

fn options() -> Options {
    Options {
        journal_file_bytes: 64 << 10,
        settle_bytes: 32 << 10,
        own_segment_bytes: 8 << 10,
        sync_interval_ms: 50,
        ..Options::default()
    }
}

fn identity() -> Identity {
    Identity { fabric: "fabric".into(), node: "node-1".parse().unwrap() }
}

struct OverFaulty(Faulty);

impl Kind for OverFaulty {
    type Journal = Stepped;

    fn open(&self) -> (Stepped, Recovered) {
        Stepped::open(Arc::new(self.0.clone()), options(), identity()).unwrap()
    }

    fn work(&self, journal: &mut Stepped) {
        journal.store().step_sync();
        journal.store().step_settle();
        journal.store().step_read();
    }

    fn close(&self, journal: Stepped) {
        journal.store().close().unwrap();
    }

    fn kill(&self, journal: Stepped) {
        drop(journal);
    }
}

struct OverDisk {
    folder: tempfile::TempDir,
    woken: Receiver<()>,
    wake: Sender<()>,
}

impl Kind for OverDisk {
    type Journal = Threads;

    fn open(&self) -> (Threads, Recovered) {
        let wake = self.wake.clone();
        let wake = Arc::new(move || {
            let _ = wake.send(());
        });
        Threads::open(Arc::new(Disk::new(self.folder.path())), options(), identity(), wake).unwrap()
    }

    fn work(&self, _: &mut Threads) {
        // Only a wake-up that never comes takes the whole time.
        let _ = self.woken.recv_timeout(Duration::from_secs(20));
    }

    fn close(&self, journal: Threads) {
        journal.close().unwrap();
    }

    fn kill(&self, journal: Threads) {
        drop(journal);
    }
}

#[test]
fn stepped_over_a_disk_in_memory() {
    suite(|| OverFaulty(Faulty::new(1)));
}

#[test]
fn threads_over_the_real_disk() {
    suite(|| {
        let (wake, woken) = channel();
        OverDisk { folder: tempfile::tempdir().unwrap(), woken, wake }
    });
}
