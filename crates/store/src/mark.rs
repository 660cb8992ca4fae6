//! The mark: a small file that remembers how far the others came, so that opening notices when an end is missing, be it
//! cut off, removed, or an older copy. It may lag behind what is on the disk and *never* leads it: it is written when
//! what it speaks of is safe, so that no crash makes it ask for more than there is.
//!
//! Two slots are written in turn, each in a page of its own: of the two the one with the higher generation counts, and
//! a torn one leaves the other.

use std::sync::Arc;

use crate::Error;
use crate::bytes::Cut;
use crate::error::Doing as _;
use crate::fs::{File, FileSystem};
use crate::head::{HEAD_BYTES, Head, Identity, What, number_of};
use crate::item::{self, Kind};
use crate::segments::whole;
use crate::store::{Store, lock};
use kernel::Position;

/// Number of the only file.
const NUMBER: u64 = 1;
/// A page: what a disk may tear in one piece.
const SLOT_BYTES: u64 = 4096;
const FILE_BYTES: u64 = 3 * SLOT_BYTES;
/// A slot's item.
const ITEM_BYTES: usize = item::whole(BODY_BYTES);
const BODY_BYTES: usize = 48;
/// An empty file of this name says that what is missing is gone for good.
const ACCEPTED: &str = "accept-loss";
/// Synced positions after which the mark is written, however busy the journal is.
pub(crate) const POSITIONS: u64 = 65_536;

/// What it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The journal is synced up to here, or settled.
    pub(crate) synced: u64,
    /// Number of the catalogue's last frame.
    pub(crate) sequence: u64,
    /// The highest number of a journal file that was ever written to.
    pub(crate) file: u64,
    /// Whether that file or a later one must be there.
    pub(crate) is_needed: bool,
    /// What is missing up to here was accepted as lost.
    pub(crate) accepted: u64,
    /// So was what is missing of the catalogue up to this frame.
    pub(crate) accepted_sequence: u64,
}

impl Mark {
    fn encode(&self, generation: u64, salt: u32) -> Vec<u8> {
        let mut slot = Vec::with_capacity(ITEM_BYTES);
        let begun = item::begin(&mut slot);
        let Mark { synced, sequence, file, is_needed, accepted, accepted_sequence } = *self;
        for number in [synced, sequence, file, is_needed.into(), accepted, accepted_sequence] {
            slot.extend_from_slice(&number.to_le_bytes());
        }
        item::end(&mut slot, begun, salt, generation, Kind::Mark);
        slot
    }

    fn decode(body: &[u8]) -> Option<Mark> {
        let mut cut = Cut(body);
        Some(Mark {
            synced: cut.u64()?,
            sequence: cut.u64()?,
            file: cut.u64()?,
            is_needed: cut.u64()? != 0,
            accepted: cut.u64()?,
            accepted_sequence: cut.u64()?,
        })
    }
}

/// The mark as it was found. A folder without one, of an earlier neuroplex, knows nothing and asks for nothing.
#[derive(Debug, Default)]
pub(crate) struct FoundMark {
    pub(crate) mark: Mark,
    generation: u64,
    /// Whether a slot of it was whole.
    is_read: bool,
    /// Whether somebody says that what is missing is gone for good.
    pub(crate) is_loss_accepted: bool,
    file: Option<Arc<dyn File>>,
}

impl FoundMark {
    /// It is not there, or nothing in it can be read.
    pub(crate) fn is_lost(&self) -> bool {
        !self.is_read
    }
}

/// Reads the mark. Nothing is changed on the disk. Errors: it is another version's, or another node's.
pub(crate) fn read(fs: &dyn FileSystem, identity: &Identity) -> Result<FoundMark, Error> {
    let (folder, name) = (What::Mark.folder(), What::Mark.name(NUMBER));
    let names = fs.list(folder).doing(folder, "listed")?;
    let is_loss_accepted = names.iter().any(|name| name == ACCEPTED);
    let mut found = FoundMark { is_loss_accepted, ..FoundMark::default() };
    if !names.iter().any(|there| number_of(there) == Some(NUMBER)) {
        return Ok(found);
    }
    let file = fs.open(&name).doing(&name, "opened")?;
    let size = file.size().doing(&name, "read")?;
    let mut head = vec![0; HEAD_BYTES.min(size as usize)];
    file.read_at(0, &mut head).doing(&name, "read")?;
    // A damaged one costs nothing: it is written again.
    Head::decode(&head, What::Mark, &name, identity)?;
    for slot in 0..2 {
        let mut bytes = vec![0; ITEM_BYTES];
        // What cannot be read now may be the slot that counts: without it no loss would be noticed.
        if !whole(file.read_at((1 + slot) * SLOT_BYTES, &mut bytes)).doing(&name, "read")? {
            continue; // It was being made.
        }
        let item = item::at(&bytes, 0, What::Mark.salt(NUMBER, identity));
        let item =
            item.filter(|item| item.intact && item.kind == Kind::Mark && item.position >= found.generation);
        if let Some(item) = item
            && let Some(mark) = Mark::decode(item.body(&bytes))
        {
            (found.mark, found.generation, found.is_read) = (mark, item.position, true);
        }
    }
    found.file = Some(file);
    Ok(found)
}

