//! Opening a folder: first everything is read and judged, then the folder is put in order. A folder that is somebody
//! else's is refused before anything in it is changed. It does *not* lock the folder; the node does.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};

use kernel::Position;
use kernel::journal::Recovered;

use crate::error::{Doing as _, Error};
use crate::fs::FileSystem;
use crate::head::{What, number_of};
use crate::scan::{self, Broken, Scan};
use crate::shared::{JournalFile, Shared};
use crate::store::{Store, Wake};
use crate::table::Table;
use crate::writer::{self, Writer};
use crate::{Identity, Options, Stats};

const QUARANTINE: &str = "quarantine";

/// Opens the store of a node, or makes it. Errors: the options are out of bounds, the files are another version's or
/// another node's (nothing was changed then), or the disk refuses.
pub(crate) fn open(
    fs: Arc<dyn FileSystem>,
    options: Options,
    identity: Identity,
    wake: Wake,
) -> Result<(Store, Recovered), Error> {
    options.check()?;
    if identity.fabric.len() > 64 {
        return Err(Error::unusable(format!(
            "the fabric's name {:?} is longer than 64 bytes",
            identity.fabric
        )));
    }
    let numbers = numbers(&*fs, What::Journal)?;
    let mut table = Table::new(options.seed);
    let mut scan = scan::scan(&*fs, &identity, &numbers, 0)?;
    let deltas = scan.deltas();
    let mut recovered = Recovered { last: Position(scan.last), deltas, ..Recovered::default() };
    for (position, entry) in std::mem::take(&mut scan.entries) {
        table.apply(position, entry);
    }
    for folder in [What::Journal.folder(), QUARANTINE] {
        fs.make_folder(folder).doing(folder, "made")?;
    }
    recovered.damage = scan.broken.iter().map(|broken| broken.damage.clone()).collect();
    let stats = Arc::new(Stats::default());
    stats.damaged_records.add(recovered.damage.len() as u64);
    set_aside(&*fs, &scan.broken)?;
    let next_file = numbers.last().map_or(1, |last| last + 1);
    let (writer, files) = continue_journal(&*fs, &options, &identity, scan, next_file)?;
    for (key, value) in &table.states {
        recovered.states.extend(value.as_ref().map(|value| (copied(key), copied(value))));
    }
    recovered.states.sort_unstable();
    recovered.logs = table.logs.iter().map(|(id, log)| (*id, log.summary())).collect();
    recovered.logs.sort_unstable_by_key(|(id, _)| *id);
    let last = recovered.last.0;
    let mut shared = Shared::new(table, files, next_file + 1, last);
    shared.weigh(&options, &stats);
    let store = Store {
        fs,
        options,
        identity,
        stats,
        wake,
        writer: Mutex::new(writer),
        shared: Mutex::new(shared),
        syncing: Mutex::new(()),
        to_sync: Condvar::new(),
        to_settle: Condvar::new(),
        to_read: Condvar::new(),
    };
    Ok((store, recovered))
}

/// The numbers of the files in a folder, in order. What has no number is not ours and is left alone.
fn numbers(fs: &dyn FileSystem, what: What) -> Result<Vec<u64>, Error> {
    let names = fs.list(what.folder()).doing(what.folder(), "listed")?;
    Ok(names.iter().filter_map(|name| number_of(name)).collect())
}

fn copied(bytes: &bytes::Bytes) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(bytes)
}

/// Keeps what is damaged for who wants to look at it. The same damage has the same name every time it is found.
fn set_aside(fs: &dyn FileSystem, broken: &[Broken]) -> Result<(), Error> {
    if broken.is_empty() {
        return Ok(());
    }
    let there = fs.list(QUARANTINE).doing(QUARANTINE, "listed")?;
    for broken in broken.iter().filter(|broken| !broken.bytes.is_empty() && !there.contains(&broken.aside)) {
        let name = format!("{QUARANTINE}/{}", broken.aside);
        // A second piece from the same place adds nothing.
        let Ok(file) = fs.create(&name) else { continue };
        file.write_at(0, &broken.bytes).doing(&name, "written")?;
        file.sync_data().doing(&name, "synced")?;
    }
    fs.sync_folder(QUARANTINE).doing(QUARANTINE, "synced")
}

/// Cuts off what does not count, makes sure that the rest is on the disk, and begins a file behind it.
fn continue_journal(
    fs: &dyn FileSystem,
    options: &Options,
    identity: &Identity,
    scan: Scan,
    next_file: u64,
) -> Result<(Writer, VecDeque<JournalFile>), Error> {
    let folder = What::Journal.folder();
    if let Some((place, end)) = &scan.cut {
        let name = What::Journal.name(place.number);
        place.file.truncate(*end).doing(&name, "cut off")?;
    }
    let mut files = VecDeque::new();
    for kept in scan.kept {
        kept.place.file.sync_data().doing(&What::Journal.name(kept.place.number), "synced")?;
        files.push_back(JournalFile { place: kept.place, last: kept.last, bytes: kept.bytes, dirty: false });
    }
    for name in &scan.dropped {
        fs.remove(name).doing(name, "removed")?;
    }
    let name = What::Journal.name(next_file);
    let place = writer::create(fs, next_file, options.journal_file_bytes).doing(&name, "made")?;
    let mut writer = Writer::new(identity.clone(), place.clone(), scan.last + 1);
    if scan.last > 0 {
        // The new file's head says that everything in front of it was made safe.
        writer.write(scan.last + 1, &[], scan.last).doing(&name, "written")?;
    }
    place.file.sync_data().doing(&name, "synced")?;
    fs.sync_folder(folder).doing(folder, "synced")?;
    files.push_back(JournalFile { place, last: scan.last, bytes: writer.offset(), dirty: false });
    Ok((writer, files))
}

impl Shared {
    fn new(table: Table, files: VecDeque<JournalFile>, next_file: u64, last: u64) -> Shared {
        let unsettled_bytes = files.iter().map(|file| file.bytes).sum();
        Shared {
            table,
            events: Vec::new(),
            jobs: VecDeque::new(),
            files,
            spare: VecDeque::new(),
            next_file,
            folder_dirty: false,
            last,
            wanted: 0,
            synced: last,
            marked: last,
            settled: 0,
            unsynced_bytes: 0,
            unsettled_bytes,
            checkpoint: None,
            asked: false,
            pressed: false,
            failed: None,
            submissions: 0,
            stop: false,
        }
    }
}
