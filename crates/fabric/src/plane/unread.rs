//! What the plane does when the disk gives nothing. That says nothing about what is on it: no message is passed over, given
//! up or called gone for it. Streams and deliveries wait and are tried again, ever more seldom; whoever only asked is told.
//! Damage, which the store knows for sure, is *not* dealt with here.

use bus::consumer::Action;
use bytes::Bytes;
use kernel::journal::Summary;
use kernel::{LogId, Now, TenantId};
use wire::jetstream::api::{Answer, Message};
use wire::jetstream::status::Status;
use wire::jetstream::{ApiError, Call, Fault};

use super::cell::{Body, Cell, SeatId};
use super::consume::delivered_seq;
use super::inbox::{Arrival, Target};
use super::reading::Reading;
use super::timers::Timer;
use super::{Plane, api, count};

/// How long it takes until something is tried again: after the first time, and at most.
const WAIT_NS: (u64, u64) = (100_000_000, 10_000_000_000);
/// What is said in place of a message, to those whose protocol has a status line.
pub(crate) const UNREADABLE: (u16, &str) = (500, "Cannot Be Read Now");

/// How long to wait when it was tried that often.
fn wait_ns(tries: u32) -> u64 {
    let (first, most) = WAIT_NS;
    first.saturating_mul(1 << tries.min(20)).min(most)
}

/// Why something is refused that needs the disk.
pub(crate) fn unreadable() -> ApiError {
    Fault::StoreFailed.with("the disk cannot be read now; try again")
}

impl Plane {
    /// Records could not be read.
    pub(crate) fn unread(&mut self, now: Now, reading: Reading, why: &str) {
        count(&self.figures.unread_total);
        match reading {
            Reading::Deliver { seat, actions } => self.undelivered(now, seat, actions, why),
            Reading::Restore { log, summary, .. } => self.unloaded(now, log, Some(summary), why),
            Reading::Message { tenant, reply, kind, span, .. } => {
                self.traced.end(span, Some(why));
                let answer: Bytes = Answer::<Message>::refused(kind, unreadable()).to_bytes().into();
                self.out.answer(tenant, &reply, &answer);
            }
            Reading::Direct(batch) => self.direct_unread(&batch),
        }
    }

    /// What a consumer delivers could not be read: it keeps its place, and nothing goes out before it.
    fn undelivered(&mut self, now: Now, id: SeatId, actions: Vec<Action>, why: &str) {
        let Some(seat) = self.seat(&id) else { return };
        let at = now.mono_ns + wait_ns(seat.unread);
        let is_first = seat.unread == 0;
        seat.unread += 1;
        seat.unsent = Some(actions);
        self.timers.move_mono(Timer::Unsent(id.clone()), None, Some(at));
        if let Some(cell) = self.cells.get(&id.log).filter(|_| is_first) {
            let (name, stream) = (&id.name, &cell.name);
            self.trouble.push(format!(
                "consumer {name} of stream {stream} waits, its messages cannot be read: {why}"
            ));
        }
    }

    /// Tries again to read what a consumer delivers.
    pub(crate) fn read_again(&mut self, id: SeatId) {
        let Some(actions) = self.seat(&id).and_then(|seat| seat.unsent.take()) else { return };
        let seqs = actions.iter().filter_map(delivered_seq).collect();
        self.out.read(id.log, seqs, Reading::Deliver { seat: id, actions });
    }

    /// A stream could not be loaded. `summary`: what is known of it, if it is not in its place.
    pub(crate) fn unloaded(&mut self, now: Now, log: LogId, summary: Option<Summary>, why: &str) {
        let Some(cell) = self.cells.get_mut(&log) else { return };
        let summary = match (&cell.body, summary) {
            (Body::Loading(summary), _) => *summary,
            (Body::Restoring(_), Some(summary)) => summary,
            _ => return,
        };
        count(&self.figures.unread_total);
        cell.body = Body::Cold(summary);
        if cell.unread == 0 {
            self.trouble.push(format!("stream {} is tried again, it cannot be read: {why}", cell.name));
        }
        let at = now.mono_ns + wait_ns(cell.unread);
        (cell.unread, cell.is_barred) = (cell.unread + 1, true);
        self.timers.move_mono(Timer::Load(log), None, Some(at));
        let parked = self.unpark(log);
        parked.iter().for_each(|arrival| self.refuse_unread(arrival));
        // The others are not kept from it.
        self.awaits_no_more(now, log);
    }

    /// Tries again to load a stream.
    pub(crate) fn load_again(&mut self, log: LogId) {
        if let Some(cell) = self.cells.get_mut(&log) {
            cell.is_barred = false;
            self.warm(log);
        }
    }

    /// Refuses what came for a stream that cannot be read now.
    pub(crate) fn refuse_unread(&mut self, arrival: &Arrival) {
        let (m, reply, tenant) = (arrival.msg(), arrival.reply(), arrival.tenant);
        match arrival.target {
            Target::Stream(log) => {
                let Some(Cell { name, config, .. }) = self.cells.get(&log) else { return };
                let (name, reply) = (name.clone(), if config.no_ack { Bytes::new() } else { reply });
                count(&self.figures.refused_total);
                self.refuse_publish(tenant, &reply, &name, &unreadable());
            }
            Target::Call => {
                let Some(call) = Call::parse(m.subject) else { return };
                count(&self.figures.api_requests_total);
                count(&self.figures.api_errors_total);
                match call {
                    Call::DirectGet { .. } | Call::ConsumerNext { .. } => self.say_unreadable(tenant, &reply),
                    _ => {
                        let answer = api::refused(&call, call.answer_type(), unreadable());
                        self.out.answer(tenant, &reply, &answer);
                    }
                }
            }
            // Clients take whatever comes back for a confirmation: they are left to wait, and ask again.
            Target::Ack | Target::Flow => {}
        }
    }

    /// Says by a status line that the disk gives nothing now.
    pub(crate) fn say_unreadable(&mut self, tenant: TenantId, reply: &Bytes) {
        let (code, text) = UNREADABLE;
        api::direct::say_status(&mut self.out, tenant, reply, &Status::new(code, text));
    }
}
