//! A deterministic simulator: one node, its clients and its disk, all from one seed. The node is the shipping one (hub,
//! session, plane, store); only the clock, the disk and the order of things are the simulator's. It holds the node to what
//! its clients were promised. It does *not* know threads, sockets or more than one node.
//!
//! How to read and replay a failure: `docs/internals/simulation.md`.

mod act;
mod audit;
mod brought;
mod clock;
mod door;
mod ending;
mod figures;
mod hear;
mod node;
mod oracle;
mod plan;
mod promise;
mod random;
mod trace;
mod world;

use std::fmt;

pub use figures::Figures;

/// A promise that a run broke.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The run.
    pub seed: u64,
    /// The promise: the name of its file.
    pub promise: &'static str,
    /// What came instead.
    pub what: String,
    /// The last events before.
    pub events: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for event in &self.events {
            writeln!(f, "{event}")?;
        }
        writeln!(f, "seed {}: promise `{}` is broken: {}", self.seed, self.promise, self.what)?;
        write!(f, "replay it: SIM_SEED={} cargo test -p sim one_seed -- --nocapture", self.seed)
    }
}

impl std::error::Error for Failure {}

/// A run that broke nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// What it did.
    pub figures: Figures,
    /// A hash of all events, all answers and all bytes on the disk.
    pub hash: u64,
}

/// Runs a seed once. `loud`: every event is printed as it comes.
pub fn once(seed: u64, loud: bool) -> Result<Run, Failure> {
    let mut world = world::World::new(seed, loud);
    match world.run() {
        Ok(()) => Ok(Run { hash: world.trace.hash(), figures: world.figures }),
        Err(broken) => {
            Err(Failure { seed, promise: broken.promise, what: broken.what, events: world.trace.last() })
        }
    }
}

/// Runs a seed twice; both runs must be the same, to the last byte.
pub fn twice(seed: u64) -> Result<Run, Failure> {
    let first = once(seed, false)?;
    let second = once(seed, false)?;
    match first == second {
        true => Ok(first),
        false => Err(Failure {
            seed,
            promise: "determinism",
            what: format!("the second run ended with {:x}, the first with {:x}", second.hash, first.hash),
            events: Vec::new(),
        }),
    }
}
