//! Every acknowledged message is there, at its sequence, whatever happened to the node: unless a limit, a purge, a
//! deletion or an acknowledgement that was sent may have removed it, or a bit of it was flipped. A stream whose messages
//! are only with the operating system promises that for everything but a power cut.

use super::{Kept, demand};
use crate::oracle::Stream;

/// A stream was read from end to end; `read` are the sequences in it, ascending.
pub(crate) fn all_there(stream: &Stream, read: &[u64]) -> Kept {
    for (seq, place) in &stream.places {
        if read.binary_search(seq).is_err() {
            demand("kept", !stream.must_hold(*seq), || {
                format!("{} lost message {seq} (content {:x})", stream.rules.name, place.nonce)
            })?;
        }
    }
    Ok(())
}

/// A single message was asked for and is not there.
pub(crate) fn may_be_missing(stream: &Stream, seq: u64) -> Kept {
    demand("kept", !stream.must_hold(seq), || format!("{} does not find message {seq}", stream.rules.name))
}
