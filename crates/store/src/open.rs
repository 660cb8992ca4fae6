//! Opening a folder: first everything is read and judged, then the folder is put in order. A folder that is somebody
//! else's is refused before anything in it is changed. It does *not* lock the folder; the node does.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex};

use bytes::Bytes;
use kernel::Position;
use kernel::journal::{Damage, Recovered};

use crate::catalogue::Catalogue;
use crate::error::{Doing as _, Error};
use crate::fs::FileSystem;
use crate::head::{What, number_of};
use crate::loss;
use crate::mark::{self, Mark, Marker};
use crate::scan::{self, Broken, Scan};
use crate::segment;
use crate::segments::Segments;
use crate::settle::{Held, Settling};
use crate::shared::{JournalFile, Marks, Shared};
use crate::store::{Store, Wake};
use crate::table::{Table, Whole};
use crate::writer::{self, Writer};
use crate::{Identity, Options, Stats};

/// The folder for what was damaged.
pub(crate) const QUARANTINE: &str = "quarantine";

/// Opens the store of a node, or makes it. Errors: the options are out of bounds, the files are another version's or
/// another node's, or something is missing (nothing was changed then); or the disk refuses.
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
    // Read and judge.
    let [journals, segments, catalogues] =
        [numbers(&*fs, What::Journal)?, numbers(&*fs, What::Segment)?, numbers(&*fs, What::Catalogue)?];
    let found_mark = mark::read(&*fs, &identity)?;
    let (mut catalogue, contents) =
        Catalogue::read(fs.clone(), &identity, &catalogues, found_mark.mark.sequence)?;
    let mut sizes = BTreeMap::new();
    for number in &segments {
        sizes.insert(*number, segment::check(&*fs, *number, &identity)?);
    }
    let mut scan = scan::scan(&*fs, &identity, &journals, contents.settled, found_mark.mark)?;
    let mut recovered = Recovered { deltas: scan.deltas(&contents.states), ..Recovered::default() };
    let mut table = Table::new(options.seed);
    table.restore(contents.logs);
    let entries = std::mem::take(&mut scan.entries);
    for (position, entry) in entries {
        table.apply(position, entry);
    }
    recovered.states = states(contents.states, &table);
    recovered.damage = contents.damage;
    let stats = Arc::new(Stats::default());
    let of_records = Segments::new(fs.clone(), identity.clone(), stats.clone(), options.footer_cache_bytes);
    table.logs.values_mut().for_each(|log| log.refresh(&of_records));
    let (held, are_missing) = held(&table, &sizes, &mut recovered.damage);
    // The catalogue comes with the first settling, and until then the journal has everything.
    let are_alone = catalogues.is_empty() && !segments.is_empty() && scan.last == 0;
    // Without a mark nothing would say that they counted. A settling that was under way leaves segments that nobody speaks of,
    // too, but then the journal still has what is in them.
    let is_orphan = |number: &u64| !held.contains_key(number);
    let is_settling = scan.last > contents.settled;
    let are_unexplained = found_mark.is_lost() && !is_settling && segments.iter().any(is_orphan);
    // The mark is safe before the first journal file is made, so that one without the other was not left by a crash.
    let is_nothing_left = found_mark.is_lost() && !journals.is_empty() && scan.kept.is_empty();
    let seen = loss::Segments { are_missing, are_alone, are_unexplained, is_nothing_left };
    let mark = loss::judge(&found_mark, &catalogue, seen, &mut scan, &mut recovered.damage)?;
    recovered.damage.extend(scan.broken.iter().map(|broken| broken.damage.clone()));
    recovered.last = Position(scan.last);

    // Put in order.
    let folders = [What::Journal, What::Segment, What::Catalogue, What::Mark].map(What::folder);
    for folder in folders.into_iter().chain([QUARANTINE]) {
        fs.make_folder(folder).doing(folder, "made")?;
    }
    let settled = contents.settled;
    let mut marker = Marker::open(&*fs, &identity, &found_mark)?;
    // The newest journal file may go before the next one is safe; those behind it may never have been.
    let stays = scan.kept.iter().any(|kept| kept.place.number == mark.file && kept.last > settled);
    marker.set(Mark { is_needed: mark.is_needed && stays, ..mark })?;
    set_aside(&*fs, &scan.broken)?;
    catalogue.tidy(&catalogues)?;
    catalogue.skip_to(mark.sequence);
    // The damage was reported above. As an empty file it is read, written anew and removed like any that was cut off.
    let missing: Vec<String> = held
        .keys()
        .filter(|number| !sizes.contains_key(number))
        .map(|number| What::Segment.name(*number))
        .collect();
    for name in &missing {
        fs.create(name).doing(name, "made")?;
    }
    if !missing.is_empty() {
        fs.sync_folder(What::Segment.folder()).doing(What::Segment.folder(), "synced")?;
    }
    for number in segments.iter().filter(|number| !held.contains_key(number)) {
        let name = What::Segment.name(*number);
        fs.remove(&name).doing(&name, "removed")?;
    }
    let next_file = journals.last().copied().unwrap_or_default().max(mark.file) + 1;
    let (writer, files, marks) = continue_journal(&*fs, &options, &identity, scan, next_file, settled)?;
    if writer.offset() > 0 {
        let sequence = mark.sequence.max(catalogue.last());
        let synced = recovered.last.0;
        marker.set(Mark { synced, sequence, file: next_file, is_needed: true, ..mark })?;
    }
    if found_mark.is_loss_accepted {
        Marker::forget_acceptance(&*fs)?;
    }

    stats.damaged_records.add(recovered.damage.len() as u64);
    recovered.logs = table.logs.iter().map(|(id, log)| (*id, log.summary())).collect();
    recovered.logs.sort_unstable_by_key(|(id, _)| *id);
    let next_segment = contents.next_segment.max(segments.last().map_or(1, |last| last + 1));
    let settling = Settling { catalogue, next_segment, held };
    settling.count(&stats);
    stats.journal_files.set(files.len() as u64);
    let mut shared = Shared::new(table, files, marks, next_file + 1, recovered.last.0, settled);
    shared.stretch_bytes = options.settle_bytes / 64;
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
        settling: Mutex::new(settling),
        marker: Mutex::new(marker),
        segments: of_records,
        to_sync: Condvar::new(),
        to_settle: Condvar::new(),
        to_read: Condvar::new(),
    };
    Ok((store, recovered))
}

