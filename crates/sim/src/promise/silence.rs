//! After the journal failed (a failed sync, a full disk) nothing new is acknowledged until the node starts again.

use super::{Kept, demand};

/// Something new was confirmed.
pub(crate) fn holds(has_failed: bool, what: &str) -> Kept {
    demand("silence", !has_failed, || format!("{what} was confirmed after the journal had failed"))
}
