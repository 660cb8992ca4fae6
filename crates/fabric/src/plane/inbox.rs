//! Where publishers leave what the control plane must see: captured messages in one queue, calls and acknowledgements in
//! another. Publishers copy into a queue's buffer under a short lock and go on; the plane takes a whole queue at once, both
//! in the order of arrival, or the urgent one alone while the journal must settle. It does *not* look at what it holds.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::task::Waker;

use bytes::Bytes;
use kernel::{ConnectionId, Drain, Full, Keeps, Listener, LogId, Msg, Put, Spare, TenantId, Waiting};

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

    /// Bytes of it.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The same in memory of its own: it may wait for long, and does not keep what came with it.
    pub(crate) fn alone(self) -> Arrival {
        Arrival { bytes: Bytes::copy_from_slice(&self.bytes), ..self }
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
    /// How many came before it, to either queue.
    number: u64,
}

impl Place {
    fn arrival(self, bytes: Bytes, usual: usize) -> Arrival {
        let is_typical = 4 * bytes.len() >= usual;
        let Place { target, tenant, from, reply_len, subject_len, headers_len, .. } = self;
        Arrival { target, tenant, from, reply_len, subject_len, headers_len, is_typical, bytes }
    }
}

/// What waits, back to back in one buffer.
#[derive(Default)]
struct Queue {
    places: Vec<Place>,
    bytes: Vec<u8>,
    /// Bytes of the last buffer: the next one is made about that large.
    usual_bytes: usize,
    /// Who waits for room.
    waiting: Vec<Waker>,
}

impl Queue {
    fn is_beyond(&self, (bytes, count): (usize, usize)) -> bool {
        self.bytes.len() > bytes || self.places.len() > count
    }

    /// Copies a message in.
    fn push(&mut self, target: Target, tenant: TenantId, m: &Msg<'_>, from: Option<Waiting>, number: u64) {
        if self.bytes.capacity() == 0 {
            let usual = self.usual_bytes.clamp(4 * 1024, 1024 * 1024);
            self.bytes.reserve(usual);
        }
        let start = self.bytes.len();
        for part in [m.reply, m.subject, m.headers, m.payload] {
            self.bytes.extend_from_slice(part);
        }
        self.places.push(Place {
            target,
            tenant,
            from,
            reply_len: m.reply.len() as u32,
            subject_len: m.subject.len() as u32,
            headers_len: m.headers.len() as u32,
            start,
            end: self.bytes.len(),
            number,
        });
    }

    /// Takes everything, as fast however much it is.
    fn take(&mut self) -> Taken {
        let waiting = std::mem::take(&mut self.waiting);
        if self.places.is_empty() {
            return Taken { waiting, ..Taken::default() };
        }
        self.usual_bytes = self.bytes.len() + self.bytes.len() / 4;
        let next = Vec::with_capacity(self.places.len().min(1024));
        let places = std::mem::replace(&mut self.places, next);
        Taken { places, bytes: std::mem::take(&mut self.bytes), waiting }
    }
}

/// A queue that was taken.
#[derive(Default)]
struct Taken {
    places: Vec<Place>,
    bytes: Vec<u8>,
    waiting: Vec<Waker>,
}

impl Taken {
    /// Wakes who waited for room. What was taken, each with its number.
    fn arrivals(self) -> impl Iterator<Item = (u64, Arrival)> {
        self.waiting.into_iter().for_each(Waker::wake);
        let usual = self.bytes.len() / self.places.len().max(1);
        let bytes = Bytes::from(self.bytes);
        self.places.into_iter().map(move |place| {
            let own = bytes.slice(place.start..place.end);
            (place.number, place.arrival(own, usual))
        })
    }
}

#[derive(Default)]
struct State {
    captured: Queue,
    /// Calls and acknowledgements.
    urgent: Queue,
    /// How many have come.
    number: u64,
    /// Somebody was told to wake the plane since it last took.
    is_announced: bool,
}

/// See the module.
pub struct Inbox {
    state: Mutex<State>,
    /// Whether captured messages must wait here, or are refused.
    state_of_store: AtomicU8,
    /// The streams that acknowledge nothing.
    silent: RwLock<BTreeSet<LogId>>,
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
        let (state, silent, wake) = (Mutex::default(), RwLock::default(), OnceLock::new());
        Inbox { state, state_of_store: AtomicU8::new(OPEN), silent, wake }
    }
}

impl Inbox {
    /// Bytes and messages that may wait before publishers are slowed down.
    const HIGH: (usize, usize) = (4 * 1024 * 1024, 16 * 1024);
    /// Bytes and messages that may wait before captured messages are refused; calls and acknowledgements have as much
    /// room of their own, so that they are not stuck behind what is published.
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

    /// Captured messages wait for nothing from now on: each is to be told why it is not stored.
    pub(crate) fn fail(&self) {
        self.state_of_store.store(FAILED, Ordering::Release);
    }

    /// Whether a stream acknowledges nothing from now on.
    pub(crate) fn silence(&self, log: LogId, silent: bool) {
        if self.is_silent(log) != silent {
            let mut all = self.silent.write().unwrap_or_else(PoisonError::into_inner);
            _ = if silent { all.insert(log) } else { all.remove(&log) };
        }
    }