/// All state: what is settled, with what changed since.
fn states(settled: BTreeMap<Bytes, Whole>, table: &Table) -> Vec<(Bytes, Bytes)> {
    let mut states = settled;
    for (key, whole) in &table.states {
        if states.get(key).is_none_or(|settled| settled.position < whole.position) {
            // Copied, so that a small piece does not hold a whole file in memory.
            let value = whole.value.as_ref().map(|value| Bytes::copy_from_slice(value));
            states.insert(Bytes::copy_from_slice(key), Whole { position: whole.position, value });
        }
    }
    states.into_iter().filter_map(|(key, whole)| Some((key, whole.value?))).collect()
}

/// The segments that the catalogue speaks of. What is missing of them is damage; the second says whether any is that holds
/// something.
fn held(table: &Table, sizes: &BTreeMap<u64, u64>, damage: &mut Vec<Damage>) -> (BTreeMap<u64, Held>, bool) {
    let mut held: BTreeMap<u64, Held> = BTreeMap::new();
    let mut missing: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    let logs = table.logs.values().flat_map(|log| &log.runs);
    for run in logs.chain(table.forgotten.values().flatten()) {
        let bytes = sizes.get(&run.segment).copied().unwrap_or_default();
        let held = held.entry(run.segment).or_insert(Held { bytes, ..Held::default() });
        held.runs += 1;
        held.live += run.live_bytes();
        if run.footer + run.footer_bytes > bytes {
            let (runs, records) = missing.entry(run.segment).or_default();
            (*runs, *records) = (*runs + 1, *records + run.count);
        }
    }
    let are_missing = missing.values().any(|(_, records)| *records > 0);
    for (number, (logs, records)) in missing {
        let there = sizes.get(&number).copied().unwrap_or_default();
        let what =
            format!("the segment is missing or cut off: up to {records} records of {logs} logs are lost");
        damage.push(Damage { file: What::Segment.name(number), offset: there, what, entries: 0 });
    }
    (held, are_missing)
}

/// The numbers of the files in a folder, in order. What has no number is not ours and is left alone.
fn numbers(fs: &dyn FileSystem, what: What) -> Result<Vec<u64>, Error> {
    let names = fs.list(what.folder()).doing(what.folder(), "listed")?;
    Ok(names.iter().filter_map(|name| number_of(name)).collect())
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
    settled: u64,
) -> Result<(Writer, VecDeque<JournalFile>, Marks), Error> {
    let folder = What::Journal.folder();
    if let Some((place, end)) = &scan.cut {
        let name = What::Journal.name(place.number);
        place.file.truncate(*end).doing(&name, "cut off")?;
    }
    let (mut files, mut marks) = (VecDeque::new(), VecDeque::new());
    for kept in scan.kept {
        let name = What::Journal.name(kept.place.number);
        if kept.last <= settled {
            fs.remove(&name).doing(&name, "removed")?;
            continue;
        }
        if let Some((start, bytes)) = &kept.unsure {
            kept.place.file.write_at(*start, bytes).doing(&name, "written")?;
        }
        kept.place.file.sync_data().doing(&name, "synced")?;
        marks.push_back((kept.last, kept.unsettled_bytes));
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
    Ok((writer, files, marks))
}

impl Shared {
    fn new(
        table: Table,
        files: VecDeque<JournalFile>,
        marks: Marks,
        next_file: u64,
        last: u64,
        settled: u64,
    ) -> Shared {
        let unsettled_bytes = marks.iter().map(|(_, bytes)| bytes).sum();
        Shared {
            table,
            marks,
            stretch_bytes: 0,
            ask_from_bytes: 0,
            events: Vec::new(),
            jobs: VecDeque::new(),
            files,
            spare: VecDeque::new(),
            next_file,
            folder_dirty: false,
            last,
            wanted: 0,
            synced: last,
            framed: last,
            framed_synced: last,
            marked: last,
            settled,
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
