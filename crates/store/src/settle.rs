//! Settling, reading from what is settled, and the end in order. Nothing leaves the journal yet: everything unsettled
//! stays in memory.

use crate::error::Error;
use crate::store::{Store, lock};

impl Store {
    /// Settles up to the checkpoint that was given. False: there was nothing to do.
    pub fn step_settle(&self) -> bool {
        lock(&self.shared).checkpoint.take().is_some()
    }

    /// Answers the oldest question that needs the disk. False: there was none.
    pub fn step_read(&self) -> bool {
        lock(&self.shared).jobs.pop_front().is_some()
    }

    /// Syncs everything. Nothing may be submitted any more.
    pub fn close(&self) -> Result<(), Error> {
        self.sync_all();
        Ok(())
    }
}