/// The mark's file.
#[derive(Debug)]
pub(crate) struct Marker {
    file: Arc<dyn File>,
    salt: u32,
    generation: u64,
    mark: Mark,
    /// Journal files with lower numbers may be gone.
    floor: u64,
}

impl Marker {
    /// Makes safe what was found, or makes the file.
    pub(crate) fn open(fs: &dyn FileSystem, identity: &Identity, found: &FoundMark) -> Result<Marker, Error> {
        let (folder, name) = (What::Mark.folder(), What::Mark.name(NUMBER));
        let (file, is_new) = match &found.file {
            Some(file) => (file.clone(), false),
            None => (fs.create(&name).doing(&name, "made")?, true),
        };
        if file.size().doing(&name, "read")? < FILE_BYTES {
            file.preallocate(FILE_BYTES).doing(&name, "made")?;
        }
        let nothing = Position(0);
        let mut head = Vec::new();
        Head { what: What::Mark, number: NUMBER, first: nothing, synced: nothing }
            .encode(identity, &mut head);
        file.write_at(0, &head).doing(&name, "written")?;
        let salt = What::Mark.salt(NUMBER, identity);
        let marker = Marker { file, salt, generation: found.generation, mark: found.mark, floor: 0 };
        // The operating system may show it although the disk failed to take it; the other slot is next to be written.
        marker.put()?;
        if is_new {
            fs.sync_folder(folder).doing(folder, "synced")?;
        }
        Ok(marker)
    }

    fn put(&self) -> Result<(), Error> {
        let name = What::Mark.name(NUMBER);
        let slot = self.mark.encode(self.generation, self.salt);
        let at = (1 + self.generation % 2) * SLOT_BYTES;
        self.file.write_at(at, &slot).doing(&name, "written")?;
        self.file.sync_data().doing(&name, "synced")
    }

    /// What it says.
    pub(crate) fn mark(&self) -> Mark {
        self.mark
    }

    /// Writes what it says from now on, unless it says so already. All of that must be on the disk. After an error the
    /// older one stands.
    pub(crate) fn set(&mut self, mark: Mark) -> Result<(), Error> {
        if mark == self.mark {
            return Ok(());
        }
        let before = (self.mark, self.generation);
        (self.mark, self.generation) = (mark, self.generation + 1);
        self.put().inspect_err(|_| (self.mark, self.generation) = before)
    }

    /// Removes the word of the operator, which was for this opening alone.
    pub(crate) fn forget_acceptance(fs: &dyn FileSystem) -> Result<(), Error> {
        let folder = What::Mark.folder();
        let name = format!("{folder}/{ACCEPTED}");
        fs.remove(&name).doing(&name, "removed")?;
        fs.sync_folder(folder).doing(folder, "synced")
    }
}

impl Store {
    /// Notes that the journal is synced up to a position, `file` being the last that was written to (0: not asked): if it
    /// is the first time for this file, if the mark is far behind, or if there is time.
    pub(crate) fn mark_synced(&self, synced: u64, file: u64, has_time: bool) -> Result<(), Error> {
        let mut marker = lock(&self.marker);
        let mut mark = marker.mark();
        let is_new = file > mark.file || file == mark.file && !mark.is_needed;
        let is_first = is_new && file > 0 && file >= marker.floor;
        if !is_first && !has_time && synced < mark.synced + POSITIONS {
            return Ok(());
        }
        mark.synced = mark.synced.max(synced);
        if is_first {
            (mark.file, mark.is_needed) = (file, true);
        }
        marker.set(mark)
    }

    /// Notes that a frame of the catalogue is safe.
    pub(crate) fn mark_noted(&self, sequence: u64) -> Result<(), Error> {
        let mut marker = lock(&self.marker);
        let mark = marker.mark();
        marker.set(Mark { sequence: mark.sequence.max(sequence), ..mark })
    }

    /// Notes that journal files up to this number are not needed any more, before they go. `synced`: how far the journal
    /// is.
    pub(crate) fn mark_gone(&self, file: u64, synced: u64) -> Result<(), Error> {
        let mut marker = lock(&self.marker);
        marker.floor = marker.floor.max(file + 1);
        let mut mark = marker.mark();
        if mark.file <= file {
            (mark.is_needed, mark.synced) = (false, mark.synced.max(synced));
        }
        marker.set(mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_comes_back_as_it_was() {
        let mark =
            Mark { synced: 1, sequence: 2, file: 3, is_needed: true, accepted: 4, accepted_sequence: 5 };
        let slot = mark.encode(6, 7);
        assert_eq!(slot.len(), ITEM_BYTES);
        let item = item::at(&slot, 0, 7).filter(|item| item.intact && item.position == 6);
        assert_eq!(item.and_then(|item| Mark::decode(item.body(&slot))), Some(mark));
    }
}
