//! What operators see of single streams and consumers: looked at when somebody asked for it, and of the first of them only,
//! so that a thousand streams do not make a thousand rows. It does *not* drive any decision.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::Plane;
use super::cell::{Body, SeatState};

/// Most streams of one look, in the order of their names.
const STREAMS_SEEN_MAX: usize = 100;
/// Most consumers of one look.
const CONSUMERS_SEEN_MAX: usize = 500;

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

impl Plane {
    /// What operators see of single streams.
    pub fn survey(&self) -> &Arc<Survey> {
        let inbox = self.inbox.clone();
        let _ = self.survey.wake.set(Box::new(move || inbox.wake()));
        &self.survey
    }

    /// Looks at the streams if somebody wants it.
    pub(crate) fn look_around(&mut self) {
        if !self.survey.is_wanted.swap(false, Relaxed) {
            return;
        }
        let mut room = CONSUMERS_SEEN_MAX;
        let mut seen = Vec::new();
        let logs = self.tenants.iter().flat_map(|tenant| tenant.streams.values().copied());
        for log in logs.take(STREAMS_SEEN_MAX) {
            let Some(cell) = self.cells.get_mut(&log) else { continue };
            let (messages, bytes, last_seq) = match &cell.body {
                Body::Warm(stream) => {
                    let state = stream.state();
                    (state.messages, state.bytes, state.last_seq)
                }
                Body::Cold(summary) | Body::Loading(summary) => (summary.count, summary.bytes, summary.last),
                Body::Restoring(_) => continue,
            };
            let mut consumers = Vec::new();
            if let Body::Warm(stream) = &cell.body {
                for (name, seat) in cell.consumers.iter_mut().take(room) {
                    let SeatState::Live(consumer) = &mut seat.state else { continue };
                    let info = consumer.info(&**stream);
                    consumers.push(ConsumerSeen {
                        name: name.clone(),
                        pending: info.num_pending,
                        ack_pending: info.num_ack_pending,
                        redelivered: info.num_redelivered,
                    });
                }
            }
            room -= consumers.len().min(room);
            let (account, name) = (cell.tenant_name.clone(), cell.name.clone());
            seen.push(StreamSeen { account, name, messages, bytes, last_seq, consumers });
        }
        *self.survey.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }
}
