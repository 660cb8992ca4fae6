//! A message as the NATS protocol puts it.

use std::sync::atomic::Ordering::Relaxed;

use fabric::Slot;
use kernel::{Msg, Spare};
use wire::nats::encode;

use crate::link::{Encode, Peer};

/// See the module.
pub(super) struct Lines;

impl Encode for Lines {
    #[inline]
    fn put(slot: &mut Slot<'_>, peer: &Peer, sid: &[u8], m: &Msg<'_>, spare: &mut Spare) -> Option<usize> {
        let plain;
        let m = match m.headers.is_empty() || peer.headers.load(Relaxed) {
            true => m,
            false => {
                plain = Msg { headers: &[], ..*m };
                &plain
            }
        };
        let head_bytes = encode::deliver_head_len(m, sid);
        let taken = match m.shared {
            None => slot.append(head_bytes + m.size() + 2, spare, |out| encode::deliver(out, m, sid)),
            Some(whole) => {
                let body = whole.slice(whole.len() - m.size()..);
                let mut head = Vec::with_capacity(head_bytes);
                encode::deliver_head(&mut head, m, sid);
                slot.append_shared(head, body, encode::CRLF)
            }
        };
        taken.then_some(m.size())
    }
}
