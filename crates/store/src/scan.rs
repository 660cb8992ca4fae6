//! Reads the journal's files after a start and decides what counts: which frames are whole, where the journal ends, and
//! what is damage. It changes *nothing* on the disk.
//!
//! The rule: `synced` is the highest position that any frame, any head or the mark says was synced. What is broken behind
//! it was never safe: the journal is cut off there, in silence, whatever follows. What is broken at or below it was safe
//! once, so it is damage: reported, and everything around it is kept. What is not broken but missing was taken away:
//! who opens decides what to do about that.

use std::collections::BTreeMap;

use bytes::Bytes;
use kernel::Entry;
use kernel::journal::Damage;

use crate::Error;
use crate::entry;
use crate::error::Doing as _;
use crate::frame::{FRAME_BYTES, Frame};
use crate::fs::FileSystem;
use crate::head::{Found, HEAD_BYTES, Head, Identity, What};
use crate::item::{self, Item, Kind};
use crate::mark::Mark;
use crate::table::Whole;
use crate::writer::Place;

/// A journal file, read.
#[derive(Debug)]
struct Read {
    place: Place,
    name: String,
    bytes: Bytes,
    /// Items whose head is whole, in order.
    items: Vec<Item>,
    head_synced: u64,
}

/// A file that holds something that counts.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) place: Place,
    /// The last position in it.
    pub(crate) last: u64,
    /// Bytes in use.
    pub(crate) bytes: u64,
    /// Bytes of entries in it that are not settled.
    pub(crate) unsettled_bytes: u64,
    /// What nothing says was synced: where it begins, and what it is. The operating system may show it although the
    /// disk failed to take it, so it must be written again.
    pub(crate) unsure: Option<(u64, Bytes)>,
}

/// Damage, and the bytes to set aside.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) damage: Damage,
    /// Name for what is set aside.
    pub(crate) aside: String,
    pub(crate) bytes: Bytes,
}

/// Positions that were safe once and are nowhere, without a trace of damage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// The file in which, and where in it, what comes behind them begins, or they should.
    pub(crate) file: String,
    pub(crate) offset: u64,
}

/// What the journal came to.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// The last position.
    pub(crate) last: u64,
    /// What counts, in order.
    pub(crate) entries: Vec<(u64, Entry)>,
    pub(crate) kept: Vec<Kept>,
    /// Where a file must be cut off.
    pub(crate) cut: Option<(Place, u64)>,
    /// Files that hold nothing that counts.
    pub(crate) dropped: Vec<String>,
    pub(crate) broken: Vec<Broken>,
    pub(crate) missing: Vec<Missing>,
    /// The newest file that must be there, if it is not.
    pub(crate) lost_file: Option<String>,
}

/// Reads all journal files. `settled`: entries up to there are not wanted. `mark`: what must be there.
pub(crate) fn scan(
    fs: &dyn FileSystem,
    identity: &Identity,
    numbers: &[u64],
    settled: u64,
    mark: Mark,
) -> Result<Scan, Error> {
    let mut scan = Scan { last: settled, ..Scan::default() };
    let mut files = Vec::new();
    for number in numbers {
        match read(fs, identity, *number, &mut scan)? {
            Some(file) => files.push(file),
            None => scan.dropped.push(What::Journal.name(*number)),
        }
    }
    if mark.is_needed && !files.iter().any(|file| file.place.number >= mark.file) {
        scan.lost_file = Some(What::Journal.name(mark.file));
    }
    Walk::new(scan, settled, mark, &files).files(files)
}

/// Reads a file; `None`: nothing was ever written to it.
fn read(
    fs: &dyn FileSystem,
    identity: &Identity,
    number: u64,
    scan: &mut Scan,
) -> Result<Option<Read>, Error> {
    let name = What::Journal.name(number);
    let file = fs.open(&name).doing(&name, "opened")?;
    let size = file.size().doing(&name, "read")?;
    let mut head = vec![0; HEAD_BYTES.min(size as usize)];
    file.read_at(0, &mut head).doing(&name, "read")?;
    let found = Head::decode(&head, What::Journal, &name, identity)?;
    let head_synced = match found {
        Found::Nothing => return Ok(None),
        Found::Head(head) if head.number != number => return Ok(None),
        Found::Head(head) => head.synced.0,
        Found::Damage => 0,
    };
    let mut bytes = vec![0; size as usize];
    file.read_at(0, &mut bytes).doing(&name, "read")?;
    let salt = What::Journal.salt(number, identity);
    let (mut items, mut from) = (Vec::new(), HEAD_BYTES);
    while let Some(item) = item::find(&bytes, from, salt) {
        // An item that reaches beyond the end is torn, and so is what its length says.
        from = if item.intact || item.next() <= bytes.len() { item.next() } else { item.start + 8 };
        items.push(item);
    }
    if found == Found::Damage && items.is_empty() {
        return Ok(None); // It was being begun.
    }
    bytes.truncate(from);
    bytes.shrink_to_fit();
    let read = Read { place: Place { number, file }, name, bytes: bytes.into(), items, head_synced };
    if found == Found::Damage {
        let what = "the file's head is damaged; no entry was lost by it".to_owned();
        scan.broken.push(read.broken(0, HEAD_BYTES, what));
    }
    Ok(Some(read))
}

