//! Up to 4096 rows in columns, and which of them are still there. It does *not* know the blocks beside it.

use super::times::Times;

/// Most rows in a block.
pub(super) const ROWS_MAX: usize = 4096;
/// An emptied block with room for more rows than this gives its memory back.
const KEPT_ROWS_MAX: usize = 256;

/// A message without its content, as the stream sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::stream) struct Row {
    pub(in crate::stream) seq: u64,
    pub(in crate::stream) time_ns: u64,
    /// Bytes of content.
    pub(in crate::stream) size: u32,
    /// Place of its subject in the table.
    pub(in crate::stream) slot: u32,
    pub(in crate::stream) flags: u16,
    /// How far behind the next message of its subject was stored; 0: not known.
    pub(in crate::stream) link: u32,
}

/// See the module.
pub(super) struct Block {
    /// Sequence of the first row.
    pub(super) base: u64,
    /// Sequence of each row behind the base. Empty: each row is one behind the row before.
    offsets: Vec<u32>,
    slots: Vec<u32>,
    sizes: Vec<u32>,
    /// The lower half of each row's flags.
    flags: Vec<u8>,
    /// The upper half. Empty: 0 in this block.
    marks: Vec<u8>,
    times: Times,
    /// Empty: no link is known in this block.
    links: Vec<u32>,
    /// One bit a row: it is there.
    live: Vec<u64>,
    /// Rows that are there.
    pub(super) alive: usize,
    /// No row in a word of `live` before this one is there.
    head: usize,
}

impl Block {
    pub(super) fn new(base: u64) -> Block {
        Block {
            base,
            offsets: Vec::new(),
            slots: Vec::new(),
            sizes: Vec::new(),
            flags: Vec::new(),
            marks: Vec::new(),
            times: Times::new(),
            links: Vec::new(),
            live: Vec::new(),
            alive: 0,
            head: 0,
        }
    }

    /// Rows, those that are gone included.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether a row of that sequence has room behind the last.
    pub(super) fn takes(&self, seq: u64) -> bool {
        self.len() < ROWS_MAX && seq.checked_sub(self.base).is_some_and(|o| o <= u64::from(u32::MAX))
    }

    /// Appends a row; [`Block::takes`] was asked.
    pub(super) fn push(&mut self, row: &Row) {
        let at = self.len();
        if at == 0 {
            self.base = row.seq;
        }
        let offset = row.seq.wrapping_sub(self.base);
        if self.offsets.is_empty() && offset != at as u64 {
            self.offsets.extend(0..at as u32);
        }
        if offset != at as u64 || !self.offsets.is_empty() {
            self.offsets.push(offset as u32);
        }
        self.slots.push(row.slot);
        self.sizes.push(row.size);
        let [low, high] = row.flags.to_le_bytes();
        self.flags.push(low);
        if high != 0 || !self.marks.is_empty() {
            self.marks.resize(at, 0);
            self.marks.push(high);
        }
        self.times.push(row.time_ns);
        if row.link != 0 || !self.links.is_empty() {
            self.links.resize(at, 0);
            self.links.push(row.link);
        }
        if at.is_multiple_of(64) {
            self.live.push(0);
        }
        if let Some(word) = self.live.last_mut() {
            *word |= 1 << (at % 64);
        }
        self.alive += 1;
    }

    pub(super) fn seq(&self, at: usize) -> u64 {
        match self.offsets.get(at) {
            Some(offset) => self.base + u64::from(*offset),
            None => self.base + at as u64,
        }
    }

    /// Place of the first row at or behind `seq`; the number of rows when none is.
    pub(super) fn lower_bound(&self, seq: u64) -> usize {
        let offset = seq.saturating_sub(self.base);
        match self.offsets.is_empty() {
            true => usize::try_from(offset).unwrap_or(usize::MAX).min(self.len()),
            false => self.offsets.partition_point(|o| u64::from(*o) < offset),
        }
    }

    /// Place of the row of that sequence, whether the row is still there or gone.
    pub(super) fn place(&self, seq: u64) -> Option<usize> {
        let at = self.lower_bound(seq);
        (at < self.len() && seq >= self.base && self.seq(at) == seq).then_some(at)
    }

    pub(super) fn is_live(&self, at: usize) -> bool {
        self.live.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }

    /// The row at a place, whether it is still there or gone.
    pub(super) fn row(&self, at: usize) -> Option<Row> {
        Some(Row {
            seq: self.seq(at),
            time_ns: self.times.at(at),
            size: *self.sizes.get(at)?,
            slot: *self.slots.get(at)?,
            flags: u16::from_le_bytes([*self.flags.get(at)?, self.marks.get(at).copied().unwrap_or(0)]),
            link: self.links.get(at).copied().unwrap_or(0),
        })
    }

    pub(super) fn time(&self, at: usize) -> u64 {
        self.times.at(at)
    }

