//! A connection as everybody else sees it: publishers write to it, operators look at it, the node cuts it. What only
//! its own task touches is in [`super::connection`].

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;

use atomic_waker::AtomicWaker;
use auth::Principal;
use fabric::{Flush, Outbox, Slot, Took};
use kernel::{Client, ClientInfo, ClientStats, Code, ConnectionId, Now, Producer, Put, Spare, TenantId};
use tokio::net::tcp::OwnedWriteHalf;
use wire::websocket::Control;

use super::{Framing, Manner, Shared};

/// What the owner of a connection is woken for.
pub(in crate::link) mod errand {
    /// The outbox is blocked, or the transport is the owner's to write.
    pub(in crate::link) const WRITE: u8 = 1;
    /// A subscription has had its last message.
    pub(in crate::link) const EXPIRED: u8 = 2;
    /// Ask the client whether it lives.
    pub(in crate::link) const PING: u8 = 4;
    /// Tell the client that the node is about to stop.
    pub(in crate::link) const WARN: u8 = 8;
    /// The outbox was cut or has failed: write what is left, then close.
    pub(in crate::link) const END: u8 = 16;
}

/// What a client said of itself in `CONNECT`, and who it turned out to be.
#[derive(Default)]
pub(crate) struct About {
    pub(crate) name: Box<str>,
    pub(crate) lang: Box<str>,
    pub(crate) version: Box<str>,
    pub(crate) user: Box<str>,
    pub(crate) tenant: TenantId,
}

/// See the module.
pub(crate) struct Peer {
    pub(crate) id: ConnectionId,
    pub(crate) address: SocketAddr,
    pub(crate) shared: Arc<Shared>,
    manner: &'static Manner,
    pub(crate) outbox: Outbox,
    /// What of this client waits for streams.
    pub(crate) producer: Arc<Producer>,
    /// Where anybody may write. `None` behind TLS, where only the owner can, and once the connection is closed: a
    /// route that still remembers the peer must not keep its socket open.
    writer: Mutex<Option<Arc<OwnedWriteHalf>>>,
    /// Where the bytes of the outbox travel in frames.
    framing: Option<Mutex<Framing>>,
    pub(crate) is_tls: bool,
    pub(crate) about: OnceLock<Box<About>>,
    /// Whether the client understands headers.
    pub(crate) headers: AtomicBool,
    pub(crate) subscriptions: AtomicU32,
    pub(crate) in_messages: AtomicU64,
    pub(crate) in_bytes: AtomicU64,
    /// Bytes of an operation whose rest has not come.
    pub(crate) partial_bytes: AtomicUsize,
    /// Questions of the client that have an end.
    pub(crate) deadlines: AtomicU32,
    /// Subscriptions that have had their last message, by their client's names.
    expired: Mutex<Vec<Box<[u8]>>>,
    pub(crate) active_mono_ms: AtomicU64,
    pub(crate) pings_out: AtomicU32,
    pinged_mono_ms: AtomicU64,
    connected_mono_ms: u64,
    connected_wall_ms: u64,
    errands: AtomicU8,
    owner: AtomicWaker,
}

