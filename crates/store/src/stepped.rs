//! The store as a journal without threads, for simulation: nothing happens in the background unless somebody calls a
//! step. It does *not* decide anything; the order of steps is the caller's.

use std::sync::Arc;

use kernel::journal::{Event, Level, ReadId, Recovered};
use kernel::{Entry, Journal, LogId, Position};

use crate::error::Error;
use crate::fs::FileSystem;
use crate::store::Store;
use crate::{Identity, Options};

/// A store that is stepped by hand.
#[derive(Debug)]
pub struct Stepped(Store);

impl Stepped {
    /// Opens the folder, or makes it.
    pub fn open(
        fs: Arc<dyn FileSystem>,
        options: Options,
        identity: Identity,
    ) -> Result<(Stepped, Recovered), Error> {
        let (store, recovered) = crate::open::open(fs, options, identity, Arc::new(|| {}))?;
        Ok((Stepped(store), recovered))
    }

    /// The store, for its steps and counters.
    pub fn store(&self) -> &Store {
        &self.0
    }
}

impl Journal for Stepped {
    fn submit(&mut self, first: Position, entries: Vec<Entry>, level: Level) {
        self.0.submit(first, entries, level);
    }

    fn read(&mut self, id: ReadId, log: LogId, indices: Vec<u64>) {
        self.0.read(id, log, indices);
    }

    fn load(&mut self, log: LogId) {
        self.0.load(log);
    }

    fn take_events(&mut self, out: &mut Vec<Event>) {
        self.0.take_events(out);
    }
}
