//! The node under test: the shipping plane over the shipping store over a disk that fails. It is opened, killed and
//! opened again; it has no thread and no clock of its own. It does *not* know what anybody was promised.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use auth::Accounts;
use fabric::{Hub, Limits, Plane, PlaneOptions};
use kernel::Now;
use kernel::journal::Damage;
use store::{FileSystem, Identity, Options, Stepped};
use testkit::fs::Faulty;

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// In order: state is written whole, the store is closed.
    Close,
    /// The process is gone; what it wrote is with the operating system.
    Kill,
    /// The machine is gone: what was not synced is lost, wholly or in parts.
    PowerCut,
}

/// A process of the node.
pub(crate) struct Process {
    /// What its clients connect to.
    pub(crate) hub: Arc<Hub>,
    plane: Plane,
    store: Stepped,
}

/// See the module.
pub(crate) struct Node {
    /// The disk.
    pub(crate) fs: Faulty,
    options: Options,
    /// How long a stream that nobody uses stays in memory, in milliseconds.
    stream_idle_ms: u64,
    seed: u64,
    process: Option<Process>,
    /// Damage that was found, all processes together.
    pub(crate) damage: u64,
}

/// What a node found when it started.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// Damage of the store.
    pub(crate) damage: Vec<Damage>,
    /// State that the plane could not read.
    pub(crate) trouble: Vec<String>,
}

impl Node {
    /// A node with an empty disk that does not run yet.
    pub(crate) fn new(seed: u64, options: Options, stream_idle_ms: u64) -> Node {
        Node { fs: Faulty::new(seed), options, stream_idle_ms, seed, process: None, damage: 0 }
    }

    /// Starts a process. Errors with what an operator would read.
    pub(crate) fn start(&mut self) -> Result<Found, String> {
        let fs: Arc<dyn FileSystem> = Arc::new(self.fs.clone());
        let node = "node-1".parse().map_err(|code| format!("{code:?}"))?;
        let identity = Identity { fabric: String::new(), node };
        let opened = Stepped::open(fs, self.options.clone(), identity);
        let (store, recovered) = opened.map_err(|e| e.to_string())?;
        let accounts = Accounts::new(&auth::options::Options::default()).map_err(|e| e.to_string())?;
        let limits = Limits {
            connections_max: 1 << 10,
            subscriptions_max: 1 << 16,
            outbox_bytes_max: 1 << 24,
            outboxes_bytes_max: 1 << 28,
            interest_bytes_max: 1 << 28,
        };
        let hub = Arc::new(Hub::new(accounts, limits, self.seed));
        let options = PlaneOptions {
            streams_max: 1000,
            consumers_max: 1000,
            payload_bytes_max: 1 << 20,
            stream_idle_ms: Some(self.stream_idle_ms),
            node: "node-1".into(),
        };
        let damage = recovered.damage.clone();
        let mut plane = Plane::new(hub.clone(), options, recovered);
        let trouble = plane.take_trouble();
        self.process = Some(Process { hub, plane, store });
        Ok(Found { damage, trouble })
    }

    /// The process, if one runs.
    pub(crate) fn process(&self) -> Option<&Process> {
        self.process.as_ref()
    }

    /// The plane takes a turn. Gives when the next is due, and what it could not read.
    pub(crate) fn turn(&mut self, now: Now) -> (Option<u64>, Vec<String>) {
        let Some(process) = &mut self.process else { return (None, Vec::new()) };
        let due = process.plane.turn(now, &mut process.store);
        (due, process.plane.take_trouble())
    }

    /// Whether the journal has failed: the node says so, and stores nothing more.
    pub(crate) fn failure(&self) -> Option<String> {
        let failed = self.process.as_ref().and_then(|process| process.plane.failure());
        failed.map(|(code, why)| format!("{code:?}: {why}"))
    }

    /// A step of what the store does in the background; true: it did something.
    pub(crate) fn step(&mut self, step: Step) -> bool {
        let Some(process) = &self.process else { return false };
        let store = process.store.store();
        match step {
            Step::Sync => store.step_sync(),
            Step::Settle => store.step_settle(),
            Step::Read => store.step_read(),
        }
    }

    /// A counter of the store, by name.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        let stats = self.process.as_ref().map(|process| process.store.store().stats().all());
        stats.into_iter().flatten().find(|(n, _)| *n == name).map_or(0, |(_, value)| value)
    }

    /// Streams that left memory because nobody used them.
    pub(crate) fn unloaded(&self) -> u64 {
        let figures = self.process.as_ref().map(|process| process.plane.figures());
        figures.map_or(0, |figures| figures.streams_unloaded_total.load(Relaxed))
    }

    /// Ends the process.
    pub(crate) fn end(&mut self, how: End, now: Now) {
        self.damage += self.counter("damaged_records");
        let Some(mut process) = self.process.take() else { return };
        if how == End::Close {
            process.plane.end(now, &mut process.store);
            // What could not be closed is as if it had been killed.
            let _ = process.store.store().close();
        }
        drop(process);
        if how == End::PowerCut {
            self.fs.power_cut();
        }
    }
}

/// What the store does in the background.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Makes what is written safe.
    Sync,
    /// Moves what is safe out of the journal, and rewrites segments.
    Settle,
    /// Answers what needs the disk.
    Read,
}