    /// Says how far behind a row the next of its subject is.
    pub(super) fn set_link(&mut self, at: usize, link: u32) {
        if self.links.is_empty() {
            self.links.resize(self.len(), 0);
        }
        if let Some(known) = self.links.get_mut(at) {
            *known = link;
        }
    }

    /// Takes a row that is there away.
    pub(super) fn remove(&mut self, at: usize) {
        if let Some(word) = self.live.get_mut(at / 64) {
            *word &= !(1 << (at % 64));
        }
        self.alive = self.alive.saturating_sub(1);
        while self.live.get(self.head) == Some(&0) {
            self.head += 1;
        }
    }

    /// The first row at or behind a place that is there and whose subject is wanted.
    #[inline]
    pub(super) fn scan(&self, from: usize, mut wanted: impl FnMut(u32) -> bool) -> Option<usize> {
        let mut mask = !0 << (from % 64);
        let first = from / 64;
        if first < self.head {
            mask = !0;
        }
        for at in first.max(self.head)..self.live.len() {
            let mut bits = self.live.get(at).copied().unwrap_or(0) & mask;
            mask = !0;
            let slots = self.slots.get(at * 64..).unwrap_or_default();
            if bits == !0 {
                match slots.iter().take(64).position(|slot| wanted(*slot)) {
                    Some(found) => return Some(at * 64 + found),
                    None => continue,
                }
            }
            while bits != 0 {
                let bit = bits.trailing_zeros() as usize;
                bits &= bits - 1;
                if slots.get(bit).is_some_and(|slot| wanted(*slot)) {
                    return Some(at * 64 + bit);
                }
            }
        }
        None
    }

    /// The last row before a place that is there and whose subject is wanted.
    pub(super) fn scan_back(&self, before: usize, mut wanted: impl FnMut(u32) -> bool) -> Option<usize> {
        let mut end = before.min(self.len());
        while end > 0 {
            let word = (end - 1) / 64;
            if word < self.head {
                return None;
            }
            let kept = end - word * 64;
            let mask = if kept == 64 { !0 } else { (1u64 << kept) - 1 };
            let mut bits = self.live.get(word).copied().unwrap_or(0) & mask;
            while bits != 0 {
                let bit = 63 - bits.leading_zeros() as usize;
                bits &= !(1 << bit);
                if self.slots.get(word * 64 + bit).is_some_and(|slot| wanted(*slot)) {
                    return Some(word * 64 + bit);
                }
            }
            end = word * 64;
        }
        None
    }

    /// Rows that are there in front of a place.
    pub(super) fn count_before(&self, at: usize) -> usize {
        let (word, bit) = (at / 64, at % 64);
        let whole: u32 = self.live.iter().take(word).map(|w| w.count_ones()).sum();
        let part = self.live.get(word).map_or(0, |w| (w & ((1 << bit) - 1)).count_ones());
        (whole + part) as usize
    }

    /// Whether most rows are gone, so that it is worth packing the rest.
    pub(super) fn is_thin(&self) -> bool {
        self.len() >= 64 && self.alive * 2 < self.len()
    }

    /// Appends the rows of another that are there. Their sequences must be behind and close enough.
    pub(super) fn append(&mut self, other: &Block) {
        let mut from = 0;
        while let Some(at) = other.scan(from, |_| true) {
            if let Some(row) = other.row(at) {
                self.push(&row);
            }
            from = at + 1;
        }
    }

    /// The rows that are there, in a block of their own.
    pub(super) fn packed(&self) -> Block {
        let mut packed = Block::new(self.base);
        packed.append(self);
        packed
    }

    /// Forgets all rows; keeps the memory of a small block for the next ones.
    pub(super) fn clear(&mut self) {
        if self.slots.capacity() > KEPT_ROWS_MAX {
            *self = Block::new(0);
            return;
        }
        self.offsets.clear();
        self.slots.clear();
        self.sizes.clear();
        self.flags.clear();
        self.marks.clear();
        self.times.clear();
        self.links.clear();
        self.live.clear();
        self.alive = 0;
        self.head = 0;
    }

    /// Gives back the room that no row needs.
    pub(super) fn shrink(&mut self) {
        self.offsets.shrink_to_fit();
        self.slots.shrink_to_fit();
        self.sizes.shrink_to_fit();
        self.flags.shrink_to_fit();
        self.marks.shrink_to_fit();
        self.links.shrink_to_fit();
        self.times.shrink();
    }

    /// Heap bytes, about.
    pub(super) fn heap_bytes(&self) -> usize {
        let words =
            self.offsets.capacity() + self.slots.capacity() + self.sizes.capacity() + self.links.capacity();
        size_of::<Block>()
            + words * 4
            + self.flags.capacity()
            + self.marks.capacity()
            + self.live.capacity() * 8
            + self.times.heap_bytes()
    }
}
