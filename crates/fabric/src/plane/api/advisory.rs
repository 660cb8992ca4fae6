//! What the plane tells everybody who watches: that streams and consumers came and went, that messages were given back
//! or given up. An event is told when what it speaks of is as safe as its stream demands, and not at all when that will
//! never be. Nothing is written when nobody listens.

use bus::consumer::{Advisory, Token};
use bytes::Bytes;
use kernel::journal::Level;
use kernel::{LogId, Msg, Now, TenantId};
use wire::jetstream::advisory::{
    self, AUDIT_SUBJECT, AckMetric, Action, ApiAudit, Client, ConsumerAction, Event, MaxDeliver, Nak, Pause,
    StreamAction, Terminated,
};
use wire::jetstream::{Time, write};

use super::super::out::{Asked, Held, Said};
use super::super::{Plane, count};

impl Plane {
    /// An event as a message; `None`: nobody listens for it.
    fn event_said(&mut self, now: Now, tenant: TenantId, event: Event) -> Option<Said> {
        let subject = event.to_string();
        if !self.out.hears_event(tenant, subject.as_bytes()) {
            return None;
        }
        let id = self.some_name() + &self.some_name() + &self.some_name();
        let document = advisory::Advisory::new(id, Time(now.wall_ms * 1_000_000), event);
        Some(Said { tenant, subject: subject.into(), payload: write(&document).into(), ..Said::default() })
    }
}

/// A stream came, changed or goes.
pub(crate) fn stream(plane: &mut Plane, now: Now, log: LogId, action: Action) {
    let Some(cell) = plane.cells.get(&log) else { return };
    let (tenant, stream) = (cell.tenant, cell.name.to_string());
    let event = StreamAction { stream, action, ..StreamAction::default() };
    if let Some(said) = plane.event_said(now, tenant, event.into()) {
        plane.out.hold(Level::Disk, Held::Tell(said));
    }
}

/// A consumer came or goes.
pub(crate) fn consumer(plane: &mut Plane, now: Now, log: LogId, name: &str, action: Action) {
    let Some(cell) = plane.cells.get(&log) else { return };
    let (tenant, stream) = (cell.tenant, cell.name.to_string());
    let event = ConsumerAction { stream, consumer: name.into(), action, ..ConsumerAction::default() };
    if let Some(said) = plane.event_said(now, tenant, event.into()) {
        plane.out.hold(Level::Disk, Held::Tell(said));
    }
}

/// Something happened to a consumer's messages.
pub(crate) fn event(plane: &mut Plane, now: Now, log: LogId, name: &str, advisory: &Advisory) {
    let Some(cell) = plane.cells.get(&log) else { return };
    let (tenant, level, stream, consumer) = (cell.tenant, cell.level, cell.name.to_string(), name.to_owned());
    if matches!(advisory, Advisory::MaxDeliveries { .. }) {
        count(&plane.figures.max_deliveries_total);
    }
    let event: Event = match advisory {
        Advisory::MaxDeliveries { seq, deliveries } => MaxDeliver {
            stream,
            consumer,
            stream_seq: *seq,
            deliveries: (*deliveries).into(),
            ..MaxDeliver::default()
        }
        .into(),
        Advisory::Terminated { seq, consumer_seq, deliveries, reason } => Terminated {
            stream,
            consumer,
            consumer_seq: *consumer_seq,
            stream_seq: *seq,
            deliveries: (*deliveries).into(),
            reason: String::from_utf8_lossy(reason).into_owned(),
            ..Terminated::default()
        }
        .into(),
        Advisory::Refused { seq, consumer_seq, deliveries } => Nak {
            stream,
            consumer,
            consumer_seq: *consumer_seq,
            stream_seq: *seq,
            deliveries: (*deliveries).into(),
            ..Nak::default()
        }
        .into(),
        Advisory::Sampled { seq, consumer_seq, deliveries, took_ns } => AckMetric {
            stream,
            consumer,
            consumer_seq: *consumer_seq,
            stream_seq: *seq,
            ack_time: i64::try_from(*took_ns).unwrap_or(i64::MAX),
            deliveries: (*deliveries).into(),
            ..AckMetric::default()
        }
        .into(),
        Advisory::Pause { until, paused } => {
            Pause { stream, consumer, paused: *paused, pause_until: *until, ..Pause::default() }.into()
        }
    };
    if let Some(said) = plane.event_said(now, tenant, event) {
        plane.levels.hold(&mut plane.out, log, level, Held::Tell(said));
    }
}

/// What is kept of a request that is answered later; `None`: nobody follows what is asked.
pub(crate) fn asked(plane: &Plane, tenant: TenantId, subject: &[u8], body: &[u8]) -> Option<Box<Asked>> {
    let copy = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
    let is_heard = plane.out.hears_event(tenant, AUDIT_SUBJECT.as_bytes());
    is_heard.then(|| Box::new(Asked { subject: copy(subject), body: copy(body) }))
}

/// A request that was kept has been answered.
pub(crate) fn audited(plane: &mut Plane, now: Now, tenant: TenantId, asked: &Asked, answer: &[u8]) {
    let m = Msg { subject: &asked.subject, payload: &asked.body, ..Msg::default() };
    audit(plane, now, tenant, &m, answer);
}

/// A request was answered just now.
pub(crate) fn audit(plane: &mut Plane, now: Now, tenant: TenantId, request: &Msg<'_>, answer: &[u8]) {
    if !plane.out.hears_event(tenant, AUDIT_SUBJECT.as_bytes()) {
        return;
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let acc = plane.tenants.get(tenant.0 as usize).map(|t| t.name.to_string()).unwrap_or_default();
    let event = ApiAudit {
        server: plane.options.node.clone(),
        client: Client { acc },
        subject: text(request.subject),
        request: text(request.payload),
        response: text(answer),
        ..ApiAudit::default()
    };
    if let Some(said) = plane.event_said(now, tenant, event.into()) {
        plane.out.tell_kept(&said);
    }
}

/// Somebody acknowledged a delivery that had been given to another.
pub(crate) fn stale(plane: &mut Plane, now: Now, log: LogId, name: &str, token: Token) {
    let Some(cell) = plane.cells.get(&log) else { return };
    let (tenant, stream) = (cell.tenant, cell.name.clone());
    let subject = format!("$NP.EVENT.STALE_ACK.{stream}.{name}");
    if plane.out.hears_event(tenant, subject.as_bytes()) {
        let payload = serde_json::json!({
            "type": "neuroplex.event.v1.stale_ack",
            "timestamp": Time(now.wall_ms * 1_000_000),
            "stream": *stream,
            "consumer": name,
            "stream_seq": token.seq,
            "consumer_seq": token.consumer_seq,
            "deliveries": token.deliveries,
            "code": kernel::Code::StaleLease.number(),
        })
        .to_string();
        let m = Msg { subject: subject.as_bytes(), payload: payload.as_bytes(), ..Msg::default() };
        plane.out.tell(tenant, &m);
    }
}
