//! The two clocks of the world. The monotonic one only goes forward, and begins anew with each process; the wall clock
//! may be set. Nothing here knows the real time.

use kernel::Now;

const NS_PER_MS: u64 = 1_000_000;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    mono_ns: u64,
    wall_ns: u64,
    wall_max_ns: u64,
}

impl Clock {
    /// Clocks that begin at a wall time, in milliseconds since 1970.
    pub(crate) fn new(wall_ms: u64) -> Clock {
        Clock { mono_ns: 1, wall_ns: wall_ms * NS_PER_MS, wall_max_ns: wall_ms * NS_PER_MS }
    }

    /// The time now.
    pub(crate) fn now(&self) -> Now {
        Now { mono_ns: self.mono_ns, wall_ms: self.wall_ms() }
    }

    /// The wall time, in milliseconds since 1970.
    pub(crate) fn wall_ms(&self) -> u64 {
        self.wall_ns / NS_PER_MS
    }

    /// The latest wall time that was ever shown, in milliseconds since 1970.
    pub(crate) fn wall_max_ms(&self) -> u64 {
        self.wall_max_ns / NS_PER_MS
    }

    /// Time passes.
    pub(crate) fn advance_ns(&mut self, ns: u64) {
        self.mono_ns += ns;
        self.wall_ns += ns;
        self.wall_max_ns = self.wall_max_ns.max(self.wall_ns);
    }

    /// Somebody sets the wall clock.
    pub(crate) fn set_wall_ms(&mut self, wall_ms: u64) {
        self.wall_ns = wall_ms * NS_PER_MS;
        self.wall_max_ns = self.wall_max_ns.max(self.wall_ns);
    }

    /// A new process begins: its monotonic clock starts over.
    pub(crate) fn new_process(&mut self) {
        self.mono_ns = 1;
    }
}
