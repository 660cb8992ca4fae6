//! The streams' API: requests on `$JS.API.…`, one table, one file for what belongs together. A request is read, carried
//! out and answered; what it changes is answered when it is safe. The documents are `wire`'s, the rules are the cores'.

mod account;
pub(crate) mod advisory;
mod consumer;
pub(crate) mod direct;
pub(crate) mod message;
mod next;
pub(crate) mod stream;

use std::collections::BTreeMap;

use bytes::Bytes;
use kernel::journal::Level;
use kernel::trace::{Kind, Span};
use kernel::{Code, Headers, LogId, Msg, Now, TenantId};
use serde::Serialize;
use wire::jetstream::api::{
    API_LEVEL, Answer, ConsumerList, ConsumerNames, ConsumerReset, Paused, Purged, StreamInfoPage,
    StreamList, StreamNames, busy,
};
use wire::jetstream::pub_headers::header;
use wire::jetstream::{ApiError, Call, Fault, Refusal};
use wire::nats::RELEASE;
use wire::nats::encode::no_responders;

use super::cell::{Body, Cell};
use super::inbox::Arrival;
use super::out::{Asked, Held, Out, Said};
use super::traced::text;
use super::{Plane, count};
use consumer::Named;

/// A request, taken apart.
pub(super) struct Ask<'a> {
    pub(super) subject: &'a [u8],
    pub(super) now: Now,
    pub(super) tenant: TenantId,
    pub(super) reply: &'a Bytes,
    /// The type of the answer.
    pub(super) kind: &'static str,
    pub(super) body: &'a [u8],
}

/// What a request is answered with.
pub(crate) enum Reply {
    /// This, at once.
    Now(Bytes),
    /// This, when everything appended so far is on the disk.
    Safe(Bytes),
    /// Something that comes by itself, or nothing.
    Later,
}

/// A request that is answered when the work for it is done.
pub(crate) struct Later {
    pub(crate) tenant: TenantId,
    pub(crate) reply: Bytes,
    /// The type of the answer, and how it looks when it is refused.
    kind: &'static str,
    refused: fn(&'static str, ApiError) -> Vec<u8>,
    pub(crate) asked: Option<Box<Asked>>,
    /// The step that ends with the answer, if it is told.
    pub(crate) span: Option<Box<Span>>,
}

impl Later {
    /// The answer that refuses it.
    pub(crate) fn refused(&self, error: ApiError) -> Bytes {
        (self.refused)(self.kind, error).into()
    }
}

/// Why a request is not answered now.
pub(super) enum Stop {
    /// It cannot be done.
    Fault(ApiError),
    /// A stream must be loaded first.
    Load(LogId),
}

impl From<ApiError> for Stop {
    fn from(error: ApiError) -> Stop {
        Stop::Fault(error)
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Stop {
        Stop::Fault(fault.into())
    }
}

pub(super) type Done = Result<Reply, Stop>;

impl Plane {
    /// Carries a request out.
    pub(crate) fn call(&mut self, now: Now, arrival: Arrival) {
        let (m, reply, tenant) = (arrival.msg(), arrival.reply(), arrival.tenant);
        let Some(call) = Call::parse(m.subject) else { return };
        let kind = call.answer_type();
        let ask = Ask { subject: m.subject, now, tenant, reply: &reply, kind, body: m.payload };
        let span = self.traced.begin(now, m.headers, Kind::Server, || text(m.subject));
        self.traced.request = span.map(|span| Box::new(span.with("rpc.system.name", "jetstream")));
        let done = match level_asked(m.headers) {
            Some(level) if level > API_LEVEL => Err(Fault::RequiredApiLevel.into()),
            _ => self.carry_out(&ask, &call),
        };
        // One that is answered later took its step with it.
        let span = self.traced.request.take();
        // One that waits for its stream comes again.
        if !matches!(done, Err(Stop::Load(_))) {
            count(&self.figures.api_requests_total);
        }
        match done {
            Ok(Reply::Now(answer)) => {
                self.traced.end(span, None);
                self.out.answer(tenant, &reply, &answer);
                advisory::audit(self, now, tenant, &m, &answer);
            }
            Ok(Reply::Safe(payload)) => {
                let asked = advisory::asked(self, tenant, m.subject, m.payload);
                let said = Said { tenant, subject: reply, payload, ..Said::default() };
                self.out.hold(Level::Disk, Held::Answer { said, asked, span });
            }
            Ok(Reply::Later) => self.traced.end(span, None),
            Err(Stop::Load(log)) => self.park(log, arrival),
            Err(Stop::Fault(error)) => {
                count(&self.figures.api_errors_total);
                self.traced.end(span, Some(&error.description));
                let answer = refused(&call, kind, error);
                self.out.answer(tenant, &reply, &answer);
                advisory::audit(self, now, tenant, &m, &answer);
            }
        }
    }

