//! A captured message on its way into its stream: a sequence number or a refusal, an entry, a held acknowledgement.

use bus::messages::Messages;
use bus::stream::{Changes, Published};
use bytes::Bytes;
use kernel::trace::{Kind, Span};
use kernel::{Entry, LogId, Msg, Now, Record, TenantId};
use wire::jetstream::api::PubAck;
use wire::jetstream::{ApiError, PublishHeaders};

use super::cell::{Body, Cell, producers_key};
use super::inbox::Arrival;
use super::out::{Held, Out};
use super::timers::Timer;
use super::traced::text;
use super::{Plane, api, count};

impl Plane {
    /// A stream captured a message.
    pub(crate) fn captured(&mut self, now: Now, log: LogId, mut arrival: Arrival) {
        // The stream is deleted: as if nobody had listened.
        let Some(cell) = self.cells.get_mut(&log) else {
            return api::unheard(&mut self.out, arrival.tenant, &arrival.reply(), arrival.msg().subject);
        };
        if self.out.failed.is_some() {
            count(&self.figures.refused_total);
            let reply = if cell.config.no_ack { Bytes::new() } else { arrival.reply() };
            let (tenant, name, error) = (cell.tenant, cell.name.clone(), api::store_failed(&self.out));
            return self.refuse_publish(tenant, &reply, &name, &error);
        }
        cell.is_used = true;
        let Body::Warm(stream) = &mut cell.body else { return self.park(log, arrival) };
        let mut changes = Changes::default();
        let m = arrival.msg();
        let headers = PublishHeaders::read(m.headers);
        let asked = headers.level();
        let span = self.traced.begin(now, m.headers, Kind::Internal, || format!("store {}", cell.name));
        let span = span.map(|span| {
            let span = span.with("messaging.system", "neuroplex").with("messaging.operation.name", "store");
            let span = span.with("messaging.destination.name", text(m.subject));
            Box::new(span.with("messaging.message.body.size", m.payload.len() as u64))
        });
        let published = stream.publish(now, &m, &headers, &mut changes);
        let from = arrival.from.take();
        match published {
            Ok(published) => {
                let reply = if cell.config.no_ack { Bytes::new() } else { arrival.reply() };
                let content = (!changes.is_rewritten).then(|| arrival.content()).flatten();
                Self::keep(cell, &mut self.out, &mut self.to_show, changes, content);
                let (seq, duplicate) = match published {
                    Published::Stored { seq } => {
                        count(&self.figures.stored_total);
                        (seq, false)
                    }
                    Published::Duplicate { seq } => (seq, true),
                };
                let stream = cell.name.clone();
                let of_stream = |span: Box<Span>| {
                    let span = span.with("neuroplex.stream", &*stream).with("neuroplex.stream.seq", seq);
                    Box::new(span.with("neuroplex.duplicate", duplicate))
                };
                let span = span.map(of_stream);
                let held = Held::Ack { tenant: cell.tenant, reply, stream, seq, duplicate, from, span };
                // Only its acknowledgement: it is shown as the stream says, with those before it.
                self.levels.hold(&mut self.out, log, asked.unwrap_or(cell.level), held);
            }
            Err(refusal) => {
                count(&self.figures.refused_total);
                drop(from);
                let reply = if cell.config.no_ack { Bytes::new() } else { arrival.reply() };
                let tenant = cell.tenant;
                let name = cell.name.clone();
                let error = refusal.api();
                self.traced.end(span, Some(&error.description));
                self.refuse_publish(tenant, &reply, &name, &error);
            }
        }
    }

