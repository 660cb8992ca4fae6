//! The catalogue: all settled state, where each log's settled records are, and up to which position the journal is
//! settled. A file of frames to which every settling appends one; made anew when most of it is outdated. It holds *no*
//! records and is read only when the store opens.
//!
//! Each frame is written twice in a row: what a flipped bit breaks in one copy is taken from the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use kernel::journal::Damage;
use kernel::{Code, LogId, Position};

use crate::bytes::Cut;
use crate::entry::{decode_pair, decode_ranges, encode_pair, encode_ranges};
use crate::error::{Doing as _, Error};
use crate::frame::Frame;
use crate::fs::{File, FileSystem};
use crate::head::{Found, HEAD_BYTES, Head, Identity, What};
use crate::item::{self, Item, Kind};
use crate::ranges::Ranges;
use crate::table::{Run, Whole};

/// Growth that is allowed before the file is made anew, whatever its size.
const SLACK_BYTES: u64 = 4 << 20;

/// A log as it was settled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogRow {
    pub(crate) last: u64,
    pub(crate) last_time_ns: u64,
    pub(crate) runs: Vec<Run>,
    pub(crate) removed: Ranges,
}

/// What one settling changes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Change {
    pub(crate) logs: Vec<(LogId, LogRow)>,
    pub(crate) forgotten: Vec<LogId>,
    pub(crate) states: Vec<(Bytes, Whole)>,
    pub(crate) settled: u64,
    pub(crate) next_segment: u64,
}

/// Everything that is settled.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) logs: BTreeMap<LogId, LogRow>,
    pub(crate) states: BTreeMap<Bytes, Whole>,
    pub(crate) settled: u64,
    pub(crate) next_segment: u64,
    pub(crate) damage: Vec<Damage>,
    /// Whether something in it could be read from neither copy.
    pub(crate) is_lossy: bool,
}

/// The catalogue's file.
#[derive(Debug)]
pub(crate) struct Catalogue {
    fs: Arc<dyn FileSystem>,
    identity: Identity,
    /// The file in use; `None`: there is none yet.
    file: Option<Arc<dyn File>>,
    number: u64,
    /// Whether it is in such order that it may be appended to.
    is_sound: bool,
    offset: u64,
    /// Length of the file when it was made.
    base: u64,
    /// Number of the next frame.
    sequence: u64,
    /// Number of the last frame in the file.
    noted: u64,
    /// The highest number of any file.
    highest: u64,
    /// What may not have been synced: where it begins, and what it is. The operating system may show it although the
    /// disk failed to take it.
    unsure: Option<(u64, Bytes)>,
    /// Whether something in it could not be read when it was opened. That was reported.
    is_lossy: bool,
}

/// A file, read.
#[derive(Debug)]
struct Read {
    contents: Contents,
    is_sound: bool,
    end: u64,
    /// Number of the last frame that counts.
    last: u64,
    /// The next that was never used.
    sequence: u64,
    last_frame: (u64, Bytes),
}

impl Catalogue {
    /// Reads the newest catalogue. `marked`: frames up to this number were safe once. Nothing is changed on the disk.
    pub(crate) fn read(
        fs: Arc<dyn FileSystem>,
        identity: &Identity,
        numbers: &[u64],
        marked: u64,
    ) -> Result<(Catalogue, Contents), Error> {
        let mut catalogue = Catalogue {
            fs,
            identity: identity.clone(),
            file: None,
            number: 0,
            is_sound: false,
            offset: 0,
            base: 0,
            sequence: 1,
            noted: 0,
            highest: numbers.last().copied().unwrap_or_default(),
            unsure: None,
            is_lossy: false,
        };
        let mut contents: Option<Contents> = None;
        for number in numbers.iter().rev() {
            // Every head is looked at, so that another node's folder is refused.
            let name = What::Catalogue.name(*number);
            let file = catalogue.fs.open(&name).doing(&name, "opened")?;
            let Some(read) =
                read_file(&*file, &name, *number, identity, contents.is_none().then_some(marked))?
            else {
                continue;
            };
            (catalogue.file, catalogue.number, catalogue.is_sound) = (Some(file), *number, read.is_sound);
            (catalogue.offset, catalogue.base) = (read.end, read.end);
            (catalogue.sequence, catalogue.noted) = (read.sequence, read.last);
            catalogue.unsure = Some(read.last_frame);
            catalogue.is_lossy = read.contents.is_lossy;
            contents = Some(read.contents);
        }
        Ok((catalogue, contents.unwrap_or_default()))
    }

