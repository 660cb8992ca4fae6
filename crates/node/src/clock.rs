//! The node's clock, the only one: everything below gets [`Now`] as an argument.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use kernel::Now;

/// Counts from when it was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Clock {
        Clock(Instant::now())
    }

    pub(crate) fn now(&self) -> Now {
        // Before 1970 the clock is not set; then wall time stands still, and only time-to-live suffers.
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { mono_ns: self.0.elapsed().as_nanos() as u64, wall_ms: wall.as_millis() as u64 }
    }
}
