//! What all sessions of a node share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use auth::{Accounts, Principal};
use bus::{Budget, Hit, Interest, Stamp};
use kernel::{Client, Code, ConnectionId, Full, Listener, SubId, TenantId};

use crate::clients::Clients;
use crate::holders::{Holder, Holders};
use crate::watch::Watch;

/// Limits of the node, as its configuration sets them.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most clients at once.
    pub connections_max: usize,
    /// Most subscriptions of one client.
    pub subscriptions_max: usize,
    /// Bytes that may wait for one client.
    pub outbox_bytes_max: usize,
    /// Bytes that may wait for all clients together.
    pub outboxes_bytes_max: usize,
    /// Memory that all subscriptions together may cost, in bytes.
    pub interest_bytes_max: usize,
}

/// Who hears what, as operators see it.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// Its identity.
    pub id: SubId,
    /// The subject or pattern.
    pub subject: String,
    /// The group that it belongs to.
    pub queue: Option<String>,
    /// The connection behind it; none: a call that waits for its answer.
    pub connection: Option<ConnectionId>,
}

/// See the module.
pub struct Hub {
    accounts: RwLock<Arc<Accounts>>,
    /// Who is connected.
    pub clients: Clients,
    /// For whom else bytes are held.
    pub holders: Holders,
    limits: RwLock<Limits>,
    budget: Arc<Budget>,
    interest_memory: Arc<Budget>,
    is_cutting: AtomicBool,
    /// How many subscriptions the control plane has.
    pub(crate) own_subscriptions: AtomicU64,
    interests: Box<[Arc<Interest>]>,
    watch: Arc<Watch>,
    has_store_failed: AtomicBool,
    seed: u64,
}

impl Hub {
    /// A hub for these accounts. `seed` is random and makes hashes unpredictable from outside.
    pub fn new(accounts: Accounts, limits: Limits, seed: u64) -> Hub {
        let interests = accounts.tenants().iter().map(|_| Arc::new(Interest::new(seed))).collect();
        let clients = Clients::new(seed, limits.connections_max);
        let budget = Arc::new(Budget::new(limits.outboxes_bytes_max));
        let interest_memory = Arc::new(Budget::new(limits.interest_bytes_max));
        let is_cutting = AtomicBool::new(false);
        Hub {
            accounts: RwLock::new(Arc::new(accounts)),
            clients,
            holders: Holders::default(),
            limits: RwLock::new(limits),
            budget,
            interest_memory,
            is_cutting,
            own_subscriptions: AtomicU64::new(0),
            interests,
            watch: Arc::default(),
            has_store_failed: AtomicBool::new(false),
            seed,
        }
    }

    /// Whether streams take nothing more until the node starts again.
    pub fn has_store_failed(&self) -> bool {
        self.has_store_failed.load(Ordering::Relaxed)
    }

    pub(crate) fn note_store_failed(&self) {
        self.has_store_failed.store(true, Ordering::Relaxed);
    }

