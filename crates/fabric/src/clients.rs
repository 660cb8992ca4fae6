//! Every connected client, whatever its door: for operators, for the node's budget, and for a farewell.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use kernel::{Client, ClientStats, Code, ConnectionId, Now};

type Table = HashMap<ConnectionId, Arc<dyn Client>, FixedState>;

/// See the module.
pub struct Clients {
    table: Mutex<Table>,
    next: AtomicU64,
    limit: AtomicUsize,
    /// What went through clients that are gone.
    gone: Mutex<ClientStats>,
    slow: AtomicU64,
    refused: AtomicU64,
    overflowed: AtomicU64,
}

impl Clients {
    /// Room for `limit` clients.
    pub fn new(seed: u64, limit: usize) -> Clients {
        Clients {
            table: Mutex::new(HashMap::with_hasher(FixedState::with_seed(seed))),
            next: AtomicU64::new(1),
            limit: AtomicUsize::new(limit),
            gone: Mutex::default(),
            slow: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            overflowed: AtomicU64::new(0),
        }
    }

    /// From now on there is room for `limit` clients; nobody who is here has to leave.
    pub(crate) fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Relaxed);
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A fresh identity for a connection.
    pub fn next_id(&self) -> ConnectionId {
        ConnectionId(self.next.fetch_add(1, Relaxed))
    }

    /// Enters a client. Errors with [`Code::LimitExceeded`] when there is no room.
    pub fn enter(&self, client: Arc<dyn Client>) -> Result<(), Code> {
        let mut table = self.table();
        if table.len() >= self.limit.load(Relaxed) {
            self.refused.fetch_add(1, Relaxed);
            return Err(Code::LimitExceeded);
        }
        table.insert(client.id(), client);
        Ok(())
    }

    /// Takes a client out; what went through it stays counted.
    pub fn leave(&self, id: ConnectionId) {
        // Both under the table's lock, so that nobody who adds up sees a client twice or not at all.
        let mut table = self.table();
        let Some(client) = table.remove(&id) else { return };
        let mut gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        *gone = sum(*gone, client.stats());
    }

    /// Counts a client that was cut because it did not read.
    pub fn count_slow(&self) {
        self.slow.fetch_add(1, Relaxed);
    }

    /// Counts a message that a stream could not take and whose publisher asked for no answer.
    pub fn count_overflow(&self) {
        self.overflowed.fetch_add(1, Relaxed);
    }

    /// Messages that streams could not take and whose publishers asked for no answer.
    pub fn overflowed(&self) -> u64 {
        self.overflowed.load(Relaxed)
    }

    /// Clients cut because they did not read.
    pub fn slow(&self) -> u64 {
        self.slow.load(Relaxed)
    }

    /// Connections turned away because there was no room.
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// Connections made since the node started.
    pub fn total(&self) -> u64 {
        self.next.load(Relaxed) - 1
    }

    /// How many are connected.
    pub fn len(&self) -> usize {
        self.table().len()
    }

    /// Whether nobody is connected.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Everybody who is connected, in the order in which they came.
    pub fn all(&self) -> Vec<Arc<dyn Client>> {
        let mut all: Vec<_> = self.table().values().cloned().collect();
        all.sort_unstable_by_key(|c| c.id());
        all
    }

    /// What went through all clients, those that are gone included.
    pub fn stats(&self) -> ClientStats {
        // Asking them takes its time, in which others come, go and are cut.
        let (clients, gone): (Vec<_>, _) = {
            let table = self.table();
            let gone = *self.gone.lock().unwrap_or_else(PoisonError::into_inner);
            (table.values().cloned().collect(), gone)
        };
        let all: Vec<_> = clients.iter().map(|c| c.stats()).collect();
        let mut stats = all.iter().fold(gone, |total, c| sum(total, *c));
        stats.pending_bytes = all.iter().map(|c| c.pending_bytes).sum();
        stats.subscriptions = all.iter().map(|c| c.subscriptions).sum();
        stats
    }

    /// Lets every client notice that time passes.
    pub fn tick(&self, now: Now) {
        let all: Vec<_> = self.table().values().cloned().collect();
        all.iter().for_each(|c| c.tick(now));
    }
}

fn sum(a: ClientStats, b: ClientStats) -> ClientStats {
    ClientStats {
        in_messages: a.in_messages + b.in_messages,
        in_bytes: a.in_bytes + b.in_bytes,
        out_messages: a.out_messages + b.out_messages,
        out_bytes: a.out_bytes + b.out_bytes,
        pending_bytes: 0,
        subscriptions: 0,
        active_wall_ms: a.active_wall_ms.max(b.active_wall_ms),
    }
}
