//! The store as a journal with threads of its own: one that syncs, one that settles, one that reads. It does *not*
//! decide what a step does, only when it is taken.

use std::io;
use std::sync::{Arc, Condvar, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use kernel::journal::{Event, Level, ReadId, Recovered};
use kernel::{Entry, Journal, LogId, Position};

use crate::error::{Doing as _, Error};
use crate::fs::FileSystem;
use crate::shared::Shared;
use crate::store::{Store, Wake, lock};
use crate::{Identity, Options, Stats};

/// The part of the threshold that must be unsettled for an idle journal to be settled.
const IDLE_SETTLE_PART: u64 = 64;

/// What a thread does until it is told to stop.
type Loop = fn(&Store);

/// A store that runs by itself. Dropping it ends the threads and leaves what is unsynced to the operating system;
/// [`Threads::close`] is the orderly end.
#[derive(Debug)]
pub struct Threads {
    store: Arc<Store>,
    threads: Vec<JoinHandle<()>>,
}

impl Threads {
    /// Opens the folder, or makes it, and starts the threads. `wake`: see [`Wake`].
    pub fn open(
        fs: Arc<dyn FileSystem>,
        options: Options,
        identity: Identity,
        wake: Wake,
    ) -> Result<(Threads, Recovered), Error> {
        let (store, recovered) = crate::open::open(fs, options, identity, wake)?;
        let store = Arc::new(store);
        let mut shell = Threads { store, threads: Vec::new() };
        let loops: [(&str, Loop); 3] = [("store-sync", sync), ("store-settle", settle), ("store-read", read)];
        for (name, run) in loops {
            shell.threads.push(shell.start(name, run).doing(name, "started")?);
        }
        Ok((shell, recovered))
    }

    fn start(&self, name: &str, run: Loop) -> io::Result<JoinHandle<()>> {
        let store = self.store.clone();
        thread::Builder::new().name(name.to_owned()).spawn(move || run(&store))
    }

    /// Ends the threads, settles and syncs what it can, and leaves the folder so that the next opening is quick. State
    /// with changes should be written whole before, with its checkpoint.
    pub fn close(mut self) -> Result<(), Error> {
        self.end();
        self.store.close()
    }

    /// The counters.
    pub fn stats(&self) -> Arc<Stats> {
        self.store.stats()
    }

    fn end(&mut self) {
        lock(&self.store.shared).stop = true;
        for waiting in [&self.store.to_sync, &self.store.to_settle, &self.store.to_read] {
            waiting.notify_all();
        }
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.end();
    }
}

impl Journal for Threads {
    fn submit(&mut self, first: Position, entries: Vec<Entry>, level: Level) {
        self.store.submit(first, entries, level);
    }

    fn read(&mut self, id: ReadId, log: LogId, indices: Vec<u64>) {
        self.store.read(id, log, indices);
    }

    fn load(&mut self, log: LogId) {
        self.store.load(log);
    }

    fn take_events(&mut self, out: &mut Vec<Event>) {
        self.store.take_events(out);
    }
}

/// Waits until something is due or the time is up; `None`: the thread should end.
fn wait<'a>(
    store: &'a Store,
    waiting: &Condvar,
    time: Duration,
    due: impl Fn(&Shared) -> bool,
) -> Option<MutexGuard<'a, Shared>> {
    let shared = lock(&store.shared);
    let idle = |shared: &mut Shared| !shared.stop && !due(shared);
    let (shared, _) = waiting.wait_timeout_while(shared, time, idle).unwrap_or_else(PoisonError::into_inner);
    (!shared.stop).then_some(shared)
}

fn sync(store: &Store) {
    let interval = Duration::from_millis(store.options.sync_interval_ms);
    let due = |shared: &Shared| {
        shared.failed.is_none()
            && (shared.wanted > shared.synced || shared.unsynced_bytes >= store.options.sync_bytes)
    };
    let mut marked = Instant::now();
    while let Some(shared) = wait(store, &store.to_sync, interval, due) {
        drop(shared);
        let begun = Instant::now();
        if begun.duration_since(marked) >= interval {
            marked = begun;
            store.step_mark();
        }
        if store.step_sync() {
            let ns = begun.elapsed().as_nanos() as u64;
            store.stats.sync_ns_sum.add(ns);
            store.stats.sync_ns_max.raise_to(ns);
        }
    }
}

fn settle(store: &Store) {
    let idle = Duration::from_millis(store.options.idle_settle_ms);
    let due = |shared: &Shared| shared.failed.is_none() && shared.checkpoint.is_some();
    let mut seen = 0;
    while let Some(mut shared) = wait(store, &store.to_settle, idle, due) {
        if due(&shared) {
            drop(shared);
            store.step_settle();
        } else {
            let is_worth_it = shared.unsettled_bytes >= store.options.settle_bytes / IDLE_SETTLE_PART;
            let asks = shared.submissions == seen && is_worth_it;
            seen = shared.submissions;
            if asks {
                shared.ask();
                drop(shared);
                (store.wake)();
            }
        }
    }
}

fn read(store: &Store) {
    let due = |shared: &Shared| !shared.jobs.is_empty();
    while let Some(shared) = wait(store, &store.to_read, Duration::from_secs(3600), due) {
        drop(shared);
        store.step_read();
    }
}