    /// Number of the last frame.
    pub(crate) fn last(&self) -> u64 {
        self.noted
    }

    /// Where the file ends, for a report.
    pub(crate) fn end(&self) -> (String, u64) {
        let name =
            if self.file.is_some() { What::Catalogue.name(self.number) } else { "the catalogue".to_owned() };
        (name, self.offset)
    }

    /// Goes on behind frames that are missing: no number is given twice.
    pub(crate) fn skip_to(&mut self, last: u64) {
        self.sequence = self.sequence.max(last + 1);
    }

    /// Makes safe what was read and removes files that are not needed. Called once, when the folder may be changed.
    pub(crate) fn tidy(&mut self, numbers: &[u64]) -> Result<(), Error> {
        let folder = What::Catalogue.folder();
        if let Some(file) = &self.file {
            let name = What::Catalogue.name(self.number);
            if self.is_sound {
                file.truncate(self.offset).doing(&name, "cut off")?;
            }
            if let Some((start, bytes)) = self.unsure.take() {
                file.write_at(start, &bytes).doing(&name, "written")?;
            }
            file.sync_data().doing(&name, "synced")?;
            self.fs.sync_folder(folder).doing(folder, "synced")?;
        }
        for number in numbers.iter().filter(|number| **number != self.number) {
            let name = What::Catalogue.name(*number);
            self.fs.remove(&name).doing(&name, "removed")?;
        }
        Ok(())
    }

    /// Whether the next change should rather be everything there is.
    pub(crate) fn wants_all(&self) -> bool {
        !self.is_sound || self.offset > self.base * 2 + SLACK_BYTES
    }

    /// Everything there is on the disk, for [`Catalogue::replace`]. Errors: it cannot be read, or not what could be read
    /// when it was opened; written anew without that, it would be lost and nobody told.
    pub(crate) fn contents(&self) -> Result<Contents, Error> {
        let Some(file) = &self.file else { return Ok(Contents::default()) };
        let name = What::Catalogue.name(self.number);
        let read = read_file(&**file, &name, self.number, &self.identity, Some(self.noted))?;
        match read {
            Some(read) if read.last == self.noted && (self.is_lossy || !read.contents.is_lossy) => {
                Ok(read.contents)
            }
            _ => Err(Error {
                code: Code::StoreFailed,
                text: format!("{name} was damaged since it was opened; start again for what can be saved"),
            }),
        }
    }

    /// Appends a change and syncs it. After an error the catalogue must not be used any more.
    pub(crate) fn append(&mut self, change: &Change) -> Result<(), Error> {
        let Some(file) = &self.file else { return Ok(()) };
        let name = What::Catalogue.name(self.number);
        let mut bytes = Vec::new();
        encode_twice(change, self.sequence, What::Catalogue.salt(self.number, &self.identity), &mut bytes);
        file.write_at(self.offset, &bytes).doing(&name, "written")?;
        file.sync_data().doing(&name, "synced")?;
        self.offset += bytes.len() as u64;
        self.noted = self.sequence;
        self.sequence += 1;
        Ok(())
    }

    /// Begins a file with a change that holds everything there is, and removes the old one. After an error the catalogue
    /// must not be used any more.
    pub(crate) fn replace(&mut self, all: &Change) -> Result<(), Error> {
        let (number, folder) = (self.highest + 1, What::Catalogue.folder());
        let name = What::Catalogue.name(number);
        let file = self.fs.create(&name).doing(&name, "made")?;
        let mut bytes = Vec::new();
        let nothing = Position(0);
        let head = Head { what: What::Catalogue, number, first: nothing, synced: nothing };
        head.encode(&self.identity, &mut bytes);
        encode_twice(all, self.sequence, What::Catalogue.salt(number, &self.identity), &mut bytes);
        file.write_at(0, &bytes).doing(&name, "written")?;
        file.sync_data().doing(&name, "synced")?;
        self.fs.sync_folder(folder).doing(folder, "synced")?;
        if self.file.is_some() {
            // If it stays it is outdated, and removed when the store opens.
            let _ = self.fs.remove(&What::Catalogue.name(self.number));
        }
        let length = bytes.len() as u64;
        (self.file, self.number, self.highest, self.is_sound) = (Some(file), number, number, true);
        (self.offset, self.base, self.is_lossy) = (length, length, false);
        self.noted = self.sequence;
        self.sequence += 1;
        // A short frame behind the long one, which says that that was synced: opening need not write it again.
        self.append(&Change { settled: all.settled, next_segment: all.next_segment, ..Change::default() })
    }
}

