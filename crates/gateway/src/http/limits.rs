//! The limits of the door: how often each was met, and how many bytes of bodies are being read. Their values come from
//! the options.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use kernel::Code;

use super::problem::Problem;

macro_rules! limits {
    ($($variant:ident = $option:literal,)*) => {
        /// A limit, by the option that sets it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Limit { $($variant,)* }

        /// The options, in the order of [`Limit`].
        const OPTIONS: &[&str] = &[$($option,)*];
    };
}

limits! {
    Connections = "connections_max",
    Streams = "streams_max",
    HeaderBytes = "header_bytes_max",
    BodyBytes = "body_bytes_max",
    BodiesBytes = "bodies_bytes_max",
    OutboxBytes = "outbox_bytes_max",
    HeaderTime = "header_timeout_ms",
    BodyTime = "body_timeout_ms",
    RequestTime = "request_timeout_ms",
    WriteTime = "write_timeout_ms",
}

/// See the module.
pub(super) struct Limits {
    met: [AtomicU64; OPTIONS.len()],
    bodies_bytes: AtomicUsize,
    bodies_bytes_max: usize,
}

impl Limits {
    pub(super) fn new(bodies_bytes_max: usize) -> Arc<Limits> {
        Arc::new(Limits { met: Default::default(), bodies_bytes: AtomicUsize::new(0), bodies_bytes_max })
    }

    /// A limit was met.
    pub(super) fn count(&self, limit: Limit) {
        if let Some(met) = self.met.get(limit as usize) {
            met.fetch_add(1, Relaxed);
        }
    }

    /// How often each was met, by its option.
    pub(super) fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        OPTIONS.iter().zip(&self.met).map(|(option, met)| (*option, met.load(Relaxed)))
    }

    /// Bytes of bodies that are being read.
    pub(super) fn bodies_bytes(&self) -> usize {
        self.bodies_bytes.load(Relaxed)
    }

    /// The most of them.
    pub(super) fn bodies_bytes_max(&self) -> usize {
        self.bodies_bytes_max
    }
}

/// What one request has read of its body, as the limit for all counts it.
pub(super) struct Held {
    limits: Arc<Limits>,
    bytes: usize,
}

impl Held {
    pub(super) fn new(limits: &Arc<Limits>) -> Held {
        Held { limits: limits.clone(), bytes: 0 }
    }

    /// So many bytes more; refused when too many are held for all requests together.
    pub(super) fn add(&mut self, bytes: usize) -> Result<(), Problem> {
        let before = self.limits.bodies_bytes.fetch_add(bytes, Relaxed);
        self.bytes += bytes;
        if before + bytes <= self.limits.bodies_bytes_max {
            return Ok(());
        }
        self.limits.count(Limit::BodiesBytes);
        let detail =
            "the bodies of all requests together are larger than http.bodies_bytes_max; send it again";
        Err(Problem::new(Code::Backpressure, detail))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.limits.bodies_bytes.fetch_sub(self.bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_share_their_room_and_give_it_back() {
        let limits = Limits::new(10);
        let mut first = Held::new(&limits);
        first.add(6).unwrap();
        assert_eq!(Held::new(&limits).add(5).unwrap_err().code(), Code::Backpressure);
        drop(first);
        assert_eq!(limits.bodies_bytes(), 0);
        Held::new(&limits).add(10).unwrap();
        let counted: Vec<_> = limits.counts().filter(|(_, n)| *n > 0).collect();
        assert_eq!(counted, [("bodies_bytes_max", 1)]);
        assert_eq!(OPTIONS[Limit::WriteTime as usize], "write_timeout_ms");
    }
}
