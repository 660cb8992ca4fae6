//! Where publishers leave what the control plane must see: captured messages, calls, acknowledgements. Publishers copy
//! into one buffer under a short lock and go on; the plane takes the whole buffer at once. It does *not* look at what
//! it holds.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Waker;

use bytes::Bytes;
use kernel::{ConnectionId, Drain, Full, Listener, LogId, Msg, Producer, Put, Spare, TenantId};

/// What an arrival is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The stream of this log captures it.
    Stream(LogId),
    /// A call of the streams' API.
    Call,
    /// The acknowledgement of a delivery.
    Ack,
    /// A consumer's client says that it keeps up.
    Flow,
}

/// Something that arrived: lengths and the buffer that it lies in.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) target: Target,
    pub(crate) tenant: TenantId,
    /// Who sent it, while it is counted as waiting.
    pub(crate) from: Option<Arc<Producer>>,
    reply_len: u32,
    subject_len: u32,
    headers_len: u32,
    /// Reply, subject, headers and payload, back to back.
    bytes: Bytes,
}

impl Arrival {
    pub(crate) fn reply(&self) -> Bytes {
        self.bytes.slice(..self.reply_len as usize)
    }

    /// A borrowed view of it.
    pub(crate) fn msg(&self) -> Msg<'_> {
        let (reply, rest) = self.bytes.split_at(self.reply_len as usize);
        let (subject, rest) = rest.split_at(self.subject_len as usize);
        let (headers, payload) = rest.split_at(self.headers_len as usize);
        Msg { subject, reply, headers, payload, shared: None, from: None }
    }

    /// Subject, headers and payload, back to back: what a record holds.
    pub(crate) fn content(&self) -> Bytes {
        self.bytes.slice(self.reply_len as usize..)
    }
}

/// An arrival in the buffer, before the buffer is taken.
struct Place {
    target: Target,
    tenant: TenantId,
    from: Option<Arc<Producer>>,
    reply_len: u32,
    subject_len: u32,
    headers_len: u32,
    end: usize,
}

#[derive(Default)]
struct State {
    places: Vec<Place>,
    bytes: Vec<u8>,
    /// Bytes of the last buffer: the next one is made about that large.
    usual_bytes: usize,
    waiting: Vec<Waker>,
}

/// See the module.
pub struct Inbox {
    state: Mutex<State>,
    /// Whether captured messages are refused, and why: the number of nothing, or of a reason.
    refusing: AtomicU8,
    wake: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

const OPEN: u8 = 0;
const PRESSED: u8 = 1;
const FAILED: u8 = 2;

impl Default for Inbox {
    fn default() -> Inbox {
        Inbox { state: Mutex::default(), refusing: AtomicU8::new(OPEN), wake: OnceLock::new() }
    }
}

impl Inbox {
    /// Bytes and messages that may wait before publishers are slowed down.
    const HIGH: (usize, usize) = (4 * 1024 * 1024, 16 * 1024);
    /// Bytes and messages that may wait before captured messages are refused; calls and acknowledgements have twice
    /// as much room, so that they are not stuck behind what is published.
    const FULL: (usize, usize) = (32 * 1024 * 1024, 128 * 1024);

    /// Sets what wakes the plane. Only the first call counts.
    pub fn on_arrival(&self, wake: impl Fn() + Send + Sync + 'static) {
        let _ = self.wake.set(Box::new(wake));
    }