    /// The one table of what can be asked.
    fn carry_out(&mut self, ask: &Ask<'_>, call: &Call<'_>) -> Done {
        // Refused only afterwards, it would be seen as done until the next start.
        if self.out.failed.is_some() && is_kept(call) {
            return Err(store_failed(&self.out).into());
        }
        match *call {
            Call::AccountInfo {} => self.account_info(ask),
            Call::StreamCreate { stream } => self.stream_create(ask, stream),
            Call::StreamUpdate { stream } => self.stream_update(ask, stream),
            Call::StreamInfo { stream } => self.stream_info(ask, stream),
            Call::StreamNames {} => self.stream_names(ask),
            Call::StreamList {} => self.stream_list(ask),
            Call::StreamDelete { stream } => self.stream_delete(ask, stream),
            Call::StreamPurge { stream } => self.stream_purge(ask, stream),
            Call::MsgGet { stream } => self.message_get(ask, stream),
            Call::MsgDelete { stream } => self.message_delete(ask, stream),
            Call::DirectGet { stream, subject } => self.direct_get(ask, stream, subject),
            Call::ConsumerCreate { stream, consumer, filter } => {
                self.consumer_create(ask, stream, &Named { consumer, filter, is_durable: false })
            }
            Call::DurableCreate { stream, consumer } => {
                let named = Named { consumer: Some(consumer), filter: None, is_durable: true };
                self.consumer_create(ask, stream, &named)
            }
            Call::ConsumerInfo { stream, consumer } => self.consumer_info(ask, stream, consumer),
            Call::ConsumerNames { stream } => self.consumer_names(ask, stream),
            Call::ConsumerList { stream } => self.consumer_list(ask, stream),
            Call::ConsumerDelete { stream, consumer } => self.consumer_delete(ask, stream, consumer),
            Call::ConsumerPause { stream, consumer } => self.consumer_pause(ask, stream, consumer),
            Call::ConsumerNext { stream, consumer } => self.consumer_next(ask, stream, consumer),
            Call::ConsumerReset { stream, consumer } => self.consumer_reset(ask, stream, consumer),
            Call::ConsumerUnpin { .. } => Err(Fault::InvalidPriorityGroup.into()),
            Call::Refused(what) => self.refuse(ask, what),
        }
    }

    /// Refuses what we do not do, or what could not be done anyway.
    fn refuse(&self, ask: &Ask<'_>, what: Refusal) -> Done {
        let name = ask.subject.rsplit(|b| *b == b'.').next().and_then(|name| std::str::from_utf8(name).ok());
        let is_there = name.is_some_and(|name| self.find(ask.tenant, name).is_some());
        match what {
            Refusal::StreamSnapshot if !is_there => Err(Fault::StreamNotFound.into()),
            _ => Err(what.fault().into()),
        }
    }

    /// A stream by its name.
    pub(crate) fn find(&self, tenant: TenantId, stream: &str) -> Option<LogId> {
        self.tenants.get(tenant.0 as usize)?.streams.get(stream).copied()
    }

    /// A stream by its name, in memory.
    pub(super) fn warm_stream(&mut self, tenant: TenantId, stream: &str) -> Result<&mut Cell, Stop> {
        let log = self.find(tenant, stream).ok_or(Fault::StreamNotFound)?;
        match self.cells.get_mut(&log) {
            Some(cell) if matches!(cell.body, Body::Warm(_)) => {
                cell.is_used = true;
                Ok(cell)
            }
            Some(_) => Err(Stop::Load(log)),
            None => Err(Fault::StreamNotFound.into()),
        }
    }

    /// What is kept of a request that is answered later.
    fn later<T: Default + Serialize>(&mut self, ask: &Ask<'_>) -> Later {
        let asked = advisory::asked(self, ask.tenant, ask.subject, ask.body);
        let refused = |kind, error| Answer::<T>::refused(kind, error).to_bytes();
        let span = self.traced.request.take();
        Later { tenant: ask.tenant, reply: ask.reply.clone(), kind: ask.kind, refused, asked, span }
    }

