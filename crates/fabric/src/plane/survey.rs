//! What operators see of single streams and consumers: looked at when somebody asked for it, and of the first of them only,
//! so that a thousand streams do not make a thousand rows. A look is taken in slices, one for each turn, and not more
//! often than once a second, whoever asks. It does *not* drive any decision.

use std::collections::VecDeque;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use kernel::{LogId, Now};

use super::Plane;
use super::cell::{Body, Cell, SeatState};

/// Most streams of one look, in the order of their names.
const STREAMS_SEEN_MAX: usize = 100;
/// Most consumers of one look.
const CONSUMERS_SEEN_MAX: usize = 500;
/// Messages that may be walked over in one slice to count what waits for consumers; the walk for one is not cut.
const LOOKS: u64 = 8192;
/// From the beginning of one look to that of the next at least.
const LOOKS_APART_NS: u64 = 1_000_000_000;

/// A stream in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamSeen {
    /// The account that it belongs to.
    pub account: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// Messages that it holds.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The last sequence that it gave.
    pub last_seq: u64,
    /// Its consumers, those that are in memory.
    pub consumers: Vec<ConsumerSeen>,
}

/// A consumer in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerSeen {
    /// Its name.
    pub name: Box<str>,
    /// Messages that wait for their first delivery.
    pub pending: u64,
    /// Messages that were delivered and not acknowledged.
    pub ack_pending: u64,
    /// Of these, how many were delivered more than once.
    pub redelivered: u64,
}

/// The last look, and the wish for another.
#[derive(Default)]
pub struct Survey {
    is_wanted: AtomicBool,
    seen: Mutex<Vec<StreamSeen>>,
    wake: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl Survey {
    /// What was seen last; another look is taken soon.
    pub fn seen(&self) -> Vec<StreamSeen> {
        if !self.is_wanted.swap(true, Relaxed)
            && let Some(wake) = self.wake.get()
        {
            wake();
        }
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The plane's side of it.
#[derive(Default)]
pub(crate) struct Surveying {
    survey: Arc<Survey>,
    /// The look under way.
    look: Option<Look>,
    /// The next one begins no sooner, on the monotonic clock.
    next_ns: u64,
}

impl Surveying {
    /// When there is something to do for it.
    pub(crate) fn next_wake(&self, now: Now) -> Option<u64> {
        match self.look {
            Some(_) => Some(now.mono_ns),
            None => self.survey.is_wanted.load(Relaxed).then_some(self.next_ns),
        }
    }
}

/// A look under way.
struct Look {
    /// Streams that are left, the next one first.
    left: VecDeque<LogId>,
    /// The consumer of the first of them that was seen last; `None`: the stream itself was not seen yet.
    behind: Option<Box<str>>,
    /// How many more consumers are seen.
    room: usize,
    seen: Vec<StreamSeen>,
}

impl Plane {
    /// What operators see of single streams.
    pub fn survey(&self) -> &Arc<Survey> {
        let (inbox, survey) = (self.inbox.clone(), &self.survey.survey);
        let _ = survey.wake.set(Box::new(move || inbox.wake()));
        survey
    }

    /// Looks at the streams if somebody wants it, for a slice.
    pub(crate) fn look_around(&mut self, now: Now) {
        let state = &mut self.survey;
        let look = state.look.take().or_else(|| {
            if now.mono_ns < state.next_ns || !state.survey.is_wanted.swap(false, Relaxed) {
                return None;
            }
            state.next_ns = now.mono_ns.saturating_add(LOOKS_APART_NS);
            let logs = self.tenants.iter().flat_map(|tenant| tenant.streams.values().copied());
            let left = logs.take(STREAMS_SEEN_MAX).collect();
            Some(Look { left, behind: None, room: CONSUMERS_SEEN_MAX, seen: Vec::new() })
        });
        let Some(mut look) = look else { return };
        match self.look_more(&mut look) {
            true => self.survey.look = Some(look),
            false => *self.survey.survey.seen.lock().unwrap_or_else(PoisonError::into_inner) = look.seen,
        }
    }

    /// A slice of a look. True: there is more.
    fn look_more(&mut self, look: &mut Look) -> bool {
        let mut looks = LOOKS;
        while let Some(log) = look.left.front() {
            if looks == 0 {
                return true;
            }
            if let Some(cell) = self.cells.get_mut(log) {
                if look.behind.is_none() {
                    look.seen.extend(seen(cell));
                }
                if let (Body::Warm(stream), Some(seen)) = (&cell.body, look.seen.last_mut()) {
                    let behind = look.behind.clone().map_or(Bound::Unbounded, Bound::Excluded);
                    for (name, seat) in cell.consumers.range_mut::<Box<str>, _>((behind, Bound::Unbounded)) {
                        let SeatState::Live(consumer) = &mut seat.state else { continue };
                        if look.room == 0 {
                            break;
                        }
                        if looks == 0 {
                            return true;
                        }
                        let walks = if consumer.is_counted() { 0 } else { stream.state().messages };
                        looks = looks.saturating_sub(1 + walks);
                        look.room -= 1;
                        let info = consumer.info(&**stream);
                        seen.consumers.push(ConsumerSeen {
                            name: name.clone(),
                            pending: info.num_pending,
                            ack_pending: info.num_ack_pending,
                            redelivered: info.num_redelivered,
                        });
                        look.behind = Some(name.clone());
                    }
                }
            }
            look.behind = None;
            look.left.pop_front();
        }
        false
    }
}

/// A stream without its consumers; `None`: nothing is known of it now.
fn seen(cell: &Cell) -> Option<StreamSeen> {
    let (messages, bytes, last_seq) = match &cell.body {
        Body::Warm(stream) => {
            let state = stream.state();
            (state.messages, state.bytes, state.last_seq)
        }
        Body::Cold(summary) | Body::Loading(summary) => (summary.count, summary.bytes, summary.last),
        Body::Restoring(_) => return None,
    };
    let (account, name) = (cell.tenant_name.clone(), cell.name.clone());
    Some(StreamSeen { account, name, messages, bytes, last_seq, consumers: Vec::new() })
}