    /// Captured messages are refused for as long as `pressed` holds.
    pub(crate) fn press(&self, pressed: bool) {
        let (from, to) = if pressed { (OPEN, PRESSED) } else { (PRESSED, OPEN) };
        let _ = self.refusing.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Captured messages are refused from now on.
    pub(crate) fn fail(&self) {
        self.refusing.store(FAILED, Ordering::Release);
    }

    fn put(&self, target: Target, tenant: TenantId, m: &Msg<'_>) -> Put {
        let is_captured = matches!(target, Target::Stream(_));
        if is_captured && self.refusing.load(Ordering::Acquire) != OPEN {
            return Put::Full;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let ((full_bytes, full_count), spare) = (Self::FULL, if is_captured { 1 } else { 2 });
        if state.bytes.len() > full_bytes * spare || state.places.len() > full_count * spare {
            return Put::Full;
        }
        if state.bytes.capacity() == 0 {
            let usual = state.usual_bytes.clamp(4 * 1024, 1024 * 1024);
            state.bytes.reserve(usual);
        }
        for part in [m.reply, m.subject, m.headers, m.payload] {
            state.bytes.extend_from_slice(part);
        }
        let from = m.from.filter(|_| is_captured);
        let is_over = from.is_some_and(|from| from.begin());
        let end = state.bytes.len();
        state.places.push(Place {
            target,
            tenant,
            from: from.cloned(),
            reply_len: m.reply.len() as u32,
            subject_len: m.subject.len() as u32,
            headers_len: m.headers.len() as u32,
            end,
        });
        let (high_bytes, high_count) = Self::HIGH;
        match state.places.len() {
            1 => Put::First,
            count if is_over || count > high_count || end > high_bytes => Put::High,
            _ => Put::Queued,
        }
    }

    /// Takes everything that has arrived, oldest first, and wakes those who waited for room.
    pub(crate) fn take(&self, out: &mut Vec<Arrival>) {
        let (places, bytes, waiting) = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.places.is_empty() {
                return;
            }
            state.usual_bytes = state.bytes.len() + state.bytes.len() / 4;
            let waiting = std::mem::take(&mut state.waiting);
            let next = Vec::with_capacity(state.places.len().min(1024));
            (std::mem::replace(&mut state.places, next), std::mem::take(&mut state.bytes), waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
        let bytes = Bytes::from(bytes);
        let mut start = 0;
        out.extend(places.into_iter().map(|place| {
            let Place { target, tenant, from, reply_len, subject_len, headers_len, end } = place;
            let bytes = bytes.slice(std::mem::replace(&mut start, end)..end);
            Arrival { target, tenant, from, reply_len, subject_len, headers_len, bytes }
        }));
    }
}

/// How the plane hears: one for each pattern that a stream captures, and for the API's own.
pub(crate) struct Inlet {
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) tenant: TenantId,
    pub(crate) target: Target,
}

impl Drain for Inlet {
    fn on_drain(&self, waker: &Waker) -> bool {
        let mut state = self.inbox.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (bytes, count) = Inbox::HIGH;
        let is_high = state.bytes.len() > bytes || state.places.len() > count;
        if is_high && state.waiting.len() < 1024 {
            state.waiting.push(waker.clone());
        }
        is_high
    }
}

impl Listener for Inlet {
    fn put(&self, m: &Msg<'_>, _: &mut Spare) -> Put {
        self.inbox.put(self.target, self.tenant, m)
    }

    fn full(&self) -> Full {
        Full::Refuse
    }

    fn flush(&self, _: &mut Spare) {
        if let Some(wake) = self.inbox.wake.get() {
            wake();
        }
    }

    fn connection(&self) -> Option<ConnectionId> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inlet(inbox: &Arc<Inbox>, target: Target) -> Inlet {
        Inlet { inbox: inbox.clone(), tenant: TenantId(0), target }
    }

    fn msg<'m>(subject: &'m [u8], payload: &'m [u8]) -> Msg<'m> {
        Msg { subject, payload, reply: b"r", headers: b"h", ..Msg::default() }
    }

    #[test]
    fn what_was_put_is_taken_in_order_and_whole() {
        let inbox = Arc::new(Inbox::default());
        let (stream, call) = (inlet(&inbox, Target::Stream(LogId(3))), inlet(&inbox, Target::Call));
        let mut spare = Spare::default();
        assert_eq!(stream.put(&msg(b"a", b"one"), &mut spare), Put::First);
        assert_eq!(call.put(&msg(b"b", b""), &mut spare), Put::Queued);
        let mut out = Vec::new();
        inbox.take(&mut out);
        let seen: Vec<_> = out.iter().map(|a| (a.target, a.msg().subject, a.msg().payload)).collect();
        assert_eq!(seen, [(Target::Stream(LogId(3)), &b"a"[..], &b"one"[..]), (Target::Call, b"b", b"")]);
        assert_eq!((out[0].reply(), out[0].content()), (Bytes::from("r"), Bytes::from("ahone")));
        assert_eq!(stream.put(&msg(b"c", b""), &mut spare), Put::First, "empty again");
    }

    #[test]
    fn a_full_inbox_refuses_messages_but_takes_acknowledgements() {
        let inbox = Arc::new(Inbox::default());
        let (stream, ack) = (inlet(&inbox, Target::Stream(LogId(0))), inlet(&inbox, Target::Ack));
        let (mut spare, payload) = (Spare::default(), vec![0; 1024 * 1024]);
        let taken = (0..64).take_while(|_| stream.put(&msg(b"a", &payload), &mut spare) != Put::Full).count();
        assert!((32..=33).contains(&taken), "{taken}");
        assert_ne!(ack.put(&msg(b"a", b""), &mut spare), Put::Full);
        assert!(stream.on_drain(Waker::noop()));
        inbox.take(&mut Vec::new());
        assert!(!stream.on_drain(Waker::noop()));
        inbox.press(true);
        assert_eq!(stream.put(&msg(b"a", b""), &mut spare), Put::Full);
        inbox.press(false);
        assert_eq!(stream.put(&msg(b"a", b""), &mut spare), Put::First);
    }

    #[test]
    fn a_producer_with_too_much_waiting_is_told_to_slow_down() {
        let inbox = Arc::new(Inbox::default());
        let (stream, from) = (inlet(&inbox, Target::Stream(LogId(0))), Arc::new(Producer::default()));
        let m = Msg { from: Some(&from), ..msg(b"a", b"") };
        let puts: Vec<_> = (0..1002).map(|_| stream.put(&m, &mut Spare::default())).collect();
        assert_eq!((puts[0], puts[999], puts[1000]), (Put::First, Put::Queued, Put::High));
        assert_eq!(from.waiting(), 1002);
    }
}
