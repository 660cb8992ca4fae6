//! Segments: records of many logs, sorted by log, each log's part with a footer behind it. Written once, in one go; read
//! by place. It does *not* know which records are still wanted.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use kernel::journal::{Record, Row};
use kernel::{LogId, Position};

use crate::bytes::Cut;
use crate::entry::{RECORD_BYTES, decode_record, encode_record};
use crate::error::{Doing as _, Error};
use crate::fs::{File, FileSystem};
use crate::head::{HEAD_BYTES, Head, Identity, What};
use crate::item::{self, Kind};
use crate::segments::whole;
use crate::shared::ImageOf;
use crate::table::Run;

/// Bytes that are gathered before they are written.
const BUFFER_BYTES: usize = 1 << 20;
const ROW_BYTES: usize = 32;

/// A record's row in a footer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FooterRow {
    pub(crate) row: Row,
    /// Where the record's item begins, from the start of the run.
    pub(crate) offset: u32,
}

impl FooterRow {
    /// Length of the record's item, in bytes.
    pub(crate) fn item_bytes(&self) -> usize {
        item::whole(RECORD_BYTES + self.row.size as usize)
    }
}

/// A log's part of a segment without content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Footer {
    pub(crate) subjects: Vec<Bytes>,
    /// By place.
    pub(crate) rows: Vec<FooterRow>,
}

impl Footer {
    /// Memory that it takes, in bytes, about.
    pub(crate) fn weight(&self) -> u64 {
        let subjects: usize = self.subjects.iter().map(|subject| subject.len() + 40).sum();
        (subjects + self.rows.len() * size_of::<FooterRow>() + 100) as u64
    }

    /// The row of a place.
    pub(crate) fn row(&self, index: u64) -> Option<&FooterRow> {
        let at = self.rows.binary_search_by_key(&index, |row| row.row.index).ok()?;
        self.rows.get(at)
    }

    fn encode(&self, log: LogId, out: &mut Vec<u8>) {
        out.extend_from_slice(&log.0.to_le_bytes());
        out.extend_from_slice(&(self.rows.len() as u32).to_le_bytes());
        out.extend_from_slice(&(self.subjects.len() as u32).to_le_bytes());
        for FooterRow { row, offset } in &self.rows {
            out.extend_from_slice(&row.index.to_le_bytes());
            out.extend_from_slice(&row.time_ns.to_le_bytes());
            for number in [*offset, row.size, row.subject, row.flags.into()] {
                out.extend_from_slice(&number.to_le_bytes());
            }
        }
        for subject in &self.subjects {
            out.extend_from_slice(&(subject.len() as u16).to_le_bytes());
            out.extend_from_slice(subject);
        }
    }

    fn decode(body: &[u8]) -> Option<Footer> {
        let mut cut = Cut(body);
        let (_, rows, subjects) = (cut.u64()?, cut.u32()? as usize, cut.u32()? as usize);
        let mut rows_cut = Cut(cut.take(rows.checked_mul(ROW_BYTES)?)?);
        let mut footer = Footer { subjects: Vec::new(), rows: Vec::with_capacity(rows) };
        for _ in 0..rows {
            let (index, time_ns) = (rows_cut.u64()?, rows_cut.u64()?);
            let (offset, size, subject) = (rows_cut.u32()?, rows_cut.u32()?, rows_cut.u32()?);
            let flags = rows_cut.u32()? as u16;
            footer.rows.push(FooterRow { row: Row { index, time_ns, size, subject, flags }, offset });
        }
        for _ in 0..subjects {
            let length = cut.u16()?;
            footer.subjects.push(Bytes::copy_from_slice(cut.take(length.into())?));
        }
        Some(footer)
    }
}

/// A segment that is being written.
#[derive(Debug)]
pub(crate) struct SegmentWriter {
    pub(crate) number: u64,
    name: String,
    file: Arc<dyn File>,
    salt: u32,
    seed: u64,
    buffer: Vec<u8>,
    /// Where the buffer will stand.
    written: u64,
    log: LogId,
    run: Run,
    image: ImageOf,
    rows: Vec<FooterRow>,
}

impl SegmentWriter {
    /// Makes the file.
    pub(crate) fn create(
        fs: &dyn FileSystem,
        identity: &Identity,
        number: u64,
        seed: u64,
    ) -> Result<SegmentWriter, Error> {
        let name = What::Segment.name(number);
        let file = fs.create(&name).doing(&name, "made")?;
        let mut buffer = Vec::with_capacity(BUFFER_BYTES + (64 << 10));
        let nothing = Position(0);
        Head { what: What::Segment, number, first: nothing, synced: nothing }.encode(identity, &mut buffer);
        let salt = What::Segment.salt(number, identity);
        let (run, image, rows) = (Run::default(), ImageOf::new(seed), Vec::new());
        Ok(SegmentWriter {
            number,
            name,
            file,
            salt,
            seed,
            buffer,
            written: 0,
            log: LogId(0),
            run,
            image,
            rows,
        })
    }

