//! Somebody who reads events, as publishers and operators see it: it hears messages, keeps them until the connection has
//! room, and ends when it keeps more than it may.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use atomic_waker::AtomicWaker;
use auth::Principal;
use bytes::{Bytes, BytesMut};
use fabric::Hub;
use kernel::{
    Client, ClientInfo, ClientStats, Code, ConnectionId, Drain, Full, Listener, Msg, Now, Put, Spare,
};

use crate::http::encoded::{self, Encoded};

/// Bytes of events that are written together.
const PIECE_BYTES: usize = 64 * 1024;
/// Publishers that may wait for one reader; further ones are not held up.
const PAUSED_MAX: usize = 64;
/// Pauses without anything read after which nobody waits for this reader.
const FRUITLESS_PAUSES_MAX: u32 = 8;

/// See the module.
pub(super) struct Reader {
    id: ConnectionId,
    info: ClientInfo,
    hub: Arc<Hub>,
    bytes_max: usize,
    waiting: Mutex<Waiting>,
    /// Who writes events out.
    pub(super) task: AtomicWaker,
    /// Who must be asked whether it may hear a subject.
    judge: Option<Arc<Principal>>,
    messages: AtomicU64,
    bytes: AtomicU64,
    wall_ms: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<Bytes>,
    bytes: usize,
    /// Why it hears nothing more.
    over: Option<Code>,
    paused: Vec<Waker>,
    fruitless_pauses: u32,
}

/// What there is for whoever writes.
pub(super) enum Next {
    Piece(Bytes),
    Over(Code),
    Nothing,
}

impl Reader {
    pub(super) fn new(
        hub: &Arc<Hub>,
        info: ClientInfo,
        bytes_max: usize,
        judge: Option<Arc<Principal>>,
    ) -> Arc<Reader> {
        Arc::new(Reader {
            id: hub.clients.next_id(),
            wall_ms: AtomicU64::new(info.connected_wall_ms),
            info,
            hub: hub.clone(),
            bytes_max,
            waiting: Mutex::default(),
            task: AtomicWaker::new(),
            judge,
            messages: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        })
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next piece: one event as it is, or several together.
    pub(super) fn next(&self) -> Next {
        let mut waiting = self.waiting();
        let Some(first) = waiting.events.pop_front() else {
            return waiting.over.map_or(Next::Nothing, Next::Over);
        };
        let mut bytes = first.len();
        let fits = |bytes: usize, more: &Bytes| bytes + more.len() <= PIECE_BYTES;
        let piece = match waiting.events.front() {
            Some(second) if fits(bytes, second) => {
                let mut piece = BytesMut::with_capacity(waiting.bytes.min(PIECE_BYTES));
                piece.extend_from_slice(&first);
                while let Some(event) = waiting.events.pop_front_if(|event| fits(bytes, event)) {
                    bytes += event.len();
                    piece.extend_from_slice(&event);
                }
                piece.freeze()
            }
            _ => first,
        };
        waiting.bytes -= bytes;
        waiting.fruitless_pauses = 0;
        self.hub.budget().sub(bytes);
        if waiting.bytes <= self.bytes_max / 4 {
            waiting.paused.drain(..).for_each(Waker::wake);
        }
        Next::Piece(piece)
    }

    /// Hears nothing more, and forgets what waits. False: so it was already.
    pub(super) fn end(&self, why: Code) -> bool {
        let mut waiting = self.waiting();
        if waiting.over.is_some() {
            return false;
        }
        waiting.over = Some(why);
        waiting.events = VecDeque::new();
        self.hub.budget().sub(std::mem::take(&mut waiting.bytes));
        waiting.paused.drain(..).for_each(Waker::wake);
        drop(waiting);
        if why == Code::SlowConsumer {
            self.hub.clients.count_slow();
        }
        self.task.wake();
        true
    }
}

impl Drain for Reader {
    fn on_drain(&self, waker: &Waker) -> bool {
        let mut waiting = self.waiting();
        waiting.fruitless_pauses = waiting.fruitless_pauses.saturating_add(1);
        let is_over = waiting.over.is_some() || waiting.bytes <= self.bytes_max / 4;
        if is_over || waiting.fruitless_pauses > FRUITLESS_PAUSES_MAX {
            return false;
        }
        if waiting.paused.len() < PAUSED_MAX && !waiting.paused.iter().any(|w| w.will_wake(waker)) {
            waiting.paused.push(waker.clone());
        }
        true
    }
}

impl Listener for Reader {
    fn put(&self, m: &Msg<'_>, _: &mut Spare) -> Put {
        let event = encoded::with(m, Encoded::event);
        let mut waiting = self.waiting();
        if waiting.over.is_some() {
            return Put::Gone;
        }
        let is_first = waiting.events.is_empty();
        // One always fits, so that it is never too small for any.
        if !is_first && waiting.bytes + event.len() > self.bytes_max {
            drop(waiting);
            self.end(Code::SlowConsumer);
            return Put::Full;
        }
        waiting.bytes += event.len();
        self.hub.budget().add(event.len());
        waiting.events.push_back(event);
        self.messages.fetch_add(1, Relaxed);
        self.bytes.fetch_add(m.size() as u64, Relaxed);
        match waiting.bytes > self.bytes_max / 2 {
            _ if is_first => Put::First,
            true => Put::High,
            false => Put::Queued,
        }
    }