    /// Writes down what a stream decided. `content`: what the new record holds, when it lies in memory already.
    pub(crate) fn keep(
        cell: &mut Cell,
        out: &mut Out,
        to_show: &mut Vec<LogId>,
        changes: Changes,
        content: Option<Bytes>,
    ) {
        let Changes { record, is_rewritten: _, markers, removed, producers, last, unmarked: _ } = changes;
        if let Some(mut record) = record {
            let shares = |c: &Bytes| c.len() == record.content.len() && !cell.log.is_volatile();
            if let Some(content) = content.filter(shares) {
                // The same bytes, shared with the others of the turn instead of held once more.
                record.content = content;
            }
            Self::append_record(cell, out, to_show, record);
        }
        for marker in markers {
            Self::append_record(cell, out, to_show, marker);
        }
        // What lives in memory only has no state either.
        let is_kept = !cell.log.is_volatile();
        if producers
            && is_kept
            && let Body::Warm(stream) = &mut cell.body
            && let Some(snapshot) = stream.producers_snapshot()
        {
            out.append(Entry::State(producers_key(cell.log), Some(snapshot.into())));
        }
        if !removed.is_empty() {
            out.append(Entry::Remove(cell.log, removed.into()));
        }
        if let Some(last) = last {
            cell.raised_to = last;
            if is_kept {
                out.append(Entry::State(cell.key(), Some(cell.state())));
            }
        }
    }

    /// Writes down a message, which is shown when it is safe.
    fn append_record(cell: &mut Cell, out: &mut Out, to_show: &mut Vec<LogId>, record: Record) {
        if cell.to_show == 0 {
            to_show.push(cell.log);
        }
        cell.to_show = record.index;
        out.append(Entry::Record(cell.log, record));
    }

    /// A stream's messages that were appended since the last time are shown when they are as safe as its level says.
    pub(crate) fn hold_show(&mut self, log: LogId) {
        if let Some(cell) = self.cells.get_mut(&log)
            && cell.to_show > 0
        {
            let seq = std::mem::take(&mut cell.to_show);
            self.levels.hold(&mut self.out, log, cell.level, Held::Show { log, seq });
        }
    }

    /// Messages are safe: they can be seen, and what is over a limit goes.
    pub(crate) fn show(&mut self, now: Now, log: LogId, seq: u64) {
        let Some(cell) = self.cells.get_mut(&log) else { return };
        let Body::Warm(stream) = &mut cell.body else { return };
        let (mut changes, before) = (Changes::default(), stream.last());
        stream.show(seq, &mut changes);
        let to = stream.last();
        self.stored(now, log, before + 1, to);
        self.removed(now, log, changes);
        self.note_expiry(log);
    }

    /// Tells a publisher that its message was not stored, and why.
    pub(crate) fn refuse_publish(&mut self, tenant: TenantId, reply: &Bytes, stream: &str, error: &ApiError) {
        if !reply.is_empty() {
            let mut payload = Vec::new();
            PubAck::write_error(&mut payload, stream, error);
            let m = Msg { subject: reply, payload: &payload, ..Msg::default() };
            self.out.say(tenant, &m);
        }
    }

    /// Notes when a stream's oldest message ends.
    pub(crate) fn note_expiry(&mut self, log: LogId) {
        let Some(cell) = self.cells.get_mut(&log) else { return };
        let Body::Warm(stream) = &cell.body else { return };
        let at = stream.next_wake();
        if at != cell.wakes_at {
            self.timers.move_wall(Timer::Stream(log), cell.wakes_at, at);
            cell.wakes_at = at;
        }
    }

    /// Messages of a stream have ended by age, or what was kept back is due.
    pub(crate) fn expire(&mut self, now: Now, log: LogId) {
        let Some(cell) = self.cells.get_mut(&log) else { return };
        cell.wakes_at = None;
        let Body::Warm(stream) = &mut cell.body else { return self.warm(log) };
        let mut changes = Changes::default();
        let is_due = stream.marked().and_then(|m| m.next_due_ms(stream.released_ms()));
        stream.expire(now, &mut changes);
        if is_due.is_some_and(|at_ms| at_ms <= now.wall_ms) {
            Self::make_all_due(cell, &mut self.due);
        }
        self.removed(now, log, changes);
        self.note_expiry(log);
    }

    /// Messages of a stream went for another reason than a new one.
    pub(crate) fn removed(&mut self, now: Now, log: LogId, changes: Changes) {
        let Some(cell) = self.cells.get_mut(&log) else { return };
        if changes == Changes::default() {
            return;
        }
        let mut changes = changes;
        let unmarked = std::mem::take(&mut changes.unmarked);
        let ranges = if cell.consumers.is_empty() { Vec::new() } else { changes.removed.clone() };
        Self::keep(cell, &mut self.out, &mut self.to_show, changes, None);
        if !ranges.is_empty() {
            self.cleared(now, log, &ranges, &unmarked);
        }
    }
}