    /// Bytes so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// Begins a log's part.
    pub(crate) fn begin(&mut self, log: LogId) {
        self.log = log;
        self.run = Run { segment: self.number, start: self.bytes(), ..Run::default() };
        self.image = ImageOf::new(self.seed);
        self.rows = Vec::new();
    }

    /// Adds a record to it.
    pub(crate) fn push(&mut self, record: &Record) -> Result<(), Error> {
        let offset = (self.bytes() - self.run.start) as u32;
        let begun = item::begin(&mut self.buffer);
        encode_record(self.log, record, &mut self.buffer);
        item::end(&mut self.buffer, begun, self.salt, record.index, Kind::Record);
        let subject = self.image.subject(record.subject());
        let size = record.size() as u32;
        let row = Row { index: record.index, time_ns: record.time_ns, size, subject, flags: record.flags };
        self.rows.push(FooterRow { row, offset });
        if self.buffer.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    /// Ends a log's part. All its records count as wanted.
    pub(crate) fn end(&mut self) -> Result<(Run, Arc<Footer>), Error> {
        let subjects = std::mem::take(&mut self.image.image.subjects);
        let footer = Footer { subjects, rows: std::mem::take(&mut self.rows) };
        self.run.footer = self.bytes();
        let begun = item::begin(&mut self.buffer);
        footer.encode(self.log, &mut self.buffer);
        item::end(&mut self.buffer, begun, self.salt, self.log.0, Kind::Footer);
        self.run.footer_bytes = self.bytes() - self.run.footer;
        self.run.first = footer.rows.first().map_or(0, |row| row.row.index);
        self.run.last = footer.rows.last().map_or(0, |row| row.row.index);
        self.run.written = footer.rows.len() as u64;
        self.run.count_live(&footer, |_| true);
        self.flush()?;
        Ok((std::mem::take(&mut self.run), Arc::new(footer)))
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.file.write_at(self.written, &self.buffer).doing(&self.name, "written")?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Syncs the file; its name is not safe yet.
    pub(crate) fn finish(mut self) -> Result<u64, Error> {
        self.flush()?;
        self.file.sync_data().doing(&self.name, "synced")?;
        Ok(self.written)
    }
}

impl Run {
    /// Counts what is still wanted.
    pub(crate) fn count_live(&mut self, footer: &Footer, wanted: impl Fn(u64) -> bool) {
        (self.count, self.bytes, self.live_first, self.live_first_time_ns) = (0, 0, 0, 0);
        for row in footer.rows.iter().map(|row| &row.row).filter(|row| wanted(row.index)) {
            if self.count == 0 {
                (self.live_first, self.live_first_time_ns) = (row.index, row.time_ns);
            }
            self.count += 1;
            self.bytes += u64::from(row.size);
        }
    }
}

/// Reads a run's footer; the second says whether it was damaged and had to be made again from the records.
pub(crate) fn read_footer(file: &dyn File, run: &Run, salt: u32) -> io::Result<(Footer, bool)> {
    let mut bytes = vec![0; run.footer_bytes as usize];
    if whole(file.read_at(run.footer, &mut bytes))?
        && let Some(found) =
            item::at(&bytes, 0, salt).filter(|found| found.intact && found.kind == Kind::Footer)
        && let Some(footer) = Footer::decode(found.body(&bytes))
    {
        return Ok((footer, false));
    }
    let end = file.size()?.min(run.footer);
    let mut bytes = vec![0; end.saturating_sub(run.start) as usize];
    file.read_at(run.start, &mut bytes)?;
    let bytes = Bytes::from(bytes);
    let (mut image, mut rows, mut from) = (ImageOf::new(0), Vec::new(), 0);
    while let Some(found) = item::find(&bytes, from, salt) {
        from = found.next();
        if let Some(record) = record_at(&bytes, found.start, salt) {
            let subject = image.subject(record.subject());
            let size = record.size() as u32;
            let row =
                Row { index: record.index, time_ns: record.time_ns, size, subject, flags: record.flags };
            rows.push(FooterRow { row, offset: found.start as u32 });
        }
    }
    Ok((Footer { subjects: image.image.subjects, rows }, true))
}

/// The record whose item begins at `start`; `None`: it is damaged.
pub(crate) fn record_at(bytes: &Bytes, start: usize, salt: u32) -> Option<Record> {
    let found = item::at(bytes, start, salt).filter(|found| found.intact && found.kind == Kind::Record)?;
    let body = bytes.slice(found.body_at()..found.body_at() + found.body_len);
    decode_record(&body).map(|(_, record)| record)
}

/// Reads a segment's head and length, for its version and whose it is.
pub(crate) fn check(fs: &dyn FileSystem, number: u64, identity: &Identity) -> Result<u64, Error> {
    let name = What::Segment.name(number);
    let file = fs.open(&name).doing(&name, "opened")?;
    let size = file.size().doing(&name, "read")?;
    let mut head = vec![0; HEAD_BYTES.min(size as usize)];
    file.read_at(0, &mut head).doing(&name, "read")?;
    Head::decode(&head, What::Segment, &name, identity)?;
    Ok(size)
}
