//! Taking a message: what its headers demand, whether it was stored before, whether there is room. It does *not* let
//! go of anything; that is done when the message becomes visible.

use kernel::journal::{Level, Record, flag as journal_flag};
use kernel::{Msg, Now};
use wire::jetstream::pub_headers::{Ack, Feature, KvOperation};
use wire::jetstream::{Producer, PublishHeaders, Rollup, StorageType, Ttl};

use super::producers::{self, Producers, Verdict};
use super::ttl::deadline_ms;
use crate::marked::Mark;

use super::{Changes, Ids, NS_PER_MS, Published, Refusal, Row, SEQUENCE_MAX, Stream, flag};

const HEADERS_BYTES_MAX: usize = 65_535;

/// A message's number within its producer.
pub(super) struct Numbered<'a> {
    pub(super) producer: &'a [u8],
    pub(super) epoch: u64,
    pub(super) sequence: u64,
    /// See [`producers::fingerprint`].
    pub(super) content: u64,
}

impl Stream {
    /// Stores a message, or says why not. `headers` are those of `m`. When it is stored, `changes.record` is what is to
    /// be appended; a refused message and a duplicate change nothing.
    pub fn publish(
        &mut self,
        now: Now,
        m: &Msg<'_>,
        headers: &PublishHeaders<'_>,
        changes: &mut Changes,
    ) -> Result<Published, Refusal> {
        if self.config.sealed || self.last >= SEQUENCE_MAX {
            return Err(Refusal::Sealed);
        }
        if self.bounds.marker_s > 0
            && let Some(block) = self.raised(m.headers, headers)
        {
            changes.is_rewritten = true;
            let raised = Msg { subject: m.subject, headers: &block, payload: m.payload, ..Msg::default() };
            return self.publish(now, &raised, &PublishHeaders::read(&block), changes);
        }
        self.check_size(m)?;
        let mut time_ns = now.wall_ms.saturating_mul(NS_PER_MS).max(self.last_time_ns);
        let (mut flags, mut mark) = (0, Mark::NONE);
        let (mut numbered, mut ttl) = (None, None);
        if !m.headers.is_empty() {
            flags |= flag::HAS_HEADERS;
            self.check_stream(headers)?;
            self.check_level(headers)?;
            numbered = numbering(m, headers)?;
            if let Some(seq) = self.check_producer(&numbered)? {
                return Ok(Published::Duplicate { seq });
            }
            self.check_last(m.subject, headers)?;
            if let Some(seq) = self.check_id(headers, now) {
                return Ok(Published::Duplicate { seq });
            }
            self.check_last_id(headers)?;
            flags |= self.check_rollup(headers)?;
            ttl = self.check_ttl(headers)?;
            flags |= flags_of(headers, &numbered, ttl);
            if headers.delay.is_some() {
                time_ns = time_ns.max(self.released_ms.saturating_mul(NS_PER_MS));
            }
            let (asked, bits) = self.check_mark(headers, time_ns, ttl)?;
            (mark, flags) = (asked, flags | bits);
        }
        let subject = self.subjects.find(m.subject);
        self.check_room(m, flags, subject)?;
        let seq = self.last + 1;
        let record = Record::of(seq, time_ns, flags, m);
        self.append(m.subject, subject, &record);
        self.remember_ids(headers, &record, numbered, ttl);
        self.note_mark(seq, mark);
        changes.record = Some(record);
        Ok(Published::Stored { seq })
    }

    fn check_size(&self, m: &Msg<'_>) -> Result<(), Refusal> {
        if m.size() as u64 > self.bounds.msg_bytes {
            return Err(Refusal::MessageTooLarge);
        }
        if m.headers.len() > HEADERS_BYTES_MAX {
            return Err(Refusal::HeadersTooLarge);
        }
        // A record's lengths are counted in so many bits.
        match m.subject.len() > usize::from(u16::MAX) || m.size() > (u32::MAX - u32::from(u16::MAX)) as usize
        {
            true => Err(Refusal::MessageTooLarge),
            false => Ok(()),
        }
    }

    fn check_stream(&self, headers: &PublishHeaders<'_>) -> Result<(), Refusal> {
        if headers.expected_stream.is_some_and(|name| name != self.config.name.as_bytes()) {
            return Err(Refusal::OtherStream);
        }
        match headers.feature {
            None => Ok(()),
            Some(Feature::Schedule) => Err(Refusal::SchedulesDisabled),
            Some(Feature::Counter) => Err(Refusal::CountersDisabled),
            Some(Feature::AtomicBatch) => Err(Refusal::AtomicDisabled),
        }
    }

