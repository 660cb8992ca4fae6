//! What all clients of the node may make it hold together. It counts; it does *not* choose whom to cut.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Bytes held for clients, against a limit.
#[derive(Debug)]
pub struct Budget {
    used_bytes: AtomicUsize,
    limit_bytes: usize,
}

impl Budget {
    /// A budget of so many bytes.
    pub fn new(limit_bytes: usize) -> Budget {
        Budget { used_bytes: AtomicUsize::new(0), limit_bytes }
    }

    /// Bytes held now.
    pub fn used_bytes(&self) -> usize {
        self.used_bytes.load(Relaxed)
    }

    /// Bytes that may be held.
    pub fn limit_bytes(&self) -> usize {
        self.limit_bytes
    }

    /// Whether more is held than may be: somebody must be cut.
    pub fn is_over(&self) -> bool {
        self.used_bytes() > self.limit_bytes
    }

    /// So many more are held.
    pub fn add(&self, bytes: usize) {
        self.used_bytes.fetch_add(bytes, Relaxed);
    }

    /// So many fewer are held.
    pub fn sub(&self, bytes: usize) {
        self.used_bytes.fetch_sub(bytes, Relaxed);
    }
}
