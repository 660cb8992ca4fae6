//! All rows of a stream, in blocks. Rows are appended in the order of their sequences; a block that thins out is packed
//! and joined with its neighbour, so that memory follows what is there. It does *not* know what a subject is.

use std::collections::VecDeque;

use super::block::{Block, ROWS_MAX, Row};

/// See the module.
#[derive(Default)]
pub(in crate::stream) struct Rows {
    /// By the sequence of their first row.
    blocks: VecDeque<(u64, Box<Block>)>,
    /// Rows that are there.
    alive: u64,
}

impl Rows {
    pub(in crate::stream) fn len(&self) -> u64 {
        self.alive
    }

    /// Appends a row; its sequence is behind all others.
    pub(in crate::stream) fn push(&mut self, row: &Row) {
        let fits = self.blocks.back().is_some_and(|(_, block)| block.alive == 0 || block.takes(row.seq));
        if !fits {
            self.trim_last();
            self.blocks.push_back((row.seq, Box::new(Block::new(row.seq))));
        }
        if let Some((base, block)) = self.blocks.back_mut() {
            if block.alive == 0 {
                block.clear();
            }
            block.push(row);
            *base = block.base;
            self.alive += 1;
        }
    }

    /// The row of that sequence, if it is there.
    pub(in crate::stream) fn get(&self, seq: u64) -> Option<Row> {
        let block = self.block(self.block_of(seq)?)?;
        let at = block.place(seq)?;
        block.is_live(at).then(|| block.row(at)).flatten()
    }

    /// The row of that sequence, there or gone, as long as it is remembered.
    pub(in crate::stream) fn peek(&self, seq: u64) -> Option<Row> {
        let block = self.block(self.block_of(seq)?)?;
        block.row(block.place(seq)?)
    }

    /// Notes that the message behind `seq` with its subject is `next`.
    pub(in crate::stream) fn set_link(&mut self, seq: u64, next: u64) {
        let link = u32::try_from(next.saturating_sub(seq)).unwrap_or(0);
        if let Some((block, at)) = self.place_mut(seq) {
            block.set_link(at, link);
        }
    }

    /// Takes a row away.
    pub(in crate::stream) fn remove(&mut self, seq: u64) -> Option<Row> {
        let index = self.block_of(seq)?;
        let last = index + 1 == self.blocks.len();
        let (_, block) = self.blocks.get_mut(index)?;
        let at = block.place(seq)?;
        if !block.is_live(at) {
            return None;
        }
        let row = block.row(at)?;
        block.remove(at);
        self.alive -= 1;
        match (block.alive, last) {
            (0, true) => block.clear(),
            (0, false) => drop(self.blocks.remove(index)),
            _ if block.is_thin() => self.pack(index),
            _ => {}
        }
        Some(row)
    }

    /// Forgets everything.
    pub(in crate::stream) fn clear(&mut self) {
        *self = Rows::default();
    }

    /// The first row at or behind `from` and not behind `to` whose subject is wanted.
    #[inline]
    pub(in crate::stream) fn scan(
        &self,
        from: u64,
        to: u64,
        mut wanted: impl FnMut(u32) -> bool,
    ) -> Option<u64> {
        let start = self.blocks.partition_point(|(base, _)| *base <= from).saturating_sub(1);
        for (base, block) in self.blocks.range(start..) {
            if *base > to {
                return None;
            }
            if let Some(at) = block.scan(block.lower_bound(from), &mut wanted) {
                return Some(block.seq(at)).filter(|seq| *seq <= to);
            }
        }
        None
    }

    /// The last row at or before `from` whose subject is wanted.
    pub(in crate::stream) fn scan_back(&self, from: u64, mut wanted: impl FnMut(u32) -> bool) -> Option<u64> {
        let end = self.blocks.partition_point(|(base, _)| *base <= from);
        self.blocks.range(..end).rev().find_map(|(_, block)| {
            let at = block.scan_back(block.lower_bound(from.saturating_add(1)), &mut wanted)?;
            Some(block.seq(at))
        })
    }

