//! Taking a message: what its headers demand, whether it was stored before, whether there is room. It does *not* let
//! go of anything; that is done when the message becomes visible.

use kernel::journal::{Record, flag as journal_flag};
use kernel::{Msg, Now};

use super::producers::{self, Producers, Verdict};
use super::ttl::Life;
use super::{Changes, Ids, NS_PER_MS, PublishHeaders, Published, Refusal, Row, Stream, flag};

const HEADERS_BYTES_MAX: usize = 65_535;

/// A message's number within its producer.
struct Numbered<'a> {
    producer: &'a str,
    epoch: u64,
    sequence: u64,
    content: u64,
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
        if self.config.sealed {
            return Err(Refusal::Sealed);
        }
        self.check_size(m)?;
        let time_ns = now.wall_ms.saturating_mul(NS_PER_MS).max(self.last_time_ns);
        let mut flags = 0;
        let (mut numbered, mut life) = (None, None);
        if !m.headers.is_empty() {
            flags |= flag::HAS_HEADERS;
            self.check_unknown(headers)?;
            numbered = numbering(m, headers)?;
            if let Some(seq) = self.check_producer(&numbered)? {
                return Ok(Published::Duplicate { seq });
            }
            self.check_last(m.subject, headers)?;
            if let Some(seq) = self.check_id(headers, time_ns) {
                return Ok(Published::Duplicate { seq });
            }
            self.check_last_id(headers)?;
            flags |= self.check_rollup(headers)?;
            life = self.check_ttl(headers)?;
            flags |= flags_of(headers, &numbered, life);
        }
        let subject = self.subjects.find(m.subject);
        self.check_room(m, flags, subject)?;
        let seq = self.last + 1;
        let record = Record::of(seq, time_ns, flags, m);
        self.append(m.subject, subject, &record);
        self.remember_ids(headers, seq, time_ns, numbered, life);
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

    fn check_unknown(&self, headers: &PublishHeaders<'_>) -> Result<(), Refusal> {
        if headers.expected_stream.is_some_and(|name| name != self.config.name) {
            return Err(Refusal::OtherStream);
        }
        if headers.schedule.is_some() {
            return Err(Refusal::SchedulesDisabled);
        }
        if headers.increment.is_some() {
            return Err(Refusal::CountersDisabled);
        }
        match headers.batch.is_some() {
            true => Err(Refusal::AtomicDisabled),
            false => Ok(()),
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
        if let Some(wanted) = headers.expected_last_sequence
            && wanted.parse() != Ok(self.last)
        {
            return Err(Refusal::WrongLastSequence { last: self.last });
        }
        match (headers.expected_last_subject_sequence, headers.expected_last_subject) {
            (None, Some(_)) => Err(Refusal::SequenceMissing),
            (None, None) => Ok(()),
            (Some(wanted), other) => {
                let last = self.last_stored_of(other.map_or(subject, str::as_bytes));
                match wanted.parse() == Ok(last) {
                    true => Ok(()),
                    false => Err(Refusal::WrongLastSequence { last }),
                }
            }
        }
    }

    /// The sequence under which an id was stored within the window.
    fn check_id(&mut self, headers: &PublishHeaders<'_>, time_ns: u64) -> Option<u64> {
        let ids = self.ids.as_mut()?;
        ids.prune(time_ns, self.bounds.window_ns);
        ids.find(headers.id?)
    }

    fn check_last_id(&self, headers: &PublishHeaders<'_>) -> Result<(), Refusal> {
        match headers.expected_last_id.is_some_and(|wanted| wanted != self.last_id) {
            true => Err(Refusal::WrongLastId { last: self.last_id.clone() }),
            false => Ok(()),
        }
    }

    fn check_rollup(&self, headers: &PublishHeaders<'_>) -> Result<u8, Refusal> {
        let Some(word) = headers.rollup else { return Ok(0) };
        if !self.config.allow_rollup_hdrs || self.config.deny_purge {
            return Err(Refusal::RollupForbidden);
        }
        match word.to_ascii_lowercase() {
            word if word == "sub" => Ok(flag::ROLLS_SUBJECT),
            word if word == "all" => Ok(flag::ROLLS_ALL),
            word => Err(Refusal::RollupInvalid { word }),
        }
    }

    fn check_ttl(&self, headers: &PublishHeaders<'_>) -> Result<Option<Life>, Refusal> {
        let Some(text) = headers.ttl else { return Ok(None) };
        let life = Life::parse(text)?;
        match self.config.allow_msg_ttl {
            true => Ok(Some(life)),
            false => Err(Refusal::TtlDisabled),
        }
    }

    /// Whether a stream that discards new messages has room for one. Bytes of messages that wait for their successor to
    /// become visible still count.
    fn check_room(&self, m: &Msg<'_>, flags: u8, slot: Option<u32>) -> Result<(), Refusal> {
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
        seq: u64,
        time_ns: u64,
        numbered: Option<Numbered<'_>>,
        life: Option<Life>,
    ) {
        self.last_id.clear();
        if let Some(id) = headers.id {
            self.last_id.push_str(id);
            self.note_id(id, seq, time_ns);
        }
        if let Some(deadline_ms) = life.and_then(|life| life.deadline_ms(time_ns)) {
            self.deadlines.get_or_insert_default().add(deadline_ms, seq);
        }
        if let Some(n) = numbered {
            let producers = self.producers.get_or_insert_with(|| Box::new(Producers::new(self.hash_seed)));
            producers.note(n.producer, n.epoch, n.sequence, n.content, seq);
        }
    }

    pub(super) fn note_id(&mut self, id: &str, seq: u64, time_ns: u64) {
        self.ids.get_or_insert_with(|| Box::new(Ids::new(self.hash_seed))).note(id, seq, time_ns);
    }
}

fn flags_of(headers: &PublishHeaders<'_>, numbered: &Option<Numbered<'_>>, life: Option<Life>) -> u8 {
    let mut flags = 0;
    if headers.id.is_some() {
        flags |= journal_flag::HAS_ID;
    }
    if numbered.is_some() {
        flags |= journal_flag::HAS_ID | flag::HAS_PRODUCER;
    }
    match life {
        Some(Life::Never) => flags | journal_flag::HAS_TTL | flag::STAYS,
        Some(Life::Seconds(_)) => flags | journal_flag::HAS_TTL,
        None => flags,
    }
}

/// Reads what a producer says of a message.
fn numbering<'a>(m: &Msg<'_>, headers: &PublishHeaders<'a>) -> Result<Option<Numbered<'a>>, Refusal> {
    let read = |text: &str| text.parse().map_err(|_| Refusal::ProducerInvalid);
    match (headers.producer, headers.sequence) {
        (None, None) => Ok(None),
        (Some(producer), Some(sequence)) if producer.len() <= producers::NAME_BYTES_MAX => {
            Ok(Some(Numbered {
                producer,
                epoch: headers.epoch.map_or(Ok(0), read)?,
                sequence: read(sequence)?,
                content: producers::fingerprint([m.subject, m.headers, m.payload]),
            }))
        }
        _ => Err(Refusal::ProducerInvalid),
    }
}

pub(super) fn producer_of<'a>(
    record: &Record,
    headers: &PublishHeaders<'a>,
) -> Option<(&'a str, u64, u64, u64)> {
    let m = Msg {
        subject: record.subject(),
        headers: record.headers(),
        payload: record.payload(),
        ..Msg::default()
    };
    let n = numbering(&m, headers).ok()??;
    Some((n.producer, n.epoch, n.sequence, n.content))
}
