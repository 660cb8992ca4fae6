//! Reading segments by number: open files and decoded footers that are kept for a while. It does *not* know which
//! records are wanted.

use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use kernel::journal::Record;

use crate::fs::{File, FileSystem};
use crate::head::{Identity, What};
use crate::segment::{Footer, FooterRow, read_footer, record_at};
use crate::stats::Stats;
use crate::store::lock;
use crate::table::Run;

/// Files that are kept open.
const FILES_MAX: usize = 128;
/// Bytes between two records that are rather read than left out.
const GAP_BYTES: u64 = 16 << 10;
/// Bytes that are read at once, unless one record is larger.
const READ_BYTES: u64 = 1 << 20;

#[derive(Debug, Default)]
struct Cache {
    files: HashMap<u64, (Arc<dyn File>, u64), FixedState>,
    footers: HashMap<(u64, u64), (Arc<Footer>, u64), FixedState>,
    footer_bytes: u64,
    clock: u64,
}

/// The segments on the disk.
#[derive(Debug)]
pub(crate) struct Segments {
    fs: Arc<dyn FileSystem>,
    identity: Identity,
    stats: Arc<Stats>,
    footer_bytes_max: u64,
    cache: Mutex<Cache>,
}

impl Segments {
    pub(crate) fn new(
        fs: Arc<dyn FileSystem>,
        identity: Identity,
        stats: Arc<Stats>,
        footer_bytes_max: u64,
    ) -> Segments {
        Segments { fs, identity, stats, footer_bytes_max, cache: Mutex::default() }
    }

    pub(crate) fn salt(&self, number: u64) -> u32 {
        What::Segment.salt(number, &self.identity)
    }

    /// The file of a segment.
    fn file(&self, number: u64) -> io::Result<Arc<dyn File>> {
        let mut cache = lock(&self.cache);
        cache.clock += 1;
        let clock = cache.clock;
        if let Some((file, used)) = cache.files.get_mut(&number) {
            *used = clock;
            return Ok(file.clone());
        }
        let file = self.fs.open(&What::Segment.name(number))?;
        if cache.files.len() >= FILES_MAX
            && let Some(oldest) = cache.files.iter().min_by_key(|(_, (_, used))| *used).map(|(n, _)| *n)
        {
            cache.files.remove(&oldest);
        }
        cache.files.insert(number, (file.clone(), clock));
        Ok(file)
    }

    /// A run's footer. A damaged one is made again from the records.
    pub(crate) fn footer(&self, run: &Run) -> io::Result<Arc<Footer>> {
        let key = (run.segment, run.footer);
        {
            let mut cache = lock(&self.cache);
            cache.clock += 1;
            let clock = cache.clock;
            if let Some((footer, used)) = cache.footers.get_mut(&key) {
                *used = clock;
                return Ok(footer.clone());
            }
        }
        let (footer, damaged) = read_footer(&*self.file(run.segment)?, run, self.salt(run.segment))?;
        self.stats.damaged_records.add(damaged.into());
        let footer = Arc::new(footer);
        let mut cache = lock(&self.cache);
        let clock = cache.clock;
        while cache.footer_bytes + footer.weight() > self.footer_bytes_max
            && let Some(oldest) = cache.footers.iter().min_by_key(|(_, (_, used))| *used).map(|(key, _)| *key)
        {
            if let Some((gone, _)) = cache.footers.remove(&oldest) {
                cache.footer_bytes -= gone.weight();
            }
        }
        if footer.weight() <= self.footer_bytes_max
            && cache.footers.insert(key, (footer.clone(), clock)).is_none()
        {
            cache.footer_bytes += footer.weight();
        }
        Ok(footer)
    }

    /// Forgets what is kept of a segment that is gone.
    pub(crate) fn drop_segment(&self, number: u64) {
        let mut cache = lock(&self.cache);
        cache.files.remove(&number);
        let gone: Vec<_> = cache.footers.keys().filter(|(segment, _)| *segment == number).copied().collect();
        for key in gone {
            if let Some((footer, _)) = cache.footers.remove(&key) {
                cache.footer_bytes -= footer.weight();
            }
        }
    }

    /// Reads records of a run, whose rows are in the order of their offsets, neighbours in one go. Gives each to `each`
    /// with its row; `None`: it is damaged. An error says nothing about them.
    pub(crate) fn read<E: From<io::Error>>(
        &self,
        run: &Run,
        rows: &[FooterRow],
        mut each: impl FnMut(&FooterRow, Option<Record>) -> Result<(), E>,
    ) -> Result<(), E> {
        let file = self.file(run.segment)?;
        let salt = self.salt(run.segment);
        let end_of = |row: &FooterRow| u64::from(row.offset) + row.item_bytes() as u64;
        let mut rest = rows;
        while let Some(first) = rest.first() {
            let start = u64::from(first.offset);
            let mut end = end_of(first);
            let fits = |row: &&FooterRow| {
                let near = u64::from(row.offset) <= end + GAP_BYTES && end_of(row) - start <= READ_BYTES;
                if near {
                    end = end.max(end_of(row));
                }
                near
            };
            let count = 1 + rest.iter().skip(1).take_while(fits).count();
            let (now, later) = rest.split_at(count);
            let mut bytes = vec![0; (end - start) as usize];
            let read = whole(file.read_at(run.start + start, &mut bytes))?;
            let bytes = Bytes::from(bytes);
            for row in now {
                let record = record_at(&bytes, (u64::from(row.offset) - start) as usize, salt);
                let record = record.filter(|record| read && record.index == row.row.index);
                self.stats.damaged_records.add(record.is_none().into());
                each(row, record)?;
            }
            rest = later;
        }
        Ok(())
    }
}

/// Whether bytes could be read whole. A file that ends before them is damaged; every other error says nothing about what
/// is on the disk.
pub(crate) fn whole(read: io::Result<()>) -> io::Result<bool> {
    match read {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(e) => Err(e),
    }
}