    /// The first row at or behind `from`.
    pub(in crate::stream) fn next(&self, from: u64) -> Option<u64> {
        self.scan(from, u64::MAX, |_| true)
    }

    /// Rows from `from` to `to`, both included.
    pub(in crate::stream) fn count(&self, from: u64, to: u64) -> u64 {
        if to < from {
            return 0;
        }
        self.count_before(to.saturating_add(1)) - self.count_before(from)
    }

    fn count_before(&self, seq: u64) -> u64 {
        let end = self.blocks.partition_point(|(base, _)| *base < seq);
        let Some(last) = end.checked_sub(1) else { return 0 };
        // The shorter half is counted.
        let whole = match last * 2 > self.blocks.len() {
            false => self.blocks.range(..last).map(|(_, b)| b.alive as u64).sum(),
            true => self.alive - self.blocks.range(last..).map(|(_, b)| b.alive as u64).sum::<u64>(),
        };
        whole + self.block(last).map_or(0, |b| b.count_before(b.lower_bound(seq)) as u64)
    }

    /// The first row with that time or a later one; times never fall from row to row.
    pub(in crate::stream) fn at_time(&self, time_ns: u64) -> Option<u64> {
        let after = self.blocks.partition_point(|(_, b)| b.len() > 0 && b.time(b.len() - 1) < time_ns);
        let block = self.block(after)?;
        let mut range = 0..block.len();
        while !range.is_empty() {
            let middle = range.start + range.len() / 2;
            match block.time(middle) < time_ns {
                true => range.start = middle + 1,
                false => range.end = middle,
            }
        }
        (range.start < block.len()).then(|| self.next(block.seq(range.start))).flatten()
    }

    /// Heap bytes, about.
    pub(in crate::stream) fn heap_bytes(&self) -> usize {
        let blocks: usize = self.blocks.iter().map(|(_, block)| block.heap_bytes()).sum();
        blocks + self.blocks.capacity() * size_of::<(u64, Box<Block>)>()
    }

    fn block(&self, index: usize) -> Option<&Block> {
        self.blocks.get(index).map(|(_, block)| &**block)
    }

    /// Which block a sequence would be in.
    fn block_of(&self, seq: u64) -> Option<usize> {
        match self.blocks.back() {
            Some((base, _)) if *base <= seq => Some(self.blocks.len() - 1),
            _ => self.blocks.partition_point(|(base, _)| *base <= seq).checked_sub(1),
        }
    }

    fn place_mut(&mut self, seq: u64) -> Option<(&mut Block, usize)> {
        let index = self.block_of(seq)?;
        let (_, block) = self.blocks.get_mut(index)?;
        let at = block.place(seq)?;
        Some((block, at))
    }

    /// Gives back the room of the last block that no row needs.
    fn trim_last(&mut self) {
        if let Some((_, block)) = self.blocks.back_mut() {
            block.shrink();
        }
    }

    /// Packs a block, and joins it to the one in front when both together fill half a block at most.
    fn pack(&mut self, index: usize) {
        let Some((base, block)) = self.blocks.get_mut(index) else { return };
        **block = block.packed();
        *base = block.base;
        let Some(before) = index.checked_sub(1) else { return };
        let (alive, end) = (block.alive, block.seq(block.len().saturating_sub(1)));
        let fits = |before: &Block| before.alive + alive <= ROWS_MAX / 2 && before.takes(end);
        if !self.block(before).is_some_and(fits) {
            return;
        }
        let Some((_, joined)) = self.blocks.remove(index) else { return };
        if let Some((base, block)) = self.blocks.get_mut(before) {
            **block = block.packed();
            block.append(&joined);
            *base = block.base;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Clone, Debug)]
    enum Op {
        Push { many: u64, gap: u64, step_ns: u64 },
        RemoveFront(usize),
        RemoveMost { but_every: usize },
        RemoveBlock { from: usize, many: usize },
    }