    fn hears(&self, subject: &[u8]) -> bool {
        self.judge.as_ref().is_none_or(|who| who.permissions.may_hear(subject))
    }

    fn full(&self) -> Full {
        Full::Cut
    }

    fn flush(&self, _: &mut Spare) {
        encoded::let_go();
        self.task.wake();
    }

    fn connection(&self) -> Option<ConnectionId> {
        Some(self.id)
    }
}

impl Client for Reader {
    fn id(&self) -> ConnectionId {
        self.id
    }

    fn info(&self) -> ClientInfo {
        self.info.clone()
    }

    fn stats(&self) -> ClientStats {
        ClientStats {
            out_messages: self.messages.load(Relaxed),
            out_bytes: self.bytes.load(Relaxed),
            pending_bytes: self.waiting().bytes as u64,
            subscriptions: 1,
            active_wall_ms: self.wall_ms.load(Relaxed),
            ..ClientStats::default()
        }
    }

    fn held_bytes(&self) -> usize {
        self.waiting().bytes
    }

    fn cut(&self, why: Code) {
        self.end(why);
    }

    fn warn(&self) {
        self.end(Code::ServiceUnavailable);
    }

    fn tick(&self, now: Now) {
        // Whoever takes what it is sent is active.
        if self.waiting().events.is_empty() {
            self.wall_ms.store(now.wall_ms, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::hub;
    use super::*;

    fn reader(bytes_max: usize) -> (Arc<Hub>, Arc<Reader>) {
        let hub = hub();
        let reader = Reader::new(&hub, ClientInfo::default(), bytes_max, None);
        (hub, reader)
    }

    fn put(reader: &Reader, payload: &[u8]) -> Put {
        reader.put(&Msg { subject: b"a", payload, ..Msg::default() }, &mut Spare::default())
    }

    #[test]
    fn events_that_wait_are_written_together() {
        let (hub, reader) = reader(1 << 20);
        assert_eq!(put(&reader, b"1"), Put::First);
        assert_eq!(put(&reader, b"2"), Put::Queued);
        let Next::Piece(piece) = reader.next() else { panic!("a piece") };
        assert_eq!(String::from_utf8_lossy(&piece).matches("event: message").count(), 2);
        assert!(matches!(reader.next(), Next::Nothing));
        assert_eq!(hub.budget().used_bytes(), 0);
    }

    #[test]
    fn a_reader_that_is_too_slow_is_ended_and_holds_nothing() {
        let (hub, reader) = reader(200);
        assert_eq!(put(&reader, &[b'x'; 1000]), Put::First, "one always fits");
        assert_eq!(put(&reader, b"2"), Put::Full);
        assert_eq!(put(&reader, b"3"), Put::Gone);
        assert!(matches!(reader.next(), Next::Over(Code::SlowConsumer)));
        assert_eq!((hub.budget().used_bytes(), hub.clients.slow(), reader.held_bytes()), (0, 1, 0));
    }

    #[test]
    fn publishers_are_slowed_before_it_ends_and_go_on_when_it_reads() {
        let (_hub, reader) = reader(400);
        let large = [b'x'; 120];
        assert_eq!((put(&reader, &large), put(&reader, &large)), (Put::First, Put::High));
        assert!(reader.on_drain(Waker::noop()));
        let _ = reader.next();
        assert!(!reader.on_drain(Waker::noop()));
    }
}
