//! Appends submissions to the journal's files: one write each, on the thread of who submits. It does *not* sync and
//! does *not* remember what it wrote.

use std::io;
use std::sync::Arc;

use kernel::{Entry, Position};

use crate::entry;
use crate::frame::Frame;
use crate::fs::{File, FileSystem};
use crate::head::{HEAD_BYTES, Head, Identity, What};
use crate::item;

/// A buffer that has become larger than this is given back after use.
const BUFFER_BYTES_KEPT: usize = 4 << 20;

/// A file to write to.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) number: u64,
    pub(crate) file: Arc<dyn File>,
}

/// The end of the journal.
#[derive(Debug)]
pub(crate) struct Writer {
    identity: Identity,
    place: Place,
    salt: u32,
    /// Where the next byte goes.
    offset: u64,
    /// The first position that no frame stands for yet.
    next: u64,
    buffer: Vec<u8>,
}

/// What a write came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wrote {
    /// Bytes; 0: there was nothing that had to be written.
    pub(crate) bytes: u64,
    /// Items, the frame's own not counted.
    pub(crate) items: u32,
}

impl Writer {
    /// A writer whose first frame begins a file.
    pub(crate) fn new(identity: Identity, place: Place, next: u64) -> Writer {
        let salt = What::Journal.salt(place.number, &identity);
        Writer { identity, place, salt, offset: 0, next, buffer: Vec::new() }
    }

    /// Goes on in this file, from its start.
    pub(crate) fn begin(&mut self, place: Place) {
        self.salt = What::Journal.salt(place.number, &self.identity);
        self.place = place;
        self.offset = 0;
    }

    /// Whether a frame of that many bytes should rather begin a file.
    pub(crate) fn is_full(&self, bytes: u64, file_bytes: u64) -> bool {
        self.offset > HEAD_BYTES as u64 && self.offset + bytes > file_bytes
    }

    /// Where the next byte goes.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The file in use.
    pub(crate) fn number(&self) -> u64 {
        self.place.number
    }

    /// Bytes that these entries would take.
    pub(crate) fn estimate(entries: &[Entry]) -> u64 {
        entries.iter().map(|entry| entry_bytes(entry) as u64 + 64).sum()
    }

    /// Writes a frame of the entries that are written at all. `first`: position of the first of them. Without entries
    /// the frame only says what is synced.
    pub(crate) fn write(&mut self, first: u64, entries: &[Entry], synced: u64) -> io::Result<Wrote> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        if self.offset == 0 {
            let (number, synced) = (self.place.number, Position(synced));
            let head = Head { what: What::Journal, number, first: Position(self.next), synced };
            head.encode(&self.identity, &mut buffer);
        }
        let start = Frame::reserve(&mut buffer);
        let mut items = 0;
        for (entry, position) in entries.iter().zip(first..) {
            if entry::is_volatile(entry) {
                continue;
            }
            let begun = item::begin(&mut buffer);
            let kind = entry::encode(entry, &mut buffer);
            item::end(&mut buffer, begun, self.salt, position, kind);
            items += 1;
        }
        let next = if entries.is_empty() { self.next } else { first + entries.len() as u64 };
        let mut wrote = Wrote { bytes: 0, items };
        if items > 0 || entries.is_empty() {
            let count = (next - self.next) as u32;
            let frame = Frame { first: self.next, count, items, bytes: 0, synced };
            frame.write(&mut buffer, start, self.salt);
            self.put(&buffer)?;
            self.next = next;
            wrote.bytes = buffer.len() as u64;
        }
        if buffer.capacity() <= BUFFER_BYTES_KEPT {
            self.buffer = buffer;
        }
        Ok(wrote)
    }

    /// Writes at the end; what is written of it by half is cut off again.
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Err(e) = self.place.file.write_at(self.offset, bytes) {
            // The disk is in trouble already: recovery cuts off what cannot be cut off here.
            let _ = self.place.file.truncate(self.offset);
            return Err(e);
        }
        self.offset += bytes.len() as u64;
        Ok(())
    }
}

fn entry_bytes(entry: &Entry) -> usize {
    match entry {
        Entry::Record(_, record) => record.content.len(),
        Entry::Remove(_, ranges) => ranges.len() * 16,
        Entry::State(key, value) => key.len() + value.as_ref().map_or(0, |value| value.len()),
        Entry::Delta(key, change) => key.len() + change.len(),
        Entry::Forget(_) | Entry::Checkpoint(_) => 8,
    }
}

/// Makes an empty journal file with room.
pub(crate) fn create(fs: &dyn FileSystem, number: u64, bytes: u64) -> io::Result<Place> {
    let file = fs.create(&What::Journal.name(number))?;
    if let Err(e) = file.preallocate(bytes) {
        // Without a name it is in nobody's way; if even that fails, recovery removes it.
        let _ = fs.remove(&What::Journal.name(number));
        return Err(e);
    }
    Ok(Place { number, file })
}