    /// Whether the stream can make the message as safe as it says it must be.
    fn check_level(&self, headers: &PublishHeaders<'_>) -> Result<(), Refusal> {
        match (headers.ack, headers.level()) {
            (Some(Ack::Invalid), _) => Err(Refusal::AckInvalid),
            (_, Some(level)) if level > Level::Mem && self.config.storage == StorageType::Memory => {
                Err(Refusal::AckTooHigh)
            }
            _ => Ok(()),
        }
    }

    /// The sequence under which a producer's message was stored before.
    fn check_producer(&self, numbered: &Option<Numbered<'_>>) -> Result<Option<u64>, Refusal> {
        let (Some(n), Some(producers)) = (numbered, &self.producers) else { return Ok(None) };
        match producers.judge(n.producer, n.epoch, n.sequence, n.content) {
            Verdict::New => Ok(None),
            Verdict::Known(seq) => Ok(Some(seq)),
            Verdict::Other => Err(Refusal::SequenceReused),
            Verdict::Fenced(epoch) => Err(Refusal::Fenced { epoch }),
            Verdict::Forgotten(known) => Err(Refusal::SequenceForgotten { known }),
        }
    }

    fn check_last(&self, subject: &[u8], headers: &PublishHeaders<'_>) -> Result<(), Refusal> {
        if let Some(wanted) = headers.expected_last_seq
            && wanted != self.last
        {
            return Err(Refusal::WrongLastSequence { last: self.last });
        }
        match (headers.expected_last_subject_seq, headers.expected_last_subject) {
            (None, Some(_)) => Err(Refusal::SequenceMissing),
            (None, None) => Ok(()),
            (Some(wanted), other) => {
                let last = self.last_stored_of(other.unwrap_or(subject));
                match wanted == last {
                    true => Ok(()),
                    false => Err(Refusal::WrongLastSequence { last }),
                }
            }
        }
    }

    /// The sequence under which an id was stored within the window.
    fn check_id(&mut self, headers: &PublishHeaders<'_>, now: Now) -> Option<u64> {
        let ids = self.ids.as_mut()?;
        // Not by the time of the last message, which goes ahead of a clock that was put back.
        ids.prune(now.wall_ms.saturating_mul(NS_PER_MS), self.bounds.window_ns);
        ids.find(headers.msg_id?)
    }

    fn check_last_id(&self, headers: &PublishHeaders<'_>) -> Result<(), Refusal> {
        match headers.expected_last_msg_id.is_some_and(|wanted| wanted != self.last_id) {
            true => Err(Refusal::WrongLastId { last: String::from_utf8_lossy(&self.last_id).into_owned() }),
            false => Ok(()),
        }
    }

    fn check_rollup(&self, headers: &PublishHeaders<'_>) -> Result<u16, Refusal> {
        let Some(rollup) = headers.rollup else { return Ok(0) };
        if !self.config.allow_rollup_hdrs || self.config.deny_purge {
            return Err(Refusal::RollupForbidden);
        }
        match rollup {
            Rollup::Subject => Ok(flag::ROLLS_SUBJECT),
            Rollup::All => Ok(flag::ROLLS_ALL),
            Rollup::Invalid(word) => {
                let word = String::from_utf8_lossy(word).to_lowercase();
                Err(Refusal::RollupInvalid { word })
            }
        }
    }

    fn check_ttl(&self, headers: &PublishHeaders<'_>) -> Result<Option<Ttl>, Refusal> {
        match headers.ttl {
            Some(Ttl::Invalid) => Err(Refusal::TtlInvalid),
            Some(_) if !self.config.allow_msg_ttl => Err(Refusal::TtlDisabled),
            ttl => Ok(ttl),
        }
    }