    fn op() -> impl Strategy<Value = Op> {
        let gap = prop_oneof![4 => Just(0u64), 1 => 1..50u64, 1 => Just(5_000_000_000)];
        let step = prop_oneof![Just(0u64), Just(1_000_000), 1..5_000_000u64];
        prop_oneof![
            4 => (1..3000u64, gap, step).prop_map(|(many, gap, step_ns)| Op::Push { many, gap, step_ns }),
            1 => (0..6000usize).prop_map(Op::RemoveFront),
            2 => (1..200usize).prop_map(|but_every| Op::RemoveMost { but_every }),
            2 => (0..8000usize, 0..8000usize).prop_map(|(from, many)| Op::RemoveBlock { from, many }),
        ]
    }

    /// Rows, and the same in a map.
    #[derive(Default)]
    struct Pair {
        rows: Rows,
        map: BTreeMap<u64, Row>,
        last: Row,
    }

    impl Pair {
        fn run(&mut self, op: &Op) {
            match *op {
                Op::Push { many, gap, step_ns } => {
                    self.last.seq += gap;
                    for n in 0..many {
                        let (seq, time_ns) = (self.last.seq + 1, self.last.time_ns + step_ns);
                        let flags = if many % 3 == 0 { (n % 900) as u16 } else { 1 };
                        let (size, slot) = (n as u32, (n % 7) as u32);
                        self.last = Row { seq, time_ns, size, slot, flags, ..self.last };
                        self.rows.push(&self.last);
                        self.map.insert(seq, self.last);
                    }
                }
                Op::RemoveFront(many) => self.remove(|at| at < many),
                Op::RemoveMost { but_every } => self.remove(|at| at % but_every != 0),
                Op::RemoveBlock { from, many } => self.remove(|at| (from..from + many).contains(&at)),
            }
        }

        fn remove(&mut self, goes: impl Fn(usize) -> bool) {
            let gone: Vec<u64> =
                self.map.keys().enumerate().filter(|(at, _)| goes(*at)).map(|(_, s)| *s).collect();
            for seq in gone {
                assert_eq!(self.rows.remove(seq), self.map.remove(&seq));
                assert_eq!(self.rows.remove(seq), None);
            }
        }

        fn compare(&self) {
            assert_eq!(self.rows.len(), self.map.len() as u64);
            let places: Vec<u64> = self.map.keys().step_by(97).flat_map(|s| [s - 1, *s, s + 1]).collect();
            for seq in places.into_iter().chain([0, 1, self.last.seq, u64::MAX]) {
                assert_eq!(self.rows.get(seq), self.map.get(&seq).copied());
                assert_eq!(self.rows.next(seq), self.map.range(seq..).next().map(|(s, _)| *s));
                let back = self.map.range(..=seq).rev().find(|(_, row)| row.slot == 3).map(|(s, _)| *s);
                assert_eq!(self.rows.scan_back(seq, |slot| slot == 3), back);
                assert_eq!(self.rows.scan(0, seq, |slot| slot == 5), {
                    self.map.range(..=seq).find(|(_, row)| row.slot == 5).map(|(s, _)| *s)
                });
                let time = self.map.get(&seq).map_or(seq, |row| row.time_ns);
                let first = self.map.values().find(|row| row.time_ns >= time).map(|row| row.seq);
                assert_eq!(self.rows.at_time(time), first);
            }
            for pair in self.map.keys().step_by(501).collect::<Vec<_>>().windows(2) {
                let wanted = self.map.range(pair[0]..=pair[1]).count() as u64;
                assert_eq!(self.rows.count(*pair[0], *pair[1]), wanted);
            }
            let cost = self.rows.heap_bytes();
            assert!(cost <= 12_000 + self.map.len() * 100, "{cost} bytes for {} rows", self.map.len());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

        #[test]
        fn rows_are_found_as_in_a_map(ops in prop::collection::vec(op(), 1..14)) {
            let mut pair = Pair::default();
            for op in &ops {
                pair.run(op);
                pair.compare();
            }
        }
    }
}
