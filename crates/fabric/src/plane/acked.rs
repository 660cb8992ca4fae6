//! What consumers' clients say of deliveries: acknowledgements of every kind, and that they keep up. Each is confirmed
//! when it is safe, or refused when the lease had ended.

use bus::consumer::{Ack, Acked, Token};
use bytes::Bytes;
use kernel::journal::Level;
use kernel::{Code, LogId, Msg, Now, TenantId};
use wire::jetstream::{self as js, ack};

use super::cell::{Body, Seat, SeatState};
use super::inbox::Arrival;
use super::out::{Held, Said};
use super::{Plane, api, count};

/// Tokens of a subject that acknowledges a delivery.
const ACK_TOKENS: usize = 9;

impl Plane {
    /// An acknowledgement came back.
    pub(crate) fn acknowledged(&mut self, now: Now, arrival: Arrival) {
        let (m, reply, tenant) = (arrival.msg(), arrival.reply(), arrival.tenant);
        // Words where numbers belong are passed over; a subject of another form is heard by nobody.
        let Some(delivery) = ack::Delivery::parse(m.subject) else {
            let is_form = m.subject.split(|b| *b == b'.').count() == ACK_TOKENS;
            if !is_form {
                api::unheard(&mut self.out, tenant, &reply, m.subject);
            }
            return;
        };
        let log = self.find(tenant, delivery.stream);
        let cell = log.and_then(|log| self.cells.get_mut(&log));
        let Some((cell, name)) = cell
            .filter(|c| c.consumers.contains_key(delivery.consumer))
            .map(|cell| (cell, delivery.consumer))
        else {
            return api::unheard(&mut self.out, tenant, &reply, m.subject);
        };
        let (log, level, name) = (cell.log, cell.level, name.to_owned());
        let Body::Warm(stream) = &cell.body else { return self.park(log, arrival) };
        let Some(Seat { state: SeatState::Live(consumer), .. }) = cell.consumers.get_mut(&*name) else {
            // It could not be restored: nothing can be said to it.
            return api::unheard(&mut self.out, tenant, &reply, m.subject);
        };
        let Some(said) = js::Ack::parse(m.payload) else {
            return self.confirm(log, tenant, Level::Mem, reply);
        };
        let token = Token {
            seq: delivery.stream_seq,
            consumer_seq: delivery.consumer_seq,
            deliveries: delivery.deliveries.try_into().unwrap_or(u32::MAX),
        };
        let (ack, next) = match said {
            js::Ack::Done => (Ack::Done, None),
            js::Ack::Again { delay_ns } => (Ack::Refuse { delay_ns }, None),
            js::Ack::Progress => (Ack::Working, None),
            js::Ack::Never { reason } => (Ack::Terminate { reason: Bytes::copy_from_slice(reason) }, None),
            js::Ack::Next(pull) => (Ack::Done, Some(pull)),
        };
        let mut actions = Vec::new();
        let outcome = consumer.ack(now, token, ack, &**stream, &mut actions);
        self.act(now, log, &name, actions, Vec::new());
        let is_next = next.is_some();
        if let Some(Some(pull)) = next.filter(|_| !reply.is_empty()) {
            self.pull(now, log, &name, &reply, &pull);
        }
        self.settle(log, &name);
        self.make_due(log, &name);
        match outcome {
            Acked::Accepted | Acked::Already if !is_next => self.confirm(log, tenant, level, reply),
            Acked::Stale => {
                count(&self.figures.stale_acks_total);
                api::advisory::stale(self, now, log, &name, token);
                self.refuse_ack(tenant, &reply);
            }
            _ => {}
        }
    }

    /// Tells a client that its acknowledgement counts, once that is as safe as its stream demands.
    fn confirm(&mut self, log: LogId, tenant: TenantId, level: Level, reply: Bytes) {
        if !reply.is_empty() {
            let held = Held::Say(Said { tenant, subject: reply, ..Said::default() });
            self.levels.hold(&mut self.out, log, level, held);
        }
    }

    /// Tells a client that its lease had ended: its acknowledgement changed nothing.
    fn refuse_ack(&mut self, tenant: TenantId, reply: &Bytes) {
        if !reply.is_empty() {
            let payload = format!(
                "-ERR {{\"code\":{},\"name\":\"{}\"}}",
                Code::StaleLease.number(),
                Code::StaleLease.name()
            );
            let headers =
                format!("NATS/1.0 409 Stale Lease\r\nNp-Code: {}\r\n\r\n", Code::StaleLease.number());
            let m = Msg {
                subject: reply,
                headers: headers.as_bytes(),
                payload: payload.as_bytes(),
                ..Msg::default()
            };
            self.out.say(tenant, &m);
        }
    }

    /// A consumer's client says that it keeps up.
    pub(crate) fn flowed(&mut self, arrival: &Arrival) {
        let m = arrival.msg();
        let Some(flow) = ack::FlowReply::parse(m.subject) else { return };
        let Some(log) = self.find(arrival.tenant, flow.stream) else { return };
        let seat = self.cells.get_mut(&log).and_then(|cell| cell.consumers.get_mut(flow.consumer));
        if let Some(Seat { state: SeatState::Live(consumer), .. }) = seat
            && consumer.flow(m.subject)
        {
            self.make_due(log, flow.consumer);
        }
    }
}
