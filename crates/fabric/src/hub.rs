//! What all sessions of a node share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use auth::Accounts;
use bus::{Budget, Hit, Interest, Stamp};
use kernel::{ConnectionId, Full, Listener, SubId, TenantId};

use crate::clients::Clients;
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
    limits: RwLock<Limits>,
    budget: Arc<Budget>,
    interest_memory: Arc<Budget>,
    is_cutting: AtomicBool,
    /// How many subscriptions the control plane has.
    pub(crate) own_subscriptions: AtomicU64,
    interests: Box<[Arc<Interest>]>,
    watch: Arc<Watch>,
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
            limits: RwLock::new(limits),
            budget,
            interest_memory,
            is_cutting,
            own_subscriptions: AtomicU64::new(0),
            interests,
            watch: Arc::default(),
            seed,
        }
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
    /// limits, those of all clients together stay what they were.
    pub fn renew(&self, accounts: Arc<Accounts>, limits: Limits) {
        self.clients.set_limit(limits.connections_max);
        *self.limits.write().unwrap_or_else(PoisonError::into_inner) = limits;
        *self.accounts.write().unwrap_or_else(PoisonError::into_inner) = accounts;
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

    /// The oldest `count_max` subscriptions of a tenant, those of the node itself left out, and how many there are.
    pub fn subscriptions_of(&self, tenant: TenantId, count_max: usize) -> (usize, Vec<Subscription>) {
        let Some(interest) = self.interests.get(tenant.0 as usize) else { return (0, Vec::new()) };
        let (mut total, mut oldest) = (0, BTreeMap::new());
        interest.read().each(&mut |tokens, queue, entry| {
            if entry.listener.full() == Full::Refuse {
                return;
            }
            total += 1;
            if oldest.len() == count_max {
                if oldest.last_key_value().is_none_or(|(last, _)| *last < entry.id) {
                    return;
                }
                oldest.pop_last();
            }
            let subject = String::from_utf8_lossy(&tokens.join(&b'.')).into_owned();
            let queue = queue.map(|queue| String::from_utf8_lossy(queue).into_owned());
            let connection = entry.listener.connection();
            oldest.insert(entry.id, Subscription { id: entry.id, subject, queue, connection });
        });
        (total, oldest.into_values().collect())
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

    /// Cuts the fullest client if the node's budget is used up. One thread at a time looks for it.
    pub fn keep_budget(&self) {
        if self.budget.is_over() && !self.is_cutting.swap(true, Ordering::AcqRel) {
            self.clients.cut_fullest();
            self.is_cutting.store(false, Ordering::Release);
        }
    }
}
