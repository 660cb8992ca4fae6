//! Journal entries as bodies of items. It does *not* check anything: a body that was whole when written is whole when
//! its checksum says so; what it cannot read it gives up.

use std::ops::RangeInclusive;

use bytes::Bytes;
use kernel::journal::Record;
use kernel::{Entry, LogId, Position};

use crate::bytes::{Cut, put};
use crate::item::Kind;

/// Bytes of a record's body in front of its content.
pub(crate) const RECORD_BYTES: usize = 32;

/// Whether an entry is never written: what belongs to a volatile log.
pub(crate) fn is_volatile(entry: &Entry) -> bool {
    match entry {
        Entry::Record(log, _) | Entry::Remove(log, _) | Entry::Forget(log) => log.is_volatile(),
        Entry::State(..) | Entry::Delta(..) | Entry::Checkpoint(_) => false,
    }
}

/// Appends the body of an entry and says its kind.
pub(crate) fn encode(entry: &Entry, out: &mut Vec<u8>) -> Kind {
    match entry {
        Entry::Record(log, record) => {
            encode_record(*log, record, out);
            Kind::Record
        }
        Entry::Remove(log, ranges) => {
            out.extend_from_slice(&log.0.to_le_bytes());
            encode_ranges(ranges.iter().cloned(), out);
            Kind::Remove
        }
        Entry::Forget(log) => {
            out.extend_from_slice(&log.0.to_le_bytes());
            Kind::Forget
        }
        Entry::State(key, Some(value)) => {
            encode_pair(key, value, out);
            Kind::State
        }
        Entry::State(key, None) => {
            out.extend_from_slice(key);
            Kind::StateGone
        }
        Entry::Delta(key, change) => {
            encode_pair(key, change, out);
            Kind::Delta
        }
        Entry::Checkpoint(position) => {
            out.extend_from_slice(&position.0.to_le_bytes());
            Kind::Checkpoint
        }
    }
}

/// Appends the body of a record.
pub(crate) fn encode_record(log: LogId, record: &Record, out: &mut Vec<u8>) {
    let mut head = [0; RECORD_BYTES];
    put(&mut head, 0, &log.0.to_le_bytes());
    put(&mut head, 8, &record.index.to_le_bytes());
    put(&mut head, 16, &record.time_ns.to_le_bytes());
    put(&mut head, 24, &record.flags.to_le_bytes());
    put(&mut head, 26, &record.subject_len.to_le_bytes());
    put(&mut head, 28, &record.headers_len.to_le_bytes());
    out.extend_from_slice(&head);
    out.extend_from_slice(&record.content);
}

/// Appends a key with what belongs to it.
pub(crate) fn encode_pair(key: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(key.len() as u32).to_le_bytes());
    out.extend_from_slice(key);
    out.extend_from_slice(value);
}

/// Appends ranges, without their number.
pub(crate) fn encode_ranges(ranges: impl Iterator<Item = RangeInclusive<u64>>, out: &mut Vec<u8>) {
    for range in ranges {
        out.extend_from_slice(&range.start().to_le_bytes());
        out.extend_from_slice(&range.end().to_le_bytes());
    }
}

/// Ranges up to the end.
pub(crate) fn decode_ranges(cut: &mut Cut<'_>) -> Vec<RangeInclusive<u64>> {
    let mut ranges = Vec::with_capacity(cut.0.len() / 16);
    while let (Some(start), Some(end)) = (cut.u64(), cut.u64()) {
        ranges.push(start..=end);
    }
    ranges
}

/// An entry of a body, sharing its bytes.
pub(crate) fn decode(kind: Kind, body: Bytes) -> Option<Entry> {
    let mut cut = Cut(&body);
    Some(match kind {
        Kind::Record => {
            let (log, record) = decode_record(&body)?;
            Entry::Record(log, record)
        }
        Kind::Remove => Entry::Remove(LogId(cut.u64()?), decode_ranges(&mut cut).into()),
        Kind::Forget => Entry::Forget(LogId(cut.u64()?)),
        Kind::State => {
            let (key, value) = decode_pair(&body)?;
            Entry::State(key, Some(value))
        }
        Kind::StateGone => Entry::State(body, None),
        Kind::Delta => {
            let (key, change) = decode_pair(&body)?;
            Entry::Delta(key, change)
        }
        Kind::Checkpoint => Entry::Checkpoint(Position(cut.u64()?)),
        Kind::Frame | Kind::Footer | Kind::Log | Kind::Settled | Kind::Mark => return None,
    })
}

/// A record of a body, sharing its bytes.
pub(crate) fn decode_record(body: &Bytes) -> Option<(LogId, Record)> {
    let mut cut = Cut(body);
    let (log, index, time_ns) = (LogId(cut.u64()?), cut.u64()?, cut.u64()?);
    let (flags, subject_len, headers_len) = (cut.u16()?, cut.u16()?, cut.u32()?);
    let content = body.slice(RECORD_BYTES.min(body.len())..);
    Some((log, Record { index, time_ns, flags, subject_len, headers_len, content }))
}

/// A key with what belongs to it, sharing the bytes.
pub(crate) fn decode_pair(body: &Bytes) -> Option<(Bytes, Bytes)> {
    let mut cut = Cut(body);
    let key_len = cut.u32()? as usize;
    cut.take(key_len)?;
    Some((body.slice(4..4 + key_len), body.slice(4 + key_len..)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_comes_back_as_it_was() {
        let record = Record {
            index: 9,
            time_ns: 8,
            flags: 5 | 5 << 8,
            subject_len: 3,
            headers_len: 2,
            content: Bytes::from_static(b"a.bhhpayload"),
        };
        let (key, value) = (Bytes::from_static(b"k"), Bytes::from_static(b"value"));
        for entry in [
            Entry::Record(LogId(3), record.clone()),
            Entry::Record(LogId(u64::MAX >> 1), Record::default()),
            Entry::Remove(LogId(3), vec![1..=2, 9..=u64::MAX].into()),
            Entry::Forget(LogId(4)),
            Entry::State(key.clone(), Some(value.clone())),
            Entry::State(key.clone(), None),
            Entry::Delta(key, value),
            Entry::Checkpoint(Position(77)),
        ] {
            let mut body = Vec::new();
            let kind = encode(&entry, &mut body);
            assert_eq!(decode(kind, body.into()), Some(entry));
        }
    }

    #[test]
    fn a_body_of_nonsense_is_no_entry_and_no_panic() {
        for kind in [Kind::Record, Kind::Remove, Kind::State, Kind::Delta, Kind::Checkpoint] {
            for length in 0..8 {
                decode(kind, vec![255; length].into());
            }
        }
    }
}
