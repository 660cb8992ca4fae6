//! What consumers decided, carried out: deliveries are said with the messages that were read for them, and what cannot be
//! read is given up. What is delivered when is *not* decided here.

use bus::consumer::{Ack, Action, Delivery, Token};
use bus::messages::Messages;
use bus::stream::Changes;
use bytes::Bytes;
use kernel::trace::{Kind, Span};
use kernel::{LogId, Msg, Now, Record};
use wire::jetstream::{ack, status};

use super::cell::{Body, SeatId, SeatState};
use super::traced::text;
use super::{Plane, api, count};

impl Plane {
    /// Messages were read for a consumer's deliveries.
    pub(crate) fn delivered(
        &mut self,
        now: Now,
        id: &SeatId,
        actions: Vec<Action>,
        records: Vec<Option<Record>>,
    ) {
        // One that is gone gives nothing out any more: nobody could acknowledge it, or only to another under its name.
        let Some(seat) = self.seat(id) else { return };
        seat.is_reading = false;
        let is_slow = std::mem::take(&mut seat.unread) > 0;
        if !std::mem::replace(&mut seat.is_due, true) {
            self.due.push_back(id.clone());
        }
        if let Some(cell) = self.cells.get_mut(&id.log).filter(|_| is_slow)
            && let (Body::Warm(stream), Some(seat)) = (&cell.body, cell.consumers.get_mut(&id.name))
            && let SeatState::Live(consumer) = &mut seat.state
        {
            // The leases count from now on: until now nobody had them.
            for action in &actions {
                let Action::Deliver(Delivery { seq, consumer_seq, deliveries, .. }) = *action else {
                    continue;
                };
                let token = Token { seq, consumer_seq, deliveries };
                consumer.ack(now, token, Ack::Working, &**stream, &mut Vec::new());
            }
        }
        self.act(now, id.log, &id.name, actions, records);
    }

    /// Carries out what a consumer decided, with the messages that it delivers.
    pub(crate) fn act(
        &mut self,
        now: Now,
        log: LogId,
        name: &str,
        actions: Vec<Action>,
        records: Vec<Option<Record>>,
    ) {
        let Some(cell) = self.cells.get_mut(&log) else { return };
        let (tenant, stream_name) = (cell.tenant, cell.name.clone());
        let group =
            cell.consumers.get(name).map(|seat| seat.config().deliver_group.clone()).unwrap_or_default();
        let (mut records, mut reply, mut block) = (records.into_iter(), Vec::new(), Vec::new());
        let mut unreadable = Vec::new();
        for action in actions {
            match action {
                Action::Deliver(delivery) => {
                    let Some(Some(record)) = records.next() else {
                        let Delivery { seq, consumer_seq, deliveries, .. } = delivery;
                        unreadable.push(Token { seq, consumer_seq, deliveries });
                        continue;
                    };
                    reply.clear();
                    write_reply(&mut reply, &stream_name, name, &delivery, &record);
                    let span = self
                        .traced
                        .begin(now, record.headers(), Kind::Producer, || format!("deliver {stream_name}"));
                    let span = span.map(|span| {
                        let span = about(*span, &stream_name, name, &delivery, &record);
                        self.traced.begun_here(span)
                    });
                    let m = message(&delivery, &record, &reply, &mut block);
                    self.out.send_in(tenant, &delivery.to, &group, &m);
                    self.traced.end(span, None);
                    count(&self.figures.delivered_total);
                }
                Action::Status { to, status } => {
                    let (headers, reply) = (status.block(), status.reply());
                    let m = Msg { subject: &to, reply: &reply, headers: &headers, ..Msg::default() };
                    self.out.say(tenant, &m);
                }
                Action::Done(seqs) => self.done(now, log, seqs),
                Action::Advisory(advisory) => api::advisory::event(self, now, log, name, &advisory),
                Action::Gone => self.remove_consumer(now, log, name),
            }
        }
        if !unreadable.is_empty() {
            self.give_up(now, log, name, unreadable);
        }
    }

    /// Messages could not be read. Those that were deleted since are forgotten already; a damaged one would be tried again
    /// for ever and keep its place among what is out, so it is terminated, with the advisory that says so.
    fn give_up(&mut self, now: Now, log: LogId, name: &str, unreadable: Vec<Token>) {
        let Some(cell) = self.cells.get_mut(&log) else { return };
        let (Body::Warm(stream), Some(seat)) = (&cell.body, cell.consumers.get_mut(name)) else { return };
        let SeatState::Live(consumer) = &mut seat.state else { return };
        let (mut actions, mut gone) = (Vec::new(), Vec::new());
        for token in unreadable.into_iter().filter(|token| stream.row(token.seq).is_some()) {
            let reason = Bytes::from_static(b"Message cannot be read");
            consumer.ack(now, token, Ack::Terminate { reason }, &**stream, &mut actions);
            gone.push(token.seq..=token.seq);
        }
        self.act(now, log, name, actions, Vec::new());
        self.settle(log, name);
        self.pass_over(now, log, &gone);
    }

    /// Passes over messages that cannot be read, for as long as the node runs: nobody else is to stumble over them. Nothing
    /// is written down, so that what was only a passing failure of the disk is there again after the next start.
    fn pass_over(&mut self, now: Now, log: LogId, gone: &[std::ops::RangeInclusive<u64>]) {
        let Some(cell) = self.cells.get_mut(&log).filter(|_| !gone.is_empty()) else { return };
        let Body::Warm(stream) = &mut cell.body else { return };
        let mut changes = Changes::default();
        for seq in gone.iter().cloned().flatten() {
            stream.acknowledged(seq, &mut changes);
            self.trouble
                .push(format!("message {seq} of stream {} cannot be read; it is passed over", cell.name));
        }
        self.cleared(now, log, gone, &changes.unmarked);
    }
}

/// What a trace says of a delivery.
fn about(span: Span, stream: &str, consumer: &str, delivery: &Delivery, record: &Record) -> Box<Span> {
    let span = span.with("messaging.system", "neuroplex").with("messaging.operation.name", "deliver");
    let span = span.with("messaging.destination.name", text(record.subject()));
    let span = span.with("neuroplex.stream", stream).with("neuroplex.consumer", consumer);
    let span = span.with("neuroplex.stream.seq", delivery.seq);
    Box::new(span.with("neuroplex.deliveries", u64::from(delivery.deliveries)))
}

/// The subject on which a delivery is acknowledged.
fn write_reply(out: &mut Vec<u8>, stream: &str, consumer: &str, delivery: &Delivery, record: &Record) {
    ack::write_head(out, stream, consumer);
    let Delivery { deliveries, seq, consumer_seq, pending, .. } = delivery;
    ack::write_tail(out, [u64::from(*deliveries), *seq, *consumer_seq, record.time_ns, *pending]);
}

/// A delivery as its receiver sees it.
fn message<'m>(delivery: &Delivery, record: &'m Record, reply: &'m [u8], block: &'m mut Vec<u8>) -> Msg<'m> {
    let whole = Msg {
        subject: record.subject(),
        reply,
        headers: record.headers(),
        payload: record.payload(),
        ..Msg::default()
    };
    if !delivery.headers_only {
        return whole;
    }
    block.clear();
    status::write_headers_only(block, record.headers(), record.payload().len() as u64);
    Msg { headers: block, payload: &[], ..whole }
}
