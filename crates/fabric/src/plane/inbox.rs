//! Where publishers leave what the control plane must see: captured messages, calls, acknowledgements. Publishers copy
//! into one buffer under a short lock and go on; the plane takes the whole buffer at once. It does *not* look at what
//! it holds.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Waker;

use bytes::Bytes;
use kernel::{ConnectionId, Drain, Full, Listener, LogId, Msg, Put, Spare, TenantId, Waiting};

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
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) target: Target,
    pub(crate) tenant: TenantId,
    /// Who sent it, while it is counted as waiting.
    pub(crate) from: Option<Waiting>,
    reply_len: u32,
    subject_len: u32,
    headers_len: u32,
    /// It is about as large as those that lie in the same buffer.
    is_typical: bool,
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

    /// Subject, headers and payload, back to back: what a record holds. `None`: it would hold much more than itself in
    /// memory, because it is small among large ones.
    pub(crate) fn content(&self) -> Option<Bytes> {
        self.is_typical.then(|| self.bytes.slice(self.reply_len as usize..))
    }
}

/// An arrival in the buffer, before the buffer is taken.
struct Place {
    target: Target,
    tenant: TenantId,
    from: Option<Waiting>,
    reply_len: u32,
    subject_len: u32,
    headers_len: u32,
    start: usize,
    end: usize,
}

impl Place {
    fn is_captured(&self) -> bool {
        matches!(self.target, Target::Stream(_))
    }

    fn arrival(self, bytes: Bytes, usual: usize) -> Arrival {
        let is_typical = 4 * bytes.len() >= usual;
        let Place { target, tenant, from, reply_len, subject_len, headers_len, .. } = self;
        Arrival { target, tenant, from, reply_len, subject_len, headers_len, is_typical, bytes }
    }
}

#[derive(Default)]
struct State {
    places: Vec<Place>,
    bytes: Vec<u8>,
    /// Bytes of the last buffer: the next one is made about that large.
    usual_bytes: usize,
    /// Somebody was told to wake the plane since it last took.
    is_announced: bool,
    waiting: Vec<Waker>,
}