    /// Whether a stream that discards new messages has room for one. Bytes of messages that wait for their successor to
    /// become visible still count.
    fn check_room(&self, m: &Msg<'_>, flags: u16, slot: Option<u32>) -> Result<(), Refusal> {
        if self.discards_old() {
            return Ok(());
        }
        let subject = slot.and_then(|slot| self.subjects.get(slot));
        let full = subject.is_some_and(|s| s.count >= self.bounds.msgs_per_subject);
        if full && self.config.discard_new_per_subject {
            return Err(Refusal::MaxMessagesPerSubject);
        }
        if !full && self.total.msgs - self.surplus >= self.bounds.msgs {
            return Err(Refusal::MaxMessages);
        }
        let size = (m.subject.len() + m.size()) as u32;
        let mut bytes = self.total.bytes + self.weight(&Row { size, flags, ..Row::default() });
        if let (true, Some(slot)) = (full && bytes > self.bounds.bytes, slot) {
            let replaced = self.first_of(slot).and_then(|seq| self.rows.get(seq));
            bytes -= replaced.map_or(0, |row| self.weight(&row));
        }
        match bytes > self.bounds.bytes {
            true => Err(Refusal::MaxBytes),
            false => Ok(()),
        }
    }

    /// Adds a record to the index.
    pub(super) fn append(&mut self, name: &[u8], slot: Option<u32>, record: &Record) {
        let slot = slot.unwrap_or_else(|| self.subjects.intern(name));
        let row = Row {
            seq: record.index,
            time_ns: record.time_ns,
            size: record.size() as u32,
            slot,
            flags: record.flags,
            link: 0,
        };
        self.push(&row);
        let weight = self.weight(&row);
        self.hidden.add(weight);
        if let Some(subject) = self.subjects.get_mut(slot) {
            subject.hidden += 1;
        }
    }

    /// Adds a row to index and counts.
    pub(super) fn push(&mut self, row: &Row) {
        let per_subject = self.bounds.msgs_per_subject;
        self.rows.push(row);
        self.total.add(self.weight(row));
        self.last = row.seq;
        self.last_time_ns = row.time_ns;
        let Some(subject) = self.subjects.get_mut(row.slot) else { return };
        if subject.count == 0 {
            subject.first = row.seq;
        } else if per_subject != u64::MAX && per_subject > 1 {
            self.rows.set_link(subject.last, row.seq);
        }
        subject.last = row.seq;
        subject.count += 1;
        self.surplus += u64::from(subject.count > per_subject);
    }

    /// Notes what later messages are compared with.
    fn remember_ids(
        &mut self,
        headers: &PublishHeaders<'_>,
        record: &Record,
        numbered: Option<Numbered<'_>>,
        ttl: Option<Ttl>,
    ) {
        let (seq, time_ns) = (record.index, record.time_ns);
        self.last_id.clear();
        if let Some(id) = headers.msg_id {
            self.last_id.extend_from_slice(id);
            self.note_id(id, seq, time_ns);
        }
        if let Some(Ttl::Seconds(seconds)) = ttl {
            self.deadlines.get_or_insert_default().add(deadline_ms(time_ns, seconds), seq);
        }
        if let Some(n) = numbered {
            let producers = self.producers.get_or_insert_with(|| Box::new(Producers::new(self.hash_seed)));
            producers.note(n.producer, n.epoch, n.sequence, n.content, seq);
        }
    }

    pub(super) fn note_id(&mut self, id: &[u8], seq: u64, time_ns: u64) {
        self.ids.get_or_insert_with(|| Box::new(Ids::new(self.hash_seed))).note(id, seq, time_ns);
    }
}

fn flags_of(headers: &PublishHeaders<'_>, numbered: &Option<Numbered<'_>>, ttl: Option<Ttl>) -> u16 {
    let mut flags = 0;
    if headers.msg_id.is_some() {
        flags |= journal_flag::HAS_ID;
    }
    if numbered.is_some() {
        flags |= journal_flag::HAS_ID | flag::HAS_PRODUCER;
    }
    if headers.is_marker || headers.operation == Some(KvOperation::Purge) {
        flags |= journal_flag::IS_MARKER;
    }
    match ttl {
        Some(Ttl::Never) => flags | journal_flag::HAS_TTL | flag::STAYS,
        Some(_) => flags | journal_flag::HAS_TTL,
        None => flags,
    }
}

/// What a producer says of a message.
pub(super) fn numbering<'a>(
    m: &Msg<'_>,
    headers: &PublishHeaders<'a>,
) -> Result<Option<Numbered<'a>>, Refusal> {
    match headers.producer {
        None => Ok(None),
        Some(Producer::Numbered { id, epoch, sequence }) if id.len() <= producers::NAME_BYTES_MAX => {
            let content = producers::fingerprint([m.subject, m.headers, m.payload]);
            Ok(Some(Numbered { producer: id, epoch, sequence, content }))
        }
        Some(_) => Err(Refusal::ProducerInvalid),
    }
}
