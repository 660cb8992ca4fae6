//! Requests for messages from pull consumers.

use bus::consumer::Pull;
use bytes::Bytes;
use kernel::{LogId, Msg, Now, TenantId};
use wire::jetstream::PullRequest;
use wire::jetstream::status::Status;

use super::super::Plane;
use super::super::cell::{Body, Seat, SeatState};
use super::{Ask, Done, Reply, Stop, unheard};

impl Plane {
    pub(super) fn consumer_next(&mut self, ask: &Ask<'_>, stream: &str, consumer: &str) -> Done {
        let Some(log) = self.find(ask.tenant, stream) else {
            unheard(&mut self.out, ask.tenant, ask.reply, ask.subject);
            return Ok(Reply::Later);
        };
        let Some(cell) = self.cells.get(&log) else { return Ok(Reply::Later) };
        if !cell.consumers.contains_key(consumer) {
            unheard(&mut self.out, ask.tenant, ask.reply, ask.subject);
            return Ok(Reply::Later);
        }
        if !matches!(cell.body, Body::Warm(_)) {
            return Err(Stop::Load(log));
        }
        let is_there = cell.consumers.get(consumer).is_some_and(|s| matches!(s.state, SeatState::Live(_)));
        if !is_there {
            // Its state could not be read: nobody will ever answer for it.
            unheard(&mut self.out, ask.tenant, ask.reply, ask.subject);
            return Ok(Reply::Later);
        }
        match PullRequest::parse(ask.body) {
            Ok(request) => self.pull(ask.now, log, consumer, ask.reply, &request),
            Err(why) => self.refuse_pull(ask.tenant, ask.reply, &why),
        }
        Ok(Reply::Later)
    }

    /// Puts a request for messages to a consumer.
    pub(crate) fn pull(&mut self, now: Now, log: LogId, name: &str, reply: &Bytes, request: &PullRequest) {
        let Some(cell) = self.cells.get_mut(&log) else { return };
        let (tenant, Body::Warm(stream)) = (cell.tenant, &cell.body) else { return };
        let Some(Seat { state: SeatState::Live(consumer), .. }) = cell.consumers.get_mut(name) else {
            return;
        };
        let pull = Pull {
            reply: reply.clone(),
            batch: request.batch,
            expires_ns: request.expires,
            no_wait: request.no_wait,
            max_bytes: request.max_bytes,
            idle_heartbeat_ns: request.idle_heartbeat,
        };
        let (mut actions, out) = (Vec::new(), &self.out);
        let mut hears = |to: &[u8]| out.hears(tenant, to);
        consumer.pull(now, pull, &**stream, &mut hears, &mut actions);
        self.act(now, log, name, actions, Vec::new());
        self.settle(log, name);
        self.make_due(log, name);
    }

    fn refuse_pull(&mut self, tenant: TenantId, reply: &Bytes, why: &str) {
        if reply.is_empty() {
            return;
        }
        let text = format!("Bad Request - {why}");
        let mut headers = Vec::new();
        Status::new(400, &text).write(&mut headers);
        self.out.say(tenant, &Msg { subject: reply, headers: &headers, ..Msg::default() });
    }
}
