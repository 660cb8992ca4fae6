//! A frame: what was written in one piece. An item that says what follows, then the items. It does *not* decide what
//! an incomplete frame means; recovery does.

use crate::bytes::Cut;
use crate::item::{self, Item, Kind};

/// Length of a frame's own item.
pub(crate) const FRAME_BYTES: usize = item::whole(Frame::BODY_BYTES);

/// What a frame's own item says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Frame {
    /// First position that it stands for.
    pub(crate) first: u64,
    /// Positions that it stands for; those without an item were never meant to be written.
    pub(crate) count: u32,
    /// Items in it.
    pub(crate) items: u32,
    /// Bytes of these.
    pub(crate) bytes: u32,
    /// The highest position that was synced when it was written.
    pub(crate) synced: u64,
}

impl Frame {
    const BODY_BYTES: usize = 24;

    /// Makes room for a frame's item; [`Frame::write`] fills it in when its items are behind it.
    pub(crate) fn reserve(out: &mut Vec<u8>) -> usize {
        let start = out.len();
        out.resize(start + FRAME_BYTES, 0);
        start
    }

    /// Fills in the frame's item that was reserved at `start`; its items are all that is behind it.
    pub(crate) fn write(mut self, out: &mut [u8], start: usize, salt: u32) {
        self.bytes = (out.len() - start - FRAME_BYTES) as u32;
        let mut whole = Vec::with_capacity(FRAME_BYTES);
        let begun = item::begin(&mut whole);
        for number in [self.count, self.items, self.bytes, 0] {
            whole.extend_from_slice(&number.to_le_bytes());
        }
        whole.extend_from_slice(&self.synced.to_le_bytes());
        item::end(&mut whole, begun, salt, self.first, Kind::Frame);
        crate::bytes::put(out, start, &whole);
    }

    /// Reads a frame's item.
    pub(crate) fn read(item: &Item, bytes: &[u8]) -> Option<Frame> {
        let mut cut = Cut(item.body(bytes));
        let (count, items, bytes, _, synced) = (cut.u32()?, cut.u32()?, cut.u32()?, cut.u32()?, cut.u64()?);
        Some(Frame { first: item.position, count, items, bytes, synced })
    }

    /// The first position behind it.
    pub(crate) fn next(&self) -> u64 {
        self.first + u64::from(self.count)
    }
}
