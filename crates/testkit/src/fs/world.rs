//! What a disk in memory holds: what programs see, what would survive a power cut, and what lies between. It does *not*
//! decide when something fails.

use std::collections::{BTreeMap, BTreeSet};

/// What a disk writes whole or not at all, in bytes.
const SECTOR_BYTES: usize = 512;

/// A small generator of random numbers (splitmix64): enough for faults, not for secrets.
#[derive(Clone, Debug)]
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.next() % bound }
    }
}

/// A change of a file that is not synced.
#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

/// A file's content.
#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    pub(super) now: Vec<u8>,
    safe: Vec<u8>,
    changes: Vec<Change>,
}

impl Inode {
    pub(super) fn write(&mut self, at: usize, bytes: &[u8]) {
        apply(&mut self.now, &Change::Write(at, bytes.to_vec()));
        self.changes.push(Change::Write(at, bytes.to_vec()));
    }

    pub(super) fn set_len(&mut self, length: usize) {
        self.now.resize(length, 0);
        self.changes.push(Change::Length(length));
    }

    pub(super) fn sync(&mut self) {
        for change in self.changes.drain(..) {
            apply(&mut self.safe, &change);
        }
    }

    /// What Linux does when a sync fails: the pages count as clean, and the disk never gets them.
    pub(super) fn lose(&mut self) {
        self.changes.clear();
    }

    pub(super) fn flip(&mut self, bit: u64) {
        let (byte, mask) = ((bit / 8) as usize, 1 << (bit % 8));
        for held in [&mut self.now, &mut self.safe] {
            if let Some(byte) = held.get_mut(byte) {
                *byte ^= mask;
            }
        }
    }

    /// What is left after the power was cut: of each unsynced change all, nothing, or any of its sectors.
    fn cut(&mut self, random: &mut Random) {
        let mode = random.below(4);
        let kept = random.below(self.changes.len() as u64 + 1) as usize;
        for (at, change) in std::mem::take(&mut self.changes).into_iter().enumerate() {
            match mode {
                0 => {}
                1 => apply(&mut self.safe, &change),
                2 if at < kept => apply(&mut self.safe, &change),
                2 => {}
                _ => tear(&mut self.safe, &change, random),
            }
        }
        self.now.clone_from(&self.safe);
    }
}

fn apply(content: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Length(length) => content.resize(*length, 0),
        Change::Write(at, bytes) => {
            let end = at + bytes.len();
            if content.len() < end {
                content.resize(end, 0);
            }
            content[*at..end].copy_from_slice(bytes);
        }
    }
}

fn tear(content: &mut Vec<u8>, change: &Change, random: &mut Random) {
    let Change::Write(at, bytes) = change else {
        if random.below(2) == 0 {
            apply(content, change);
        }
        return;
    };
    let (mut from, end) = (*at, at + bytes.len());
    while from < end {
        let to = ((from / SECTOR_BYTES + 1) * SECTOR_BYTES).min(end);
        if random.below(2) == 0 {
            apply(content, &Change::Write(from, bytes[from - at..to - at].to_vec()));
        }
        from = to;
    }
}

/// A change of a folder that is not synced.
#[derive(Clone, Debug)]
enum Naming {
    Set(String, usize),
    Unset(String),
    Move(String, String, usize),
}

impl Naming {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Naming::Set(name, inode) => {
                names.insert(name.clone(), *inode);
            }
            Naming::Unset(name) => {
                names.remove(name);
            }
            Naming::Move(from, to, inode) => {
                names.remove(from);
                names.insert(to.clone(), *inode);
            }
        }
    }

    fn is_in(&self, folder: &str) -> bool {
        let (Naming::Set(name, _) | Naming::Unset(name) | Naming::Move(name, ..)) = self;
        name.split_once('/').is_some_and(|(of, _)| of == folder)
    }
}

/// The whole disk.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) random: Random,
    pub(super) inodes: Vec<Inode>,
    pub(super) names: BTreeMap<String, usize>,
    safe_names: BTreeMap<String, usize>,
    namings: Vec<Naming>,
    pub(super) folders: BTreeSet<String>,
    /// Grows with each power cut; files opened before it are gone.
    pub(super) epoch: u64,
    /// A hash of everything that was changed, in order.
    pub(super) trace: u64,
    pub(super) writes: u64,
    pub(super) syncs: u64,
    pub(super) fail_write_at: Option<u64>,
    pub(super) fail_sync_at: Option<u64>,
    pub(super) fail_reads: bool,
    pub(super) fail_reads_of: Option<(usize, u64)>,
    pub(super) capacity: Option<u64>,
}

impl World {
    pub(super) fn new(seed: u64) -> World {
        World {
            random: Random(seed),
            inodes: Vec::new(),
            names: BTreeMap::new(),
            safe_names: BTreeMap::new(),
            namings: Vec::new(),
            folders: BTreeSet::new(),
            epoch: 0,
            trace: seed,
            writes: 0,
            syncs: 0,
            fail_write_at: None,
            fail_sync_at: None,
            fail_reads: false,
            fail_reads_of: None,
            capacity: None,
        }
    }

    pub(super) fn note(&mut self, what: &str, numbers: &[u64], bytes: &[u8]) {
        for byte in
            what.bytes().chain(numbers.iter().flat_map(|n| n.to_le_bytes())).chain(bytes.iter().copied())
        {
            self.trace = (self.trace ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn name(&mut self, naming: Naming) {
        naming.apply(&mut self.names);
        self.namings.push(naming);
    }

    pub(super) fn create(&mut self, name: &str) -> usize {
        self.inodes.push(Inode::default());
        let inode = self.inodes.len() - 1;
        self.name(Naming::Set(name.to_owned(), inode));
        inode
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.name(Naming::Unset(name.to_owned()));
    }

    pub(super) fn rename(&mut self, from: &str, to: &str, inode: usize) {
        self.name(Naming::Move(from.to_owned(), to.to_owned(), inode));
    }

    pub(super) fn sync_folder(&mut self, folder: &str) {
        let (ours, others) = std::mem::take(&mut self.namings).into_iter().partition(|n| n.is_in(folder));
        self.namings = others;
        let ours: Vec<Naming> = ours;
        ours.iter().for_each(|naming| naming.apply(&mut self.safe_names));
    }

    /// Bytes in use.
    pub(super) fn used(&self) -> u64 {
        self.names.values().map(|inode| self.inodes[*inode].now.len() as u64).sum()
    }

    pub(super) fn power_cut(&mut self) {
        let mut random = self.random.clone();
        let any = random.below(3);
        let kept = random.below(self.namings.len() as u64 + 1) as usize;
        for (at, naming) in std::mem::take(&mut self.namings).into_iter().enumerate() {
            // A prefix of the changes, as file systems with a journal of their own leave it, or any of them.
            if if any == 0 { random.below(2) == 0 } else { at < kept } {
                naming.apply(&mut self.safe_names);
            }
        }
        self.names = self.safe_names.clone();
        let named: BTreeSet<usize> = self.names.values().copied().collect();
        for (number, inode) in self.inodes.iter_mut().enumerate() {
            if named.contains(&number) {
                inode.cut(&mut random);
            } else {
                *inode = Inode::default(); // Nothing can ever see it again.
            }
        }
        self.random = random;
        self.epoch += 1;
        self.note("power cut", &[], &[]);
    }
}
