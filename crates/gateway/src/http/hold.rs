//! What one connection makes the node hold: answers to its questions that wait to be read, and its own answers that wait to
//! be taken. It counts in the node's budget; when that is used up, the connections for which most is held are cut. It does
//! *not* know what is held.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;
use fabric::{Budget, Holder};
use tokio::sync::Notify;

/// See the module.
pub(super) struct Hold {
    bytes: AtomicUsize,
    /// The fewest since the last tick, and in the time before it.
    fewest: [AtomicUsize; 2],
    budget: Arc<Budget>,
    cut: Notify,
}

impl Hold {
    pub(super) fn new(budget: &Arc<Budget>) -> Arc<Hold> {
        Arc::new(Hold {
            bytes: AtomicUsize::new(0),
            fewest: Default::default(),
            budget: budget.clone(),
            cut: Notify::new(),
        })
    }

    /// So many bytes more are held.
    pub(super) fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Relaxed);
        self.budget.add(bytes);
    }

    /// So many bytes fewer.
    pub(super) fn sub(&self, bytes: usize) {
        let before = self.bytes.fetch_sub(bytes, Relaxed);
        self.fewest[0].fetch_min(before.saturating_sub(bytes), Relaxed);
        self.budget.sub(bytes);
    }

    /// Waits until the connection must end.
    pub(super) async fn cut(&self) {
        self.cut.notified().await;
    }

    /// The same bytes, counted until the last part of them is dropped.
    pub(super) fn count(self: &Arc<Hold>, data: Bytes) -> Bytes {
        self.add(data.len());
        Bytes::from_owner(Counted { data, hold: self.clone() })
    }
}

impl Holder for Hold {
    /// Until they are given back, those of a connection that is cut as well: nobody else is cut for them.
    fn held_bytes(&self) -> (usize, usize) {
        let [now, before] = &self.fewest;
        (self.bytes.load(Relaxed), now.load(Relaxed).min(before.load(Relaxed)))
    }

    fn tick(&self) {
        let [now, before] = &self.fewest;
        before.store(now.swap(self.bytes.load(Relaxed), Relaxed), Relaxed);
    }

    fn cut(&self) {
        self.cut.notify_one();
    }
}

struct Counted {
    data: Bytes,
    hold: Arc<Hold>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.hold.sub(self.data.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_count_until_their_last_part_is_gone() {
        let budget = Arc::new(Budget::new(100));
        let hold = Hold::new(&budget);
        let mut all = hold.count(Bytes::from_static(b"0123456789"));
        let part = all.split_to(4);
        drop(all);
        assert_eq!((budget.used_bytes(), hold.held_bytes().0), (10, 10));
        drop(part);
        assert_eq!((budget.used_bytes(), hold.held_bytes().0), (0, 0));
    }

    #[test]
    fn what_is_held_for_long_is_told_from_what_has_just_come() {
        let hold = Hold::new(&Arc::new(Budget::new(100)));
        hold.add(10);
        hold.tick();
        assert_eq!(hold.held_bytes(), (10, 0));
        hold.tick();
        assert_eq!(hold.held_bytes(), (10, 10));
        hold.sub(4);
        hold.add(4);
        assert_eq!(hold.held_bytes(), (10, 6));
        hold.tick();
        hold.tick();
        assert_eq!(hold.held_bytes(), (10, 10));
    }
}
