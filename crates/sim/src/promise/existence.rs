//! A stream or consumer whose creation was answered is there until its deletion is asked for, and one whose deletion was
//! answered is not there; whatever happens to the node.

use super::{Kept, demand};
use crate::oracle::Life;

/// Whether something with this life may be listed, or not.
pub(crate) fn as_answered(what: &str, life: Life, is_listed: bool) -> Kept {
    let holds = match life {
        Life::There => is_listed,
        Life::Gone => !is_listed,
        Life::Making | Life::Ending => true,
    };
    demand("existence", holds, || match is_listed {
        true => format!("{what} is there, and its deletion was confirmed"),
        false => format!("{what} is not there, and its creation was confirmed"),
    })
}