/// Reads a file; `None`: it was not finished, or it is not wanted and only its head was looked at. `wanted`: frames up to
/// this number were safe once.
fn read_file(
    file: &dyn File,
    name: &str,
    number: u64,
    identity: &Identity,
    wanted: Option<u64>,
) -> Result<Option<Read>, Error> {
    let size = file.size().doing(name, "read")? as usize;
    let mut bytes = vec![0; if wanted.is_some() { size } else { HEAD_BYTES.min(size) }];
    file.read_at(0, &mut bytes).doing(name, "read")?;
    let head = Head::decode(&bytes, What::Catalogue, name, identity)?;
    let Some(safe) = wanted.filter(|_| head != Found::Nothing) else { return Ok(None) };
    let bytes = Bytes::from(bytes);
    let mut contents = Contents::default();
    let damaged = |contents: &mut Contents, offset: usize, what: &str| {
        let (file, offset, what) = (name.to_owned(), offset as u64, what.to_owned());
        contents.damage.push(Damage { file, offset, what, entries: 0 });
    };
    if head == Found::Damage {
        damaged(&mut contents, 0, "the file's head is damaged; nothing was lost by it");
    }
    let mut frames: BTreeMap<u64, Vec<Copy>> = BTreeMap::new();
    for copy in copies(&bytes, What::Catalogue.salt(number, identity)) {
        frames.entry(copy.frame.first).or_default().push(copy);
    }
    let last = frames.keys().next_back().copied();
    let (mut read_any, mut is_sound, mut end) = (false, head != Found::Damage, HEAD_BYTES);
    let (mut last_start, mut read_last) = (0, 0);
    for (sequence, copies) in frames {
        let Some(wanted) = copies.first().map(|copy| copy.frame.items as usize) else { continue };
        let twice = copies.len() == 2 && copies.iter().all(Copy::is_whole);
        let start = copies.iter().map(|copy| copy.start).min().unwrap_or(end);
        let copies_end = copies.iter().map(|copy| copy.end).max().unwrap_or(end);
        let items: BTreeMap<_, _> = copies.into_iter().flat_map(|copy| copy.items).collect();
        let whole = items.len() == wanted;
        if Some(sequence) == last && !whole && sequence > safe {
            break; // It was being written.
        }
        // A last frame with one good copy may have been cut short in the other; its file is not appended to.
        is_sound &= twice && start == end;
        if !whole {
            let what =
                "a part of the catalogue is damaged in both copies; state or places of records are lost";
            damaged(&mut contents, start, what);
            contents.is_lossy = true;
        } else if !twice && Some(sequence) != last {
            let what = "a part of the catalogue is damaged; its second copy was used, and nothing is lost";
            damaged(&mut contents, start, what);
        }
        items.into_values().for_each(|(kind, position, body)| contents.fold(kind, position, body));
        last_start = if read_any { start } else { 0 };
        (read_any, end, read_last) = (true, copies_end.min(bytes.len()), sequence);
    }
    let sequence = last.unwrap_or_default() + 1;
    let last_frame = (last_start as u64, bytes.slice(last_start.min(end)..end));
    Ok(read_any.then_some(Read {
        contents,
        is_sound,
        end: end as u64,
        last: read_last,
        sequence,
        last_frame,
    }))
}

/// A copy of a frame that was found.
struct Copy {
    frame: Frame,
    start: usize,
    end: usize,
    /// Whole items, by where they begin in the frame.
    items: BTreeMap<usize, (Kind, u64, Bytes)>,
}

impl Copy {
    fn is_whole(&self) -> bool {
        self.items.len() == self.frame.items as usize
    }
}

fn copies(bytes: &Bytes, salt: u32) -> Vec<Copy> {
    let mut copies: Vec<Copy> = Vec::new();
    let mut from = HEAD_BYTES;
    while let Some(found) = item::find(bytes, from, salt) {
        from = if found.intact || found.next() <= bytes.len() { found.next() } else { found.start + 8 };
        if !found.intact {
            continue;
        }
        if found.kind == Kind::Frame
            && let Some(frame) = Frame::read(&found, bytes)
        {
            let end = found.next() + frame.bytes as usize;
            copies.push(Copy { frame, start: found.start, end, items: BTreeMap::new() });
        } else if let Some(copy) = copies.last_mut().filter(|copy| found.start < copy.end) {
            let Item { kind, position, .. } = found;
            let body = bytes.slice(found.body_at()..found.body_at() + found.body_len);
            copy.items.insert(found.start - copy.start, (kind, position, body));
        }
    }
    copies
}