    /// Who may connect.
    pub fn accounts(&self) -> Arc<Accounts> {
        self.accounts.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The limits in force.
    pub fn limits(&self) -> Limits {
        *self.limits.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on others may connect, with other limits. `accounts` have no tenant that those before them had not; of the
    /// limits, those of all clients together stay what they were. Whoever departs is dismissed; cutting is for the caller.
    pub fn renew(&self, accounts: Arc<Accounts>, limits: Limits) {
        self.clients.set_limit(limits.connections_max);
        *self.limits.write().unwrap_or_else(PoisonError::into_inner) = limits;
        let mut in_force = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
        in_force.dismiss(&accounts);
        *in_force = accounts;
    }

    /// Whether somebody who was let in may stay. Asked once more when others can see in [`Hub::clients`] who it is: then
    /// nobody is let in by old accounts and missed by those who cut.
    pub fn admits(&self, who: &Principal) -> bool {
        // Behind the lock, so that this comes either before the new accounts or after the dismissal.
        let _in_force = self.accounts.read().unwrap_or_else(PoisonError::into_inner);
        !who.is_dismissed()
    }

    /// What all outboxes may hold together.
    pub fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// What all subscriptions may cost together.
    pub fn interest_memory(&self) -> &Arc<Budget> {
        &self.interest_memory
    }

    /// The interest of a tenant. Tenants come from the accounts, so there is one for each.
    pub(crate) fn interest(&self, tenant: TenantId) -> Arc<Interest> {
        let own = self.interests.get(tenant.0 as usize);
        own.cloned().unwrap_or_else(|| Arc::new(Interest::new(self.seed)))
    }

    /// Tells that subscriptions have changed.
    pub(crate) fn watch(&self) -> &Arc<Watch> {
        &self.watch
    }

    /// What [`Hub::is_current`] compares: taken before it is asked who hears a subject.
    pub(crate) fn stamp(&self, tenant: TenantId, subject: &[u8]) -> Option<Stamp> {
        self.interests.get(tenant.0 as usize).map(|interest| interest.stamp(subject))
    }

    /// Whether no subscription has come or gone since that concerns the subject.
    pub(crate) fn is_current(&self, tenant: TenantId, stamp: Stamp) -> bool {
        self.interests.get(tenant.0 as usize).is_none_or(|interest| interest.is_current(stamp))
    }

    /// Whether a client of the tenant hears a subject; `or_stream`: or a stream or service.
    pub(crate) fn hears(&self, tenant: TenantId, subject: &[u8], or_stream: bool) -> bool {
        let Some(interest) = self.interests.get(tenant.0 as usize) else { return false };
        let mut heard = false;
        let counts = |l: &dyn Listener| (or_stream || l.full() != Full::Refuse) && l.hears(subject);
        interest.read().matches(subject, &mut |hit| {
            let (Hit::All(entries) | Hit::Group(_, entries)) = hit;
            heard |= entries.iter().any(|e| counts(&*e.listener));
        });
        heard
    }

    /// So many subscriptions of a tenant behind the oldest `offset`, those of the node itself left out, and how many there
    /// are.
    pub fn subscriptions_of(
        &self,
        tenant: TenantId,
        offset: usize,
        limit: usize,
    ) -> (usize, Vec<Subscription>) {
        let Some(interest) = self.interests.get(tenant.0 as usize) else { return (0, Vec::new()) };
        let is_own = |entry: &bus::Entry| entry.listener.full() == Full::Refuse;
        // Nothing else is made of all of them: as long as it is looked, nobody can subscribe.
        let mut ids = Vec::new();
        interest.read().each(&mut |_, _, entry| ids.extend((!is_own(entry)).then_some(entry.id)));
        ids.sort_unstable();
        let page = ids.get(offset..).unwrap_or_default();
        let page = page.get(..limit).unwrap_or(page);
        let (Some(first), Some(last)) = (page.first(), page.last()) else { return (ids.len(), Vec::new()) };
        let mut shown = BTreeMap::new();
        interest.read().each(&mut |tokens, queue, entry| {
            if is_own(entry) || !(first..=last).contains(&&entry.id) {
                return;
            }
            let subject = String::from_utf8_lossy(&tokens.join(&b'.')).into_owned();
            let queue = queue.map(|queue| String::from_utf8_lossy(queue).into_owned());
            let connection = entry.listener.connection();
            shown.insert(entry.id, Subscription { id: entry.id, subject, queue, connection });
        });
        (ids.len(), shown.into_values().collect())
    }

    /// Whether a member of a queue group hears a subject.
    pub(crate) fn hears_in(&self, tenant: TenantId, subject: &[u8], group: &[u8]) -> bool {
        let Some(interest) = self.interests.get(tenant.0 as usize) else { return false };
        let mut heard = false;
        interest.read().matches(subject, &mut |hit| {
            heard |= matches!(hit, Hit::Group(name, members) if *name == *group && !members.is_empty());
        });
        heard
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// Subscriptions of all tenants; those of the node itself are not counted.
    pub fn subscriptions(&self) -> u64 {
        let all: u64 = self.interests.iter().map(|i| i.len()).sum();
        all.saturating_sub(self.own_subscriptions.load(Ordering::Relaxed))
    }

    /// Cuts for whom most is held, as many as it takes, if the node's budget is used up. One thread at a time looks for them.
    pub fn keep_budget(&self) {
        if self.budget.is_over() && !self.is_cutting.swap(true, Ordering::AcqRel) {
            self.cut_fullest();
            self.is_cutting.store(false, Ordering::Release);
        }
    }

    fn cut_fullest(&self) {
        let limit = self.budget.limit_bytes();
        // A little more than must be, so that it need not be looked again at every message.
        let mut excess = self.budget.used_bytes().saturating_sub(limit - limit / CUT_SHARE);
        let clients = self.clients.all().into_iter().map(|c| {
            let bytes = c.held_bytes();
            (bytes, bytes, Held::Client(c))
        });
        let others = self.holders.all().into_iter().map(|h| {
            let (bytes, stuck_bytes) = h.held_bytes();
            // Who takes what comes has a lot for a moment only.
            (bytes.midpoint(stuck_bytes), bytes, Held::Other(h))
        });
        let mut all: Vec<_> = clients.chain(others).filter(|(_, bytes, _)| *bytes > 0).collect();
        all.sort_unstable_by_key(|(weight, ..)| std::cmp::Reverse(*weight));
        for (_, bytes, held) in all {
            if excess == 0 {
                return;
            }
            held.cut();
            excess = excess.saturating_sub(bytes);
        }
    }
}

/// The share of the node's budget that is freed when it is used up: one of so many.
const CUT_SHARE: usize = 16;

/// For whom bytes are held.
enum Held {
    Client(Arc<dyn Client>),
    Other(Arc<dyn Holder>),
}

impl Held {
    fn cut(&self) {
        match self {
            Held::Client(client) => client.cut(Code::SlowConsumer),
            Held::Other(other) => other.cut(),
        }
    }
}
