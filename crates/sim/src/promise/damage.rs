//! A flipped bit is reported, and nothing is reported where none was flipped. What it may cost is in `kept`.

use super::{Kept, demand};

/// A node started and said what was damaged. `flips`: bits that were flipped so far.
pub(crate) fn only_if_flipped(reports: &[String], flips: u64) -> Kept {
    demand("damage", flips > 0 || reports.is_empty(), || {
        format!("no bit was flipped, and damage is reported: {}", reports.join("; "))
    })
}

/// So many messages are lost by flipped bits, and so many reports were made since the first flip.
pub(crate) fn is_reported(lost: u64, reports: u64) -> Kept {
    demand("damage", lost == 0 || reports > 0, || {
        format!("{lost} messages are lost by flipped bits, and nothing was reported")
    })
}
