//! Syncing the journal: group commit without a timer, since whatever came in during one sync goes with the next. It
//! does *not* try a failed sync again: the pages that it lost are lost.

use std::sync::Arc;

use kernel::Position;
use kernel::journal::Event;

use crate::error::Error;
use crate::fs::File;
use crate::head::What;
use crate::store::{Store, lock};
use crate::writer;

impl Store {
    /// Syncs what is written. When there is nothing to sync, it notes in the journal how far it is synced, once, so that
    /// recovery can tell damage from what was never safe; and makes ready the file that the journal goes on in.
    /// False: there was nothing to do.
    pub fn step_sync(&self) -> bool {
        let one_at_a_time = lock(&self.syncing);
        let did = self.sync_written() || self.mark();
        let did = self.make_spare() || did;
        drop(one_at_a_time);
        if did {
            (self.wake)();
        }
        did
    }

    /// Syncs everything that is written when this is called. False: the journal has failed.
    pub(crate) fn sync_all(&self) -> bool {
        let one_at_a_time = lock(&self.syncing);
        if self.sync_written() {
            (self.wake)();
        }
        drop(one_at_a_time);
        lock(&self.shared).failed.is_none()
    }

    fn sync_written(&self) -> bool {
        let (last, framed, files, folder, begun) = {
            let mut shared = lock(&self.shared);
            if shared.failed.is_some() || (shared.synced == shared.last && shared.unsynced_bytes == 0) {
                return false;
            }
            let mut files: Vec<Arc<dyn File>> = Vec::new();
            for file in shared.files.iter_mut().filter(|file| file.dirty) {
                file.dirty = false;
                files.push(file.place.file.clone());
            }
            shared.unsynced_bytes = 0;
            let begun = shared.begun();
            (shared.last, shared.framed, files, std::mem::take(&mut shared.folder_dirty), begun)
        };
        let synced = files.iter().try_for_each(|file| file.sync_data());
        let synced =
            synced.and_then(|()| if folder { self.fs.sync_folder(What::Journal.folder()) } else { Ok(()) });
        let synced = synced.map_err(|e| Error::io("the journal", "synced", &e));
        let synced = synced.and_then(|()| self.mark_synced(framed, begun, false));
        let mut shared = lock(&self.shared);
        match synced {
            Ok(()) => {
                self.stats.syncs.add(1);
                shared.framed_synced = framed;
                if last > shared.synced {
                    shared.synced = last;
                    shared.report(Event::Synced(Position(last)));
                }
            }
            Err(e) => shared.fail(e.code, e.text),
        }
        true
    }

    /// Writes the mark, for when the journal is so busy that [`Store::step_sync`] finds no time for it.
    pub(crate) fn step_mark(&self) {
        let one_at_a_time = lock(&self.syncing);
        self.put_mark();
        drop(one_at_a_time);
    }

    fn put_mark(&self) {
        let synced = {
            let shared = lock(&self.shared);
            if shared.failed.is_some() {
                return;
            }
            shared.framed_synced
        };
        if let Err(e) = self.mark_synced(synced, 0, true) {
            lock(&self.shared).fail(e.code, e.text);
        }
    }

    /// Writes down how far the journal is synced, in the journal and in the mark, and syncs that.
    fn mark(&self) -> bool {
        let mut writer = lock(&self.writer);
        let synced = {
            let mut shared = lock(&self.shared);
            if shared.failed.is_some() || shared.marked >= shared.framed_synced || writer.offset() == 0 {
                return false;
            }
            shared.marked = shared.framed_synced;
            shared.framed_synced
        };
        let wrote = writer.write(synced + 1, &[], synced);
        let mut shared = lock(&self.shared);
        match wrote {
            Ok(wrote) => {
                let last = shared.files.back().map_or(0, |file| file.last);
                shared.wrote(last, wrote.bytes);
            }
            Err(e) => {
                let e = Error::io("the journal", "written", &e);
                shared.fail(e.code, e.text);
            }
        }
        drop(shared);
        drop(writer);
        let did = self.sync_written();
        self.put_mark();
        did
    }

    /// Makes the next journal file when the one in use is half full.
    fn make_spare(&self) -> bool {
        let offset = lock(&self.writer).offset();
        let number = {
            let mut shared = lock(&self.shared);
            if shared.failed.is_some()
                || !shared.spare.is_empty()
                || offset * 2 < self.options.journal_file_bytes
            {
                return false;
            }
            shared.next_file += 1;
            shared.next_file - 1
        };
        let made = writer::create(&*self.fs, number, self.options.journal_file_bytes);
        let made = made.and_then(|place| self.fs.sync_folder(What::Journal.folder()).map(|()| place));
        let mut shared = lock(&self.shared);
        // What could not be made is made when it is needed, or missed then. A file that was made in a hurry meanwhile
        // has a higher number, so this one would be out of order.
        let Ok(place) = made else { return false };
        if !shared.add_spare(place) {
            let _ = self.fs.remove(&What::Journal.name(number));
        }
        true
    }
}
