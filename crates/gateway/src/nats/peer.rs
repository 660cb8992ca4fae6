//! A connection as everybody else sees it: publishers write to it, operators look at it, the node cuts it. What only
//! its own task touches is in [`super::connection`].

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Waker;

use atomic_waker::AtomicWaker;
use fabric::{Flush, Outbox, Slot};
use kernel::{Client, ClientInfo, ClientStats, Code, ConnectionId, Now, Producer, Put, Spare, TenantId};
use tokio::net::tcp::OwnedWriteHalf;

use super::{Door, refusal};

/// What the owner of a connection is woken for.
pub(super) mod errand {
    /// The outbox is blocked, or the transport is the owner's to write.
    pub(in crate::nats) const WRITE: u8 = 1;
    /// A subscription has had its last message.
    pub(in crate::nats) const EXPIRED: u8 = 2;
    /// Ask the client whether it lives.
    pub(in crate::nats) const PING: u8 = 4;
    /// Tell the client that the node is about to stop.
    pub(in crate::nats) const WARN: u8 = 8;
    /// The outbox was cut or has failed: write what is left, then close.
    pub(in crate::nats) const END: u8 = 16;
}

/// What a client said of itself in `CONNECT`, and who it turned out to be.
#[derive(Default)]
pub(super) struct About {
    pub(super) name: Box<str>,
    pub(super) lang: Box<str>,
    pub(super) version: Box<str>,
    pub(super) user: Box<str>,
    pub(super) tenant: TenantId,
}

/// See the module.
pub(super) struct Peer {
    pub(super) id: ConnectionId,
    pub(super) address: SocketAddr,
    pub(super) door: Arc<Door>,
    pub(super) outbox: Outbox,
    /// What of this client waits for streams.
    pub(super) producer: Arc<Producer>,
    /// Where anybody may write. `None` behind TLS, where only the owner can, and once the connection is closed: a
    /// route that still remembers the peer must not keep its socket open.
    writer: Mutex<Option<Arc<OwnedWriteHalf>>>,
    pub(super) is_tls: bool,
    pub(super) about: OnceLock<Box<About>>,
    /// Whether the client understands headers.
    pub(super) headers: AtomicBool,
    pub(super) subscriptions: AtomicU32,
    pub(super) in_messages: AtomicU64,
    pub(super) in_bytes: AtomicU64,
    /// Bytes of an operation whose rest has not come.
    pub(super) partial_bytes: AtomicUsize,
    /// Subscriptions that have had their last message, by their client's names.
    expired: Mutex<Vec<Box<[u8]>>>,
    pub(super) active_mono_ms: AtomicU64,
    pub(super) pings_out: AtomicU32,
    pinged_mono_ms: AtomicU64,
    connected_mono_ms: u64,
    connected_wall_ms: u64,
    errands: AtomicU8,
    owner: AtomicWaker,
}

impl Peer {
    pub(super) fn new(door: Arc<Door>, address: SocketAddr, writer: Option<OwnedWriteHalf>) -> Peer {
        let mono_ms = door.mono_ms.load(Ordering::Relaxed);
        Peer {
            id: door.hub.clients.next_id(),
            address,
            producer: Arc::default(),
            outbox: Outbox::new(door.options().outbox_bytes_max, door.hub.budget().clone()),
            connected_wall_ms: door.wall_ms.load(Ordering::Relaxed),
            door,
            is_tls: writer.is_none(),
            writer: Mutex::new(writer.map(Arc::new)),
            about: OnceLock::new(),
            headers: AtomicBool::new(false),
            subscriptions: AtomicU32::new(0),
            in_messages: AtomicU64::new(0),
            in_bytes: AtomicU64::new(0),
            partial_bytes: AtomicUsize::new(0),
            expired: Mutex::default(),
            active_mono_ms: AtomicU64::new(mono_ms),
            pings_out: AtomicU32::new(0),
            pinged_mono_ms: AtomicU64::new(0),
            connected_mono_ms: mono_ms,
            errands: AtomicU8::new(0),
            owner: AtomicWaker::new(),
        }
    }

    /// Sends the owner on an errand.
    pub(super) fn ask(&self, errand: u8) {
        self.errands.fetch_or(errand, Ordering::AcqRel);
        self.owner.wake();
    }

    /// The errands that wait, for the owner, which is woken by the next ones.
    pub(super) fn errands(&self, waker: &Waker) -> u8 {
        self.owner.register(waker);
        self.errands.swap(0, Ordering::AcqRel)
    }

    /// Puts something of the protocol that is no message; true: the caller owes a flush.
    pub(super) fn say(&self, bytes: &[u8], spare: &mut Spare) -> bool {
        self.put(bytes, spare, |slot| slot.spoken())
    }

    /// The same, and nothing comes behind it.
    pub(super) fn say_last(&self, bytes: &[u8], spare: &mut Spare) -> bool {
        self.put(bytes, spare, |slot| slot.last())
    }