    /// A name that nobody chose: 8 letters and digits.
    pub(super) fn some_name(&mut self) -> String {
        // SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
        self.names = self.names.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.names;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        (0..8).map(|i| char::from(LETTERS[(z >> (8 * i)) as usize % LETTERS.len()])).collect()
    }
}

impl Out {
    /// Answers a request at once.
    pub(crate) fn answer(&mut self, tenant: TenantId, reply: &Bytes, answer: &[u8]) {
        if !reply.is_empty() {
            self.say(tenant, &Msg { subject: reply, payload: answer, ..Msg::default() });
        }
    }
}

/// Writes an answer.
pub(super) fn answer<T: Serialize>(ask: &Ask<'_>, body: T) -> Bytes {
    done(ask.kind, body)
}

/// Writes an answer of a kind.
fn done<T: Serialize>(kind: &'static str, body: T) -> Bytes {
    Answer::done(kind, body).to_bytes().into()
}

/// Writes why a request was refused, with the fields that the real server's answer to it always has.
pub(crate) fn refused(call: &Call<'_>, kind: &'static str, error: ApiError) -> Vec<u8> {
    match call {
        Call::StreamInfo { .. } => Answer::<StreamInfoPage>::refused(kind, error).to_bytes(),
        Call::StreamNames {} => Answer::<StreamNames>::refused(kind, error).to_bytes(),
        Call::StreamList {} => Answer::<StreamList>::refused(kind, error).to_bytes(),
        Call::StreamPurge { .. } => Answer::<Purged>::refused(kind, error).to_bytes(),
        Call::ConsumerNames { .. } => Answer::<ConsumerNames>::refused(kind, error).to_bytes(),
        Call::ConsumerList { .. } => Answer::<ConsumerList>::refused(kind, error).to_bytes(),
        Call::ConsumerReset { .. } => Answer::<ConsumerReset>::refused(kind, error).to_bytes(),
        Call::ConsumerPause { .. } => Answer::<Paused>::refused(kind, error).to_bytes(),
        _ => Answer::<Option<Purged>>::refused(kind, error).to_bytes(),
    }
}

/// Puts into a configuration's metadata what the server says of itself there, whatever a client wrote in its place:
/// the level of the API that it speaks, the level that the configuration needs, and its release.
pub(super) fn note_level(metadata: &mut BTreeMap<String, String>, needed: u64) {
    metadata.retain(|key, _| !key.starts_with("_nats."));
    for (key, value) in [
        ("_nats.level", API_LEVEL.to_string()),
        ("_nats.req.level", needed.to_string()),
        ("_nats.ver", RELEASE.to_owned()),
    ] {
        metadata.insert(key.to_owned(), value);
    }
}

/// Leaves of it what lists show.
pub(super) fn list_level(metadata: &mut BTreeMap<String, String>) {
    metadata.retain(|key, _| !key.starts_with("_nats.") || key == "_nats.req.level");
}

/// Refuses a body where none may be.
pub(super) fn expect_empty(body: &[u8]) -> Result<(), Stop> {
    match wire::jetstream::document::is_empty(body) {
        true => Ok(()),
        false => Err(Fault::NotEmptyRequest.into()),
    }
}

/// Tells whoever asked that nobody listens there.
pub(crate) fn unheard(out: &mut Out, tenant: TenantId, reply: &Bytes, subject: &[u8]) {
    if !reply.is_empty() {
        let headers = no_responders(subject);
        out.say(tenant, &Msg { subject: reply, headers: &headers, ..Msg::default() });
    }
}

/// Tells whoever asked to come again a little later.
pub(crate) fn busy(out: &mut Out, arrival: &Arrival) {
    let m = arrival.msg();
    let (headers, payload) = (busy::HEADERS, busy::ANSWER);
    out.say(arrival.tenant, &Msg { subject: m.reply, headers, payload, ..Msg::default() });
}

/// Whether a request changes what the journal keeps, whatever it is about. Consumers may live in memory alone.
fn is_kept(call: &Call<'_>) -> bool {
    matches!(
        call,
        Call::StreamCreate { .. }
            | Call::StreamUpdate { .. }
            | Call::StreamDelete { .. }
            | Call::StreamPurge { .. }
            | Call::MsgDelete { .. }
    )
}

/// The error of a journal that takes nothing more: JetStream has no number for it, so that it is our own.
pub(crate) fn store_failed(out: &Out) -> ApiError {
    let code = out.failed.as_ref().map_or(Code::StoreFailed, |(code, _)| *code);
    ApiError { code: 503, err_code: code.number(), description: "the journal has failed".into() }
}

/// Says in place of an answer that would have needed the journal that it failed; what was said.
pub(crate) fn say_store_failed(out: &mut Out, said: &Said) -> Vec<u8> {
    let answer = Answer::<Option<Purged>>::refused("", store_failed(out)).to_bytes();
    out.answer(said.tenant, &said.subject, &answer);
    answer
}

/// The level of the API that a request demands; one that cannot be read is beyond all.
fn level_asked(headers: &[u8]) -> Option<u64> {
    let value = Headers::new(headers).first(header::REQUIRED_API_LEVEL)?;
    Some(value.parse().unwrap_or(u64::MAX))
}
