//! A client's connection, whatever it speaks: what others see of it and write to it (`peer`), what drives its socket
//! (`connection`), what its bytes travel on (`transport`, `framing`), and what it hears (`subscriptions`, `delivery`). What the bytes mean is a [`Speech`]'s affair.

mod connection;
mod delivery;
mod framing;
mod peer;
mod subscriptions;
mod transport;
mod warm;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use fabric::{Hub, Woken};
use kernel::{Code, Now};
use tokio::sync::Semaphore;

pub(crate) use connection::Connection;
pub(crate) use delivery::Encode;
pub(crate) use framing::Framing;
pub(crate) use peer::{About, Peer};
pub(crate) use subscriptions::Subscriptions;
pub(crate) use transport::{Io, Transport, Upgraded};
pub(crate) use warm::Warm;

use crate::options::NatsOptions;

/// Whether the connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    On,
    /// The turn has done so much that others must have theirs before it goes on with what it has read.
    Later,
    Close,
}

/// What a connection speaks: it carries out what the client asks.
pub(crate) trait Speech: Send + Unpin + 'static {
    /// Carries out all that is whole in `bytes`, which it may change; says how many bytes that was.
    fn carry_out(&mut self, bytes: &mut [u8], woken: &mut Woken) -> (usize, Flow);
    /// The same where the bytes are in a counted buffer, of which a large message may keep a part.
    fn carry_out_shared(&mut self, whole: &Bytes, woken: &mut Woken) -> (usize, Flow) {
        self.carry_out(&mut whole.to_vec(), woken)
    }
    /// Bytes that the next operation needs at least; 0: unknown.
    fn need(&self) -> usize;
    /// What a turn leaves behind: counters for operators, and what was said to the client. True: it brought a request
    /// that somebody heard.
    fn end_turn(&mut self, woken: &mut Woken) -> bool;
    /// Time has passed, or a subscription has had its last message: ends what is over. True: something was said, which
    /// must be flushed.
    fn drop_expired(&mut self, woken: &mut Woken) -> bool;
    /// Ends every subscription.
    fn drop_all(&mut self);
    /// How the client is told that the node is about to stop.
    fn warning(&self) -> Option<Vec<u8>>;
    /// What is said last where the node ends the connection; empty: nothing.
    fn goodbye(&self) -> Vec<u8> {
        Vec::new()
    }
    /// Bytes that are kept of what has not come whole.
    fn held_bytes(&self) -> usize {
        0
    }
}

/// What everybody must know of a protocol to treat a connection that speaks it.
#[derive(Debug)]
pub(crate) struct Manner {
    /// Its name for operators.
    pub(crate) protocol: &'static str,
    /// The question whether the client lives.
    pub(crate) ping: &'static [u8],
    /// The last words to a client that is cut.
    pub(crate) last_words: fn(Code) -> &'static [u8],
    /// Whether what it asked is to be looked at when time passes.
    pub(crate) has_deadlines: bool,
}

/// Limits of one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) outbox_bytes_max: usize,
    pub(crate) ping_interval_ms: u64,
    pub(crate) pings_max: u32,
    pub(crate) auth_timeout_ms: u64,
}

impl Limits {
    pub(crate) fn of(options: &NatsOptions) -> Limits {
        Limits {
            outbox_bytes_max: options.outbox_bytes_max,
            ping_interval_ms: options.ping_interval_ms,
            pings_max: options.pings_max,
            auth_timeout_ms: options.auth_timeout_ms,
        }
    }
}

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) hub: Arc<Hub>,
    limits: RwLock<Limits>,
    /// The node is about to stop.
    pub(crate) lame: AtomicBool,
    pub(crate) warm: Warm,
    /// Connections that were refused and are being told; those beyond are closed at once.
    pub(crate) farewells: Arc<Semaphore>,
    /// The clocks in milliseconds, as of the last tick.
    pub(crate) wall_ms: AtomicU64,
    pub(crate) mono_ms: AtomicU64,
}

impl Shared {
    pub(crate) fn new(hub: Arc<Hub>, limits: Limits, farewells_max: usize) -> Arc<Shared> {
        Arc::new(Shared {
            hub,
            limits: RwLock::new(limits),
            lame: AtomicBool::new(false),
            warm: Warm::default(),
            farewells: Arc::new(Semaphore::new(farewells_max)),
            wall_ms: AtomicU64::new(0),
            mono_ms: AtomicU64::new(0),
        })
    }

    /// The limits in force.
    pub(crate) fn limits(&self) -> Limits {
        *self.limits.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on these are in force.
    pub(crate) fn renew(&self, limits: Limits) {
        *self.limits.write().unwrap_or_else(PoisonError::into_inner) = limits;
    }

    pub(crate) fn tick(&self, now: Now) {
        self.wall_ms.store(now.wall_ms, Relaxed);
        self.mono_ms.store(now.mono_ns / 1_000_000, Relaxed);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use auth::{Accounts, options::Options};

    use super::*;

    /// A client of a node of its own; nothing is written to it.
    pub(crate) fn peer() -> Peer {
        const MANNER: Manner =
            Manner { protocol: "test", ping: b"", last_words: |_| b"", has_deadlines: false };
        let limits = fabric::Limits {
            connections_max: 10,
            subscriptions_max: 10,
            outbox_bytes_max: 1 << 20,
            outboxes_bytes_max: 1 << 20,
            interest_bytes_max: 1 << 20,
        };
        let hub = Arc::new(Hub::new(Accounts::new(&Options::default()).unwrap(), limits, 1));
        let shared = Shared::new(hub, Limits::of(&NatsOptions::default()), 1);
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
        Peer::new(shared, &MANNER, address, None)
    }
}