    fn put(&self, bytes: &[u8], spare: &mut Spare, done: fn(Slot<'_>) -> Put) -> bool {
        let Some(mut slot) = self.outbox.slot() else { return false };
        if slot.append(bytes.len(), spare, |out| out.extend_from_slice(bytes)) {
            return done(slot) == Put::First;
        }
        drop(slot);
        self.cut(Code::SlowConsumer);
        false
    }

    /// Where to write in the clear.
    pub(super) fn writer(&self) -> Option<Arc<OwnedWriteHalf>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Closes for good: what waits is dropped, and the socket is let go.
    pub(super) fn close(&self) {
        self.outbox.close();
        *self.writer.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// A subscription has had its last message.
    pub(super) fn expire(&self, sid: &[u8]) {
        self.expired.lock().unwrap_or_else(PoisonError::into_inner).push(sid.into());
        self.ask(errand::EXPIRED);
    }

    /// The subscriptions that have had their last message since the last time.
    pub(super) fn take_expired(&self) -> Vec<Box<[u8]>> {
        std::mem::take(&mut *self.expired.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes what waits as far as it goes; what is left is the owner's errand.
    pub(super) fn flush(&self, spare: &mut Spare) {
        let Some(writer) = self.writer() else { return self.ask(errand::WRITE) };
        match self.outbox.flush(spare, |slices| try_write(&writer, slices)) {
            Flush::Done | Flush::Closed => {}
            Flush::Blocked | Flush::Last => self.ask(errand::WRITE),
            Flush::Failed(_) => self.ask(errand::END),
        }
    }
}

pub(super) fn try_write(writer: &OwnedWriteHalf, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    match slices {
        [one] => writer.try_write(one),
        many => writer.try_write_vectored(many),
    }
}

impl Client for Peer {
    fn id(&self) -> ConnectionId {
        self.id
    }

    fn info(&self) -> ClientInfo {
        let about = self.about.get();
        let text = |field: fn(&About) -> &str| about.map(|a| field(a).to_owned()).unwrap_or_default();
        ClientInfo {
            tenant: about.map(|a| a.tenant).unwrap_or_default(),
            protocol: "nats",
            address: self.address.to_string(),
            name: text(|a| &a.name),
            lang: text(|a| &a.lang),
            version: text(|a| &a.version),
            user: text(|a| &a.user),
            tls: self.is_tls,
            connected_wall_ms: self.connected_wall_ms,
        }
    }

    fn stats(&self) -> ClientStats {
        let (out_messages, out_bytes) = self.outbox.totals();
        let (wall_ms, mono_ms) = (&self.door.wall_ms, &self.door.mono_ms);
        let silent_ms =
            mono_ms.load(Ordering::Relaxed).saturating_sub(self.active_mono_ms.load(Ordering::Relaxed));
        ClientStats {
            in_messages: self.in_messages.load(Ordering::Relaxed),
            in_bytes: self.in_bytes.load(Ordering::Relaxed),
            out_messages,
            out_bytes,
            pending_bytes: self.outbox.waiting_bytes() as u64,
            subscriptions: self.subscriptions.load(Ordering::Relaxed).into(),
            active_wall_ms: wall_ms.load(Ordering::Relaxed).saturating_sub(silent_ms),
        }
    }

    fn cut(&self, why: Code) {
        if why == Code::ServiceUnavailable {
            // The node stops: what waits is still written.
            return self.ask(errand::END);
        }
        if self.outbox.cut(refusal::of_cut(why)) {
            if why == Code::SlowConsumer {
                self.door.hub.clients.count_slow();
            }
            tracing::info!(client = self.id.0, address = %self.address, code = %why, "client cut");
            self.ask(errand::END);
        }
    }

    fn warn(&self) {
        self.ask(errand::WARN);
    }

    fn held_bytes(&self) -> usize {
        match self.outbox.held_bytes() {
            0 if self.outbox.is_sealed() => 0,
            bytes => bytes + self.partial_bytes.load(Ordering::Relaxed),
        }
    }

    fn tick(&self, now: Now) {
        let (options, mono_ms) = (self.door.options(), now.mono_ns / 1_000_000);
        if self.about.get().is_none() && self.door.hub.accounts().are_required() {
            if mono_ms.saturating_sub(self.connected_mono_ms) > options.auth_timeout_ms {
                self.cut(Code::AuthFailed);
            }
            return;
        }
        let interval_ms = options.ping_interval_ms;
        let since = |then: &AtomicU64| mono_ms.saturating_sub(then.load(Ordering::Relaxed));
        if since(&self.active_mono_ms) < interval_ms || since(&self.pinged_mono_ms) < interval_ms {
            return;
        }
        self.pinged_mono_ms.store(mono_ms, Ordering::Relaxed);
        match self.pings_out.fetch_add(1, Ordering::Relaxed) >= options.pings_max {
            true => self.cut(Code::Timeout),
            false => self.ask(errand::PING),
        }
    }
}
