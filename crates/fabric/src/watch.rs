//! How the control plane learns that somebody began or ceased to listen, so that it need not ask again and again. It does
//! *not* know who, or to what: whoever watches looks itself.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// See the module.
#[derive(Default)]
pub(crate) struct Watch {
    is_on: AtomicBool,
    is_changed: AtomicBool,
    wake: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl Watch {
    /// Sets what wakes whoever watches. Only the first call counts.
    pub(crate) fn on_change(&self, wake: impl Fn() + Send + Sync + 'static) {
        let _ = self.wake.set(Box::new(wake));
    }

    /// Whether somebody watches. To begin before asking who listens is to miss nobody: a subscription that the answer
    /// does not know takes the lock of the tree later than the question did, and sees that somebody watches.
    pub(crate) fn set(&self, is_on: bool) {
        self.is_on.store(is_on, Ordering::Release);
    }

    /// Subscriptions have changed. Wakes once until [`Watch::take`].
    pub(crate) fn tell(&self) {
        // Always a swap, which reads what was written last: a load might still see what was taken a moment ago.
        if self.is_on.load(Ordering::Acquire)
            && !self.is_changed.swap(true, Ordering::AcqRel)
            && let Some(wake) = self.wake.get()
        {
            wake();
        }
    }

    /// Whether subscriptions have changed since they were last looked at.
    pub(crate) fn is_changed(&self) -> bool {
        self.is_changed.load(Ordering::Acquire)
    }

    /// Subscriptions are about to be looked at.
    pub(crate) fn take(&self) -> bool {
        self.is_changed.swap(false, Ordering::AcqRel)
    }
}
