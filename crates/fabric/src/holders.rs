//! Who makes the node hold bytes without being a client: somebody whose answers wait to be taken. When the node's budget is
//! used up they are cut as clients are. It does *not* know what is held.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::FixedState;
use hashbrown::HashMap;

/// See the module.
pub trait Holder: Send + Sync {
    /// Bytes that the node holds for it, as its budget counts them; and how many of them at least, all the time since the
    /// last tick but one.
    fn held_bytes(&self) -> (usize, usize);

    /// Time passes.
    fn tick(&self);

    /// Ends it, so that what is held is given back.
    fn cut(&self);
}

/// All of them.
#[derive(Default)]
pub struct Holders(Mutex<Table>);

struct Table {
    next: u64,
    all: HashMap<u64, Arc<dyn Holder>, FixedState>,
}

impl Default for Table {
    fn default() -> Table {
        Table { next: 0, all: HashMap::with_hasher(FixedState::with_seed(0)) }
    }
}

impl Holders {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters one, until what is returned is dropped.
    pub fn enter(&self, holder: Arc<dyn Holder>) -> Entered<'_> {
        let mut table = self.table();
        table.next += 1;
        let id = table.next;
        table.all.insert(id, holder);
        Entered { holders: self, id }
    }

    /// Lets everybody notice that time passes.
    pub fn tick(&self) {
        self.all().iter().for_each(|holder| holder.tick());
    }

    pub(crate) fn all(&self) -> Vec<Arc<dyn Holder>> {
        self.table().all.values().cloned().collect()
    }
}

/// One who is entered.
pub struct Entered<'a> {
    holders: &'a Holders,
    id: u64,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let holder = self.holders.table().all.remove(&self.id);
        // Its end may take a while, and nobody waits for it.
        drop(holder);
    }
}