/// See the module.
pub struct Inbox {
    state: Mutex<State>,
    /// Whether captured messages must wait here, or are refused.
    state_of_store: AtomicU8,
    wake: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

/// Everything is taken.
const OPEN: u8 = 0;
/// The journal must settle first: captured messages wait, and their publishers are slowed down.
const PRESSED: u8 = 1;
/// Nothing is stored any more: captured messages are refused.
const FAILED: u8 = 2;

impl Default for Inbox {
    fn default() -> Inbox {
        Inbox { state: Mutex::default(), state_of_store: AtomicU8::new(OPEN), wake: OnceLock::new() }
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

    /// Wakes the plane.
    pub(crate) fn wake(&self) {
        if let Some(wake) = self.wake.get() {
            wake();
        }
    }

    /// Captured messages wait for as long as `pressed` holds.
    pub(crate) fn press(&self, pressed: bool) {
        let (from, to) = if pressed { (OPEN, PRESSED) } else { (PRESSED, OPEN) };
        let _ = self.state_of_store.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Captured messages are refused from now on.
    pub(crate) fn fail(&self) {
        self.state_of_store.store(FAILED, Ordering::Release);
    }

    fn put(&self, target: Target, tenant: TenantId, m: &Msg<'_>) -> Put {
        let is_captured = matches!(target, Target::Stream(_));
        let of_store = self.state_of_store.load(Ordering::Acquire);
        if is_captured && of_store == FAILED {
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
        let start = state.bytes.len();
        for part in [m.reply, m.subject, m.headers, m.payload] {
            state.bytes.extend_from_slice(part);
        }
        let from = m.from.filter(|_| is_captured);
        let (from, is_over) = match from.map(Waiting::begin) {
            Some((waiting, is_over)) => (Some(waiting), is_over),
            None => (None, false),
        };
        let end = state.bytes.len();
        state.places.push(Place {
            target,
            tenant,
            from,
            reply_len: m.reply.len() as u32,
            subject_len: m.subject.len() as u32,
            headers_len: m.headers.len() as u32,
            start,
            end,
        });
        let (high_bytes, high_count) = Self::HIGH;
        if !std::mem::replace(&mut state.is_announced, true) {
            return Put::First;
        }
        match state.places.len() {
            count
                if is_over
                    || of_store == PRESSED && is_captured
                    || count > high_count
                    || end > high_bytes =>
            {
                Put::High
            }
            _ => Put::Queued,
        }
    }

    /// Takes everything that has arrived, oldest first, and wakes those who waited for room. While the journal must
    /// settle, captured messages stay.
    pub(crate) fn take(&self, out: &mut Vec<Arrival>) {
        if self.state_of_store.load(Ordering::Acquire) == PRESSED {
            return self.take_urgent(out);
        }
        let (places, bytes, waiting) = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.is_announced = false;
            if state.places.is_empty() {
                return;
            }
            state.usual_bytes = state.bytes.len() + state.bytes.len() / 4;
            let waiting = std::mem::take(&mut state.waiting);
            let next = Vec::with_capacity(state.places.len().min(1024));
            (std::mem::replace(&mut state.places, next), std::mem::take(&mut state.bytes), waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
        let usual = bytes.len() / places.len();
        let bytes = Bytes::from(bytes);
        out.extend(places.into_iter().map(|place| {
            let own = bytes.slice(place.start..place.end);
            place.arrival(own, usual)
        }));
    }

    /// Takes what is not to be stored: calls and acknowledgements.
    fn take_urgent(&self, out: &mut Vec<Arrival>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.is_announced = false;
        let State { places, bytes, .. } = &mut *state;
        let (stay, urgent): (Vec<_>, Vec<_>) =
            std::mem::take(places).into_iter().partition(Place::is_captured);
        out.extend(urgent.into_iter().map(|place| {
            let own = Bytes::copy_from_slice(bytes.get(place.start..place.end).unwrap_or_default());
            place.arrival(own, 0)
        }));
        *places = stay;
        // What was taken leaves holes; when these are most of the buffer, it is made anew without them.
        let held: usize = places.iter().map(|place| place.end - place.start).sum();
        if bytes.len() > 2 * held + 64 * 1024 {
            let old = std::mem::replace(bytes, Vec::with_capacity(held));
            for place in places {
                let start = bytes.len();
                bytes.extend_from_slice(old.get(place.start..place.end).unwrap_or_default());
                (place.start, place.end) = (start, bytes.len());
            }
        }
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
        let is_pressed = self.inbox.state_of_store.load(Ordering::Acquire) == PRESSED;
        let is_high = is_pressed || state.bytes.len() > bytes || state.places.len() > count;
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

    fn is_keeping(&self) -> bool {
        matches!(self.target, Target::Stream(_))
    }

    fn flush(&self, _: &mut Spare) {
        self.inbox.wake();
    }

    fn connection(&self) -> Option<ConnectionId> {
        None
    }
}

#[cfg(test)]
mod tests {
    use kernel::Producer;

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
        assert_eq!((out[0].reply(), out[0].content()), (Bytes::from("r"), Some(Bytes::from("ahone"))));
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
        inbox.fail();
        assert_eq!(stream.put(&msg(b"a", b""), &mut spare), Put::Full);
    }

    #[test]
    fn while_the_journal_settles_messages_wait_and_acknowledgements_pass() {
        let inbox = Arc::new(Inbox::default());
        let (stream, ack) = (inlet(&inbox, Target::Stream(LogId(1))), inlet(&inbox, Target::Ack));
        let (mut spare, mut out, large) = (Spare::default(), Vec::new(), vec![7; 100_000]);
        inbox.press(true);
        assert_eq!(stream.put(&msg(b"a", b"one"), &mut spare), Put::First);
        assert_eq!(ack.put(&msg(b"b", &large), &mut spare), Put::Queued);
        assert_eq!(stream.put(&msg(b"a", b"two"), &mut spare), Put::High, "slow down");
        inbox.take(&mut out);
        assert_eq!(out.drain(..).map(|a| a.msg().payload.len()).collect::<Vec<_>>(), [large.len()]);
        assert_eq!(ack.put(&msg(b"b", b""), &mut spare), Put::First, "the plane must be woken for it");
        inbox.take(&mut out);
        assert_eq!(out.drain(..).count(), 1);
        inbox.press(false);
        inbox.take(&mut out);
        assert_eq!(out.iter().map(|a| a.msg().payload).collect::<Vec<_>>(), [b"one", b"two"]);
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