fn encode_twice(change: &Change, sequence: u64, salt: u32, out: &mut Vec<u8>) {
    for _ in 0..2 {
        // Items are aligned from the start of the file, and every frame's length is a multiple of that.
        let mut one = Vec::new();
        let start = Frame::reserve(&mut one);
        let items = change.encode(salt, &mut one);
        Frame { first: sequence, count: 1, items, bytes: 0, synced: 0 }.write(&mut one, start, salt);
        out.extend_from_slice(&one);
    }
}

impl Change {
    fn encode(&self, salt: u32, out: &mut Vec<u8>) -> u32 {
        let mut items = 0;
        let mut add = |kind: Kind, position: u64, out: &mut Vec<u8>, body: &dyn Fn(&mut Vec<u8>)| {
            let begun = item::begin(out);
            body(out);
            item::end(out, begun, salt, position, kind);
            items += 1;
        };
        for (key, Whole { position, value }) in &self.states {
            match value {
                Some(value) => add(Kind::State, *position, out, &|out| encode_pair(key, value, out)),
                None => add(Kind::StateGone, *position, out, &|out| out.extend_from_slice(key)),
            }
        }
        for log in &self.forgotten {
            add(Kind::Forget, log.0, out, &|_| {});
        }
        for (log, row) in &self.logs {
            add(Kind::Log, log.0, out, &|out| row.encode(out));
        }
        add(Kind::Settled, self.settled, out, &|out| out.extend_from_slice(&self.next_segment.to_le_bytes()));
        items
    }
}

impl Contents {
    fn fold(&mut self, kind: Kind, position: u64, body: Bytes) {
        match kind {
            Kind::State => {
                if let Some((key, value)) = decode_pair(&body) {
                    // Copied, so that a small piece does not hold the whole file in memory.
                    let value = Some(Bytes::copy_from_slice(&value));
                    self.states.insert(Bytes::copy_from_slice(&key), Whole { position, value });
                }
            }
            Kind::StateGone => {
                self.states.insert(Bytes::copy_from_slice(&body), Whole { position, value: None });
            }
            Kind::Forget => {
                self.logs.remove(&LogId(position));
            }
            Kind::Log => {
                if let Some(row) = LogRow::decode(&body) {
                    self.logs.insert(LogId(position), row);
                }
            }
            Kind::Settled => {
                self.settled = position;
                self.next_segment = Cut(&body).u64().unwrap_or_default();
            }
            Kind::Frame
            | Kind::Record
            | Kind::Remove
            | Kind::Delta
            | Kind::Checkpoint
            | Kind::Footer
            | Kind::Mark => {}
        }
    }
}

impl LogRow {
    fn encode(&self, out: &mut Vec<u8>) {
        for number in [self.last, self.last_time_ns, self.runs.len() as u64] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for run in &self.runs {
            let places =
                [run.segment, run.start, run.footer, run.footer_bytes, run.first, run.last, run.written];
            let live = [run.count, run.bytes, run.live_first, run.live_first_time_ns];
            for number in places.into_iter().chain(live) {
                out.extend_from_slice(&number.to_le_bytes());
            }
        }
        encode_ranges(self.removed.iter(), out);
    }

    fn decode(body: &[u8]) -> Option<LogRow> {
        let mut cut = Cut(body);
        let mut row = LogRow { last: cut.u64()?, last_time_ns: cut.u64()?, ..LogRow::default() };
        for _ in 0..cut.u64()? {
            row.runs.push(Run {
                segment: cut.u64()?,
                start: cut.u64()?,
                footer: cut.u64()?,
                footer_bytes: cut.u64()?,
                first: cut.u64()?,
                last: cut.u64()?,
                written: cut.u64()?,
                count: cut.u64()?,
                bytes: cut.u64()?,
                live_first: cut.u64()?,
                live_first_time_ns: cut.u64()?,
            });
        }
        decode_ranges(&mut cut).into_iter().for_each(|range| row.removed.insert(range));
        Some(row)
    }
}
