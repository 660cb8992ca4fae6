//! The ports between the cores and the world: who hears, and who is connected. A port for durable storage comes
//! with its first user. Nothing here waits, and nothing here does IO.

use std::task::Waker;

use crate::limits::CHUNK_BYTES;
use crate::{Code, ConnectionId, Msg, Now, TenantId};

/// What a publisher may have to wait for.
pub trait Drain: Send + Sync {
    /// Wakes `waker` once it has drained; false: it has. It may forget to where very many wait, so that a pause needs an
    /// end of its own.
    fn on_drain(&self, waker: &Waker) -> bool;
}

/// What it means that a listener is full; the listener declares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// A client's connection: it is told and closed.
    Cut,
    /// Ephemeral traffic to a peer: the message is dropped and counted.
    Drop,
    /// A stream or a service: the publisher gets [`Code::Backpressure`].
    Refuse,
}

/// What became of a message put to a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It waits behind others that somebody will flush.
    Queued,
    /// It is the first to wait: the caller must call [`Listener::flush`] when its turn ends.
    First,
    /// It waits, and more than the high-water mark does: the caller should slow down ([`Drain::on_drain`]).
    High,
    /// It was not taken: see [`Listener::full`].
    Full,
    /// It was not taken: the listener hears nothing any more.
    Gone,
}

/// What becomes of a message in the end where a listener took it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeps {
    /// It was heard, and that was all.
    Nothing,
    /// A stream has it that acknowledges nothing.
    Silently,
    /// A stream has it, and acknowledges it to whoever wants to know.
    Acknowledged,
}

/// Everything that hears: a client's subscription, a peer node, a stream that captures, a waiting call.
pub trait Listener: Drain {
    /// Takes a message, encoding it into the listener's own outbox. Never waits.
    fn put(&self, m: &Msg<'_>, spare: &mut Spare) -> Put;
    /// Whether messages on `subject` are for it at all, although its pattern matches. Asked when a route is made.
    fn hears(&self, _subject: &[u8]) -> bool {
        true
    }
    /// What it means when [`Put::Full`] comes back.
    fn full(&self) -> Full;
    /// Whether it stores what it takes, and says so.
    fn keeps(&self) -> Keeps {
        Keeps::Nothing
    }
    /// Writes out what waits, as far as it goes without waiting. Called once a turn by whoever got [`Put::First`].
    fn flush(&self, spare: &mut Spare);
    /// The connection behind this listener, for those who do not want to hear themselves.
    fn connection(&self) -> Option<ConnectionId>;
}

/// Empty buffers kept by whoever publishes, so that outboxes fill and drain without the allocator.
#[derive(Debug, Default)]
pub struct Spare(Vec<Vec<u8>>);

impl Spare {
    /// Most buffers kept: 4 MiB a thread.
    const KEPT_MAX: usize = 128;

    /// An empty buffer with room for at least `bytes`: one that was kept, else a new one of at least `or_new` bytes.
    pub fn take(&mut self, bytes: usize, or_new: usize) -> Vec<u8> {
        match self.0.pop() {
            Some(buffer) if bytes <= buffer.capacity() => buffer,
            _ => Vec::with_capacity(bytes.max(or_new)),
        }
    }

    /// Gives a buffer back; odd sizes and what is too many go to the allocator.
    pub fn give(&mut self, mut buffer: Vec<u8>) {
        if buffer.capacity() == CHUNK_BYTES && self.0.len() < Self::KEPT_MAX {
            buffer.clear();
            self.0.push(buffer);
        }
    }
}

/// A connected client as operators see it, whatever its protocol.
pub trait Client: Send + Sync {
    /// Its identity on this node.
    fn id(&self) -> ConnectionId;
    /// Who and what it is.
    fn info(&self) -> ClientInfo;
    /// What went through it so far.
    fn stats(&self) -> ClientStats;
    /// Memory that waits for it, as the node's budget counts it, in bytes; 0 once it is being closed.
    fn held_bytes(&self) -> usize;
    /// Told and closed, for the reason that `why` names.
    fn cut(&self, why: Code);
    /// Told, in the protocol's own way, that the node is about to stop.
    fn warn(&self);
    /// Called about once a second: silence is noticed here.
    fn tick(&self, now: Now);
}

/// Who a client is: what it said of itself and what we know. Times in milliseconds since 1970.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "each field is named as the operator reads it")]
pub struct ClientInfo {
    pub tenant: TenantId,
    pub protocol: &'static str,
    pub address: String,
    pub name: String,
    pub lang: String,
    pub version: String,
    pub user: String,
    pub tls: bool,
    pub connected_wall_ms: u64,
}

/// What went through a client: `in` is from the client to us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is named as the operator reads it")]
pub struct ClientStats {
    pub in_messages: u64,
    pub in_bytes: u64,
    pub out_messages: u64,
    pub out_bytes: u64,
    pub pending_bytes: u64,
    pub subscriptions: u64,
    pub active_wall_ms: u64,
}
