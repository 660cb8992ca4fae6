//! What a turn of a door owes when its messages are put: outboxes to flush, publishers to slow down. One a thread;
//! it also keeps that thread's spare buffers.

use std::sync::Arc;

use kernel::{Drain, Full, Listener, Msg, Put, Spare};

/// See the module.
#[derive(Default)]
pub struct Woken {
    /// Buffers for outboxes to fill.
    pub spare: Spare,
    first: Vec<Arc<dyn Listener>>,
    high: Vec<Arc<dyn Drain>>,
    put_bytes: usize,
    work: usize,
}

/// What came of putting one message to one listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Taken,
    Lost,
    Refused,
}

impl Woken {
    /// Bytes put for each listener after which the door should flush in between: enough to make one write worth its
    /// price, and few enough to be still in the processor's caches.
    const HEAVY_EACH_BYTES: usize = 32 * 1024;
    /// The same for all listeners together, at least and at most.
    const HEAVY_BYTES: (usize, usize) = (512 * 1024, 8 * 1024 * 1024);

    /// Puts (or what costs as much) of one turn after which others must have theirs, however little was read.
    const WORK_MAX: usize = 32 * 1024;

    #[inline]
    pub(crate) fn put(&mut self, listener: &Arc<dyn Listener>, m: &Msg<'_>) -> Outcome {
        self.work += 1;
        match listener.put(m, &mut self.spare) {
            Put::Queued => {}
            Put::First => self.first.push(listener.clone()),
            Put::High => self.note_high(listener, m),
            Put::Gone => return Outcome::Lost,
            Put::Full if listener.full() == Full::Refuse => return Outcome::Refused,
            Put::Full => return Outcome::Lost,
        }
        self.put_bytes += m.subject.len() + m.size() + 16;
        Outcome::Taken
    }

    /// A door did something that costs as much as `puts` puts.
    pub fn worked(&mut self, puts: usize) {
        self.work += puts;
    }

    /// Whether the turn has done so much that others must have theirs.
    pub fn is_exhausted(&self) -> bool {
        self.work >= Self::WORK_MAX
    }

    /// A turn begins.
    pub fn begin(&mut self) {
        self.work = 0;
    }

    /// Waiting for a few of the slowest is as good as waiting for all of them.
    const HIGH_MAX: usize = 16;

    #[cold]
    fn note_high(&mut self, listener: &Arc<dyn Listener>, m: &Msg<'_>) {
        let slow: Arc<dyn Drain> = match m.from.filter(|from| from.is_over()) {
            Some(from) => from.clone(),
            None => listener.clone(),
        };
        if self.high.len() < Self::HIGH_MAX && !self.high.iter().any(|l| Arc::ptr_eq(l, &slow)) {
            self.high.push(slow);
        }
    }

    /// Whether so much was put that the door should flush before it reads on.
    pub fn is_heavy(&self) -> bool {
        let (least, most) = Self::HEAVY_BYTES;
        self.put_bytes > least && self.put_bytes > (Self::HEAVY_EACH_BYTES * self.first.len()).min(most)
    }

    /// Writes out all that was woken.
    pub fn flush(&mut self) {
        self.put_bytes = 0;
        for listener in self.first.drain(..) {
            listener.flush(&mut self.spare);
        }
    }

    /// What this turn met above its high-water mark: the publisher should wait for it a little.
    pub fn take_high(&mut self) -> Vec<Arc<dyn Drain>> {
        std::mem::take(&mut self.high)
    }
}
