//! Time as an argument. This is *not* a clock: only drivers read one and make a [`Now`].

/// The present, as the driver saw it when the turn began.
///
/// Leases, elections and timeouts count in `mono_ns`, which never runs backwards; time-to-live and tokens count in
/// `wall_ms`, which people and other machines understand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Nanoseconds since an arbitrary start, monotonic.
    pub mono_ns: u64,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub wall_ms: u64,
}