    fn is_silent(&self, log: LogId) -> bool {
        self.silent.read().unwrap_or_else(PoisonError::into_inner).contains(&log)
    }

    fn put(&self, target: Target, tenant: TenantId, m: &Msg<'_>) -> Put {
        let is_captured = matches!(target, Target::Stream(_));
        let of_store = self.state_of_store.load(Ordering::Acquire);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { captured, urgent, number, is_announced, .. } = &mut *state;
        let queue = if is_captured { captured } else { urgent };
        if queue.is_beyond(Self::FULL) {
            return Put::Full;
        }
        let from = m.from.filter(|_| is_captured);
        let (from, is_over) = match from.map(Waiting::begin) {
            Some((waiting, is_over)) => (Some(waiting), is_over),
            None => (None, false),
        };
        queue.push(target, tenant, m, from, *number);
        *number += 1;
        if !std::mem::replace(is_announced, true) {
            return Put::First;
        }
        match is_over || of_store == PRESSED && is_captured || queue.is_beyond(Self::HIGH) {
            true => Put::High,
            false => Put::Queued,
        }
    }

    /// Takes everything that has arrived, oldest first, and wakes those who waited for room. While the journal must
    /// settle, captured messages stay.
    pub(crate) fn take(&self, out: &mut Vec<Arrival>) {
        let is_pressed = self.state_of_store.load(Ordering::Acquire) == PRESSED;
        let (captured, urgent) = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.is_announced = false;
            let captured = if is_pressed { Taken::default() } else { state.captured.take() };
            (captured, state.urgent.take())
        };
        let (mut captured, mut urgent) = (captured.arrivals().peekable(), urgent.arrivals().peekable());
        loop {
            let is_urgent = match (captured.peek(), urgent.peek()) {
                (Some((one, _)), Some((other, _))) => other < one,
                (one, _) => one.is_none(),
            };
            let next = if is_urgent { urgent.next() } else { captured.next() };
            let Some((_, arrival)) = next else { return };
            out.push(arrival);
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
        let is_captured = matches!(self.target, Target::Stream(_));
        let is_pressed = is_captured && self.inbox.state_of_store.load(Ordering::Acquire) == PRESSED;
        let queue = if is_captured { &mut state.captured } else { &mut state.urgent };
        let is_high = is_pressed || queue.is_beyond(Inbox::HIGH);
        if is_high && queue.waiting.len() < 1024 {
            queue.waiting.push(waker.clone());
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

    fn keeps(&self) -> Keeps {
        match self.target {
            Target::Stream(log) if self.inbox.is_silent(log) => Keeps::Silently,
            Target::Stream(_) => Keeps::Acknowledged,
            _ => Keeps::Nothing,
        }
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
        inbox.press(true);
        inbox.fail();
        inbox.press(true);
        stream.put(&msg(b"a", b""), &mut spare);
        let mut taken = Vec::new();
        inbox.take(&mut taken);
        assert_eq!(taken.len(), 1, "where nothing is stored any more nobody waits for it");
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
    fn acknowledgements_are_not_held_up_by_messages_that_must_wait() {
        let inbox = Arc::new(Inbox::default());
        let (stream, ack) = (inlet(&inbox, Target::Stream(LogId(1))), inlet(&inbox, Target::Ack));
        let mut spare = Spare::default();
        inbox.press(true);
        while stream.put(&msg(b"a", b""), &mut spare) != Put::Full {}
        assert_eq!(
            ack.put(&msg(b"b", b""), &mut spare),
            Put::Queued,
            "nobody who acknowledges is slowed down"
        );
        assert!(!ack.on_drain(Waker::noop()));
        assert!(stream.on_drain(Waker::noop()));
        let held = |inbox: &Inbox| inbox.state.lock().unwrap().captured.places.as_ptr();
        let (before, mut out) = (held(&inbox), Vec::new());
        inbox.take(&mut out);
        assert_eq!(out.iter().map(|a| a.target).collect::<Vec<_>>(), [Target::Ack]);
        assert_eq!(held(&inbox), before, "what waits is not even touched");
    }

    #[test]
    fn both_queues_are_taken_in_the_order_of_arrival() {
        let inbox = Arc::new(Inbox::default());
        let (stream, call) = (inlet(&inbox, Target::Stream(LogId(1))), inlet(&inbox, Target::Call));
        let order: Vec<bool> = (0..40).map(|n| n * n % 7 < 3).collect();
        for (n, is_call) in order.iter().enumerate() {
            let to = if *is_call { &call } else { &stream };
            to.put(&msg(b"a", n.to_string().as_bytes()), &mut Spare::default());
        }
        let mut out = Vec::new();
        inbox.take(&mut out);
        let seen: Vec<_> =
            out.iter().map(|a| String::from_utf8_lossy(a.msg().payload).into_owned()).collect();
        assert_eq!(seen, (0..40).map(|n| n.to_string()).collect::<Vec<_>>());
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
