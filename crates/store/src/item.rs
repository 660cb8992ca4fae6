//! The form of everything behind a file's head: items of a fixed head, a body and padding to eight bytes. Each has
//! checksums of its own, so that a flipped bit costs one item and the next is found again. It does *not* know what the
//! bodies mean.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | CRC32C of the body, seeded with the check of the head |
//! | 4 | check of the head: CRC32C of the next sixteen bytes, seeded with the file's salt |
//! | 8 | position |
//! | 4 | length of the body |
//! | 1 | kind |
//! | 1 | version, 1 |
//! | 2 | zero |

use crate::bytes::{Cut, put};

/// Length of an item's head, in bytes.
pub(crate) const ITEM_BYTES: usize = 24;
const ALIGN: usize = 8;
const VERSION: u8 = 1;
const HEAD_AT: usize = 8;

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $name:ident = $number:literal),* $(,)?) => {
        /// What an item is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(crate) enum Kind { $($(#[doc = $doc])+ $name = $number),* }

        impl Kind {
            fn of(number: u8) -> Option<Kind> {
                match number { $($number => Some(Kind::$name),)* _ => None }
            }
        }
    };
}

kinds! {
    /// Begins what was written in one piece.
    Frame = 1,
    /// A log's record.
    Record = 2,
    /// Places of a log that are no longer wanted.
    Remove = 3,
    /// A log that is no longer wanted.
    Forget = 4,
    /// A piece of state, whole.
    State = 5,
    /// A piece of state that is no longer wanted.
    StateGone = 6,
    /// A change of a piece of state.
    Delta = 7,
    /// All state changed up to some position stands whole in front of this.
    Checkpoint = 8,
    /// A log's part of a segment, without content.
    Footer = 9,
    /// A log in the catalogue.
    Log = 10,
    /// What the catalogue is good for: everything up to a position.
    Settled = 11,
    /// How far all files came.
    Mark = 12,
}

/// Begins an item at the end of `out`. Its body is what is appended until [`end`].
pub(crate) fn begin(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; ITEM_BYTES]);
    start
}

/// Ends the item that was begun at `start`.
pub(crate) fn end(out: &mut Vec<u8>, start: usize, salt: u32, position: u64, kind: Kind) {
    let length = out.len() - start - ITEM_BYTES;
    let mut head = [0; ITEM_BYTES];
    put(&mut head, 8, &position.to_le_bytes());
    put(&mut head, 16, &(length as u32).to_le_bytes());
    put(&mut head, 20, &[kind as u8, VERSION]);
    let check = crc32c::crc32c_append(salt, head.get(HEAD_AT..).unwrap_or_default());
    let crc = crc32c::crc32c_append(check, out.get(start + ITEM_BYTES..).unwrap_or_default());
    put(&mut head, 0, &crc.to_le_bytes());
    put(&mut head, 4, &check.to_le_bytes());
    put(out, start, &head);
    out.resize(out.len().next_multiple_of(ALIGN), 0);
}

/// Bytes that an item with such a body takes in the file.
pub(crate) const fn whole(body_len: usize) -> usize {
    (ITEM_BYTES + body_len).next_multiple_of(ALIGN)
}

/// An item's head, whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) position: u64,
    pub(crate) kind: Kind,
    /// Where the item begins.
    pub(crate) start: usize,
    pub(crate) body_len: usize,
    /// Whether the body is as it was written.
    pub(crate) intact: bool,
}

impl Item {
    /// Where its body begins.
    pub(crate) fn body_at(&self) -> usize {
        self.start + ITEM_BYTES
    }

    /// Where the next item begins.
    pub(crate) fn next(&self) -> usize {
        self.start + whole(self.body_len)
    }

    /// The body, out of the bytes that it was found in.
    pub(crate) fn body<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(self.body_at()..self.body_at() + self.body_len).unwrap_or_default()
    }
}

/// The item at `start`; `None` if there is no head of one.
pub(crate) fn at(bytes: &[u8], start: usize, salt: u32) -> Option<Item> {
    let head = bytes.get(start..start + ITEM_BYTES)?;
    let mut cut = Cut(head);
    let (crc, check) = (cut.u32()?, cut.u32()?);
    let (position, body_len, kind, version, zero) =
        (cut.u64()?, cut.u32()?, cut.u8()?, cut.u8()?, cut.u16()?);
    let kind = Kind::of(kind).filter(|_| version == VERSION && zero == 0)?;
    if crc32c::crc32c_append(salt, head.get(HEAD_AT..)?) != check {
        return None;
    }
    let mut item = Item { position, kind, start, body_len: body_len as usize, intact: false };
    let body = bytes.get(item.body_at()..item.body_at() + item.body_len);
    item.intact = body.is_some_and(|body| crc32c::crc32c_append(check, body) == crc);
    Some(item)
}

/// The first item that begins at `from` or behind it.
pub(crate) fn find(bytes: &[u8], from: usize, salt: u32) -> Option<Item> {
    let mut start = from.next_multiple_of(ALIGN);
    while start + ITEM_BYTES <= bytes.len() {
        // Most places are told apart by these bytes alone.
        let Some([_, VERSION, 0, 0]) = bytes.get(start + 20..).and_then(|rest| rest.first_chunk::<4>())
        else {
            start += ALIGN;
            continue;
        };
        if let Some(item) = at(bytes, start, salt) {
            return Some(item);
        }
        start += ALIGN;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Vec<u8> {
        let mut out = Vec::new();
        for (position, body) in [(1, &b"first"[..]), (2, b"second one"), (3, b"")] {
            let start = begin(&mut out);
            out.extend_from_slice(body);
            end(&mut out, start, 7, position, Kind::Delta);
        }
        out
    }

    fn whole_items(bytes: &[u8], salt: u32) -> Vec<u64> {
        let (mut found, mut from) = (Vec::new(), 0);
        while let Some(item) = find(bytes, from, salt) {
            found.extend(item.intact.then_some(item.position));
            from = item.next();
        }
        found
    }

    #[test]
    fn items_come_back_and_another_files_do_not_count() {
        assert_eq!(whole_items(&three(), 7), [1, 2, 3]);
        assert_eq!(whole_items(&three(), 8), [0_u64; 0]);
    }

    #[test]
    fn any_flipped_bit_costs_one_item_at_most() {
        let bytes = three();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(whole_items(&flipped, 7).len() >= 2, "bit {bit}");
        }
    }
}