impl Read {
    fn broken(&self, start: usize, end: usize, what: String) -> Broken {
        let damage = Damage { file: self.name.clone(), offset: start as u64, what, entries: 0 };
        let bytes = self.bytes.slice(
            start.min(self.bytes.len())..end.clamp(start, self.bytes.len().max(start)).min(self.bytes.len()),
        );
        Broken { damage, aside: format!("journal-{:016x}-{start}", self.place.number), bytes }
    }

    fn frame(&self, item: &Item) -> Option<Frame> {
        (item.intact && item.kind == Kind::Frame).then(|| Frame::read(item, &self.bytes)).flatten()
    }

    /// The highest position that is known to have been synced.
    fn synced(&self) -> u64 {
        let frames = self.items.iter().filter_map(|item| self.frame(item));
        frames.map(|frame| frame.synced).max().unwrap_or_default().max(self.head_synced)
    }
}

/// Goes through the files in order.
struct Walk {
    scan: Scan,
    settled: u64,
    synced: u64,
    /// What is missing up to here is known.
    accepted: u64,
    /// The position that should come next.
    next: u64,
    /// Bytes of entries in this file that are not settled.
    unsettled_bytes: u64,
    /// Where in this file something begins that nothing says was synced.
    unsure: Option<usize>,
    /// Whether damage just now makes a gap in the positions no news.
    excused: bool,
}

impl Walk {
    fn new(scan: Scan, settled: u64, mark: Mark, files: &[Read]) -> Walk {
        let synced = files.iter().map(Read::synced).max().unwrap_or_default();
        let (next, accepted) = (settled + 1, mark.accepted);
        let synced = synced.max(settled).max(mark.synced).max(accepted);
        Walk { scan, settled, synced, accepted, next, unsettled_bytes: 0, unsure: None, excused: false }
    }

    fn files(mut self, files: Vec<Read>) -> Result<Scan, Error> {
        let mut end_of_all = (What::Journal.folder().to_owned(), 0);
        for file in files {
            if self.scan.cut.is_some() {
                self.scan.dropped.push(file.name);
                continue;
            }
            let end = self.file(&file);
            let used = end.unwrap_or(file.bytes.len());
            if used <= HEAD_BYTES && end.is_some() {
                self.scan.dropped.push(file.name);
                self.scan.cut = Some((file.place, 0));
                continue;
            }
            if let Some(end) = end {
                self.scan.cut = Some((file.place.clone(), end as u64));
            }
            end_of_all = (file.name.clone(), used as u64);
            let last = self.next.saturating_sub(1);
            let unsettled_bytes = std::mem::take(&mut self.unsettled_bytes);
            let unsure = self.unsure.take().filter(|start| *start < used);
            let unsure =
                unsure.map(|start| (start as u64, file.bytes.slice(start..used.min(file.bytes.len()))));
            self.scan.kept.push(Kept {
                place: file.place,
                last,
                bytes: used as u64,
                unsettled_bytes,
                unsure,
            });
        }
        if self.next <= self.synced {
            // The end is damaged or missing: something says that more was synced.
            if !self.excused {
                let (file, offset) = end_of_all;
                self.missing(self.synced, file, offset);
            }
            self.next = self.synced + 1;
        }
        self.scan.last = self.settled.max(self.next.saturating_sub(1));
        Ok(self.scan)
    }

    /// Goes through a file. Gives where it must be cut off.
    fn file(&mut self, file: &Read) -> Option<usize> {
        let mut at = 0;
        let mut end = HEAD_BYTES;
        while let Some(item) = file.items.get(at) {
            let Some(frame) = file.frame(item) else {
                // No frame begins where one should.
                if !self.is_safe() && item.position > self.synced {
                    return Some(end);
                }
                let orphans =
                    file.items.iter().skip(at).take_while(|item| file.frame(item).is_none()).count();
                let group = file.items.get(at..at + orphans).unwrap_or_default();
                self.damaged(file, group, end);
                (at, end) = (at + orphans, group.last().map_or(end, Item::next));
                continue;
            };
            if item.start > end {
                if !self.is_safe() && frame.first > self.synced + 1 {
                    return Some(end);
                }
                // A hole in front of what comes next is a frame without entries.
                if frame.first > self.next {
                    self.report(
                        file,
                        end,
                        item.start,
                        "entries could not be read, their positions are unknown",
                    );
                    self.excused = true;
                }
            }
            let until = item.next() + frame.bytes as usize;
            let rest = file.items.iter().skip(at + 1);
            let count = rest.take_while(|item| item.start < until && file.frame(item).is_none()).count();
            let group = file.items.get(at + 1..at + 1 + count).unwrap_or_default();
            if !self.frame(file, &frame, group, item.next()) {
                return Some(item.start.min(end));
            }
            (at, end) = (at + 1 + count, until);
        }
        None
    }

