//! A message as a JSON frame. It is put into JSON once for all who hear it: only the name of the subscription differs.

use fabric::Slot;
use kernel::limits::SHARED_PAYLOAD_BYTES_MIN;
use kernel::{Msg, Spare};
use wire::talk::{MSG_END, MSG_HEAD};
use wire::websocket::{self as ws, Opcode};

use crate::http::encoded;
use crate::link::{Encode, Peer};

/// See the module.
pub(super) struct Frames;

impl Encode for Frames {
    #[inline]
    fn put(slot: &mut Slot<'_>, _: &Peer, sid: &[u8], m: &Msg<'_>, spare: &mut Spare) -> Option<usize> {
        put(slot, sid, m, spare).then_some(m.size())
    }

    fn flush() {
        encoded::let_go();
    }
}

/// Puts a message as a frame with this name. False: there is no room.
#[inline]
pub(super) fn put(slot: &mut Slot<'_>, sid: &[u8], m: &Msg<'_>, spare: &mut Spare) -> bool {
    encoded::with(m, |json| {
        let members = json.members();
        let len = MSG_HEAD.len() + sid.len() + 1 + members.len() + MSG_END.len();
        let head = |out: &mut Vec<u8>| {
            ws::write_head(out, Opcode::Text, len);
            out.extend_from_slice(MSG_HEAD);
            out.extend_from_slice(sid);
            out.push(b',');
        };
        if members.len() < SHARED_PAYLOAD_BYTES_MIN {
            return slot.append(ws::head_len(len) + len, spare, |out| {
                head(out);
                out.extend_from_slice(members);
                out.extend_from_slice(MSG_END);
            });
        }
        let mut first = Vec::with_capacity(ws::PLAIN_HEAD_BYTES_MAX + MSG_HEAD.len() + sid.len() + 1);
        head(&mut first);
        slot.append_shared(first, json.members_shared(), MSG_END)
    })
}
