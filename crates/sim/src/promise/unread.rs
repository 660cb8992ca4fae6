//! A disk that gives nothing for a while costs nothing but time: nothing is called gone, damaged or given up for it. Whoever
//! asks is told to come again, and deliveries wait. What is in `kept`, `order` and `progress` holds over it.

use super::{Kept, demand};

/// What an operator is told when something waits for the disk.
fn is_waiting(trouble: &str) -> bool {
    ["waits, its messages cannot be read", "is tried again, it cannot be read"]
        .iter()
        .any(|text| trouble.contains(text))
}

/// The operator was told of trouble. `failed`: reads failed in this process; `flips`: bits that were flipped so far.
pub(crate) fn only_waits(trouble: &[String], failed: bool, flips: u64) -> Kept {
    let is_excused = |why: &String| flips > 0 || failed && is_waiting(why);
    demand("unread", trouble.iter().all(is_excused), || trouble.join("; "))
}

/// Somebody was told that the disk cannot be read.
pub(crate) fn only_if_it_failed(failed: bool, what: &str) -> Kept {
    demand("unread", failed, || format!("every read succeeded, and the answer is {what}"))
}

/// So much damage was reported.
pub(crate) fn is_no_damage(reports: u64, flips: u64) -> Kept {
    demand("unread", reports == 0 || flips > 0, || {
        format!("no bit was flipped, and {reports} messages are called damaged")
    })
}