    /// Whether the next position was once safe, so that what is wrong about it is damage.
    fn is_safe(&self) -> bool {
        self.next <= self.synced
    }

    /// Takes a frame in; false: the journal ends in front of it.
    fn frame(&mut self, file: &Read, frame: &Frame, group: &[Item], start: usize) -> bool {
        if frame.first > self.next {
            if !self.is_safe() {
                return false;
            }
            if !self.excused {
                self.missing(frame.first - 1, file.name.clone(), start as u64);
            }
            self.next = frame.first;
        }
        let whole = group.len() == frame.items as usize && group.iter().all(|item| item.intact);
        if !whole && frame.first > self.synced {
            return false;
        }
        self.excused = false;
        if frame.next() > self.synced + 1 {
            let start = if start <= 2 * HEAD_BYTES { 0 } else { start - FRAME_BYTES };
            self.unsure.get_or_insert(start);
        }
        self.take(file, group);
        if !whole {
            let mut end = start;
            for item in group {
                if item.start > end {
                    self.report(
                        file,
                        end,
                        item.start,
                        "entries could not be read, their positions are unknown",
                    );
                }
                if !item.intact {
                    self.report(file, item.start, item.next(), &describe(item));
                }
                end = item.next();
            }
            let until = start + frame.bytes as usize;
            if end < until {
                self.report(file, end, until, "entries could not be read, their positions are unknown");
            }
        }
        self.next = self.next.max(frame.next());
        true
    }

    /// Takes in what is whole of items that no frame claims.
    fn damaged(&mut self, file: &Read, group: &[Item], from: usize) {
        let end = group.first().map_or(from, |item| item.start);
        if end > from || group.is_empty() {
            self.report(file, from, end, "a frame's own item is damaged; the entries in it were kept");
        }
        for item in group.iter().filter(|item| !item.intact) {
            self.report(file, item.start, item.next(), &describe(item));
        }
        self.take(file, group);
        let last =
            group.iter().filter(|item| item.intact && item.kind != Kind::Frame).map(|item| item.position);
        self.next = last.map(|last| last + 1).max().unwrap_or_default().max(self.next);
        self.excused = true;
    }

    fn take(&mut self, file: &Read, group: &[Item]) {
        // A position counts once: it stands twice only where somebody put an older file back.
        let from = self.next.max(self.settled + 1);
        for item in group.iter().filter(|item| item.intact && item.position >= from) {
            let body = file.bytes.slice(item.body_at()..item.body_at() + item.body_len);
            let entry = entry::decode(item.kind, body);
            self.unsettled_bytes += (item.next() - item.start) as u64;
            self.scan.entries.extend(entry.map(|entry| (item.position, entry)));
        }
    }

    /// Notes that everything from the next position up to another is missing.
    fn missing(&mut self, last: u64, file: String, offset: u64) {
        let missing = Missing { first: self.next, last, file, offset };
        match last <= self.accepted {
            true => self.scan.broken.push(missing.accepted()),
            false => self.scan.missing.push(missing),
        }
    }

    fn report(&mut self, file: &Read, start: usize, end: usize, what: &str) {
        self.scan.broken.push(file.broken(start, end, what.to_owned()));
    }
}

impl Missing {
    /// As damage, when it is known and accepted.
    pub(crate) fn accepted(self) -> Broken {
        let Missing { first, last, file, offset } = self;
        let what = format!("entries {first} to {last} are missing");
        let damage = Damage { file, offset, what, entries: last - first + 1 };
        Broken { damage, aside: String::new(), bytes: Bytes::new() }
    }
}

fn describe(item: &Item) -> String {
    match item.kind {
        Kind::Frame => "a frame's own item is damaged; the entries in it were kept".to_owned(),
        kind => format!("the entry at position {} ({kind:?}) is damaged", item.position),
    }
}

impl Scan {
    /// The state changes in it that no whole state stands behind, in order. `settled`: state that the catalogue holds.
    pub(crate) fn deltas(&self, settled: &BTreeMap<Bytes, Whole>) -> Vec<(Bytes, Bytes)> {
        let mut whole: BTreeMap<&Bytes, u64> = BTreeMap::new();
        for (position, entry) in &self.entries {
            if let Entry::State(key, _) = entry {
                let at = whole.entry(key).or_default();
                *at = (*at).max(*position);
            }
        }
        let open = self.entries.iter().filter_map(|(position, entry)| match entry {
            Entry::Delta(key, change)
                if whole.get(key).is_none_or(|at| at < position)
                    && settled.get(key).is_none_or(|whole| whole.position < *position) =>
            {
                Some((Bytes::copy_from_slice(key), Bytes::copy_from_slice(change)))
            }
            _ => None,
        });
        open.collect()
    }
}
