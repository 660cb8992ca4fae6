//! A stream as it was before the process ended, from what the journal kept: the log's rows, the last numbers, and the
//! content of the few messages whose headers matter. Limits are *not* applied here, since that has effects; the next
//! [`Stream::expire`] does it, and [`Stream::next_wake`] asks for it at once.

use kernel::journal::{Image, Record, Summary, flag as journal_flag};
use kernel::{Msg, Now};
use wire::jetstream::{PublishHeaders, StreamConfig, Ttl};

use super::producers::{Damaged, Producers};
use super::ttl::deadline_ms;
use super::{Changes, NS_PER_MS, Row, Stream, flag, publish};

impl Stream {
    /// A stream with the rows of its log, all of them visible. Afterwards come [`Stream::restore_producers`] and
    /// [`Stream::remember`].
    pub fn restore(config: StreamConfig, image: &Image, summary: &Summary, hash_seed: u64) -> Stream {
        let mut stream = Stream::new(config, hash_seed);
        let mut rows: Vec<_> = image.rows.iter().collect();
        rows.sort_by_key(|row| row.index);
        rows.dedup_by_key(|row| row.index);
        for row in rows {
            let name = image.subjects.get(row.subject as usize).map_or(&[][..], |name| name);
            let slot = stream.subjects.intern(name);
            let (seq, size, flags) = (row.index, row.size, row.flags);
            let time_ns = row.time_ns.max(stream.last_time_ns);
            let row = Row { seq, time_ns, size, slot, flags, link: 0 };
            stream.push(&row);
            stream.restore_mark(&row);
            if let Some(subject) = stream.subjects.get_mut(slot) {
                subject.shown = seq;
            }
        }
        stream.last = stream.last.max(summary.last);
        stream.last_time_ns = stream.last_time_ns.max(summary.last_time_ns);
        (stream.shown, stream.shown_time_ns) = (stream.last, stream.last_time_ns);
        stream.subjects_visible = stream.subjects.len() as u64;
        stream.untidy = true;
        stream
    }

    /// The messages whose content [`Stream::remember`] is to be given, ascending: those with an id within the duplicate
    /// window at `now`, those of producers behind the snapshot, those with a time to live, those that are kept back, and the last.
    pub fn wanted_at_restore(&self, now: Now) -> Vec<u64> {
        let saved = self.producers.as_ref().map_or(0, |p| p.saved);
        // The last message may be of a later time than it is: see [`Stream::release`].
        let until_ns = self.last_time_ns.min(now.wall_ms.saturating_mul(NS_PER_MS));
        let recent = until_ns.saturating_sub(self.bounds.window_ns);
        let mut wanted = Vec::new();
        let mut from = 0;
        while let Some(row) = self.rows.next(from).and_then(|seq| self.rows.get(seq)) {
            let has = |bits: u16| row.flags & bits != 0;
            let id = has(journal_flag::HAS_ID) && (row.time_ns >= recent || row.seq == self.last);
            let producer = has(flag::HAS_PRODUCER) && row.seq > saved;
            let life = has(journal_flag::HAS_TTL) && !has(flag::STAYS);
            if id || producer || life || has(flag::IS_LATE) {
                wanted.push(row.seq);
            }
            from = row.seq + 1;
        }
        wanted
    }

    /// Takes what a message's headers say. Messages come ascending.
    pub fn remember(&mut self, record: &Record) {
        let (seq, time_ns) = (record.index, record.time_ns);
        if self.rows.get(seq).is_none() {
            return;
        }
        let headers = PublishHeaders::read(record.headers());
        if let Some(id) = headers.msg_id {
            if seq == self.last {
                self.last_id = id.to_vec();
            }
            self.note_id(id, seq, time_ns);
        }
        if let Ok(Some(n)) = publish::numbering(&message(record), &headers) {
            let producers = self.producers.get_or_insert_with(|| Box::new(Producers::new(self.hash_seed)));
            if seq > producers.saved {
                producers.note(n.producer, n.epoch, n.sequence, n.content, seq);
            }
        }
        if let (Some(Ttl::Seconds(seconds)), true) = (headers.ttl, record.flags & journal_flag::HAS_TTL != 0)
        {
            self.deadlines.get_or_insert_default().add(deadline_ms(time_ns, seconds), seq);
        }
        self.remember_delay(record, &headers);
    }

    /// What is known of producers, as bytes for [`Stream::restore_producers`]; `None`: none was ever heard. The messages
    /// up to here need not be remembered for it.
    pub fn producers_snapshot(&mut self) -> Option<Vec<u8>> {
        let last = self.last;
        self.producers.as_mut().map(|producers| producers.snapshot(last))
    }

    /// Whether the last [`Stream::producers_snapshot`] says all that is known of producers.
    pub fn are_producers_kept(&self) -> bool {
        self.producers.as_ref().is_none_or(|producers| producers.saved >= self.last)
    }

    /// Whether [`Stream::restore`] would bring it back as it is: everything stored is visible, nothing is known that its
    /// messages do not say, as ids of messages that are gone, and none of them has a time of its own.
    pub fn is_at_rest(&self) -> bool {
        let is_last_known = self.last_id.is_empty() || self.rows.get(self.last).is_some();
        let knows_ids = self.ids.as_ref().is_some_and(|ids| ids.oldest_ns().is_some());
        let is_whole = self.shown == self.last && is_last_known && !knows_ids;
        is_whole && !self.untidy && self.deadlines.is_none()
    }

    /// Takes what [`Stream::producers_snapshot`] gave. Errors when the bytes are something else; nothing changes then.
    pub fn restore_producers(&mut self, bytes: &[u8]) -> Result<(), Damaged> {
        self.producers = Some(Box::new(Producers::restored(bytes, self.hash_seed)?));
        Ok(())
    }

    /// Applies roll-ups and limits that the journal has not heard of.
    pub(super) fn tidy(&mut self, changes: &mut Changes) {
        let mut from = 0;
        while let Some(row) = self.rows.next(from).and_then(|seq| self.rows.get(seq)) {
            if row.flags & (flag::ROLLS_ALL | flag::ROLLS_SUBJECT) != 0 && row.seq <= self.shown {
                self.roll_up(&row, changes);
            }
            from = row.seq + 1;
        }
        self.keep_all(changes);
    }
}

fn message(record: &Record) -> Msg<'_> {
    let (subject, headers, payload) = (record.subject(), record.headers(), record.payload());
    Msg { subject, headers, payload, ..Msg::default() }
}