impl Peer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        manner: &'static Manner,
        address: SocketAddr,
        writer: Option<OwnedWriteHalf>,
    ) -> Peer {
        let mono_ms = shared.mono_ms.load(Ordering::Relaxed);
        Peer {
            id: shared.hub.clients.next_id(),
            address,
            manner,
            producer: Arc::default(),
            outbox: Outbox::new(shared.limits().outbox_bytes_max, shared.hub.budget().clone()),
            connected_wall_ms: shared.wall_ms.load(Ordering::Relaxed),
            shared,
            is_tls: writer.is_none(),
            writer: Mutex::new(writer.map(Arc::new)),
            framing: None,
            about: OnceLock::new(),
            headers: AtomicBool::new(false),
            subscriptions: AtomicU32::new(0),
            in_messages: AtomicU64::new(0),
            in_bytes: AtomicU64::new(0),
            partial_bytes: AtomicUsize::new(0),
            deadlines: AtomicU32::new(0),
            expired: Mutex::default(),
            active_mono_ms: AtomicU64::new(mono_ms),
            pings_out: AtomicU32::new(0),
            pinged_mono_ms: AtomicU64::new(0),
            connected_mono_ms: mono_ms,
            errands: AtomicU8::new(0),
            owner: AtomicWaker::new(),
        }
    }

    /// The same, and what it is told travels in frames of WebSocket.
    pub(crate) fn framed(mut self) -> Peer {
        self.framing = Some(Mutex::default());
        self
    }

    /// Whether what it is told travels in frames.
    pub(crate) fn is_framed(&self) -> bool {
        self.framing.is_some()
    }

    /// How its protocol is treated.
    pub(crate) fn manner(&self) -> &'static Manner {
        self.manner
    }

    /// Cuts the client if it was let in by accounts that are no longer in force; asked when it is known who it is.
    pub(crate) fn recheck(&self, who: &Principal) {
        if !self.shared.hub.admits(who) {
            self.cut(Code::PermissionDenied);
        }
    }

    /// Sends the owner on an errand.
    pub(crate) fn ask(&self, errand: u8) {
        self.errands.fetch_or(errand, Ordering::AcqRel);
        self.owner.wake();
    }

    /// The errands that wait, for the owner, which is woken by the next ones.
    pub(crate) fn errands(&self, waker: &Waker) -> u8 {
        self.owner.register(waker);
        self.errands.swap(0, Ordering::AcqRel)
    }

    /// Puts something of the protocol that is no message; true: the caller owes a flush.
    pub(crate) fn say(&self, bytes: &[u8], spare: &mut Spare) -> bool {
        self.put(bytes, spare, |slot| slot.spoken())
    }

    /// The same, and nothing comes behind it.
    pub(crate) fn say_last(&self, bytes: &[u8], spare: &mut Spare) -> bool {
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

    /// Writes pieces through `raw`, in frames where the peer has them.
    pub(crate) fn write(
        &self,
        pieces: &[IoSlice<'_>],
        mut raw: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<Took> {
        match &self.framing {
            None => raw(pieces).map(Took::from),
            Some(framing) => lock(framing).write(pieces, raw),
        }
    }

    /// Answers a ping of WebSocket.
    pub(crate) fn answer(&self, ping: Control) {
        if let Some(framing) = &self.framing {
            lock(framing).answer(ping);
            self.ask(errand::WRITE);
        }
    }

    /// Ends the frames of WebSocket with this code.
    pub(crate) fn end_frames(&self, code: u16) {
        if let Some(framing) = &self.framing {
            lock(framing).end(code);
        }
    }

    /// Whether control frames wait, with no frame in their way.
    pub(crate) fn owes_control(&self) -> bool {
        self.framing.as_ref().is_some_and(|framing| lock(framing).owes())
    }

    /// Writes control frames. Errors as `raw`.
    pub(crate) fn write_control(
        &self,
        raw: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<()> {
        self.framing.as_ref().map_or(Ok(()), |framing| lock(framing).write_control(raw))
    }

    /// Where to write in the clear.
    pub(crate) fn writer(&self) -> Option<Arc<OwnedWriteHalf>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Closes for good: what waits is dropped, and the socket is let go.
    pub(crate) fn close(&self) {
        self.outbox.close();
        *self.writer.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// A subscription has had its last message.
    pub(crate) fn expire(&self, sid: &[u8]) {
        self.expired.lock().unwrap_or_else(PoisonError::into_inner).push(sid.into());
        self.ask(errand::EXPIRED);
    }

    /// The subscriptions that have had their last message since the last time.
    pub(crate) fn take_expired(&self) -> Vec<Box<[u8]>> {
        std::mem::take(&mut *self.expired.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes what waits as far as it goes; what is left is the owner's errand.
    pub(crate) fn flush(&self, spare: &mut Spare) {
        let Some(writer) = self.writer() else { return self.ask(errand::WRITE) };
        match self.outbox.flush(spare, |pieces| self.write(pieces, |slices| try_write(&writer, slices))) {
            Flush::Done if self.owes_control() => self.ask(errand::WRITE),
            Flush::Done | Flush::Closed => {}
            Flush::Blocked | Flush::Last => self.ask(errand::WRITE),
            Flush::Failed(_) => self.ask(errand::END),
        }
    }
}

pub(crate) fn try_write(writer: &OwnedWriteHalf, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    match slices {
        [one] => writer.try_write(one),
        many => writer.try_write_vectored(many),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
            protocol: self.manner.protocol,
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
        let (wall_ms, mono_ms) = (&self.shared.wall_ms, &self.shared.mono_ms);
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
        if self.outbox.cut((self.manner.last_words)(why)) {
            if why == Code::SlowConsumer {
                self.shared.hub.clients.count_slow();
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
        let (limits, mono_ms) = (self.shared.limits(), now.mono_ns / 1_000_000);
        if self.about.get().is_none() && self.shared.hub.accounts().are_required() {
            if mono_ms.saturating_sub(self.connected_mono_ms) > limits.auth_timeout_ms {
                self.cut(Code::AuthFailed);
            }
            return;
        }
        if self.manner.has_deadlines && self.deadlines.load(Ordering::Relaxed) > 0 {
            self.ask(errand::EXPIRED);
        }
        let interval_ms = limits.ping_interval_ms;
        let since = |then: &AtomicU64| mono_ms.saturating_sub(then.load(Ordering::Relaxed));
        if since(&self.active_mono_ms) < interval_ms || since(&self.pinged_mono_ms) < interval_ms {
            return;
        }
        self.pinged_mono_ms.store(mono_ms, Ordering::Relaxed);
        match self.pings_out.fetch_add(1, Ordering::Relaxed) >= limits.pings_max {
            true => self.cut(Code::Timeout),
            false => self.ask(errand::PING),
        }
    }
}
